// This file is part of rnnpool. MIT licence, see LICENSE.
#include "plan.h"

#include "../frame/frame.h"
#include "../numeric.h"
#include "../operators/head.h"

// Of the operator that makes a tensor; NULL for the model's input.
static const rnnp_operator_t *maker(const rnnp_model_t *model, uint32_t tensor) {
    return tensor == 0 ? NULL : rnnp_operator(rnnp_op(model, tensor - 1));
}

uint32_t rnnp_plan_row_bytes(const rnnp_model_t *model, uint32_t tensor) {
    if (tensor == 0) {
        return rnnp_align((uint32_t)model->width * model->channels, RNNP_ROW_ALIGNMENT);
    }
    const rnnp_op_t *op = rnnp_op(model, tensor - 1);
    return rnnp_align(rnnp_op_row_bytes(op), RNNP_ROW_ALIGNMENT);
}

// Within a step: what the operator wants, then its row if it has no ring.
static uint32_t scratch_bytes(const rnnp_model_t *model, uint32_t tensor) {
    const rnnp_operator_t *operator = maker(model, tensor);
    uint32_t row = model->ring_rows[tensor] == 0 ? rnnp_plan_row_bytes(model, tensor) : 0;
    return row + (operator->scratch == NULL ? 0 : operator->scratch(rnnp_op(model, tensor - 1)));
}

// Bytes of a ring or map in the arena.
static uint64_t ring_bytes(const rnnp_model_t *model, uint32_t tensor) {
    uint64_t bytes = (uint64_t)rnnp_plan_row_bytes(model, tensor) * model->ring_rows[tensor];
    return (bytes + RNNP_ALIGNMENT - 1) / RNNP_ALIGNMENT * RNNP_ALIGNMENT;
}

static uint32_t tensor_work(const rnnp_model_t *model, uint32_t tensor) {
    const rnnp_operator_t *operator = maker(model, tensor);
    bool none = operator == NULL || operator->work == NULL;
    return none ? 0 : rnnp_align(operator->work(rnnp_op(model, tensor - 1)), RNNP_ALIGNMENT);
}

static uint32_t resample_bytes(const rnnp_model_t *model, const rnnp_frame_t *frame) {
    return frame == NULL ? 0 : rnnp_align(rnnp_frame_work_bytes(model, frame), RNNP_ALIGNMENT);
}

static uint32_t state_bytes(const rnnp_model_t *model) {
    return rnnp_align(
        (uint32_t)sizeof(rnnp_state_t) + (model->num_ops + 1u) * (uint32_t)sizeof(rnnp_node_t), RNNP_ALIGNMENT);
}

static uint32_t candidate_bytes(const rnnp_model_t *model) {
    return rnnp_align(model->max_candidates * (uint32_t)sizeof(rnnp_candidate_t), RNNP_ALIGNMENT);
}

// Bytes of the map that a segment writes, 0 if none. segment -1: none.
static uint64_t map_bytes(const rnnp_plan_t *plan, const rnnp_model_t *model, int32_t segment) {
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        if (plan->segment[t] == segment && rnnp_graph_materialized(model, t)) {
            return ring_bytes(model, t);
        }
    }
    return 0;
}

// Scratch memory of a segment: that of its most demanding operator.
static uint32_t segment_scratch(const rnnp_plan_t *plan, const rnnp_model_t *model, uint32_t segment) {
    uint32_t bytes = 0;
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        if (plan->segment[t] == segment) {
            bytes = rnnp_max_u32(bytes, scratch_bytes(model, t));
        }
    }
    return rnnp_align(bytes, RNNP_ALIGNMENT);
}

// Lays out what segment `segment` works with, from offset `start` on, and returns the end. Offsets are only written if
// `place`.
static uint64_t lay_out_segment(
    rnnp_plan_t *plan, const rnnp_model_t *model, uint32_t resample, uint32_t segment, uint64_t start, bool place) {
    uint64_t end = start;
    if (segment == 0) {
        if (place) {
            plan->resample = (uint32_t)end;
        }
        end += resample;
    }
    if (place) {
        plan->scratch[segment] = (uint32_t)end;
    }
    end += segment_scratch(plan, model, segment);
    for (uint32_t t = 0; t <= model->num_ops; t++) {
        if (plan->segment[t] != segment) {
            continue;
        }
        if (place) {
            plan->work[t] = (uint32_t)end;
        }
        end += tensor_work(model, t);
        if (!rnnp_graph_materialized(model, t)) {
            if (place) {
                plan->ring[t] = (uint32_t)end;
            }
            end += ring_bytes(model, t);
        }
    }
    return end;
}

void rnnp_plan(rnnp_plan_t *plan, const rnnp_model_t *model, const rnnp_frame_t *frame) {
    uint32_t resample = resample_bytes(model, frame);
    plan->num_segments = (uint8_t)rnnp_graph_segments(model, plan->segment);
    plan->candidates = state_bytes(model);
    uint32_t base = plan->candidates + candidate_bytes(model);
    plan->size = base;
    for (uint32_t s = 0; s < plan->num_segments; s++) {
        uint64_t maps = map_bytes(plan, model, (int32_t)s - 1) + map_bytes(plan, model, (int32_t)s);
        uint64_t end = lay_out_segment(plan, model, resample, s, base, false) + maps;
        plan->size = end > plan->size ? end : plan->size;
    }
    if (plan->size > INT32_MAX) {
        return;
    }
    for (uint32_t s = 0; s < plan->num_segments; s++) {
        // Segment s writes its map at the base if s is even, at the top if it is odd; it reads the other one.
        uint64_t low = map_bytes(plan, model, (int32_t)(s % 2 == 0 ? s : s - 1));
        lay_out_segment(plan, model, resample, s, base + low, true);
    }
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        if (rnnp_graph_materialized(model, t)) {
            plan->ring[t] = plan->segment[t] % 2 == 0 ? base : (uint32_t)(plan->size - ring_bytes(model, t));
        }
    }
}

uint64_t rnnp_plan_size(const rnnp_model_t *model, const rnnp_frame_t *frame) {
    rnnp_plan_t plan;
    rnnp_plan(&plan, model, frame);
    return plan.size;
}

uint32_t rnnp_plan_op_arena(const rnnp_model_t *model, uint32_t index) {
    uint32_t ring = (uint32_t)ring_bytes(model, index + 1);
    return ring + tensor_work(model, index + 1) + (uint32_t)sizeof(rnnp_node_t);
}

uint32_t rnnp_arena_size(const rnnp_model_t *model, const rnnp_frame_t *frame) {
    rnnp_error_t error;
    if (frame != NULL && !rnnp_frame_check(model, frame, &error)) {
        return 0;
    }
    return (uint32_t)rnnp_plan_size(model, frame);
}

// Enumerates regions: counts the ones that are not empty until it is the wanted one's turn.
typedef struct {
    rnnp_region_t *region;
    uint32_t wanted;
    uint8_t last_segment;
} search_t;

static bool found(
    search_t *search, const char *what, int32_t op, uint32_t first, uint32_t last, uint32_t offset, uint64_t size) {
    if (size == 0 || search->wanted-- != 0) {
        return false;
    }
    search->region->what = what;
    search->region->op = (int16_t)op;
    search->region->segment_first = (uint8_t)first;
    search->region->segment_last = (uint8_t)rnnp_min_u32(last, search->last_segment);
    search->region->offset = offset;
    search->region->size = (uint32_t)size;
    return true;
}

bool rnnp_arena_region(const rnnp_model_t *model, const rnnp_frame_t *frame, uint32_t index, rnnp_region_t *region) {
    rnnp_error_t error;
    if (frame != NULL && !rnnp_frame_check(model, frame, &error)) {
        return false;
    }
    rnnp_plan_t plan;
    rnnp_plan(&plan, model, frame);
    search_t search = { region, index, (uint8_t)(plan.num_segments - 1) };
    if (found(&search, "run", -1, 0, UINT32_MAX, 0, state_bytes(model)) ||
        found(&search, "candidates", -1, 0, UINT32_MAX, plan.candidates, candidate_bytes(model)) ||
        found(&search, "resampling", -1, 0, 0, plan.resample, resample_bytes(model, frame))) {
        return true;
    }
    for (uint32_t t = 0; t <= model->num_ops; t++) {
        int32_t op = (int32_t)t - 1;
        uint32_t s = plan.segment[t];
        if (found(&search, t == 0 ? NULL : maker(model, t)->work_name, op, s, s, plan.work[t], tensor_work(model, t)) ||
            found(&search, t == 0 ? "input" : "output", op, s, s + rnnp_graph_materialized(model, t), plan.ring[t],
                ring_bytes(model, t))) {
            return true;
        }
    }
    for (uint32_t s = 0; s < plan.num_segments; s++) {
        if (found(&search, "scratch", -1, s, s, plan.scratch[s], segment_scratch(&plan, model, s))) {
            return true;
        }
    }
    return false;
}
