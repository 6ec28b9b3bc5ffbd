// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Depthwise convolutions of any window on an Armv7E-M: four channels at a time, as they lie side by side.
#include "armv7em.h"

#if RNNP_ARMV7EM

// The products of the lower, or the upper, halves of two words, added.
static inline int32_t smlabb(uint32_t a, uint32_t b, int32_t c) {
    return __smlabb((int32_t)a, (int32_t)b, c);
}

static inline int32_t smlatt(uint32_t a, uint32_t b, int32_t c) {
    return __smlatt((int32_t)a, (int32_t)b, c);
}

void rnnp_kernel_filter(const rnnp_filter_t *filter, const int8_t *in, const uint32_t *taps, int8_t *out) {
    const rnnp_requantize_t r = filter->requantize; // a copy: out might be part of it for all that the compiler knows
    uint32_t channels = filter->channels, count;
    const uint32_t *end = taps + filter->taps;
    const int32_t *bias = r.bias, *multiplier = r.multiplier;
    int32_t scale = 1 << rnnp_shift(&r), zero_point = r.zero_point, min = r.min, max = r.max;
    bool once = rnnp_once(&r);
    for (uint32_t c = 0; c < channels; in += count) {
        const int8_t *weight = filter->weight + c;
        int32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
        count = channels - c < 4 ? 1 : 4;
        const uint32_t *tap = taps;
        for (; count == 1 && tap < end; tap++, weight += channels) {
            acc0 += *weight * in[*tap];
        }
        for (; tap < end; tap++, weight += channels) {
            uint32_t x = rnnp_load(in + *tap), w = rnnp_load(weight);
            uint32_t x02 = rnnp_sxtb16(x), w02 = rnnp_sxtb16(w);
            uint32_t x13 = rnnp_sxtb16_ror8(x), w13 = rnnp_sxtb16_ror8(w);
            acc0 = smlabb(x02, w02, acc0);
            acc1 = smlabb(x13, w13, acc1);
            acc2 = smlatt(x02, w02, acc2);
            acc3 = smlatt(x13, w13, acc3);
        }
        int32_t acc[4] = { acc0, acc1, acc2, acc3 };
        for (uint32_t i = 0; i < count; i++) {
            int32_t y;
            if (once) {
                y = rnnp_smmlar((bias[c + i] + acc[i]) * scale, multiplier[c + i], zero_point);
            } else {
                y = rnnp_requantize(&r, acc[i], c + i);
            }
            *out++ = (int8_t)rnnp_clamp(y, min, max);
        }
        c += count;
    }
}

#endif
