// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Candidates of detections: from a head's rows to a bounded list of boxes (docs/arithmetic.md, section 4).
#ifndef RNNP_HEAD_H
#define RNNP_HEAD_H

#include "window.h"

enum { RNNP_ANCHORS = 3 }; // its fourth array, behind a convolution's: u16 [anchors][2]

// Its own fields.
typedef struct {
    rnnp_window_t window;
    uint16_t step; // pixels a cell
    uint8_t num_anchors, reserved;
} rnnp_head_t;

static inline const rnnp_head_t *rnnp_head(const rnnp_op_t *op) {
    return (const void *)op->fields;
}

// A box that may become a detection. The arena holds at most max_candidates of them, best first.
typedef struct {
    int16_t box[4]; // x1, y1, x2, y2 in 1/16 pixel of the model's input
    int16_t logit; // Q12
    uint16_t anchor; // index
} rnnp_candidate_t;

// Anchors of all heads among the first `num_ops` operators.
uint32_t rnnp_head_anchors(const rnnp_model_t *model, uint32_t num_ops);

#endif // RNNP_HEAD_H
