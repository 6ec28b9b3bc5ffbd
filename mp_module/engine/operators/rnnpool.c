// This file is part of rnnpool. MIT licence, see LICENSE.
//
// RNNPOOL (Saha et al., NeurIPS 2020, Algorithm 1), streaming, with the sweeps of overlapping patches shared.
//
// The summary of a patch's row depends on that row's pixels only, so all patches above and below that have the same
// columns share it; likewise for columns. There are two ways, of which the one is taken that needs less memory:
//
//   - step by step: an input row is swept as it comes for every window of columns, and columns go a step further
//   - at once, when a row of patches is complete: from a ring of input rows, some columns at a time, so that W1 x is computed
//     once for both sweeps
//
// Of the rows' summaries W2 times them is kept: at once of the rows that the next row of patches shares. The newest row's is in
// scratch memory until the oldest row's, whose place it takes, has been used.
//
// Sequences are swept RNNP_LANES at a time (kernels.h), side by side: patch j and its neighbours, and so columns that are
// a stride apart. A map of products therefore has one *phase* for each column within a stride, and in it one lane for
// each stride: column (u * stride + b) is lane u of phase b. Patch j begins at lane j of phase 0. Lanes of strides that
// patches yet to come share, the `overlap`, are carried over to the next group.
//
//   states   of the columns' sweeps in progress, step by step: [rows of patches][group][phase] tiles; then
//   ring     W2 times the row summaries, [kernel - 1][group] tiles, those of row y in slot y % (kernel - 1); at once of the rows
//            that the next row of patches shares
//   scratch  packed cells; the table of smooth non-linearities; tile: last states
//            columns: W2 times the column summaries of RNNP_LANES patches, [phases]...
//            pixels: W1 x of the pixels of a row, [phases]...; at once of each row of a patch, [kernel][phases]...
//            rows: W2 times the summaries of the newest row of RNNP_LANES patches; at once of all other rows
#include <string.h>

#include "../kernels/kernels.h"
#include "../numeric.h"
#include "operator.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-optimize", "no-move-loop-invariants") // loops of few turns that have many invariants
#endif

enum { W1, U1, BZ1, BH1, W2, U2, BZ2, BH2 }; // its arrays, in their order

// A map of products.
typedef struct {
    int16_t *values;
    uint32_t phase; // from a phase to the next, in values
} map_t;

typedef struct {
    const rnnp_step_t *step;
    uint32_t patch_height, patch_width, stride;
    uint32_t patch_columns;
    uint32_t phases, overlap, pitch;
    uint32_t tile1, tile2; // values of a tile of states of RNN1, of RNN2
    uint32_t ring_row; // values of a row in the ring
    uint32_t at_once; // 0 or 1
    uint32_t shared; // rows that a patch has in common with the next
    uint32_t depth, state_row; // step by step: rows of patches in progress, and values of one's states
    map_t pixels, columns; // products with W1, with W2
    uint32_t row_values; // of a row of pixels
    int16_t *states, *ring, *tile, *rows;
    rnnp_cell_t rnn1, rnn2;
    uint32_t column; // at once: where `input` is
    const int8_t *input[RNNP_MAX_PATCH]; // the row, or a column of the rows of a patch
} pool_t;

typedef struct {
    uint8_t kernel, kernel_w; // patch
    uint8_t stride;
    uint8_t pad_bottom, pad_right; // copies of the last row and column
    uint8_t reserved;
    uint16_t hidden; // of RNN1
    uint8_t shift[4]; // of W1, U1, W2, U2
    uint16_t update[4]; // Q15: zeta and nu of RNN1, of RNN2
} fields_t;

static const fields_t *get(const rnnp_op_t *op) {
    return (const void *)op->fields;
}

// Patches along each axis, without the replicated ones.
static uint32_t patch_rows(const rnnp_op_t *op) {
    return (uint32_t)op->out_height - get(op)->pad_bottom;
}

static uint32_t patch_columns(const rnnp_op_t *op) {
    return (uint32_t)op->out_width - get(op)->pad_right;
}

static uint32_t hidden2(const rnnp_op_t *op) {
    return op->out_channels / 4u;
}

static uint32_t phases(const rnnp_op_t *op) {
    return rnnp_min_u32(get(op)->stride, get(op)->kernel_w);
}

// Strides that a patch reaches into beyond its first.
static uint32_t overlap(const rnnp_op_t *op) {
    return (get(op)->kernel_w - 1u) / get(op)->stride;
}

static uint32_t pairs(uint32_t hidden) {
    return (hidden + 1) / 2;
}

// Rows of patches in progress at a time.
static uint32_t depth(const rnnp_op_t *op) {
    return (get(op)->kernel - 1u) / get(op)->stride + 1;
}

// Rows that a patch has in common with the next.
static uint32_t shared_rows(const rnnp_op_t *op) {
    return get(op)->kernel - rnnp_min_u32(get(op)->kernel, get(op)->stride);
}

static uint32_t groups(const rnnp_op_t *op) {
    return (patch_columns(op) + overlap(op) + RNNP_LANES - 1) / RNNP_LANES;
}

// Values of the states of a row of patches.
static uint32_t state_row(const rnnp_op_t *op) {
    return groups(op) * phases(op) * RNNP_TILE_VALUES(get(op)->hidden);
}

// Values of a map of products of this hidden size.
static uint32_t map_values(const rnnp_op_t *op, uint32_t hidden) {
    return phases(op) * pairs(hidden) * (RNNP_LANES + overlap(op)) * 2;
}

// Values of the ring: of so many rows, in those groups at which patches end.
static uint32_t ring_values(const rnnp_op_t *op, uint32_t rows) {
    return rows * (groups(op) - overlap(op) / RNNP_LANES) * RNNP_TILE_VALUES(hidden2(op));
}

static uint32_t values_by_step(const rnnp_op_t *op) {
    return depth(op) * state_row(op) + ring_values(op, get(op)->kernel - 1u);
}

static uint32_t values_at_once(const rnnp_op_t *op) {
    return ring_values(op, shared_rows(op));
}

// Whether that needs less memory, with input rows and scratch memory that the other way does not need.
static bool needs_less_at_once(const rnnp_op_t *op) {
    uint32_t bytes = map_values(op, get(op)->hidden) * (uint32_t)sizeof(int16_t) +
        (uint32_t)op->in_width * op->in_channels;
    return values_at_once(op) + (get(op)->kernel - 1u) * bytes / 2 < values_by_step(op);
}

static bool at_once(const rnnp_op_t *op) {
    return !RNNP_WITH_BY_STEP || needs_less_at_once(op);
}

static uint32_t work(const rnnp_op_t *op) {
    return (at_once(op) ? values_at_once(op) : values_by_step(op)) * (uint32_t)sizeof(int16_t);
}

// Where things begin in scratch memory, and where the last of them ends, in bytes.
typedef struct {
    uint32_t rnn2, table, tile, columns, pixels, rows, end;
} places_t;

__attribute__((noinline)) static uint32_t cell_bytes(uint32_t inputs, uint32_t hidden) {
    return RNNP_CELL_WORDS(inputs, hidden) * (uint32_t)sizeof(uint32_t);
}

static void find_places(const rnnp_op_t *op, places_t *at) {
    uint32_t h1 = get(op)->hidden, h2 = hidden2(op), rows = at_once(op) ? get(op)->kernel : 1;
    uint32_t others = at_once(op) ? rows - shared_rows(op) : 1;
    at->rnn2 = cell_bytes(op->in_channels, h1);
    at->table = at->rnn2 + cell_bytes(h1, h2);
    at->tile = at->table + (RNNP_WITH_ANY_CELL && op->flags & RNNP_FLAG_SMOOTH ? 4 * RNNP_CELL_TABLE_WORDS : 0);
    at->columns = at->tile + 2 * RNNP_TILE_VALUES(rnnp_max_u32(h1, h2));
    at->pixels = at->columns + 2 * map_values(op, h2);
    at->rows = at->pixels + 2 * map_values(op, h1) * rows;
    at->end = at->rows + 4 * overlap(op) + 2 * RNNP_TILE_VALUES(h2) * others; // kernels read so many lanes behind a map
}

static uint32_t scratch(const rnnp_op_t *op) {
    places_t at;
    find_places(op, &at);
    return at.end;
}

static uint32_t out_size(const rnnp_op_t *op, uint32_t size, uint32_t patch, uint32_t pad) {
    return (size - patch) / get(op)->stride + 1 + pad;
}

// A matrix that the fastest loops are made for: of 8 columns with a shift of 16, or of 16 with one of 15 or 16.
RNNP_NOINLINE static bool is_usual(uint32_t columns, uint32_t shift) {
    return (columns == 16 && shift == 15) || (shift == 16 && (columns == 8 || columns == 16));
}

// Inputs that are multiplied as they are widened.
static bool has_four_inputs(const rnnp_op_t *op) {
    return op->in_channels == 4 && get(op)->shift[0] >= 6 && get(op)->shift[0] <= 12;
}

// Hard cells with a usual U and the new state z h + (1 - z) g.
static bool has_usual_cells(const rnnp_op_t *op) {
    const fields_t *f = get(op);
    uint32_t in = op->in_channels;
    return (op->flags & RNNP_FLAG_SMOOTH) == 0 && is_usual(f->hidden, f->shift[1]) &&
        is_usual(hidden2(op), f->shift[3]) && f->update[0] == 32768 && f->update[1] == 0 && f->update[2] == 32768 &&
        f->update[3] == 0 && (in == 8 || in == 16 || has_four_inputs(op));
}

static bool has_usual_shifts(const rnnp_op_t *op) {
    const fields_t *f = get(op);
    return (has_four_inputs(op) || is_usual(op->in_channels, f->shift[0])) && is_usual(f->hidden, f->shift[2]);
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    if (!RNNP_WITH_ANY_CELL && !has_usual_cells(op)) {
        return rnnp_left_out(c, "ANY_CELL");
    }
    if (!RNNP_WITH_CELL_SHIFT && !has_usual_shifts(op)) {
        return rnnp_left_out(c, "CELL_SHIFT");
    }
    return (op->out_channels % 4 == 0 || rnnp_bad(c, "out_channels", 4, op->out_channels)) &&
        (!RNNP_WITH_ANY_CELL || rnnp_check_range(c, "out_channels", op->out_channels, 4, 4 * RNNP_MAX_HIDDEN)) &&
        rnnp_check_range(c, "patch height", get(op)->kernel, 1, op->in_height) &&
        rnnp_check_range(c, "patch width", get(op)->kernel_w, 1, op->in_width) &&
        rnnp_check_output(c, op, out_size(op, op->in_height, get(op)->kernel, get(op)->pad_bottom),
            out_size(op, op->in_width, get(op)->kernel_w, get(op)->pad_right));
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    uint32_t inputs[2] = { op->in_channels, get(op)->hidden }, hidden[2] = { get(op)->hidden, hidden2(op) };
    for (uint32_t i = 0; i < 2; i++) {
        rnnp_layout_add(layout, 2 * hidden[i] * inputs[i]);
        rnnp_layout_add(layout, 2 * hidden[i] * hidden[i]);
        rnnp_layout_add(layout, 2 * hidden[i]);
        rnnp_layout_add(layout, 2 * hidden[i]);
    }
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    static const char *const names[] = { "w1", "u1", "w2", "u2" };
    static const uint8_t at[] = { W1, U1, W2, U2 };
    uint32_t hidden[2] = { get(op)->hidden, hidden2(op) }, inputs = op->in_channels;
    uint32_t most = INT32_MAX / 255; // sum of magnitudes: what is multiplied is below 256 of W1, else 2^15
    for (uint32_t i = 0; i < 4; i++) {
        const int16_t *row = arrays[at[i]];
        for (const int16_t *end = row + hidden[i / 2] * inputs; row < end;) {
            uint32_t sum = 0; // at most 2^25
            for (uint32_t k = 0; k < inputs; k++) {
                sum += rnnp_magnitude(*row++);
            }
            if (sum > most) {
                return rnnp_bad(c, names[i], most, sum);
            }
        }
        inputs = hidden[i / 2]; // of U1 and W2 those of RNN1
        most = INT32_MAX >> 15;
    }
    return true;
}

static void timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    uint32_t first = made * get(op)->stride,
             used = (patch_rows(op) - 1) * get(op)->stride + get(op)->kernel; // rows of some patch
    bool replicate = made >= patch_rows(op);
    timing->need = (uint16_t)rnnp_min_u32(steps + 1, used);
    timing->oldest = (uint16_t)(at_once(op) ? rnnp_min_u32(steps, first) : steps);
    timing->makes = replicate || steps + 1 == first + get(op)->kernel;
}

static uint64_t macs(const rnnp_op_t *op) {
    uint32_t rows = get(op)->kernel, columns = get(op)->kernel_w, s = get(op)->stride;
    uint32_t h1 = get(op)->hidden, h2 = hidden2(op);
    uint32_t n_y = patch_rows(op), n_x = patch_columns(op);
    // Pixel rows and columns that some patch covers.
    uint32_t used_y = (n_y - 1) * rnnp_min_u32(s, rows) + rows;
    uint32_t used_x = (n_x - 1) * rnnp_min_u32(s, columns) + columns;
    uint64_t products = rnnp_multiply(h1 * op->in_channels, used_y * used_x + n_y * used_x * rows);
    uint64_t sweeps1 = rnnp_multiply(h1 * h1, used_y * n_x * (columns - 1) + n_y * used_x * (rows - 1));
    uint64_t summaries = rnnp_multiply(h2 * h1, used_y * n_x + n_y * used_x);
    uint64_t sweeps2 = rnnp_multiply(h2 * h2, n_y * n_x * 2 * (rows - 1 + columns - 1));
    return products + sweeps1 + summaries + sweeps2;
}

// Fills in a cell whose arrays are numbered from `array` on, but its memory.
__attribute__((noinline)) static void get_cell(
    const rnnp_step_t *s, rnnp_cell_t *cell, uint32_t array, uint32_t inputs, uint32_t hidden) {
    const rnnp_op_t *op = s->op;
    const uint8_t *shift = get(op)->shift + array / 2;
    const uint16_t *update = get(op)->update + array / 2;
    cell->w = rnnp_parameters(s, array);
    cell->u = rnnp_parameters(s, array + 1);
    cell->bz = rnnp_parameters(s, array + 2);
    cell->bh = rnnp_parameters(s, array + 3);
    cell->inputs = (uint16_t)inputs;
    cell->hidden = (uint16_t)hidden;
    cell->shift_w = shift[0];
    cell->shift_u = shift[1];
    cell->zeta = update[0];
    cell->nu = update[1];
    cell->smooth = (op->flags & RNNP_FLAG_SMOOTH) != 0;
}

static void get_pool(const rnnp_step_t *s, pool_t *pool) {
    const rnnp_op_t *op = s->op;
    uint32_t h1 = get(op)->hidden, h2 = hidden2(op);
    uint8_t *memory = rnnp_scratch(s);
    places_t at;
    find_places(op, &at);
    get_cell(s, &pool->rnn1, W1, op->in_channels, h1);
    get_cell(s, &pool->rnn2, W2, h1, h2);
    pool->rnn1.packed = (void *)memory;
    pool->rnn2.packed = (void *)(memory + at.rnn2);
    pool->rnn1.table = pool->rnn2.table = (void *)(memory + at.table);
    pool->step = s;
    pool->patch_height = get(op)->kernel;
    pool->patch_width = get(op)->kernel_w;
    pool->stride = get(op)->stride;
    pool->patch_columns = patch_columns(op);
    pool->phases = phases(op);
    pool->overlap = overlap(op);
    pool->pitch = RNNP_LANES + overlap(op);
    pool->tile1 = RNNP_TILE_VALUES(h1);
    pool->tile2 = RNNP_TILE_VALUES(h2);
    pool->ring_row = ring_values(op, 1);
    pool->shared = shared_rows(op);
    pool->ring = rnnp_work(s);
    pool->at_once = at_once(op);
    if (!pool->at_once) {
        pool->states = pool->ring;
        pool->state_row = state_row(op);
        pool->depth = depth(op);
        pool->ring += pool->depth * pool->state_row;
    }
    pool->row_values = map_values(op, h1);
    pool->tile = (void *)(memory + at.tile);
    pool->columns = (map_t){ (void *)(memory + at.columns), pairs(h2) * 2 * pool->pitch };
    pool->pixels = (map_t){ (void *)(memory + at.pixels), pairs(h1) * 2 * pool->pitch };
    pool->rows = (void *)(memory + at.rows);
}

static bool pools_at_once(const pool_t *p) {
    return !RNNP_WITH_BY_STEP || p->at_once;
}

static int16_t *map_at(const map_t *map, uint32_t phase, uint32_t lane) {
    return map->values + phase * map->phase + 2 * lane;
}

// Makes the lanes of strides that the next group shares its first ones, in `pairs` of elements.
static void carry_over(const pool_t *p, int16_t *values, uint32_t pairs) {
    uint32_t pitch = p->pitch, *row = (uint32_t *)values, *end = row + pitch * pairs;
    for (uint32_t lane = 0; lane < p->overlap; lane++) {
        uint32_t *to = row + lane;
        if (pairs % 2 != 0) {
            *to = to[RNNP_LANES];
            to += pitch;
        }
        for (; to < end; to += 2 * pitch) {
            uint32_t first = to[RNNP_LANES];
            to[pitch] = to[RNNP_LANES + pitch];
            *to = first;
        }
    }
}

// How many of the strides u, u + 1, ... have a column of this phase that some patch covers, RNNP_LANES at most.
static uint32_t lanes_of(const pool_t *p, uint32_t u, uint32_t phase) {
    uint32_t end = p->patch_columns + (p->patch_width - 1 - phase) / p->stride;
    return u < end ? rnnp_min_u32(RNNP_LANES, end - u) : 0;
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
static void get_columns(const pool_t *p, const map_t *map, uint32_t lane, const int16_t **wx) {
    const int16_t *stride = map_at(map, 0, lane), *at = stride;
    for (uint32_t t = 0, phase = 0; t < p->patch_width; t++) {
        wx[t] = at;
        at += map->phase;
        if (++phase == p->stride) {
            phase = 0;
            at = stride += 2;
        }
    }
}

// W1 times pixels: for each of `tiles`, `lanes` of them from where it begins, a stride apart.
//   next  from the products of a tile to those of the next one, in values
static void take_pixels(
    const pool_t *p, const int8_t *const *pixels, uint32_t tiles, uint32_t lanes, int16_t *wx, uint32_t next) {
    const rnnp_op_t *op = p->step->op;
    rnnp_kernel_cell_input8(
        &p->rnn1, pixels, tiles, p->stride * op->in_channels, lanes, op->in_zero_point, wx, next, p->pitch);
}

// The states of the columns of RNNP_LANES strides from u on, in patches of row `patch_row`: a tile a phase.
static int16_t *states_at(const pool_t *p, uint32_t patch_row, uint32_t u) {
    return p->states + patch_row % p->depth * p->state_row + u / RNNP_LANES * p->phases * p->tile1;
}

// W2 times the summaries of the columns of RNNP_LANES strides from u on that have this phase.
static void take_columns(const pool_t *p, uint32_t u, uint32_t phase) {
    const int16_t *wx[RNNP_MAX_PATCH];
    uint32_t lanes = lanes_of(p, u, phase);
    int16_t *summaries = p->tile;
    if (pools_at_once(p)) {
        wx[0] = map_at(&p->pixels, phase, p->overlap);
        for (uint32_t i = 1; i < p->patch_height; i++) {
            wx[i] = wx[i - 1] + p->row_values;
        }
        rnnp_kernel_cell_sweep(&p->rnn1, wx, p->patch_height, p->pitch, lanes, summaries, false, false);
    } else {
        summaries = states_at(p, p->step->node->rows_made, u) + phase * p->tile1;
    }
    rnnp_kernel_cell_input(&p->rnn2, summaries, lanes, map_at(&p->columns, phase, p->overlap), p->pitch);
}

// Sweeps RNN2 over products, forwards and backwards, and writes the last states as int8.
//   wx   reversed on return
//   out  where the first patch's result goes; the next one's is 4 h2 further
static void pool_summaries(
    const pool_t *p, const int16_t **wx, uint32_t steps, uint32_t pitch, uint32_t count, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden;
    for (uint32_t direction = 0; direction < 2; direction++, out += h2) {
        rnnp_kernel_cell_sweep(&p->rnn2, wx, steps, pitch, count, p->tile, false, false);
        rnnp_kernel_cell_store(p->tile, h2, count, out, 4 * h2);
        for (const int16_t **first = wx, **last = wx + steps - 1; first < last; first++, last--) {
            const int16_t *swapped = *first;
            *first = *last;
            *last = swapped;
        }
    }
}

// W1 times the pixels of RNNP_LANES strides of a row from u on. Fills in where each phase's are; returns how many have some.
static uint32_t take_strides(const pool_t *p, uint32_t u, const int16_t **wx) {
    const int8_t *pixels[RNNP_MAX_PATCH];
    int16_t *products = map_at(&p->pixels, 0, p->overlap);
    const int8_t *row = p->input[0] + u * p->stride * p->rnn1.inputs;
    for (uint32_t i = 0; i < p->phases; i++) {
        pixels[i] = row + i * p->rnn1.inputs;
        wx[i] = products + i * p->pixels.phase;
    }
    // The first phases may have a lane more than the others.
    uint32_t used = 0, end = p->patch_width - p->overlap * p->stride, last = lanes_of(p, u, p->phases - 1);
    for (uint32_t lanes; used < p->phases && (lanes = lanes_of(p, u, used)) > 0; used = end) {
        end = lanes == last ? p->phases : end;
        take_pixels(p, pixels + used, end - used, lanes, products + used * p->pixels.phase, p->pixels.phase);
    }
    return used;
}

// Sweeps row i of those in `pixels` for each of these patches, and takes W2 times the summaries.
static void sweep_row(const pool_t *p, uint32_t i, const patches_t *patches, int16_t *products) {
    const int16_t *wx[RNNP_MAX_PATCH];
    const map_t map = { p->pixels.values + i * p->row_values, p->pixels.phase };
    get_columns(p, &map, patches->lane, wx);
    rnnp_kernel_cell_sweep(&p->rnn1, wx, p->patch_width, p->pitch, patches->count, p->tile, false, false);
    rnnp_kernel_cell_round(p->tile, p->tile1);
    rnnp_kernel_cell_input(&p->rnn2, p->tile, patches->count, products, RNNP_LANES);
}

// W2 times the summaries of row i of the patches that end in row y: where they are, or are to be. `ring`: the group's first tile.
static int16_t *products_of(const pool_t *p, int16_t *ring, uint32_t y, uint32_t i) {
    if (!pools_at_once(p)) {
        return i == p->patch_height - 1 ? p->rows : ring + (y + i) % (p->patch_height - 1) * p->ring_row;
    }
    return i < p->shared ? ring + i * p->tile2 : p->rows + (i - p->shared) * p->tile2;
}

// What of the patches that end in row y later ones need goes to the ring.
static void keep_products(const pool_t *p, int16_t *ring, uint32_t y) {
    uint32_t bytes = p->tile2 * (uint32_t)sizeof(*ring), height = p->patch_height;
    if (!pools_at_once(p)) {
        memcpy(products_of(p, ring, y, 0), p->rows, bytes);
        return;
    }
    for (uint32_t i = 0; i < p->shared; i++) {
        memcpy(ring + i * p->tile2, products_of(p, ring, y, i + height - p->shared), bytes);
    }
}

// W1 times the pixels of RNNP_LANES strides of all rows of a patch from u on. Returns how many phases have some.
static uint32_t take_rows(pool_t *p, uint32_t u) {
    uint32_t used = 0;
    for (uint32_t lanes; used < p->phases && (lanes = lanes_of(p, u, used)) > 0; used++) {
        uint32_t column = u * p->stride + used;
        for (uint32_t i = 0; i < p->patch_height; i++) {
            p->input[i] += (column - p->column) * p->rnn1.inputs;
        }
        p->column = column;
        take_pixels(p, p->input, p->patch_height, lanes, map_at(&p->pixels, used, p->overlap), p->row_values);
    }
    return used;
}

// Takes input row y: sweeps it for each window of columns, and the columns a step; or, at once, all rows of a patch.
//   out  where the row of patches goes whose last input row this is; else NULL
static void take_row(pool_t *p, uint32_t y, int8_t *out) {
    uint32_t h2 = p->rnn2.hidden, made = p->step->node->rows_made, height = p->patch_height;
    uint32_t end = made; // of the rows of patches whose columns go a step further
    if (!pools_at_once(p)) {
        end = rnnp_min_u32(rnnp_min_u32(y / p->stride + 1, made + p->depth), patch_rows(p->step->op));
    }
    uint32_t count = pools_at_once(p) ? height : 1; // rows to take now, of which the first may be known
    uint32_t known = pools_at_once(p) && made != 0 ? p->shared : height - count;
    int16_t *ring = p->ring; // the group's first tile
    rnnp_kernel_cell_pack(&p->rnn1);
    rnnp_kernel_cell_pack(&p->rnn2);
    if (RNNP_WITH_ANY_CELL && p->rnn1.smooth) {
        rnnp_kernel_cell_table(p->rnn1.table);
    }
    p->column = 0;
    for (uint32_t i = 0; i < count; i++) {
        p->input[i] = rnnp_input_row(p->step, 0, y + 1 - count + i);
    }
    for (uint32_t u = 0; u < p->patch_columns + p->overlap; u += RNNP_LANES) {
        const int16_t *wx[RNNP_MAX_PATCH];
        patches_t patches = patches_of(p, u);
        carry_over(p, p->pixels.values, count * p->phases * pairs(p->rnn1.hidden));
        uint32_t used = pools_at_once(p) ? take_rows(p, u) : take_strides(p, u, wx); // phases
        for (uint32_t i = made; RNNP_WITH_BY_STEP && i < end; i++) {
            rnnp_kernel_cell_sweep(
                &p->rnn1, wx, used, p->pitch, lanes_of(p, u, 0), states_at(p, i, u), true, y > i * p->stride);
        }
        for (uint32_t i = known; patches.count > 0 && i < height; i++) {
            sweep_row(p, i + count - height, &patches, products_of(p, ring, y, i));
        }
        if (out != NULL) {
            carry_over(p, p->columns.values, p->phases * pairs(h2));
            for (uint32_t b = 0; b < used; b++) {
                take_columns(p, u, b);
            }
        }
        if (patches.count == 0) {
            continue;
        }
        if (out != NULL) {
            int8_t *first = out + patches.first * 4 * h2;
            for (uint32_t i = 0; i < height; i++) {
                wx[i] = products_of(p, ring, y, i);
            }
            pool_summaries(p, wx, height, RNNP_LANES, patches.count, first);
            get_columns(p, &p->columns, patches.lane, wx);
            pool_summaries(p, wx, p->patch_width, p->pitch, patches.count, first + 2 * h2);
        }
        keep_products(p, ring, y);
        ring += pools_at_once(p) ? p->shared * p->tile2 : p->tile2;
    }
}

// The next output row is a copy of the last.
static void replicate_row(const rnnp_step_t *s, int8_t *out, uint32_t bytes) {
    const int8_t *last = rnnp_ring_row(s->context, s->node, s->node->rows_made - 1u);
    if (last != out) { // in a ring of one row it is there already
        memcpy(out, last, bytes);
    }
}

static void step(const rnnp_step_t *s) {
    rnnp_node_t *node = s->node;
    uint32_t bytes = (uint32_t)s->op->out_width * s->op->out_channels;
    int8_t *out = node->makes ? s->out : NULL;
    if (node->rows_made >= patch_rows(s->op)) {
        replicate_row(s, out, bytes);
        return;
    }
    pool_t pool;
    get_pool(s, &pool);
    if (pools_at_once(&pool) ? out != NULL
                             : node->steps % pool.stride < pool.patch_height) { // else it lies between patches
        take_row(&pool, node->steps, out);
    }
    if (out != NULL) {
        uint32_t pixel = s->op->out_channels;
        for (int8_t *to = out + pool.patch_columns * pixel; to < out + bytes; to += pixel) {
            memcpy(to, to - pixel, pixel);
        }
    }
}

#define AT(name) (offsetof(rnnp_op_t, fields) + offsetof(fields_t, name))
static const rnnp_field_t fields[] = {
    { "patch height", AT(kernel), 0, 1, RNNP_MAX_PATCH },
    { "patch width", AT(kernel_w), 0, 1, RNNP_MAX_PATCH },
    { "stride", AT(stride), 0, 1, RNNP_MAX_PATCH },
    { "pad_bottom", AT(pad_bottom), 0, 0, 8 },
    { "pad_right", AT(pad_right), 0, 0, 8 },
    { "reserved", AT(reserved), 0, 0, 0 },
    { "hidden size", AT(hidden), 1, 1, RNNP_MAX_HIDDEN },
    { "shift_w1", AT(shift[0]), 0, 0, 24 },
    { "shift_u1", AT(shift[1]), 0, 0, 24 },
    { "shift_w2", AT(shift[2]), 0, 0, 24 },
    { "shift_u2", AT(shift[3]), 0, 0, 24 },
    { "zeta1", AT(update[0]), 1, 0, 32768 },
    { "nu1", AT(update[1]), 1, 0, 32767 },
    { "zeta2", AT(update[2]), 1, 0, 32768 },
    { "nu2", AT(update[3]), 1, 0, 32767 },
};

const rnnp_operator_t rnnp_rnnpool = {
    .flags = RNNP_FLAG_SMOOTH,
    .fields = RNNP_FOR_CHECKS(fields),
    .fixed_zero_point = true,
    .unclamped = true,
    .num_fields = RNNP_FIELDS(fields),
    .fields_size = sizeof(fields_t),
    .check = RNNP_FOR_CHECKS(check),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = timing,
    .macs = macs,
    .work_name = "row summaries",
    .work = work,
    .scratch = scratch,
    .step = step,
};
