// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Operators that make each value of the same place in their inputs: ADD, CONCAT, MUL, LOOKUP, L2_NORM.
#ifndef RNNP_ELEMENTWISE_H
#define RNNP_ELEMENTWISE_H

#include "../numeric.h"
#include "operator.h"

#define RNNP_SUM_BITS (20) // fraction bits of the weights of a sum, less the operator's shift
#define RNNP_SUM_LIMIT (1 << 22) // the magnitude of a weight is below: two times 255 of them fit int32

void rnnp_elementwise_timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing);

uint64_t rnnp_elementwise_macs(const rnnp_op_t *op);

// Height and width of the output are the input's; in the second, channels as well.
bool rnnp_elementwise_check(const rnnp_check_t *check, const rnnp_op_t *op);
bool rnnp_elementwise_check_shape(const rnnp_check_t *check, const rnnp_op_t *op);

// A second input is height x width, its channels are the first one's and the output's.
bool rnnp_elementwise_check_other(
    const rnnp_check_t *check, const rnnp_model_t *model, const rnnp_op_t *op, uint32_t height, uint32_t width);

// One weight an input.
static inline void rnnp_sum_layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_layout_add(layout, 4u * op->num_inputs);
}

// Where a multiplication that rounds as TensorFlow Lite does has its numbers.
enum { RNNP_MULTIPLIERS, RNNP_EXPONENTS };

bool rnnp_sum_check_parameters(const rnnp_check_t *check, const rnnp_op_t *op, const void *const *arrays);

// A value of the output, from its distance to the zero point.
static inline int8_t rnnp_output_value(const rnnp_op_t *op, int32_t y) {
    return (int8_t)rnnp_clamp(op->out_zero_point + y, op->act_min, op->act_max);
}

// The value of a weighted sum of differences from zero points.
static inline int8_t rnnp_sum_value(const rnnp_op_t *op, int32_t sum) {
    uint32_t bits = RNNP_SUM_BITS - (uint32_t)op->shift;
    return rnnp_output_value(op, (sum + (1 << (bits - 1))) >> bits);
}

#endif // RNNP_ELEMENTWISE_H
