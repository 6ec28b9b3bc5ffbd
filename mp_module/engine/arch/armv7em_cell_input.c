// This file is part of rnnpool. MIT licence, see LICENSE.
//
// W x of the recurrent cell on an Armv7E-M: tiles of 2 rows of W x 2 inputs, products of int16 pairs by SMLAD.
#include "armv7em.h"

#if RNNP_ARMV7EM

// Two sums as the pair sat16(sum >> shift).
static inline uint32_t shifted_pair(int32_t low, int32_t high, uint32_t shift) {
    return rnnp_pkhbt16((uint32_t)__ssat(low >> shift, 16), (uint32_t)__ssat(high >> shift, 16));
}

static inline int32_t rnnp_smlad(uint32_t a, uint32_t b, int32_t acc) {
    return __smlad((int16x2_t)a, (int16x2_t)b, acc);
}

// One pixel of 4 channels less the zero point, as the pairs (0, 1) and (2, 3).
static inline void widen(const int8_t *x, uint32_t zero_points, uint32_t *pair01, uint32_t *pair23) {
    uint32_t word = rnnp_load(x);
    uint32_t even = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16(word), (int16x2_t)zero_points);
    uint32_t odd = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16_ror8(word), (int16x2_t)zero_points);
    *pair01 = rnnp_pkhbt16(even, odd);
    *pair23 = rnnp_pkhtb16(even, odd);
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

#define TILE (4) // vectors
#define INPUTS (16) // of the fast kernel

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
                     ".irp r, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "mov r\\r, #0\n"
                     ".endr\n"
                     ".irp k, 0, 1, 2, 3, 4, 5, 6, 7\n"
                     "ldr r2, [r1, #4 * \\k]\n"
                     "ldr r3, [r1, #32 + 4 * \\k]\n"
                     "ldr r12, [r0, #4 * \\k]\n"
                     "ldr lr, [r0, #32 + 4 * \\k]\n"
                     "smlad r4, r12, r2, r4\n"
                     "smlad r8, r12, r3, r8\n"
                     "smlad r5, lr, r2, r5\n"
                     "smlad r9, lr, r3, r9\n"
                     "ldr r12, [r0, #64 + 4 * \\k]\n"
                     "ldr lr, [r0, #96 + 4 * \\k]\n"
                     "smlad r6, r12, r2, r6\n"
                     "smlad r10, r12, r3, r10\n"
                     "smlad r7, lr, r2, r7\n"
                     "smlad r11, lr, r3, r11\n"
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
