// This file is part of rnnpool. MIT licence, see LICENSE.
#include "check.h"

#include <stddef.h>
#include <string.h>

#include "numeric.h"

#define INT32_LIMIT (1u << 31)
#define NO_SEGMENT (0xff)

rnnp_status_t rnnp_fail(
    rnnp_error_t *error, rnnp_status_t status, int32_t op, const char *what, uint32_t expected, uint32_t given) {
    error->status = status;
    error->op = (int16_t)op;
    error->what = what;
    error->expected = expected;
    error->given = given;
    return status;
}

static bool bad(const rnnp_check_t *check, const char *what, uint32_t expected, uint32_t given) {
    rnnp_fail(check->error, RNNP_ERROR_FORMAT, check->op, what, expected, given);
    return false;
}

bool rnnp_check_range(const rnnp_check_t *check, const char *what, int32_t value, int32_t low, int32_t high) {
    if (value < low || value > high) {
        return bad(check, what, (uint32_t)(value < low ? low : high), (uint32_t)value);
    }
    return true;
}

static bool check_equal(const rnnp_check_t *check, const char *what, int32_t value, int32_t expected) {
    return rnnp_check_range(check, what, value, expected, expected);
}

bool rnnp_check_fields(
    const rnnp_check_t *check, const void *record, uint32_t kind, const rnnp_field_t *fields, uint32_t count) {
    for (const rnnp_field_t *f = fields; f < fields + count; f++) {
        const uint8_t *at = (const uint8_t *)record + f->at;
        int32_t value = f->type == RNNP_FIELD_U16 ? *(const uint16_t *)(const void *)at : *at;
        value = f->type == RNNP_FIELD_I8 ? (int8_t)value : value;
        bool applies = (f->kinds >> kind & 1) != 0;
        if ((applies && !rnnp_check_range(check, f->what, value, f->low, f->high)) ||
            (!applies && (f->kinds & RNNP_ELSE_ZERO) != 0 && !check_equal(check, f->what, value, 0))) {
            return false;
        }
    }
    return true;
}

bool rnnp_check_zeros(const rnnp_check_t *check, const char *what, const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return bad(check, what, 0, bytes[i]);
        }
    }
    return true;
}

bool rnnp_check_section(const rnnp_check_t *check, const char *what, uint32_t offset, uint32_t size, uint32_t total) {
    if (offset % RNNP_SECTION_ALIGNMENT != 0) {
        return bad(check, what, RNNP_SECTION_ALIGNMENT, offset);
    }
    if (offset < RNNP_HEADER_SIZE) {
        return bad(check, what, RNNP_HEADER_SIZE, offset);
    }
    if (offset > total || size > total - offset) {
        return bad(check, what, size < total ? total - size : 0, offset);
    }
    return true;
}

static bool check_flags(const rnnp_check_t *c, const rnnp_op_t *op) {
    uint32_t allowed = rnnp_op_is_result(op) ? 0 : RNNP_FLAG_MATERIALIZE;
    allowed |= op->kind == RNNP_INVERTED_RESIDUAL ? RNNP_FLAG_RESIDUAL : 0;
    allowed |= op->kind == RNNP_RNNPOOL ? RNNP_FLAG_SMOOTH : 0;
    return ((op->flags & ~allowed) == 0 || bad(c, "flags", allowed, op->flags)) &&
        (!rnnp_op_residual(op) || check_equal(c, "stride", op->stride, 1));
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
        if (rnnp_op_is_result(producer)) {
            return bad(c, "input", op->input - 1u, op->input);
        }
        height = producer->out_height;
        width = producer->out_width;
        channels = producer->out_channels;
        zero_point = producer->out_zero_point;
    }
    return check_equal(c, "in_height", op->in_height, height) && check_equal(c, "in_width", op->in_width, width) &&
        check_equal(c, "in_channels", op->in_channels, channels) &&
        rnnp_check_range(c, "in_channels", channels, 1, RNNP_MAX_CHANNELS) &&
        check_equal(c, "in_zero_point", op->in_zero_point, zero_point);
}

// Ranges as SPEC.md's table says them.
#define FIELD(name) #name, offsetof(rnnp_op_t, name)
#define U8 RNNP_FIELD_U8
#define I8 RNNP_FIELD_I8
#define U16 RNNP_FIELD_U16
#define CONV (1u << RNNP_CONV)
#define POOL (1u << RNNP_RNNPOOL)
#define BLOCK (1u << RNNP_INVERTED_RESIDUAL)
#define HEAD (1u << RNNP_DETECT_HEAD)
#define MEAN (1u << RNNP_GLOBAL_AVERAGE_POOL)
#define DENSE (1u << RNNP_DENSE)
#define ANY RNNP_ANY_KIND
#define ELSE_ZERO RNNP_ELSE_ZERO

static const rnnp_field_t op_fields[] = {
    { FIELD(kernel), U8, CONV | HEAD, 1, 3 },
    { FIELD(kernel), U8, POOL, 1, RNNP_MAX_PATCH },
    { FIELD(kernel), U8, BLOCK, 3, 3 },
    { FIELD(kernel), U8, MEAN | DENSE, 1, 1 },
    { FIELD(kernel_w), U8, POOL, 1, RNNP_MAX_PATCH },
    { FIELD(stride), U8, CONV | BLOCK, 1, 2 },
    { FIELD(stride), U8, POOL, 1, RNNP_MAX_PATCH },
    { FIELD(stride), U8, HEAD | MEAN | DENSE, 1, 1 },
    { FIELD(out_zero_point), I8, CONV | BLOCK | MEAN | ELSE_ZERO, -128, 127 },
    { FIELD(act_min), I8, ANY & ~CONV, -128, -128 },
    { FIELD(act_max), I8, ANY & ~CONV, 127, 127 },
    { FIELD(pad_bottom), U8, POOL | ELSE_ZERO, 0, 8 },
    { FIELD(pad_right), U8, POOL | ELSE_ZERO, 0, 8 },
    { FIELD(num_anchors), U8, HEAD | ELSE_ZERO, 1, RNNP_MAX_ANCHORS },
    { FIELD(step), U16, HEAD | ELSE_ZERO, 1, 512 },
    { FIELD(mid_channels), U16, POOL, 1, RNNP_MAX_HIDDEN },
    { FIELD(mid_channels), U16, BLOCK, 1, RNNP_MAX_CHANNELS },
    { FIELD(mid_channels), U16, ANY & ~(POOL | BLOCK), 0, 0 },
    { FIELD(exp_zero_point), I8, BLOCK | ELSE_ZERO, -128, 127 },
    { FIELD(dw_zero_point), I8, BLOCK | ELSE_ZERO, -128, 127 },
    { FIELD(exp_min), I8, BLOCK | ELSE_ZERO, -128, 127 },
    { FIELD(exp_max), I8, BLOCK | ELSE_ZERO, -128, 127 },
    { FIELD(dw_min), I8, BLOCK | ELSE_ZERO, -128, 127 },
    { FIELD(dw_max), I8, BLOCK | ELSE_ZERO, -128, 127 },
    { FIELD(shift_w1), U8, POOL | ELSE_ZERO, 0, 24 },
    { FIELD(shift_u1), U8, POOL | ELSE_ZERO, 0, 24 },
    { FIELD(shift_w2), U8, POOL | ELSE_ZERO, 0, 24 },
    { FIELD(shift_u2), U8, POOL | ELSE_ZERO, 0, 24 },
    { FIELD(zeta1), U16, POOL | ELSE_ZERO, 0, 32768 },
    { FIELD(nu1), U16, POOL | ELSE_ZERO, 0, 32767 },
    { FIELD(zeta2), U16, POOL | ELSE_ZERO, 0, 32768 },
    { FIELD(nu2), U16, POOL | ELSE_ZERO, 0, 32767 },
    { FIELD(out_channels), U16, CONV | BLOCK | HEAD | MEAN, 1, RNNP_MAX_CHANNELS },
    { FIELD(out_channels), U16, POOL, 1, 4 * RNNP_MAX_HIDDEN },
    { FIELD(out_channels), U16, DENSE, 2, RNNP_MAX_LABELS },
};

// What ranges alone do not say.
static bool check_relations(const rnnp_check_t *c, const rnnp_op_t *op) {
    bool pool = op->kind == RNNP_RNNPOOL;
    return (op->kernel != 2 || pool || bad(c, "kernel", 1, 2)) &&
        (pool || check_equal(c, "kernel_w", op->kernel_w, op->kernel)) &&
        rnnp_check_range(c, "act_min", op->act_min, -128, op->act_max) &&
        rnnp_check_range(c, "exp_min", op->exp_min, -128, op->exp_max) &&
        rnnp_check_range(c, "dw_min", op->dw_min, -128, op->dw_max);
}

// What the number of output channels hangs on.
static bool check_channels(const rnnp_check_t *c, const rnnp_op_t *op) {
    if (op->kind == RNNP_RNNPOOL && op->out_channels % 4 != 0) {
        return bad(c, "out_channels", 4, op->out_channels);
    }
    if (op->kind == RNNP_DETECT_HEAD) {
        return check_equal(c, "out_channels", op->out_channels, RNNP_VALUES_PER_ANCHOR * op->num_anchors);
    }
    bool same = rnnp_op_residual(op) || op->kind == RNNP_GLOBAL_AVERAGE_POOL;
    return !same || check_equal(c, "out_channels", op->out_channels, op->in_channels);
}

// One axis of the output.
static bool check_axis(const rnnp_check_t *c, const char *what, const rnnp_op_t *op, uint32_t out, uint32_t in,
    uint32_t kernel, uint32_t pad) {
    return check_equal(c, what, (int32_t)out, (int32_t)rnnp_op_out_size(op, in, kernel, pad)) &&
        rnnp_check_range(c, what, (int32_t)out, 1, RNNP_MAX_SIDE);
}

static bool check_output(const rnnp_check_t *c, const rnnp_op_t *op) {
    if (op->kind == RNNP_RNNPOOL &&
        (!rnnp_check_range(c, "kernel", op->kernel, 1, op->in_height) ||
            !rnnp_check_range(c, "kernel_w", op->kernel_w, 1, op->in_width))) {
        return false;
    }
    if (op->kind == RNNP_DENSE &&
        (!check_equal(c, "in_height", op->in_height, 1) || !check_equal(c, "in_width", op->in_width, 1))) {
        return false;
    }
    return check_axis(c, "out_height", op, op->out_height, op->in_height, op->kernel, op->pad_bottom) &&
        check_axis(c, "out_width", op, op->out_width, op->in_width, op->kernel_w, op->pad_right);
}

// The weights of a dense layer or of a depthwise convolution, as SPEC.md lays them out.
typedef struct {
    const int8_t *weight;
    bool depthwise;
    uint32_t inputs, outputs;
    const int32_t *bias, *multiplier;
    const int32_t *residual; // NULL: none
} convolution_t;

static uint32_t magnitude(int32_t v) {
    return v < 0 ? 0u - (uint32_t)v : (uint32_t)v;
}

// Sum of the magnitudes of an output's weights, below 2^21; false if the gaps behind them are not 0.
static bool sum_weights(const rnnp_check_t *c, const char *what, const convolution_t *conv, uint32_t o, uint32_t *sum) {
    uint32_t count = conv->depthwise ? RNNP_DEPTHWISE_RECORD : rnnp_align(conv->inputs, RNNP_WEIGHT_BLOCK);
    *sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool gap = conv->depthwise ? i % 4 == 3 : i >= conv->inputs || o >= conv->outputs;
        uint32_t at = conv->depthwise ? o * RNNP_DEPTHWISE_RECORD + i : rnnp_weight_index(conv->inputs, o, i);
        if (gap && conv->weight[at] != 0) {
            return bad(c, what, 0, (uint32_t)conv->weight[at]);
        }
        *sum += magnitude(conv->weight[at]);
    }
    return true;
}

// The sums of docs/arithmetic.md, section 2.
static bool check_sums(const rnnp_check_t *c, const char *what, const convolution_t *conv) {
    uint32_t sum; // at most 2^31 + 2^28 + 2^22
    for (uint32_t o = 0; o < conv->outputs; o++) {
        if (conv->multiplier[o] < 0) {
            return bad(c, "multiplier", INT32_MAX, (uint32_t)conv->multiplier[o]);
        }
        if (!sum_weights(c, what, conv, o, &sum)) {
            return false;
        }
        sum = sum * 128 + magnitude(conv->bias[o]);
        if (conv->residual != NULL) {
            if (magnitude(conv->residual[o]) > 32767) {
                return bad(c, "residual", 32767, (uint32_t)conv->residual[o]);
            }
            sum += magnitude(conv->residual[o]) * 128;
        }
        if (sum >= INT32_LIMIT) {
            return bad(c, what, INT32_LIMIT, sum);
        }
    }
    return conv->depthwise || conv->outputs % 2 == 0 || sum_weights(c, what, conv, conv->outputs, &sum);
}

static bool check_dense_sums(const rnnp_check_t *c, const char *what, const void *const *arrays, uint32_t outputs,
    uint32_t inputs, const void *residual) {
    convolution_t conv = { arrays[0], false, inputs, outputs, arrays[1], arrays[2], residual };
    return check_sums(c, what, &conv);
}

static bool check_matrix(const rnnp_check_t *c, const char *what, const int16_t *rows, uint32_t outputs,
    uint32_t inputs, uint32_t largest_input) {
    for (uint32_t o = 0; o < outputs; o++) {
        uint32_t weights = 0; // at most 2^25
        for (uint32_t i = 0; i < inputs; i++) {
            weights += magnitude(*rows++);
        }
        uint64_t sum = (uint64_t)weights * largest_input;
        if (sum >= INT32_LIMIT) {
            return bad(c, what, INT32_LIMIT, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
        }
    }
    return true;
}

static bool check_anchors(const rnnp_check_t *c, const uint16_t *sizes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!rnnp_check_range(c, "anchors", sizes[i], 1, 32767)) {
            return false;
        }
    }
    return true;
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    rnnp_layout_t layout;
    rnnp_op_layout(&layout, op);
    if (op->params_size != layout.size) {
        return bad(c, "params_size", layout.size, op->params_size);
    }
    if (!rnnp_check_section(c, "params_offset", op->params_offset, op->params_size, model->size)) {
        return false;
    }
    const void *a[RNNP_MAX_ARRAYS];
    for (uint32_t i = 0; i < RNNP_MAX_ARRAYS; i++) {
        a[i] = model->blob + op->params_offset + layout.offset[i];
    }
    uint32_t in = op->in_channels, mid = op->mid_channels, out = op->out_channels;
    if (op->kind == RNNP_RNNPOOL) {
        uint32_t h1 = mid, h2 = out / 4;
        return check_matrix(c, "w1", a[RNNP_W1], h1, in, 255) && check_matrix(c, "u1", a[RNNP_U1], h1, h1, 32768) &&
            check_matrix(c, "w2", a[RNNP_W2], h2, h1, 32768) && check_matrix(c, "u2", a[RNNP_U2], h2, h2, 32768);
    }
    if (op->kind == RNNP_INVERTED_RESIDUAL) {
        convolution_t depthwise = { a[RNNP_DEPTHWISE_WEIGHT], true, 9, mid, a[RNNP_DEPTHWISE_BIAS],
            a[RNNP_DEPTHWISE_MULTIPLIER], NULL };
        return check_dense_sums(c, "expand_weight", a + RNNP_EXPAND_WEIGHT, mid, in, NULL) &&
            check_sums(c, "depthwise_weight", &depthwise) &&
            check_dense_sums(
                c, "project_weight", a + RNNP_PROJECT_WEIGHT, out, mid, rnnp_op_residual(op) ? a[RNNP_RESIDUAL] : NULL);
    }
    if (op->kind == RNNP_GLOBAL_AVERAGE_POOL) {
        return rnnp_check_range(c, "multiplier", *(const int32_t *)a[RNNP_POOL_MULTIPLIER], 0, INT32_MAX);
    }
    return check_dense_sums(c, "weight", a, out, (uint32_t)op->kernel * op->kernel * in, NULL) &&
        (op->kind != RNNP_DETECT_HEAD || check_anchors(c, a[RNNP_ANCHORS], 2u * op->num_anchors));
}

static bool check_operator(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    if (op->kind < RNNP_CONV || op->kind > RNNP_DENSE) {
        rnnp_fail(c->error, RNNP_ERROR_UNSUPPORTED, c->op, "kind", RNNP_DENSE, op->kind);
        return false;
    }
    return check_flags(c, op) && check_input(c, model, op) &&
        rnnp_check_fields(c, op, op->kind, op_fields, sizeof(op_fields) / sizeof(op_fields[0])) &&
        check_relations(c, op) && check_channels(c, op) && check_output(c, op) && check_parameters(c, model, op) &&
        rnnp_check_zeros(c, "reserved", op->reserved, sizeof(op->reserved));
}

// Consumers, results and segments.
static bool check_graph(const rnnp_model_t *model, rnnp_error_t *error) {
    rnnp_check_t c = { error, -1 };
    bool consumed[RNNP_MAX_OPS + 1] = { false }; // of each tensor: somebody reads it
    uint8_t segment[RNNP_MAX_OPS + 1]; // of each tensor's readers
    uint8_t cut[RNNP_MAX_OPS + 1]; // the materialized operator of a segment
    uint32_t heads = 0, dense = 0, anchors = 0; // at most 2^31
    memset(cut, NO_SEGMENT, sizeof(cut));
    segment[0] = 0;
    for (uint32_t i = 0; i < model->num_ops; i++) {
        const rnnp_op_t *op = rnnp_op(model, i);
        uint8_t own = segment[op->input];
        consumed[op->input] = true;
        heads += op->kind == RNNP_DETECT_HEAD;
        anchors += (uint32_t)op->out_height * op->out_width * op->num_anchors;
        dense += op->kind == RNNP_DENSE;
        segment[i + 1] = own;
        if (rnnp_op_materialized(op)) {
            if (cut[own] != NO_SEGMENT) {
                c.op = (int32_t)i;
                return bad(&c, "flags", cut[own], i);
            }
            cut[own] = (uint8_t)i;
            segment[i + 1]++;
        }
    }
    if (model->task == RNNP_TASK_LAYER) {
        return true;
    }
    for (uint32_t i = 0; i < model->num_ops; i++) {
        if (!consumed[i + 1] && !rnnp_op_is_result(rnnp_op(model, i))) {
            c.op = (int32_t)i;
            return bad(&c, "consumers", 1, 0);
        }
    }
    bool detection = model->task == RNNP_TASK_DETECTION;
    if (detection != (heads > 0)) {
        return bad(&c, "heads", detection ? 1 : 0, heads);
    }
    if (anchors > RNNP_MAX_MODEL_ANCHORS) {
        return bad(&c, "anchors", RNNP_MAX_MODEL_ANCHORS, anchors);
    }
    // A classifier's only result is its dense layer, so that is the last operator.
    return check_equal(&c, "dense", (int32_t)dense, !detection) &&
        (detection ||
            check_equal(&c, "num_labels", model->num_labels, rnnp_op(model, model->num_ops - 1u)->out_channels));
}

bool rnnp_check_operators(const rnnp_model_t *model, rnnp_error_t *error) {
    for (uint32_t i = 0; i < model->num_ops; i++) {
        rnnp_check_t c = { error, (int32_t)i };
        if (!check_operator(&c, model, rnnp_op(model, i))) {
            return false;
        }
    }
    return check_graph(model, error);
}
