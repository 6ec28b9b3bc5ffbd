// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The 1x1 convolution on an Armv7E-M with FPU, tile by tile (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

// Four pixels of a planar input of stride 1 or 2: a row of pixels a channel.
static void widen_planar(const rnnp_pointwise_t *p, const int8_t *in, uint32_t *x) {
    for (uint32_t i = 0; i < p->in_channels; i += 2, in += 2 * p->in_pitch, x += RNNP_TILE) {
        const int8_t *next = i + 1 < p->in_channels ? in + p->in_pitch : in;
        uint32_t a = rnnp_load(in), b = rnnp_load(next), even_a = rnnp_sxtb16(a), even_b = rnnp_sxtb16(b);
        if (p->stride == 1) {
            uint32_t odd_a = rnnp_sxtb16_ror8(a), odd_b = rnnp_sxtb16_ror8(b);
            x[0] = rnnp_pkhbt16(even_a, even_b);
            x[1] = rnnp_pkhbt16(odd_a, odd_b);
            x[2] = rnnp_pkhtb16(even_a, even_b);
            x[3] = rnnp_pkhtb16(odd_a, odd_b);
        } else {
            uint32_t later_a = rnnp_sxtb16(rnnp_load(in + 4)), later_b = rnnp_sxtb16(rnnp_load(next + 4));
            x[0] = rnnp_pkhbt16(even_a, even_b);
            x[1] = rnnp_pkhtb16(even_a, even_b);
            x[2] = rnnp_pkhbt16(later_a, later_b);
            x[3] = rnnp_pkhtb16(later_a, later_b);
        }
    }
}

// Four pixels of a number of channels that is no multiple of 4, or fewer pixels.
static void widen_bytes(const int8_t *in, uint32_t step, uint32_t channels, int16_t *x) {
    for (uint32_t p = 0; p < RNNP_TILE; p++, in += step, x += 2) {
        for (uint32_t i = 0; i < channels; i++) {
            x[i / 2 * (2 * RNNP_TILE) + i % 2] = in[i];
        }
    }
}

void rnnp_kernel_pointwise(
    const rnnp_pointwise_t *p, const int8_t *in, const int8_t *skip, uint32_t pixels, int8_t *out) {
    uint32_t channels = p->in_channels, outputs = p->out_channels;
    rnnp_tile_t tile;
    rnnp_armv7em_tile_init(&tile, p->weight, &p->requantize, channels, p->tile);
    tile.residual = p->residual;
    tile.pixel_step = outputs;
    if (p->out_pitch != 0) {
        tile.pixel_step = 1;
        tile.channel_step = p->out_pitch;
    }
    uint32_t step = tile.pixel_step, in_step = channels;
    for (uint32_t next = 0; next < pixels; next += pixels < RNNP_TILE ? 1 : RNNP_TILE) {
        uint32_t x = rnnp_armv7em_tile_at(next, pixels, &tile.pixel_step);
        if (p->in_pitch != 0) {
            widen_planar(p, in + x * p->stride, p->tile);
        } else if (channels % 4 == 0) {
            rnnp_armv7em_widen(in + x * channels, tile.pixel_step == 0 ? 0 : in_step, channels, p->tile);
        } else {
            widen_bytes(in + x * channels, tile.pixel_step == 0 ? 0 : in_step, channels, p->tile);
        }
        tile.skip = skip + x * outputs;
        tile.out = out + x * step;
        rnnp_armv7em_tile(&tile, channels, outputs);
    }
    if (p->out_pitch == 0) {
        rnnp_armv7em_clamp(&p->requantize, out, pixels * outputs);
    } else {
        for (uint32_t o = 0; o < outputs; o++) {
            rnnp_armv7em_clamp(&p->requantize, out + o * p->out_pitch, pixels);
        }
    }
}

#endif
