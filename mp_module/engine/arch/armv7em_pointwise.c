// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The 1x1 convolution on an Armv7E-M, tile by tile (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

RNNP_SMALL_C

// Four pixels, `stride` apart, of a planar input, which has a row of pixels a channel. Rows are taken in pairs; past the last
// channel the weights are 0. SXTB16 takes bytes 0 and 2 of a word: with stride 1 those of a second word, a byte further, are
// pixels 1 and 3, with stride 2 those of the next word pixels 2 and 3.
__attribute__((noinline)) static void widen_planar(
    const int8_t *in, uint32_t pitch, uint32_t stride, uint32_t channels, uint32_t *x) {
    const int8_t *next = in + pitch;
    uint32_t second = stride * stride;
    for (const int8_t *end = in + channels * pitch; in < end; in += 2 * pitch, next += 2 * pitch, x += RNNP_TILE) {
        next = next < end ? next : in;
        uint32_t a1 = rnnp_sxtb16(rnnp_load(in)), b1 = rnnp_sxtb16(rnnp_load(next));
        uint32_t a2 = rnnp_sxtb16(rnnp_load(in + second)), b2 = rnnp_sxtb16(rnnp_load(next + second));
        x[0] = rnnp_pkhbt16(a1, b1);
        x[stride] = rnnp_pkhbt16(a2, b2);
        x[3 - stride] = rnnp_pkhtb16(a1, b1);
        x[3] = rnnp_pkhtb16(a2, b2);
    }
}

void rnnp_kernel_pointwise(
    const rnnp_pointwise_t *p, const int8_t *in, const int8_t *skip, uint32_t pixels, int8_t *out) {
    uint32_t channels = p->in_channels, outputs = p->out_channels;
    rnnp_tile_t tile;
    rnnp_armv7em_tile_init(&tile, &p->requantize, channels, p->tile);
    if (rnnp_once(&p->requantize)) {
        tile.residual = (uintptr_t)p->residual;
    }
    tile.pixel_step = outputs;
    if (p->out_pitch != 0) {
        tile.pixel_step = 1;
        tile.channel_step = p->out_pitch;
    }
    rnnp_armv7em_tile_outputs(&tile, p->weight, outputs);
    uint32_t step = tile.pixel_step;
    for (uint32_t x = 0; x < pixels; x += tile.pixels) {
        tile.pixels = rnnp_min_u32(RNNP_TILE, pixels - x);
        if (p->in_pitch != 0) {
            widen_planar(in + x * p->stride, p->in_pitch, p->stride, channels, p->tile);
        } else {
            const int8_t *pixel[RNNP_TILE];
            for (uint32_t i = 0; i < RNNP_TILE; i++) {
                pixel[i] = in + rnnp_min_u32(x + i, pixels - 1) * channels;
            }
            rnnp_armv7em_widen(pixel, 1, channels, p->tile);
        }
        tile.skip = skip + x * outputs;
        tile.out = out + x * step;
        rnnp_armv7em_tile(&tile);
    }
    for (uint32_t o = 0; o < outputs && rnnp_armv7em_clamps(&p->requantize); o++) {
        bool planar = p->out_pitch != 0; // else all at once
        rnnp_armv7em_clamp(&p->requantize, out + o * p->out_pitch, planar ? pixels : o == 0 ? pixels * outputs : 0);
    }
}

RNNP_SMALL_C_END

#endif
