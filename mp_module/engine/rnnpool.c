// This file is part of rnnpool. MIT licence, see LICENSE.
//
// RNNPOOL (Saha et al., NeurIPS 2020, Algorithm 1), streaming, with the sweeps of overlapping patches shared.
//
// The summary of a patch's row depends on that row's pixels only, so all patches above and below that have the same
// columns share it; likewise for columns. An input row is swept at once for every window of columns; when a row of
// patches is complete, its columns are swept from the input ring, left to right, each for all patches that share it.
// What RNN2 needs of a summary is its product with W2, which serves both directions: that is what is kept.
//
// Sequences are swept GROUP at a time, side by side: fast kernels live on that.
//
//   ring     W2 summary of each row and window of columns, [kernel][patch columns][h2] int16; row y in slot y % kernel
//   scratch  products: W1 x of the pixels of GROUP windows, or of GROUP columns, [][h1] int16
//            columns: W2 summaries of the columns of GROUP patches, [][h2]
//            states: last states of GROUP sequences
#include <string.h>

#include "kernels.h"
#include "numeric.h"
#include "operators.h"

#define GROUP (4u)

typedef struct {
    rnnp_cell_t rnn1, rnn2;
    uint32_t patch_height, patch_width, stride;
    uint32_t patch_columns;
    int16_t *ring, *products, *columns, *states;
} pool_t;

static uint32_t hidden2(const rnnp_op_t *op) {
    return op->out_channels / 4u;
}

// Pixels from the first column of GROUP patches beside each other to the last.
static uint32_t group_width(const rnnp_op_t *op) {
    return (GROUP - 1) * op->stride + op->kernel_w;
}

static uint32_t product_values(const rnnp_op_t *op) {
    return rnnp_align(rnnp_max_u32(group_width(op), GROUP * op->kernel) * op->mid_channels, 2);
}

static uint32_t column_values(const rnnp_op_t *op) {
    return rnnp_align(group_width(op) * hidden2(op), 2);
}

uint32_t rnnp_rnnpool_work(const rnnp_op_t *op) {
    return op->kernel * rnnp_op_patch_columns(op) * hidden2(op) * (uint32_t)sizeof(int16_t);
}

uint32_t rnnp_rnnpool_scratch(const rnnp_op_t *op) {
    uint32_t states = GROUP * rnnp_max_u32(op->mid_channels, hidden2(op));
    return (product_values(op) + column_values(op) + states) * (uint32_t)sizeof(int16_t);
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
        .columns = scratch + product_values(op),
        .states = scratch + product_values(op) + column_values(op),
    };
}

// Sweeps RNN1 over the products of `count` sequences and leaves W2 times their summaries in `out`.
//   step  values from a sequence's product to its next;  stride  from a sequence to the next
static void summarize(const pool_t *p, uint32_t step, uint32_t steps, uint32_t stride, uint32_t count, int16_t *out) {
    const int16_t *wx[RNNP_MAX_PATCH];
    for (uint32_t t = 0; t < steps; t++) {
        wx[t] = p->products + t * step;
    }
    rnnp_kernel_cell_sweep(&p->rnn1, wx, steps, stride, count, p->states);
    rnnp_kernel_cell_input16(&p->rnn2, p->states, count, out);
}

// Summaries of input row y, for each window of columns.
static void take_row(const rnnp_step_t *s, const pool_t *p, uint32_t y) {
    uint32_t h1 = p->rnn1.hidden, h2 = p->rnn2.hidden;
    int16_t *out = p->ring + y % p->patch_height * p->patch_columns * h2;
    for (uint32_t j = 0; j < p->patch_columns; j += GROUP) {
        uint32_t count = rnnp_min_u32(GROUP, p->patch_columns - j);
        const int8_t *in = rnnp_input_row(s, y) + j * p->stride * s->op.in_channels;
        uint32_t pixels = (count - 1) * p->stride + p->patch_width;
        rnnp_kernel_cell_input8(&p->rnn1, in, s->op.in_zero_point, pixels, p->products);
        summarize(p, h1, p->patch_width, p->stride * h1, count, out + j * h2);
    }
}

// W2 summaries of `count` (at most GROUP) input columns from x on, over the patch rows from `top` on.
static void take_columns(
    const rnnp_step_t *s, const pool_t *p, uint32_t top, uint32_t x, uint32_t count, int16_t *out) {
    uint32_t h1 = p->rnn1.hidden;
    for (uint32_t i = 0; i < p->patch_height; i++) {
        const int8_t *in = rnnp_input_row(s, top + i) + x * s->op.in_channels;
        rnnp_kernel_cell_input8(&p->rnn1, in, s->op.in_zero_point, count, p->products + i * GROUP * h1);
    }
    summarize(p, GROUP * h1, p->patch_height, h1, count, out);
}

// W2 summaries of the columns `from` .. `to` - 1, counted from column `left`, where a patch begins. Columns that lie
// between patches are left out.
static void take_group(const rnnp_step_t *s, const pool_t *p, uint32_t top, uint32_t left, uint32_t from, uint32_t to) {
    bool gaps = p->patch_width < p->stride;
    for (uint32_t x = from, count; x < to; x += count) {
        uint32_t within = x % p->stride;
        if (gaps && within >= p->patch_width) {
            count = p->stride - within;
            continue;
        }
        count = rnnp_min_u32(GROUP, gaps ? p->patch_width - within : to - x);
        take_columns(s, p, top, left + x, count, p->columns + x * p->rnn2.hidden);
    }
}

// Sweeps RNN2 over the summaries of `count` patches, forwards and backwards, and writes both last states as int8.
//   summaries  the first patch's, in order (reversed on return);  stride  values to the next patch's
//   out        where the first patch's result goes; the next one's is 4 h2 further
static void pool_summaries(
    const pool_t *p, const int16_t **summaries, uint32_t steps, uint32_t stride, uint32_t count, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden;
    for (uint32_t direction = 0; direction < 2; direction++) {
        rnnp_kernel_cell_sweep(&p->rnn2, summaries, steps, stride, count, p->states);
        for (uint32_t j = 0; j < count; j++) {
            for (uint32_t i = 0; i < h2; i++) {
                out[(4 * j + direction) * h2 + i] = rnnp_sat8((p->states[j * h2 + i] + 128) >> 8);
            }
        }
        for (uint32_t t = 0; t < steps / 2; t++) {
            const int16_t *swapped = summaries[t];
            summaries[t] = summaries[steps - 1 - t];
            summaries[steps - 1 - t] = swapped;
        }
    }
}

// The row of patches whose first input row is `top`; its last has just been taken.
static void make_row(const rnnp_step_t *s, const pool_t *p, uint32_t top, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden;
    uint32_t shared = p->patch_width > p->stride ? p->patch_width - p->stride : 0;
    uint32_t have = 0; // column summaries that the last group left
    for (uint32_t j = 0; j < p->patch_columns; j += GROUP) {
        const int16_t *summaries[RNNP_MAX_PATCH];
        uint32_t count = rnnp_min_u32(GROUP, p->patch_columns - j);
        take_group(s, p, top, j * p->stride, have, (count - 1) * p->stride + p->patch_width);
        for (uint32_t i = 0; i < p->patch_height; i++) {
            summaries[i] = p->ring + ((top + i) % p->patch_height * p->patch_columns + j) * h2;
        }
        pool_summaries(p, summaries, p->patch_height, h2, count, out + j * 4 * h2);
        for (uint32_t i = 0; i < p->patch_width; i++) {
            summaries[i] = p->columns + i * h2;
        }
        pool_summaries(p, summaries, p->patch_width, p->stride * h2, count, out + j * 4 * h2 + 2 * h2);
        have = shared;
        memmove(p->columns, p->columns + count * p->stride * h2, have * h2 * sizeof(int16_t));
    }
    for (uint32_t j = p->patch_columns; j < s->op.out_width; j++) {
        memcpy(out + j * 4 * h2, out + (j - 1) * 4 * h2, 4 * h2);
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
