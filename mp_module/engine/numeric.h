// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Small integer helpers that everything shares. `>>` of a negative number must be the arithmetic shift and the machine
// little-endian, as on every target of the engine: both are checked here, once.
#ifndef RNNP_NUMERIC_H
#define RNNP_NUMERIC_H

#include <stdint.h>

#if defined(__ARM_FEATURE_SAT)
#include <arm_acle.h>
#endif

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the engine reads blobs in place: it needs a little-endian machine"
#endif

#if defined(__ARM_FEATURE_SIMD32) && defined(__thumb2__) && !defined(RNNP_NO_DSP)
#define RNNP_ARMV7EM (1) // Cortex-M4, M7, M33, with or without FPU
#else
#define RNNP_ARMV7EM (0)
#endif

#if defined(__thumb__) && !defined(__thumb2__) && defined(__GNUC__) && !defined(__clang__)
// For Cortex-M0 and M0+ GCC 12 may free a small frame by a POP into argument registers, of which callers of the same file
// do not know: they count on what such a function leaves alone, and pass on rubbish.
#pragma GCC optimize("no-ipa-ra")
#endif

// Fails to compile where >> is not arithmetic.
typedef char rnnp_arithmetic_shift_check_t[((-5) >> 1) == -3 ? 1 : -1];

static inline int32_t rnnp_clamp(int32_t v, int32_t low, int32_t high) {
    return v < low ? low : v > high ? high : v;
}

// Clamps to int`bits`, and to uint`bits`, for a constant number of bits: one instruction where there is one, which compilers
// do not find by themselves; else a comparison that nearly always goes the same way, instead of two with constants.
#if defined(__ARM_FEATURE_SAT)
#define RNNP_SIGNED(v, bits) __ssat(v, bits)
#define RNNP_UNSIGNED(v, bits) __usat(v, bits)
#else
#define RNNP_SIGNED(v, bits) rnnp_signed(v, bits)
#define RNNP_UNSIGNED(v, bits) rnnp_unsigned(v, bits)

static inline int32_t rnnp_signed(int32_t v, uint32_t bits) {
    int32_t low = (int32_t)((uint32_t)v << (32 - bits)) >> (32 - bits);
    return low == v ? v : (v >> 31) ^ (int32_t)((1u << (bits - 1)) - 1);
}

static inline int32_t rnnp_unsigned(int32_t v, uint32_t bits) {
    return (uint32_t)v >> bits == 0 ? v : ~(v >> 31) & (int32_t)((1u << bits) - 1);
}
#endif

static inline int16_t rnnp_sat16(int32_t v) {
    return (int16_t)RNNP_SIGNED(v, 16);
}

static inline int8_t rnnp_sat8(int32_t v) {
    return (int8_t)RNNP_SIGNED(v, 8);
}

// 0..32767
static inline int32_t rnnp_satu15(int32_t v) {
    return (int32_t)RNNP_UNSIGNED(v, 15);
}

static inline uint32_t rnnp_min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static inline uint32_t rnnp_max_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

// Thumb-1 multiplies 32 bits by 32 to 32 bits, and long multiplications are calls.
#if defined(__thumb__) && !defined(__thumb2__)
#define RNNP_NARROW (1)
#else
#define RNNP_NARROW (0)
#endif

// What follows is small rather than fast, in a file that is compiled for speed.
#if defined(__GNUC__) && !defined(__clang__)
#define RNNP_SMALL_FROM_HERE _Pragma("GCC optimize(\"Os\")")
#define RNNP_NOINLINE __attribute__((noinline))
#elif defined(__clang__)
#define RNNP_SMALL_FROM_HERE
#define RNNP_NOINLINE __attribute__((noinline))
#else
#define RNNP_SMALL_FROM_HERE
#define RNNP_NOINLINE
#endif

#if defined(__GNUC__)
#define RNNP_INLINE static inline __attribute__((always_inline)) // even where code is to be small
#else
#define RNNP_INLINE static inline
#endif

// (v * multiplier + 2^31) >> 32, for multipliers that are not negative.
RNNP_INLINE int32_t rnnp_scale(int32_t v, int32_t multiplier) {
#if RNNP_NARROW
    uint32_t low = (uint16_t)v, m_low = (uint16_t)multiplier, m_high = (uint32_t)multiplier >> 16;
    int32_t high = v >> 16;
    int32_t middle = high * (int32_t)m_low + (int32_t)((low * m_low) >> 16);
    uint32_t rounded = low * m_high + (uint16_t)middle + 0x8000;
    return high * (int32_t)m_high + (middle >> 16) + (int32_t)(rounded >> 16);
#else
    int64_t product = (int64_t)v * multiplier;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

// A multiplication by multiplier * 2^(exponent - 31) that rounds as TensorFlow Lite does: twice (docs/arithmetic.md,
// section 2).
typedef struct {
    int32_t multiplier;
    uint32_t left, right; // shifts before and behind it
    int32_t half, negative; // to add before the second one: always, and to what is negative
} rnnp_twice_t;

RNNP_INLINE rnnp_twice_t rnnp_twice(int32_t multiplier, int32_t exponent) {
    uint32_t left = exponent > 0 ? (uint32_t)exponent : 0, right = left - (uint32_t)exponent;
    return (rnnp_twice_t){ multiplier, left + 1, right, right > 0 ? 1 << (right - 1) : 0, right > 0 ? -1 : 0 };
}

// v fits int32 when it is shifted to the left by 1 and, if the exponent is above 0, by it.
RNNP_INLINE int32_t rnnp_round_twice(const rnnp_twice_t *twice, int32_t v) {
    int32_t y;
    v = (int32_t)((uint32_t)v << twice->left);
#if RNNP_ARMV7EM
    __asm__("smmlar %0, %1, %2, %3" : "=r"(y) : "r"(v), "r"(twice->multiplier), "r"(twice->half));
#else
    y = rnnp_scale(v, twice->multiplier) + twice->half;
#endif
    return (y + (v >> 31 & twice->negative)) >> twice->right;
}

// n rounded up to a multiple of a power of two.
static inline uint32_t rnnp_align(uint32_t n, uint32_t multiple) {
    return (n + multiple - 1) & ~(multiple - 1);
}

// The mean of `count` values from their sum, halves away from 0, towards which C divides.
static inline int32_t rnnp_mean(int32_t sum, int32_t count) {
    return (sum + (sum < 0 ? -(count / 2) : count / 2)) / count;
}

// Floor of a / b for b > 0.
static inline int32_t rnnp_floor_div(int32_t a, int32_t b) {
    int32_t q = a / b;
    return q * b > a ? q - 1 : q;
}

#endif // RNNP_NUMERIC_H
