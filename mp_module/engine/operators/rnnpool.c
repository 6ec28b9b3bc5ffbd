// This file is part of rnnpool. MIT licence, see LICENSE.
//
// RNNPOOL (Saha et al., NeurIPS 2020, Algorithm 1), streaming, with the sweeps of overlapping patches shared.
//
// The summary of a patch's row depends on that row's pixels only, so all patches above and below that have the same
// columns share it; likewise for columns. An input row is swept at once for every window of columns. Columns are swept
// in one of two ways, whichever needs less memory: step by step, as rows come, where the states of sweeps in progress are
// not more than the rows that would have to be kept; or else, from a ring of input rows, when a row of patches is complete,
// left to right, each for all patches that share it. Between them is a third, which the blob may ask for: step by step, but
// for one row of patches at a time. When it is complete, the next one's steps so far are made up for from a ring of the
// rows that both have.
//
// Sequences are swept RNNP_LANES at a time (kernels.h), side by side: patch j and its neighbours, and so columns that are
// a stride apart. A map of products therefore has one *phase* for each column within a stride, and in it one lane for
// each stride: column (u * stride + b) is lane u of phase b. Patch j begins at lane j of phase 0. Lanes of strides that
// patches yet to come share, the `overlap`, are carried over to the next group.
//
//   states   of the columns' sweeps in progress, if they are kept: [rows of patches][group][phase] tiles
//   ring     summary of each row and window of columns, [kernel][patch columns][h1] int8; row y in slot y % kernel
//   scratch  packed cells; the table of smooth non-linearities; tile: last states
//            columns: W2 times the column summaries of RNNP_LANES patches, [phases]...
//            pixels: W1 x of the pixels of a row, [phases]...
//            rows: W1 x of RNNP_LANES columns in the rows before that are swept at once, then W2 times the row
//            summaries of RNNP_LANES patches, [kernel]...
#include <string.h>

#include "../kernels/kernels.h"
#include "../numeric.h"
#include "operator.h"

enum { W1, U1, BZ1, BH1, W2, U2, BZ2, BH2 }; // its arrays, in their order

// A map of products.
typedef struct {
    int16_t *values;
    uint32_t phase; // from a phase to the next, in values
} map_t;

typedef struct {
    const rnnp_step_t *step;
    rnnp_cell_t rnn1, rnn2;
    uint32_t patch_height, patch_width, stride;
    uint32_t patch_columns;
    uint32_t phases, overlap, pitch;
    uint32_t tile1; // values of a tile of states of RNN1
    int8_t *ring;
    int16_t *states;
    uint32_t kept, state_row; // rows of patches whose states are kept, and values of one; both 0 if none is
    uint32_t swept; // rows that columns are swept over at once, to the last one, when a row of patches is complete
    map_t pixels, columns; // products with W1, with W2
    int16_t *tile, *rows;
    const int8_t *input[RNNP_MAX_PATCH]; // a column of those rows, but of the last
    uint32_t column;
} pool_t;

typedef struct {
    uint8_t kernel, kernel_w; // patch
    uint8_t stride;
    uint8_t pad_bottom, pad_right; // copies of the last row and column
    uint8_t keep; // 1: states of the columns of one row of patches, if not those of all are kept
    uint16_t hidden; // of RNN1
    uint8_t shift_w1, shift_u1, shift_w2, shift_u2;
    uint16_t zeta1, nu1, zeta2, nu2; // Q15
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

// Those of them whose columns' states are kept: all, if that is no more than the input rows; or one, if that is asked for.
static uint32_t kept_rows(const rnnp_op_t *op) {
    uint32_t states = depth(op) * RNNP_TILE_VALUES(get(op)->hidden) / RNNP_LANES * (uint32_t)sizeof(int16_t);
    return states <= (get(op)->kernel - 1u) * op->in_channels ? depth(op) : get(op)->keep;
}

// Rows of a patch that columns are swept over at once: all, or those that the next patch has as well, or none.
static uint32_t swept_rows(const rnnp_op_t *op) {
    uint32_t kept = kept_rows(op);
    return kept == 0 ? get(op)->kernel : kept < depth(op) ? get(op)->kernel - get(op)->stride : 0;
}

// Values of the states of a row of patches.
static uint32_t state_row(const rnnp_op_t *op) {
    uint32_t groups = (patch_columns(op) + overlap(op) + RNNP_LANES - 1) / RNNP_LANES;
    return kept_rows(op) != 0 ? groups * phases(op) * RNNP_TILE_VALUES(get(op)->hidden) : 0;
}

// Values of a map of products; kernels read up to `overlap` lanes more than there are.
static uint32_t map_values(const rnnp_op_t *op, uint32_t hidden) {
    return (phases(op) * pairs(hidden) * (RNNP_LANES + overlap(op)) + overlap(op)) * 2;
}

// Values of the products of the rows of a patch: with W1 of a phase in all swept rows but the last, or with W2.
static uint32_t row_values(const rnnp_op_t *op) {
    uint32_t swept = rnnp_max_u32(swept_rows(op), 1),
             pixels = (swept - 1) * pairs(get(op)->hidden) * (RNNP_LANES + overlap(op));
    return rnnp_max_u32(2 * pixels, get(op)->kernel * RNNP_TILE_VALUES(hidden2(op)));
}

static uint32_t work(const rnnp_op_t *op) {
    return kept_rows(op) * state_row(op) * (uint32_t)sizeof(int16_t) +
        get(op)->kernel * patch_columns(op) * get(op)->hidden;
}

static uint32_t scratch(const rnnp_op_t *op) {
    uint32_t in = op->in_channels, h1 = get(op)->hidden, h2 = hidden2(op);
    uint32_t values = RNNP_TILE_VALUES(rnnp_max_u32(h1, h2)) + map_values(op, h2) + map_values(op, h1) + row_values(op);
    uint32_t table = RNNP_WITH_ANY_CELL && op->flags & RNNP_FLAG_SMOOTH ? RNNP_CELL_TABLE_WORDS : 0;
    return values * (uint32_t)sizeof(int16_t) +
        (RNNP_CELL_WORDS(in, h1) + RNNP_CELL_WORDS(h1, h2) + table) * (uint32_t)sizeof(uint32_t);
}

static uint32_t out_size(const rnnp_op_t *op, uint32_t size, uint32_t patch, uint32_t pad) {
    return (size - patch) / get(op)->stride + 1 + pad;
}

// A cell that the fastest loops are made for: hard, of 8 with a shift of 16, or of 16 with one of 15 or 16; the new state z h + (1 - z) g.
static bool is_usual(uint32_t hidden, uint32_t shift_u, uint32_t zeta, uint32_t nu) {
    return (shift_u == 16 ? hidden == 8 || hidden == 16 : shift_u == 15 && hidden == 16) && zeta == 32768 && nu == 0;
}

static bool has_usual_cells(const rnnp_op_t *op) {
    const fields_t *f = get(op);
    uint32_t in = op->in_channels;
    return (op->flags & RNNP_FLAG_SMOOTH) == 0 && is_usual(f->hidden, f->shift_u1, f->zeta1, f->nu1) &&
        is_usual(hidden2(op), f->shift_u2, f->zeta2, f->nu2) &&
        (in == 8 || in == 16 || (in == 4 && f->shift_w1 >= 6 && f->shift_w1 <= 12));
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    if (!RNNP_WITH_ANY_CELL && !has_usual_cells(op)) {
        return rnnp_left_out(c, "ANY_CELL");
    }
    return (op->out_channels % 4 == 0 || rnnp_bad(c, "out_channels", 4, op->out_channels)) &&
        rnnp_check_range(c, "out_channels", op->out_channels, 4, 4 * RNNP_MAX_HIDDEN) &&
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

static bool check_matrix(const rnnp_check_t *c, const char *what, const int16_t *rows, uint32_t outputs,
    uint32_t inputs, uint32_t largest_input) {
    for (uint32_t o = 0; o < outputs; o++) {
        uint32_t weights = 0; // at most 2^25
        for (uint32_t i = 0; i < inputs; i++) {
            weights += rnnp_magnitude(*rows++);
        }
        uint64_t sum = (uint64_t)weights * largest_input;
        if (sum > INT32_MAX) {
            return rnnp_bad(c, what, INT32_MAX, sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
        }
    }
    return true;
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    uint32_t h1 = get(op)->hidden, h2 = hidden2(op);
    return check_matrix(c, "w1", arrays[W1], h1, op->in_channels, 255) &&
        check_matrix(c, "u1", arrays[U1], h1, h1, 32768) && check_matrix(c, "w2", arrays[W2], h2, h1, 32768) &&
        check_matrix(c, "u2", arrays[U2], h2, h2, 32768);
}

static void timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    uint32_t first = made * get(op)->stride,
             used = (patch_rows(op) - 1) * get(op)->stride + get(op)->kernel; // rows of some patch
    bool replicate = made >= patch_rows(op);
    timing->need = (uint16_t)rnnp_min_u32(steps + 1, used);
    // Columns are swept over rows before the newest; those of the next patch once more, if there is one.
    uint32_t swept = swept_rows(op), oldest = first + get(op)->kernel - swept;
    bool sweeps = swept != 0 && (swept == get(op)->kernel || made + 1 < patch_rows(op));
    timing->oldest = (uint16_t)(sweeps ? rnnp_min_u32(steps, oldest) : steps);
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

// Fills in a cell whose arrays are numbered from `array` on. Returns what is behind its packed copy.
__attribute__((noinline)) static uint32_t *get_cell(
    const rnnp_step_t *s, rnnp_cell_t *cell, uint32_t array, uint32_t inputs, uint32_t hidden, uint32_t *packed) {
    const rnnp_op_t *op = s->op;
    bool first = array == W1;
    cell->w = rnnp_parameters(s, array);
    cell->u = rnnp_parameters(s, array + 1);
    cell->bz = rnnp_parameters(s, array + 2);
    cell->bh = rnnp_parameters(s, array + 3);
    cell->inputs = (uint16_t)inputs;
    cell->hidden = (uint16_t)hidden;
    cell->shift_w = first ? get(op)->shift_w1 : get(op)->shift_w2;
    cell->shift_u = first ? get(op)->shift_u1 : get(op)->shift_u2;
    cell->zeta = first ? get(op)->zeta1 : get(op)->zeta2;
    cell->nu = first ? get(op)->nu1 : get(op)->nu2;
    cell->smooth = (op->flags & RNNP_FLAG_SMOOTH) != 0;
    cell->packed = packed;
    return packed + RNNP_CELL_WORDS(inputs, hidden);
}

static void get_pool(const rnnp_step_t *s, pool_t *pool) {
    const rnnp_op_t *op = s->op;
    uint32_t h1 = get(op)->hidden, h2 = hidden2(op);
    uint32_t *packed = get_cell(s, &pool->rnn1, W1, op->in_channels, h1, rnnp_scratch(s));
    packed = get_cell(s, &pool->rnn2, W2, h1, h2, packed);
    if (RNNP_WITH_ANY_CELL && pool->rnn1.smooth) {
        pool->rnn1.table = pool->rnn2.table = packed;
        packed += RNNP_CELL_TABLE_WORDS;
    }
    pool->step = s;
    pool->patch_height = get(op)->kernel;
    pool->patch_width = get(op)->kernel_w;
    pool->stride = get(op)->stride;
    pool->patch_columns = patch_columns(op);
    pool->phases = phases(op);
    pool->overlap = overlap(op);
    pool->pitch = RNNP_LANES + overlap(op);
    pool->tile1 = RNNP_TILE_VALUES(h1);
    pool->states = rnnp_work(s);
    pool->state_row = state_row(op);
    pool->kept = kept_rows(op);
    pool->ring = (int8_t *)(pool->states + pool->kept * pool->state_row);
    pool->tile = (int16_t *)packed;
    pool->columns = (map_t){ pool->tile + RNNP_TILE_VALUES(rnnp_max_u32(h1, h2)), pairs(h2) * 2 * pool->pitch };
    pool->pixels = (map_t){ pool->columns.values + map_values(op, h2), pairs(h1) * 2 * pool->pitch };
    pool->rows = pool->pixels.values + map_values(op, h1);
}

static int16_t *map_at(const map_t *map, uint32_t phase, uint32_t lane) {
    return map->values + phase * map->phase + 2 * lane;
}

// Makes the lanes of strides that the next group shares its first ones.
static void carry_over(const pool_t *p, const map_t *map) {
    uint32_t pitch = p->pitch;
    uint32_t *row = (uint32_t *)map->values, *end = (uint32_t *)map_at(map, p->phases, 0);
    for (uint32_t lane = 0; lane < p->overlap; lane++) {
        uint32_t *to = row + lane;
        while (end - to > (int32_t)(3 * pitch)) { // four at a time; less than 0 behind the last
            uint32_t *second = to + pitch, *third = second + pitch, *fourth = third + pitch;
            *to = to[RNNP_LANES];
            *second = second[RNNP_LANES];
            *third = third[RNNP_LANES];
            *fourth = fourth[RNNP_LANES];
            to = fourth + pitch;
        }
        for (; to < end; to += pitch) {
            *to = to[RNNP_LANES];
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
static void take_pixels(const pool_t *p, const int8_t *const *pixels, uint32_t tiles, uint32_t lanes, int16_t *wx) {
    const rnnp_op_t *op = p->step->op;
    rnnp_kernel_cell_input8(&p->rnn1, pixels, tiles, p->stride * op->in_channels, lanes, op->in_zero_point, 0, wx,
        p->pixels.phase, p->pitch);
}

// The kept states of the columns of RNNP_LANES strides from u on, in patches of row `patch_row`: a tile a phase.
static int16_t *states_at(const pool_t *p, uint32_t patch_row, uint32_t u) {
    return p->states + patch_row % p->kept * p->state_row + u / RNNP_LANES * p->phases * p->tile1;
}

// Sweeps the columns of RNNP_LANES strides from u on that have this phase over the rows that are swept at once. The products
// of the last one are in `pixels`.
static void sweep_columns(pool_t *p, uint32_t u, uint32_t phase, int16_t *states) {
    const int16_t *wx[RNNP_MAX_PATCH];
    uint32_t lanes = lanes_of(p, u, phase), last = p->swept - 1, column = u * p->stride + phase;
    for (uint32_t i = 0; i < last; i++) {
        p->input[i] += (column - p->column) * p->rnn1.inputs;
        wx[i] = p->rows + i * p->pixels.phase;
    }
    p->column = column;
    if (last != 0) {
        take_pixels(p, p->input, last, lanes, p->rows);
    }
    wx[last] = map_at(&p->pixels, phase, p->overlap);
    rnnp_kernel_cell_sweep(&p->rnn1, wx, p->swept, p->pitch, lanes, states, false, false);
}

// W2 times the summaries of the columns of RNNP_LANES strides from u on that have this phase, from the states or the
// input ring.
static void take_columns(pool_t *p, uint32_t u, uint32_t phase) {
    int16_t *summaries = p->tile;
    if (p->kept != 0) {
        summaries = states_at(p, p->step->node->rows_made, u) + phase * p->tile1;
    } else {
        sweep_columns(p, u, phase, summaries);
    }
    rnnp_kernel_cell_input(
        &p->rnn2, summaries, lanes_of(p, u, phase), map_at(&p->columns, phase, p->overlap), p->pitch);
    if (p->kept != 0 && p->swept != 0) {
        sweep_columns(p, u, phase, summaries); // of the next row of patches, whose states are kept from now on
    }
}

// W2 times the row summaries of patches, from top to bottom; y is their last row.
static void get_rows(const pool_t *p, uint32_t y, const patches_t *patches, const int16_t **wx) {
    uint32_t h1 = p->rnn1.hidden;
    uint32_t next = RNNP_TILE_VALUES(p->rnn2.hidden);
    const int8_t *summaries[RNNP_MAX_PATCH];
    for (uint32_t i = 0; i < p->patch_height; i++) {
        summaries[i] = p->ring + ((y + 1 + i) % p->patch_height * p->patch_columns + patches->first) * h1;
        wx[i] = p->rows + i * next;
    }
    rnnp_kernel_cell_input8(&p->rnn2, summaries, p->patch_height, h1, patches->count, 0, 8, p->rows, next, RNNP_LANES);
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
        for (uint32_t t = 0; t < steps / 2; t++) {
            const int16_t *swapped = wx[t];
            wx[t] = wx[steps - 1 - t];
            wx[steps - 1 - t] = swapped;
        }
    }
}

// Takes input row y: its summaries, for each window of columns, and, if states are kept, the columns' step.
//   out  where the row of patches goes whose last input row this is; else NULL
static void take_row(pool_t *p, uint32_t y, int8_t *out) {
    uint32_t h1 = p->rnn1.hidden, h2 = p->rnn2.hidden, made = p->step->node->rows_made;
    uint32_t rows = patch_rows(p->step->op), end = rnnp_min_u32(rnnp_min_u32(y / p->stride + 1, made + p->kept), rows);
    int8_t *summaries = p->ring + y % p->patch_height * p->patch_columns * h1;
    const int8_t *row = rnnp_input_row(p->step, 0, y);
    rnnp_kernel_cell_pack(&p->rnn1);
    if (RNNP_WITH_ANY_CELL && p->rnn1.smooth) {
        rnnp_kernel_cell_table(p->rnn1.table);
    }
    if (out != NULL) {
        rnnp_kernel_cell_pack(&p->rnn2);
        p->column = 0;
        p->swept = p->kept == 0 || made + 1 < rows ? swept_rows(p->step->op) : 0;
        for (uint32_t i = 1; i < p->swept; i++) {
            p->input[i - 1] = rnnp_input_row(p->step, 0, y - p->swept + i);
        }
    }
    for (uint32_t u = 0; u < p->patch_columns + p->overlap; u += RNNP_LANES) {
        const int16_t *wx[RNNP_MAX_PATCH];
        uint32_t used = 0; // phases
        carry_over(p, &p->pixels);
        for (uint32_t lanes; used < p->phases && (lanes = lanes_of(p, u, used)) > 0;) {
            const int8_t *pixels[RNNP_MAX_PATCH];
            uint32_t tiles = 0; // phases with as many lanes
            do {
                pixels[tiles] = row + (u * p->stride + used + tiles) * p->rnn1.inputs;
                wx[used + tiles] = map_at(&p->pixels, used + tiles, p->overlap);
                tiles++;
            } while (used + tiles < p->phases && lanes_of(p, u, used + tiles) == lanes);
            take_pixels(p, pixels, tiles, lanes, map_at(&p->pixels, used, p->overlap));
            used += tiles;
        }
        for (uint32_t i = made; i < end; i++) {
            int16_t *states = states_at(p, i, u);
            rnnp_kernel_cell_sweep(&p->rnn1, wx, used, p->pitch, lanes_of(p, u, 0), states, true, y > i * p->stride);
        }
        if (out != NULL) {
            carry_over(p, &p->columns);
            for (uint32_t b = 0; b < used; b++) {
                take_columns(p, u, b);
            }
        }
        patches_t patches = patches_of(p, u);
        if (patches.count > 0) {
            get_columns(p, &p->pixels, patches.lane, wx);
            rnnp_kernel_cell_sweep(&p->rnn1, wx, p->patch_width, p->pitch, patches.count, p->tile, false, false);
            rnnp_kernel_cell_store(p->tile, h1, patches.count, summaries + patches.first * h1, h1);
            if (out != NULL) {
                int8_t *first = out + patches.first * 4 * h2;
                get_rows(p, y, &patches, wx);
                pool_summaries(p, wx, p->patch_height, RNNP_LANES, patches.count, first);
                get_columns(p, &p->columns, patches.lane, wx);
                pool_summaries(p, wx, p->patch_width, p->pitch, patches.count, first + 2 * h2);
            }
        }
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
    if (node->steps % pool.stride < pool.patch_height) { // else it lies between patches
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
    { "keep", AT(keep), 0, 0, 1 },
    { "hidden size", AT(hidden), 1, 1, RNNP_MAX_HIDDEN },
    { "shift_w1", AT(shift_w1), 0, 0, 24 },
    { "shift_u1", AT(shift_u1), 0, 0, 24 },
    { "shift_w2", AT(shift_w2), 0, 0, 24 },
    { "shift_u2", AT(shift_u2), 0, 0, 24 },
    { "zeta1", AT(zeta1), 1, 0, 32768 },
    { "nu1", AT(nu1), 1, 0, 32767 },
    { "zeta2", AT(zeta2), 1, 0, 32768 },
    { "nu2", AT(nu2), 1, 0, 32767 },
};

const rnnp_operator_t rnnp_rnnpool = {
    .flags = RNNP_FLAG_SMOOTH,
    .fields = fields,
    .fixed_zero_point = true,
    .unclamped = true,
    .num_fields = RNNP_FIELDS(fields),
    .fields_size = sizeof(fields_t),
    .check = check,
    .layout = layout,
    .check_parameters = check_parameters,
    .timing = timing,
    .macs = macs,
    .work_name = "row summaries",
    .work = work,
    .scratch = scratch,
    .step = step,
};
