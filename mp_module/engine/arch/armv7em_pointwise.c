// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The 1x1 convolution on an Armv7E-M with FPU, tile by tile (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

#define TILE RNNP_TILE
#define MAX_CHANNELS (384) // what the widened tile may take of the stack: 3 KB

// Arguments of tile(): loaded into s0 .. s15 in this order.
typedef struct {
    rnnp_dot_t dot; // s0 - s4
    const int32_t *bias; // s5
    const int32_t *multiplier; // s6
    const int32_t *residual; // s7: NULL for none
    const int8_t *skip; // s8
    int8_t *out; // s9
    uint32_t out_channels; // s10: bytes from an output pixel to the next
    uint32_t pairs; // s11
    int32_t zero_point; // s12
    uint32_t min, max; // s13, s14: in each byte
    uint32_t clamp; // s15: 0 if min and max are -128 and 127
} tile_t;

// All output channels of four pixels.
__attribute__((naked, noinline)) static void tile(__attribute__((unused)) const tile_t *arguments) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "vldmia r0, {s0-s15}\n"

                     // A pair of output channels: accumulators r4-r7 of the first, r8-r11 of the second.
                     "1:\n"
                     "vmov r2, s5\n"
                     "ldrd r4, r8, [r2], #8\n"
                     "vmov s5, r2\n"
                     "vmov r0, s2\n"
                     "vmov r1, s4\n"
                     "mov r5, r4\n"
                     "mov r6, r4\n"
                     "mov r7, r4\n"
                     "mov r9, r8\n"
                     "mov r10, r8\n"
                     "mov r11, r8\n"

        RNNP_DOT_LOOP

                     // The residual.
                     "vmov r0, s7\n"
                     "cbz r0, 3f\n"
                     "ldrd r2, r3, [r0], #8\n"
                     "vmov s7, r0\n"
                     "vmov r0, s8\n"
                     "vmov r1, s10\n"
                     ".macro rnnp_residual first, second\n"
                     "ldrsb r12, [r0]\n"
                     "ldrsb lr, [r0, #1]\n"
                     "add r0, r0, r1\n"
                     "mla \\first, r12, r2, \\first\n"
                     "mla \\second, lr, r3, \\second\n"
                     ".endm\n"
                     "rnnp_residual r4, r8\n"
                     "rnnp_residual r5, r9\n"
                     "rnnp_residual r6, r10\n"
                     "rnnp_residual r7, r11\n"
                     ".purgem rnnp_residual\n"
                     "vmov r0, s8\n"
                     "adds r0, #2\n"
                     "vmov s8, r0\n"
                     "3:\n"

                     // Requantize: (acc * multiplier + (zero_point << 32) + 2^31) >> 32.
                     "vmov r2, s6\n"
                     "ldrd r0, r1, [r2], #8\n"
                     "vmov s6, r2\n"
                     "vmov r3, s12\n"
                     ".irp acc, 4, 5, 6, 7\n"
                     "smmlar r\\acc, r\\acc, r0, r3\n"
                     "ssat r\\acc, #8, r\\acc\n"
                     ".endr\n"
                     ".irp acc, 8, 9, 10, 11\n"
                     "smmlar r\\acc, r\\acc, r1, r3\n"
                     "ssat r\\acc, #8, r\\acc\n"
                     ".endr\n"
                     "vmov r0, s9\n"
                     "vmov r1, s10\n"
                     "adds r2, r0, #2\n"
                     "vmov s9, r2\n"
                     "vmov r2, s15\n"
                     "cbnz r2, 5f\n"
                     "strb r4, [r0]\n"
                     "strb r8, [r0, #1]\n"
                     "add r0, r0, r1\n"
                     "strb r5, [r0]\n"
                     "strb r9, [r0, #1]\n"
                     "add r0, r0, r1\n"
                     "strb r6, [r0]\n"
                     "strb r10, [r0, #1]\n"
                     "add r0, r0, r1\n"
                     "strb r7, [r0]\n"
                     "strb r11, [r0, #1]\n"
                     "4:\n"
                     "vmov r3, s11\n"
                     "subs r3, r3, #1\n"
                     "vmov s11, r3\n"
                     "bne.w 1b\n"
                     "pop {r4-r11, pc}\n"

                     // Two pixels in a word: clamped as bytes.
                     "5:\n"
                     "vmov r2, s13\n"
                     "vmov r3, s14\n"
                     ".macro rnnp_clamp a, b, c, d\n"
                     "pkhbt \\a, \\a, \\b, lsl #16\n"
                     "pkhbt \\c, \\c, \\d, lsl #16\n"
                     "uxtb16 \\a, \\a\n"
                     "uxtb16 \\c, \\c\n"
                     "orr \\a, \\a, \\c, lsl #8\n"
                     "ssub8 \\c, \\a, r2\n"
                     "sel \\a, \\a, r2\n"
                     "ssub8 \\c, r3, \\a\n"
                     "sel \\a, \\a, r3\n"
                     "strh \\a, [r0]\n"
                     "lsr.w \\a, \\a, #16\n"
                     "strh \\a, [r0, r1]\n"
                     ".endm\n"
                     "rnnp_clamp r4, r5, r8, r9\n"
                     "add r0, r0, r1, lsl #1\n"
                     "rnnp_clamp r6, r7, r10, r11\n"
                     ".purgem rnnp_clamp\n"
                     "b 4b\n");
}

void rnnp_kernel_pointwise(
    const rnnp_pointwise_t *p, const int8_t *in, const int8_t *skip, uint32_t pixels, int8_t *out) {
    uint32_t channels = p->in_channels, out_channels = p->out_channels;
    uint32_t tiles = pixels / TILE;
    if (channels % 4 != 0 || channels > MAX_CHANNELS || out_channels % 2 != 0) {
        tiles = 0;
    }
    const rnnp_requantize_t *r = &p->requantize;
    for (uint32_t i = 0; i < tiles; i++) {
        uint32_t x[1 + MAX_CHANNELS * TILE / 2];
        const int8_t *in_pixels[TILE] = { in, in + channels, in + 2 * channels, in + 3 * channels };
        const uint32_t *end = rnnp_armv7em_fill(rnnp_armv7em_widen(in_pixels, channels, x + 1), x + 1);
        const tile_t arguments = {
            .dot = rnnp_armv7em_dot_arguments(x, end, p->weight, channels),
            .bias = r->bias,
            .multiplier = r->multiplier,
            .residual = p->residual,
            .skip = skip,
            .out = out,
            .out_channels = out_channels,
            .pairs = out_channels / 2,
            .zero_point = r->zero_point,
            .min = (uint8_t)r->min * 0x01010101u,
            .max = (uint8_t)r->max * 0x01010101u,
            .clamp = r->min != -128 || r->max != 127,
        };
        tile(&arguments);
        in += TILE * channels;
        out += TILE * out_channels;
        if (skip != NULL) {
            skip += TILE * out_channels;
        }
    }
    rnnp_kernel_pointwise_c(p, in, skip, pixels - tiles * TILE, out);
}

#endif
