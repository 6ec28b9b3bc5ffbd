// This file is part of rnnpool. MIT licence, see LICENSE.
//
// RNNPOOL (Saha et al., NeurIPS 2020, Algorithm 1), streaming, with the sweeps of overlapping patches shared.
//
// The summary of a patch's row depends on that row's pixels only, so all patches above and below that have the same
// columns share it; likewise for columns. An input row is swept at once for every window of columns; when a row of
// patches is complete, its columns are swept from the input ring, left to right, each for all patches that share it.
//
// Sequences are swept RNNP_LANES at a time (kernels.h), side by side: patch j and its neighbours, and so columns that are
// a stride apart. A map of products therefore has one *phase* for each column within a stride, and in it one lane for
// each stride: column (u * stride + b) is lane u of phase b. Patch j begins at lane j of phase 0. Lanes of strides that
// patches yet to come share, the `overlap`, are carried over to the next group.
//
//   ring     summary of each row and window of columns, [kernel][patch columns][h1] int8; row y in slot y % kernel
//   scratch  packed cells; products: W1 x of the pixels of a row, [phases]..., or of RNNP_LANES columns, [kernel]...;
//            W2 times the row summaries of RNNP_LANES patches, [kernel]...
//            columns: W2 times the column summaries of RNNP_LANES patches, [phases]...
//            tile: last states
#include <string.h>

#include "kernels.h"
#include "numeric.h"
#include "operators.h"

typedef struct {
    rnnp_cell_t rnn1, rnn2;
    uint32_t patch_height, patch_width, stride;
    uint32_t patch_columns;
    uint32_t phases, overlap, pitch;
    int8_t *ring;
    int16_t *products, *columns, *tile;
} pool_t;

static uint32_t hidden2(const rnnp_op_t *op) {
    return op->out_channels / 4u;
}

static uint32_t phases(const rnnp_op_t *op) {
    return rnnp_min_u32(op->stride, op->kernel_w);
}

// Strides that a patch reaches into beyond its first.
static uint32_t overlap(const rnnp_op_t *op) {
    return (op->kernel_w - 1u) / op->stride;
}

static uint32_t pairs(uint32_t hidden) {
    return (hidden + 1) / 2;
}

// Values of a map of products; kernels read up to `overlap` lanes more than there are.
static uint32_t map_values(const rnnp_op_t *op, uint32_t hidden) {
    return (phases(op) * pairs(hidden) * (RNNP_LANES + overlap(op)) + overlap(op)) * 2;
}

static uint32_t product_values(const rnnp_op_t *op) {
    uint32_t hidden = rnnp_max_u32(op->mid_channels, hidden2(op));
    return rnnp_max_u32(map_values(op, op->mid_channels), op->kernel * RNNP_TILE_VALUES(hidden));
}

uint32_t rnnp_rnnpool_work(const rnnp_op_t *op) {
    return op->kernel * rnnp_op_patch_columns(op) * op->mid_channels;
}

uint32_t rnnp_rnnpool_scratch(const rnnp_op_t *op) {
    uint32_t in = op->in_channels, h1 = op->mid_channels, h2 = hidden2(op);
    uint32_t values = product_values(op) + map_values(op, h2);
    values += RNNP_TILE_VALUES(rnnp_max_u32(16, rnnp_max_u32(h1, h2)));
    return values * (uint32_t)sizeof(int16_t) +
        (RNNP_CELL_WORDS(in, h1) + RNNP_CELL_WORDS(h1, h2)) * (uint32_t)sizeof(uint32_t);
}

uint32_t rnnp_rnnpool_need(const rnnp_op_t *op, const rnnp_node_t *node) {
    bool replicate = node->rows_made >= rnnp_op_patch_rows(op);
    return node->rows_taken + (replicate ? 0u : 1u);
}

static void get_pool(const rnnp_step_t *s, pool_t *pool) {
    const rnnp_op_t *op = s->op;
    uint32_t h1 = op->mid_channels, h2 = hidden2(op);
    bool smooth = (op->flags & RNNP_FLAG_SMOOTH) != 0;
    uint32_t *packed = rnnp_scratch(s), *packed2 = packed + RNNP_CELL_WORDS(op->in_channels, h1);
    int16_t *products = (int16_t *)(packed2 + RNNP_CELL_WORDS(h1, h2));
    *pool = (pool_t){
        .rnn1 = { rnnp_parameters(s, RNNP_W1), rnnp_parameters(s, RNNP_U1), rnnp_parameters(s, RNNP_BZ1),
            rnnp_parameters(s, RNNP_BH1), op->in_channels, (uint16_t)h1, op->shift_w1, op->shift_u1, op->zeta1, op->nu1,
            smooth, packed },
        .rnn2 = { rnnp_parameters(s, RNNP_W2), rnnp_parameters(s, RNNP_U2), rnnp_parameters(s, RNNP_BZ2),
            rnnp_parameters(s, RNNP_BH2), (uint16_t)h1, (uint16_t)h2, op->shift_w2, op->shift_u2, op->zeta2, op->nu2,
            smooth, packed2 },
        .patch_height = op->kernel,
        .patch_width = op->kernel_w,
        .stride = op->stride,
        .patch_columns = rnnp_op_patch_columns(op),
        .phases = phases(op),
        .overlap = overlap(op),
        .pitch = RNNP_LANES + overlap(op),
        .ring = rnnp_work(s),
        .products = products,
        .columns = products + product_values(op),
        .tile = products + product_values(op) + map_values(op, h2),
    };
}

// Lane `lane` of a phase in a map of products.
static int16_t *map_at(const pool_t *p, int16_t *map, const rnnp_cell_t *cell, uint32_t phase, uint32_t lane) {
    return map + (phase * pairs(cell->hidden) * p->pitch + lane) * 2;
}

// Makes the lanes of strides that the next group shares its first ones.
static void carry_over(const pool_t *p, int16_t *map, const rnnp_cell_t *cell) {
    uint32_t *row = (uint32_t *)map, *end = row + p->phases * pairs(cell->hidden) * p->pitch;
    for (uint32_t lane = 0; lane < p->overlap; lane++) {
        for (uint32_t *to = row + lane; to < end; to += p->pitch) {
            *to = to[RNNP_LANES];
        }
    }
}

// How many of the strides u, u + 1, ... have a column of this phase that some patch covers, RNNP_LANES at most.
static uint32_t lanes_of(const pool_t *p, uint32_t u, uint32_t phase) {
    uint32_t end = (p->patch_columns - 1) * p->stride + p->patch_width, x = u * p->stride + phase;
    return x < end ? rnnp_min_u32(RNNP_LANES, (end - x - 1) / p->stride + 1) : 0;
}

// The patches whose last stride is among the RNNP_LANES from u on.
typedef struct {
    uint32_t first, count;
    uint32_t lane; // of the first one's first stride
} patches_t;

static patches_t patches_of(const pool_t *p, uint32_t u) {
    uint32_t first = u < p->overlap ? 0 : u - p->overlap;
    uint32_t end = u + RNNP_LANES < p->overlap ? 0 : rnnp_min_u32(u + RNNP_LANES - p->overlap, p->patch_columns);
    return (patches_t){ first, end > first ? end - first : 0, first + p->overlap - u };
}

// The products of a patch's columns, from left to right.
static void get_columns(const pool_t *p, int16_t *map, const rnnp_cell_t *cell, uint32_t lane, const int16_t **wx) {
    for (uint32_t t = 0; t < p->patch_width; t++) {
        wx[t] = map_at(p, map, cell, t % p->stride, lane + t / p->stride);
    }
}

// W1 times `lanes` pixels of an input row, a stride apart.
static void take_pixels(
    const rnnp_step_t *s, const pool_t *p, uint32_t y, uint32_t x, uint32_t lanes, int16_t *wx, uint32_t pitch) {
    uint32_t channels = s->op->in_channels;
    const int8_t *in = rnnp_input_row(s, y) + x * channels;
    rnnp_kernel_cell_input8(&p->rnn1, in, p->stride * channels, lanes, s->op->in_zero_point, 0, wx, pitch);
}

// Summaries of input row y, for each window of columns.
static void take_row(const rnnp_step_t *s, const pool_t *p, uint32_t y) {
    uint32_t h1 = p->rnn1.hidden;
    int8_t *out = p->ring + y % p->patch_height * p->patch_columns * h1;
    rnnp_kernel_cell_pack(&p->rnn1);
    for (uint32_t u = 0; u < p->patch_columns + p->overlap; u += RNNP_LANES) {
        const int16_t *wx[RNNP_MAX_PATCH];
        carry_over(p, p->products, &p->rnn1);
        for (uint32_t b = 0, lanes; b < p->phases && (lanes = lanes_of(p, u, b)) > 0; b++) {
            int16_t *products = map_at(p, p->products, &p->rnn1, b, p->overlap);
            take_pixels(s, p, y, u * p->stride + b, lanes, products, p->pitch);
        }
        patches_t patches = patches_of(p, u);
        if (patches.count > 0) {
            get_columns(p, p->products, &p->rnn1, patches.lane, wx);
            rnnp_kernel_cell_sweep(&p->rnn1, wx, p->patch_width, p->pitch, patches.count, p->tile);
            rnnp_kernel_cell_store(p->tile, h1, patches.count, out + patches.first * h1, h1);
        }
    }
}

// W2 times the summaries of the columns of `lanes` strides from u on that have this phase.
static void take_columns(
    const rnnp_step_t *s, const pool_t *p, uint32_t top, uint32_t u, uint32_t phase, uint32_t lanes) {
    const int16_t *wx[RNNP_MAX_PATCH];
    for (uint32_t i = 0; i < p->patch_height; i++) {
        int16_t *products = p->products + i * RNNP_TILE_VALUES(p->rnn1.hidden);
        take_pixels(s, p, top + i, u * p->stride + phase, lanes, products, RNNP_LANES);
        wx[i] = products;
    }
    rnnp_kernel_cell_sweep(&p->rnn1, wx, p->patch_height, RNNP_LANES, lanes, p->tile);
    rnnp_kernel_cell_input(&p->rnn2, p->tile, lanes, map_at(p, p->columns, &p->rnn2, phase, p->overlap), p->pitch);
}

// W2 times the row summaries of patches, from top to bottom.
static void get_rows(const pool_t *p, uint32_t top, const patches_t *patches, const int16_t **wx) {
    uint32_t h1 = p->rnn1.hidden;
    for (uint32_t i = 0; i < p->patch_height; i++) {
        int16_t *products = p->products + i * RNNP_TILE_VALUES(p->rnn2.hidden);
        const int8_t *summary = p->ring + ((top + i) % p->patch_height * p->patch_columns + patches->first) * h1;
        rnnp_kernel_cell_input8(&p->rnn2, summary, h1, patches->count, 0, 8, products, RNNP_LANES);
        wx[i] = products;
    }
}

// Sweeps RNN2 over products, forwards and backwards, and writes the last states as int8.
//   wx   reversed on return
//   out  where the first patch's result goes; the next one's is 4 h2 further
static void pool_summaries(
    const pool_t *p, const int16_t **wx, uint32_t steps, uint32_t pitch, uint32_t count, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden;
    for (uint32_t direction = 0; direction < 2; direction++, out += h2) {
        rnnp_kernel_cell_sweep(&p->rnn2, wx, steps, pitch, count, p->tile);
        rnnp_kernel_cell_store(p->tile, h2, count, out, 4 * h2);
        for (uint32_t t = 0; t < steps / 2; t++) {
            const int16_t *swapped = wx[t];
            wx[t] = wx[steps - 1 - t];
            wx[steps - 1 - t] = swapped;
        }
    }
}

// The row of patches whose first input row is `top`; its last has just been taken.
static void make_row(const rnnp_step_t *s, const pool_t *p, uint32_t top, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden;
    rnnp_kernel_cell_pack(&p->rnn2);
    for (uint32_t u = 0; u < p->patch_columns + p->overlap; u += RNNP_LANES) {
        const int16_t *wx[RNNP_MAX_PATCH];
        carry_over(p, p->columns, &p->rnn2);
        for (uint32_t b = 0, lanes; b < p->phases && (lanes = lanes_of(p, u, b)) > 0; b++) {
            take_columns(s, p, top, u, b, lanes);
        }
        patches_t patches = patches_of(p, u);
        if (patches.count > 0) {
            int8_t *first = out + patches.first * 4 * h2;
            get_rows(p, top, &patches, wx);
            pool_summaries(p, wx, p->patch_height, RNNP_LANES, patches.count, first);
            get_columns(p, p->columns, &p->rnn2, patches.lane, wx);
            pool_summaries(p, wx, p->patch_width, p->pitch, patches.count, first + 2 * h2);
        }
    }
    for (uint32_t j = p->patch_columns; j < s->op->out_width; j++) {
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
    uint32_t bytes = (uint32_t)s->op->out_width * s->op->out_channels;
    int8_t *out = rnnp_ring_row(s->context, node, node->rows_made);
    if (node->rows_made >= rnnp_op_patch_rows(s->op)) {
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
