// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Detections: from a head's rows to a bounded list of candidates (docs/arithmetic.md, section 4).
#ifndef RNNP_DETECT_H
#define RNNP_DETECT_H

#include <stdint.h>

#include "run.h"

// A box that may become a detection. The arena holds at most max_candidates of them, best first.
typedef struct {
    int16_t box[4]; // x1, y1, x2, y2 in 1/16 pixel of the model's input
    int16_t logit; // Q12
    uint16_t anchor; // index
} rnnp_candidate_t;

// The smallest logit whose score reaches the threshold (Q15, 0..32767); 32768 if none does.
int32_t rnnp_detect_logit_min(uint16_t threshold_q15);

// Decodes the row that a head has just made and keeps the candidates among it.
void rnnp_detect_row(const rnnp_step_t *s, const int16_t *row);

#endif // RNNP_DETECT_H
