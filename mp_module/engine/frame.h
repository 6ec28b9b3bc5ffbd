// This file is part of rnnpool. MIT licence, see LICENSE.
//
// From rows of a camera's frame to rows of the model's input (docs/arithmetic.md, section 1).
#ifndef RNNP_FRAME_H
#define RNNP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "rnnp.h"
#include "run.h"

#define RNNP_MAX_FRAME_SIDE (4096)

bool rnnp_frame_valid(const rnnp_frame_t *frame);

// The part of the model's input that a frame is scaled to fill, from its top left corner.
void rnnp_frame_letterbox(const rnnp_model_t *model, const rnnp_frame_t *frame, uint16_t *width, uint16_t *height);

// Bytes of the buffers for resampling along the columns; 0 if each row of the frame makes one row of the input.
uint32_t rnnp_frame_resample_bytes(const rnnp_model_t *model, const rnnp_frame_t *frame);

// Takes row `run->rows_in` of the frame. After that rnnp_frame_make_row() is called until it returns false, and only
// then is rows_in counted up.
void rnnp_frame_take_row(const rnnp_context_t *c, const uint8_t *row);

// Makes the next row of the model's input if the frame's rows so far allow it.
bool rnnp_frame_make_row(const rnnp_context_t *c);

#endif // RNNP_FRAME_H
