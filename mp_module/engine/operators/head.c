// This file is part of rnnpool. MIT licence, see LICENSE.
//
// DETECT_HEAD: a convolution to int16. In a detector its rows go no further than to the list of candidates.
#include "head.h"

#include <string.h>

#include "../kernels/tables.h"
#include "../numeric.h"
#include "conv.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-optimize", "no-move-loop-invariants") // a loop of few turns that has many invariants
#endif

uint32_t rnnp_head_places(const rnnp_model_t *model, uint32_t num_ops) {
    uint64_t places = 0;
    for (uint32_t i = 0; RNNP_WITH_DETECT_HEAD && i < num_ops; i++) {
        const rnnp_op_t *op = rnnp_op(model, i);
        places += op->kind == RNNP_DETECT_HEAD
            ? (uint64_t)rnnp_op_pixels(op) * rnnp_head(op)->num_anchors * rnnp_head_classes(op)
            : 0;
    }
    return (uint32_t)(places < UINT32_MAX ? places : UINT32_MAX);
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    int32_t values = (int32_t)rnnp_head_values(op);
    if (!RNNP_WITH_CLASSES && rnnp_head(op)->more_classes != 0) {
        return rnnp_left_out(c, "CLASSES");
    }
    rnnp_check_equal(c, "out_channels", op->out_channels, values * rnnp_head(op)->num_anchors);
    return rnnp_conv_check(c, op);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_conv_layout(layout, op);
    rnnp_layout_add(layout, 4 * (uint32_t)rnnp_head(op)->num_anchors);
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    const uint16_t *sides = arrays[RNNP_ANCHORS];
    for (uint32_t i = 0; i < 2u * rnnp_head(op)->num_anchors; i++) {
        rnnp_check_range(c, "anchors", sides[i], 1, 32767);
    }
    return rnnp_conv_check_parameters(c, op, arrays);
}

// One axis of a box from the anchor's centre and size (Q4).
//   delta  the head's offset, and 2 behind it log2 of the ratio of sizes (Q12)
//   edge   one, and 2 behind it the other
static void decode_axis(int32_t centre, int32_t size, const int16_t *delta, int16_t *edge) {
    int32_t c = centre + ((size * delta[0] + 2048) >> 12);
    int32_t extent = (int32_t)(((int64_t)size * rnnp_exp2_14(delta[2]) + 8192) >> 14);
    extent = extent < 1 ? 1 : extent;
    int32_t first = c - (extent >> 1);
    edge[0] = rnnp_sat16(first);
    edge[2] = rnnp_sat16(first + extent);
}

// Candidates' order: those with larger numbers come first.
static int32_t rank(int16_t logit, uint16_t place) {
    return (int32_t)((uint32_t)logit << 16 | (uint16_t)~place);
}

// Makes room for a candidate at its place; NULL if it is not among the best max_candidates.
static rnnp_candidate_t *insert(const rnnp_context_t *c, int16_t logit, uint16_t place) {
    rnnp_candidate_t *list = (void *)(c->arena + c->state->candidates);
    uint32_t count = c->state->num_candidates, capacity = c->model->max_candidates, at = count;
    while (at > 0 && rank(list[at - 1].logit, list[at - 1].place) < rank(logit, place)) {
        at--;
    }
    if (at == capacity) {
        return NULL;
    }
    count = rnnp_min_u32(count, capacity - 1); // the last one falls out
    memmove(list + at + 1, list + at, (count - at) * sizeof(list[0]));
    c->state->num_candidates = count + 1;
    list[at].logit = logit;
    list[at].place = place;
    return list + at;
}

// The class with the largest logit, of equal ones the first.
static uint32_t best_class(const int16_t *logits, uint32_t classes) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < classes; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

static void decode_row(const rnnp_step_t *s, const int16_t *row) {
    const rnnp_op_t *op = s->op;
    const uint16_t *anchors = rnnp_parameters(s, RNNP_ANCHORS);
    int32_t iy = s->node->rows_made, step = rnnp_head(op)->step * 8;
    uint32_t count = rnnp_head(op)->num_anchors, classes = rnnp_head_classes(op), values = rnnp_head_values(op);
    uint32_t place = rnnp_head_places(s->context->model, s->index) +
        s->node->rows_made * (uint32_t)op->out_width * count * classes;
    for (int32_t ix = 0; ix < op->out_width; ix++) {
        for (uint32_t a = 0; a < count; a++, place += classes, row += values) {
            uint32_t label = best_class(row, classes);
            rnnp_candidate_t *candidate = row[label] >= s->context->state->logit_min
                ? insert(s->context, row[label], (uint16_t)(place + label))
                : NULL;
            if (candidate != NULL) {
                const int16_t *deltas = row + classes; // dx, dy, tw, th
                decode_axis((2 * ix + 1) * step, anchors[2 * a], deltas, candidate->box);
                decode_axis((2 * iy + 1) * step, anchors[2 * a + 1], deltas + 1, candidate->box + 1);
            }
        }
    }
}

static void step(const rnnp_step_t *s) {
    rnnp_conv_row(s, true);
    if (s->node->ring_rows == 0) { // else the row is the result
        decode_row(s, s->out);
    }
}

#define AT(name) (offsetof(rnnp_op_t, fields) + offsetof(rnnp_head_t, name))
static const rnnp_field_t fields[] = {
    { "step", AT(step), 1, 1, 512 },
    { "num_anchors", AT(num_anchors), 0, 1, RNNP_MAX_ANCHORS },
    { "more_classes", AT(more_classes), 0, 0, UINT8_MAX },
};

const rnnp_operator_t rnnp_detect_head = {
    .task = RNNP_TASK_DETECTION,
    .flags = RNNP_FLAG_WIDE,
    .fixed_zero_point = true,
    .unclamped = true,
    .fields = RNNP_FOR_CHECKS(fields),
    .num_fields = RNNP_FIELDS(fields),
    .fields_size = sizeof(rnnp_head_t),
    .check = RNNP_FOR_CHECKS(check),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = rnnp_window_timing,
    .macs = rnnp_conv_macs,
    .scratch = rnnp_conv_scratch,
    .step = step,
};
