// This file is part of rnnpool. MIT licence, see LICENSE.
#include <string.h>

#include "../numeric.h"
#include "frame.h"
#include "rows.h"

#define DARKEST (10) // what the 1 % and the 99 % are stretched to
#define BRIGHTEST (245)

void rnnp_light_adjust(const rnnp_light_t *light, uint8_t *values, uint32_t count) {
    int32_t gain = light->gain, bias = light->bias + 128;
    for (const uint8_t *end = values + count; values != end; values++) {
        *values = (uint8_t)RNNP_UNSIGNED((*values * gain + bias) >> 8, 8);
    }
}

RNNP_SMALL_FROM_HERE

// Behind the buffers for resampling, of a frame that is measured.
static uint32_t *histogram(const rnnp_context_t *c) {
    uint32_t end = c->state->resample + rnnp_frame_work_bytes(c->model, &c->run->frame);
    return (void *)(c->arena + end - RNNP_HISTOGRAM_BINS * sizeof(uint32_t));
}

void rnnp_frame_measure_start(const rnnp_context_t *c) {
    memset(histogram(c), 0, RNNP_HISTOGRAM_BINS * sizeof(uint32_t));
}

void rnnp_frame_measure_row(const rnnp_context_t *c, uint32_t y, const rnnp_line_t *line) {
    if (y % RNNP_HISTOGRAM_STEP != 0) {
        return;
    }
    const rnnp_pixels_t *pixels = rnnp_pixels(c->run->frame.format);
    uint32_t *bins = histogram(c);
    for (uint32_t i = 0; i < c->run->width; i += RNNP_HISTOGRAM_STEP) {
        uint8_t value;
        uint32_t x = RNNP_WITH_VIEW && line->step != 0 ? line->x : line->reversed ? line->x - i : line->x + i;
        pixels->to_gray(pixels, line->row + (ptrdiff_t)i * line->step, x, 1, &value);
        bins[value]++;
    }
}

rnnp_light_t rnnp_frame_measured(const rnnp_context_t *c) {
    const uint32_t *bins = histogram(c);
    uint32_t total = 0, low = 0, high = RNNP_HISTOGRAM_BINS - 1, below, above;
    for (uint32_t i = 0; i < RNNP_HISTOGRAM_BINS; i++) {
        total += bins[i];
    }
    for (below = bins[low]; 100 * below <= total; below += bins[++low]) {
    }
    for (above = bins[high]; 100 * above <= total; above += bins[--high]) {
    }
    uint32_t spread = rnnp_max_u32(high - low, 1);
    uint32_t gain = rnnp_min_u32(((BRIGHTEST - DARKEST) * 256 + spread / 2) / spread, RNNP_MAX_GAIN);
    // The middle of the two goes to the middle of 0..255, even where the gain is at its limit.
    return (rnnp_light_t){ (uint16_t)gain, 255 * 128 - (int32_t)(gain * (low + high) / 2) };
}
