// This file is part of rnnpool. MIT licence, see LICENSE.
//
// RNNPOOL (Saha et al., NeurIPS 2020, Algorithm 1), streaming, with the sweeps of overlapping patches shared.
//
// The summary of a patch's row depends on that row's pixels only, so all patches above and below that have the same
// columns share it; likewise for columns. An input row is swept at once for every window of columns; when a row of
// patches is complete, its columns are swept from the input ring, left to right, each for all patches that share it.
// What RNN2 needs of a summary is its product with W2, which serves both directions: that is what is kept.
//
//   ring     W2 summary of each row and window of columns, [kernel][patch columns][h2] int16; row y in slot y % kernel
//   scratch  products: W1 x of a window or column, [max(kernel, kernel_w)][h1] int16
//            rows: W2 summaries of the patch's rows, in order, [kernel][h2]
//            columns: W2 summaries of the patch's columns, [kernel_w][h2]
#include <string.h>

#include "kernels.h"
#include "numeric.h"
#include "operators.h"

typedef struct {
    rnnp_cell_t rnn1, rnn2;
    uint32_t patch_height, patch_width, stride;
    uint32_t patch_columns;
    int16_t *ring, *products, *rows, *columns;
} pool_t;

static uint32_t hidden2(const rnnp_op_t *op) {
    return op->out_channels / 4u;
}

static uint32_t product_values(const rnnp_op_t *op) {
    return rnnp_max_u32(op->kernel, op->kernel_w) * op->mid_channels;
}

uint32_t rnnp_rnnpool_work(const rnnp_op_t *op) {
    return op->kernel * rnnp_op_patch_columns(op) * hidden2(op) * (uint32_t)sizeof(int16_t);
}

uint32_t rnnp_rnnpool_scratch(const rnnp_op_t *op) {
    uint32_t summaries = (uint32_t)(op->kernel + op->kernel_w) * hidden2(op);
    return (product_values(op) + summaries) * (uint32_t)sizeof(int16_t);
}

uint32_t rnnp_rnnpool_need(const rnnp_op_t *op, const rnnp_node_t *node) {
    bool replicate = node->rows_made >= rnnp_op_patch_rows(op);
    return node->rows_taken + (replicate ? 0u : 1u);
}

static void get_pool(const rnnp_step_t *s, pool_t *pool) {
    const rnnp_op_t *op = &s->op;
    uint32_t h1 = op->mid_channels, h2 = hidden2(op);
    bool smooth = (op->flags & RNNP_FLAG_SMOOTH) != 0;
    int16_t *scratch = rnnp_scratch(s);
    *pool = (pool_t){
        .rnn1 = { rnnp_parameters(s, RNNP_W1), rnnp_parameters(s, RNNP_U1), rnnp_parameters(s, RNNP_BZ1),
            rnnp_parameters(s, RNNP_BH1), op->in_channels, (uint16_t)h1, op->shift_w1, op->shift_u1, op->zeta1, op->nu1,
            smooth },
        .rnn2 = { rnnp_parameters(s, RNNP_W2), rnnp_parameters(s, RNNP_U2), rnnp_parameters(s, RNNP_BZ2),
            rnnp_parameters(s, RNNP_BH2), (uint16_t)h1, (uint16_t)h2, op->shift_w2, op->shift_u2, op->zeta2, op->nu2,
            smooth },
        .patch_height = op->kernel,
        .patch_width = op->kernel_w,
        .stride = op->stride,
        .patch_columns = rnnp_op_patch_columns(op),
        .ring = rnnp_work(s),
        .products = scratch,
        .rows = scratch + product_values(op),
        .columns = scratch + product_values(op) + op->kernel * h2,
    };
}

// Sweeps RNN1 over `steps` products and leaves W2 times the summary in `out`.
static void summarize(const pool_t *p, uint32_t steps, int16_t *out) {
    int16_t summary[RNNP_MAX_HIDDEN];
    rnnp_kernel_cell_sweep(&p->rnn1, p->products, p->rnn1.hidden, steps, summary);
    rnnp_kernel_cell_input16(&p->rnn2, summary, out);
}

// Summaries of input row y, for each window of columns.
static void take_row(const rnnp_step_t *s, const pool_t *p, uint32_t y) {
    uint32_t h1 = p->rnn1.hidden, h2 = p->rnn2.hidden, channels = s->op.in_channels;
    const int8_t *in = rnnp_input_row(s, y);
    int16_t *out = p->ring + y % p->patch_height * p->patch_columns * h2;
    // Products that the next window shares with this one; those are moved to the front.
    uint32_t shared = p->patch_width > p->stride ? p->patch_width - p->stride : 0;
    uint32_t have = 0;
    for (uint32_t j = 0; j < p->patch_columns; j++) {
        const int8_t *x = in + (j * p->stride + have) * channels;
        rnnp_kernel_cell_input8(
            &p->rnn1, x, channels, s->op.in_zero_point, p->patch_width - have, p->products + have * h1);
        summarize(p, p->patch_width, out + j * h2);
        have = shared;
        memmove(p->products, p->products + (p->patch_width - have) * h1, have * h1 * sizeof(int16_t));
    }
}

// W2 summary of input column x over the patch rows from `top` on.
static void take_column(const rnnp_step_t *s, const pool_t *p, uint32_t top, uint32_t x, int16_t *out) {
    for (uint32_t i = 0; i < p->patch_height; i++) {
        const int8_t *pixel = rnnp_input_row(s, top + i) + x * s->op.in_channels;
        rnnp_kernel_cell_input8(&p->rnn1, pixel, 0, s->op.in_zero_point, 1, p->products + i * p->rnn1.hidden);
    }
    summarize(p, p->patch_height, out);
}

// Sweeps RNN2 over summaries, forwards and backwards, and writes both last states as int8.
static int8_t *pool_summaries(const pool_t *p, const int16_t *summaries, uint32_t count, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden;
    int16_t state[RNNP_MAX_HIDDEN];
    for (uint32_t backwards = 0; backwards < 2; backwards++) {
        const int16_t *first = summaries + (backwards != 0 ? (count - 1) * h2 : 0);
        ptrdiff_t step = backwards != 0 ? -(ptrdiff_t)h2 : (ptrdiff_t)h2;
        rnnp_kernel_cell_sweep(&p->rnn2, first, step, count, state);
        for (uint32_t i = 0; i < h2; i++) {
            *out++ = rnnp_sat8((state[i] + 128) >> 8);
        }
    }
    return out;
}

// The row of patches whose first input row is `top`; its last has just been taken.
static void make_row(const rnnp_step_t *s, const pool_t *p, uint32_t top, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden;
    uint32_t shared = p->patch_width > p->stride ? p->patch_width - p->stride : 0;
    uint32_t have = 0;
    for (uint32_t j = 0; j < p->patch_columns; j++) {
        for (uint32_t i = have; i < p->patch_width; i++) {
            take_column(s, p, top, j * p->stride + i, p->columns + i * h2);
        }
        for (uint32_t i = 0; i < p->patch_height; i++) {
            const int16_t *slot = p->ring + (top + i) % p->patch_height * p->patch_columns * h2;
            memcpy(p->rows + i * h2, slot + j * h2, h2 * sizeof(int16_t));
        }
        out = pool_summaries(p, p->rows, p->patch_height, out);
        out = pool_summaries(p, p->columns, p->patch_width, out);
        have = shared;
        memmove(p->columns, p->columns + (p->patch_width - have) * h2, have * h2 * sizeof(int16_t));
    }
    for (uint32_t i = 0; i < s->op.pad_right; i++, out += 4 * h2) {
        memcpy(out, out - 4 * h2, 4 * h2);
    }
}

// The next output row is a copy of the last.
static void replicate_row(const rnnp_step_t *s, int8_t *out, uint32_t bytes) {
    const int8_t *last = rnnp_ring_row(s->context, s->node, s->node->rows_made - 1u);
    if (last != out) { // in a ring of one row it is there already
        memcpy(out, last, bytes);
    }
}

void rnnp_rnnpool_step(const rnnp_step_t *s) {
    rnnp_node_t *node = s->node;
    uint32_t bytes = (uint32_t)s->op.out_width * s->op.out_channels;
    int8_t *out = rnnp_ring_row(s->context, node, node->rows_made);
    if (node->rows_made >= rnnp_op_patch_rows(&s->op)) {
        replicate_row(s, out, bytes);
        rnnp_row_made(s, out, bytes);
        return;
    }
    pool_t pool;
    get_pool(s, &pool);
    uint32_t y = node->rows_taken++;
    if (y % pool.stride < pool.patch_height) { // else it lies between patches
        take_row(s, &pool, y);
    }
    uint32_t top = node->rows_made * pool.stride;
    if (y + 1 == top + pool.patch_height) {
        make_row(s, &pool, top, out);
        rnnp_row_made(s, out, bytes);
    }
}
