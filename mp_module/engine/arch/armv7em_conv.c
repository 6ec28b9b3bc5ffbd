// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Convolutions of an output row on an Armv7E-M: of any shape by tiles (armv7em.h), and the usual first one (3x3,
// stride 2, one channel to four) by a kernel of its own.
#include "armv7em.h"

#if RNNP_ARMV7EM

// ------------------------------------------------------------------------------------------------ any shape

// sat16((acc * multiplier + 2^23) >> 24).
static inline int16_t head_value(int32_t acc, int32_t multiplier) {
    int64_t y = (int64_t)acc * multiplier + (1 << 23);
    int32_t high = __ssat((int32_t)(y >> 32), 23); // so that the shifted word does not overflow
    return (int16_t)__ssat((int32_t)((uint32_t)high << 8 | (uint32_t)y >> 24), 16);
}

// `count` outputs of a head's pixel from their accumulators, which are RNNP_TILE apart.
static void finish(const int32_t *acc, const int32_t *multiplier, uint32_t count, int16_t *out) {
    for (const int32_t *end = multiplier + count; multiplier < end; acc += RNNP_TILE) {
        *out++ = head_value(*acc, *multiplier++);
    }
}

// Where a pixel of padding is: behind the tile.
static int8_t *padding(const rnnp_conv_t *conv) {
    uint32_t inputs = (uint32_t)conv->kernel_h * conv->kernel_w * conv->in_channels;
    return (int8_t *)conv->tile + rnnp_tile_bytes(inputs);
}

// Four inputs of a pixel of a tile.
static inline void put_four(uint32_t *x, uint32_t word) {
    uint32_t even = rnnp_sxtb16(word), odd = rnnp_sxtb16_ror8(word);
    x[0] = rnnp_pkhbt16(even, odd);
    x[RNNP_TILE] = rnnp_pkhtb16(even, odd);
}

// Widens what the first `pixels` output pixels of a tile, `columns` apart in the input, look at from column `left` on: some
// of it may be outside. Of one channel and windows of FOUR columns: a word each, whose bytes outside are put into it.
#define FOUR (4)
static void gather_four(
    const rnnp_conv_t *conv, const int8_t *const *rows, uint32_t left, uint32_t columns, uint32_t pixels) {
    const int8_t *const *end = rows + conv->kernel_h;
    uint32_t pads = (uint8_t)conv->pad * 0x01010101u, last = conv->in_width - FOUR;
    for (uint32_t p = 0; p < pixels; p++, left += columns) {
        // Bits by which the word of the nearest columns inside is shifted, to make room for padding before or behind it.
        int32_t before = 8 * (int32_t)(0 - left), behind = 8 * (int32_t)(left - last);
        uint32_t at = before > 0 ? 0 : behind > 0 ? last : left, *x = (uint32_t *)conv->tile + p;
        for (const int8_t *const *row = rows; row < end; row++, x += 2 * RNNP_TILE) {
            uint32_t word = pads;
            if (*row != NULL) {
                word = rnnp_load(*row + at);
                if (before > 0) {
                    word = word << before | pads >> (32 - before);
                } else if (behind > 0) {
                    word = word >> behind | pads << (32 - behind);
                }
            }
            put_four(x, word);
        }
    }
}

RNNP_SMALL_C

// The same of any number of channels, in runs of a row of the window or, where some of it is outside, of a pixel.
__attribute__((noinline)) static void gather(
    const rnnp_conv_t *conv, const int8_t *const *rows, uint32_t left, uint32_t pixels) {
    uint32_t height = conv->kernel_h, channels = conv->in_channels, last = (pixels - 1) * conv->stride;
    uint32_t runs = conv->kernel_w, run = channels; // of a row
    int8_t *outside = padding(conv);
    if (rows[0] != NULL && rows[height - 1] != NULL && left < conv->in_width && left + last + runs <= conv->in_width) {
        run *= runs;
        runs = 1;
    } else {
        memset(outside, conv->pad, channels);
    }
    const int8_t *few[RNNP_CONV_RUNS * RNNP_TILE];
    const int8_t **in = height * runs > RNNP_CONV_RUNS ? (void *)(outside + rnnp_align(channels, 4)) : few;
    uint32_t next = runs * RNNP_TILE; // from an address to that of the row below
    for (uint32_t i = 0; i < next; i++) {
        uint32_t column = left + i / RNNP_TILE + rnnp_min_u32(i % RNNP_TILE * conv->stride, last);
        uint32_t offset = column < conv->in_width ? column * channels : UINT32_MAX;
        const int8_t **to = in + i;
        for (uint32_t y = 0; y < height; y++, to += next) {
            *to = rows[y] != NULL && offset != UINT32_MAX ? rows[y] + offset : outside;
        }
    }
    rnnp_armv7em_widen(in, height * runs, run, conv->tile);
}

#define CHUNK (16) // outputs of a head at a time

// Output pixels begin .. end - 1 of a convolution or, if out8 is NULL, of a head.
static void any_conv(
    const rnnp_conv_t *conv, const int8_t *const *rows, uint32_t begin, uint32_t end, int8_t *out8, int16_t *out16) {
    const rnnp_requantize_t *r = &conv->requantize;
    uint32_t outputs = conv->out_channels, inputs = (uint32_t)conv->kernel_h * conv->kernel_w * conv->in_channels;
    bool four = RNNP_WITH_TAPS4 && conv->in_channels == 1 && conv->kernel_w == FOUR && conv->in_width >= FOUR;
    int32_t acc[CHUNK * RNNP_TILE];
    rnnp_tile_t tile;
    rnnp_armv7em_tile_init(&tile, r, inputs, conv->tile);
    tile.pixel_step = outputs;
    if (out8 == NULL) {
        tile.residual = RNNP_TILE_RAW;
        tile.pixel_step = RNNP_TILE;
        tile.out = acc;
    }
    rnnp_armv7em_tile_outputs(&tile, conv->weight, outputs);
    for (uint32_t ox = begin; ox < end; ox += tile.pixels) {
        tile.pixels = rnnp_min_u32(RNNP_TILE, end - ox);
        uint32_t left = ox * conv->stride - conv->left; // wraps to a huge number left of the input
        if (four) {
            gather_four(conv, rows, left, conv->stride, tile.pixels);
        } else {
            gather(conv, rows, left, tile.pixels);
        }
        if (out8 != NULL) {
            tile.out = out8 + ox * outputs;
            rnnp_armv7em_tile(&tile);
            continue;
        }
        for (uint32_t first = 0; first < outputs; first += CHUNK) {
            uint32_t count = rnnp_min_u32(CHUNK, outputs - first);
            tile.bias = r->bias + first;
            rnnp_armv7em_tile_outputs(&tile, conv->weight + rnnp_weight_index(inputs, first), count);
            rnnp_armv7em_tile(&tile);
            for (uint32_t p = 0; p < tile.pixels; p++) {
                finish(acc + p, r->multiplier + first, count, out16 + (ox + p) * outputs + first);
            }
        }
    }
    if (out8 != NULL) {
        rnnp_armv7em_clamp(r, out8 + begin * outputs, (end - begin) * outputs);
    }
}

void rnnp_kernel_head(const rnnp_conv_t *conv, const int8_t *const *rows, int16_t *out) {
    any_conv(conv, rows, 0, conv->out_width, NULL, out);
}

// ------------------------------------------------------------------------------------------------ first convolution

#define FIRST_OUTPUTS (4)

// Of one output channel.
typedef struct {
    int16_t taps[10]; // in the order of first_conv()
    int32_t bias, multiplier;
} taps_t;

// Arguments of first(): loaded into s0 .. s31, then r9 and lr, in this order.
typedef struct {
    taps_t channels[FIRST_OUTPUTS];
    const int8_t *rows[3]; // s28 - s30: the first pixel's middle column
    int8_t *end; // s31: of the output
    int32_t zero_point;
    int8_t *out;
} first_t;

// Pairs of pixels, whose middle columns are 0 and 2 of a word: row by row r5 - r7 hold columns -1 and 1, r0 - r2 columns 1
// and 3; columns 0 and 2 of rows 0 and 1 are in r3 and r8, those of row 2 in r4.
__attribute__((naked, noinline)) static void first(__attribute__((unused)) const first_t *arguments) {
    __asm__ volatile(RNNP_WORDS "push {r4-r11, lr}\n"
                                "rnnp_enter 32\n"
                                "rnnp_take r0, 0, 31\n"
                                "ldr r9, [r0]\n"
                                "ldr lr, [r0, #4]\n"
                                "1:\n"
                                "rnnp_get2 r10, r11, 28, 29\n"
                                "rnnp_get r12, 30\n"
                                "ldrsb r5, [r10, #-1]\n"
                                "ldr r0, [r10], #4\n"
                                "ldrsb r6, [r11, #-1]\n"
                                "ldr r1, [r11], #4\n"
                                "ldrsb r7, [r12, #-1]\n"
                                "ldr r2, [r12], #4\n"
                                "rnnp_put2 28, 29, r10, r11\n"
                                "rnnp_put 30, r12\n"
                                "sxtb16 r8, r0\n"
                                "sxtb16 r10, r1\n"
                                "sxtb16 r4, r2\n"
                                "pkhbt r3, r8, r10, lsl #16\n"
                                "pkhtb r8, r10, r8, asr #16\n"
                                ".irp row, 0, 1, 2\n"
                                "sxtb16 r\\row, r\\row, ror #8\n"
                                ".endr\n"
                                "pkhbt r5, r5, r0, lsl #16\n"
                                "pkhbt r6, r6, r1, lsl #16\n"
                                "pkhbt r7, r7, r2, lsl #16\n"
                                ".macro rnnp_tap k, first, second, from\n"
                                "rnnp_get r12, \\k\n"
                                "smlad r10, \\first, r12, \\from\n"
                                "smlad r11, \\second, r12, r11\n"
                                ".endm\n"
                                ".macro rnnp_output channel, row0, row1, row2, middle01, middle2, bias, multiplier\n"
                                "rnnp_get r11, \\bias\n"
                                "rnnp_tap \\row0, r5, r0, r11\n"
                                "rnnp_tap \\row1, r6, r1, r10\n"
                                "rnnp_tap \\row2, r7, r2, r10\n"
                                "rnnp_tap \\middle01, r3, r8, r10\n"
                                "rnnp_get r12, \\middle2\n"
                                "smlabb r10, r4, r12, r10\n"
                                "smlatb r11, r4, r12, r11\n"
                                "rnnp_get r12, \\multiplier\n"
                                "smmlar r10, r10, r12, r9\n"
                                "smmlar r11, r11, r12, r9\n"
                                "ssat r10, #8, r10\n"
                                "ssat r11, #8, r11\n"
                                "strb r10, [lr, #\\channel]\n"
                                "strb r11, [lr, #4 + \\channel]\n"
                                ".endm\n"
                                "rnnp_output 0, 0, 1, 2, 3, 4, 5, 6\n"
                                "rnnp_output 1, 7, 8, 9, 10, 11, 12, 13\n"
                                "rnnp_output 2, 14, 15, 16, 17, 18, 19, 20\n"
                                "rnnp_output 3, 21, 22, 23, 24, 25, 26, 27\n"
                                ".purgem rnnp_tap\n"
                                ".purgem rnnp_output\n"
                                "rnnp_get r12, 31\n"
                                "add lr, lr, #8\n"
                                "cmp lr, r12\n"
                                "bne.w 1b\n"
                                "rnnp_leave 32\n"
                                "pop {r4-r11, pc}\n" RNNP_PURGE_WORDS);
}

// The first pixels, an even number of them: as many as have all their columns, or lack but the one left of the row.
static uint32_t first_conv(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out) {
    // Columns 0 and 2 of each row; column 1 of rows 0 and 1, and of row 2; the tenth is 0, as it is in the blob.
    static const uint8_t order[10] = { RNNP_AT(0), RNNP_AT(2), RNNP_AT(3), RNNP_AT(5), RNNP_AT(6), RNNP_AT(8),
        RNNP_AT(1), RNNP_AT(4), RNNP_AT(7), RNNP_AT(9) };
    uint32_t edge[3][2], count = conv->in_width / 4 * 2;
    first_t arguments;
    arguments.zero_point = conv->requantize.zero_point;
    for (uint32_t o = 0; o < FIRST_OUTPUTS; o++) {
        taps_t *channel = &arguments.channels[o];
        const int8_t *weight = conv->weight + (o & 2) * 2;
        for (uint32_t t = 0; t < 10; t++) {
            int32_t both = *(const int16_t *)(const void *)(weight + order[t]);
            channel->taps[t] = o % 2 != 0 ? (int16_t)((both + 128) >> 8) : (int8_t)both;
        }
        channel->bias = conv->requantize.bias[o];
        channel->multiplier = conv->requantize.multiplier[o];
    }
    // The first two pixels from a copy that has padding on the left, then the others.
    for (uint32_t ky = 0; ky < 3; ky++) {
        edge[ky][0] = (uint8_t)conv->pad * 0x01010101u;
        edge[ky][1] = rnnp_load(rows[ky]);
        arguments.rows[ky] = (const int8_t *)&edge[ky][1];
    }
    arguments.out = out;
    arguments.end = out + 2 * FIRST_OUTPUTS;
    first(&arguments);
    for (uint32_t ky = 0; ky < 3; ky++) {
        arguments.rows[ky] = rows[ky] + 4;
    }
    arguments.out = arguments.end;
    arguments.end = out + count * FIRST_OUTPUTS;
    first(&arguments);
    rnnp_armv7em_clamp(&conv->requantize, out, count * FIRST_OUTPUTS);
    return count;
}

void rnnp_kernel_conv(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out) {
    uint32_t width = conv->out_width, begin = 0;
    if (conv->kernel_h == 3 && conv->kernel_w == 3 && conv->stride == 2 && conv->left == 1 &&
        rnnp_shift(&conv->requantize) == 0 && rnnp_once(&conv->requantize) && conv->in_width >= 8 &&
        conv->in_width / 4u * 2 <= width && rows[0] != NULL && rows[2] != NULL) {
        if (RNNP_WITH_FIRST_GRAY && conv->in_channels == 1 && conv->out_channels == FIRST_OUTPUTS) {
            begin = first_conv(conv, rows, out);
        } else if (RNNP_WITH_RGB && RNNP_WITH_FIRST_RGB && conv->in_channels == 3) {
            begin = rnnp_armv7em_first_rgb(conv, rows, out);
        }
    }
    if (begin < width) {
        any_conv(conv, rows, begin, width, out, NULL);
    }
}

RNNP_SMALL_C_END

#endif
