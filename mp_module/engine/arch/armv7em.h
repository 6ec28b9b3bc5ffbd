// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the kernels for Armv7E-M (Cortex-M4F, M7) share.
#ifndef RNNP_ARCH_ARMV7EM_H
#define RNNP_ARCH_ARMV7EM_H

#include "../kernels/kernels.h"

#if RNNP_ARMV7EM

#include <arm_acle.h>
#include <string.h>

// Before a loop of a few turns, known when compiled: no loop is left of it.
#if defined(__clang__)
#define RNNP_UNROLL _Pragma("unroll")
#else
#define RNNP_UNROLL _Pragma("GCC unroll 8")
#endif

// What is C in a file whose loops are assembly is small rather than fast, from RNNP_SMALL_C to RNNP_SMALL_C_END.
#if defined(__clang__)
#define RNNP_SMALL_C _Pragma("clang attribute push(__attribute__((minsize)), apply_to = function)")
#define RNNP_SMALL_C_END _Pragma("clang attribute pop")
#else
#define RNNP_SMALL_C _Pragma("GCC optimize(\"Os\", \"no-tree-loop-optimize\", \"no-move-loop-invariants\")")
#define RNNP_SMALL_C_END
#endif

// Words beside the core registers, for functions of assembly: word k is in FPU register k or, on a core without FPU, at
// sp + 4 k, so that sp must stay as it is between rnnp_enter and rnnp_leave.
//   rnnp_enter n, rnnp_leave n   makes room for n words, rnnp_size bytes of it on the stack, and gives it back
//   rnnp_take r, first, last     loads words from where r points to, which moves behind them; changes r12
//   rnnp_get r, k                and rnnp_put k, r: from and to a core register
//   rnnp_get2 r, q, k, l         and rnnp_put2 k, l, r, q: two at once, where k is even and l = k + 1
#if defined(__ARM_FP)
#define RNNP_WORDS                                                                                               \
    ".macro rnnp_enter n\n.set rnnp_size, 0\n.if \\n > 16\nvpush {s16-s31}\n.set rnnp_size, 64\n.endif\n.endm\n" \
    ".macro rnnp_leave n\n.if \\n > 16\nvpop {s16-s31}\n.endif\n.endm\n"                                         \
    ".macro rnnp_take from, first, last\nvldmia \\from!, {s\\first-s\\last}\n.endm\n"                            \
    ".macro rnnp_get to, k\nvmov \\to, s\\k\n.endm\n"                                                            \
    ".macro rnnp_put k, from\nvmov s\\k, \\from\n.endm\n"                                                        \
    ".macro rnnp_get2 to, and, k, l\nvmov \\to, \\and, s\\k, s\\l\n.endm\n"                                      \
    ".macro rnnp_put2 k, l, from, and\nvmov s\\k, s\\l, \\from, \\and\n.endm\n"
#else
#define RNNP_WORDS                                                                               \
    ".macro rnnp_enter n\nsub sp, #4 * \\n\n.set rnnp_size, 4 * \\n\n.endm\n"                    \
    ".macro rnnp_leave n\nadd sp, #4 * \\n\n.endm\n"                                             \
    ".macro rnnp_take from, first, last\n.set rnnp_k, 4 * \\first\n.rept \\last - \\first + 1\n" \
    "ldr r12, [\\from], #4\nstr r12, [sp, #rnnp_k]\n.set rnnp_k, rnnp_k + 4\n.endr\n.endm\n"     \
    ".macro rnnp_get to, k\nldr \\to, [sp, #4 * \\k]\n.endm\n"                                   \
    ".macro rnnp_put k, from\nstr \\from, [sp, #4 * \\k]\n.endm\n"                               \
    ".macro rnnp_get2 to, and, k, l\nldrd \\to, \\and, [sp, #4 * \\k]\n.endm\n"                  \
    ".macro rnnp_put2 k, l, from, and\nstrd \\from, \\and, [sp, #4 * \\k]\n.endm\n"
#endif
#define RNNP_PURGE_WORDS ".irp name, enter, leave, take, get, put, get2, put2\n.purgem rnnp_\\name\n.endr\n"

// Four bytes, or two halfwords, as one word.
static inline uint32_t rnnp_load(const void *at) {
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline uint32_t rnnp_load16(const void *at) {
    uint16_t half;
    memcpy(&half, at, sizeof(half));
    return half;
}

static inline void rnnp_store(void *at, uint32_t word) {
    memcpy(at, &word, sizeof(word));
}

// Bytes from an output's first weight to that of input i, as record.h has them.
#define RNNP_AT(i) ((i) / 2 * 8 + (i) % 2 * 2)

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

// ---- Dense layers: RNNP_TILE pixels, or those that are left, x all outputs ----
//
// The pixels are widened to int16 once for all outputs. The words of a widened tile hold inputs 2 i and 2 i + 1: for each i
// those of the four pixels. Behind the last input, up to a whole block of weights, may be anything: the weights are 0.

// All inputs of four pixels, run after run.
//   in      [runs][RNNP_TILE]: where a run's inputs are, `count` (at least one) side by side; no alignment is needed
//           and nothing else is read
void rnnp_armv7em_widen(const int8_t *const *in, uint32_t runs, uint32_t count, uint32_t *x);

#define RNNP_TILE_PLAIN (0) // no residual
#define RNNP_TILE_RAW (1) // accumulators, int32 [outputs rounded up to 4][RNNP_TILE]; with a pixel_step of RNNP_TILE
#define RNNP_TILE_TWICE (2) // rounded twice, exponents of -22..-1
#define RNNP_TILE_FINE (3) // fine biases

// Arguments of the inner loop, loaded into s0 .. s12 and core registers in this order. Its blocks are of 8 pairs of inputs, as
// weights are stored. It is entered in the middle of one to leave out the pairs of zeros at the end of the last: each puts
// the start of x and weights a pair before the first one, where nothing is read.
typedef struct {
    uintptr_t x, x_last; // s0, s1: a pair before the start of the widened tile, and of its end
    const int32_t *bias; // s2
    const int32_t *multiplier; // s3
    uintptr_t residual; // s4: where the weights are, or one of RNNP_TILE_...
    const int8_t *exponent; // s5
    const int8_t *skip; // s6: of a residual, whose outputs are side by side
    void *out; // s7
    uint32_t pixel_step, channel_step; // s8, s9: of out; pixel_step of skip, too
    uintptr_t weight_end; // s10: a pair before the end, less the pairs left out
    int32_t zero_point; // s11; rounded twice: twice that, and 1
    int32_t zero_point_256; // s12: with 8 fraction bits, and a half
    const int8_t *weight; // the first
    uint32_t before; // bytes of the pairs left out, 0..7, and of one more
    uint32_t pixels; // 1 .. RNNP_TILE: those of x behind them may be anything
    uint32_t entry2,
        entry1; // bytes of code of the pairs left out, with two pixels and one (not loaded, as what follows)
    uint32_t four; // bytes of the weights of four outputs
    uint32_t fours, outputs; // how often the inner loop makes four; of how many
    uint32_t inputs;
    bool wide; // sums need more than the 24 bits that the inner loop has for them, or a shift
    const rnnp_requantize_t *requantize;
} rnnp_tile_t;

// Fills in what is the same for all tiles of a row, less the outputs.
void rnnp_armv7em_tile_init(rnnp_tile_t *tile, const rnnp_requantize_t *requantize, uint32_t inputs, void *x);

// Sets which outputs are to be made, when all else is said but where.
void rnnp_armv7em_tile_outputs(rnnp_tile_t *tile, const int8_t *weight, uint32_t outputs);

// Makes them at tile->out.
void rnnp_armv7em_tile(rnnp_tile_t *tile);

// Whether a layer's outputs are to be clamped to less than int8.
static inline bool rnnp_armv7em_clamps(const rnnp_requantize_t *requantize) {
    return RNNP_WITH_CLAMP && (requantize->min != INT8_MIN || requantize->max != INT8_MAX);
}

// The first pixels of a row of a convolution of 3x3, stride 2, one column of padding on the left, of three channels, none of
// whose rows is outside; rounded once, without a shift. Returns how many were made, an even number, or 0.
uint32_t rnnp_armv7em_first_rgb(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out);

// Clamps `count` outputs of a layer, if that is wanted.
#if RNNP_WITH_CLAMP
void rnnp_armv7em_clamp(const rnnp_requantize_t *requantize, int8_t *out, uint32_t count);
#else
static inline void rnnp_armv7em_clamp(const rnnp_requantize_t *requantize, int8_t *out, uint32_t count) {
    (void)requantize, (void)out, (void)count;
}
#endif

#endif

#endif // RNNP_ARCH_ARMV7EM_H
