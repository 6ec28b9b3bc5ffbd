// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What a run must know of the results before they come.
#ifndef RNNP_RESULTS_H
#define RNNP_RESULTS_H

#include <stdint.h>

// The smallest logit whose score reaches the threshold (Q15, 0..32767); 32768 if none does.
int32_t rnnp_detect_logit_min(uint16_t threshold_q15);

#endif // RNNP_RESULTS_H
