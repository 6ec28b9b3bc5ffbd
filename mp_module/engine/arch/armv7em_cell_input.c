// This file is part of rnnpool. MIT licence, see LICENSE.
//
// W x of the recurrent cell on an Armv7E-M: tiles of 2 rows of W x 2 inputs, products of int16 pairs by SMLAD.
#include "armv7em.h"

#if RNNP_ARMV7EM

// Two sums as the pair sat16(sum >> shift).
static inline uint32_t shifted_pair(int32_t low, int32_t high, uint32_t shift) {
    return (uint32_t)(uint16_t)__ssat(low >> shift, 16) | (uint32_t)__ssat(high >> shift, 16) << 16;
}

static inline int32_t rnnp_smlad(uint32_t a, uint32_t b, int32_t acc) {
    return __smlad((int16x2_t)a, (int16x2_t)b, acc);
}

// One pixel of 4 channels less the zero point, as the pairs (0, 1) and (2, 3).
static inline void widen(const int8_t *x, uint32_t zero_points, uint32_t *pair01, uint32_t *pair23) {
    uint32_t word = rnnp_load(x);
    uint32_t even = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16(word), (int16x2_t)zero_points);
    uint32_t odd = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16_ror8(word), (int16x2_t)zero_points);
    *pair01 = (even & 0xFFFF) | odd << 16;
    *pair23 = (odd & 0xFFFF0000u) | even >> 16;
}

// Two pixels of 4 channels.
__attribute__((noinline)) static void two_pixels(
    const rnnp_cell_t *cell, const int8_t *x, uint32_t zero_points, int16_t *wx) {
    uint32_t hidden = cell->hidden, shift = cell->shift_w;
    const int16_t *w = cell->w;
    uint32_t a01, a23, b01, b23;
    widen(x, zero_points, &a01, &a23);
    widen(x + 4, zero_points, &b01, &b23);
    for (const int16_t *end = w + 4 * hidden; w < end; w += 8) {
        uint32_t w01 = rnnp_load(w), w23 = rnnp_load(w + 2);
        int32_t a0 = rnnp_smlad(w23, a23, __smuad((int16x2_t)w01, (int16x2_t)a01));
        int32_t b0 = rnnp_smlad(w23, b23, __smuad((int16x2_t)w01, (int16x2_t)b01));
        w01 = rnnp_load(w + 4);
        w23 = rnnp_load(w + 6);
        int32_t a1 = rnnp_smlad(w23, a23, __smuad((int16x2_t)w01, (int16x2_t)a01));
        int32_t b1 = rnnp_smlad(w23, b23, __smuad((int16x2_t)w01, (int16x2_t)b01));
        rnnp_store(wx, shifted_pair(a0, a1, shift));
        rnnp_store(wx + hidden, shifted_pair(b0, b1, shift));
        wx += 2;
    }
}

void rnnp_kernel_cell_input8(
    const rnnp_cell_t *cell, const int8_t *x, int8_t zero_point, uint32_t pixels, int16_t *wx) {
    uint32_t pairs = cell->inputs == 4 && cell->hidden % 2 == 0 ? pixels / 2 : 0;
    uint32_t zero_points = (uint16_t)zero_point * 0x10001u;
    for (uint32_t i = 0; i < pairs; i++) {
        two_pixels(cell, x + 8 * i, zero_points, wx + 2 * i * cell->hidden);
    }
    pixels -= 2 * pairs;
    rnnp_kernel_cell_input8_c(cell, x + 8 * pairs, zero_point, pixels, wx + 2 * pairs * cell->hidden);
}

void rnnp_kernel_cell_input16(const rnnp_cell_t *cell, const int16_t *v, uint32_t count, int16_t *wx) {
    uint32_t inputs = cell->inputs, hidden = cell->hidden, shift = cell->shift_w;
    if (inputs % 8 != 0 || hidden % 2 != 0) {
        rnnp_kernel_cell_input16_c(cell, v, count, wx);
        return;
    }
    for (uint32_t i = 0; i < count; i += 2) {
        // An odd vector at the end is taken twice.
        uint32_t next = i + 1 < count ? inputs : 0, next_out = i + 1 < count ? hidden : 0;
        const int16_t *w = cell->w;
        for (uint32_t h = 0; h < hidden; h += 2) {
            const int16_t *a = v, *b = v + next, *w1 = w + inputs, *end = v + inputs;
            int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0;
            while (a < end) {
                RNNP_UNROLL
                for (uint32_t k = 0; k < 4; k++) {
                    uint32_t va = rnnp_load(a + 2 * k), vb = rnnp_load(b + 2 * k);
                    uint32_t row0 = rnnp_load(w + 2 * k), row1 = rnnp_load(w1 + 2 * k);
                    a0 = rnnp_smlad(row0, va, a0);
                    a1 = rnnp_smlad(row1, va, a1);
                    b0 = rnnp_smlad(row0, vb, b0);
                    b1 = rnnp_smlad(row1, vb, b1);
                }
                a += 8;
                b += 8;
                w += 8;
                w1 += 8;
            }
            w = w1;
            rnnp_store(wx + h, shifted_pair(a0, a1, shift));
            rnnp_store(wx + next_out + h, shifted_pair(b0, b1, shift));
        }
        v += 2 * inputs;
        wx += 2 * hidden;
    }
}

#endif
