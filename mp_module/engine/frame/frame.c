// This file is part of rnnpool. MIT licence, see LICENSE.
#include "frame.h"

#include <string.h>

#include "../numeric.h"
#include "rows.h"

RNNP_SMALL_FROM_HERE // pixels are handled in formats.c and resample.c
#define CHUNK (64) // pixels that are unpacked at a time on their way to another width

static void reverse(uint8_t *pixels, uint32_t count, uint32_t channels) {
    if (count == 0) {
        return;
    }
    for (uint8_t *a = pixels, *b = pixels + (count - 1) * channels; a < b; a += channels, b -= channels) {
        for (uint32_t i = 0; i < channels; i++) {
            uint8_t swapped = a[i];
            a[i] = b[i];
            b[i] = swapped;
        }
    }
}

static bool is_reversed(const rnnp_line_t *line) {
    return RNNP_WITH_VIEW && line->reversed;
}

// Pixels first .. first + count of a line, in the model's colours, with the frame's light.
static void get_pixels(const rnnp_context_t *c, const rnnp_line_t *line, uint32_t first, uint32_t count, uint8_t *out) {
    const rnnp_frame_t *frame = &c->run->frame;
    uint32_t channels = RNNP_CHANNELS(c->model->channels);
    const rnnp_pixels_t *pixels = rnnp_pixels(frame->format);
    rnnp_unpack_t *unpack = RNNP_UNPACK(pixels, channels);
    if (RNNP_WITH_VIEW && line->step != 0) {
        const uint8_t *row = line->row + (ptrdiff_t)first * line->step;
        for (uint32_t i = 0; i < count; i++, row += line->step) {
            unpack(pixels, row, line->x, 1, out + i * channels);
        }
    } else {
        unpack(pixels, line->row, is_reversed(line) ? line->x + 1 - first - count : line->x + first, count, out);
        if (is_reversed(line)) {
            reverse(out, count, channels);
        }
    }
    if (rnnp_frame_is_adjusted(frame)) {
        rnnp_light_adjust(&frame->light, out, count * channels);
    }
}

// A line, as wide as the model sees it.
static void get_row(const rnnp_context_t *c, const rnnp_line_t *line, uint8_t *out) {
    uint32_t n = c->run->width, m = c->state->scaled_width;
    if (n == m) {
        get_pixels(c, line, 0, n, out);
        return;
    }
    uint8_t chunk[CHUNK * 3];
    rnnp_resampler_t resampler;
    rnnp_resample_start(&resampler, n, m, RNNP_CHANNELS(c->model->channels), out);
    for (uint32_t first = 0; first < n; first += CHUNK) {
        uint32_t count = rnnp_min_u32(CHUNK, n - first);
        get_pixels(c, line, first, count, chunk);
        rnnp_resample(&resampler, chunk, count);
    }
    rnnp_resample_end(&resampler);
}

// Whether the pixels are the model's already, but for the sign.
static bool is_native(const rnnp_context_t *c, const rnnp_line_t *line) {
    const rnnp_frame_t *frame = &c->run->frame;
    bool colours = RNNP_CHANNELS(c->model->channels) == 3 ? frame->format == RNNP_RGB888
                                                          : frame->format == RNNP_GRAY8 || frame->format == RNNP_YUV420;
    return colours && (!RNNP_WITH_VIEW || line->step == 0) && !is_reversed(line) && !rnnp_frame_is_adjusted(frame) &&
        c->run->width == c->state->scaled_width;
}

// The rest of a row of the input, right of the frame, is grey.
static void fill_grey(const rnnp_context_t *c, void *row, uint32_t from) {
    uint32_t values = (uint32_t)c->model->width * c->model->channels;
    memset((uint8_t *)row + from, 0, values - from);
}

void rnnp_frame_take_row(const rnnp_context_t *c, const rnnp_line_t *line) {
    uint32_t i = c->run->rows_in, y = c->nodes[0].rows_made;
    uint32_t n = c->run->height, m = c->state->scaled_height;
    uint32_t channels = RNNP_CHANNELS(c->model->channels), values = c->state->scaled_width * channels;
    uint8_t *buffers = c->arena + c->state->resample;
    if (m > n) {
        get_row(c, line, buffers + i % 2 * values);
        return;
    }
    // The row that is made next; while the frame's rows are added up, the latest of them. Nobody reads what it replaces.
    uint8_t *out = (uint8_t *)rnnp_ring_row(c, &c->nodes[0], y);
    if (m == n && is_native(c, line)) { // the usual case: one copy
        rnnp_flip_signs(line->row + line->x * channels, out, values);
    } else {
        get_row(c, line, out);
        if (m == n) {
            rnnp_flip_signs(out, out, values);
        } else {
            rnnp_resample_add_row(i, n, y, m, (void *)buffers, out, values);
        }
    }
    fill_grey(c, out, values);
}

// Input row y between two rows of the frame, if both are there (only the last two are).
static bool interpolate_row(const rnnp_context_t *c, uint32_t y, uint8_t *out) {
    uint32_t n = c->run->height, m = c->state->scaled_height, i, f;
    rnnp_resample_position(y, n, m, &i, &f);
    uint32_t next = rnnp_min_u32(i + 1, n - 1);
    if (next > c->run->rows_in) {
        return false;
    }
    uint32_t values = (uint32_t)c->state->scaled_width * c->model->channels;
    const uint8_t *buffers = c->arena + c->state->resample;
    rnnp_resample_mix_rows(buffers + i % 2 * values, buffers + next % 2 * values, f, m, out, values);
    fill_grey(c, out, values);
    return true;
}

bool rnnp_frame_make_row(const rnnp_context_t *c) {
    uint32_t n = c->run->height, m = c->state->scaled_height;
    uint32_t taken = c->run->rows_in + 1u, y = c->nodes[0].rows_made;
    uint8_t *out = (uint8_t *)rnnp_ring_row(c, &c->nodes[0], y);
    bool made;
    if (y >= m) { // below the frame
        made = taken == n && y < c->model->height;
        if (made) {
            fill_grey(c, out, 0);
        }
    } else if (m <= n) {
        made = (y + 1) * n <= taken * m; // take_row wrote it
    } else {
        made = interpolate_row(c, y, out);
    }
    c->nodes[0].rows_made = (uint16_t)(y + made);
    return made;
}
