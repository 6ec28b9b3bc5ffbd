// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Dense layers on an Armv7E-M with FPU, four pixels at a time (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

void rnnp_armv7em_widen(const int8_t *in, uint32_t step, uint32_t channels, uint32_t *x) {
    uint32_t step3 = 3 * step;
    for (const int8_t *end = in + channels; in < end; in += 4, x += 2 * RNNP_TILE) {
        uint32_t words[RNNP_TILE] = { rnnp_load(in), rnnp_load(in + step), rnnp_load(in + 2 * step),
            rnnp_load(in + step3) };
        RNNP_UNROLL
        for (uint32_t p = 0; p < RNNP_TILE; p++) {
            uint32_t even = rnnp_sxtb16(words[p]), odd = rnnp_sxtb16_ror8(words[p]);
            x[p] = rnnp_pkhbt16(even, odd);
            x[RNNP_TILE + p] = rnnp_pkhtb16(even, odd);
        }
    }
}

void rnnp_armv7em_put(uint32_t *x, uint32_t pixel, uint32_t first, const int8_t *in, uint32_t count) {
    x += pixel + first / 2 * RNNP_TILE;
    if (first % 2 != 0) {
        *x = rnnp_pkhbt16(*x, (uint32_t)*in++);
        x += RNNP_TILE;
        count--;
    }
    for (; count >= 2; count -= 2, in += 2, x += RNNP_TILE) {
        *x = rnnp_pkhbt16((uint32_t)in[0], (uint32_t)in[1]);
    }
    if (count > 0) {
        *x = (uint32_t)*in;
    }
}

RNNP_SMALL_C

// Two outputs at a time: accumulators r4-r7 (the four pixels of the first), r8-r11 (of the second).
__attribute__((naked, noinline)) static void tile(__attribute__((unused)) const rnnp_tile_t *arguments) {
    __asm__ volatile("push {r4-r11, lr}\n"
                     "vldmia r0!, {s0-s11}\n"
                     "ldr r1, [r0]\n"

                     "1:\n"
                     "vmov r2, s2\n"
                     "ldrd r4, r8, [r2], #8\n"
                     "vmov s2, r2\n"
                     "vmov r0, s0\n"
                     "mov r5, r4\n"
                     "mov r6, r4\n"
                     "mov r7, r4\n"
                     "mov r9, r8\n"
                     "mov r10, r8\n"
                     "mov r11, r8\n"

                     // A block of 16 inputs, two at a time.
                     "2:\n"
                     ".irp pair, 0, 1, 2, 3, 4, 5, 6, 7\n"
                     ".if \\pair == 7\n"
                     "ldr r2, [r1], #4\n"
                     ".else\n"
                     ".if \\pair == 0\n"
                     "ldr r2, [r1], #28\n"
                     ".else\n"
                     "ldr r2, [r1, #4 * \\pair - 28]\n"
                     ".endif\n"
                     ".endif\n"
                     "ldr r12, [r0, #16 * \\pair + 4]\n"
                     "ldr lr, [r0, #16 * \\pair + 8]\n"
                     "sxtb16 r3, r2, ror #8\n"
                     "sxtb16 r2, r2\n"
                     "smlad r4, r12, r2, r4\n"
                     "smlad r8, r12, r3, r8\n"
                     "smlad r5, lr, r2, r5\n"
                     "smlad r9, lr, r3, r9\n"
                     "ldr r12, [r0, #16 * \\pair + 12]\n"
                     ".if \\pair == 7\n"
                     "ldr lr, [r0, #128]!\n"
                     ".else\n"
                     "ldr lr, [r0, #16 * \\pair + 16]\n"
                     ".endif\n"
                     "smlad r6, r12, r2, r6\n"
                     "smlad r10, r12, r3, r10\n"
                     "smlad r7, lr, r2, r7\n"
                     "smlad r11, lr, r3, r11\n"
                     ".endr\n"
                     "vmov r2, s1\n"
                     "cmp r0, r2\n"
                     "bne.w 2b\n"

                     "vmov r2, s4\n"
                     "cmp r2, #0\n"
                     "bne.w 5f\n"
                     // Requantize: (acc * multiplier + (zero_point << 32) + 2^31) >> 32.
                     "3:\n"
                     "vmov r0, s3\n"
                     "ldrd r2, r3, [r0], #8\n"
                     "vmov s3, r0\n"
                     "vmov r12, s10\n"
                     ".irp acc, 4, 5, 6, 7\n"
                     "smmlar r\\acc, r\\acc, r2, r12\n"
                     "ssat r\\acc, #8, r\\acc\n"
                     ".endr\n"
                     ".irp acc, 8, 9, 10, 11\n"
                     "smmlar r\\acc, r\\acc, r3, r12\n"
                     "ssat r\\acc, #8, r\\acc\n"
                     ".endr\n"
                     // The second channel and the last pixel first: with steps of 0 the first ones stay.
                     "vmov r0, s6\n"
                     "vmov r2, s7\n"
                     "vmov r3, s8\n"
                     "add r12, r2, r2, lsl #1\n"
                     "add lr, r0, r3\n"
                     "strb r11, [lr, r12]\n"
                     "strb r7, [r0, r12]\n"
                     "strb r10, [lr, r2, lsl #1]\n"
                     "strb r6, [r0, r2, lsl #1]\n"
                     "strb r9, [lr, r2]\n"
                     "strb r5, [r0, r2]\n"
                     "strb r8, [lr]\n"
                     "strb r4, [r0]\n"
                     "add lr, lr, r3\n"
                     "vmov s6, lr\n"
                     "4:\n"
                     "vmov r2, s9\n"
                     "cmp r1, r2\n"
                     "bne.w 1b\n"
                     "pop {r4-r11, pc}\n"

                     "5:\n"
                     "vmov r0, s11\n"
                     "cbnz r0, 6f\n"
                     // The residual.
                     "ldrd r0, r3, [r2], #8\n"
                     "vmov s4, r2\n"
                     "vmov s12, r1\n"
                     "vmov r12, s5\n"
                     "vmov r2, s7\n"
                     ".macro rnnp_residual weight, a, b, c, d\n"
                     "ldrsb lr, [r12]\n"
                     "ldrsb r1, [r12, r2]\n"
                     "add r12, r12, r2, lsl #1\n"
                     "mla \\a, lr, \\weight, \\a\n"
                     "mla \\b, r1, \\weight, \\b\n"
                     "ldrsb lr, [r12]\n"
                     "ldrsb r1, [r12, r2]\n"
                     "mla \\c, lr, \\weight, \\c\n"
                     "mla \\d, r1, \\weight, \\d\n"
                     ".endm\n"
                     "rnnp_residual r0, r4, r5, r6, r7\n"
                     "vmov r12, s5\n"
                     "vmov r0, s8\n"
                     "add r12, r12, r0\n"
                     "add r0, r0, r12\n"
                     "vmov s5, r0\n"
                     "rnnp_residual r3, r8, r9, r10, r11\n"
                     ".purgem rnnp_residual\n"
                     "vmov r1, s12\n"
                     "b 3b\n"

                     "6:\n"
                     "vmov r0, s6\n"
                     "stmia r0!, {r4-r11}\n"
                     "vmov s6, r0\n"
                     "b 4b\n");
}

void rnnp_armv7em_tile_init(rnnp_tile_t *t, const rnnp_requantize_t *requantize, uint32_t inputs, void *x) {
    const uint32_t *words = x;
    *t = (rnnp_tile_t){
        .x = words - 1,
        .x_last = words + rnnp_tile_bytes(inputs) / sizeof(*words) - 1,
        .bias = requantize->bias,
        .multiplier = requantize->multiplier,
        .channel_step = 1,
        .zero_point = requantize->zero_point,
    };
}

void rnnp_armv7em_tile(rnnp_tile_t *t, uint32_t inputs, uint32_t outputs) {
    uint32_t whole = t->raw ? rnnp_align(outputs, 2) : outputs & ~1u; // outputs in pairs
    t->weight_end = t->weight + rnnp_weight_index(inputs, whole, 0);
    if (whole != 0) {
        tile(t);
    }
    if (whole < outputs) { // the last one, alone: written over what comes of the gap beside it
        rnnp_tile_t last = *t;
        last.weight = t->weight_end;
        last.weight_end = t->weight_end + rnnp_weight_index(inputs, 2, 0);
        last.bias += whole;
        last.multiplier += whole;
        last.residual = t->residual == NULL ? NULL : t->residual + whole;
        last.skip += whole * t->channel_step;
        last.out = (int8_t *)t->out + whole * t->channel_step;
        last.channel_step = 0;
        tile(&last);
    }
}

void rnnp_armv7em_clamp(const rnnp_requantize_t *requantize, int8_t *out, uint32_t count) {
    if (!rnnp_armv7em_clamps(requantize)) {
        return;
    }
    uint32_t min = (uint8_t)requantize->min * 0x01010101u, max = (uint8_t)requantize->max * 0x01010101u;
    for (; count >= 4; count -= 4, out += 4) {
        rnnp_store(out, rnnp_clamp8(rnnp_load(out), min, max));
    }
    for (; count > 0; count--, out++) {
        *out = (int8_t)rnnp_clamp(*out, requantize->min, requantize->max);
    }
}

#endif
