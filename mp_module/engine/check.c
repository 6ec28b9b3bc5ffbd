// This file is part of rnnpool. MIT licence, see LICENSE.
#include "check.h"

#include "numeric.h"

#define INT32_LIMIT (UINT64_C(1) << 31)
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
    return (op->flags & ~allowed) == 0 ? true : bad(c, "flags", allowed, op->flags);
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
        rnnp_op_t producer;
        rnnp_op_get(&producer, model, op->input - 1u);
        if (rnnp_op_is_result(&producer)) {
            return bad(c, "input", op->input - 1u, op->input);
        }
        height = producer.out_height;
        width = producer.out_width;
        channels = producer.out_channels;
        zero_point = producer.out_zero_point;
    }
    return check_equal(c, "in_height", op->in_height, height) && check_equal(c, "in_width", op->in_width, width) &&
        check_equal(c, "in_channels", op->in_channels, channels) &&
        rnnp_check_range(c, "in_channels", channels, 1, RNNP_MAX_CHANNELS) &&
        check_equal(c, "in_zero_point", op->in_zero_point, zero_point);
}

// Each field's range, as SPEC.md's table says it; a field that the kind does not use is 0.
static bool check_ranges(const rnnp_check_t *c, const rnnp_op_t *op) {
    bool conv = op->kind == RNNP_CONV, head = op->kind == RNNP_DETECT_HEAD;
    bool pool = op->kind == RNNP_RNNPOOL, block = op->kind == RNNP_INVERTED_RESIDUAL;
    bool mean = op->kind == RNNP_GLOBAL_AVERAGE_POOL, dense = op->kind == RNNP_DENSE;
    bool point = conv || block || mean; // has a zero point of its own
    int32_t max_kernel = pool ? RNNP_MAX_PATCH : op->kernel == 2 || mean || dense ? 1 : 3;
    int32_t max_mid = pool ? RNNP_MAX_HIDDEN : block ? RNNP_MAX_CHANNELS : 0;
    int32_t max_stride = pool ? RNNP_MAX_PATCH : (conv || block) && !rnnp_op_residual(op) ? 2 : 1;
    int32_t max_pad = pool ? 8 : 0, max_shift = pool ? 24 : 0, max_zeta = pool ? 32768 : 0, max_nu = pool ? 32767 : 0;
    int32_t max_out = dense ? RNNP_MAX_LABELS : pool ? 4 * RNNP_MAX_HIDDEN : RNNP_MAX_CHANNELS;
    int32_t low8 = block ? -128 : 0, high8 = block ? 127 : 0;
    const struct {
        const char *what;
        int32_t value, low, high;
    } fields[] = {
        { "kernel", op->kernel, block ? 3 : 1, max_kernel },
        { "kernel_w", op->kernel_w, pool ? 1 : op->kernel, pool ? RNNP_MAX_PATCH : op->kernel },
        { "stride", op->stride, 1, max_stride },
        { "out_zero_point", op->out_zero_point, point ? -128 : 0, point ? 127 : 0 },
        { "act_min", op->act_min, -128, conv ? op->act_max : -128 },
        { "act_max", op->act_max, conv ? op->act_min : 127, 127 },
        { "pad_bottom", op->pad_bottom, 0, max_pad },
        { "pad_right", op->pad_right, 0, max_pad },
        { "num_anchors", op->num_anchors, head, head ? RNNP_MAX_ANCHORS : 0 },
        { "step", op->step, head, head ? 512 : 0 },
        { "mid_channels", op->mid_channels, pool || block, max_mid },
        { "exp_zero_point", op->exp_zero_point, low8, high8 },
        { "dw_zero_point", op->dw_zero_point, low8, high8 },
        { "exp_min", op->exp_min, low8, block ? op->exp_max : 0 },
        { "exp_max", op->exp_max, block ? op->exp_min : 0, high8 },
        { "dw_min", op->dw_min, low8, block ? op->dw_max : 0 },
        { "dw_max", op->dw_max, block ? op->dw_min : 0, high8 },
        { "shift_w1", op->shift_w1, 0, max_shift },
        { "shift_u1", op->shift_u1, 0, max_shift },
        { "shift_w2", op->shift_w2, 0, max_shift },
        { "shift_u2", op->shift_u2, 0, max_shift },
        { "zeta1", op->zeta1, 0, max_zeta },
        { "nu1", op->nu1, 0, max_nu },
        { "zeta2", op->zeta2, 0, max_zeta },
        { "nu2", op->nu2, 0, max_nu },
        { "out_channels", op->out_channels, dense ? 2 : 1, max_out },
    };
    for (uint32_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!rnnp_check_range(c, fields[i].what, fields[i].value, fields[i].low, fields[i].high)) {
            return false;
        }
    }
    return true;
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
    if (!check_equal(c, "out_height", op->out_height,
            (int32_t)rnnp_op_out_size(op, op->in_height, op->kernel, op->pad_bottom)) ||
        !check_equal(
            c, "out_width", op->out_width, (int32_t)rnnp_op_out_size(op, op->in_width, op->kernel_w, op->pad_right))) {
        return false;
    }
    return rnnp_check_range(c, "out_height", op->out_height, 1, RNNP_MAX_SIDE) &&
        rnnp_check_range(c, "out_width", op->out_width, 1, RNNP_MAX_SIDE);
}

static bool check_fields(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    return check_flags(c, op) && check_input(c, model, op) && check_ranges(c, op) && check_channels(c, op) &&
        check_output(c, op);
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

// Sum of the magnitudes of an output's weights; false if the gaps behind them are not 0.
static bool sum_weights(const rnnp_check_t *c, const char *what, const convolution_t *conv, uint32_t o, uint64_t *sum) {
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
    uint64_t sum;
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
            sum += (uint64_t)magnitude(conv->residual[o]) * 128;
        }
        if (sum >= INT32_LIMIT) {
            return bad(c, what, (uint32_t)INT32_LIMIT, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
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
        uint64_t sum = 0;
        for (uint32_t i = 0; i < inputs; i++) {
            sum += (uint64_t)magnitude(rows[o * inputs + i]) * largest_input;
        }
        if (sum >= INT32_LIMIT) {
            return bad(c, what, (uint32_t)INT32_LIMIT, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
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
    return check_fields(c, model, op) && check_parameters(c, model, op);
}

// Consumers, results and segments.
static bool check_graph(const rnnp_model_t *model, rnnp_error_t *error) {
    rnnp_check_t c = { error, -1 };
    rnnp_op_t op;
    uint64_t consumed = 0; // bit k: operator k - 1 has a consumer
    uint8_t segment[RNNP_MAX_OPS]; // of each operator, one more if it is materialized: that of its consumers
    uint8_t cut[RNNP_MAX_OPS + 1]; // the materialized operator of a segment
    uint32_t heads = 0, dense = 0;
    uint64_t anchors = 0;
    for (uint32_t i = 0; i <= RNNP_MAX_OPS; i++) {
        cut[i] = NO_SEGMENT;
    }
    for (uint32_t i = 0; i < model->num_ops; i++) {
        c.op = (int32_t)i;
        rnnp_op_get(&op, model, i);
        consumed |= UINT64_C(1) << op.input;
        heads += op.kind == RNNP_DETECT_HEAD;
        anchors += (uint64_t)op.out_height * op.out_width * op.num_anchors;
        dense += op.kind == RNNP_DENSE;
        segment[i] = op.input == 0 ? 0 : segment[op.input - 1];
        if (rnnp_op_materialized(&op)) {
            if (cut[segment[i]] != NO_SEGMENT) {
                return bad(&c, "flags", cut[segment[i]], i);
            }
            cut[segment[i]] = (uint8_t)i;
            segment[i]++;
        }
    }
    for (uint32_t i = 0; i < model->num_ops; i++) {
        c.op = (int32_t)i;
        rnnp_op_get(&op, model, i);
        // Operator 63 can't have a consumer, and bit 64 does not exist.
        bool used = i + 1 < 64 && (consumed >> (i + 1) & 1) != 0;
        if (!used && !rnnp_op_is_result(&op) && model->task != RNNP_TASK_LAYER) {
            return bad(&c, "consumers", 1, 0);
        }
    }
    c.op = -1;
    bool detection = model->task == RNNP_TASK_DETECTION;
    if (detection != (heads > 0)) {
        return bad(&c, "heads", detection ? 1 : 0, heads);
    }
    if (anchors > RNNP_MAX_MODEL_ANCHORS) {
        return bad(&c, "anchors", RNNP_MAX_MODEL_ANCHORS, anchors > UINT32_MAX ? UINT32_MAX : (uint32_t)anchors);
    }
    if (model->task == RNNP_TASK_LAYER) {
        return true;
    }
    // A classifier's only result is its dense layer, so that is the last operator, the one that `op` still holds.
    return check_equal(&c, "dense", (int32_t)dense, !detection) &&
        (detection || check_equal(&c, "num_labels", model->num_labels, op.out_channels));
}

bool rnnp_check_operators(const rnnp_model_t *model, rnnp_error_t *error) {
    const uint8_t *table = model->blob + rnnp_read_u32(model->blob + 24);
    for (uint32_t i = 0; i < model->num_ops; i++) {
        rnnp_check_t c = { error, (int32_t)i };
        rnnp_op_t op;
        rnnp_op_get(&op, model, i);
        if (!check_operator(&c, model, &op) || !rnnp_check_zeros(&c, "reserved", table + i * RNNP_OP_SIZE + 56, 8)) {
            return false;
        }
    }
    return check_graph(model, error);
}
