// This file is part of rnnpool. MIT licence, see LICENSE.
//
// CONV, DETECT_HEAD and DENSE, which is a head on a 1x1 map: an output row at a time from the last `kernel` input rows.
#include "detect.h"
#include "kernels.h"
#include "numeric.h"
#include "operators.h"

static uint32_t padding(const rnnp_op_t *op) {
    return (op->kernel - 1u) / 2;
}

// What the kernels want: a tile and a pixel.
uint32_t rnnp_conv_scratch(const rnnp_op_t *op) {
    uint32_t tile = rnnp_tile_bytes((uint32_t)op->kernel * op->kernel * op->in_channels);
    return tile + rnnp_align(op->in_channels, 4);
}

uint32_t rnnp_conv_need(const rnnp_op_t *op, const rnnp_node_t *node) {
    uint32_t end = (uint32_t)node->rows_made * op->stride + op->kernel - padding(op);
    return rnnp_min_u32(end, op->in_height);
}

// Fills in the kernel's parameters and the input rows of the next output row.
static void prepare(const rnnp_step_t *s, rnnp_conv_t *conv, const int8_t **rows) {
    const rnnp_op_t *op = s->op;
    *conv = (rnnp_conv_t) {
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
    uint32_t top = (uint32_t)s->node->rows_made * op->stride; // in rows of the padded input
    for (uint32_t ky = 0; ky < op->kernel; ky++) {
        uint32_t y = top + ky - padding(op); // wraps to a huge number above the input
        rows[ky] = y < op->in_height ? rnnp_input_row(s, y) : NULL;
    }
}

void rnnp_conv_step(const rnnp_step_t *s) {
    rnnp_conv_t conv;
    const int8_t *rows[3];
    prepare(s, &conv, rows);
    int8_t *out = rnnp_ring_row(s->context, s->node, s->node->rows_made);
    rnnp_kernel_conv(&conv, rows, out);
    rnnp_row_made(s, out, (uint32_t)s->op->out_width * s->op->out_channels);
}

void rnnp_head_step(const rnnp_step_t *s) {
    rnnp_conv_t conv;
    const int8_t *rows[3];
    prepare(s, &conv, rows);
    bool stays = s->node->ring_rows != 0; // the row is the result; else it goes to the decoder
    uint8_t *scratch = rnnp_scratch(s);
    void *out = stays ? (void *)rnnp_ring_row(s->context, s->node, 0) : scratch + rnnp_conv_scratch(s->op);
    rnnp_kernel_head(&conv, rows, out);
    if (!stays) {
        rnnp_detect_row(s, out);
    }
    rnnp_row_made(s, out, (uint32_t)s->op->out_width * s->op->out_channels * (uint32_t)sizeof(int16_t));
}
