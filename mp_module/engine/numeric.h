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

// n rounded up to a multiple of a power of two.
static inline uint32_t rnnp_align(uint32_t n, uint32_t multiple) {
    return (n + multiple - 1) & ~(multiple - 1);
}

// Floor of a / b for b > 0.
static inline int32_t rnnp_floor_div(int32_t a, int32_t b) {
    int32_t q = a / b;
    return q * b > a ? q - 1 : q;
}

#endif // RNNP_NUMERIC_H
