// This file is part of rnnpool. MIT licence, see LICENSE.
#include "plan.h"

#include "../frame/frame.h"
#include "../numeric.h"
#include "../operators/head.h"

#define TOO_MUCH (UINT32_MAX - 7) // what no arena has: sums stay at it

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

// Bytes of a ring or map in the arena, TOO_MUCH at most.
RNNP_NOINLINE static uint32_t ring_bytes(const rnnp_model_t *model, uint32_t tensor) {
    uint64_t bytes = rnnp_multiply(rnnp_plan_row_bytes(model, tensor), model->ring_rows[tensor]);
    return bytes < TOO_MUCH ? rnnp_align((uint32_t)bytes, RNNP_ALIGNMENT) : TOO_MUCH;
}

static uint32_t tensor_work(const rnnp_model_t *model, uint32_t tensor) {
    const rnnp_operator_t *operator = maker(model, tensor);
    bool none = operator == NULL || operator->work == NULL;
    return none ? 0 : rnnp_align(operator->work(rnnp_op(model, tensor - 1)), RNNP_ALIGNMENT);
}

static uint32_t state_bytes(const rnnp_model_t *model) {
    return rnnp_align(
        (uint32_t)sizeof(rnnp_state_t) + (model->num_ops + 1u) * (uint32_t)sizeof(rnnp_node_t), RNNP_ALIGNMENT);
}

static uint32_t candidate_bytes(const rnnp_model_t *model) {
    return rnnp_align(model->max_candidates * (uint32_t)sizeof(rnnp_candidate_t), RNNP_ALIGNMENT);
}

static uint32_t num_segments(const rnnp_plan_t *plan) {
    return RNNP_WITH_MATERIALIZE ? plan->num_segments : 1;
}

// Bytes of the map that a segment writes, 0 if none. segment -1: none.
static uint32_t map_bytes(const rnnp_plan_t *plan, const rnnp_model_t *model, int32_t segment) {
    for (uint32_t t = 1; RNNP_WITH_MATERIALIZE && t <= model->num_ops; t++) {
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
        if (rnnp_same_segment(plan->segment[t], segment)) {
            bytes = rnnp_max_u32(bytes, scratch_bytes(model, t));
        }
    }
    return rnnp_align(bytes, RNNP_ALIGNMENT);
}

// Where the next thing lies, and who is told of it (NULL: nobody).
typedef struct {
    rnnp_visit_t visit;
    void *context;
    uint32_t end;
} layout_t;

static void skip(layout_t *l, uint32_t bytes) {
    l->end += rnnp_min_u32(bytes, TOO_MUCH - l->end);
}

static void put(layout_t *l, rnnp_place_t place, uint32_t of, uint32_t bytes) {
    if (l->visit != NULL) {
        l->visit(l->context, place, of, l->end, bytes);
    }
    skip(l, bytes);
}

// What all segments have, up to the base.
static void lay_out_base(layout_t *l, const rnnp_model_t *model) {
    put(l, RNNP_PLACE_RUN, 0, state_bytes(model));
    put(l, RNNP_PLACE_CANDIDATES, 0, candidate_bytes(model));
}

// What a segment works with, but for maps.
static void lay_out_segment(layout_t *l, const rnnp_plan_t *plan, const rnnp_model_t *model, uint32_t segment) {
    if (segment == 0) {
        put(l, RNNP_PLACE_RESAMPLE, 0, plan->resample_bytes);
    }
    put(l, RNNP_PLACE_SCRATCH, segment, segment_scratch(plan, model, segment));
    for (uint32_t t = 0; t <= model->num_ops; t++) {
        if (rnnp_same_segment(plan->segment[t], segment)) {
            put(l, RNNP_PLACE_WORK, t, tensor_work(model, t));
            if (!rnnp_graph_materialized(model, t)) {
                put(l, RNNP_PLACE_RING, t, ring_bytes(model, t));
            }
        }
    }
}

void rnnp_plan(rnnp_plan_t *plan, const rnnp_model_t *model, const rnnp_frame_t *frame) {
    plan->resample_bytes = frame == NULL ? 0 : rnnp_align(rnnp_frame_work_bytes(model, frame), RNNP_ALIGNMENT);
    plan->num_segments = (uint8_t)rnnp_graph_segments(model, plan->segment);
    layout_t base = { NULL, NULL, 0 };
    lay_out_base(&base, model);
    plan->size = base.end;
    for (uint32_t s = 0; s < num_segments(plan); s++) {
        layout_t l = base;
        lay_out_segment(&l, plan, model, s);
        skip(&l, map_bytes(plan, model, (int32_t)s - 1));
        skip(&l, map_bytes(plan, model, (int32_t)s));
        plan->size = rnnp_max_u32(plan->size, l.end);
    }
}

void rnnp_plan_visit(const rnnp_plan_t *plan, const rnnp_model_t *model, rnnp_visit_t visit, void *context) {
    layout_t base = { visit, context, 0 };
    lay_out_base(&base, model);
    for (uint32_t s = 0; s < num_segments(plan); s++) {
        // Segment s writes its map at the base if s is even, at the top if it is odd; it reads the other one.
        layout_t l = base;
        skip(&l, map_bytes(plan, model, (int32_t)(s % 2 == 0 ? s : s - 1)));
        lay_out_segment(&l, plan, model, s);
    }
    for (uint32_t t = 1; RNNP_WITH_MATERIALIZE && t <= model->num_ops; t++) {
        if (rnnp_graph_materialized(model, t)) {
            uint32_t bytes = ring_bytes(model, t);
            visit(context, RNNP_PLACE_RING, t, plan->segment[t] % 2 == 0 ? base.end : plan->size - bytes, bytes);
        }
    }
}

uint32_t rnnp_plan_size(const rnnp_model_t *model, const rnnp_frame_t *frame) {
    rnnp_plan_t plan;
    rnnp_plan(&plan, model, frame);
    return plan.size;
}

uint32_t rnnp_plan_op_arena(const rnnp_model_t *model, uint32_t index) {
    return ring_bytes(model, index + 1) + tensor_work(model, index + 1) + (uint32_t)sizeof(rnnp_node_t);
}

uint32_t rnnp_arena_size(const rnnp_model_t *model, const rnnp_frame_t *frame) {
    rnnp_error_t error;
    if (frame != NULL && !rnnp_frame_check(model, frame, &error)) {
        return 0;
    }
    return rnnp_plan_size(model, frame);
}

// Counts the regions that are not empty until it is the wanted one's turn.
typedef struct {
    const rnnp_model_t *model;
    const rnnp_plan_t *plan;
    rnnp_region_t *region;
    uint32_t wanted;
    bool found;
} search_t;

static void look_at(void *context, rnnp_place_t place, uint32_t of, uint32_t offset, uint32_t bytes) {
    static const char *const names[] = { "run", "candidates", "resampling", "scratch" }; // of no operator
    search_t *search = context;
    if (bytes == 0 || search->wanted-- != 0) {
        return;
    }
    search->found = true;
    uint32_t last_segment = num_segments(search->plan) - 1u;
    bool always = place == RNNP_PLACE_RUN || place == RNNP_PLACE_CANDIDATES, own = place >= RNNP_PLACE_WORK;
    uint32_t first = !RNNP_WITH_MATERIALIZE || always ? 0 : own ? search->plan->segment[of] : of, last = first;
    const char *what = names[own ? 0 : place];
    if (place == RNNP_PLACE_WORK) {
        what = maker(search->model, of)->work_name;
    } else if (place == RNNP_PLACE_RING) {
        what = of == 0 ? "input" : "output";
        last += rnnp_graph_materialized(search->model, of);
    }
    *search->region = (rnnp_region_t){
        .what = what,
        .op = (int16_t)(own ? (int32_t)of - 1 : -1),
        .segment_first = (uint8_t)first,
        .segment_last = (uint8_t)(always ? last_segment : rnnp_min_u32(last, last_segment)),
        .offset = offset,
        .size = bytes,
    };
}

bool rnnp_arena_region(const rnnp_model_t *model, const rnnp_frame_t *frame, uint32_t index, rnnp_region_t *region) {
    rnnp_error_t error;
    if (frame != NULL && !rnnp_frame_check(model, frame, &error)) {
        return false;
    }
    rnnp_plan_t plan;
    rnnp_plan(&plan, model, frame);
    search_t search = { model, &plan, region, index, false };
    rnnp_plan_visit(&plan, model, look_at, &search);
    return search.found;
}
