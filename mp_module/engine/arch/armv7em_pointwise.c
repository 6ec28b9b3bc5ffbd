// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The 1x1 convolution on an Armv7E-M, tile by tile (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

// Words of the four pixels of two channels, from the pixels' pairs (0, 2) and (1, 3) or, `ordered`, (0, 1) and (2, 3).
static inline uint32_t *put_pair(uint32_t *x, uint32_t a1, uint32_t b1, uint32_t a2, uint32_t b2, bool ordered) {
    *x++ = rnnp_pkhbt16(a1, b1);
    *x++ = ordered ? rnnp_pkhtb16(a1, b1) : rnnp_pkhbt16(a2, b2);
    *x++ = ordered ? rnnp_pkhbt16(a2, b2) : rnnp_pkhtb16(a1, b1);
    *x++ = rnnp_pkhtb16(a2, b2);
    return x;
}

// Four neighbours of a planar input, which has a row of pixels a channel. Rows are taken in pairs; past the last channel
// the weights are 0.
__attribute__((noinline)) static void widen_planar(const int8_t *in, uint32_t pitch, uint32_t channels, uint32_t *x) {
    for (const int8_t *end = in + (channels & ~1u) * pitch; in != end; in += 2 * pitch) {
        uint32_t a = rnnp_load(in), b = rnnp_load(in + pitch);
        x = put_pair(x, rnnp_sxtb16(a), rnnp_sxtb16(b), rnnp_sxtb16_ror8(a), rnnp_sxtb16_ror8(b), false);
    }
    if (channels % 2 != 0) {
        uint32_t a = rnnp_load(in);
        put_pair(x, rnnp_sxtb16(a), 0, rnnp_sxtb16_ror8(a), 0, false);
    }
}

RNNP_SMALL_C

// The same of every second pixel.
static void widen_second(const int8_t *in, uint32_t pitch, uint32_t channels, uint32_t *x) {
    for (uint32_t i = 0; i < channels; i += 2, in += 2 * pitch) {
        const int8_t *next = i + 1 < channels ? in + pitch : in;
        x = put_pair(x, rnnp_sxtb16(rnnp_load(in)), rnnp_sxtb16(rnnp_load(next)), rnnp_sxtb16(rnnp_load(in + 4)),
            rnnp_sxtb16(rnnp_load(next + 4)), true);
    }
}

void rnnp_kernel_pointwise(
    const rnnp_pointwise_t *p, const int8_t *in, const int8_t *skip, uint32_t pixels, int8_t *out) {
    uint32_t channels = p->in_channels, outputs = p->out_channels;
    rnnp_tile_t tile;
    rnnp_armv7em_tile_init(&tile, &p->requantize, channels, p->tile);
    tile.residual = (uintptr_t)p->residual;
    tile.pixel_step = outputs;
    if (p->out_pitch != 0) {
        tile.pixel_step = 1;
        tile.channel_step = p->out_pitch;
    }
    rnnp_armv7em_tile_outputs(&tile, p->weight, outputs);
    uint32_t step = tile.pixel_step, in_step = pixels == 1 ? 0 : channels;
    const int8_t *pixel[RNNP_TILE] = { in, in + in_step, in + 2 * in_step, in + 3 * in_step };
    for (uint32_t x = 0; x < pixels; x += tile.pixels) {
        tile.pixels = rnnp_min_u32(RNNP_TILE, pixels - x);
        for (uint32_t p = tile.pixels; p < RNNP_TILE; p++) {
            pixel[p] = pixel[0]; // not looked at
        }
        if (p->in_pitch != 0 && p->stride == 1) {
            widen_planar(in + x, p->in_pitch, channels, p->tile);
        } else if (p->in_pitch != 0) {
            widen_second(in + 2 * x, p->in_pitch, channels, p->tile);
        } else {
            rnnp_armv7em_widen(pixel, 1, channels, p->tile, x * channels);
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
