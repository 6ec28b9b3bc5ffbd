// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The depthwise 3x3 convolution on an Armv7E-M: a channel's whole row, four columns at a time.
//
// SXTB16 takes a word of columns c0 .. c3 apart: (c0, c2) and (c1, c3). With the weights (w0, w2) in one word and w1 in
// another, the output at c0 is (c0, c2) . (w0, w2) + c1 w1 and the one at c1 is (c1, c3) . (w0, w2) + c2 w1. The word two
// columns further on gives the next two. With a stride of 2, outputs of the odd columns are made, too, which nobody reads:
// code of its own would be 160 bytes, for 0.4 % of a model's cycles.
#include "armv7em.h"

#if RNNP_ARMV7EM

RNNP_SMALL_C

// Arguments of all_channels(): loaded into s3 .. s13 in this order. (s0, s1: bias and multiplier; s2: end of the row.)
typedef struct {
    int32_t zero_point; // s3
    const int8_t *rows[3]; // s4 - s6: two bytes before the first column
    const int8_t *weight; // s7
    const int32_t *bias; // s8
    const int32_t *multiplier; // s9
    uint32_t pitch; // s10
    uint32_t columns; // s11: a multiple of 4, at least that
    const int8_t *weight_end; // s12
    uint32_t two_more; // s13: not 0 if one or two columns follow
} depthwise_t;

__attribute__((naked, noinline)) static void all_channels(__attribute__((unused)) const depthwise_t *arguments) {
    __asm__ volatile(RNNP_WORDS
        // A word of a row, to accumulators a (at its first column) and b (at its second); `half`: where w1 is.
        ".macro rnnp_word word, w02, w1, half, a, from_a, b, from_b\n"
        "sxtb16 lr, \\word, ror #8\n"
        "sxtb16 r12, \\word\n"
        "smlad \\a, r12, \\w02, \\from_a\n"
        "smlab\\half \\a, lr, \\w1, \\a\n"
        "smlad \\b, lr, \\w02, \\from_b\n"
        "smlat\\half \\b, r12, \\w1, \\b\n"
        ".endm\n"

        ".macro rnnp_row row, w02, w1, half\n"
        "ldr r12, [\\row, #2]!\n"
        "rnnp_word r12, \\w02, \\w1, \\half, r8, r8, r9, r9\n"
        "ldr r12, [\\row, #2]!\n"
        "rnnp_word r12, \\w02, \\w1, \\half, r10, r10, r11, r11\n"
        ".endm\n"

        ".macro rnnp_requantize acc\n"
        "smmlar \\acc, \\acc, r12, lr\n"
        "ssat \\acc, #8, \\acc\n"
        ".endm\n"

        // Four columns: accumulators r8 - r11.
        ".macro rnnp_columns\n"
        "rnnp_get r11, 0\n"
        "ldr r12, [r0, #2]!\n"
        "ldr r10, [r0, #2]!\n"
        "rnnp_word r12, r3, r6, b, r8, r11, r9, r11\n"
        "rnnp_word r10, r3, r6, b, r10, r11, r11, r11\n"
        "rnnp_row r1, r4, r6, t\n"
        "rnnp_row r2, r5, r7, b\n"
        "rnnp_get r12, 1\n"
        "rnnp_get lr, 3\n"
        "rnnp_requantize r8\n"
        "rnnp_requantize r10\n"
        "strb r8, [r0, #-2]\n"
        "strb r10, [r0]\n"
        "rnnp_requantize r9\n"
        "rnnp_requantize r11\n"
        "strb r9, [r0, #-1]\n"
        "strb r11, [r0, #1]\n"
        "rnnp_get r12, 2\n"
        "cmp r0, r12\n"
        ".endm\n"

        "push {r4-r11, lr}\n"
        "rnnp_enter 14\n"
        "rnnp_take r0, 3, 13\n"
        // A channel: rows r0 - r2; weights r3 - r5 (w0, w2) of each row, r6 w1 of rows 0 and 1, r7 of row 2.
        "1:\n"
        "rnnp_get r12, 7\n"
        "ldmia r12!, {r3-r5}\n"
        "rnnp_put 7, r12\n"
        "sxtb16 r6, r3, ror #8\n"
        "sxtb16 r8, r4, ror #8\n"
        "sxtb16 r7, r5, ror #8\n"
        "sxtb16 r3, r3\n"
        "sxtb16 r4, r4\n"
        "sxtb16 r5, r5\n"
        "pkhbt r6, r6, r8, lsl #16\n"
        "rnnp_get r8, 8\n"
        "rnnp_get r9, 9\n"
        "ldr r10, [r8], #4\n"
        "ldr r11, [r9], #4\n"
        "rnnp_put2 0, 1, r10, r11\n"
        "rnnp_put2 8, 9, r8, r9\n"
        "rnnp_get r12, 10\n"
        "rnnp_get r0, 4\n"
        "rnnp_get r1, 5\n"
        "rnnp_get r2, 6\n"
        "add r8, r0, r12\n"
        "add r9, r1, r12\n"
        "add r10, r2, r12\n"
        "rnnp_put2 4, 5, r8, r9\n"
        "rnnp_put 6, r10\n"
        "rnnp_get r12, 11\n"
        "add r12, r12, r0\n"
        "rnnp_put 2, r12\n"
        "2:\n"
        "rnnp_columns\n"
        "bne.w 2b\n"
#if RNNP_WITH_COLUMNS2
        "rnnp_get r12, 13\n"
        "cmp r12, #0\n"
        "beq 4f\n"
        // Two columns: accumulators r8 and r9.
        "rnnp_get r11, 0\n"
        "ldr r12, [r0, #2]!\n"
        "rnnp_word r12, r3, r6, b, r8, r11, r9, r11\n"
        "ldr r12, [r1, #2]\n"
        "rnnp_word r12, r4, r6, t, r8, r8, r9, r9\n"
        "ldr r12, [r2, #2]\n"
        "rnnp_word r12, r5, r7, b, r8, r8, r9, r9\n"
        "rnnp_get r12, 1\n"
        "rnnp_get lr, 3\n"
        "rnnp_requantize r8\n"
        "rnnp_requantize r9\n"
        "strb r8, [r0]\n"
        "strb r9, [r0, #1]\n"
#endif
        "4:\n"
        "rnnp_get r12, 7\n"
        "rnnp_get lr, 12\n"
        "cmp r12, lr\n"
        "bne.w 1b\n"
        "rnnp_leave 14\n"
        "pop {r4-r11, pc}\n"

        ".purgem rnnp_word\n"
        ".purgem rnnp_row\n"
        ".purgem rnnp_requantize\n"
        ".purgem rnnp_columns\n" RNNP_PURGE_WORDS);
}

void rnnp_kernel_depthwise(const rnnp_depthwise_t *d, int8_t *const *rows, uint32_t out_width) {
    uint32_t columns = out_width * d->stride, left = columns % 4;
    bool two_more = RNNP_WITH_COLUMNS2 && columns > 4 && (left == 1 || left == 2) && d->stride == 1;
    const depthwise_t arguments = {
        .zero_point = d->requantize.zero_point,
        .rows = { rows[0] - 2, rows[1] - 2, rows[2] - 2 },
        .weight = d->weight,
        .bias = d->requantize.bias,
        .multiplier = d->requantize.multiplier,
        .pitch = d->pitch,
        .columns = two_more ? columns - left : rnnp_align(columns, 4),
        .weight_end = d->weight + d->channels * RNNP_DEPTHWISE_RECORD,
        .two_more = two_more,
    };
    all_channels(&arguments);
    rnnp_armv7em_clamp(&d->requantize, rows[0], (uint32_t)d->channels * d->pitch);
}

RNNP_SMALL_C_END

#endif
