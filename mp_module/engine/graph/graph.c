// This file is part of rnnpool. MIT licence, see LICENSE.
#include "graph.h"

#include <string.h>

#include "../numeric.h"
#include "../operators/head.h"

#define NO_SEGMENT (0xff)

// The record's bytes that kinds use each in their own way, less in_zero_point.
#define FIRST_FIELD (offsetof(rnnp_op_t, kernel))
#define LAST_FIELD (offsetof(rnnp_op_t, params_offset))

static bool check_fields(const rnnp_check_t *c, const rnnp_op_t *op, const rnnp_operator_t *operator) {
    if (!rnnp_check_fields(c, op, operator->fields, operator->num_fields)) {
        return false;
    }
    uint64_t used = UINT64_C(1) << offsetof(rnnp_op_t, in_zero_point); // bytes
    for (uint32_t i = 0; i < operator->num_fields; i++) {
        const rnnp_field_t *f = &operator->fields[i];
        used |= (UINT64_C(1) + 2 * f->wide) << f->at;
    }
    for (uint32_t at = FIRST_FIELD; at < LAST_FIELD; at++) {
        uint8_t byte = ((const uint8_t *)op)[at];
        if ((used >> at & 1) == 0 && byte != 0) {
            return rnnp_bad(c, "unused field", 0, byte);
        }
    }
    return true;
}

// The input: an earlier operator that has an output to read, of this shape and zero point.
static bool check_input(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    int32_t height = model->height, width = model->width, channels = model->channels;
    int32_t zero_point = rnnp_reads_pixels(model) ? 0 : op->in_zero_point;
    // Only the first operator reads the frame; it can read nothing else.
    if (!rnnp_check_range(c, "input", op->input, c->op == 0 ? 0 : 1, c->op)) {
        return false;
    }
    if (op->input != 0) {
        const rnnp_op_t *producer = rnnp_op(model, op->input - 1u);
        if (rnnp_operator(producer)->task != 0) {
            return rnnp_bad(c, "input", op->input - 1u, op->input);
        }
        height = producer->out_height;
        width = producer->out_width;
        channels = producer->out_channels;
        zero_point = producer->out_zero_point;
    }
    return rnnp_check_equal(c, "in_height", op->in_height, height) &&
        rnnp_check_equal(c, "in_width", op->in_width, width) &&
        rnnp_check_equal(c, "in_channels", op->in_channels, channels) &&
        rnnp_check_range(c, "in_channels", channels, 1, RNNP_MAX_CHANNELS) &&
        rnnp_check_equal(c, "in_zero_point", op->in_zero_point, zero_point);
}

static bool check_parameters(
    const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op, const rnnp_operator_t *operator) {
    rnnp_layout_t layout = { .count = 0 };
    operator->layout(&layout, op);
    if (op->params_size != layout.size) {
        return rnnp_bad(c, "params_size", layout.size, op->params_size);
    }
    if (!rnnp_check_section(c, "params_offset", op->params_offset, op->params_size, model->size)) {
        return false;
    }
    const void *arrays[RNNP_MAX_ARRAYS];
    for (uint32_t i = 0; i < layout.count; i++) {
        arrays[i] = model->blob + op->params_offset + layout.offset[i];
    }
    return operator->check_parameters(c, op, arrays);
}

static bool check_operator(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    const rnnp_operator_t *operator = rnnp_operator_find(c, op->kind);
    if (operator == NULL) {
        return false;
    }
    uint32_t allowed = operator->flags | (operator->task != 0 ? 0u : RNNP_FLAG_MATERIALIZE);
    return ((op->flags & ~allowed) == 0 || rnnp_bad(c, "flags", allowed, op->flags)) && check_input(c, model, op) &&
        check_fields(c, op, operator) && operator->check(c, op) && check_parameters(c, model, op, operator) &&
        rnnp_check_zeros(c, "reserved", op->reserved, sizeof(op->reserved));
}

// At most one operator of a segment is kept whole.
static bool check_segments(const rnnp_model_t *model, rnnp_check_t *c) {
    uint8_t segment[RNNP_MAX_TENSORS];
    uint8_t cut[RNNP_MAX_TENSORS]; // the materialized operator of a segment
    memset(cut, NO_SEGMENT, sizeof(cut));
    rnnp_graph_segments(model, segment);
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        if (rnnp_graph_materialized(model, t)) {
            uint8_t *own = &cut[segment[t]];
            c->op = (int32_t)t - 1;
            if (*own != NO_SEGMENT) {
                return rnnp_bad(c, "flags", *own, t - 1);
            }
            *own = (uint8_t)(t - 1);
        }
    }
    return true;
}

// Every output is read or a result, and results are those of the task.
static bool check_results(const rnnp_model_t *model, rnnp_check_t *c) {
    uint64_t consumed = 0; // bit i: somebody reads operator i
    uint32_t results = 0;
    for (uint32_t i = 0; i < model->num_ops; i++) {
        const rnnp_op_t *op = rnnp_op(model, i);
        consumed |= op->input == 0 ? 0 : UINT64_C(1) << (op->input - 1);
    }
    for (uint32_t i = 0; i < model->num_ops; i++) {
        uint32_t task = rnnp_operator(rnnp_op(model, i))->task;
        c->op = (int32_t)i;
        if (task == 0 && (consumed >> i & 1) == 0) {
            return rnnp_bad(c, "consumers", 1, 0);
        }
    }
    c->op = -1;
    for (uint32_t i = 0; i < model->num_ops; i++) {
        uint32_t task = rnnp_operator(rnnp_op(model, i))->task;
        if (task != 0 && !rnnp_check_equal(c, "result's task", (int32_t)task, (int32_t)model->task)) {
            return false;
        }
        results += task != 0;
    }
    // There is one, as the last operator has no consumer.
    uint32_t anchors = rnnp_head_anchors(model, model->num_ops);
    if (anchors > RNNP_MAX_MODEL_ANCHORS) {
        return rnnp_bad(c, "anchors", RNNP_MAX_MODEL_ANCHORS, anchors);
    }
    return model->task == RNNP_TASK_DETECTION ||
        (rnnp_check_equal(c, "results", (int32_t)results, 1) &&
            rnnp_check_equal(c, "num_labels", model->num_labels, rnnp_op(model, model->num_ops - 1u)->out_channels));
}

bool rnnp_graph_check(const rnnp_model_t *model, rnnp_error_t *error) {
    rnnp_check_t c = { error, 0 };
    for (; c.op < model->num_ops; c.op++) {
        if (!check_operator(&c, model, rnnp_op(model, (uint32_t)c.op))) {
            return false;
        }
    }
    return check_segments(model, &c) && (model->task == RNNP_TASK_LAYER || check_results(model, &c));
}

uint32_t rnnp_graph_segments(const rnnp_model_t *model, uint8_t *segment) {
    uint32_t last = 0;
    segment[0] = 0;
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        uint32_t input = rnnp_op(model, t - 1)->input;
        segment[t] = (uint8_t)(segment[input] + rnnp_graph_materialized(model, input));
        last = rnnp_max_u32(last, segment[t]);
    }
    return last + 1;
}

// ------------------------------------------------------------------------------------------------ the walk

// Of each tensor and its operator, as in a run.
typedef struct {
    const rnnp_model_t *model;
    uint16_t *rings;
    uint16_t made[RNNP_MAX_TENSORS], steps[RNNP_MAX_TENSORS];
    uint8_t segment[RNNP_MAX_TENSORS];
} walk_t;

// Whether the operator of tensor t has rows left to make, and what its next step is.
static bool next_step(const walk_t *w, uint32_t t, rnnp_timing_t *timing) {
    const rnnp_op_t *op = rnnp_op(w->model, t - 1);
    if (w->made[t] >= op->out_height) {
        return false;
    }
    rnnp_operator(op)->timing(op, w->made[t], w->steps[t], timing);
    return true;
}

// The next row of tensor t is made: its ring must reach back to the oldest row that somebody wants.
static void make_row(walk_t *w, uint32_t t) {
    uint32_t row = w->made[t]++, rows = w->rings[t];
    for (uint32_t reader = t + 1; reader <= w->model->num_ops; reader++) {
        rnnp_timing_t timing;
        if (rnnp_op(w->model, reader - 1)->input == t && next_step(w, reader, &timing) && timing.oldest < row) {
            rows = rnnp_max_u32(rows, row - timing.oldest + 1);
        }
    }
    w->rings[t] = (uint16_t)rows;
}

static void walk_segment(walk_t *w, uint32_t segment) {
    for (uint32_t t = w->model->num_ops; t > 0;) {
        rnnp_timing_t timing;
        if (w->segment[t] == segment && next_step(w, t, &timing) &&
            w->made[rnnp_op(w->model, t - 1)->input] >= timing.need) {
            w->steps[t]++;
            if (timing.makes) {
                make_row(w, t);
            }
            t = w->model->num_ops;
        } else {
            t--;
        }
    }
}

void rnnp_graph_rings(const rnnp_model_t *model, uint16_t *rows) {
    walk_t w = { .model = model, .rings = rows };
    uint32_t segments = rnnp_graph_segments(model, w.segment);
    for (uint32_t t = 0; t <= model->num_ops; t++) {
        rows[t] = 1; // to make a row in, even if nobody reads it
    }
    while (w.made[0] < model->height) {
        make_row(&w, 0);
        walk_segment(&w, 0);
    }
    for (uint32_t segment = 1; segment < segments; segment++) {
        walk_segment(&w, segment);
    }
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        const rnnp_op_t *op = rnnp_op(model, t - 1);
        bool given_away = model->task == RNNP_TASK_DETECTION && rnnp_operator(op)->task == RNNP_TASK_DETECTION;
        rows[t] = rnnp_graph_materialized(model, t) ? op->out_height : given_away ? 0 : rows[t];
    }
}
