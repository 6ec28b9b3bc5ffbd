// This file is part of rnnpool. MIT licence, see LICENSE.
//
// LOOKUP: each value by a table of 256: any pointwise activation.
#include "elementwise.h"

#define TABLE_SIZE (256)

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    (void)op;
    rnnp_layout_add(layout, TABLE_SIZE);
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int8_t *in = rnnp_input_row(s, 0, s->node->rows_made);
    const int8_t *table = (const int8_t *)rnnp_parameters(s, 0) + TABLE_SIZE / 2; // of value 0
    uint32_t count = (uint32_t)op->out_width * op->out_channels;
    int8_t *out = s->out;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = table[in[i]];
    }
}

const rnnp_operator_t rnnp_lookup = {
    .unclamped = true,
    .check = RNNP_FOR_CHECKS(rnnp_elementwise_check_shape),
    .layout = layout,
    .timing = rnnp_elementwise_timing,
    .macs = rnnp_elementwise_macs,
    .step = step,
};
