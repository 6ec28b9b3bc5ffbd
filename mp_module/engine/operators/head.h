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
    uint8_t num_anchors;
    uint8_t more_classes; // than one
} rnnp_head_t;

static inline const rnnp_head_t *rnnp_head(const rnnp_op_t *op) {
    return (const void *)op->fields;
}

// A box that may become a detection. The arena holds at most max_candidates of them, best first.
typedef struct {
    int16_t box[4]; // x1, y1, x2, y2 in 1/16 pixel of the model's input
    int16_t logit; // Q12
    uint16_t place; // index of the anchor times the number of classes, plus the class
} rnnp_candidate_t;

static inline uint32_t rnnp_head_classes(const rnnp_op_t *op) {
    return RNNP_WITH_CLASSES ? rnnp_head(op)->more_classes + 1u : 1;
}

// Values of an anchor: a logit a class, dx, dy, tw, th.
static inline uint32_t rnnp_head_values(const rnnp_op_t *op) {
    return rnnp_head_classes(op) + 4;
}

// Anchors of all heads among the first `num_ops` operators, times their classes.
uint32_t rnnp_head_places(const rnnp_model_t *model, uint32_t num_ops);

#endif // RNNP_HEAD_H
