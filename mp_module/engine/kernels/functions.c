// This file is part of rnnpool. MIT licence, see LICENSE.
#include "../numeric.h"
#include "kernels.h"
#include "tables.h"

int8_t rnnp_requantize(const rnnp_requantize_t *r, int32_t sum, uint32_t channel) {
    int32_t bias = r->bias[channel], multiplier = r->multiplier[channel], y;
    if (rnnp_fine(r)) {
        int64_t product = (int64_t)(sum * (1 << RNNP_FINE_BITS) + bias) * multiplier;
        y = ((int32_t)(product >> 32) + (1 << (RNNP_FINE_BITS - 1))) >> RNNP_FINE_BITS;
    } else {
        const rnnp_twice_t twice = rnnp_twice(multiplier, r->exponent[channel]);
        y = rnnp_round_twice(&twice, sum + bias);
    }
    return (int8_t)rnnp_clamp(r->zero_point + y, r->min, r->max);
}

int32_t rnnp_sigmoid15(int32_t x) {
    int32_t u = rnnp_satu15(x < 0 ? -x : x);
    int32_t i = u >> 8;
    int32_t low = rnnp_sigmoid_table[i];
    int32_t s = low + (((rnnp_sigmoid_table[i + 1] - low) * (u & 255) + 128) >> 8);
    return rnnp_satu15(x < 0 ? 32768 - s : s);
}

int32_t rnnp_tanh15(int32_t x) {
    return rnnp_sat16(2 * rnnp_sigmoid15(rnnp_sat16(2 * x)) - 32768);
}

int32_t rnnp_exp2_mantissa(int32_t f) {
    int32_t low = rnnp_exp2_table[f >> 7];
    return low + (((rnnp_exp2_table[(f >> 7) + 1] - low) * (f & 127) + 64) >> 7);
}

int32_t rnnp_exp2_14(int32_t t) {
    t = rnnp_clamp(t, -16384, 16384);
    int32_t i = t >> 12; // whole part, -4..4
    int32_t m = rnnp_exp2_mantissa(t & 4095);
    return i >= 0 ? m << i : m >> -i;
}
