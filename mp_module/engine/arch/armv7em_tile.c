// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Dense layers on an Armv7E-M, four pixels at a time (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

#define UNUSED __attribute__((unused))

// Pixels r0 - r3, their next word r4 - r7; x in r10, r11 inputs left of a run, r12 runs. lr: bytes from the next input to the
// one behind it, 2 to the upper half of a word or 14 from there.
__attribute__((naked)) void rnnp_armv7em_widen(
    UNUSED const int8_t *const *in, UNUSED uint32_t runs, UNUSED uint32_t count, UNUSED uint32_t *x) {
    __asm__ volatile("push {r2, r4-r11, lr}\n"
                     "mov r9, r0\n"
                     "mov r12, r1\n"
                     "mov r10, r3\n"
                     "mov lr, #2\n"
                     "1:\n"
                     "ldmia r9!, {r0-r3}\n"
                     "ldr.w r11, [sp]\n"
                     "2:\n"
                     "cmp lr, #2\n"
                     "bne 5f\n" // Four at a time: bytes 0 and 2, 1 and 3, then 0 and 1, 2 and 3.
                     "subs r11, r11, #4\n"
                     "blo 4f\n"
                     "3:\n"
                     "ldr r4, [r0], #4\n"
                     "ldr r5, [r1], #4\n"
                     "ldr r6, [r2], #4\n"
                     "ldr r7, [r3], #4\n"
                     ".irp word, r4, r5, r6, r7\n"
                     "sxtb16 r8, \\word, ror #8\n"
                     "sxtb16 \\word, \\word\n"
                     "pkhbt lr, \\word, r8, lsl #16\n"
                     "pkhtb r8, r8, \\word, asr #16\n"
                     "str r8, [r10, #16]\n"
                     "str lr, [r10], #4\n"
                     ".endr\n"
                     "add r10, r10, #16\n"
                     "subs r11, r11, #4\n"
                     "bhs 3b\n"
                     "mov lr, #2\n"
                     "4:\n"
                     "adds r11, r11, #4\n"
                     "beq 6f\n" // One.
                     "5:\n"
                     ".irp pixel, 0, 1, 2, 3\n"
                     "ldrsb r4, [r\\pixel], #1\n"
                     "strh r4, [r10, #4 * \\pixel]\n"
                     ".endr\n"
                     "add r10, r10, lr\n"
                     "eor lr, lr, #12\n"
                     "subs r11, r11, #1\n"
                     "bne 2b\n"
                     "6:\n"
                     "subs r12, r12, #1\n"
                     "bne 1b\n"
                     "pop {r2, r4-r11, pc}\n");
}

RNNP_SMALL_C

// Two pixels and four outputs at a time (record.h: a and b, c and d share halfwords), pixel by pixel: a in r2 and r10,
// 256 b + a in r8 and r9, c in r3 and r11, 256 d + c in r12 and lr. What is added to the former four in a loop is a product of
// weights that SXTB16 has taken out; to the latter, of the halfwords as they are. All is exact modulo 2^32, and sums of b and
// d, their biases included, are below 2^23.
__attribute__((naked, noinline)) static void tile(UNUSED rnnp_tile_t *arguments) {
    __asm__ volatile(RNNP_WORDS ".p2align 2\n" // for adr
                                "push {r0, r4-r11, lr}\n"
                                "rnnp_enter 14\n"
                                "rnnp_take r0, 0, 12\n"
                                // The next two pixels, or the last one.
                                "9:\n"
                                "ldmia r0, {r1-r5}\n" // weight, before, pixels, entries
                                "sub r1, r1, r2\n"
                                "adr.w r2, 20f + 1\n" // 1: Thumb
                                "subs r3, #2\n"
                                "str r3, [r0, #8]\n"
                                "bhs 1f\n"
                                "movs r3, #0\n"
                                "rnnp_put 8, r3\n"
#if RNNP_WITH_TILE1
                                "mov r4, r5\n"
                                "adr.w r2, 30f + 1\n"
#endif
                                "1:\n"
                                "add r2, r2, r4\n"
                                "rnnp_put 13, r2\n"
                                // The next four outputs.
                                "1:\n"
                                "rnnp_get r0, 2\n"
                                "ldmia r0!, {r2-r5}\n"
                                "rnnp_put 2, r0\n"
                                "rnnp_get r0, 0\n"
                                "rnnp_get r6, 13\n"
                                "add r8, r2, r3, lsl #8\n"
                                "mov r10, r2\n"
                                "mov r9, r8\n"
                                "mov r3, r4\n"
                                "add r12, r4, r5, lsl #8\n"
                                "mov r11, r4\n"
                                "mov lr, r12\n"
                                "bx r6\n"
                                // A block of 16 inputs, two at a time.
                                ".macro rnnp_block pixels\n"
                                ".irp pair, 0, 1, 2, 3, 4, 5, 6, 7\n"
                                ".if \\pair == 7\n"
                                "ldr.w r4, [r1, #64]!\n"
                                "ldr r5, [r1, #4]\n"
                                "ldr.w r6, [r0, #128]!\n"
                                ".else\n"
                                "ldr r4, [r1, #8 * \\pair + 8]\n"
                                "ldr r5, [r1, #8 * \\pair + 12]\n"
                                ".if \\pixels == 1\n"
                                "ldr.w r6, [r0, #16 * \\pair + 16]\n"
                                ".else\n"
                                "ldr r6, [r0, #16 * \\pair + 16]\n"
                                ".endif\n"
                                ".endif\n"
                                ".if \\pixels == 2\n"
                                ".if \\pair == 7\n"
                                "ldr r7, [r0, #4]\n"
                                ".else\n"
                                "ldr r7, [r0, #16 * \\pair + 20]\n"
                                ".endif\n"
                                "smlad r9, r4, r7, r9\n"
                                "smlad lr, r5, r7, lr\n"
                                ".endif\n"
                                "smlad r8, r4, r6, r8\n"
                                "smlad r12, r5, r6, r12\n"
                                "sxtb16 r4, r4\n"
                                "sxtb16 r5, r5\n"
                                "smlad r2, r4, r6, r2\n"
                                "smlad r3, r5, r6, r3\n"
                                ".if \\pixels == 2\n"
                                "smlad r10, r4, r7, r10\n"
                                "smlad r11, r5, r7, r11\n"
                                ".endif\n"
                                ".endr\n"
                                "rnnp_get r4, 1\n"
                                "cmp r0, r4\n"
                                ".endm\n"
                                "20:\n"
                                "rnnp_block 2\n"
                                "bne.w 20b\n"
                                // What becomes of the sums, those of b and d 256 times.
                                "2:\n"
                                "rnnp_get r4, 4\n"
                                "sub r8, r8, r2\n"
                                "sub r9, r9, r10\n"
                                "sub r12, r12, r3\n"
                                "sub lr, lr, r11\n"
                                "cmp r4, #0\n"
                                "bne.w 5f\n"
                                // Requantize: (acc * multiplier + (zero_point << 32) + 2^31) >> 32; of 256 acc
                                // (((256 acc * multiplier) >> 32) + 256 zero_point + 128) >> 8.
                                "3:\n"
                                "rnnp_get r0, 3\n"
                                "ldmia r0!, {r4-r7}\n"
                                "rnnp_put 3, r0\n"
                                "rnnp_get r0, 11\n"
                                ".macro rnnp_once acc, multiplier\n"
                                "smmlar \\acc, \\acc, \\multiplier, r0\n"
                                "ssat \\acc, #8, \\acc\n"
                                ".endm\n"
                                "rnnp_once r2, r4\n"
                                "rnnp_once r10, r4\n"
                                "rnnp_once r3, r6\n"
                                "rnnp_once r11, r6\n"
                                ".purgem rnnp_once\n"
                                "rnnp_get r0, 12\n"
                                ".macro rnnp_fine acc, multiplier\n"
                                "smmla \\acc, \\acc, \\multiplier, r0\n"
                                "ssat \\acc, #8, \\acc, asr #8\n"
                                ".endm\n"
                                "4:\n"
                                "rnnp_fine r8, r5\n"
                                "rnnp_fine r9, r5\n"
                                "rnnp_fine r12, r7\n"
                                "rnnp_fine lr, r7\n"
                                // The second pixel first: with a step of 0 the first one stays.
                                "8:\n"
                                "rnnp_get r0, 7\n"
                                "rnnp_get2 r4, r5, 8, 9\n"
                                "strb r10, [r0, r4]\n"
                                "strb r2, [r0]\n"
                                "add r0, r0, r5\n"
                                "strb r9, [r0, r4]\n"
                                "strb r8, [r0]\n"
                                "add r0, r0, r5\n"
                                "strb r11, [r0, r4]\n"
                                "strb r3, [r0]\n"
                                "add r0, r0, r5\n"
                                "strb lr, [r0, r4]\n"
                                "strb r12, [r0]\n"
                                "add r0, r0, r5\n"
                                "rnnp_put 7, r0\n"
                                "13:\n"
                                "rnnp_get r4, 10\n"
                                "cmp r1, r4\n"
                                "bne.w 1b\n"
                                // The other pixels of the tile.
                                "ldr r0, [sp, #rnnp_size]\n"
                                "ldr r1, [r0, #60]\n"
                                "adds r0, #8\n"
                                "cmp r1, #0\n"
                                "ble 7f\n"
                                "rnnp_take r0, 2, 7\n"
                                "rnnp_get r1, 8\n"
                                ".irp word, 6, 7\n"
                                "rnnp_get r2, \\word\n"
                                "add r2, r2, r1, lsl #1\n"
                                "rnnp_put \\word, r2\n"
                                ".endr\n"
                                ".irp word, 0, 1\n"
                                "rnnp_get r2, \\word\n"
                                "adds r2, #8\n"
                                "rnnp_put \\word, r2\n"
                                ".endr\n"
                                "adds r0, #20\n"
                                "b.w 9b\n"
                                "7:\n"
                                "rnnp_leave 14\n"
                                "pop {r0, r4-r11, pc}\n"
                                "5:\n"
                                "lsls r0, r4, #31\n" // carry: fine or twice; negative: not twice, no residual
#if RNNP_WITH_FINE || RNNP_WITH_TFLITE
                                "bcs 10f\n"
#endif
                                "bmi 6f\n"
                                // The residual, whose outputs are side by side.
                                "ldmia r4!, {r0, r5, r6, r7}\n"
                                "rnnp_put 4, r4\n"
                                "pkhbt r0, r0, r6, lsl #16\n"
                                "pkhbt r5, r5, r7, lsl #16\n"
                                "rnnp_get r4, 6\n"
                                "rnnp_get r6, 8\n"
                                "ldr r6, [r4, r6]\n"
                                "ldr r7, [r4], #4\n"
                                "rnnp_put 6, r4\n"
                                ".macro rnnp_residual x, a, b, c, d\n"
                                "and r4, \\x, #0xff00ff00\n"
                                "sxtb16 \\x, \\x\n"
                                "smlabb \\b, r4, r5, \\b\n"
                                "smlatt \\d, r4, r5, \\d\n"
                                "smlabb \\a, \\x, r0, \\a\n"
                                "smlatt \\c, \\x, r0, \\c\n"
                                ".endm\n"
                                "rnnp_residual r6, r10, r9, r11, lr\n"
                                "rnnp_residual r7, r2, r8, r3, r12\n"
                                ".purgem rnnp_residual\n"
                                "b 3b\n"
                                "6:\n"
                                "rnnp_get r0, 7\n"
                                ".irp acc, r8, r9, r12, lr\n"
                                "asr \\acc, \\acc, #8\n"
                                ".endr\n"
                                "strd r2, r10, [r0]\n"
                                "strd r8, r9, [r0, #16]\n"
                                "strd r3, r11, [r0, #32]\n"
                                "strd r12, lr, [r0, #48]\n"
                                "adds r0, #64\n"
                                "rnnp_put 7, r0\n"
                                "b 13b\n"
#if RNNP_WITH_FINE || RNNP_WITH_TFLITE
                                // Fine: 256 sum + bias, from 256 (sum + bias), then as above.
                                "10:\n"
                                "bpl 12f\n"
                                "rnnp_get r0, 2\n"
                                "ldmdb r0, {r4-r7}\n"
                                ".irp bias, r4, r5, r6, r7\n"
                                "rsb \\bias, \\bias, \\bias, lsl #8\n"
                                ".endr\n"
                                "rsb r2, r4, r2, lsl #8\n"
                                "rsb r10, r4, r10, lsl #8\n"
                                "sub r8, r8, r5\n"
                                "sub r9, r9, r5\n"
                                "rsb r3, r6, r3, lsl #8\n"
                                "rsb r11, r6, r11, lsl #8\n"
                                "sub r12, r12, r7\n"
                                "sub lr, lr, r7\n"
                                "rnnp_get r0, 3\n"
                                "ldmia r0!, {r4-r7}\n"
                                "rnnp_put 3, r0\n"
                                "rnnp_get r0, 12\n"
                                "rnnp_fine r2, r4\n"
                                "rnnp_fine r10, r4\n"
                                "rnnp_fine r3, r6\n"
                                "rnnp_fine r11, r6\n"
                                "b 4b\n"
                                // Twice: ((2 acc * multiplier) >> 32, rounded, + half + zero_point, 1 less of what is
                                // negative) >> n, where half and zero_point are 2^(n - 1) and 2^n times.
                                "12:\n"
                                ".macro rnnp_twice shift, by, a, b\n"
                                "rnnp_get r0, 3\n"
                                "rnnp_get r5, 5\n"
                                "ldr r4, [r0], #4\n"
                                "ldrsb r6, [r5], #1\n"
                                "rnnp_put 3, r0\n"
                                "rnnp_put 5, r5\n"
                                "rsbs r6, r6, #0\n"
                                "rnnp_get r5, 11\n"
                                "lsls r5, r6\n"
                                "asrs r5, r5, #1\n"
                                ".irp acc, \\a, \\b\n"
                                "add r7, r5, \\acc, asr #31\n"
                                "\\shift \\acc, \\acc, #\\by\n"
                                "smmlar \\acc, \\acc, r4, r7\n"
                                "asr \\acc, \\acc, r6\n"
                                "ssat \\acc, #8, \\acc\n"
                                ".endr\n"
                                ".endm\n"
                                "rnnp_twice lsl, 1, r2, r10\n"
                                "rnnp_twice asr, 7, r8, r9\n"
                                "rnnp_twice lsl, 1, r3, r11\n"
                                "rnnp_twice asr, 7, r12, lr\n"
                                ".purgem rnnp_twice\n"
                                "b.w 8b\n"
#endif
                                ".purgem rnnp_fine\n"
#if RNNP_WITH_TILE1
                                "30:\n"
                                "rnnp_block 1\n"
                                "bne.w 30b\n"
                                "b.w 2b\n"
#endif
                                ".purgem rnnp_block\n" RNNP_PURGE_WORDS);
}

// Whether there is code for outputs beside the inner loop's.
#define ANY_OUTPUTS (RNNP_WITH_ANY_DENSE || RNNP_WITH_SHIFT || RNNP_WITH_TFLITE)

void rnnp_armv7em_tile_init(rnnp_tile_t *t, const rnnp_requantize_t *requantize, uint32_t inputs, void *x) {
    uint32_t left_out = (rnnp_align(inputs, RNNP_WEIGHT_BLOCK) - inputs) / 2; // pairs
    uintptr_t before = (uintptr_t)x - (left_out + 1) * RNNP_TILE * sizeof(uint32_t);
    t->x = before;
    t->x_last = before + rnnp_tile_bytes(inputs);
    t->bias = requantize->bias;
    t->multiplier = requantize->multiplier;
    t->residual = rnnp_fine(requantize) ? RNNP_TILE_FINE : RNNP_TILE_PLAIN;
    t->channel_step = 1;
    t->zero_point = requantize->zero_point;
    t->zero_point_256 = requantize->zero_point * 256 + 128;
    t->before = 8 * (left_out + 1);
    t->entry2 = 48 * left_out;
    t->entry1 = 32 * left_out;
    t->four = rnnp_weight_index(inputs, 4);
    t->inputs = inputs;
    t->wide = ANY_OUTPUTS && !rnnp_fine(requantize) && (requantize->wide || rnnp_shift(requantize) != 0);
    t->requantize = requantize;
    if (rnnp_exponents(requantize) != NULL) {
        t->exponent = requantize->exponent;
        t->residual = RNNP_TILE_TWICE;
        t->zero_point = 2 * requantize->zero_point + 1;
    }
}

// Whether the inner loop can do with these exponents.
static bool are_usual(const int8_t *exponent, uint32_t count) {
    for (uint32_t o = 0; o < count; o++) {
        if (exponent[o] < -22 || exponent[o] > -1) {
            return false;
        }
    }
    return true;
}

#if ANY_OUTPUTS

#define PART (496) // inputs whose sums are below 2^23

// The sums of four outputs, biases not included, whatever they are.
static void sum_parts(const rnnp_tile_t *t, const int8_t *weight, int32_t (*sums)[RNNP_TILE]) {
    static const int32_t none[4];
    int32_t part[4 * RNNP_TILE];
    uint32_t whole = rnnp_align(t->inputs, RNNP_WEIGHT_BLOCK);
    memset(sums, 0, sizeof(part));
    for (uint32_t first = 0; first < whole; first += PART) {
        uint32_t count = rnnp_min_u32(PART, whole - first);
        rnnp_tile_t some = *t;
        some.x = t->x_last - (whole - first) * (RNNP_TILE * 2) + (t->before - 8) * 2;
        some.x_last = some.x + count * (RNNP_TILE * 2);
        some.weight = weight + first * 4;
        some.before = 8;
        some.weight_end = (uintptr_t)(some.weight + count * 4) - some.before;
        some.entry2 = some.entry1 = 0;
        some.residual = RNNP_TILE_RAW;
        some.bias = none;
        some.out = part;
        some.pixel_step = RNNP_TILE;
        tile(&some);
        for (uint32_t i = 0; i < 4 * RNNP_TILE; i++) {
            sums[0][i] += part[i];
        }
    }
}

// Outputs behind t->fours, slowly: of any size and rounding, or fewer than four.
__attribute__((noinline)) static void any_outputs(const rnnp_tile_t *t) {
    const rnnp_requantize_t *r = t->requantize;
    const int32_t *residual = (const int32_t *)t->residual;
    int32_t sums[4][RNNP_TILE];
    for (uint32_t o = 4 * t->fours; o < t->outputs; o++) {
        if (o % 4 == 0) {
            sum_parts(t, t->weight + o / 4 * t->four, sums);
        }
        for (uint32_t p = 0; p < t->pixels; p++) {
            uint32_t at = o * t->channel_step + p * t->pixel_step;
            int32_t sum = sums[o % 4][p];
            int8_t *out = (int8_t *)t->out + at;
            if (t->residual == RNNP_TILE_RAW) {
                ((int32_t *)t->out)[o * RNNP_TILE + p] = sum + t->bias[o];
            } else if (!rnnp_once(r)) {
                *out = rnnp_requantize(r, sum, o);
            } else {
                sum += r->bias[o] + (t->residual > RNNP_TILE_FINE ? residual[o] * t->skip[at] : 0);
                int32_t y = rnnp_scale((int32_t)((uint32_t)sum << rnnp_shift(r)), r->multiplier[o]);
                *out = (int8_t)rnnp_clamp(r->zero_point + y, r->min, r->max);
            }
        }
    }
}

#endif

void rnnp_armv7em_tile_outputs(rnnp_tile_t *t, const int8_t *weight, uint32_t outputs) {
    const int8_t *exponent = rnnp_exponents(t->requantize);
    t->weight = weight;
    t->outputs = outputs;
    t->wide |= exponent != NULL && !are_usual(exponent, outputs);
    // Of accumulators all four, though fewer may be wanted: a loop of two would be some 350 bytes more.
    t->fours = ANY_OUTPUTS && t->wide ? 0 : (outputs + (t->residual == RNNP_TILE_RAW ? 3 : 0)) / 4;
    t->weight_end = (uintptr_t)(weight + t->fours * t->four) - t->before;
}

void rnnp_armv7em_tile(rnnp_tile_t *t) {
    uint32_t pixels = t->pixels;
    if (!ANY_OUTPUTS || t->fours != 0) {
        tile(t);
        t->pixels = pixels;
    }
#if ANY_OUTPUTS
    if (4 * t->fours < t->outputs) {
        any_outputs(t);
    }
#endif
}

#if RNNP_WITH_CLAMP
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

RNNP_SMALL_C_END

#endif
