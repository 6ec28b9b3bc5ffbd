// This file is part of rnnpool. MIT licence, see LICENSE.
#include "frame.h"

#include <string.h>

#include "numeric.h"

#define SIGN (0x80) // u ^ SIGN is the int8 of a byte

bool rnnp_frame_valid(const rnnp_frame_t *frame) {
    return frame->width >= 1 && frame->width <= RNNP_MAX_FRAME_SIDE && frame->height >= 1 &&
        frame->height <= RNNP_MAX_FRAME_SIDE && frame->format >= RNNP_GRAY8 && frame->format <= RNNP_RGB888;
}

uint32_t rnnp_frame_row_bytes(const rnnp_frame_t *frame) {
    return frame->width * (frame->format == RNNP_GRAY8 ? 1u : frame->format == RNNP_RGB565 ? 2u : 3u);
}

void rnnp_frame_letterbox(const rnnp_model_t *model, const rnnp_frame_t *frame, uint16_t *width, uint16_t *height) {
    uint32_t w = frame->width, h = frame->height, full_width = model->width, full_height = model->height;
    uint32_t scaled_width = full_width, scaled_height = full_height;
    if (w * full_height >= h * full_width) {
        scaled_height = rnnp_max_u32(1, (2 * h * full_width + w) / (2 * w));
    } else {
        scaled_width = rnnp_max_u32(1, (2 * w * full_height + h) / (2 * h));
    }
    *width = (uint16_t)rnnp_min_u32(scaled_width, full_width);
    *height = (uint16_t)rnnp_min_u32(scaled_height, full_height);
}

// Resampling along the columns keeps sums of a row (uint32) when it shrinks, and two rows (uint8) when it stretches.
uint32_t rnnp_frame_resample_bytes(const rnnp_model_t *model, const rnnp_frame_t *frame) {
    uint16_t width, height;
    rnnp_frame_letterbox(model, frame, &width, &height);
    uint32_t values = (uint32_t)width * model->channels;
    return height == frame->height ? 0 : height < frame->height ? values * (uint32_t)sizeof(uint32_t) : 2 * values;
}

// One row of the frame as the model sees it: its colours, and resampled to `scaled` pixels.
typedef struct {
    const uint8_t *row;
    rnnp_format_t format;
    uint32_t channels; // of the model
    uint32_t width, scaled;
} source_t;

static uint32_t gray(uint32_t r, uint32_t g, uint32_t b) {
    return (77 * r + 150 * g + 29 * b + 128) >> 8;
}

// Channel `channel` of pixel x.
static uint32_t colour(const source_t *s, uint32_t x, uint32_t channel) {
    uint32_t rgb[3];
    if (s->format == RNNP_GRAY8) {
        return s->row[x];
    }
    if (s->format == RNNP_RGB565) {
        uint32_t word = s->row[2 * x] | (uint32_t)s->row[2 * x + 1] << 8;
        uint32_t r5 = word >> 11, g6 = word >> 5 & 63, b5 = word & 31;
        rgb[0] = r5 << 3 | r5 >> 2;
        rgb[1] = g6 << 2 | g6 >> 4;
        rgb[2] = b5 << 3 | b5 >> 2;
    } else {
        for (uint32_t i = 0; i < 3; i++) {
            rgb[i] = s->row[3 * x + i];
        }
    }
    return s->channels == 1 ? gray(rgb[0], rgb[1], rgb[2]) : rgb[channel];
}

// Linear resampling of n samples to m > n: destination j lies between samples *i and *i + 1, at *f of 2 m.
static void linear_position(uint32_t j, uint32_t n, uint32_t m, uint32_t *i, uint32_t *f) {
    int32_t p = rnnp_clamp((int32_t)((2 * j + 1) * n) - (int32_t)m, 0, (int32_t)(2 * m * (n - 1)));
    *i = (uint32_t)p / (2 * m);
    *f = (uint32_t)p - 2 * m * *i;
}

static uint32_t linear_mix(uint32_t a, uint32_t b, uint32_t f, uint32_t m) {
    return ((2 * m - f) * a + f * b + m) / (2 * m);
}

// Area mean: what destination j of m < n takes of the samples.
static uint32_t area_mean(const source_t *s, uint32_t j, uint32_t channel) {
    uint32_t n = s->width, m = s->scaled, sum = 0;
    uint32_t begin = j * n, end = begin + n; // sample i covers units i m .. (i + 1) m
    for (uint32_t i = begin / m; i * m < end; i++) {
        sum += (rnnp_min_u32((i + 1) * m, end) - rnnp_max_u32(i * m, begin)) * colour(s, i, channel);
    }
    return (sum + n / 2) / n;
}

// Channel `channel` of the resampled row's pixel x.
static uint32_t sample(const source_t *s, uint32_t x, uint32_t channel) {
    if (s->scaled == s->width) {
        return colour(s, x, channel);
    }
    if (s->scaled < s->width) {
        return area_mean(s, x, channel);
    }
    uint32_t i, f;
    linear_position(x, s->width, s->scaled, &i, &f);
    return linear_mix(colour(s, i, channel), colour(s, rnnp_min_u32(i + 1, s->width - 1), channel), f, s->scaled);
}

// The rest of a row of the input, right of the frame, is grey.
static void fill_grey(const rnnp_context_t *c, int8_t *row, uint32_t from) {
    uint32_t values = (uint32_t)c->model->width * c->model->channels;
    memset(row + from, 0, values - from);
}

// The frame's row makes an input row by itself.
static void copy_row(const source_t *s, int8_t *out) {
    bool gray = s->format == RNNP_GRAY8 && s->channels == 1, rgb = s->format == RNNP_RGB888 && s->channels == 3;
    if ((gray || rgb) && s->scaled == s->width) { // the usual case, worth a loop of its own
        uint32_t word, size = s->width * s->channels;
        const uint8_t *row = s->row, *end = row + size, *whole = end - size % sizeof(word);
        for (; row != whole; row += sizeof(word), out += sizeof(word)) {
            memcpy(&word, row, sizeof(word));
            word ^= SIGN * 0x01010101u;
            memcpy(out, &word, sizeof(word));
        }
        while (row != end) {
            *out++ = (int8_t)(*row++ ^ SIGN);
        }
        return;
    }
    for (uint32_t x = 0; x < s->scaled; x++) {
        for (uint32_t channel = 0; channel < s->channels; channel++) {
            *out++ = (int8_t)(sample(s, x, channel) ^ SIGN);
        }
    }
}

// Adds the frame's row i (of n) to the sums of input row y (of m < n) and, if it completes them, writes that row and
// starts the next one's sums.
static void add_row(const source_t *s, uint32_t i, uint32_t n, uint32_t y, uint32_t m, uint32_t *sums, int8_t *out) {
    uint32_t end = (i + 1) * m, boundary = (y + 1) * n; // in units, as in area_mean()
    bool completes = end >= boundary;
    uint32_t rest = completes ? end - boundary : 0;
    if (i == 0) {
        memset(sums, 0, s->scaled * s->channels * sizeof(sums[0]));
    }
    for (uint32_t x = 0; x < s->scaled; x++) {
        for (uint32_t channel = 0; channel < s->channels; channel++, sums++) {
            uint32_t value = sample(s, x, channel);
            *sums += (m - rest) * value;
            if (completes) {
                *out++ = (int8_t)(((*sums + n / 2) / n) ^ SIGN);
                *sums = rest * value;
            }
        }
    }
}

void rnnp_frame_take_row(const rnnp_context_t *c, const uint8_t *row) {
    const rnnp_frame_t *frame = &c->run->frame;
    uint32_t i = c->run->rows_in, y = c->nodes[0].rows_made, m = c->state->scaled_height;
    source_t s = { row, frame->format, c->model->channels, frame->width, c->state->scaled_width };
    uint32_t values = s.scaled * s.channels;
    int8_t *out = rnnp_ring_row(c, &c->nodes[0], y);
    if (m == frame->height) {
        copy_row(&s, out);
        fill_grey(c, out, values);
    } else if (m < frame->height) {
        add_row(&s, i, frame->height, y, m, (void *)(c->arena + c->state->resample), out);
        fill_grey(c, out, values);
    } else {
        copy_row(&s, (int8_t *)c->arena + c->state->resample + i % 2 * values);
    }
}

// Input row y between two rows of the frame, if both are there (only the last two are).
static bool interpolate_row(const rnnp_context_t *c, uint32_t y, int8_t *out) {
    uint32_t n = c->run->frame.height, m = c->state->scaled_height, i, f;
    linear_position(y, n, m, &i, &f);
    uint32_t next = rnnp_min_u32(i + 1, n - 1);
    if (next > c->run->rows_in) {
        return false;
    }
    uint32_t values = (uint32_t)c->state->scaled_width * c->model->channels;
    const uint8_t *buffers = c->arena + c->state->resample;
    const uint8_t *a = buffers + i % 2 * values, *b = buffers + next % 2 * values;
    for (uint32_t x = 0; x < values; x++) {
        out[x] = (int8_t)(linear_mix(a[x] ^ SIGN, b[x] ^ SIGN, f, m) ^ SIGN);
    }
    fill_grey(c, out, values);
    return true;
}

bool rnnp_frame_make_row(const rnnp_context_t *c) {
    uint32_t n = c->run->frame.height, m = c->state->scaled_height;
    uint32_t taken = c->run->rows_in + 1u, y = c->nodes[0].rows_made;
    int8_t *out = rnnp_ring_row(c, &c->nodes[0], y);
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
