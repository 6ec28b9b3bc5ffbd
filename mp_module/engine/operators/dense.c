// This file is part of rnnpool. MIT licence, see LICENSE.
//
// DENSE: a classifier's logits, by a head whose window is the whole map.
#include "conv.h"

#define MAX_SHIFT (8) // logits have 12 fraction bits less the shift: up to 8, or 2048

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    const rnnp_window_t *w = rnnp_window(op);
    rnnp_check_output(c, op, 1, 1);
    rnnp_check_equal(c, "window height", w->height, op->in_height);
    rnnp_check_equal(c, "window width", w->width, op->in_width);
    rnnp_check_equal(c, "stride_h", w->stride_h, 1);
    rnnp_check_equal(c, "stride_w", w->stride_w, 1);
    rnnp_check_range(c, "out_channels", op->out_channels, 1, RNNP_MAX_LABELS);
    return rnnp_conv_check(c, op);
}

static void step(const rnnp_step_t *s) {
    rnnp_conv_row(s, true);
}

const rnnp_operator_t rnnp_dense = {
    .task = RNNP_TASK_CLASSIFICATION,
    .flags = RNNP_FLAG_WIDE,
    .max_shift = MAX_SHIFT,
    .fixed_zero_point = true,
    .unclamped = true,
    .fields_size = sizeof(rnnp_window_t),
    .check = RNNP_FOR_CHECKS(check),
    .layout = rnnp_conv_layout,
    .check_parameters = RNNP_FOR_CHECKS(rnnp_conv_check_parameters),
    .timing = rnnp_window_timing,
    .macs = rnnp_conv_macs,
    .scratch = rnnp_conv_scratch,
    .step = step,
};
