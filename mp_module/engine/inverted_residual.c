// This file is part of rnnpool. MIT licence, see LICENSE.
//
// INVERTED_RESIDUAL, fused, an input row at a time: it is expanded, filtered with the two rows above it, and projected.
//
// The expanded rows are planar: a row of columns a channel, which is what a depthwise convolution is fast on. Of the three
// that it needs only two are kept. The newest is made in scratch memory (*fresh*); the filtered row takes the place of the
// oldest, which nobody needs any more, and when it has been projected, the fresh one takes it.
//
// Kept rows have a pixel of padding at both ends, and the ring starts filled with the padding value, which is also the row
// above the first. So the kernels never see an edge.
//
//   ring     expanded rows y - 1 and y - 2: row y in slot y % 2, [mid_channels][pitch], column x at x + 1
//   scratch  the fresh row, then what the kernels want
#include <string.h>

#include "kernels.h"
#include "numeric.h"
#include "operators.h"

// Bytes of a channel's row: padding at both ends, and what the kernels may read and write behind it.
static uint32_t row_pitch(const rnnp_op_t *op) {
    return rnnp_align(op->in_width + 4u, 4);
}

static uint32_t ring_row_bytes(const rnnp_op_t *op) {
    return rnnp_align(row_pitch(op) * op->mid_channels, RNNP_ALIGNMENT);
}

uint32_t rnnp_inverted_residual_lookback(const rnnp_op_t *op) {
    return rnnp_op_residual(op) ? 2 : 1; // the residual of an output row comes with the input row after it
}

uint32_t rnnp_inverted_residual_work(const rnnp_op_t *op) {
    return 2 * ring_row_bytes(op);
}

uint32_t rnnp_inverted_residual_scratch(const rnnp_op_t *op) {
    return ring_row_bytes(op) + rnnp_tile_bytes(rnnp_max_u32(op->in_channels, op->mid_channels));
}

uint32_t rnnp_inverted_residual_need(const rnnp_op_t *op, const rnnp_node_t *node) {
    return rnnp_min_u32(node->rows_taken + 1u, op->in_height); // past the last row comes one of padding
}

void rnnp_inverted_residual_start(const rnnp_step_t *s) {
    memset(rnnp_work(s), s->op.exp_zero_point, rnnp_inverted_residual_work(&s->op));
}

// Makes expanded row y, padding included.
static void expand(const rnnp_step_t *s, uint32_t y, int8_t *row) {
    const rnnp_op_t *op = &s->op;
    uint32_t pitch = row_pitch(op), size = pitch * op->mid_channels;
    if (y >= op->in_height) {
        memset(row, op->exp_zero_point, ring_row_bytes(op));
    } else {
        const rnnp_pointwise_t expansion = {
            .weight = rnnp_parameters(s, RNNP_EXPAND_WEIGHT),
            .in_channels = op->in_channels,
            .out_channels = op->mid_channels,
            .out_pitch = (uint16_t)pitch,
            .stride = 1,
            .requantize = { rnnp_parameters(s, RNNP_EXPAND_BIAS), rnnp_parameters(s, RNNP_EXPAND_MULTIPLIER),
                op->exp_zero_point, op->exp_min, op->exp_max },
            .tile = (uint8_t *)rnnp_scratch(s) + ring_row_bytes(op),
        };
        rnnp_kernel_pointwise(&expansion, rnnp_input_row(s, y), NULL, op->in_width, row + 1);
        int8_t padding = op->exp_zero_point;
        for (int8_t *left = row, *right = row + op->in_width + 1; left < row + size; left += pitch, right += pitch) {
            *left = *right = padding;
        }
    }
}

// Makes the next output row from three expanded rows; the oldest is used up.
static void make_row(const rnnp_step_t *s, int8_t *const *rows) {
    const rnnp_op_t *op = &s->op;
    const rnnp_depthwise_t depthwise = {
        .weight = rnnp_parameters(s, RNNP_DEPTHWISE_WEIGHT),
        .channels = op->mid_channels,
        .pitch = (uint16_t)row_pitch(op),
        .stride = op->stride,
        .requantize = { rnnp_parameters(s, RNNP_DEPTHWISE_BIAS), rnnp_parameters(s, RNNP_DEPTHWISE_MULTIPLIER),
            op->dw_zero_point, op->dw_min, op->dw_max },
    };
    const rnnp_pointwise_t projection = {
        .weight = rnnp_parameters(s, RNNP_PROJECT_WEIGHT),
        .residual = rnnp_op_residual(op) ? rnnp_parameters(s, RNNP_RESIDUAL) : NULL,
        .in_channels = op->mid_channels,
        .out_channels = op->out_channels,
        .in_pitch = (uint16_t)row_pitch(op),
        .stride = op->stride,
        .requantize = { rnnp_parameters(s, RNNP_PROJECT_BIAS), rnnp_parameters(s, RNNP_PROJECT_MULTIPLIER),
            op->out_zero_point, op->act_min, op->act_max },
        .tile = (uint8_t *)rnnp_scratch(s) + ring_row_bytes(op),
    };
    int8_t *out = rnnp_ring_row(s->context, s->node, s->node->rows_made);
    const int8_t *skip = rnnp_op_residual(op) ? rnnp_input_row(s, s->node->rows_made) : NULL;
    rnnp_kernel_depthwise(&depthwise, rows, op->out_width);
    rnnp_kernel_pointwise(&projection, rows[0], skip, op->out_width, out);
    rnnp_row_made(s, out, (uint32_t)op->out_width * op->out_channels);
}

void rnnp_inverted_residual_step(const rnnp_step_t *s) {
    const rnnp_op_t *op = &s->op;
    uint32_t y = s->node->rows_taken++, row_bytes = ring_row_bytes(op);
    int8_t *work = rnnp_work(s), *fresh = rnnp_scratch(s);
    int8_t *oldest = work + y % 2 * row_bytes, *middle = work + (y + 1) % 2 * row_bytes;
    // Output row i is centred on row i * stride and complete with the row after it.
    if (y == (uint32_t)s->node->rows_made * op->stride + 1) {
        expand(s, y, fresh);
        make_row(s, (int8_t *const[]){ oldest, middle, fresh });
        memcpy(oldest, fresh, row_bytes);
    } else {
        expand(s, y, oldest);
    }
}
