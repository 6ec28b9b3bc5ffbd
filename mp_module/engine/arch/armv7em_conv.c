// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Convolutions of an output row on an Armv7E-M with FPU: of any shape by tiles (armv7em.h), and the usual first one (3x3,
// stride 2, one channel to four) by a kernel of its own.
#include "armv7em.h"

#if RNNP_ARMV7EM

// ------------------------------------------------------------------------------------------------ any shape

// `count` inputs of one pixel of a tile, from input `first` on.
static void put(const rnnp_conv_t *conv, uint32_t pixel, uint32_t first, const int8_t *in, uint32_t count) {
    int16_t *x = (int16_t *)conv->tile + 2 * pixel;
    for (uint32_t i = first; i < first + count; i++) {
        x[i / 2 * (2 * RNNP_TILE) + i % 2] = in != NULL ? *in++ : conv->pad;
    }
}

// Columns from `left` on of a row that may be outside of the input, for one pixel of a tile.
static void put_edge(const rnnp_conv_t *conv, uint32_t pixel, uint32_t ky, const int8_t *row, int32_t left) {
    uint32_t k = conv->kernel, channels = conv->in_channels;
    for (uint32_t kx = 0; kx < k; kx++) {
        int32_t column = left + (int32_t)kx;
        bool inside = row != NULL && column >= 0 && column < conv->in_width;
        put(conv, pixel, (ky * k + kx) * channels, inside ? row + (uint32_t)column * channels : NULL, channels);
    }
}

// Widens what four output pixels from ox on look at; with a step of 0, the first one alone.
static void gather(const rnnp_conv_t *conv, const int8_t *const *rows, uint32_t ox, uint32_t step) {
    uint32_t k = conv->kernel, channels = conv->in_channels, pixels = step == 0 ? 1 : RNNP_TILE;
    int32_t left = (int32_t)(ox * conv->stride) - (int32_t)(k - 1) / 2;
    bool inside = left >= 0 && (uint32_t)left + (pixels - 1) * conv->stride + k <= conv->in_width;
    for (uint32_t ky = 0; ky < k; ky++) {
        const int8_t *row = rows[ky];
        if (inside && row != NULL && channels % 4 == 0) {
            uint32_t *x = (uint32_t *)conv->tile + ky * k * channels * (RNNP_TILE / 2);
            rnnp_armv7em_widen(
                row + (uint32_t)left * channels, step == 0 ? 0 : conv->stride * channels, k * channels, x);
            continue;
        }
        for (uint32_t p = 0; p < pixels; p++) {
            int32_t first = left + (int32_t)(p * conv->stride);
            if (inside && row != NULL) {
                put(conv, p, ky * k * channels, row + (uint32_t)first * channels, k * channels);
            } else {
                put_edge(conv, p, ky, row, first);
            }
        }
    }
}

static void any_conv(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out) {
    uint32_t outputs = conv->out_channels, inputs = (uint32_t)conv->kernel * conv->kernel * conv->in_channels;
    uint32_t width = conv->out_width;
    rnnp_tile_t tile;
    rnnp_armv7em_tile_init(&tile, conv->weight, &conv->requantize, inputs, conv->tile);
    tile.pixel_step = outputs;
    for (uint32_t next = 0; next < width; next += width < RNNP_TILE ? 1 : RNNP_TILE) {
        uint32_t ox = rnnp_armv7em_tile_at(next, width, &tile.pixel_step);
        gather(conv, rows, ox, tile.pixel_step);
        tile.out = out + ox * outputs;
        rnnp_armv7em_tile(&tile, inputs, outputs);
    }
    rnnp_armv7em_clamp(&conv->requantize, out, width * outputs);
}

// sat16((acc * multiplier + 2^23) >> 24).
static inline int16_t head_value(int32_t acc, int32_t multiplier) {
    int64_t y = (int64_t)acc * multiplier + (1 << 23);
    int32_t high = __ssat((int32_t)(y >> 32), 23); // so that the shifted word does not overflow
    return (int16_t)__ssat((int32_t)((uint32_t)high << 8 | (uint32_t)y >> 24), 16);
}

#define CHUNK (16) // outputs of a head at a time

void rnnp_kernel_head(const rnnp_conv_t *conv, const int8_t *const *rows, int16_t *out) {
    uint32_t outputs = conv->out_channels, inputs = (uint32_t)conv->kernel * conv->kernel * conv->in_channels;
    uint32_t width = conv->out_width, step = 1;
    int32_t acc[CHUNK * RNNP_TILE];
    rnnp_tile_t tile;
    rnnp_armv7em_tile_init(&tile, conv->weight, &conv->requantize, inputs, conv->tile);
    tile.raw = 1;
    tile.residual = tile.bias; // anything but NULL
    tile.out = acc;
    for (uint32_t next = 0; next < width; next += width < RNNP_TILE ? 1 : RNNP_TILE) {
        uint32_t ox = rnnp_armv7em_tile_at(next, width, &step);
        gather(conv, rows, ox, step);
        for (uint32_t first = 0; first < outputs; first += CHUNK) {
            uint32_t count = rnnp_min_u32(CHUNK, outputs - first);
            tile.weight = conv->weight + rnnp_weight_index(inputs, first, 0);
            tile.bias = conv->requantize.bias + first;
            rnnp_armv7em_tile(&tile, inputs, count);
            const int32_t *multiplier = conv->requantize.multiplier + first;
            for (uint32_t p = 0; p < (step == 0 ? 1 : RNNP_TILE); p++) {
                int16_t *pixel = out + (ox + p) * outputs + first;
                for (uint32_t o = 0; o < count; o++) {
                    pixel[o] = head_value(acc[o * RNNP_TILE + p], multiplier[o]);
                }
            }
        }
    }
}

// ------------------------------------------------------------------------------------------------ first convolution

#define FIRST_OUTPUTS (4)

// Weights of one output channel: taps of rows 0, 1, 2 in columns 0 and 2, then column 1 in rows 0 and 1, and in row 2.
typedef struct {
    uint32_t row[3], middle01, middle2;
    int32_t bias, multiplier;
} taps_t;

static uint32_t int16_pair(int32_t low, int32_t high) {
    return (uint16_t)low | (uint32_t)high << 16;
}

__attribute__((cold)) static void get_taps(const rnnp_conv_t *conv, taps_t *taps) {
    for (uint32_t o = 0; o < FIRST_OUTPUTS; o++) {
        const int8_t *w = conv->weight + rnnp_weight_index(9, o, 0); // two apart
        for (uint32_t ky = 0; ky < 3; ky++) {
            taps[o].row[ky] = int16_pair(w[6 * ky], w[6 * ky + 4]);
        }
        taps[o].middle01 = int16_pair(w[2], w[8]);
        taps[o].middle2 = int16_pair(w[14], 0);
        taps[o].bias = conv->requantize.bias[o];
        taps[o].multiplier = conv->requantize.multiplier[o];
    }
}

static inline int32_t dot(uint32_t a, uint32_t b, int32_t acc) {
    return __smlad((int16x2_t)a, (int16x2_t)b, acc);
}

// One output pixel from words whose bytes 0, 1, 2 are its columns of the three rows.
static uint32_t first_pixel(const rnnp_requantize_t *r, const taps_t *taps, uint32_t a, uint32_t b, uint32_t c) {
    uint32_t a02 = rnnp_sxtb16(a), b02 = rnnp_sxtb16(b), c02 = rnnp_sxtb16(c);
    uint32_t c1 = rnnp_sxtb16_ror8(c), ab1 = rnnp_pkhbt16(rnnp_sxtb16_ror8(a), rnnp_sxtb16_ror8(b));
    int32_t y[FIRST_OUTPUTS];
    RNNP_UNROLL
    for (uint32_t o = 0; o < FIRST_OUTPUTS; o++, taps++) {
        int32_t acc = dot(a02, taps->row[0], taps->bias);
        acc = dot(b02, taps->row[1], acc);
        acc = dot(c02, taps->row[2], acc);
        acc = dot(ab1, taps->middle01, acc);
        acc = dot(c1, taps->middle2, acc);
        y[o] = __ssat(rnnp_smmlar(acc, taps->multiplier, r->zero_point), 8);
    }
    return rnnp_clamp8(
        rnnp_pack8(y[0], y[1], y[2], y[3]), (uint8_t)r->min * 0x01010101u, (uint8_t)r->max * 0x01010101u);
}

// Columns 2 ox - 1 .. 2 ox + 1 of a row at an edge.
__attribute__((cold, noinline)) static uint32_t edge_word(const rnnp_conv_t *conv, const int8_t *row, uint32_t ox) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t column = 2 * ox + i - 1; // huge left of the input
        int8_t value = row == NULL || column >= conv->in_width ? conv->pad : row[column];
        word |= (uint32_t)(uint8_t)value << 8 * i;
    }
    return word;
}

void rnnp_kernel_conv(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out) {
    if (conv->kernel != 3 || conv->stride != 2 || conv->in_channels != 1 || conv->out_channels != FIRST_OUTPUTS) {
        any_conv(conv, rows, out);
        return;
    }
    taps_t taps[FIRST_OUTPUTS];
    get_taps(conv, taps);
    const rnnp_requantize_t *r = &conv->requantize;
    const uint32_t pad = (uint8_t)conv->pad * 0x01010101u;
    for (uint32_t ox = 0; ox < conv->out_width; ox++) {
        uint32_t word[3];
        bool edge = ox == 0 || 2 * ox + 3 > conv->in_width; // a word of four columns would reach over it
        RNNP_UNROLL
        for (uint32_t ky = 0; ky < 3; ky++) {
            word[ky] = edge ? edge_word(conv, rows[ky], ox) : rows[ky] == NULL ? pad : rnnp_load(rows[ky] + 2 * ox - 1);
        }
        rnnp_store(out, first_pixel(r, taps, word[0], word[1], word[2]));
        out += FIRST_OUTPUTS;
    }
}

#endif
