// This file is part of rnnpool. MIT licence, see LICENSE.
//
// W x of the recurrent cell on an Armv7E-M with FPU: four inputs at a time, products of int16 pairs by SMLAD.
#include "armv7em.h"

#if RNNP_ARMV7EM

#define HIDDEN (16) // of the fast kernel for pixels
#define TILE (4) // pixels or vectors

// One pixel of 4 channels less the zero point, as the pairs (0, 1) and (2, 3).
static inline void widen(const int8_t *x, uint32_t zero_points, uint32_t *pairs) {
    uint32_t word = rnnp_load(x);
    uint32_t even = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16(word), (int16x2_t)zero_points);
    uint32_t odd = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16_ror8(word), (int16x2_t)zero_points);
    pairs[0] = rnnp_pkhbt16(even, odd);
    pairs[1] = rnnp_pkhtb16(even, odd);
}

// Arguments of four_pixels(), loaded in this order.
typedef struct {
    const int16_t *w; // r0
    int16_t *wx; // r1
    uint32_t shift; // lr
    const int16_t *w_end; // s0
    uint32_t x[2 * TILE]; // r4 - r11
} four_pixels_t;

__attribute__((naked, noinline)) static void four_pixels(__attribute__((unused)) const four_pixels_t *arguments) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "ldmia r0!, {r1, r2, r3, r12}\n"
                     "vmov s0, r12\n"
                     "mov lr, r3\n"
                     "ldmia r0, {r4-r11}\n"
                     "mov r0, r1\n"
                     "mov r1, r2\n"
                     ".macro rnnp_product x01, x23, offset\n"
                     "smuad r12, r2, \\x01\n"
                     "smlad r12, r3, \\x23, r12\n"
                     "asr.w r12, r12, lr\n"
                     "ssat r12, #16, r12\n"
                     "strh r12, [r1, #\\offset]\n"
                     ".endm\n"
                     "1:\n"
                     ".rept 2\n" // rows of W
                     "ldmia r0!, {r2, r3}\n"
                     "rnnp_product r4, r5, 0\n"
                     "rnnp_product r6, r7, 32\n"
                     "rnnp_product r8, r9, 64\n"
                     "rnnp_product r10, r11, 96\n"
                     "adds r1, #2\n"
                     ".endr\n"
                     ".purgem rnnp_product\n"
                     "vmov r12, s0\n"
                     "cmp r0, r12\n"
                     "bne.w 1b\n"
                     "pop {r4-r11, pc}\n");
}

void rnnp_kernel_cell_input8(
    const rnnp_cell_t *cell, const int8_t *x, int8_t zero_point, uint32_t pixels, int16_t *wx) {
    if (cell->inputs != 4 || cell->hidden != HIDDEN) {
        rnnp_kernel_cell_input8_c(cell, x, zero_point, pixels, wx);
        return;
    }
    uint32_t zero_points = (uint16_t)zero_point * 0x10001u;
    four_pixels_t arguments; // an initializer would clear x as well
    arguments.w = cell->w;
    arguments.shift = cell->shift_w;
    arguments.w_end = cell->w + 4 * HIDDEN;
    for (uint32_t first = 0; first < pixels; first += TILE) {
        int16_t products[TILE * HIDDEN];
        uint32_t count = pixels - first < TILE ? pixels - first : TILE;
        RNNP_UNROLL
        for (uint32_t i = 0; i < TILE; i++) {
            widen(x + 4 * (first + (i < count ? i : 0)), zero_points, &arguments.x[2 * i]);
        }
        arguments.wx = count < TILE ? products : wx + first * HIDDEN;
        four_pixels(&arguments);
        if (count < TILE) {
            memcpy(wx + first * HIDDEN, products, count * HIDDEN * sizeof(int16_t));
        }
    }
}

#define INPUTS (16) // of the fast kernel for vectors

// Arguments of four_vectors(): loaded into s0 .. s7 in this order.
typedef struct {
    const int16_t *w;
    const int16_t *v; // vectors of INPUTS values, one behind the other
    int16_t *wx; // of the first vector
    uint32_t offsets[TILE - 1]; // bytes from there to the others'
    uint32_t shift;
    uint32_t pairs; // of rows
} four_vectors_t;

__attribute__((naked, noinline)) static void four_vectors(__attribute__((unused)) const four_vectors_t *arguments) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "vldmia r0, {s0-s7}\n"
                     "vmov r1, s0\n"
                     "vmov r0, s1\n"
                     // A pair of rows of W: sums r4-r7 of the first, r8-r11 of the second.
                     "1:\n"
                     ".irp k, 0, 1, 2, 3, 4, 5, 6, 7\n"
                     "ldr r2, [r1, #4 * \\k]\n"
                     "ldr r3, [r1, #32 + 4 * \\k]\n"
                     "ldr r12, [r0, #4 * \\k]\n"
                     "ldr lr, [r0, #32 + 4 * \\k]\n"
                     ".if \\k == 0\n"
                     "smuad r4, r12, r2\n"
                     "smuad r8, r12, r3\n"
                     "smuad r5, lr, r2\n"
                     "smuad r9, lr, r3\n"
                     ".else\n"
                     "smlad r4, r12, r2, r4\n"
                     "smlad r8, r12, r3, r8\n"
                     "smlad r5, lr, r2, r5\n"
                     "smlad r9, lr, r3, r9\n"
                     ".endif\n"
                     "ldr r12, [r0, #64 + 4 * \\k]\n"
                     "ldr lr, [r0, #96 + 4 * \\k]\n"
                     ".if \\k == 0\n"
                     "smuad r6, r12, r2\n"
                     "smuad r10, r12, r3\n"
                     "smuad r7, lr, r2\n"
                     "smuad r11, lr, r3\n"
                     ".else\n"
                     "smlad r6, r12, r2, r6\n"
                     "smlad r10, r12, r3, r10\n"
                     "smlad r7, lr, r2, r7\n"
                     "smlad r11, lr, r3, r11\n"
                     ".endif\n"
                     ".endr\n"
                     "add r1, r1, #64\n"
                     "vmov r2, s6\n"
                     ".irp r, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "asr.w r\\r, r\\r, r2\n"
                     "ssat r\\r, #16, r\\r\n"
                     ".endr\n"
                     "pkhbt r4, r4, r8, lsl #16\n"
                     "pkhbt r5, r5, r9, lsl #16\n"
                     "pkhbt r6, r6, r10, lsl #16\n"
                     "pkhbt r7, r7, r11, lsl #16\n"
                     "vmov r2, s2\n"
                     "vmov r3, s3\n"
                     "str r5, [r2, r3]\n"
                     "vmov r3, s4\n"
                     "str r6, [r2, r3]\n"
                     "vmov r3, s5\n"
                     "str r7, [r2, r3]\n"
                     "str r4, [r2], #4\n" // last: of a vector that is there more than once all are equal
                     "vmov s2, r2\n"
                     "vmov r3, s7\n"
                     "subs r3, r3, #1\n"
                     "vmov s7, r3\n"
                     "bne.w 1b\n"
                     "pop {r4-r11, pc}\n");
}

void rnnp_kernel_cell_input16(const rnnp_cell_t *cell, const int16_t *v, uint32_t count, int16_t *wx) {
    uint32_t hidden = cell->hidden;
    if (cell->inputs != INPUTS || hidden % 2 != 0) {
        rnnp_kernel_cell_input16_c(cell, v, count, wx);
        return;
    }
    for (uint32_t first = 0; first < count; first += TILE) {
        int16_t copy[TILE * INPUTS] __attribute__((aligned(4)));
        uint32_t vectors = count - first < TILE ? count - first : TILE;
        const int16_t *from = v + first * INPUTS;
        if (vectors < TILE) { // fill up with the first vector: the same result, stored in the same place
            for (uint32_t i = 0; i < TILE; i++) {
                memcpy(copy + i * INPUTS, from + (i < vectors ? i : 0) * INPUTS, INPUTS * sizeof(int16_t));
            }
            from = copy;
        }
        four_vectors_t arguments = {
            .w = cell->w, .v = from, .wx = wx + first * hidden, .shift = cell->shift_w, .pairs = hidden / 2
        };
        for (uint32_t i = 1; i < TILE; i++) {
            arguments.offsets[i - 1] = (i < vectors ? i : 0) * hidden * (uint32_t)sizeof(int16_t);
        }
        four_vectors(&arguments);
    }
}

#endif
