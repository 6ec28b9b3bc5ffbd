// This file is part of rnnpool. MIT licence, see LICENSE.
//
// CONCAT: the channels of several maps one behind the other, each map with a weight that brings it to the output's scale.
#include <string.h>

#include "elementwise.h"

static bool check_inputs(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    int32_t channels = 0;
    for (uint32_t i = 0; i < op->num_inputs; i++) {
        const rnnp_op_t *input = rnnp_input_op(model, op, i);
        channels += input->out_channels;
        rnnp_check_equal(c, "height of an input", input->out_height, op->in_height);
        rnnp_check_equal(c, "width of an input", input->out_width, op->in_width);
    }
    return rnnp_check_equal(c, "out_channels", op->out_channels, channels);
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int32_t *weights = rnnp_parameters(s, 0);
    int8_t *first = s->out;
    for (uint32_t i = 0; i < op->num_inputs; i++) {
        const rnnp_op_t *input = rnnp_input_op(s->context->model, op, i);
        const int8_t *in = rnnp_input_row(s, i, s->node->rows_made);
        uint32_t channels = input->out_channels;
        int32_t weight = weights[i], zero_point = input->out_zero_point;
        bool same = weight == 1 << (RNNP_SUM_BITS - op->shift) && zero_point == op->out_zero_point &&
            op->act_min == INT8_MIN && op->act_max == INT8_MAX;
        int8_t *out = first;
        for (uint32_t x = 0; x < op->out_width; x++, in += channels, out += op->out_channels) {
            if (same) {
                memcpy(out, in, channels);
                continue;
            }
            for (uint32_t c = 0; c < channels; c++) {
                out[c] = rnnp_sum_value(op, (in[c] - zero_point) * weight);
            }
        }
        first += channels;
    }
}

const rnnp_operator_t rnnp_concat = {
    .min_inputs = 2,
    .max_inputs = RNNP_MAX_INPUTS,
    .max_shift = RNNP_MAX_SHIFT,
    .check = RNNP_FOR_CHECKS(rnnp_elementwise_check),
    .check_inputs = RNNP_FOR_CHECKS(check_inputs),
    .layout = rnnp_sum_layout,
    .check_parameters = RNNP_FOR_CHECKS(rnnp_sum_check_parameters),
    .timing = rnnp_elementwise_timing,
    .macs = rnnp_elementwise_macs,
    .step = step,
};
