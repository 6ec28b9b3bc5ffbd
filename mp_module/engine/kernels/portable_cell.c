// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The recurrent cell in plain C (kernels.h), a row of a matrix and all lanes at a time.
#include "kernels.h"

#include "../arch/sse2.h"
#include "../numeric.h"
#include "tables.h"

#include <string.h>

#if RNNP_ARMV7EM && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("Os", "no-tree-loop-optimize") // for shapes only that arch/ is not made for
#elif defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") // few values are to be alive at a time
#endif

#if !RNNP_ARMV7EM
void rnnp_kernel_cell_pack(const rnnp_cell_t *cell) {
    (void)cell; // the blob is fine
}

void rnnp_kernel_cell_table(uint32_t *table) {
    (void)table; // as are the functions' own
}
#endif

// Before a loop over the lanes: no loop is left of it, where it is the machine's kernel.
#if RNNP_ARMV7EM
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif

// Vectors of all lanes, widened: the lanes of element 0, those of element 1, ...
#define MAX_WIDE (RNNP_MAX_HIDDEN)

static void widen(const int16_t *tile, uint32_t elements, int32_t *wide) {
    for (uint32_t i = 0; i < elements; i++, wide += RNNP_LANES) {
        UNROLL
        for (uint32_t lane = 0; lane < RNNP_LANES; lane++) {
            wide[lane] = tile[2 * lane];
        }
        tile += i % 2 != 0 ? 2 * RNNP_LANES - 1 : 1;
    }
}

// Sums of products of `columns` weights with each lane.
static inline void multiply(const int16_t *weight, const int32_t *wide, uint32_t columns, int32_t *sums) {
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    if (columns % 2 != 0) {
        int32_t w = *weight++;
        sum0 = w * wide[0];
        sum1 = w * wide[1];
        sum2 = w * wide[2];
        sum3 = w * wide[3];
        wide += RNNP_LANES;
    }
    for (const int16_t *end = weight + (columns & ~1u); weight != end; weight += 2, wide += 2 * RNNP_LANES) {
        int32_t v = weight[0], w = weight[1];
        sum0 += v * wide[0];
        sum1 += v * wide[1];
        sum2 += v * wide[2];
        sum3 += v * wide[3];
        sum0 += w * wide[4];
        sum1 += w * wide[5];
        sum2 += w * wide[6];
        sum3 += w * wide[7];
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

void rnnp_kernel_cell_store_c(const int16_t *tile, uint32_t elements, uint32_t count, int8_t *out, uint32_t step) {
    for (uint32_t lane = 0; lane < count; lane++, out += step, tile += 2) {
        for (uint32_t i = 0; i < elements; i++) {
            out[i] = rnnp_sat8((tile[i / 2 * 2 * RNNP_LANES + i % 2] + 128) >> 8);
        }
    }
}

#if !RNNP_ARMV7EM
void rnnp_kernel_cell_round(int16_t *tile, uint32_t values) {
    for (uint32_t i = 0; i < values; i++) {
        tile[i] = (int16_t)(rnnp_sat8((tile[i] + 128) >> 8) * 256);
    }
}
#endif

// From element i of a map to the next one: that of the same pair, or the next pair.
static inline uint32_t next_element(uint32_t i, uint32_t pitch) {
    return i % 2 != 0 ? 2 * pitch - 1 : 1;
}

#if RNNP_SSE2

// Products of a tile.
static void put_products(const rnnp_cell_t *cell, const int16_t *tile, int16_t *wx, uint32_t pitch) {
    uint32_t hidden = cell->hidden, columns = cell->inputs;
    const int16_t *weight = cell->w;
    for (uint32_t i = 0; i < hidden; i += 2, wx += 2 * pitch, weight += 2 * columns) {
        __m128i first = rnnp_times_tile(weight, tile, columns), second = first;
        if (i + 1 < hidden) {
            second = rnnp_times_tile(weight + columns, tile, columns);
        }
        _mm_storeu_si128((__m128i *)wx, rnnp_pack_pairs(first, second, cell->shift_w));
    }
}

typedef int16_t tile_t; // of vectors whose products are wanted

static inline tile_t *tile_at(tile_t *tile, uint32_t i, uint32_t lane) {
    return tile + i / 2 * 2 * RNNP_LANES + i % 2 + 2 * lane;
}

void rnnp_kernel_cell_input_c(
    const rnnp_cell_t *cell, const int16_t *tile, uint32_t count, int16_t *wx, uint32_t pitch) {
    (void)count;
    put_products(cell, tile, wx, pitch);
}

#else

// Products of widened vectors.
static void put_products(const rnnp_cell_t *cell, const int32_t *wide, int16_t *wx, uint32_t pitch) {
    uint32_t hidden = cell->hidden, columns = cell->inputs, right = cell->shift_w;
    const int16_t *weight = cell->w;
    for (uint32_t i = 0; i < hidden; i++, weight += columns) {
        int32_t sums[RNNP_LANES];
        multiply(weight, wide, columns, sums);
        UNROLL
        for (uint32_t lane = 0; lane < RNNP_LANES; lane++) {
            wx[2 * lane] = rnnp_sat16(sums[lane] >> right);
        }
        wx += next_element(i, pitch);
    }
}

typedef int32_t tile_t; // of vectors whose products are wanted

static inline tile_t *tile_at(tile_t *tile, uint32_t i, uint32_t lane) {
    return tile + i * RNNP_LANES + lane;
}

void rnnp_kernel_cell_input_c(
    const rnnp_cell_t *cell, const int16_t *tile, uint32_t count, int16_t *wx, uint32_t pitch) {
    int32_t wide[MAX_WIDE * RNNP_LANES];
    (void)count;
    widen(tile, cell->inputs, wide);
    put_products(cell, wide, wx, pitch);
}

#endif

// One lane, of more inputs than are widened.
static void many_inputs(const rnnp_cell_t *cell, const int8_t *x, int32_t zero_point, int16_t *wx, uint32_t pitch) {
    const int16_t *weight = cell->w;
    for (uint32_t i = 0; i < cell->hidden; i++) {
        int32_t sum = 0;
        for (uint32_t k = 0; k < cell->inputs; k++) {
            sum += *weight++ * (x[k] - zero_point);
        }
        *wx = rnnp_sat16(sum >> cell->shift_w);
        wx += next_element(i, pitch);
    }
}

static void input8(const rnnp_cell_t *cell, const int8_t *x, uint32_t step, uint32_t count, int8_t zero_point,
    int16_t *wx, uint32_t pitch) {
    tile_t tile[MAX_WIDE * RNNP_LANES];
    bool many = RNNP_ARMV7EM || cell->inputs > MAX_WIDE; // where arch/ has the rest, all
    for (uint32_t lane = 0; lane < RNNP_LANES; lane++) {
        if (many) {
            many_inputs(cell, x, zero_point, wx + 2 * lane, pitch);
        } else {
            for (uint32_t i = 0; i < cell->inputs; i++) {
                *tile_at(tile, i, lane) = (tile_t)(x[i] - zero_point);
            }
        }
        x += lane + 1 < count ? step : 0; // behind the last lane the last one again
    }
    if (!many) {
        put_products(cell, tile, wx, pitch);
    }
}

void rnnp_kernel_cell_input8_c(const rnnp_cell_t *cell, const int8_t *const *x, uint32_t tiles, uint32_t step,
    uint32_t count, int8_t zero_point, int16_t *wx, uint32_t next, uint32_t pitch) {
    for (uint32_t i = 0; i < tiles; i++, wx += next) {
        input8(cell, x[i], step, count, zero_point, wx, pitch);
    }
}

// The weight of g in the new state is 1 - z, and nothing can saturate.
static inline bool is_unweighted(const rnnp_cell_t *cell) {
    return cell->zeta == 32768 && cell->nu == 0;
}

// The element-wise half of a step: the new state from the old one and the pre-activation p.
static inline int16_t update(
    const rnnp_cell_t *cell, int32_t p, int32_t bz, int32_t bh, int32_t h, bool smooth, bool unweighted) {
    int32_t z, g; // Q13
    if (smooth) {
        z = rnnp_sigmoid15(rnnp_sat16(p + bz)) >> 2;
        g = rnnp_tanh15(rnnp_sat16(p + bh)) >> 2;
    } else {
        z = (int32_t)RNNP_UNSIGNED((p + bz) >> 1, 13);
        g = RNNP_SIGNED(p + bh, 14);
    }
    int32_t weight = (8191 - z) * 4; // 1 - z in Q15
    if (unweighted) {
        return (int16_t)((z * h + weight * g) >> 13);
    }
    weight = rnnp_satu15(((weight * cell->zeta) >> 15) + cell->nu);
    return rnnp_sat16((z * h + weight * g) >> 13);
}

#if RNNP_SSE2

static inline __m128i clamp16(__m128i v, int16_t low, int16_t high) {
    return _mm_max_epi16(_mm_min_epi16(v, _mm_set1_epi16(high)), _mm_set1_epi16(low));
}

// Of two int16, in each half of all words.
static inline __m128i set_pair(const int16_t *values, uint32_t i, uint32_t count) {
    uint32_t low = (uint16_t)values[i], high = i + 1 < count ? (uint16_t)values[i + 1] : 0;
    return _mm_set1_epi32((int32_t)(low | high << 16));
}

// The new states of a pair of elements, hard, from its pre-activations and old states.
static inline __m128i update_pair(const rnnp_cell_t *cell, __m128i p, __m128i bz, __m128i bh, __m128i h) {
    __m128i halves = _mm_srai_epi16(_mm_xor_si128(p, bz), 1); // of the sum, whose carry may not fit
    __m128i z = clamp16(_mm_add_epi16(_mm_and_si128(p, bz), halves), 0, 8191);
    __m128i g = clamp16(_mm_adds_epi16(p, bh), -8192, 8191);
    __m128i keep = _mm_slli_epi16(_mm_sub_epi16(_mm_set1_epi16(8191), z), 2); // 1 - z in Q15
    __m128i zeta = _mm_set1_epi16((int16_t)cell->zeta), nu = _mm_set1_epi16((int16_t)cell->nu);
    __m128i weight = _mm_or_si128(_mm_slli_epi16(_mm_mulhi_epu16(keep, zeta), 1), // keep * zeta / 2^15
        _mm_srli_epi16(_mm_mullo_epi16(keep, zeta), 15));
    weight = _mm_adds_epi16(weight, nu);
    __m128i low = _mm_madd_epi16(_mm_unpacklo_epi16(z, weight), _mm_unpacklo_epi16(h, g));
    __m128i high = _mm_madd_epi16(_mm_unpackhi_epi16(z, weight), _mm_unpackhi_epi16(h, g));
    return _mm_packs_epi32(_mm_srai_epi32(low, 13), _mm_srai_epi32(high, 13));
}

// A step of a cell with hard non-linearities: `known` elements of the old states are not 0.
static void hard_step(const rnnp_cell_t *cell, const int16_t *wx, uint32_t pitch, uint32_t known, int16_t *h) {
    int16_t old[RNNP_TILE_VALUES(RNNP_MAX_HIDDEN)];
    uint32_t hidden = cell->hidden;
    const int16_t *u = cell->u, *state = old;
    memcpy(old, h, RNNP_TILE_VALUES(hidden) * sizeof(*h));
    for (uint32_t i = 0; i < hidden; i += 2, u += 2 * hidden) {
        __m128i first = rnnp_times_tile(u, old, known), second = first;
        if (i + 1 < hidden) {
            second = rnnp_times_tile(u + hidden, old, known);
        }
        __m128i p = _mm_adds_epi16(rnnp_load8(wx), rnnp_pack_pairs(first, second, cell->shift_u));
        __m128i bz = set_pair(cell->bz, i, hidden), bh = set_pair(cell->bh, i, hidden);
        _mm_storeu_si128((__m128i *)h, update_pair(cell, p, bz, bh, rnnp_load8(state)));
        wx += 2 * pitch;
        h += 2 * RNNP_LANES;
        state += 2 * RNNP_LANES;
    }
}

#endif

void rnnp_kernel_cell_sweep_c(const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps, uint32_t pitch,
    uint32_t count, int16_t *h, bool tiles, bool resume) {
    bool usual = !RNNP_ARMV7EM && is_unweighted(cell) && !cell->smooth;
    uint32_t hidden = cell->hidden, values = RNNP_TILE_VALUES(hidden), shift = cell->shift_u;
    (void)count;
    if (!resume) {
        memset(h, 0, values * (tiles ? steps : 1) * sizeof(*h));
    }
    for (uint32_t t = 0; t < steps; t++) {
        uint32_t known = resume || (t > 0 && !tiles) ? hidden : 0; // U times the initial state, 0, is left out
#if RNNP_SSE2
        if (!cell->smooth) {
            hard_step(cell, wx[t], pitch, known, h);
            h += tiles ? values : 0;
            continue;
        }
#endif
        int32_t old[MAX_WIDE * RNNP_LANES];
        const int32_t *state = old;
        const int16_t *u = cell->u, *bz = cell->bz, *bh = cell->bh, *products = wx[t];
        int16_t *to = h;
        widen(h, hidden, old);
        for (uint32_t i = 0; i < hidden; i++, u += hidden, state += RNNP_LANES) {
            int32_t sums[RNNP_LANES], z = *bz++, g = *bh++;
            multiply(u, old, known, sums);
            if (usual) {
                UNROLL
                for (uint32_t lane = 0; lane < RNNP_LANES; lane++) {
                    int32_t p = RNNP_SIGNED(products[2 * lane] + RNNP_SIGNED(sums[lane] >> shift, 16), 16);
                    to[2 * lane] = update(cell, p, z, g, state[lane], false, true);
                }
            } else {
                for (uint32_t lane = 0; lane < RNNP_LANES; lane++) {
                    int32_t p = RNNP_SIGNED(products[2 * lane] + RNNP_SIGNED(sums[lane] >> shift, 16), 16);
                    to[2 * lane] = update(cell, p, z, g, state[lane], cell->smooth, false);
                }
            }
            products += next_element(i, pitch);
            to += next_element(i, RNNP_LANES);
        }
        h += tiles ? values : 0;
    }
}
