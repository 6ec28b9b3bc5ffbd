// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Convolutions of an output row on an Armv7E-M with FPU: the first one (3x3, stride 2, one channel to four) and heads.
#include "armv7em.h"

#if RNNP_ARMV7EM

// ------------------------------------------------------------------------------------------------ heads

#define TILE (4)
#define MAX_ROW_VALUES (384) // kernel * in_channels: 3 KB of the stack
#define MAX_OUTPUTS (40)

// Four output pixels of a head, from output column ox on: acc[pair][channel of the pair][pixel].
static void head_tile(
    const rnnp_conv_t *conv, const int8_t *const *rows, uint32_t ox, const int8_t *pad, int32_t *acc) {
    uint32_t k = conv->kernel, channels = conv->in_channels, outputs = conv->out_channels;
    uint32_t x[1 + MAX_ROW_VALUES * TILE / 2];
    for (uint32_t o = 0; o < outputs + outputs % 2; o++) {
        for (uint32_t v = 0; v < TILE; v++) {
            acc[o * TILE + v] = conv->requantize.bias[o < outputs ? o : 0];
        }
    }
    for (uint32_t ky = 0; ky < k; ky++) {
        uint32_t *end = x + 1;
        for (uint32_t kx = 0; kx < k; kx++) {
            const int8_t *pixels[TILE];
            for (uint32_t v = 0; v < TILE; v++) {
                uint32_t column = ox + v + kx - (k - 1) / 2; // huge left of the input
                pixels[v] = rows[ky] != NULL && column < conv->in_width ? rows[ky] + column * channels : pad;
            }
            end = rnnp_armv7em_widen(pixels, channels, end);
        }
        end = rnnp_armv7em_fill(end, x + 1);
        rnnp_armv7em_dot(acc, x, end, conv->weight + ky * k * channels, k * k * channels, outputs / 2);
        if (outputs % 2 != 0) { // alone, in both places of a pair
            const int8_t *weight = conv->weight + ((outputs - 1) * k + ky) * k * channels;
            rnnp_armv7em_dot(acc + (outputs - 1) * TILE, x, end, weight, 0, 1);
        }
    }
}

// sat16((acc * multiplier + 2^23) >> 24).
static int16_t head_value(int32_t acc, int32_t multiplier) {
    int64_t y = ((int64_t)acc * multiplier + (1 << 23)) >> 24;
    int32_t high = (int32_t)(y >> 32), low = (int32_t)y;
    if (high != low >> 31) {
        low = high < 0 ? INT32_MIN : INT32_MAX;
    }
    return (int16_t)__ssat(low, 16);
}

void rnnp_kernel_head(const rnnp_conv_t *conv, const int8_t *const *rows, int16_t *out) {
    uint32_t channels = conv->in_channels, outputs = conv->out_channels;
    if (conv->stride != 1 || channels % 4 != 0 || conv->kernel * channels > MAX_ROW_VALUES || outputs > MAX_OUTPUTS) {
        rnnp_kernel_head_c(conv, rows, out);
        return;
    }
    int32_t acc[MAX_OUTPUTS * TILE];
    int8_t pad[MAX_ROW_VALUES];
    memset(pad, conv->pad, channels);
    for (uint32_t ox = 0; ox < conv->out_width; ox += TILE) {
        uint32_t count = conv->out_width - ox < TILE ? conv->out_width - ox : TILE;
        head_tile(conv, rows, ox, pad, acc);
        for (uint32_t v = 0; v < count; v++) {
            for (uint32_t o = 0; o < outputs; o++) {
                *out++ = head_value(acc[o * TILE + v], conv->requantize.multiplier[o]);
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
        const int8_t *w = conv->weight + 9 * o;
        for (uint32_t ky = 0; ky < 3; ky++) {
            taps[o].row[ky] = int16_pair(w[3 * ky], w[3 * ky + 2]);
        }
        taps[o].middle01 = int16_pair(w[1], w[4]);
        taps[o].middle2 = int16_pair(w[7], 0);
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
        rnnp_kernel_conv_c(conv, rows, out);
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
