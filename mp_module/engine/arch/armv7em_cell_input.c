// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Tiles of the recurrent cell from and to int8 on an Armv7E-M with FPU (armv7em_cell.c has what is done with them).
#include "armv7em.h"

#if RNNP_ARMV7EM

// Arguments of four_inputs(), loaded in this order.
typedef struct {
    const uint32_t *packed; // r0
    int16_t *wx; // r1
    const uint32_t *end; // s0
    uint32_t pitch; // s1, bytes
    uint32_t tile[2 * RNNP_LANES]; // r4 - r11
} four_inputs_t;

// Products of matrices of 4 columns: shifted by SHIFT, which the loader of the tile takes care of.
#define SHIFT (12)
__attribute__((naked, noinline)) static void four_inputs(__attribute__((unused)) const four_inputs_t *arguments) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "ldmia r0!, {r1, r2, r3, r12}\n"
                     "vmov s0, r3\n"
                     "vmov s1, r12\n"
                     "ldmia r0, {r4-r11}\n"
                     "mov r0, r1\n"
                     "mov r1, r2\n"
                     ".macro rnnp_product x01, x23, offset\n"
                     "smuad r12, r2, \\x01\n"
                     "smlad r12, r3, \\x23, r12\n"
                     "ssat r12, #16, r12, asr #12\n"
                     "strh r12, [r1, #\\offset]\n"
                     ".endm\n"
                     "1:\n"
                     ".irp row, 0, 2\n"
                     "ldmia r0!, {r2, r3}\n"
                     "rnnp_product r4, r8, \\row\n"
                     "rnnp_product r5, r9, \\row + 4\n"
                     "rnnp_product r6, r10, \\row + 8\n"
                     "rnnp_product r7, r11, \\row + 12\n"
                     ".endr\n"
                     ".purgem rnnp_product\n"
                     "vmov r12, s1\n"
                     "vmov r3, s0\n"
                     "add r1, r1, r12\n"
                     "cmp r0, r3\n"
                     "bne.w 1b\n"
                     "pop {r4-r11, pc}\n");
}

void rnnp_kernel_cell_input8(const rnnp_cell_t *cell, const int8_t *x, uint32_t step, uint32_t count, int8_t zero_point,
    uint32_t shift, int16_t *wx, uint32_t pitch) {
    uint32_t hidden = cell->hidden;
    if (hidden % 2 == 0 && cell->inputs == 4 && cell->shift_w <= SHIFT && cell->shift_w + 6u >= SHIFT && shift == 0) {
        // Inputs times 2^left are below 2^15, sums below 4 * 2^15 * 255 * 2^6 < 2^31.
        uint32_t left = SHIFT - cell->shift_w;
        uint32_t zero_points = ((uint32_t)(zero_point + 128) << left) * 0x10001u;
        four_inputs_t arguments; // an initializer would clear the tile as well
        arguments.packed = cell->packed + 1;
        arguments.wx = wx;
        arguments.end = cell->packed + 1 + 2 * hidden;
        arguments.pitch = 4 * pitch;
        RNNP_UNROLL
        for (uint32_t lane = 0; lane < RNNP_LANES; lane++) {
            uint32_t word = rnnp_load(x) ^ 0x80808080;
            uint32_t even = (uint32_t)__uxtb16(word) << left, odd = (uint32_t)__uxtb16(word >> 8) << left;
            even = (uint32_t)__ssub16((int16x2_t)even, (int16x2_t)zero_points);
            odd = (uint32_t)__ssub16((int16x2_t)odd, (int16x2_t)zero_points);
            arguments.tile[lane] = rnnp_pkhbt16(even, odd);
            arguments.tile[lane + RNNP_LANES] = rnnp_pkhtb16(even, odd);
            x += lane + 1 < count ? step : 0;
        }
        four_inputs(&arguments);
        return;
    }
    if (cell->inputs % 4 != 0 || cell->inputs > 16) {
        rnnp_kernel_cell_input8_c(cell, x, step, count, zero_point, shift, wx, pitch);
        return;
    }
    uint32_t tile[16 / 2 * RNNP_LANES];
    uint32_t zero_points = (uint16_t)zero_point * 0x10001u, mask = shift == 0 ? ~0u : 0xFF00FF00;
    for (uint32_t lane = 0; lane < count; lane++, x += step) {
        uint32_t *to = tile + lane;
        for (uint32_t i = 0; i < cell->inputs; i += 4, to += 2 * RNNP_LANES) {
            uint32_t word = rnnp_load(x + i);
            uint32_t even = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16(word), (int16x2_t)zero_points);
            uint32_t odd = (uint32_t)__ssub16((int16x2_t)rnnp_sxtb16_ror8(word), (int16x2_t)zero_points);
            to[0] = rnnp_pkhbt16(even, odd) << shift & mask;
            to[RNNP_LANES] = rnnp_pkhtb16(even, odd) << shift & mask;
        }
    }
    rnnp_kernel_cell_input(cell, (const int16_t *)tile, count, wx, pitch);
}

void rnnp_kernel_cell_store(const int16_t *tile, uint32_t elements, uint32_t count, int8_t *out, uint32_t step) {
    if (elements % 4 != 0) {
        rnnp_kernel_cell_store_c(tile, elements, count, out, step);
        return;
    }
    for (uint32_t lane = 0; lane < count; lane++, out += step) {
        const int16_t *from = tile + 2 * lane;
        for (uint32_t i = 0; i < elements; i += 4, from += 4 * RNNP_LANES) {
            // The upper bytes, saturated by the addition, of two and two halves.
            uint32_t low = (uint32_t)__qadd16((int16x2_t)rnnp_load(from), 0x00800080) >> 8 & 0x00FF00FF;
            uint32_t high = (uint32_t)__qadd16((int16x2_t)rnnp_load(from + 2 * RNNP_LANES), 0x00800080) >> 8 &
                0x00FF00FF;
            rnnp_store(out + i, rnnp_pkhbt16(low | low >> 8, high | high >> 8));
        }
    }
}

#endif
