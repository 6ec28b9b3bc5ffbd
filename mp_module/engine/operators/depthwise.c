// This file is part of rnnpool. MIT licence, see LICENSE.
//
// DEPTHWISE: a convolution of each channel by itself, an output row at a time from the input rows of its window.
#include <string.h>

#include "../kernels/kernels.h"
#include "../numeric.h"
#include "window.h"

enum { WEIGHT, BIAS, MULTIPLIER, EXPONENT }; // its arrays, the last not always

#define MAX_TAPS (256)

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    return rnnp_check_rounding(c, op) && rnnp_window_check(c, op) &&
        rnnp_check_range(c, "weights of a channel", (int32_t)rnnp_window_taps(op), 1, MAX_TAPS) &&
        rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_layout_add(layout, rnnp_window_taps(op) * op->in_channels);
    rnnp_layout_add(layout, 4u * op->in_channels);
    rnnp_layout_add(layout, 4u * op->in_channels);
    if (rnnp_as_tflite(op)) {
        rnnp_layout_add(layout, op->in_channels);
    }
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    const int32_t *bias = arrays[BIAS], *multiplier = arrays[MULTIPLIER];
    uint32_t channels = op->in_channels, taps = rnnp_window_taps(op);
    const rnnp_rounding_t rounding = rnnp_rounding(op, arrays[EXPONENT]);
    if (rounding.exponent != NULL && !rnnp_check_exponents(c, rounding.exponent, channels, RNNP_MAX_EXPONENT)) {
        return false;
    }
    for (uint32_t o = 0; o < channels; o++) {
        const int8_t *weight = (const int8_t *)arrays[WEIGHT] + o;
        uint32_t sum = 0; // of magnitudes, at most 2^15
        for (uint32_t t = 0; t < taps; t++) {
            sum += rnnp_magnitude(weight[t * channels]);
        }
        if (!rnnp_check_range(c, "multiplier", multiplier[o], 0, INT32_MAX) ||
            !rnnp_check_sum(c, "weight", sum, rnnp_magnitude(bias[o]), &rounding, o)) {
            return false;
        }
    }
    return true;
}

static uint64_t macs(const rnnp_op_t *op) {
    return rnnp_multiply(rnnp_op_pixels(op), op->in_channels * rnnp_window_taps(op));
}

// A pixel of padding, and where the pixels of a window are.
static uint32_t scratch(const rnnp_op_t *op) {
    return rnnp_align(op->in_channels, 4) + rnnp_window_taps(op) * (uint32_t)sizeof(uint32_t);
}

static void get_requantize(const rnnp_step_t *s, rnnp_requantize_t *r) {
    const rnnp_op_t *op = s->op;
    r->bias = rnnp_parameters(s, BIAS);
    r->multiplier = rnnp_parameters(s, MULTIPLIER);
    r->zero_point = op->out_zero_point;
    r->min = op->act_min;
    r->max = op->act_max;
    r->shift = op->shift;
    r->fine = rnnp_is_fine(op);
    r->wide = false;
    r->exponent = rnnp_as_tflite(op) ? rnnp_parameters(s, EXPONENT) : NULL;
}

#if RNNP_ARMV7EM
// Whether there is a kernel for the whole row, which then made it.
static bool make_row(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const rnnp_window_t *w = rnnp_window(op);
    if (w->height != 3 || w->width != 3 || w->stride_w > 2 || w->left > 1 || w->right > 1 || op->in_width < 2 ||
        op->in_channels % 4 != 0 || op->shift != 0 || rnnp_as_tflite(op)) {
        return false;
    }
    rnnp_filter3x3_t filter;
    get_requantize(s, &filter.requantize);
    filter.weight = rnnp_parameters(s, WEIGHT);
    filter.channels = op->in_channels;
    filter.in_width = op->in_width;
    filter.out_width = op->out_width;
    filter.stride = w->stride_w;
    filter.left = w->left;
    filter.pad = op->in_zero_point;
    const int8_t *rows[3];
    uint32_t y = (uint32_t)s->node->rows_made * w->stride_h - w->top; // wraps to a huge number above the input
    for (uint32_t i = 0; i < 3; i++, y++) {
        rows[i] = y < op->in_height ? rnnp_input_row(s, 0, y) : NULL;
    }
    return rnnp_kernel_filter3x3(&filter, rows, s->out);
}
#else
static bool make_row(const rnnp_step_t *s) {
    (void)s;
    return false;
}
#endif

static void step(const rnnp_step_t *s) {
    if (make_row(s)) {
        return;
    }
    const rnnp_op_t *op = s->op;
    const rnnp_window_t *w = rnnp_window(op);
    const int8_t *base = (const int8_t *)s->context->arena, *outside = rnnp_scratch(s);
    uint32_t channels = op->in_channels, *taps = (uint32_t *)rnnp_scratch(s) + rnnp_align(channels, 4) / 4;
    rnnp_filter_t filter;
    get_requantize(s, &filter.requantize);
    filter.weight = rnnp_parameters(s, WEIGHT);
    filter.channels = channels;
    filter.taps = rnnp_window_taps(op);
    int8_t *out = s->out;
    memset(rnnp_scratch(s), op->in_zero_point, channels);
    uint32_t top = (uint32_t)s->node->rows_made * w->stride_h - w->top; // wraps to a huge number above the input
    uint32_t step = w->stride_w * channels;
    // The window of a pixel that is like the one before, but a step further, is found by the step.
    bool rows_inside = top < op->in_height && top + w->height <= op->in_height, inside = false;
    for (uint32_t ox = 0; ox < op->out_width; ox++, out += channels) {
        uint32_t left = ox * w->stride_w - w->left, *tap = taps;
        bool before = inside;
        inside = rows_inside && left < op->in_width && left + w->width <= op->in_width;
        if (before && inside) {
            base += step;
            rnnp_kernel_filter(&filter, base, taps, out);
            continue;
        }
        base = (const int8_t *)s->context->arena;
        for (uint32_t y = top; y != top + w->height; y++) {
            const int8_t *row = y < op->in_height ? rnnp_input_row(s, 0, y) : NULL;
            for (uint32_t x = left; x != left + w->width; x++) {
                const int8_t *pixel = row != NULL && x < op->in_width ? row + x * channels : outside;
                *tap++ = (uint32_t)(pixel - base);
            }
        }
        rnnp_kernel_filter(&filter, base, taps, out);
    }
}

const rnnp_operator_t rnnp_depthwise = {
    .flags = RNNP_FLAG_FINE | RNNP_FLAG_TFLITE,
    .max_shift = RNNP_MAX_SHIFT,
    .fields_size = sizeof(rnnp_window_t),
    .check = RNNP_FOR_CHECKS(check),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = rnnp_window_timing,
    .macs = macs,
    .scratch = scratch,
    .step = step,
};
