// This file is part of rnnpool. MIT licence, see LICENSE.
#include "op.h"

void rnnp_op_decode(rnnp_op_t *op, const uint8_t *r) {
    op->kind = r[0];
    op->flags = r[1];
    op->input = rnnp_read_u16(r + 2);
    op->in_height = rnnp_read_u16(r + 4);
    op->in_width = rnnp_read_u16(r + 6);
    op->in_channels = rnnp_read_u16(r + 8);
    op->out_height = rnnp_read_u16(r + 10);
    op->out_width = rnnp_read_u16(r + 12);
    op->out_channels = rnnp_read_u16(r + 14);
    op->kernel = r[16];
    op->kernel_w = r[17];
    op->stride = r[18];
    op->in_zero_point = (int8_t)r[19];
    op->out_zero_point = (int8_t)r[20];
    op->act_min = (int8_t)r[21];
    op->act_max = (int8_t)r[22];
    op->pad_bottom = r[23];
    op->pad_right = r[24];
    op->num_anchors = r[25];
    op->step = rnnp_read_u16(r + 26);
    op->mid_channels = rnnp_read_u16(r + 28);
    op->exp_zero_point = (int8_t)r[30];
    op->dw_zero_point = (int8_t)r[31];
    op->exp_min = (int8_t)r[32];
    op->exp_max = (int8_t)r[33];
    op->dw_min = (int8_t)r[34];
    op->dw_max = (int8_t)r[35];
    op->shift_w1 = r[36];
    op->shift_u1 = r[37];
    op->shift_w2 = r[38];
    op->shift_u2 = r[39];
    op->zeta1 = rnnp_read_u16(r + 40);
    op->nu1 = rnnp_read_u16(r + 42);
    op->zeta2 = rnnp_read_u16(r + 44);
    op->nu2 = rnnp_read_u16(r + 46);
    op->params_offset = rnnp_read_u32(r + 48);
    op->params_size = rnnp_read_u32(r + 52);
}

void rnnp_op_get(rnnp_op_t *op, const rnnp_model_t *model, uint32_t index) {
    uint32_t ops_offset = rnnp_read_u32(model->blob + 24);
    rnnp_op_decode(op, model->blob + ops_offset + index * RNNP_OP_SIZE);
}

// Appends an array of `size` bytes to a layout.
static void append(rnnp_layout_t *layout, uint32_t index, uint32_t size) {
    layout->offset[index] = rnnp_align(layout->size, RNNP_SECTION_ALIGNMENT);
    layout->size = layout->offset[index] + size;
}

// Bytes of the weights of a dense layer: outputs in pairs, inputs in whole blocks (SPEC.md).
static uint32_t dense_bytes(uint32_t outputs, uint32_t inputs) {
    return rnnp_weight_index(inputs, rnnp_align(outputs, 2), 0);
}

void rnnp_op_layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    uint32_t in = op->in_channels, mid = op->mid_channels, out = op->out_channels;
    *layout = (rnnp_layout_t){ .size = 0 };
    if (op->kind == RNNP_INVERTED_RESIDUAL) {
        append(layout, RNNP_EXPAND_WEIGHT, dense_bytes(mid, in));
        append(layout, RNNP_EXPAND_BIAS, 4 * mid);
        append(layout, RNNP_EXPAND_MULTIPLIER, 4 * mid);
        append(layout, RNNP_DEPTHWISE_WEIGHT, RNNP_DEPTHWISE_RECORD * mid);
        append(layout, RNNP_DEPTHWISE_BIAS, 4 * mid);
        append(layout, RNNP_DEPTHWISE_MULTIPLIER, 4 * mid);
        append(layout, RNNP_PROJECT_WEIGHT, dense_bytes(out, mid));
        append(layout, RNNP_PROJECT_BIAS, 4 * out);
        append(layout, RNNP_PROJECT_MULTIPLIER, 4 * out);
        if (rnnp_op_residual(op)) {
            append(layout, RNNP_RESIDUAL, 4 * out);
        }
    } else if (op->kind == RNNP_RNNPOOL) {
        uint32_t h1 = mid, h2 = out / 4;
        append(layout, RNNP_W1, 2 * h1 * in);
        append(layout, RNNP_U1, 2 * h1 * h1);
        append(layout, RNNP_BZ1, 2 * h1);
        append(layout, RNNP_BH1, 2 * h1);
        append(layout, RNNP_W2, 2 * h2 * h1);
        append(layout, RNNP_U2, 2 * h2 * h2);
        append(layout, RNNP_BZ2, 2 * h2);
        append(layout, RNNP_BH2, 2 * h2);
    } else if (op->kind == RNNP_GLOBAL_AVERAGE_POOL) {
        append(layout, RNNP_POOL_MULTIPLIER, 4);
    } else {
        append(layout, RNNP_WEIGHT, dense_bytes(out, (uint32_t)op->kernel * op->kernel * in));
        append(layout, RNNP_BIAS, 4 * out);
        append(layout, RNNP_MULTIPLIER, 4 * out);
        if (op->kind == RNNP_DETECT_HEAD) {
            append(layout, RNNP_ANCHORS, 4 * (uint32_t)op->num_anchors);
        }
    }
}

uint32_t rnnp_op_out_size(const rnnp_op_t *op, uint32_t size, uint32_t kernel, uint32_t pad) {
    if (op->kind == RNNP_RNNPOOL) {
        return size < kernel ? 0 : (size - kernel) / op->stride + 1 + pad;
    }
    if (op->kind == RNNP_GLOBAL_AVERAGE_POOL) {
        return 1;
    }
    return (size + 2 * ((kernel - 1) / 2) - kernel) / op->stride + 1;
}

static uint64_t rnnpool_macs(const rnnp_op_t *op) {
    uint64_t rows = op->kernel, columns = op->kernel_w, s = op->stride;
    uint64_t h1 = op->mid_channels, h2 = op->out_channels / 4;
    uint64_t n_y = rnnp_op_patch_rows(op), n_x = rnnp_op_patch_columns(op);
    // Pixel rows and columns that some patch covers.
    uint64_t used_y = s < rows ? (n_y - 1) * s + rows : n_y * rows;
    uint64_t used_x = s < columns ? (n_x - 1) * s + columns : n_x * columns;
    uint64_t products = h1 * op->in_channels * (used_y * used_x + n_y * used_x * rows);
    uint64_t sweeps1 = h1 * h1 * (used_y * n_x * (columns - 1) + n_y * used_x * (rows - 1));
    uint64_t summaries = h2 * h1 * (used_y * n_x + n_y * used_x);
    uint64_t sweeps2 = h2 * h2 * n_y * n_x * 2 * (rows - 1 + columns - 1);
    return products + sweeps1 + summaries + sweeps2;
}

uint32_t rnnp_op_macs(const rnnp_op_t *op) {
    uint64_t in = (uint64_t)op->in_height * op->in_width, out = (uint64_t)op->out_height * op->out_width;
    uint64_t macs;
    if (op->kind == RNNP_RNNPOOL) {
        macs = rnnpool_macs(op);
    } else if (op->kind == RNNP_INVERTED_RESIDUAL) {
        uint64_t taps = 9 + (uint64_t)op->out_channels;
        macs = in * op->in_channels * op->mid_channels + out * op->mid_channels * taps;
        macs += rnnp_op_residual(op) ? out * op->out_channels : 0;
    } else if (op->kind == RNNP_GLOBAL_AVERAGE_POOL) {
        macs = in * op->in_channels;
    } else {
        macs = out * op->out_channels * op->kernel * op->kernel * op->in_channels;
    }
    return macs < UINT32_MAX ? (uint32_t)macs : UINT32_MAX;
}
