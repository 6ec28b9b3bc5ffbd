// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Operators that slide a window over their input: CONV, DETECT_HEAD, DENSE, ... The window is the first of their own
// fields.
#ifndef RNNP_WINDOW_H
#define RNNP_WINDOW_H

#include "operator.h"

#define RNNP_MAX_WINDOW (64) // rows, and columns

typedef struct {
    uint8_t height, width; // of the window
    uint8_t stride_h, stride_w;
    uint8_t top, left, bottom, right; // padding
} rnnp_window_t;

static inline const rnnp_window_t *rnnp_window(const rnnp_op_t *op) {
    return (const void *)op->fields;
}

// All fields of the window are in their ranges, padding is smaller than the window, which fits into the padded input, and
// the output has the shape that follows.
bool rnnp_window_check(const rnnp_check_t *check, const rnnp_op_t *op);

void rnnp_window_timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing);

// Pixels of the window.
static inline uint32_t rnnp_window_taps(const rnnp_op_t *op) {
    return (uint32_t)rnnp_window(op)->height * rnnp_window(op)->width;
}

#endif // RNNP_WINDOW_H
