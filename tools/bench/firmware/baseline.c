// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The baseline of the benchmark: RNNPOOL as its definition says it (Saha et al., NeurIPS 2020, Algorithm 1), each patch by
// itself, in place of the engine's own. The result is the same, bit for bit.
#define rnnp_rnnpool rnnp_rnnpool_shared // what it checks and counts is the same
#include "engine/operators/rnnpool.c"
#undef rnnp_rnnpool

typedef struct {
    rnnp_cell_t cell1, cell2;
    int16_t products[RNNP_MAX_PATCH][RNNP_MAX_HIDDEN];
    int16_t summaries[RNNP_MAX_PATCH][RNNP_MAX_HIDDEN];
    int16_t tile[RNNP_TILE_VALUES(RNNP_MAX_HIDDEN)];
} patch_t;

static patch_t patch; // fine here: this is not part of the engine

static void patch_timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    (void)steps;
    uint32_t top = rnnp_min_u32(made, patch_rows(op) - 1) * get(op)->stride;
    timing->need = (uint16_t)(top + get(op)->kernel);
    timing->oldest = (uint16_t)top;
    timing->makes = true;
}

// Element i of lane 0 of a tile; the other lanes are not used. Products have a pitch of 1: no other lanes.
static int16_t *in_tile(uint32_t i) {
    return &patch.tile[i / 2 * 2 * RNNP_LANES + i % 2];
}

static void sweep_cell(const rnnp_cell_t *cell, bool backwards, uint32_t steps) {
    const int16_t *wx[RNNP_MAX_PATCH];
    for (uint32_t t = 0; t < steps; t++) {
        wx[t] = patch.products[backwards ? steps - 1 - t : t];
    }
    rnnp_kernel_cell_sweep(cell, wx, steps, 1, 1, patch.tile, false, false);
}

static void product(const rnnp_step_t *s, uint32_t y, uint32_t x, uint32_t t) {
    uint32_t channels = s->op->in_channels;
    const int8_t *pixel = rnnp_input_row(s, 0, y) + x * channels;
    rnnp_kernel_cell_input8(&patch.cell1, &pixel, 1, 0, 1, s->op->in_zero_point, patch.products[t], 0, 1);
}

// Both directions of RNN2 over `count` summaries.
static int8_t *pool_sequences(uint32_t count, int8_t *out) {
    for (uint32_t backwards = 0; backwards < 2; backwards++) {
        for (uint32_t t = 0; t < count; t++) {
            for (uint32_t i = 0; i < patch.cell1.hidden; i++) {
                *in_tile(i) = patch.summaries[t][i];
            }
            rnnp_kernel_cell_input(&patch.cell2, patch.tile, 1, patch.products[t], 1);
        }
        sweep_cell(&patch.cell2, backwards != 0, count);
        rnnp_kernel_cell_store(patch.tile, patch.cell2.hidden, 1, out, 0);
        out += patch.cell2.hidden;
    }
    return out;
}

static void pool_patch(const rnnp_step_t *s, uint32_t top, uint32_t left, int8_t *out) {
    const rnnp_op_t *op = s->op;
    for (uint32_t y = 0; y < get(op)->kernel; y++) {
        for (uint32_t x = 0; x < get(op)->kernel_w; x++) {
            product(s, top + y, left + x, x);
        }
        sweep_cell(&patch.cell1, false, get(op)->kernel_w);
        for (uint32_t i = 0; i < get(op)->hidden; i++) { // rows' summaries are rounded
            patch.summaries[y][i] = (int16_t)(rnnp_sat8((*in_tile(i) + 128) >> 8) * 256);
        }
    }
    out = pool_sequences(get(op)->kernel, out);
    for (uint32_t x = 0; x < get(op)->kernel_w; x++) {
        for (uint32_t y = 0; y < get(op)->kernel; y++) {
            product(s, top + y, left + x, y);
        }
        sweep_cell(&patch.cell1, false, get(op)->kernel);
        for (uint32_t i = 0; i < get(op)->hidden; i++) {
            patch.summaries[x][i] = *in_tile(i);
        }
    }
    pool_sequences(get(op)->kernel_w, out);
}

static void patch_step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    uint32_t channels = op->out_channels, columns = op->out_width - (uint32_t)get(op)->pad_right,
             made = s->node->rows_made;
    int8_t *out = s->out;
    if (made < patch_rows(op)) {
        get_cell(s, &patch.cell1, W1, op->in_channels, get(op)->hidden);
        get_cell(s, &patch.cell2, W2, get(op)->hidden, hidden2(op));
        for (uint32_t j = 0; j < columns; j++) {
            pool_patch(s, made * get(op)->stride, j * get(op)->stride, out + j * channels);
        }
        for (uint32_t j = columns; j < op->out_width; j++) {
            memcpy(out + j * channels, out + (j - 1) * channels, channels);
        }
    } else {
        const int8_t *last = rnnp_ring_row(s->context, s->node, made - 1);
        memmove(out, last, (uint32_t)op->out_width * channels);
    }
}

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
    .timing = patch_timing,
    .macs = macs,
    .step = patch_step,
};
