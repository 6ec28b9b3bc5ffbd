// This file is part of rnnpool. MIT licence, see LICENSE.
#include "../blob/check.h"
#include "../numeric.h"
#include "frame.h"
#include "rows.h"

RNNP_SMALL_FROM_HERE // once a frame, or a row: not where the time goes

// The window of the stored picture that is looked at.
typedef struct {
    int32_t x, y, width, height;
} window_t;

static window_t window_of(const rnnp_frame_t *frame) {
    if (!rnnp_frame_is_cut(frame)) {
        return (window_t){ 0, 0, frame->width, frame->height };
    }
    return (window_t){ frame->roi_x, frame->roi_y, frame->roi_width, frame->roi_height };
}

static bool on_its_side(const rnnp_frame_t *frame) {
    return rnnp_frame_rotate(frame) == 90 || rnnp_frame_rotate(frame) == 270;
}

#define GAIN offsetof(rnnp_frame_t, light) + offsetof(rnnp_light_t, gain)
static const rnnp_field_t fields[] = {
    RNNP_FIELD(rnnp_frame_t, width, 1, RNNP_MAX_FRAME_SIDE),
    RNNP_FIELD(rnnp_frame_t, height, 1, RNNP_MAX_FRAME_SIDE),
    RNNP_FIELD(rnnp_frame_t, rotate, 0, 270),
    RNNP_FIELD(rnnp_frame_t, scale, 0, RNNP_SCALE_ONE),
    { "gain", GAIN, 1, 0, RNNP_MAX_GAIN },
};

bool rnnp_frame_check(const rnnp_model_t *model, const rnnp_frame_t *frame, rnnp_error_t *error) {
    const rnnp_check_t c = { error, -1, RNNP_ERROR_ARGUMENT };
    rnnp_no_error(error);
    if (!rnnp_check_range(&c, "format", (int32_t)frame->format, RNNP_FIRST_FORMAT, RNNP_LAST_FORMAT)) {
        return false; // there is no such row in the table of formats
    }
    rnnp_check_fields(&c, frame, fields, RNNP_FIELDS(fields));
    if (!RNNP_WITH_YUV && frame->format >= RNNP_YUYV) {
        return rnnp_left_out(&c, "YUV");
    }
    if (RNNP_WITH_YUV && rnnp_pixels(frame->format)->in_pairs) {
        rnnp_check_equal(&c, "odd width", frame->width % 2, 0);
    }
    if (RNNP_WITH_YUV && frame->format == RNNP_YUV420) {
        rnnp_check_equal(&c, "channels", model->channels, 1);
    }
    if (frame->roi_width != 0 || frame->roi_height != 0 || frame->roi_x != 0 || frame->roi_y != 0) {
        if (!RNNP_WITH_VIEW) {
            return rnnp_left_out(&c, "VIEW");
        }
        rnnp_check_range(&c, "roi width", frame->roi_width, 1, frame->width);
        rnnp_check_range(&c, "roi height", frame->roi_height, 1, frame->height);
        rnnp_check_range(&c, "roi x", frame->roi_x, 0, frame->width - frame->roi_width);
        rnnp_check_range(&c, "roi y", frame->roi_y, 0, frame->height - frame->roi_height);
    }
    rnnp_check_equal(&c, "rotate", frame->rotate % 90, 0);
    if (!RNNP_WITH_VIEW && (frame->rotate != 0 || frame->mirror)) {
        return rnnp_left_out(&c, "VIEW");
    }
    if (!RNNP_WITH_LIGHT && (frame->light.gain != 0 || frame->measure)) {
        return rnnp_left_out(&c, "LIGHT");
    }
    if (frame->stride != 0) {
        int32_t stride = (int32_t)rnnp_min_u32(frame->stride, INT32_MAX);
        rnnp_check_range(&c, "stride", stride, (int32_t)rnnp_frame_row_bytes(frame), RNNP_MAX_STRIDE);
    }
    return rnnp_check_range(&c, "bias", frame->light.bias + RNNP_MAX_BIAS, 0, 2 * RNNP_MAX_BIAS);
}

uint32_t rnnp_frame_row_bytes(const rnnp_frame_t *frame) {
    return frame->width * rnnp_pixels(frame->format)->bytes;
}

uint32_t rnnp_frame_stride(const rnnp_frame_t *frame) {
    return frame->stride != 0 ? frame->stride : rnnp_frame_row_bytes(frame);
}

void rnnp_frame_bytes(const rnnp_frame_t *frame, uint32_t *least, uint32_t *most) {
    uint32_t stride = rnnp_frame_stride(frame);
    bool planes = frame->format == RNNP_YUV420;
    *most = stride * frame->height + (planes ? 2 * ((stride + 1) / 2) * ((frame->height + 1u) / 2) : 0);
    *least = frame->stride == 0 ? *most : stride * (frame->height - 1u) + rnnp_frame_row_bytes(frame);
}

void rnnp_frame_size(const rnnp_frame_t *frame, uint16_t *width, uint16_t *height) {
    window_t w = window_of(frame);
    bool side = on_its_side(frame);
    *width = (uint16_t)(side ? w.height : w.width);
    *height = (uint16_t)(side ? w.width : w.height);
}

// What a side gets if both are to fit `full` and `other_full` in proportion, less by `scale`; at least a pixel.
static uint16_t fit(uint32_t side, uint32_t other, uint32_t full, uint32_t other_full, uint32_t scale) {
    uint32_t scaled = rnnp_min_u32((2 * side * other_full + other) / (2 * other), full) * scale + RNNP_SCALE_ONE / 2;
    return (uint16_t)rnnp_max_u32(1, scaled / RNNP_SCALE_ONE);
}

void rnnp_frame_letterbox(const rnnp_model_t *model, const rnnp_frame_t *frame, uint16_t *width, uint16_t *height) {
    uint16_t w, h;
    rnnp_frame_size(frame, &w, &h);
    uint32_t scale = frame->scale == 0 ? RNNP_SCALE_ONE : frame->scale;
    *width = fit(w, h, model->width, model->height, scale);
    *height = fit(h, w, model->height, model->width, scale);
}

// Resampling along the columns keeps sums of a row (uint32) when it shrinks, and two rows (uint8) when it stretches.
uint32_t rnnp_frame_work_bytes(const rnnp_model_t *model, const rnnp_frame_t *frame) {
    uint16_t width, height, up_width, up_height;
    rnnp_frame_size(frame, &up_width, &up_height);
    rnnp_frame_letterbox(model, frame, &width, &height);
    uint32_t values = (uint32_t)width * model->channels;
    uint32_t bytes = height == up_height ? 0 : height < up_height ? values * (uint32_t)sizeof(uint32_t) : 2 * values;
    return rnnp_frame_is_measured(frame) ? rnnp_align(bytes, 4) + RNNP_HISTOGRAM_BINS * (uint32_t)sizeof(uint32_t)
                                         : rnnp_align(bytes, 4);
}

rnnp_line_t rnnp_frame_line(const rnnp_frame_t *frame, const uint8_t *pixels, uint32_t y) {
    window_t w = window_of(frame);
    ptrdiff_t stride = (ptrdiff_t)rnnp_frame_stride(frame);
    bool side = on_its_side(frame), up = rnnp_frame_rotate(frame) == 90, over = rnnp_frame_rotate(frame) == 180;
    bool mirror = rnnp_frame_mirror(frame);
    bool back = side ? up : over != mirror; // its first pixel is the last one of a stored column or row
    bool last_first = side ? up == mirror : over;
    int32_t columns = side ? w.height : w.width, rows = side ? w.width : w.height, row = (int32_t)y;
    int32_t along = back ? columns - 1 : 0, across = last_first ? rows - 1 - row : row;
    int32_t stored_x = w.x + (side ? across : along), stored_y = w.y + (side ? along : across);
    ptrdiff_t step = !side ? 0 : back ? -stride : stride;
    return (rnnp_line_t){ pixels + stored_y * stride, (uint32_t)stored_x, step, !side && back };
}

rnnp_line_t rnnp_frame_streamed_line(const rnnp_frame_t *frame, const uint8_t *row) {
    bool mirror = rnnp_frame_mirror(frame);
    return (rnnp_line_t){ row, mirror ? frame->width - 1u : 0u, 0, mirror };
}

void rnnp_frame_stored_box(const rnnp_frame_t *frame, int32_t *box) {
    if (!RNNP_WITH_VIEW) {
        return;
    }
    window_t w = window_of(frame);
    // Quarter turns back. The side that it is turned about is the stored picture's height and width in turn, that at last.
    for (uint32_t turns = frame->rotate / 90; turns > 0; turns--) {
        int32_t x1 = box[0], x2 = box[2], side = turns % 2 != 0 ? w.height : w.width;
        box[0] = box[1];
        box[1] = side - x2;
        box[2] = box[3];
        box[3] = side - x1;
    }
    if (frame->mirror) {
        int32_t left = box[0];
        box[0] = w.width - box[2];
        box[2] = w.width - left;
    }
    for (uint32_t i = 0; i < 4; i++) {
        box[i] += i % 2 == 0 ? w.x : w.y;
    }
}
