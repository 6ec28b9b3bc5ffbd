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
    uint32_t channels = filter->channels, c = 0, ones = 0x01010101, bytes = 0x00ff00ff;
    uint32_t min = (uint8_t)r.min * ones, max = (uint8_t)r.max * ones;
    const uint32_t *end = taps + filter->taps;
    int32_t scale = 1 << rnnp_shift(&r);
    bool once = rnnp_once(&r);
    for (; c + 4 <= channels; c += 4, in += 4, out += 4) {
        const int8_t *weight = filter->weight + c;
        const int32_t *multiplier = r.multiplier + c;
        int32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
        for (const uint32_t *tap = taps; tap < end; tap++, weight += channels) {
            uint32_t x = rnnp_load(in + *tap), w = rnnp_load(weight);
            uint32_t x02 = rnnp_sxtb16(x), w02 = rnnp_sxtb16(w);
            uint32_t x13 = rnnp_sxtb16_ror8(x), w13 = rnnp_sxtb16_ror8(w);
            acc0 = smlabb(x02, w02, acc0);
            acc1 = smlabb(x13, w13, acc1);
            acc2 = smlatt(x02, w02, acc2);
            acc3 = smlatt(x13, w13, acc3);
        }
        if (!once) {
            out[0] = rnnp_requantize(&r, acc0, c);
            out[1] = rnnp_requantize(&r, acc1, c + 1);
            out[2] = rnnp_requantize(&r, acc2, c + 2);
            out[3] = rnnp_requantize(&r, acc3, c + 3);
            continue;
        }
        const int32_t *bias = r.bias + c;
        acc0 = __ssat(rnnp_smmlar((bias[0] + acc0) * scale, multiplier[0], r.zero_point), 8);
        acc1 = __ssat(rnnp_smmlar((bias[1] + acc1) * scale, multiplier[1], r.zero_point), 8);
        acc2 = __ssat(rnnp_smmlar((bias[2] + acc2) * scale, multiplier[2], r.zero_point), 8);
        acc3 = __ssat(rnnp_smmlar((bias[3] + acc3) * scale, multiplier[3], r.zero_point), 8);
        uint32_t y02 = rnnp_pkhbt16((uint32_t)acc0, (uint32_t)acc2) & bytes;
        uint32_t y13 = rnnp_pkhbt16((uint32_t)acc1, (uint32_t)acc3) & bytes;
        rnnp_store(out, rnnp_clamp8(y02 | y13 << 8, min, max));
    }
    for (; c < channels; c++, in++) {
        const int8_t *weight = filter->weight + c;
        int32_t acc = 0;
        for (const uint32_t *tap = taps; tap < end; tap++, weight += channels) {
            acc += *weight * in[*tap];
        }
        int32_t y = once ? rnnp_smmlar((r.bias[c] + acc) * scale, r.multiplier[c], r.zero_point)
                         : rnnp_requantize(&r, acc, c);
        *out++ = (int8_t)rnnp_clamp(y, r.min, r.max);
    }
}

#endif
