// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the kernels for Armv7E-M (Cortex-M4F, M7) share.
#ifndef RNNP_ARCH_ARMV7EM_H
#define RNNP_ARCH_ARMV7EM_H

#include "../kernels.h"

#if RNNP_ARMV7EM

#include <arm_acle.h>

// Four bytes, or two halfwords, as one word.
static inline uint32_t rnnp_load(const void *at) {
    uint32_t word;
    __builtin_memcpy(&word, at, sizeof(word));
    return word;
}

static inline void rnnp_store(void *at, uint32_t word) {
    __builtin_memcpy(at, &word, sizeof(word));
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

#endif

#endif // RNNP_ARCH_ARMV7EM_H
