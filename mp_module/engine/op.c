// This file is part of rnnpool. MIT licence, see LICENSE.
#include "op.h"

const rnnp_op_t *rnnp_op(const rnnp_model_t *model, uint32_t index) {
    const rnnp_op_t *table = (const void *)(model->blob + rnnp_header(model)->ops_offset);
    return &table[index];
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

// Products of two numbers, which are below 2^32 each for all shapes that there are.
static uint64_t multiply(uint32_t a, uint32_t b) {
    return (uint64_t)a * b;
}

static uint64_t rnnpool_macs(const rnnp_op_t *op) {
    uint32_t rows = op->kernel, columns = op->kernel_w, s = op->stride;
    uint32_t h1 = op->mid_channels, h2 = op->out_channels / 4u;
    uint32_t n_y = rnnp_op_patch_rows(op), n_x = rnnp_op_patch_columns(op);
    // Pixel rows and columns that some patch covers.
    uint32_t used_y = (n_y - 1) * rnnp_min_u32(s, rows) + rows;
    uint32_t used_x = (n_x - 1) * rnnp_min_u32(s, columns) + columns;
    uint64_t products = multiply(h1 * op->in_channels, used_y * used_x + n_y * used_x * rows);
    uint64_t sweeps1 = multiply(h1 * h1, used_y * n_x * (columns - 1) + n_y * used_x * (rows - 1));
    uint64_t summaries = multiply(h2 * h1, used_y * n_x + n_y * used_x);
    uint64_t sweeps2 = multiply(h2 * h2, n_y * n_x * 2 * (rows - 1 + columns - 1));
    return products + sweeps1 + summaries + sweeps2;
}

uint32_t rnnp_op_macs(const rnnp_op_t *op) {
    uint32_t in = (uint32_t)op->in_height * op->in_width, out = (uint32_t)op->out_height * op->out_width;
    uint64_t macs;
    if (op->kind == RNNP_RNNPOOL) {
        macs = rnnpool_macs(op);
    } else if (op->kind == RNNP_INVERTED_RESIDUAL) {
        uint32_t taps = 9u + op->out_channels;
        macs = multiply(in, (uint32_t)op->in_channels * op->mid_channels) + multiply(out, op->mid_channels * taps);
        macs += rnnp_op_residual(op) ? multiply(out, op->out_channels) : 0;
    } else if (op->kind == RNNP_GLOBAL_AVERAGE_POOL) {
        macs = multiply(in, op->in_channels);
    } else {
        macs = multiply(out, (uint32_t)op->out_channels * op->kernel * op->kernel * op->in_channels);
    }
    return macs < UINT32_MAX ? (uint32_t)macs : UINT32_MAX;
}
