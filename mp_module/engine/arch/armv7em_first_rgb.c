// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The usual first convolution of colours on an Armv7E-M: windows of 3x3, stride 2, three channels, a multiple of four outputs.
//
// Two pixels at a time, an even one and an odd one, four outputs at a time: eight accumulators. A pixel's window has bytes b0 .. b8
// of a row; those of both pixels lie in four words, which begin at multiples of 4:
//   . b0 b1 b2 | b3 b4 b5 b6 | b7 b8 . . of the even one; ... b0 | b1 b2 b3 b4 | b5 b6 b7 b8 of the odd one, from the second word on
// What two SXTB16 make of the last two is what is multiplied: (b1, b3), (b2, b4), (b5, b7), (b6, b8). An even pixel has the same
// pairs the other way round, for SMLADX. Three rows' b0 make a pair and one alone.
#include "armv7em.h"

#if RNNP_ARMV7EM && RNNP_WITH_RGB && RNNP_WITH_FIRST_RGB

RNNP_SMALL_C

#define OUTPUTS (8) // at most, at a time
#define TAPS (28) // the last is 0, as it is in the blob

// Of four outputs.
typedef struct {
    int32_t bias[4];
    uint32_t pairs[TAPS / 2][4];
    int32_t multiplier[4];
} outputs_t;

// Arguments of pixels().
typedef struct {
    const int8_t *rows[3]; // 0: the even pixel's first word
    int8_t *out; // 12
    const int8_t *end; // 16
    uint32_t step, skip; // 20: from a pixel to the next; 24: from the last of four outputs to the next two pixels
    int32_t zero_point; // 28
    const outputs_t *outputs_end; // 32
    outputs_t outputs[OUTPUTS / 4]; // 36
} rgb_t;

// Words beside the core registers: four pairs a row, of the even pixel and the odd one; 24, 25 the pair of b0; 26 the third
// row's, the even pixel's in its lower half; 27 the zero point.
__attribute__((naked, noinline)) static void pixels(__attribute__((unused)) rgb_t *arguments) {
    __asm__ volatile(RNNP_WORDS "push {r0, r4-r11, lr}\n"
                                "rnnp_enter 28\n"
                                "ldr r0, [r0, #28]\n"
                                "rnnp_put 27, r0\n"
                                ".macro rnnp_row row, k0, k1, k2, k3, k4, k5, k6, k7\n"
                                "ldr r0, [r12, #4 * \\row]\n"
                                "ldmia r0, {r1-r4}\n"
                                "add r0, r0, #12\n"
                                "str r0, [r12, #4 * \\row]\n"
                                "sxtb16 r5, r1\n"
                                "sxtb16 r6, r1, ror #8\n"
                                "sxtb16 r7, r2\n"
                                "sxtb16 r8, r2, ror #8\n"
                                "sxtb16 r9, r3\n"
                                "sxtb16 r10, r3, ror #8\n"
                                "sxtb16 r11, r4\n"
                                "sxtb16 r4, r4, ror #8\n"
                                "pkhbt r5, r7, r5\n"
                                "pkhbt r1, r8, r6\n"
                                "pkhbt r2, r9, r7\n"
                                "pkhbt r3, r10, r8\n"
                                "rnnp_put2 \\k0, \\k1, r5, r9\n"
                                "rnnp_put2 \\k2, \\k3, r1, r10\n"
                                "rnnp_put2 \\k4, \\k5, r2, r11\n"
                                "rnnp_put2 \\k6, \\k7, r3, r4\n"
                                "pkhbt r6, r6, r8\n"
                                ".endm\n"
                                "1:\n"
                                "ldr r12, [sp, #rnnp_size]\n"
                                "rnnp_row 0, 0, 1, 2, 3, 4, 5, 6, 7\n"
                                "mov lr, r6\n"
                                "rnnp_row 1, 8, 9, 10, 11, 12, 13, 14, 15\n"
                                "pkhbt r7, lr, r6, lsl #16\n"
                                "pkhtb r8, r6, lr, asr #16\n"
                                "rnnp_put2 24, 25, r7, r8\n"
                                "rnnp_row 2, 16, 17, 18, 19, 20, 21, 22, 23\n"
                                "rnnp_put 26, r6\n"
                                ".purgem rnnp_row\n"
                                "add r1, r12, #36\n"
                                // Four outputs: the even pixel's in r4 - r7, the odd one's in r8 - r11.
                                "2:\n"
                                "ldmia r1!, {r4-r7}\n"
                                ".macro rnnp_tap even, odd, k, l, from0, from1, from2, from3\n"
                                "ldmia r1!, {r2, r3, r12, lr}\n"
                                "rnnp_get r0, \\l\n"
                                "smla\\odd r8, r0, r2, \\from0\n"
                                "smla\\odd r9, r0, r3, \\from1\n"
                                "smla\\odd r10, r0, r12, \\from2\n"
                                "smla\\odd r11, r0, lr, \\from3\n"
                                ".if \\k != \\l\n"
                                "rnnp_get r0, \\k\n"
                                ".endif\n"
                                "smla\\even r4, r0, r2, r4\n"
                                "smla\\even r5, r0, r3, r5\n"
                                "smla\\even r6, r0, r12, r6\n"
                                "smla\\even r7, r0, lr, r7\n"
                                ".endm\n"
                                "rnnp_tap dx, d, 0, 1, r4, r5, r6, r7\n"
                                ".macro rnnp_pair k, l\n"
                                "rnnp_tap dx, d, \\k, \\l, r8, r9, r10, r11\n"
                                ".endm\n"
                                "rnnp_pair 2, 3\n"
                                "rnnp_pair 4, 5\n"
                                "rnnp_pair 6, 7\n"
                                "rnnp_pair 8, 9\n"
                                "rnnp_pair 10, 11\n"
                                "rnnp_pair 12, 13\n"
                                "rnnp_pair 14, 15\n"
                                "rnnp_pair 16, 17\n"
                                "rnnp_pair 18, 19\n"
                                "rnnp_pair 20, 21\n"
                                "rnnp_pair 22, 23\n"
                                "rnnp_tap d, d, 24, 25, r8, r9, r10, r11\n"
                                "rnnp_tap bb, tb, 26, 26, r8, r9, r10, r11\n"
                                ".purgem rnnp_pair\n"
                                ".purgem rnnp_tap\n"
                                "ldmia r1!, {r2, r3, r12, lr}\n"
                                "rnnp_get r0, 27\n"
                                ".macro rnnp_requantize even, odd, multiplier\n"
                                "smmlar \\even, \\even, \\multiplier, r0\n"
                                "smmlar \\odd, \\odd, \\multiplier, r0\n"
                                "ssat \\even, #8, \\even\n"
                                "ssat \\odd, #8, \\odd\n"
                                ".endm\n"
                                "rnnp_requantize r4, r8, r2\n"
                                "rnnp_requantize r5, r9, r3\n"
                                "rnnp_requantize r6, r10, r12\n"
                                "rnnp_requantize r7, r11, lr\n"
                                ".purgem rnnp_requantize\n"
                                "ldr r12, [sp, #rnnp_size]\n"
                                "ldr r0, [r12, #12]\n"
                                "ldr r2, [r12, #20]\n"
                                "ldr r3, [r12, #32]\n"
                                "add r2, r2, r0\n"
                                "strb r4, [r0], #1\n"
                                "strb r5, [r0], #1\n"
                                "strb r6, [r0], #1\n"
                                "strb r7, [r0], #1\n"
                                "strb r8, [r2]\n"
                                "strb r9, [r2, #1]\n"
                                "strb r10, [r2, #2]\n"
                                "strb r11, [r2, #3]\n"
                                "str r0, [r12, #12]\n"
                                "cmp r1, r3\n"
                                "bne.w 2b\n"
                                "ldr r2, [r12, #24]\n"
                                "ldr r3, [r12, #16]\n"
                                "add r0, r0, r2\n"
                                "str r0, [r12, #12]\n"
                                "cmp r0, r3\n"
                                "bne.w 1b\n"
                                "rnnp_leave 28\n"
                                "pop {r0, r4-r11, pc}\n" RNNP_PURGE_WORDS);
}

// Of `outputs` outputs from `first` on.
static void pack(const rnnp_conv_t *conv, uint32_t first, uint32_t outputs, outputs_t *to) {
    static const uint8_t order[TAPS] = { RNNP_AT(1), RNNP_AT(3), RNNP_AT(2), RNNP_AT(4), RNNP_AT(5), RNNP_AT(7),
        RNNP_AT(6), RNNP_AT(8), RNNP_AT(10), RNNP_AT(12), RNNP_AT(11), RNNP_AT(13), RNNP_AT(14), RNNP_AT(16),
        RNNP_AT(15), RNNP_AT(17), RNNP_AT(19), RNNP_AT(21), RNNP_AT(20), RNNP_AT(22), RNNP_AT(23), RNNP_AT(25),
        RNNP_AT(24), RNNP_AT(26), RNNP_AT(0), RNNP_AT(9), RNNP_AT(18), RNNP_AT(27) };
    for (uint32_t o = 0; o < outputs; o += 2) {
        outputs_t *four = to + o / 4;
        const int8_t *weight = rnnp_weight_at(conv->weight, TAPS - 1, first + o, 0); // of two outputs
        uint32_t *pair = &four->pairs[0][o % 4];
        for (const uint8_t *tap = order; tap < order + TAPS; tap += 2, pair += 4) {
            uint32_t word = rnnp_load16(weight + tap[0]) | rnnp_load16(weight + tap[1]) << 16;
            pair[0] = rnnp_sxtb16(word);
            pair[1] = rnnp_sxtb16_ror8((uint32_t)__sadd16((int16x2_t)word, 0x00800080));
        }
        for (uint32_t i = 0; i < 2; i++) {
            four->bias[o % 4 + i] = conv->requantize.bias[first + o + i];
            four->multiplier[o % 4 + i] = conv->requantize.multiplier[first + o + i];
        }
    }
}

uint32_t rnnp_armv7em_first_rgb(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out) {
    uint32_t count = conv->in_width / 4 * 2, outputs = conv->out_channels, edge[3][4];
    if (((uintptr_t)rows[0] | (uintptr_t)rows[1] | (uintptr_t)rows[2]) % 4 != 0 || outputs % 4 != 0) {
        return 0;
    }
    rgb_t arguments;
    for (uint32_t first = 0; first < outputs; first += OUTPUTS) {
        uint32_t some = rnnp_min_u32(OUTPUTS, outputs - first);
        pack(conv, first, some, arguments.outputs);
        arguments.step = outputs;
        arguments.skip = 2 * outputs - some;
        arguments.zero_point = conv->requantize.zero_point;
        arguments.outputs_end = arguments.outputs + some / 4;
        // The first two pixels from a copy that has padding on the left, then the others.
        for (uint32_t ky = 0; ky < 3; ky++) {
            edge[ky][0] = (uint8_t)conv->pad * 0x01010101u;
            memcpy(edge[ky] + 1, rows[ky], 12);
            arguments.rows[ky] = (const int8_t *)edge[ky];
        }
        arguments.out = out + first;
        arguments.end = arguments.out + 2 * outputs;
        pixels(&arguments);
        if (count > 2) {
            for (uint32_t ky = 0; ky < 3; ky++) {
                arguments.rows[ky] = rows[ky] + 8;
            }
            arguments.end = out + first + count * outputs;
            pixels(&arguments);
        }
    }
    rnnp_armv7em_clamp(&conv->requantize, out, count * outputs);
    return count;
}

RNNP_SMALL_C_END

#endif
