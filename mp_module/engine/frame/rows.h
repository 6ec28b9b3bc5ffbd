// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The steps that a row of a frame takes, each a function of a row. Values are uint8 until the last one.
#ifndef RNNP_FRAME_ROWS_H
#define RNNP_FRAME_ROWS_H

#include "../left_out.h"
#include "../rnnp.h"

// Channels of a model's pixels: known when compiled, where there is code for one only.
#define RNNP_CHANNELS(channels) (RNNP_WITH_RGB ? (uint32_t)(channels) : 1u)

#define RNNP_HISTOGRAM_BINS (256)
#define RNNP_HISTOGRAM_STEP (4) // pixels, and rows, from one that is counted to the next

// ---- formats.c

// What the pixels of a stored row are.
typedef struct rnnp_pixels rnnp_pixels_t;

// Pixels x .. x + count of a stored row, as gray or as R, G, B.
typedef void rnnp_unpack_t(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out);

struct rnnp_pixels {
    rnnp_unpack_t *to_gray;
#if RNNP_WITH_RGB
    rnnp_unpack_t *to_rgb;
#endif
    uint8_t bytes; // a pixel
    bool in_pairs; // two pixels share their colour
    uint8_t first, last; // formats.c: where bytes are in a pixel
};

#if RNNP_WITH_RGB
#define RNNP_UNPACK(pixels, channels) ((channels) == 1 ? (pixels)->to_gray : (pixels)->to_rgb)
#else
#define RNNP_UNPACK(pixels, channels) ((pixels)->to_gray)
#endif

const rnnp_pixels_t *rnnp_pixels(rnnp_format_t format);

// ---- light.c

void rnnp_light_adjust(const rnnp_light_t *light, uint8_t *values, uint32_t count);

// ---- resample.c

// A row of n pixels on its way to m, from left to right, in pieces of any length.
typedef struct {
    uint32_t n, m, channels;
    uint32_t reciprocal; // of the divisor
    uint32_t left; // shrinking: units that the next destination lacks
    int32_t position; // stretching: of the next destination behind `last`, in 1/(2 m) of a source pixel
    uint32_t sum[3]; // shrinking: its sums so far
    uint32_t last[3]; // stretching: the last source pixel
    bool begun; // stretching: there is a last source pixel
    uint8_t *out, *end;
} rnnp_resampler_t;

// out  m * channels bytes; n != m
void rnnp_resample_start(rnnp_resampler_t *r, uint32_t n, uint32_t m, uint32_t channels, uint8_t *out);
void rnnp_resample(rnnp_resampler_t *r, const uint8_t *in, uint32_t pixels);
void rnnp_resample_end(rnnp_resampler_t *r);

// Adds row i of n to the sums of row y of m < n. If it completes them, writes that row, with the sign flipped, in the place
// of the values, and starts the next one's sums.
void rnnp_resample_add_row(
    uint32_t i, uint32_t n, uint32_t y, uint32_t m, uint32_t *sums, uint8_t *values, uint32_t count);

// Row y of m > n lies between rows *i and *i + 1 of n, at *f of 2 m.
void rnnp_resample_position(uint32_t y, uint32_t n, uint32_t m, uint32_t *i, uint32_t *f);

// That row, with the sign flipped.
void rnnp_resample_mix_rows(const uint8_t *a, const uint8_t *b, uint32_t f, uint32_t m, uint8_t *out, uint32_t count);

// The last step: bytes as the model's int8. in may be out.
void rnnp_flip_signs(const uint8_t *in, uint8_t *out, uint32_t count);

#endif // RNNP_FRAME_ROWS_H
