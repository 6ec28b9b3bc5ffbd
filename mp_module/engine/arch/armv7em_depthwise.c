// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The depthwise 3x3 convolution on an Armv7E-M with FPU: tiles of 2 pixels x 4 channels, a word of channels at a time.
#include "armv7em.h"

#if RNNP_ARMV7EM

// Arguments of two_pixels(): loaded into s0 .. s13 in this order.
typedef struct {
    const int8_t *rows[3]; // s0 - s2: at the first pixel
    const int8_t *weight; // s3
    const int32_t *bias; // s4
    const int32_t *multiplier; // s5
    int8_t *out; // s6
    uint32_t channels; // s7
    uint32_t next; // s8: from the first pixel's window to the second's
    uint32_t next_out; // s9: from the first output pixel to the second
    int32_t zero_point; // s10
    uint32_t min, max; // s11, s12: in each byte
    uint32_t groups; // s13: of 4 channels
} depthwise_t;

__attribute__((naked, noinline)) static void two_pixels(__attribute__((unused)) const depthwise_t *arguments) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "vldmia r0, {s0-s13}\n"
                     // Four channels: accumulators r4-r7 of the first pixel, r8-r11 of the second.
                     "1:\n"
                     "vmov r0, s4\n"
                     "ldmia r0!, {r4-r7}\n"
                     "vmov s4, r0\n"
                     "mov r8, r4\n"
                     "mov r9, r5\n"
                     "mov r10, r6\n"
                     "mov r11, r7\n"
                     "vmov r1, s3\n"
                     ".irp row, s0, s1, s2\n"
                     "vmov r0, \\row\n"
                     "add r2, r0, #4\n"
                     "vmov \\row, r2\n"
                     "vmov r2, s7\n"
                     ".rept 3\n"
                     "ldr r3, [r1]\n"
                     "ldr r12, [r0]\n"
                     "add r1, r1, r2\n"
                     "sxtb16 r2, r3\n" // channels 0 and 2
                     "sxtb16 r3, r3, ror #8\n" // 1 and 3
                     "sxtb16 lr, r12\n"
                     "sxtb16 r12, r12, ror #8\n"
                     "smlabb r4, lr, r2, r4\n"
                     "smlatt r6, lr, r2, r6\n"
                     "smlabb r5, r12, r3, r5\n"
                     "smlatt r7, r12, r3, r7\n"
                     "vmov r12, s8\n"
                     "ldr r12, [r0, r12]\n"
                     "sxtb16 lr, r12\n"
                     "sxtb16 r12, r12, ror #8\n"
                     "smlabb r8, lr, r2, r8\n"
                     "smlatt r10, lr, r2, r10\n"
                     "smlabb r9, r12, r3, r9\n"
                     "smlatt r11, r12, r3, r11\n"
                     "vmov r2, s7\n"
                     "add r0, r0, r2\n"
                     ".endr\n"
                     ".endr\n"
                     "vmov r1, s3\n"
                     "adds r1, #4\n"
                     "vmov s3, r1\n"

                     "vmov r0, s5\n"
                     "ldmia r0!, {r2, r3, r12, lr}\n"
                     "vmov s5, r0\n"
                     "vmov r1, s10\n"
                     "smmlar r4, r4, r2, r1\n"
                     "smmlar r5, r5, r3, r1\n"
                     "smmlar r6, r6, r12, r1\n"
                     "smmlar r7, r7, lr, r1\n"
                     "smmlar r8, r8, r2, r1\n"
                     "smmlar r9, r9, r3, r1\n"
                     "smmlar r10, r10, r12, r1\n"
                     "smmlar r11, r11, lr, r1\n"
                     "vmov r2, s11\n"
                     "vmov r3, s12\n"
                     ".irp acc, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "ssat r\\acc, #8, r\\acc\n"
                     ".endr\n"
                     ".macro rnnp_pack a, b, c, d\n"
                     "pkhbt \\a, \\a, \\c, lsl #16\n"
                     "pkhbt \\b, \\b, \\d, lsl #16\n"
                     "uxtb16 \\a, \\a\n"
                     "uxtb16 \\b, \\b\n"
                     "orr \\a, \\a, \\b, lsl #8\n"
                     "ssub8 \\b, \\a, r2\n" // sets GE where a >= min
                     "sel \\a, \\a, r2\n"
                     "ssub8 \\b, r3, \\a\n"
                     "sel \\a, \\a, r3\n"
                     ".endm\n"
                     "rnnp_pack r4, r5, r6, r7\n"
                     "rnnp_pack r8, r9, r10, r11\n"
                     ".purgem rnnp_pack\n"
                     "vmov r0, s6\n"
                     "vmov r1, s9\n"
                     "str r8, [r0, r1]\n"
                     "str r4, [r0], #4\n"
                     "vmov s6, r0\n"
                     "vmov r0, s13\n"
                     "subs r0, #1\n"
                     "vmov s13, r0\n"
                     "bne.w 1b\n"
                     "pop {r4-r11, pc}\n");
}

void rnnp_kernel_depthwise(const rnnp_depthwise_t *d, const int8_t *const *rows, uint32_t pixels, int8_t *out) {
    uint32_t channels = d->channels;
    if (channels % 4 != 0) {
        rnnp_kernel_depthwise_c(d, rows, pixels, out);
        return;
    }
    const rnnp_requantize_t *r = &d->requantize;
    for (uint32_t x = 0; x < pixels; x += 2) {
        uint32_t first = x * d->stride * channels;
        bool two = x + 1 < pixels; // else the last one is made twice
        const depthwise_t arguments = {
            .rows = { rows[0] + first, rows[1] + first, rows[2] + first },
            .weight = d->weight,
            .bias = r->bias,
            .multiplier = r->multiplier,
            .out = out + x * channels,
            .channels = channels,
            .next = two ? d->stride * channels : 0,
            .next_out = two ? channels : 0,
            .zero_point = r->zero_point,
            .min = (uint8_t)r->min * 0x01010101u,
            .max = (uint8_t)r->max * 0x01010101u,
            .groups = channels / 4,
        };
        two_pixels(&arguments);
    }
}

#endif
