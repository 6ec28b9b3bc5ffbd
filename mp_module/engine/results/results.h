// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What a run must know of the results before they come.
#ifndef RNNP_RESULTS_H
#define RNNP_RESULTS_H

#include <stdint.h>

#include "../run.h"

// The smallest logit whose score reaches the threshold (Q15, 0..32767); 32768 if none does.
int32_t rnnp_detect_logit_min(uint16_t threshold_q15);

// Candidates of a picture that filled width x height of the input become those of the present run's size.
void rnnp_detect_rescale(const rnnp_context_t *c, uint16_t width, uint16_t height);

#endif // RNNP_RESULTS_H
