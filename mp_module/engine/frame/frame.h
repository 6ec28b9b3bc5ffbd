// This file is part of rnnpool. MIT licence, see LICENSE.
//
// From a camera's bytes to rows of the model's input (docs/arithmetic.md, section 1): what the graph sees of it.
//
//   frame.c     the way of a row: unpack, light, resample, pack    light.c     gain and offset, given or measured
//   formats.c   pixel formats, a row function each                 resample.c  shrinking and stretching, a row at a time
//   geometry.c  which part of a picture, which way round, and what memory that takes
#ifndef RNNP_FRAME_FRAME_H
#define RNNP_FRAME_FRAME_H

#include "../left_out.h"
#include "../rnnp.h"
#include "../run.h"

#define RNNP_MAX_FRAME_SIDE (4096)
#define RNNP_MAX_STRIDE (65536)
#define RNNP_MAX_BIAS (1 << 20) // Q8

// What a frame asks for: constants where firmware leaves it out (rnnp_frame_check() refuses what asks for it).
static inline uint32_t rnnp_frame_rotate(const rnnp_frame_t *frame) {
    return RNNP_WITH_VIEW ? frame->rotate : 0;
}

static inline bool rnnp_frame_mirror(const rnnp_frame_t *frame) {
    return RNNP_WITH_VIEW && frame->mirror;
}

static inline bool rnnp_frame_is_cut(const rnnp_frame_t *frame) {
    return RNNP_WITH_VIEW && frame->roi_width != 0;
}

static inline bool rnnp_frame_is_adjusted(const rnnp_frame_t *frame) {
    return RNNP_WITH_LIGHT && frame->light.gain != 0;
}

static inline bool rnnp_frame_is_measured(const rnnp_frame_t *frame) {
    return RNNP_WITH_LIGHT && frame->measure;
}

// Pixels of a row of the upright picture.
typedef struct {
    const uint8_t *row; // the stored row that the first one is in
    uint32_t x; // its column there
    ptrdiff_t step; // bytes to the row of the next one; 0: all are in one row
    bool reversed; // that row from right to left
} rnnp_line_t;

// Size of the upright picture.
void rnnp_frame_size(const rnnp_frame_t *frame, uint16_t *width, uint16_t *height);

// The part of the model's input that a frame is scaled to fill, from its top left corner.
void rnnp_frame_letterbox(const rnnp_model_t *model, const rnnp_frame_t *frame, uint16_t *width, uint16_t *height);

// Bytes of the buffers for resampling along the columns (0 if each row of the frame makes one row of the input), and behind
// them of the histogram, if the light is measured.
uint32_t rnnp_frame_work_bytes(const rnnp_model_t *model, const rnnp_frame_t *frame);

// Row y of the upright picture of the whole frame at `pixels`, or of a frame that comes row by row, which is not turned.
rnnp_line_t rnnp_frame_line(const rnnp_frame_t *frame, const uint8_t *pixels, uint32_t y);
rnnp_line_t rnnp_frame_streamed_line(const rnnp_frame_t *frame, const uint8_t *row);

// A box in the upright picture (x1, y1, x2, y2) as one in the stored picture.
void rnnp_frame_stored_box(const rnnp_frame_t *frame, int32_t *box);

// Takes row `run->rows_in` of the upright picture. After that rnnp_frame_make_row() is called until it returns false, and
// only then is rows_in counted up.
void rnnp_frame_take_row(const rnnp_context_t *c, const rnnp_line_t *line);

// Makes the next row of the model's input if the frame's rows so far allow it.
bool rnnp_frame_make_row(const rnnp_context_t *c);

// Measuring the light: starts, counts row `run->rows_in`, and says what is right for the rows that were counted.
void rnnp_frame_measure_start(const rnnp_context_t *c);
void rnnp_frame_measure_row(const rnnp_context_t *c, uint32_t y, const rnnp_line_t *line);
rnnp_light_t rnnp_frame_measured(const rnnp_context_t *c);

#endif // RNNP_FRAME_FRAME_H
