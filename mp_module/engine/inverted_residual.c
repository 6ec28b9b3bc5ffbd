// This file is part of rnnpool. MIT licence, see LICENSE.
//
// INVERTED_RESIDUAL, fused: an input row is expanded, filtered and projected in runs of TILE output pixels.
//
// The depthwise 3x3 needs three expanded rows, but only two are kept: the newest is made a few pixels ahead of where it
// is needed (the *fresh* pixels, in scratch), and each of its pixels then takes the place of the one two rows above,
// which is not needed any more. Kept rows have a pixel of padding at both ends, and the ring starts filled with the
// padding value, which is also the row above the first. So the kernels never see an edge.
//
//   ring     expanded rows y - 1 and y - 2: row y in slot y % 2; positions 0 .. in_width + 1, position = column + 1
//   scratch  the fresh pixels of row y, then the filtered pixels, of one tile
#include <string.h>

#include "kernels.h"
#include "numeric.h"
#include "operators.h"

#define TILE (4) // output pixels at a time

// Positions of the new row at a time: what TILE outputs of the depthwise cover, rounded up to whole tiles of pixels.
#define FRESH (2 * TILE + 1)

static uint32_t ring_row_bytes(const rnnp_op_t *op) {
    return rnnp_align((op->in_width + 2u) * op->mid_channels, RNNP_ALIGNMENT);
}

static uint32_t fresh_bytes(const rnnp_op_t *op) {
    return rnnp_align((uint32_t)FRESH * op->mid_channels, RNNP_ALIGNMENT);
}

uint32_t rnnp_inverted_residual_lookback(const rnnp_op_t *op) {
    return rnnp_op_residual(op) ? 2 : 1; // the residual of an output row comes with the input row after it
}

uint32_t rnnp_inverted_residual_work(const rnnp_op_t *op) {
    return 2 * ring_row_bytes(op);
}

uint32_t rnnp_inverted_residual_scratch(const rnnp_op_t *op) {
    return fresh_bytes(op) + TILE * (uint32_t)op->mid_channels;
}

uint32_t rnnp_inverted_residual_need(const rnnp_op_t *op, const rnnp_node_t *node) {
    return rnnp_min_u32(node->rows_taken + 1u, op->in_height); // past the last row comes one of padding
}

void rnnp_inverted_residual_start(const rnnp_step_t *s) {
    memset(rnnp_work(s), s->op.exp_zero_point, rnnp_inverted_residual_work(&s->op));
}

static void get_expansion(const rnnp_step_t *s, rnnp_pointwise_t *expansion) {
    const rnnp_op_t *op = &s->op;
    *expansion = (rnnp_pointwise_t){
        .weight = rnnp_parameters(s, RNNP_EXPAND_WEIGHT),
        .residual = NULL,
        .in_channels = op->in_channels,
        .out_channels = op->mid_channels,
        .requantize = { rnnp_parameters(s, RNNP_EXPAND_BIAS), rnnp_parameters(s, RNNP_EXPAND_MULTIPLIER),
            op->exp_zero_point, op->exp_min, op->exp_max },
    };
}

static void get_depthwise(const rnnp_step_t *s, rnnp_depthwise_t *depthwise) {
    const rnnp_op_t *op = &s->op;
    *depthwise = (rnnp_depthwise_t){
        .weight = rnnp_parameters(s, RNNP_DEPTHWISE_WEIGHT),
        .channels = op->mid_channels,
        .stride = op->stride,
        .requantize = { rnnp_parameters(s, RNNP_DEPTHWISE_BIAS), rnnp_parameters(s, RNNP_DEPTHWISE_MULTIPLIER),
            op->dw_zero_point, op->dw_min, op->dw_max },
    };
}

static void get_projection(const rnnp_step_t *s, rnnp_pointwise_t *projection) {
    const rnnp_op_t *op = &s->op;
    *projection = (rnnp_pointwise_t){
        .weight = rnnp_parameters(s, RNNP_PROJECT_WEIGHT),
        .residual = rnnp_op_residual(op) ? rnnp_parameters(s, RNNP_RESIDUAL) : NULL,
        .in_channels = op->mid_channels,
        .out_channels = op->out_channels,
        .requantize = { rnnp_parameters(s, RNNP_PROJECT_BIAS), rnnp_parameters(s, RNNP_PROJECT_MULTIPLIER),
            op->out_zero_point, op->act_min, op->act_max },
    };
}

// Makes the fresh pixels at positions first .. first + count - 1 of row y, padding included.
static void expand(const rnnp_step_t *s, const rnnp_pointwise_t *expansion, uint32_t y, uint32_t first, uint32_t count,
    int8_t *fresh) {
    const rnnp_op_t *op = &s->op;
    uint32_t end = first + count, mid = op->mid_channels;
    // Positions that hold a pixel of the input: 1 .. in_width.
    uint32_t from = rnnp_max_u32(first, 1), to = rnnp_min_u32(end, op->in_width + 1u);
    if (y >= op->in_height || from >= to) {
        memset(fresh, op->exp_zero_point, count * mid);
        return;
    }
    memset(fresh, op->exp_zero_point, (from - first) * mid);
    const int8_t *in = rnnp_input_row(s, y) + (from - 1) * op->in_channels;
    rnnp_kernel_pointwise(expansion, in, NULL, to - from, fresh + (from - first) * mid);
    memset(fresh + (to - first) * mid, op->exp_zero_point, (end - to) * mid);
}

// Row y completes output row rows_made.
static void make_row(
    const rnnp_step_t *s, const rnnp_pointwise_t *expansion, uint32_t y, int8_t *oldest, const int8_t *middle) {
    const rnnp_op_t *op = &s->op;
    rnnp_depthwise_t depthwise;
    rnnp_pointwise_t projection;
    get_depthwise(s, &depthwise);
    get_projection(s, &projection);
    int8_t *fresh = rnnp_scratch(s);
    int8_t *filtered = fresh + fresh_bytes(op);
    int8_t *out = rnnp_ring_row(s->context, s->node, s->node->rows_made);
    const int8_t *skip = rnnp_op_residual(op) ? rnnp_input_row(s, s->node->rows_made) : NULL;
    uint32_t mid = op->mid_channels;
    uint32_t have = 0; // fresh positions, the first of which is where the tile begins
    for (uint32_t x = 0; x < op->out_width; x += TILE) {
        uint32_t pixels = rnnp_min_u32(TILE, op->out_width - x);
        uint32_t first = x * op->stride, count = (pixels - 1) * op->stride + 3;
        if (have < count) {
            uint32_t next = first + have, padding = next == 0 ? 1 : 0;
            // Whole tiles of pixels, since that is what kernels are fast at.
            uint32_t wanted = rnnp_align(count - have - padding, TILE) + padding;
            wanted = rnnp_min_u32(wanted, op->in_width + 2u - next);
            expand(s, expansion, y, next, wanted, fresh + have * mid);
            have += wanted;
        }
        const int8_t *rows[3] = { oldest + first * mid, middle + first * mid, fresh };
        rnnp_kernel_depthwise(&depthwise, rows, pixels, filtered);
        rnnp_kernel_pointwise(&projection, filtered, skip, pixels, out + x * op->out_channels);
        if (skip != NULL) {
            skip += pixels * op->out_channels;
        }
        // What the next tile does not look at any more is replaced; the rest stays fresh.
        uint32_t done = x + pixels < op->out_width ? pixels * op->stride : have;
        memcpy(oldest + first * mid, fresh, done * mid);
        have -= done;
        memmove(fresh, fresh + done * mid, have * mid);
    }
    rnnp_row_made(s, out, (uint32_t)op->out_width * op->out_channels);
}

void rnnp_inverted_residual_step(const rnnp_step_t *s) {
    const rnnp_op_t *op = &s->op;
    rnnp_pointwise_t expansion;
    get_expansion(s, &expansion);
    uint32_t y = s->node->rows_taken++;
    int8_t *oldest = (int8_t *)rnnp_work(s) + y % 2 * ring_row_bytes(op);
    // Output row i is centred on row i * stride and complete with the row after it.
    if (y == (uint32_t)s->node->rows_made * op->stride + 1) {
        make_row(s, &expansion, y, oldest, (int8_t *)rnnp_work(s) + (y + 1) % 2 * ring_row_bytes(op));
    } else {
        expand(s, &expansion, y, 0, op->in_width + 2u, oldest);
    }
}
