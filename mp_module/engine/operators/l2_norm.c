// This file is part of rnnpool. MIT licence, see LICENSE.
//
// L2_NORM: each pixel's channels divided by their Euclidean length, times a scale a channel.
#include "elementwise.h"

#define MAX_SHIFT (15)
#define LENGTH_BITS (16) // of the length of a pixel, once it is shifted
#define INVERSE_BITS (30) // fraction bits of the product of a length and its inverse
#define RATIO_BITS (15) // of a value divided by the length
#define SUM_BITS (30) // fraction bits of a scaled ratio, less the operator's shift

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_layout_add(layout, (uint32_t)sizeof(int16_t) * op->in_channels);
}

// Floor of the square root.
static uint32_t root(uint32_t v) {
    uint32_t found = 0;
    for (uint32_t bit = 1u << (LENGTH_BITS - 1); bit != 0; bit >>= 1) {
        uint32_t larger = found | bit;
        if (larger * larger <= v) {
            found = larger;
        }
    }
    return found;
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int8_t *in = rnnp_input_row(s, 0, s->node->rows_made);
    const int16_t *scale = rnnp_parameters(s, 0);
    uint32_t channels = op->in_channels, bits = SUM_BITS - (uint32_t)op->shift;
    int8_t *out = s->out;
    for (uint32_t x = 0; x < op->out_width; x++, in += channels) {
        uint32_t squares = 0; // at most 2048 * 255^2
        for (uint32_t c = 0; c < channels; c++) {
            int32_t v = in[c] - op->in_zero_point;
            squares += (uint32_t)(v * v);
        }
        uint32_t left = 0;
        // Of zeros alone the length is of no account.
        for (squares = rnnp_max_u32(squares, 1); squares >> (2 * LENGTH_BITS - 2) == 0; squares <<= 2) {
            left++;
        }
        uint32_t length = root(squares);
        int32_t inverse = (int32_t)(((1u << INVERSE_BITS) + length / 2) / length);
        for (uint32_t c = 0; c < channels; c++) {
            int32_t v = (in[c] - op->in_zero_point) * (1 << left); // no more than the length
            int32_t ratio = (v * inverse + (1 << (INVERSE_BITS - RATIO_BITS - 1))) >> (INVERSE_BITS - RATIO_BITS);
            *out++ = rnnp_output_value(op, (ratio * scale[c] + (1 << (bits - 1))) >> bits);
        }
    }
}

const rnnp_operator_t rnnp_l2_norm = {
    .max_shift = MAX_SHIFT,
    .check = RNNP_FOR_CHECKS(rnnp_elementwise_check_shape),
    .layout = layout,
    .timing = rnnp_elementwise_timing,
    .macs = rnnp_elementwise_macs,
    .step = step,
};
