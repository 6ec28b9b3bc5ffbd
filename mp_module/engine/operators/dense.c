// This file is part of rnnpool. MIT licence, see LICENSE.
//
// DENSE: a classifier's logits, by a head on a map of one pixel.
#include "conv.h"

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    return rnnp_check_equal(c, "in_height", op->in_height, 1) && rnnp_check_equal(c, "in_width", op->in_width, 1) &&
        rnnp_conv_check(c, op);
}

static void step(const rnnp_step_t *s) {
    rnnp_conv_row(s, true);
}

static const rnnp_field_t fields[] = {
    RNNP_FIELD(rnnp_op_t, kernel, 1, 1),
    RNNP_FIELD(rnnp_op_t, kernel_w, 1, 1),
    RNNP_FIELD(rnnp_op_t, stride, 1, 1),
    RNNP_FIELD(rnnp_op_t, act_min, -128, -128),
    RNNP_FIELD(rnnp_op_t, act_max, 127, 127),
    RNNP_FIELD(rnnp_op_t, out_channels, 2, RNNP_MAX_LABELS),
};

const rnnp_operator_t rnnp_dense = {
    .task = RNNP_TASK_CLASSIFICATION,
    .fields = fields,
    .num_fields = RNNP_FIELDS(fields),
    .check = check,
    .layout = rnnp_conv_layout,
    .check_parameters = rnnp_conv_check_parameters,
    .timing = rnnp_conv_timing,
    .macs = rnnp_conv_macs,
    .scratch = rnnp_conv_scratch,
    .step = step,
};
