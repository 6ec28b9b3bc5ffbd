// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Dot products of int8 weights and pixels on an Armv7E-M with FPU, tile by tile (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

uint32_t *rnnp_armv7em_widen(const int8_t *const *pixels, uint32_t channels, uint32_t *x) {
    const int8_t *a = pixels[0], *b = pixels[1], *c = pixels[2], *d = pixels[3];
    for (uint32_t i = 0; i < channels; i += 4) {
        uint32_t word_a = rnnp_load(a + i), word_b = rnnp_load(b + i), word_c = rnnp_load(c + i),
                 word_d = rnnp_load(d + i);
        x[0] = rnnp_sxtb16(word_a);
        x[1] = rnnp_sxtb16(word_b);
        x[2] = rnnp_sxtb16(word_c);
        x[3] = rnnp_sxtb16(word_d);
        x[4] = rnnp_sxtb16_ror8(word_a);
        x[5] = rnnp_sxtb16_ror8(word_b);
        x[6] = rnnp_sxtb16_ror8(word_c);
        x[7] = rnnp_sxtb16_ror8(word_d);
        x += 8;
    }
    return x;
}

uint32_t *rnnp_armv7em_fill(uint32_t *end, const uint32_t *start) {
    while ((uint32_t)(end - start) % RNNP_BLOCK_WORDS != 0) {
        *end++ = 0;
    }
    return end;
}

typedef struct {
    rnnp_dot_t dot; // s0 - s4
    int32_t *acc; // s5
    uint32_t pairs; // s6
} tiles_t;

__attribute__((naked, noinline)) static void tiles(__attribute__((unused)) const tiles_t *arguments) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "vldmia r0, {s0-s6}\n"
                     "1:\n"
                     "vmov r2, s5\n"
                     "ldmia r2, {r4-r11}\n"
                     "vmov r0, s2\n"
                     "vmov r1, s4\n" RNNP_DOT_LOOP "vmov r2, s5\n"
                     "stmia r2!, {r4-r11}\n"
                     "vmov s5, r2\n"
                     "vmov r3, s6\n"
                     "subs r3, r3, #1\n"
                     "vmov s6, r3\n"
                     "bne.w 1b\n"
                     "pop {r4-r11, pc}\n");
}

void rnnp_armv7em_dot(int32_t *acc, const uint32_t *x, const uint32_t *end, const int8_t *weight,
    uint32_t channel_bytes, uint32_t pairs) {
    if (pairs > 0) {
        const tiles_t arguments = { rnnp_armv7em_dot_arguments(x, end, weight, channel_bytes), acc, pairs };
        tiles(&arguments);
    }
}

#endif
