// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Dense layers on an Armv7E-M, four pixels at a time (armv7em.h).
#include "armv7em.h"

#if RNNP_ARMV7EM

#define UNUSED __attribute__((unused))

// Pixels r0 - r3, their next word r4 - r7; x in r10. lr: the next input goes to the upper halves of words that have a lower
// one. r12: runs that are left; with `fine`, which puts bytes into the upper halves of int16, the mask of those.
#define WIDEN(fine)                                                                    \
    ".set rnnp_upper, " #fine "\n"                                                     \
    "push {r1, r2, r4-r11, lr}\n"                                                      \
    "mov r9, r0\n"                                                                     \
    ".if rnnp_upper\n"                                                                 \
    "mvn r12, #0x00ff00ff\n"                                                           \
    ".else\n"                                                                          \
    "mov r12, r1\n"                                                                    \
    ".endif\n"                                                                         \
    "mov r10, r3\n"                                                                    \
    "mov lr, #0\n"    /* A run: r11 inputs are left of it. */                          \
    "1:\n"                                                                             \
    "ldmia r9!, {r0-r3}\n"                                                             \
    "ldr r4, [sp, #44]\n"                                                              \
    "ldr r11, [sp, #4]\n"                                                              \
    ".irp pixel, r0, r1, r2, r3\n"                                                     \
    "add \\pixel, \\pixel, r4\n"                                                       \
    ".endr\n"                                                                          \
    "cmp lr, #0\n"                                                                     \
    "bne 5f\n"    /* Four at a time: bytes 0 and 2, 1 and 3, then 0 and 1, 2 and 3. */ \
    "2:\n"                                                                             \
    "subs r11, r11, #4\n"                                                              \
    "blo 4f\n"                                                                         \
    "3:\n"                                                                             \
    "ldr r4, [r0], #4\n"                                                               \
    "ldr r5, [r1], #4\n"                                                               \
    "ldr r6, [r2], #4\n"                                                               \
    "ldr r7, [r3], #4\n"                                                               \
    ".irp word, r4, r5, r6, r7\n"                                                      \
    ".if rnnp_upper\n"                                                                 \
    "and r8, \\word, r12\n"                                                            \
    "and \\word, r12, \\word, lsl #8\n"                                                \
    ".else\n"                                                                          \
    "sxtb16 r8, \\word, ror #8\n"                                                      \
    "sxtb16 \\word, \\word\n"                                                          \
    ".endif\n"                                                                         \
    "pkhbt lr, \\word, r8, lsl #16\n"                                                  \
    "pkhtb r8, r8, \\word, asr #16\n"                                                  \
    "str r8, [r10, #16]\n"                                                             \
    "str lr, [r10], #4\n"                                                              \
    ".endr\n"                                                                          \
    "add r10, r10, #16\n"                                                              \
    "subs r11, r11, #4\n"                                                              \
    "bhs 3b\n"                                                                         \
    "4:\n"                                                                             \
    "adds r11, r11, #4\n"                                                              \
    "beq 6f\n"    /* One, to the lower halves. */                                      \
    ".irp pixel, 0, 1, 2, 3\n"                                                         \
    "ldrsb r4, [r\\pixel], #1\n"                                                       \
    ".if rnnp_upper\n"                                                                 \
    "lsls r4, r4, #8\n"                                                                \
    ".endif\n"                                                                         \
    "str r4, [r10, #4 * \\pixel]\n"                                                    \
    ".endr\n"                                                                          \
    "mov lr, #1\n"                                                                     \
    "subs r11, r11, #1\n"                                                              \
    "beq 7f\n"    /* One, to the upper halves. */                                      \
    "5:\n"                                                                             \
    ".irp pixel, r0, r1, r2, r3\n"                                                     \
    "ldrsb r4, [\\pixel], #1\n"                                                        \
    "ldr r5, [r10]\n"                                                                  \
    ".if rnnp_upper\n"                                                                 \
    "pkhbt r5, r5, r4, lsl #24\n"                                                      \
    ".else\n"                                                                          \
    "pkhbt r5, r5, r4, lsl #16\n"                                                      \
    ".endif\n"                                                                         \
    "str r5, [r10], #4\n"                                                              \
    ".endr\n"                                                                          \
    "subs r11, r11, #1\n"                                                              \
    "bne 2b\n"                                                                         \
    "6:\n"                                                                             \
    "mov lr, #0\n"                                                                     \
    "7:\n"                                                                             \
    ".if rnnp_upper\n"                                                                 \
    "ldr r4, [sp]\n"                                                                   \
    "subs r4, r4, #1\n"                                                                \
    "str r4, [sp]\n"                                                                   \
    ".else\n"                                                                          \
    "subs r12, r12, #1\n"                                                              \
    ".endif\n"                                                                         \
    "bne 1b\n"                                                                         \
    "pop {r1, r2, r4-r11, pc}\n"

__attribute__((naked)) void rnnp_armv7em_widen(UNUSED const int8_t *const *in, UNUSED uint32_t runs,
    UNUSED uint32_t count, UNUSED uint32_t *x, UNUSED uint32_t offset) {
    __asm__ volatile(WIDEN(0));
}

__attribute__((naked)) void rnnp_armv7em_widen_fine(UNUSED const int8_t *const *in, UNUSED uint32_t runs,
    UNUSED uint32_t count, UNUSED uint32_t *x, UNUSED uint32_t offset) {
    __asm__ volatile(WIDEN(1));
}

RNNP_SMALL_C

// Two outputs at a time: accumulators r4-r7 (the four pixels of the first), r8-r11 (of the second). What follows the inner
// loop is the same for tiles of three and of two pixels: of those behind them, whose accumulators hold anything, it writes the
// values where the last pixel's go, which are written later. Only three pixels without a residual, which are many, have their
// own.
__attribute__((naked, noinline)) static void tile(UNUSED rnnp_tile_t *arguments) {
    __asm__ volatile(RNNP_WORDS ".p2align 2\n" // for adr
                                "push {r4-r11, lr}\n"
                                "rnnp_enter 15\n"
                                "rnnp_take r0, 0, 13\n"
                                "ldr r1, [r0]\n"
                                "ldr r3, [r0, #4]\n"
                                "rnnp_get r2, 11\n"
                                "sub r1, r1, r3\n"
                                "cmp r2, #0\n"
                                "bne.w 1f\n"
                                // Where the loop is entered: the code of a pair is 15 instructions of 4 bytes, 12 or 9.
                                "ldr r2, [r0, #12]\n"
                                "subs r3, r3, #4\n" // 4 bytes a pair
                                "adr.w r12, 20f + 1\n" // 1: Thumb

#if RNNP_WITH_TILE2
                                "cmp r2, #3\n"
                                "it eq\n"
                                "adreq.w r12, 30f + 1\n"
                                "it lo\n"
                                "adrlo.w r12, 40f + 1\n"
#else
                                "cmp r2, #4\n" // two as three
                                "itt ne\n"
                                "movne r2, #3\n"
                                "adrne.w r12, 30f + 1\n"
#endif
                                "adds r2, r2, #1\n"
                                "muls r2, r3, r2\n"
                                "add r2, r2, r2, lsl #1\n"
                                "add r2, r2, r12\n"
                                "rnnp_put 11, r2\n"
                                "str r2, [r0, #-12]\n"
                                "b.w 1f\n"
                                // A block of 16 inputs, two at a time.
                                ".macro rnnp_block pixels\n"
                                ".irp pair, 0, 1, 2, 3, 4, 5, 6, 7\n"
                                ".if \\pair == 7\n"
                                "ldr.w r2, [r1, #32]!\n"
                                ".else\n"
                                "ldr.w r2, [r1, #4 * \\pair + 4]\n"
                                ".endif\n"
                                "ldr r12, [r0, #16 * \\pair + 4]\n"
                                "ldr lr, [r0, #16 * \\pair + 8]\n"
                                ".if \\pixels == 3\n"
                                "ldr.w r7, [r0, #16 * \\pair + 12]\n"
                                ".endif\n"
                                "sxtb16 r3, r2, ror #8\n"
                                "sxtb16 r2, r2\n"
                                "smlad r4, r12, r2, r4\n"
                                "smlad r8, r12, r3, r8\n"
                                "smlad r5, lr, r2, r5\n"
                                "smlad r9, lr, r3, r9\n"
                                ".if \\pixels == 3\n"
                                "smlad r6, r7, r2, r6\n"
                                "smlad r10, r7, r3, r10\n"
                                ".elseif \\pixels == 4\n"
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
                                ".endif\n"
                                ".endr\n"
                                ".if \\pixels < 4\n"
                                "adds r0, #128\n"
                                ".endif\n"
                                "rnnp_get r2, 1\n"
                                "cmp r0, r2\n"
                                ".endm\n"
                                "20:\n"
                                "rnnp_block 4\n"
                                "bne.w 20b\n"
                                // What becomes of the sums.
                                "2:\n"
                                "rnnp_get r2, 4\n"
                                "cmp r2, #0\n"
                                "bne.w 5f\n"
                                // Requantize: (acc * multiplier + (zero_point << 32) + 2^31) >> 32.
                                "3:\n"
                                "rnnp_get r0, 3\n"
                                "ldrd r2, r3, [r0], #8\n"
                                "rnnp_put 3, r0\n"
                                "rnnp_get r12, 10\n"
                                ".irp acc, r4, r5, r6, r7\n"
                                "smmlar \\acc, \\acc, r2, r12\n"
                                "ssat \\acc, #8, \\acc\n"
                                ".endr\n"
                                ".irp acc, r8, r9, r10, r11\n"
                                "smmlar \\acc, \\acc, r3, r12\n"
                                "ssat \\acc, #8, \\acc\n"
                                ".endr\n"
                                "8:\n"
                                // The second channel and the last pixel first: with steps of 0 the first ones stay.
                                "rnnp_get r0, 6\n"
                                "rnnp_get r3, 8\n"
                                "rnnp_get r12, 13\n"
                                "add lr, r0, r3\n"
                                "strb r11, [lr, r12]\n"
                                "strb r7, [r0, r12]\n"
                                "rnnp_get r12, 12\n"
                                "rnnp_get r2, 7\n"
                                "strb r10, [lr, r12]\n"
                                "strb r6, [r0, r12]\n"
                                "strb r9, [lr, r2]\n"
                                "strb r5, [r0, r2]\n"
                                "strb r8, [lr]\n"
                                "strb r4, [r0]\n"
                                "add lr, lr, r3\n"
                                "rnnp_put 6, lr\n"
                                "4:\n"
                                "rnnp_get r2, 9\n"
                                "cmp r1, r2\n"
                                "beq 7f\n"
                                // The next two outputs.
                                "1:\n"
                                "rnnp_get r2, 2\n"
                                "ldrd r4, r8, [r2], #8\n"
                                "rnnp_put 2, r2\n"
                                "rnnp_get r0, 0\n"
                                "rnnp_get r2, 11\n"
                                "mov r5, r4\n"
                                "mov r9, r8\n"
                                "mov r6, r4\n"
                                "mov r10, r8\n"
                                "mov r7, r4\n"
                                "mov r11, r8\n"
                                "bx r2\n"
                                "7:\n"
                                "rnnp_leave 15\n"
                                "pop {r4-r11, pc}\n"
                                "5:\n"
                                "lsls r0, r2, #31\n" // carry: fine or twice; negative: not twice, no residual
#if RNNP_WITH_FINE || RNNP_WITH_TFLITE
                                "bcs 9f\n"
#endif
                                "bmi 6f\n"
                                // The residual.
                                "ldrd r0, r3, [r2], #8\n"
                                "rnnp_put 4, r2\n"
                                "rnnp_put 14, r1\n"
                                "rnnp_get r12, 5\n"
                                "rnnp_get r2, 7\n"
                                ".macro rnnp_residual weight, a, b, c, d\n"
                                "ldrsb lr, [r12]\n"
                                "ldrsb r1, [r12, r2]\n"
                                "mla \\a, lr, \\weight, \\a\n"
                                "mla \\b, r1, \\weight, \\b\n"
                                "rnnp_get lr, 12\n"
                                "rnnp_get r1, 13\n"
                                "ldrsb lr, [r12, lr]\n"
                                "ldrsb r1, [r12, r1]\n"
                                "mla \\c, lr, \\weight, \\c\n"
                                "mla \\d, r1, \\weight, \\d\n"
                                ".endm\n"
                                "rnnp_residual r0, r4, r5, r6, r7\n"
                                "rnnp_get r0, 8\n"
                                "add r12, r12, r0\n"
                                "add r0, r0, r12\n"
                                "rnnp_put 5, r0\n"
                                "rnnp_residual r3, r8, r9, r10, r11\n"
                                ".purgem rnnp_residual\n"
                                "rnnp_get r1, 14\n"
                                "b 3b\n"
                                "6:\n"
                                "rnnp_get r0, 6\n"
                                "stmia r0!, {r4-r11}\n"
                                "rnnp_put 6, r0\n"
                                "b 4b\n"
#if RNNP_WITH_FINE || RNNP_WITH_TFLITE
                                // Fine: (((acc * multiplier) >> 32) + zero_point) >> 8.
                                "9:\n"
                                "bpl 12f\n"
                                "rnnp_get r0, 3\n"
                                "ldrd r2, r3, [r0], #8\n"
                                "rnnp_put 3, r0\n"
                                "rnnp_get r12, 10\n"
                                ".irp acc, r4, r5, r6, r7\n"
                                "smmla \\acc, \\acc, r2, r12\n"
                                "ssat \\acc, #8, \\acc, asr #8\n"
                                ".endr\n"
                                ".irp acc, r8, r9, r10, r11\n"
                                "smmla \\acc, \\acc, r3, r12\n"
                                "ssat \\acc, #8, \\acc, asr #8\n"
                                ".endr\n"
                                "b 8b\n"
                                // Twice: ((2 acc * multiplier) >> 32, rounded, + half + zero_point, 1 less of what is
                                // negative) >> n, where half and zero_point are 2^(n - 1) and 2^n times.
                                "12:\n"
                                ".macro rnnp_twice a, b, c, d\n"
                                "rnnp_get r0, 3\n"
                                "rnnp_get r12, 5\n"
                                "ldr r2, [r0], #4\n"
                                "ldrsb r3, [r12], #1\n"
                                "rnnp_put 3, r0\n"
                                "rnnp_put 5, r12\n"
                                "rsbs r3, r3, #0\n"
                                "rnnp_get r12, 10\n"
                                "lsl r12, r12, r3\n"
                                "asr r12, r12, #1\n"
                                ".irp acc, \\a, \\b, \\c, \\d\n"
                                "add r0, r12, \\acc, asr #31\n"
                                "lsl \\acc, \\acc, #1\n"
                                "smmlar \\acc, \\acc, r2, r0\n"
                                "asr \\acc, \\acc, r3\n"
                                "ssat \\acc, #8, \\acc\n"
                                ".endr\n"
                                ".endm\n"
                                "rnnp_twice r4, r5, r6, r7\n"
                                "rnnp_twice r8, r9, r10, r11\n"
                                ".purgem rnnp_twice\n"
                                "b 8b\n"
#endif
                                "30:\n"
                                "rnnp_block 3\n"
                                "bne.w 30b\n"
                                "rnnp_get r2, 4\n"
                                "cmp r2, #0\n"
                                "bne.w 5b\n"
                                "rnnp_get r0, 3\n"
                                "ldrd r2, r3, [r0], #8\n"
                                "rnnp_put 3, r0\n"
                                "rnnp_get r12, 10\n"
                                ".irp acc, r4, r5, r6\n"
                                "smmlar \\acc, \\acc, r2, r12\n"
                                "ssat \\acc, #8, \\acc\n"
                                ".endr\n"
                                ".irp acc, r8, r9, r10\n"
                                "smmlar \\acc, \\acc, r3, r12\n"
                                "ssat \\acc, #8, \\acc\n"
                                ".endr\n"
                                "rnnp_get r0, 6\n"
                                "rnnp_get r2, 7\n"
                                "rnnp_get r3, 8\n"
                                "add lr, r0, r3\n"

#if RNNP_WITH_TILE2
                                "strb r10, [lr, r2, lsl #1]\n"
                                "strb r6, [r0, r2, lsl #1]\n"
#else
                                "rnnp_get r12, 12\n"
                                "strb r10, [lr, r12]\n"
                                "strb r6, [r0, r12]\n"
#endif

                                "strb r9, [lr, r2]\n"
                                "strb r5, [r0, r2]\n"
                                "strb r8, [lr]\n"
                                "strb r4, [r0]\n"
                                "add lr, lr, r3\n"
                                "rnnp_put 6, lr\n"
                                "rnnp_get r2, 9\n"
                                "cmp r1, r2\n"
                                "beq 7b\n"
                                "rnnp_get r2, 2\n"
                                "ldrd r4, r8, [r2], #8\n"
                                "rnnp_put 2, r2\n"
                                "rnnp_get r0, 0\n"
                                "rnnp_get r2, 11\n"
                                "mov r5, r4\n"
                                "mov r9, r8\n"
                                "mov r6, r4\n"
                                "mov r10, r8\n"
                                "bx r2\n"

#if RNNP_WITH_TILE2
                                "40:\n"
                                "rnnp_block 2\n"
                                "bne.w 40b\n"
                                "b 2b\n"
#endif
                                ".purgem rnnp_block\n" RNNP_PURGE_WORDS);
}

void rnnp_armv7em_tile_init(rnnp_tile_t *t, const rnnp_requantize_t *requantize, uint32_t inputs, void *x) {
    uint32_t bytes = rnnp_tile_bytes(inputs), left_out = (rnnp_align(inputs, RNNP_WEIGHT_BLOCK) - inputs) / 2; // pairs
    uintptr_t before = (uintptr_t)x - sizeof(uint32_t) - left_out * RNNP_TILE * sizeof(uint32_t);
    *t = (rnnp_tile_t){
        .x = before,
        .x_last = before + bytes,
        .bias = requantize->bias,
        .multiplier = requantize->multiplier,
        .residual = rnnp_fine(requantize) ? RNNP_TILE_FINE : RNNP_TILE_PLAIN,
        .channel_step = 1,
        .zero_point = rnnp_fine(requantize)
            ? requantize->zero_point * (1 << RNNP_FINE_BITS) + (1 << (RNNP_FINE_BITS - 1))
            : requantize->zero_point,
        .before = 4 * (left_out + 1),
        .pair = rnnp_weight_index(inputs, 2, 0),
    };
}

void rnnp_armv7em_tile_fit(rnnp_tile_t *t, uint32_t left) {
    uint32_t threes = (0 - left) % RNNP_TILE; // the tiles of three at the end
    uint32_t pixels = left < 3 ? 2 : left > 3 * threes ? RNNP_TILE : 3;
    if (pixels != t->pixels || left == 1) {
        uint32_t step = left == 1 ? 0 : t->pixel_step;
        t->pixels = pixels;
        t->pixel_step = step;
        t->entry = 0;
        t->third = pixels > 2 ? 2 * step : step;
        t->fourth = pixels > 3 ? 3 * step : t->third;
    }
}

// Output `whole` alone, the last of an odd number: written over what comes of the gap beside it.
__attribute__((noinline)) static void last_output(const rnnp_tile_t *t, uint32_t whole) {
    rnnp_tile_t last = *t;
    last.weight += whole / 2 * t->pair;
    last.weight_end += t->pair;
    last.bias += whole;
    last.multiplier += whole;
    last.residual += t->residual > RNNP_TILE_FINE ? whole * sizeof(int32_t) : 0;
    last.skip += whole * t->channel_step;
    last.out = (int8_t *)t->out + whole * t->channel_step;
    last.channel_step = 0;
    tile(&last);
}

void rnnp_armv7em_tile(rnnp_tile_t *t, uint32_t outputs) {
    uint32_t pairs = (outputs + (t->residual == RNNP_TILE_RAW)) / 2;
    t->weight_end = (uintptr_t)(t->weight + pairs * t->pair) - t->before;
    if (2 * pairs >= outputs) {
        tile(t);
        return;
    }
    if (pairs != 0) {
        tile(t);
    }
    last_output(t, 2 * pairs);
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

RNNP_SMALL_C_END

#endif
