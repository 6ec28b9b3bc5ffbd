// This file is part of rnnpool. MIT licence, see LICENSE.
//
// CONV: an output row at a time from the input rows of its window.
#include "conv.h"

#include "../kernels/kernels.h"
#include "../numeric.h"

#define MAX_INPUTS (65536) // of an output value

static uint32_t inputs(const rnnp_op_t *op) {
    return rnnp_window_taps(op) * op->in_channels;
}

bool rnnp_conv_check(const rnnp_check_t *check, const rnnp_op_t *op) {
    rnnp_window_check(check, op);
    rnnp_check_range(check, "window height", rnnp_window(op)->height, 1, RNNP_MAX_CONV_ROWS);
    return rnnp_check_range(check, "weights of a channel", (int32_t)inputs(op), 1, MAX_INPUTS);
}

void rnnp_conv_layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_layout_add_dense(layout, op->out_channels, inputs(op));
}

bool rnnp_conv_check_parameters(const rnnp_check_t *check, const rnnp_op_t *op, const void *const *arrays) {
    rnnp_rounding_t rounding = rnnp_rounding(op, arrays[RNNP_EXPONENT]);
    if (RNNP_WITH_SHIFT && rnnp_operator(op)->task != 0) {
        rounding.shift = 0; // it is that of the results
    }
    if (rounding.exponent != NULL &&
        !rnnp_check_exponents(check, rounding.exponent, op->out_channels, RNNP_MAX_EXPONENT)) {
        return false;
    }
    return rnnp_check_dense(check, op, "weight", arrays, op->out_channels, inputs(op), NULL, &rounding);
}

uint64_t rnnp_conv_macs(const rnnp_op_t *op) {
    return rnnp_multiply(rnnp_op_pixels(op), op->out_channels * inputs(op));
}

// What the kernels want: a tile, a pixel, and room for addresses.
uint32_t rnnp_conv_scratch(const rnnp_op_t *op) {
    const rnnp_window_t *w = rnnp_window(op);
    uint32_t padding = w->top | w->left | w->bottom | w->right;
    return rnnp_tile_bytes(inputs(op)) + rnnp_align(op->in_channels, 4) +
        rnnp_conv_addresses(padding != 0 ? rnnp_window_taps(op) : w->height);
}

void rnnp_conv_row(const rnnp_step_t *s, bool head) {
    const rnnp_op_t *op = s->op;
    const rnnp_window_t *w = rnnp_window(op);
    const rnnp_conv_t conv = {
        .weight = rnnp_parameters(s, RNNP_WEIGHT),
        .in_width = op->in_width,
        .in_channels = op->in_channels,
        .out_width = op->out_width,
        .out_channels = op->out_channels,
        .kernel_h = w->height,
        .kernel_w = w->width,
        .stride = w->stride_w,
        .left = w->left,
        .pad = op->in_zero_point,
        .requantize = {
            .bias = rnnp_parameters(s, RNNP_BIAS),
            .multiplier = rnnp_parameters(s, RNNP_MULTIPLIER),
            .zero_point = op->out_zero_point,
            .min = op->act_min,
            .max = op->act_max,
            .shift = op->shift,
            .fine = rnnp_is_fine(op),
            .wide = rnnp_is_wide(op),
            .exponent = rnnp_as_tflite(op) ? rnnp_parameters(s, RNNP_EXPONENT) : NULL,
        },
        .tile = rnnp_scratch(s),
    };
    const int8_t *rows[RNNP_MAX_CONV_ROWS];
    uint32_t y = (uint32_t)s->node->rows_made * w->stride_h - w->top; // wraps to a huge number above the input
    for (uint32_t i = 0; i < w->height; i++, y++) {
        rows[i] = y < op->in_height ? rnnp_input_row(s, 0, y) : NULL;
    }
    if (head) {
        rnnp_kernel_head(&conv, rows, s->out);
    } else {
        rnnp_kernel_conv(&conv, rows, s->out);
    }
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    rnnp_check_rounding(c, op);
    return rnnp_conv_check(c, op);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_conv_layout(layout, op);
    if (rnnp_as_tflite(op)) {
        rnnp_layout_add(layout, op->out_channels);
    }
}

static void step(const rnnp_step_t *s) {
    rnnp_conv_row(s, false);
}

const rnnp_operator_t rnnp_conv = {
    .flags = RNNP_FLAG_FINE | RNNP_FLAG_TFLITE | RNNP_FLAG_WIDE,
    .max_shift = RNNP_MAX_SHIFT,
    .fields_size = sizeof(rnnp_window_t),
    .check = RNNP_FOR_CHECKS(check),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(rnnp_conv_check_parameters),
    .timing = rnnp_window_timing,
    .macs = rnnp_conv_macs,
    .scratch = rnnp_conv_scratch,
    .step = step,
};
