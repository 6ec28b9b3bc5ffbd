// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What operators that make each value of the same place in their inputs have in common.
#include "elementwise.h"

void rnnp_elementwise_timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    (void)op;
    (void)steps;
    timing->need = (uint16_t)(made + 1);
    timing->oldest = (uint16_t)made;
    timing->makes = true;
}

uint64_t rnnp_elementwise_macs(const rnnp_op_t *op) {
    return rnnp_multiply(rnnp_op_pixels(op), op->out_channels);
}

bool rnnp_elementwise_check(const rnnp_check_t *check, const rnnp_op_t *op) {
    return rnnp_check_output(check, op, op->in_height, op->in_width);
}

bool rnnp_elementwise_check_other(
    const rnnp_check_t *check, const rnnp_model_t *model, const rnnp_op_t *op, uint32_t height, uint32_t width) {
    const rnnp_op_t *other = rnnp_input_op(model, op, 1);
    rnnp_check_equal(check, "height of input 1", other->out_height, (int32_t)height);
    rnnp_check_equal(check, "width of input 1", other->out_width, (int32_t)width);
    rnnp_check_equal(check, "channels of input 1", other->out_channels, op->in_channels);
    return rnnp_check_equal(check, "out_channels", op->out_channels, op->in_channels);
}

bool rnnp_elementwise_check_shape(const rnnp_check_t *check, const rnnp_op_t *op) {
    rnnp_check_equal(check, "out_channels", op->out_channels, op->in_channels);
    return rnnp_elementwise_check(check, op);
}
