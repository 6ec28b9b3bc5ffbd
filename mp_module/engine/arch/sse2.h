// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Four lanes or pixels side by side on x86 with SSE2, which any x86-64 has: the inner loops of portable*.c there. For
// computers on which models are made and tested; results are those of plain C.
#ifndef RNNP_ARCH_SSE2_H
#define RNNP_ARCH_SSE2_H

#if defined(__SSE2__) && !defined(RNNP_NO_DSP)
#define RNNP_SSE2 (1)

#include <emmintrin.h>
#include <stdint.h>

static inline __m128i rnnp_load8(const void *at) {
    return _mm_loadu_si128((const __m128i *)at);
}

// Adds the products of four pairs of weights with four pairs of each lane; `x` has the lanes of a pair side by side.
static inline __m128i rnnp_four_pairs(__m128i sum, __m128i weights, const void *x) {
    const __m128i *lanes = (const __m128i *)x;
    sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_loadu_si128(lanes), _mm_shuffle_epi32(weights, 0x00)));
    sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_loadu_si128(lanes + 1), _mm_shuffle_epi32(weights, 0x55)));
    sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_loadu_si128(lanes + 2), _mm_shuffle_epi32(weights, 0xaa)));
    return _mm_add_epi32(sum, _mm_madd_epi16(_mm_loadu_si128(lanes + 3), _mm_shuffle_epi32(weights, 0xff)));
}

// Likewise of one pair, two int16.
static inline __m128i rnnp_one_pair(__m128i sum, const int16_t *weights, uint32_t count, const void *x) {
    uint32_t pair = (uint16_t)weights[0] | (count > 1 ? (uint32_t)(uint16_t)weights[1] << 16 : 0);
    return _mm_add_epi32(sum, _mm_madd_epi16(rnnp_load8(x), _mm_set1_epi32((int32_t)pair)));
}

// `columns` int16 weights times the lanes of a tile (kernels.h). Of an odd number of columns the last pair has one.
static inline __m128i rnnp_times_tile(const int16_t *weight, const int16_t *tile, uint32_t columns) {
    __m128i sum = _mm_setzero_si128();
    for (; columns >= 8; columns -= 8, weight += 8, tile += 32) {
        sum = rnnp_four_pairs(sum, rnnp_load8(weight), tile);
    }
    for (; columns > 0; columns -= columns > 1 ? 2 : 1, weight += 2, tile += 8) {
        sum = rnnp_one_pair(sum, weight, columns, tile);
    }
    return sum;
}

// Elements i and i + 1 of the lanes, as in a tile, from sums of both: shifted and saturated.
static inline __m128i rnnp_pack_pairs(__m128i first, __m128i second, uint32_t right) {
    __m128i count = _mm_cvtsi32_si128((int32_t)right);
    __m128i both = _mm_packs_epi32(_mm_sra_epi32(first, count), _mm_sra_epi32(second, count));
    return _mm_unpacklo_epi16(both, _mm_srli_si128(both, 8));
}

#else
#define RNNP_SSE2 (0)
#endif

#endif // RNNP_ARCH_SSE2_H
