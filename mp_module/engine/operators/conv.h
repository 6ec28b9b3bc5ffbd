// This file is part of rnnpool. MIT licence, see LICENSE.
//
// An output row of a convolution: what CONV, DETECT_HEAD and DENSE have in common.
#ifndef RNNP_CONV_H
#define RNNP_CONV_H

#include "window.h"

#define RNNP_MAX_CONV_ROWS (16) // of the window

enum { RNNP_WEIGHT, RNNP_BIAS, RNNP_MULTIPLIER, RNNP_EXPONENT }; // its first arrays, the last not always

bool rnnp_conv_check(const rnnp_check_t *check, const rnnp_op_t *op);
void rnnp_conv_layout(rnnp_layout_t *layout, const rnnp_op_t *op);
bool rnnp_conv_check_parameters(const rnnp_check_t *check, const rnnp_op_t *op, const void *const *arrays);
uint64_t rnnp_conv_macs(const rnnp_op_t *op);
uint32_t rnnp_conv_scratch(const rnnp_op_t *op);

// Makes the next row: int8, or, of a head, int16.
void rnnp_conv_row(const rnnp_step_t *s, bool head);

#endif // RNNP_CONV_H
