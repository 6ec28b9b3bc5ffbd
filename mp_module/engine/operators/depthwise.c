// This file is part of rnnpool. MIT licence, see LICENSE.
//
// DEPTHWISE: a convolution of each channel by itself, an output row at a time from the input rows of its window.
//
// With the flag PROJECT it is the 1x1 convolution behind that, too: an inverted residual without expansion. The filtered row
// is in scratch memory then, behind what the kernels want.
#include <string.h>

#include "../kernels/kernels.h"
#include "../numeric.h"
#include "window.h"

enum { WEIGHT, BIAS, MULTIPLIER, EXPONENT }; // its arrays, the last not always

#define MAX_TAPS (256)

typedef struct {
    rnnp_window_t window;
    int8_t zero_point, min, max; // of the filtered row before a projection, in the order of the record's own; else 0
} fields_t;

static const fields_t *get(const rnnp_op_t *op) {
    return (const void *)op->fields;
}

// Whether a projection follows.
static bool projects(const rnnp_op_t *op) {
    return RNNP_WITH_PROJECT && (op->flags & RNNP_FLAG_PROJECT) != 0;
}

// Where the arrays of the projection begin, which has the same ones.
static uint32_t projection(const rnnp_op_t *op) {
    return rnnp_as_tflite(op) ? EXPONENT + 1 : EXPONENT;
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    const fields_t *f = get(op);
    if (projects(op)) {
        if (!RNNP_WITH_CLAMP && (f->min != INT8_MIN || f->max != INT8_MAX)) {
            rnnp_left_out(c, "CLAMP");
        }
        rnnp_check_range(c, "filter_min", f->min, INT8_MIN, f->max);
    } else {
        if (!RNNP_WITH_PROJECT && (op->flags & RNNP_FLAG_PROJECT) != 0) {
            rnnp_left_out(c, "PROJECT");
        }
        rnnp_check_equal(c, "fields", op->fields[2] != 0, 0);
        rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels);
    }
    return rnnp_check_rounding(c, op) && rnnp_window_check(c, op) &&
        rnnp_check_range(c, "weights of a channel", (int32_t)rnnp_window_taps(op), 1, MAX_TAPS);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_layout_add(layout, rnnp_window_taps(op) * op->in_channels);
    rnnp_layout_add(layout, 4u * op->in_channels);
    rnnp_layout_add(layout, 4u * op->in_channels);
    if (rnnp_as_tflite(op)) {
        rnnp_layout_add(layout, op->in_channels);
    }
    if (projects(op)) {
        rnnp_layout_add_dense(layout, op->out_channels, op->in_channels);
        if (rnnp_as_tflite(op)) {
            rnnp_layout_add(layout, op->out_channels);
        }
    }
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    const int32_t *bias = arrays[BIAS], *multiplier = arrays[MULTIPLIER];
    uint32_t channels = op->in_channels, taps = rnnp_window_taps(op);
    rnnp_rounding_t rounding = rnnp_rounding(op, arrays[EXPONENT]);
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
    if (!projects(op)) {
        return true;
    }
    uint32_t outputs = op->out_channels;
    arrays += projection(op);
    if (rounding.exponent != NULL) {
        rounding.exponent = arrays[EXPONENT];
        if (!rnnp_check_exponents(c, rounding.exponent, outputs, RNNP_MAX_EXPONENT)) {
            return false;
        }
    }
    return rnnp_check_dense(c, op, "project_weight", arrays, outputs, channels, NULL, &rounding);
}

static uint64_t macs(const rnnp_op_t *op) {
    uint32_t outputs = projects(op) ? op->out_channels : 0;
    return rnnp_multiply(rnnp_op_pixels(op), op->in_channels * (rnnp_window_taps(op) + outputs));
}

// What the kernels want: a pixel of padding, and where the pixels of a window are; of a projection a tile besides.
static uint32_t kernels_scratch(const rnnp_op_t *op) {
    uint32_t tile = projects(op) ? rnnp_tile_bytes(op->in_channels) : 0;
    uint32_t taps = rnnp_window_taps(op) * (uint32_t)sizeof(uint32_t);
    return rnnp_align(op->in_channels, 4) + rnnp_max_u32(taps, tile);
}

static uint32_t scratch(const rnnp_op_t *op) {
    uint32_t row = projects(op) ? (uint32_t)op->out_width * op->in_channels : 0;
    return kernels_scratch(op) + rnnp_align(row, 4);
}

// How the layer whose arrays begin at `first` is requantized. Returns its weights.
static const int8_t *get_layer(const rnnp_step_t *s, uint32_t first, rnnp_requantize_t *r) {
    const rnnp_op_t *op = s->op;
    // Zero point, min, max.
    const int8_t *numbers = first == WEIGHT && projects(op) ? &get(op)->zero_point : &op->out_zero_point;
    r->bias = rnnp_parameters(s, first + BIAS);
    r->multiplier = rnnp_parameters(s, first + MULTIPLIER);
    r->zero_point = numbers[0];
    r->min = numbers[1];
    r->max = numbers[2];
    r->shift = op->shift;
    r->fine = rnnp_is_fine(op);
    r->wide = rnnp_is_wide(op);
    r->exponent = rnnp_as_tflite(op) ? rnnp_parameters(s, first + EXPONENT) : NULL;
    return rnnp_parameters(s, first + WEIGHT);
}

#if RNNP_ARMV7EM
// Whether there is a kernel for the whole row, which then made it.
static bool make_row(const rnnp_step_t *s, int8_t *out) {
    const rnnp_op_t *op = s->op;
    const rnnp_window_t *w = rnnp_window(op);
    if (w->height != 3 || w->width != 3 || w->stride_w > 2 || w->left > 1 || w->right > 1 || op->in_width < 2 ||
        op->in_channels % 4 != 0 || op->shift != 0 || rnnp_as_tflite(op)) {
        return false;
    }
    rnnp_filter3x3_t filter;
    filter.weight = get_layer(s, WEIGHT, &filter.requantize);
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
    return rnnp_kernel_filter3x3(&filter, rows, out);
}
#else
static bool make_row(const rnnp_step_t *s, int8_t *out) {
    (void)s;
    (void)out;
    return false;
}
#endif

static void filter_row(const rnnp_step_t *s, int8_t *out) {
    if (make_row(s, out)) {
        return;
    }
    const rnnp_op_t *op = s->op;
    const rnnp_window_t *w = rnnp_window(op);
    const int8_t *base = (const int8_t *)s->context->arena, *outside = rnnp_scratch(s);
    uint32_t channels = op->in_channels, *taps = (uint32_t *)rnnp_scratch(s) + rnnp_align(channels, 4) / 4;
    rnnp_filter_t filter;
    filter.weight = get_layer(s, WEIGHT, &filter.requantize);
    filter.channels = channels;
    filter.taps = rnnp_window_taps(op);
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

static void project_row(const rnnp_step_t *s, const int8_t *row) {
    const rnnp_op_t *op = s->op;
    rnnp_pointwise_t pointwise = {
        .in_channels = op->in_channels,
        .out_channels = op->out_channels,
        .tile = rnnp_scratch(s),
    };
    pointwise.weight = get_layer(s, projection(op), &pointwise.requantize);
    rnnp_kernel_pointwise(&pointwise, row, NULL, op->out_width, s->out);
}

static void step(const rnnp_step_t *s) {
    if (!projects(s->op)) {
        filter_row(s, s->out);
        return;
    }
    int8_t *row = (int8_t *)rnnp_scratch(s) + kernels_scratch(s->op);
    filter_row(s, row);
    project_row(s, row);
}

const rnnp_operator_t rnnp_depthwise = {
    .flags = RNNP_FLAG_FINE | RNNP_FLAG_TFLITE | RNNP_FLAG_WIDE | RNNP_FLAG_PROJECT,
    .max_shift = RNNP_MAX_SHIFT,
    .fields_size = sizeof(fields_t),
    .check = RNNP_FOR_CHECKS(check),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = rnnp_window_timing,
    .macs = macs,
    .scratch = scratch,
    .step = step,
};
