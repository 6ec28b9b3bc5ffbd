// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What steps of the recurrent cell need beside the loop of rows() (armv7em_cell.c), on an Armv7E-M: the first step, other
// sizes than 8 and 16, non-linearities by table, other weights of the update than 1 and 0.
#include "../kernels/tables.h"
#include "armv7em_cell.h"

#if RNNP_ARMV7EM

RNNP_SMALL_C

// The first step, from states of 0: there are no products. Of one tile, or of as many as there are steps. Registers as in
// rows(), and lr W v.
PART rnnp_armv7em_first_step(void) {
    __asm__ volatile(OFFSETS UPDATE "ldr r12, [sp, #TILE]\n"
                                    "6:\n"
                                    "ldr r2, [sp, #LIST]\n"
                                    "ldr r1, [sp, #PACKED]\n"
                                    "ldr r0, [sp, #ONES]\n"
                                    "ldr lr, [r2], #4\n"
                                    "str r2, [sp, #LIST]\n"
                                    "7:\n"
                                    "ldr r2, [sp, #WEIGHTS]\n"
                                    "ldr r3, [sp, #PITCH]\n"
                                    "ldmia lr, {r4-r7}\n"
                                    "add r1, r1, r2\n"
                                    "add lr, lr, r3\n"
                                    "ldmia r1!, {r2, r3}\n"
                                    "rnnp_gates r4, r8\n"
                                    "rnnp_gates r5, r9\n"
                                    "rnnp_gates r6, r10\n"
                                    "rnnp_gates r7, r11\n"
                                    "rnnp_begin r4, r8\n"
                                    "rnnp_begin r5, r9\n"
                                    "rnnp_begin r6, r10\n"
                                    "rnnp_begin r7, r11\n"
                                    "ldr r2, [sp, #END]\n"
                                    "stmia r12!, {r4-r7}\n"
                                    "cmp r12, r2\n"
                                    "bne.w 7b\n"
#if RNNP_WITH_BY_STEP
                                    // The next tile, where there is one.
                                    "ldr r0, [sp, #STEPS]\n"
                                    "ldr r3, [sp, #ADVANCE]\n"
                                    "subs r0, #1\n"
                                    "beq 8f\n"
                                    "cbz r3, 8f\n"
                                    "str r0, [sp, #STEPS]\n"
                                    "add r2, r3\n"
                                    "str r2, [sp, #END]\n"
                                    "b 6b\n"
                                    "8:\n"
#endif
                                    "ldr r0, [sp, #FLAGS]\n"
                                    "msr apsr_nzcvq, r0\n"
                                    "b.w rnnp_armv7em_stepped\n" PURGE_UPDATE PURGE_COPY);
}

#if RNNP_WITH_ANY_CELL

// From the sums on, where something is unusual: how often they are doubled, non-linearities by table, or a zeta and nu that
// are not 1 and 0.
//
// Both functions by table are (A[i] + D[i] x) >> s, with i the upper byte of x, exactly (rnnp_kernel_cell_table).
PART rnnp_armv7em_unusual(void) {
    __asm__ volatile(OFFSETS UPDATE ".macro rnnp_look_up x, left, right\n"
                                    "sbfx r0, \\x, #8, #8\n"
                                    "asr.w r1, \\x, #24\n"
                                    "ldr r2, [r12, r0, lsl #2]\n"
                                    "ldr r3, [r12, r1, lsl #2]\n"
                                    "ldrsh r0, [lr, r0, lsl #1]\n"
                                    "ldrsh r1, [lr, r1, lsl #1]\n"
                                    "smlabb r2, r0, \\x, r2\n"
                                    "smlabt r3, r1, \\x, r3\n"
                                    "lsl.w r3, r3, #\\left\n"
                                    "pkhtb \\x, r3, r2, asr #\\right\n"
                                    ".endm\n"
                                    ".macro rnnp_weighted g, z, lane\n"
                                    "mov.w r2, #0x20002000\n"
                                    "ldr r3, [sp, #ZETA]\n"
                                    "sub.w r2, r2, #0x00010001\n"
                                    "eor r2, r2, \\z\n" // 1 - z
                                    "smulbb r0, r2, r3\n"
                                    "smultb r2, r2, r3\n"
                                    "ldr r3, [sp, #NU]\n"
                                    "ldr lr, [r12, #4 * \\lane]\n"
                                    "lsl.w r2, r2, #3\n"
                                    "pkhtb r2, r2, r0, asr #13\n"
                                    "qadd16 r2, r2, r3\n" // weight of g; nu is what may saturate it
                                    "smulbb r0, \\z, lr\n"
                                    "smultt r3, \\z, lr\n"
                                    "smlabb r0, r2, \\g, r0\n"
                                    "smlatt r3, r2, \\g, r3\n"
                                    "ssat r0, #16, r0, asr #13\n"
                                    "ssat r3, #16, r3, asr #13\n"
                                    "pkhbt \\g, r0, r3, lsl #16\n"
                                    ".endm\n"
                                    "ldr r0, [sp, #DOUBLINGS]\n"
                                    ".global rnnp_armv7em_summed\n.hidden rnnp_armv7em_summed\nrnnp_armv7em_summed:\n"
                                    "7:\n" // for this function's own jump: no relocation of a short one
                                    "cbz r0, 5f\n"
                                    ".irp sum, 4, 5, 6, 7, 8, 9, 10, 11\n"
                                    "qadd r\\sum, r\\sum, r\\sum\n"
                                    ".endr\n"
                                    "sub.w r0, r0, #1\n"
                                    "b 7b\n"
                                    "5:\n"
                                    "ldr r2, [sp, #WX]\n"
                                    "ldr r3, [sp, #PITCH]\n"
                                    "pkhtb r4, r8, r4, asr #16\n"
                                    "pkhtb r5, r9, r5, asr #16\n"
                                    "pkhtb r6, r10, r6, asr #16\n"
                                    "pkhtb r7, r11, r7, asr #16\n"
                                    "ldmia r2, {r8-r11}\n"
                                    "add r2, r2, r3\n"
                                    "str r2, [sp, #WX]\n"
                                    "qadd16 r4, r4, r8\n"
                                    "qadd16 r5, r5, r9\n"
                                    "qadd16 r6, r6, r10\n"
                                    "qadd16 r7, r7, r11\n"
                                    "ldmia r1!, {r2, r3}\n"
                                    "ldr r0, [sp, #TABLE]\n"
                                    "cbnz r0, 4f\n"
                                    "rnnp_gates r4, r8\n"
                                    "rnnp_gates r5, r9\n"
                                    "rnnp_gates r6, r10\n"
                                    "rnnp_gates r7, r11\n"
                                    "ldr r3, [sp, #ZETA]\n"
                                    "b 2f\n"
                                    "4:\n"
                                    // By table: sigmoid(p + bz), and tanh(p + bh) = 2 sigmoid(2 (p + bh)) - 1.
                                    "str r1, [sp, #KEEP]\n"
                                    "mov r12, r0\n"
                                    "add lr, r0, #768\n"
                                    "qadd16 r8, r4, r2\n"
                                    "qadd16 r9, r5, r2\n"
                                    "qadd16 r10, r6, r2\n"
                                    "qadd16 r11, r7, r2\n"
                                    ".irp p, 4, 5, 6, 7\n"
                                    "qadd16 r\\p, r\\p, r3\n"
                                    "qadd16 r\\p, r\\p, r\\p\n"
                                    ".endr\n"
                                    ".irp z, 8, 9, 10, 11\n"
                                    "rnnp_look_up r\\z, 6, 10\n"
                                    ".endr\n"
                                    ".irp g, 4, 5, 6, 7\n"
                                    "rnnp_look_up r\\g, 7, 9\n"
                                    ".endr\n"
                                    "ldr r3, [sp, #ZETA]\n"
                                    "ldr r1, [sp, #KEEP]\n"
                                    "mov.w r0, #0x20002000\n"
                                    ".irp g, 4, 5, 6, 7\n"
                                    "ssub16 r\\g, r\\g, r0\n"
                                    ".endr\n"
                                    "2:\n"
                                    "lsr.w r3, r3, #15\n"
                                    "cbz r3, 1f\n"
                                    "b.w rnnp_armv7em_unweighted\n"
                                    "1:\n"
                                    "ldr r12, [sp, #H]\n"
                                    "rnnp_weighted r4, r8, 0\n"
                                    "rnnp_weighted r5, r9, 1\n"
                                    "rnnp_weighted r6, r10, 2\n"
                                    "rnnp_weighted r7, r11, 3\n"
                                    "ldr r8, [sp, #END]\n"
                                    ".purgem rnnp_look_up\n"
                                    ".purgem rnnp_weighted\n"
                                    "b.w rnnp_armv7em_updated\n" PURGE_UPDATE PURGE_COPY);
}

// Sums of a pair of rows of a matrix that has any multiple of 4 columns, and lies unpacked: from `row` on, times the tile
// from `from` on; 0 where that is empty. rows() takes such a pair for a step, and `advance` leads to the next one's states.
PART rnnp_armv7em_sums(void) {
    __asm__ volatile(OFFSETS ".macro rnnp_pair\n"
                             "ldr r0, [sp, #ROW_BYTES]\n"
                             "ldr r3, [r1, r0]\n"
                             "ldr r2, [r1], #4\n"
                             "ldrd r0, lr, [r12], #8\n"
                             "smlad r4, r0, r2, r4\n"
                             "smlad r8, r0, r3, r8\n"
                             "smlad r5, lr, r2, r5\n"
                             "smlad r9, lr, r3, r9\n"
                             "ldrd r0, lr, [r12], #8\n"
                             "smlad r6, r0, r2, r6\n"
                             "smlad r10, r0, r3, r10\n"
                             "smlad r7, lr, r2, r7\n"
                             "smlad r11, lr, r3, r11\n"
                             ".endm\n"
                             "ldr r0, [sp, #LIST]\n"
                             "ldr r2, [sp, #PITCH]\n"
                             "ldr r3, [sp, #TILE]\n"
                             "ldr r1, [sp, #ROW]\n"
                             "ldr r12, [sp, #FROM]\n"
                             "ldr lr, [sp, #ROW_BYTES]\n"
                             "str r0, [sp, #WX]\n"
                             "add r0, r2\n"
                             "str r0, [sp, #LIST]\n"
                             "str r3, [sp, #H]\n"
                             "add r0, r1, lr, lsl #1\n"
                             "str r0, [sp, #ROW]\n"
                             ".irp sum, 4, 5, 6, 7, 8, 9, 10, 11\n"
                             "mov r\\sum, #0\n"
                             ".endr\n"
                             "1:\n"
                             "ldr r0, [sp, #FROM_END]\n"
                             "cmp r12, r0\n"
                             "beq 2f\n"
                             "rnnp_pair\n"
                             "rnnp_pair\n"
                             "b 1b\n"
                             ".purgem rnnp_pair\n"
                             "2:\n"
                             "ldr r1, [sp, #PACKED]\n"
                             "ldr r2, [sp, #WEIGHTS]\n"
                             "ldr r0, [sp, #FLAGS]\n"
                             "add r1, r2\n"
                             "add r2, r1, #8\n"
                             "str r2, [sp, #PACKED]\n"
                             "msr apsr_nzcvq, r0\n"
                             "bcs 3f\n"
                             "ldr r0, [sp, #DOUBLINGS]\n"
                             "sub.w r0, r0, #1\n"
                             "b.w rnnp_armv7em_summed\n"
                             "3:\n"
                             "b.w rnnp_armv7em_products\n" PURGE_COPY);
}

#endif

// Fills A, then D, from the upper byte -128 on: tables of sigmoid(x) = (A + D x) / 2^23, x in Q12. On both sides of 0 it is
// the line through two entries of rnnp_sigmoid_table; on the left one sums to 2^15 with it on the right, and its halves round
// down, as those of what is subtracted round up.
void rnnp_kernel_cell_table(uint32_t *table) {
    int32_t *a = (int32_t *)table + 128;
    int16_t *d = (int16_t *)(table + 256) + 128;
    for (int32_t i = 0; i < 128; i++) {
        int32_t low = rnnp_sigmoid_table[i], slope = rnnp_sigmoid_table[i + 1] - low;
        int32_t line = (low - i * slope) * 256;
        a[i] = line + 128;
        a[-1 - i] = (1 << 23) - line + 127;
        d[i] = (int16_t)slope;
        d[-1 - i] = (int16_t)slope;
    }
}

RNNP_SMALL_C_END

#endif
