// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the kernels for Armv7E-M (Cortex-M4F, M7) share.
#ifndef RNNP_ARCH_ARMV7EM_H
#define RNNP_ARCH_ARMV7EM_H

#include "../kernels.h"

#if RNNP_ARMV7EM

#include <arm_acle.h>
#include <string.h>

// Before a loop of a few turns, known when compiled: no loop is left of it.
#if defined(__clang__)
#define RNNP_UNROLL _Pragma("unroll")
#else
#define RNNP_UNROLL _Pragma("GCC unroll 8")
#endif

// Four bytes, or two halfwords, as one word.
static inline uint32_t rnnp_load(const void *at) {
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline void rnnp_store(void *at, uint32_t word) {
    memcpy(at, &word, sizeof(word));
}

// Bytes 0 and 2, or 1 and 3, as two int16.
static inline uint32_t rnnp_sxtb16(uint32_t word) {
    return (uint32_t)__sxtb16(word);
}

static inline uint32_t rnnp_sxtb16_ror8(uint32_t word) {
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

// Lower halves of two words as a pair.
static inline uint32_t rnnp_pkhbt16(uint32_t low, uint32_t high) {
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(low), "r"(high));
    return pair;
}

// Upper halves of two words as a pair.
static inline uint32_t rnnp_pkhtb16(uint32_t low, uint32_t high) {
    uint32_t pair;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(high), "r"(low));
    return pair;
}

// (a * b + (c << 32) + 2^31) >> 32: requantize and add the zero point.
static inline int32_t rnnp_smmlar(int32_t a, int32_t b, int32_t c) {
    int32_t y;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(c));
    return y;
}

// Low bytes of four words as one.
static inline uint32_t rnnp_pack8(int32_t a, int32_t b, int32_t c, int32_t d) {
    uint32_t even = (uint32_t)__uxtb16(rnnp_pkhbt16((uint32_t)a, (uint32_t)c));
    return even | (uint32_t)__uxtb16(rnnp_pkhbt16((uint32_t)b, (uint32_t)d)) << 8;
}

// Four int8, each clamped to the one in its place of min and max.
static inline uint32_t rnnp_clamp8(uint32_t values, uint32_t min, uint32_t max) {
    uint32_t unused;
    __asm__("ssub8 %1, %0, %2\n" // sets GE where the first is not smaller
            "sel %0, %0, %2\n"
            "ssub8 %1, %3, %0\n"
            "sel %0, %0, %3"
        : "+r"(values), "=&r"(unused)
        : "r"(min), "r"(max));
    return values;
}

// ---- Tiles of 4 pixels x 2 output channels, eight accumulators in registers ----
//
// The pixels are widened to int16 once for all output channels: for each 4 input channels the words (c0, c2) of the
// four pixels, then the words (c1, c3), which is how SXTB16 takes the weights apart. Zeros fill it up to whole blocks.

#define RNNP_TILE (4) // pixels
#define RNNP_BLOCK_WORDS (32) // of a widened tile that the inner loop takes at a time: 16 channels

// Arguments of the inner loop, in s0 - s4.
typedef struct {
    uint32_t channel_bytes; // s0: from a channel's weights to the next one's
    uint32_t advance; // s1: from the end of the inner loop to the next pair of channels
    const uint32_t *x; // s2: the word before the widened tile
    const uint32_t *x_end; // s3: its last word
    const int8_t *weight; // s4
} rnnp_dot_t;

// Adds the products of a widened tile and of the weights of two channels to r4-r7 (pixels of the first channel) and
// r8-r11 (of the second). r0 x, r1 weight; on return the next pair's weight is in s4 (and r0 - r3, r12, lr are changed).
#define RNNP_DOT_LOOP                     \
    "2:\n"                                \
    ".irp group, 0, 1, 2, 3\n"            \
    "vmov r3, s0\n"                       \
    "ldr r2, [r1]\n"                      \
    "ldr r3, [r1, r3]\n"                  \
    "ldr r12, [r0, #32 * \\group + 4]\n"  \
    "ldr lr, [r0, #32 * \\group + 8]\n"   \
    "sxtb16 r2, r2\n"                     \
    "sxtb16 r3, r3\n"                     \
    "smlad r4, r12, r2, r4\n"             \
    "smlad r8, r12, r3, r8\n"             \
    "smlad r5, lr, r2, r5\n"              \
    "smlad r9, lr, r3, r9\n"              \
    "ldr r12, [r0, #32 * \\group + 12]\n" \
    "ldr lr, [r0, #32 * \\group + 16]\n"  \
    "smlad r6, r12, r2, r6\n"             \
    "smlad r10, r12, r3, r10\n"           \
    "smlad r7, lr, r2, r7\n"              \
    "smlad r11, lr, r3, r11\n"            \
    "vmov r3, s0\n"                       \
    "ldr r3, [r1, r3]\n"                  \
    "ldr r2, [r1], #4\n"                  \
    "ldr r12, [r0, #32 * \\group + 20]\n" \
    "ldr lr, [r0, #32 * \\group + 24]\n"  \
    "sxtb16 r2, r2, ror #8\n"             \
    "sxtb16 r3, r3, ror #8\n"             \
    "smlad r4, r12, r2, r4\n"             \
    "smlad r8, r12, r3, r8\n"             \
    "smlad r5, lr, r2, r5\n"              \
    "smlad r9, lr, r3, r9\n"              \
    "ldr r12, [r0, #32 * \\group + 28]\n" \
    ".if \\group == 3\n"                  \
    "ldr lr, [r0, #128]!\n"               \
    ".else\n"                             \
    "ldr lr, [r0, #32 * \\group + 32]\n"  \
    ".endif\n"                            \
    "smlad r6, r12, r2, r6\n"             \
    "smlad r10, r12, r3, r10\n"           \
    "smlad r7, lr, r2, r7\n"              \
    "smlad r11, lr, r3, r11\n"            \
    ".endr\n"                             \
    "vmov r2, s3\n"                       \
    "cmp r0, r2\n"                        \
    "bne.w 2b\n"                          \
    "vmov r2, s1\n"                       \
    "add r1, r1, r2\n"                    \
    "vmov s4, r1\n"

// Widens four pixels of `channels` values, a multiple of 4; returns the end.
uint32_t *rnnp_armv7em_widen(const int8_t *const *pixels, uint32_t channels, uint32_t *x);

// Fills up a widened tile with zeros to whole blocks; returns the end.
uint32_t *rnnp_armv7em_fill(uint32_t *end, const uint32_t *start);

//   x       the word before the tile;  end  of the tile
//   weight  rows of as many values as the tile has channels before it was filled up, channel_bytes apart
static inline rnnp_dot_t rnnp_armv7em_dot_arguments(
    const uint32_t *x, const uint32_t *end, const int8_t *weight, uint32_t channel_bytes) {
    uint32_t taken = (uint32_t)(end - x - 1) / 2; // bytes of weights that the inner loop walks over
    return (rnnp_dot_t){ channel_bytes, 2 * channel_bytes - taken, x, end - 1, weight };
}

// acc[pair][2][4] += dot products of the tile and `pairs` pairs of channels; arguments as above.
void rnnp_armv7em_dot(
    int32_t *acc, const uint32_t *x, const uint32_t *end, const int8_t *weight, uint32_t channel_bytes, uint32_t pairs);

#endif

#endif // RNNP_ARCH_ARMV7EM_H
