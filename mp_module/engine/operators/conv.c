// This file is part of rnnpool. MIT licence, see LICENSE.
//
// CONV: an output row at a time from the last `kernel` input rows.
#include "conv.h"

#include "../numeric.h"

static uint32_t padding(const rnnp_op_t *op) {
    return (op->kernel - 1u) / 2;
}

static uint32_t inputs(const rnnp_op_t *op) {
    return (uint32_t)op->kernel * op->kernel * op->in_channels;
}

static uint32_t out_size(const rnnp_op_t *op, uint32_t size) {
    return (size + 2 * padding(op) - op->kernel) / op->stride + 1;
}

bool rnnp_conv_check(const rnnp_check_t *check, const rnnp_op_t *op) {
    return (op->kernel != 2 || rnnp_bad(check, "kernel", 1, 2)) &&
        rnnp_check_equal(check, "kernel_w", op->kernel_w, op->kernel) &&
        rnnp_check_range(check, "act_min", op->act_min, -128, op->act_max) &&
        rnnp_check_output(check, op, out_size(op, op->in_height), out_size(op, op->in_width));
}

void rnnp_conv_layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_layout_add_dense(layout, op->out_channels, inputs(op));
}

bool rnnp_conv_check_parameters(const rnnp_check_t *check, const rnnp_op_t *op, const void *const *arrays) {
    return rnnp_check_dense(check, "weight", arrays, op->out_channels, inputs(op), NULL);
}

void rnnp_conv_timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    (void)steps;
    uint32_t top = made * op->stride, above = padding(op); // rows of the input: the first one's, of padding
    timing->need = (uint16_t)rnnp_min_u32(top + op->kernel - above, op->in_height);
    timing->oldest = (uint16_t)(top < above ? 0 : top - above);
    timing->makes = true;
}

uint64_t rnnp_conv_macs(const rnnp_op_t *op) {
    return rnnp_multiply(rnnp_op_pixels(op), op->out_channels * inputs(op));
}

// What the kernels want: a tile and a pixel.
uint32_t rnnp_conv_scratch(const rnnp_op_t *op) {
    return rnnp_tile_bytes(inputs(op)) + rnnp_align(op->in_channels, 4);
}

void rnnp_conv_row(const rnnp_step_t *s, bool head) {
    const rnnp_op_t *op = s->op;
    const rnnp_conv_t conv = {
        .weight = rnnp_parameters(s, RNNP_WEIGHT),
        .in_width = op->in_width,
        .in_channels = op->in_channels,
        .out_width = op->out_width,
        .out_channels = op->out_channels,
        .kernel = op->kernel,
        .stride = op->stride,
        .pad = op->in_zero_point,
        .requantize = {
            .bias = rnnp_parameters(s, RNNP_BIAS),
            .multiplier = rnnp_parameters(s, RNNP_MULTIPLIER),
            .zero_point = op->out_zero_point,
            .min = op->act_min,
            .max = op->act_max,
        },
        .tile = rnnp_scratch(s),
    };
    const int8_t *rows[3];
    uint32_t top = (uint32_t)s->node->rows_made * op->stride; // in rows of the padded input
    for (uint32_t ky = 0; ky < op->kernel; ky++) {
        uint32_t y = top + ky - padding(op); // wraps to a huge number above the input
        rows[ky] = y < op->in_height ? rnnp_input_row(s, y) : NULL;
    }
    if (head) {
        rnnp_kernel_head(&conv, rows, s->out);
    } else {
        rnnp_kernel_conv(&conv, rows, s->out);
    }
}

static void step(const rnnp_step_t *s) {
    rnnp_conv_row(s, false);
}

static const rnnp_field_t fields[] = {
    RNNP_FIELD(rnnp_op_t, kernel, 1, 3),
    RNNP_FIELD(rnnp_op_t, kernel_w, 1, 3),
    RNNP_FIELD(rnnp_op_t, stride, 1, 2),
    RNNP_FIELD(rnnp_op_t, out_zero_point, -128, 127),
    RNNP_FIELD(rnnp_op_t, act_min, -128, 127),
    RNNP_FIELD(rnnp_op_t, act_max, -128, 127),
    RNNP_FIELD(rnnp_op_t, out_channels, 1, RNNP_MAX_CHANNELS),
};

const rnnp_operator_t rnnp_conv = {
    .fields = fields,
    .num_fields = RNNP_FIELDS(fields),
    .check = rnnp_conv_check,
    .layout = rnnp_conv_layout,
    .check_parameters = rnnp_conv_check_parameters,
    .timing = rnnp_conv_timing,
    .macs = rnnp_conv_macs,
    .scratch = rnnp_conv_scratch,
    .step = step,
};
