// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The baseline of the benchmark: RNNPOOL as its definition says it (Saha et al., NeurIPS 2020, Algorithm 1), each patch by
// itself, linked in place of the engine's rnnpool.c. The result is the same, bit for bit.
#include <string.h>

#include "engine/kernels.h"
#include "engine/numeric.h"
#include "engine/operators.h"

typedef struct {
    rnnp_cell_t cell1, cell2;
    int16_t products[RNNP_MAX_PATCH][RNNP_MAX_HIDDEN];
    int16_t summaries[RNNP_MAX_PATCH][RNNP_MAX_HIDDEN];
} patch_t;

static patch_t patch; // fine here: this is not part of the engine

uint32_t rnnp_rnnpool_work(const rnnp_op_t *op) {
    (void)op;
    return 0;
}

uint32_t rnnp_rnnpool_scratch(const rnnp_op_t *op) {
    (void)op;
    return 0;
}

uint32_t rnnp_rnnpool_need(const rnnp_op_t *op, const rnnp_node_t *node) {
    uint32_t row = rnnp_min_u32(node->rows_made, rnnp_op_patch_rows(op) - 1);
    return row * op->stride + op->kernel;
}

static void sweep(const rnnp_cell_t *cell, const int16_t *products, bool backwards, uint32_t steps, int16_t *h) {
    const int16_t *wx[RNNP_MAX_PATCH];
    for (uint32_t t = 0; t < steps; t++) {
        wx[t] = products + (backwards ? steps - 1 - t : t) * cell->hidden;
    }
    rnnp_kernel_cell_sweep(cell, wx, steps, 0, 1, h);
}

// Both directions of RNN2 over `count` summaries.
static int8_t *pool_summaries(uint32_t count, int8_t *out) {
    for (uint32_t backwards = 0; backwards < 2; backwards++) {
        int16_t h[RNNP_MAX_HIDDEN];
        int16_t *products = &patch.products[0][0];
        rnnp_kernel_cell_input16(&patch.cell2, &patch.summaries[0][0], count, products);
        sweep(&patch.cell2, products, backwards != 0, count, h);
        for (uint32_t i = 0; i < patch.cell2.hidden; i++) {
            *out++ = rnnp_sat8((h[i] + 128) >> 8);
        }
    }
    return out;
}

static void pool_patch(const rnnp_step_t *s, uint32_t top, uint32_t left, int8_t *out) {
    const rnnp_op_t *op = &s->op;
    uint32_t h1 = op->mid_channels, channels = op->in_channels;
    int16_t *products = &patch.products[0][0], *summaries = &patch.summaries[0][0];
    for (uint32_t y = 0; y < op->kernel; y++) {
        const int8_t *pixels = rnnp_input_row(s, top + y) + left * channels;
        rnnp_kernel_cell_input8(&patch.cell1, pixels, op->in_zero_point, op->kernel_w, products);
        sweep(&patch.cell1, products, false, op->kernel_w, summaries + y * h1);
    }
    out = pool_summaries(op->kernel, out);
    for (uint32_t x = 0; x < op->kernel_w; x++) {
        for (uint32_t y = 0; y < op->kernel; y++) {
            const int8_t *pixel = rnnp_input_row(s, top + y) + (left + x) * channels;
            rnnp_kernel_cell_input8(&patch.cell1, pixel, op->in_zero_point, 1, products + y * h1);
        }
        sweep(&patch.cell1, products, false, op->kernel, summaries + x * h1);
    }
    pool_summaries(op->kernel_w, out);
}

void rnnp_rnnpool_step(const rnnp_step_t *s) {
    const rnnp_op_t *op = &s->op;
    uint32_t channels = op->out_channels, columns = rnnp_op_patch_columns(op), made = s->node->rows_made;
    int8_t *out = rnnp_ring_row(s->context, s->node, made);
    if (made < rnnp_op_patch_rows(op)) {
        bool smooth = (op->flags & RNNP_FLAG_SMOOTH) != 0;
        patch.cell1 = (rnnp_cell_t){ rnnp_parameters(s, RNNP_W1), rnnp_parameters(s, RNNP_U1),
            rnnp_parameters(s, RNNP_BZ1), rnnp_parameters(s, RNNP_BH1), op->in_channels, op->mid_channels, op->shift_w1,
            op->shift_u1, op->zeta1, op->nu1, smooth };
        patch.cell2 = (rnnp_cell_t){ rnnp_parameters(s, RNNP_W2), rnnp_parameters(s, RNNP_U2),
            rnnp_parameters(s, RNNP_BZ2), rnnp_parameters(s, RNNP_BH2), op->mid_channels, (uint16_t)(channels / 4),
            op->shift_w2, op->shift_u2, op->zeta2, op->nu2, smooth };
        for (uint32_t j = 0; j < columns; j++) {
            pool_patch(s, made * op->stride, j * op->stride, out + j * channels);
        }
        for (uint32_t j = columns; j < op->out_width; j++) {
            memcpy(out + j * channels, out + (j - 1) * channels, channels);
        }
    } else {
        const int8_t *last = rnnp_ring_row(s->context, s->node, made - 1);
        memmove(out, last, (uint32_t)op->out_width * channels);
    }
    rnnp_row_made(s, out, (uint32_t)op->out_width * channels);
}
