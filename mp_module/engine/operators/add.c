// This file is part of rnnpool. MIT licence, see LICENSE.
//
// ADD: the sum of two maps, each with a weight, rounded once.
#include "elementwise.h"

bool rnnp_sum_check_parameters(const rnnp_check_t *check, const rnnp_op_t *op, const void *const *arrays) {
    const int32_t *weights = arrays[0];
    for (uint32_t i = 0; i < op->num_inputs; i++) {
        if (!rnnp_check_range(check, "weight", weights[i], 1 - RNNP_SUM_LIMIT, RNNP_SUM_LIMIT - 1)) {
            return false;
        }
    }
    return true;
}

static bool check_inputs(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    const rnnp_op_t *other = rnnp_input_op(model, op, 1);
    return rnnp_check_equal(c, "height of input 1", other->out_height, op->in_height) &&
        rnnp_check_equal(c, "width of input 1", other->out_width, op->in_width) &&
        rnnp_check_equal(c, "channels of input 1", other->out_channels, op->in_channels) &&
        rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels);
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    uint32_t y = s->node->rows_made, count = (uint32_t)op->out_width * op->out_channels;
    const int8_t *a = rnnp_input_row(s, 0, y), *b = rnnp_input_row(s, 1, y);
    const int32_t *weights = rnnp_parameters(s, 0);
    int32_t weight_a = weights[0], weight_b = weights[1];
    int32_t zero_a = op->in_zero_point, zero_b = rnnp_input_op(s->context->model, op, 1)->out_zero_point;
    int8_t *out = s->out;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = rnnp_sum_value(op, (a[i] - zero_a) * weight_a + (b[i] - zero_b) * weight_b);
    }
}

const rnnp_operator_t rnnp_add = {
    .min_inputs = 2,
    .max_inputs = 2,
    .max_shift = RNNP_MAX_SHIFT,
    .check = rnnp_elementwise_check,
    .check_inputs = check_inputs,
    .layout = rnnp_sum_layout,
    .check_parameters = rnnp_sum_check_parameters,
    .timing = rnnp_elementwise_timing,
    .macs = rnnp_elementwise_macs,
    .step = step,
};
