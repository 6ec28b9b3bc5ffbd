// This file is part of rnnpool. MIT licence, see LICENSE.
#include "graph.h"

#include <string.h>

#include "../numeric.h"
#include "../operators/head.h"

#define NO_SEGMENT (0xff)

// What the record asks for and this firmware has not (left_out.h); NULL if there is nothing.
static const char *missing(const rnnp_op_t *op) {
    bool clamped = op->act_min != -128 || op->act_max != 127;
    return !RNNP_WITH_CLAMP && clamped                                       ? "CLAMP"
        : !RNNP_WITH_TFLITE && (op->flags & RNNP_FLAG_TFLITE) != 0           ? "TFLITE"
        : !RNNP_WITH_MATERIALIZE && (op->flags & RNNP_FLAG_MATERIALIZE) != 0 ? "MATERIALIZE"
        : !RNNP_WITH_FINE && (op->flags & RNNP_FLAG_FINE) != 0               ? "FINE"
                                                                             : NULL;
}

#define AT(name, low, high) RNNP_FIELD(rnnp_op_t, name, low, high)
static const rnnp_field_t shape_fields[] = {
    AT(in_channels, 1, RNNP_MAX_CHANNELS),
    AT(out_height, 1, RNNP_MAX_SIDE),
    AT(out_width, 1, RNNP_MAX_SIDE),
    AT(out_channels, 1, RNNP_MAX_CHANNELS),
};

// Shared fields and the operator's own.
static bool check_fields(const rnnp_check_t *c, const rnnp_op_t *op, const rnnp_operator_t *operator) {
    uint32_t flags = operator->flags | (operator->task != 0 ? 0u : RNNP_FLAG_MATERIALIZE);
    if ((op->flags & ~flags) != 0) {
        rnnp_bad(c, "flags", flags, op->flags);
    }
    rnnp_check_range(c, "shift", op->shift, 0, operator->max_shift);
    if (operator->fixed_zero_point) {
        rnnp_check_equal(c, "out_zero_point", op->out_zero_point, 0);
    }
    if (RNNP_WITH_CLAMP) { // else there are but these
        rnnp_check_range(c, "act_min", op->act_min, -128, operator->unclamped ? -128 : op->act_max);
        rnnp_check_range(c, "act_max", op->act_max, operator->unclamped ? 127 : -128, 127);
    }
    const char *without = missing(op);
    if (without != NULL) {
        rnnp_left_out(c, without);
    }
    rnnp_check_fields(c, op, shape_fields, RNNP_FIELDS(shape_fields));
    rnnp_check_fields(c, op, operator->fields, operator->num_fields);
    return rnnp_check_zeros(
        c, "fields", (const uint8_t *)op->fields + operator->fields_size, RNNP_FIELDS_SIZE - operator->fields_size);
}

// The inputs: earlier operators that have an output to read, the first one of the record's shape and zero point.
static bool check_inputs(
    const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op, const rnnp_operator_t *operator) {
    uint32_t least = RNNP_JOINS ? rnnp_max_u32(operator->min_inputs, 1) : 1;
    uint32_t most = RNNP_JOINS ? rnnp_max_u32(operator->max_inputs, 1) : 1;
    if (!rnnp_check_range(c, "num_inputs", op->num_inputs, (int32_t)least, (int32_t)most) ||
        !rnnp_check_zeros(c, "inputs", op->inputs + op->num_inputs, RNNP_MAX_INPUTS - op->num_inputs)) {
        return false;
    }
    if (RNNP_JOINS && c->op == 0 && op->num_inputs > 1) { // there is nothing else yet to read
        return rnnp_bad(c, "num_inputs", 1, op->num_inputs);
    }
    for (uint32_t i = 0; i < rnnp_num_inputs(op); i++) {
        // Only the first operator reads the frame; it can read nothing else.
        if (!rnnp_check_range(c, "input", op->inputs[i], c->op == 0 ? 0 : 1, c->op)) {
            return false;
        }
        if (op->inputs[i] != 0 && rnnp_operator(rnnp_op(model, op->inputs[i] - 1u))->task != 0) {
            return rnnp_bad(c, "input", op->inputs[i] - 1u, op->inputs[i]);
        }
    }
    int32_t height = model->height, width = model->width, channels = model->channels;
    int32_t zero_point = op->in_zero_point;
    if (op->inputs[0] != 0) {
        const rnnp_op_t *producer = rnnp_op(model, op->inputs[0] - 1u);
        height = producer->out_height;
        width = producer->out_width;
        channels = producer->out_channels;
        zero_point = producer->out_zero_point;
    }
    rnnp_check_equal(c, "in_height", op->in_height, height);
    rnnp_check_equal(c, "in_width", op->in_width, width);
    rnnp_check_equal(c, "in_channels", op->in_channels, channels);
    return rnnp_check_equal(c, "in_zero_point", op->in_zero_point, zero_point);
}

static bool check_parameters(
    const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op, const rnnp_operator_t *operator) {
    rnnp_layout_t layout = { .count = 0 };
    if (operator->layout != NULL) {
        operator->layout(&layout, op);
    }
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
    return operator->check_parameters == NULL || operator->check_parameters(c, op, arrays);
}

static bool check_operator(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    const rnnp_operator_t *operator = rnnp_operator_find(c, op->kind);
    if (operator == NULL) {
        return false;
    }
    return check_inputs(c, model, op, operator) && check_fields(c, op, operator) &&
        (operator->check_inputs == NULL || operator->check_inputs(c, model, op)) && operator->check(c, op) &&
        check_parameters(c, model, op, operator);
}

// At most one operator of a segment is kept whole, and its readers are in the next; all else lives and dies in one.
static bool check_segments(const rnnp_model_t *model, rnnp_check_t *c) {
    if (!RNNP_WITH_MATERIALIZE) {
        return true;
    }
    uint8_t segment[RNNP_MAX_TENSORS];
    uint8_t cut[RNNP_MAX_TENSORS]; // the materialized operator of a segment
    memset(cut, NO_SEGMENT, sizeof(cut));
    rnnp_graph_segments(model, segment);
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        const rnnp_op_t *op = rnnp_op(model, t - 1);
        c->op = (int32_t)t - 1;
        for (uint32_t i = 0; i < rnnp_num_inputs(op); i++) {
            uint32_t read_in = segment[op->inputs[i]] + (uint32_t)rnnp_graph_materialized(model, op->inputs[i]);
            if (!rnnp_check_equal(c, "segment of an input", (int32_t)read_in, segment[t])) {
                return false;
            }
        }
        if (rnnp_graph_materialized(model, t)) {
            uint8_t *own = &cut[segment[t]];
            if (*own != NO_SEGMENT) {
                return rnnp_bad(c, "flags", *own, t - 1);
            }
            *own = (uint8_t)(t - 1);
        }
    }
    return true;
}

static bool is_read(const rnnp_model_t *model, uint32_t tensor) {
    for (uint32_t i = tensor; i < model->num_ops; i++) {
        if (rnnp_graph_reads(rnnp_op(model, i), tensor)) {
            return true;
        }
    }
    return false;
}

// Every output is read or a result, and results are those of the task.
static bool check_results(const rnnp_model_t *model, rnnp_check_t *c) {
    uint32_t results = 0, last = model->num_ops - 1u;
    for (uint32_t i = 0; i <= last; i++) {
        c->op = (int32_t)i;
        if (rnnp_operator(rnnp_op(model, i))->task == 0 && !rnnp_graph_is_map(model, i + 1) && !is_read(model, i + 1)) {
            rnnp_bad(c, "consumers", 1, 0);
        }
    }
    c->op = -1;
    for (uint32_t i = 0; i <= last; i++) {
        const rnnp_op_t *op = rnnp_op(model, i);
        uint32_t task = rnnp_operator(op)->task;
        if (task != 0) {
            rnnp_check_equal(c, "result's task", (int32_t)task, (int32_t)model->task);
            results++;
        }
        if (task == RNNP_TASK_DETECTION) {
            rnnp_check_equal(c, "num_labels", model->num_labels, (int32_t)rnnp_head_classes(op));
        }
    }
    // There is one, as the last operator has no consumer.
    uint32_t places = rnnp_head_places(model, model->num_ops);
    if (places > RNNP_MAX_PLACES) {
        rnnp_bad(c, "anchors", RNNP_MAX_PLACES, places);
    }
    if (rnnp_is_map(model)) {
        c->op = (int32_t)last;
        rnnp_check_equal(c, "flags", rnnp_op(model, last)->flags & RNNP_FLAG_MATERIALIZE, 0);
        c->op = -1;
    } else if (!rnnp_is_detector(model)) {
        rnnp_check_equal(c, "results", (int32_t)results, 1);
    }
    return rnnp_is_detector(model)
        ? rnnp_is_well(c)
        : rnnp_check_equal(c, "num_labels", model->num_labels, rnnp_op(model, last)->out_channels);
}

bool rnnp_graph_check(const rnnp_model_t *model, rnnp_error_t *error) {
    rnnp_check_t c = { error, 0, RNNP_ERROR_FORMAT };
    for (; c.op < model->num_ops; c.op++) {
        if (!check_operator(&c, model, rnnp_op(model, (uint32_t)c.op))) {
            return false;
        }
    }
    return check_segments(model, &c) && (rnnp_is_layer(model) || check_results(model, &c));
}

uint32_t rnnp_graph_segments(const rnnp_model_t *model, uint8_t *segment) {
    uint32_t last = 0;
    segment[0] = 0;
    if (!RNNP_WITH_MATERIALIZE) {
        return 1; // nobody looks at it
    }
    for (uint32_t t = 1; t <= model->num_ops; t++) {
        const rnnp_op_t *op = rnnp_op(model, t - 1);
        segment[t] = 0;
        for (uint32_t i = 0; i < rnnp_num_inputs(op); i++) {
            uint32_t input = op->inputs[i], after = segment[input] + (uint32_t)rnnp_graph_materialized(model, input);
            segment[t] = (uint8_t)rnnp_max_u32(segment[t], after);
        }
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
        if (rnnp_graph_reads(rnnp_op(w->model, reader - 1), t) && next_step(w, reader, &timing) &&
            timing.oldest < row) {
            rows = rnnp_max_u32(rows, row - timing.oldest + 1);
        }
    }
    w->rings[t] = (uint16_t)rows;
}

static bool is_ready(const walk_t *w, uint32_t t, const rnnp_timing_t *timing) {
    const rnnp_op_t *op = rnnp_op(w->model, t - 1);
    bool ready = true;
    for (uint32_t i = 0; i < rnnp_num_inputs(op); i++) {
        uint32_t input = op->inputs[i];
        ready = ready && w->made[input] >= rnnp_min_u32(timing->need, rnnp_graph_height(w->model, input));
    }
    return ready;
}

static void walk_segment(walk_t *w, uint32_t segment) {
    for (uint32_t t = w->model->num_ops; t > 0;) {
        rnnp_timing_t timing;
        if (rnnp_same_segment(w->segment[t], segment) && next_step(w, t, &timing) && is_ready(w, t, &timing)) {
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
        bool given_away = rnnp_is_detector(model) && rnnp_operator(op)->task == RNNP_TASK_DETECTION;
        bool whole = rnnp_graph_materialized(model, t) || rnnp_graph_is_map(model, t);
        rows[t] = whole ? op->out_height : given_away ? 0 : rows[t];
    }
}
