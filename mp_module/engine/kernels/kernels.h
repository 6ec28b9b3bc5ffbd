// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The inner loops: everything that is worth writing again for a machine. portable.c has them in plain C, which is
// also the reference that any other version must equal bit for bit. arch/ has the others; the compiler's target chooses
// (RNNP_NO_DSP: plain C all the same).
//
// Kernels work on rows or runs of pixels, keep nothing, and touch only what their arguments name. Activations are int8,
// channels innermost (pixel x of a row with C channels is at row + x * C). The loader has checked the parameters:
// sums stay within int32, multipliers are 0..2^31 - 1, clamps are in order. Arithmetic: docs/arithmetic.md.
#ifndef RNNP_KERNELS_H
#define RNNP_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../numeric.h"
#include "../blob/record.h"
#include "../left_out.h"

// From accumulators to int8, in one of three ways: zero_point + (((acc << shift) * multiplier + 2^31) >> 32), clamped, or,
// of CONV and DEPTHWISE, with fine biases, or rounded twice (docs/arithmetic.md, section 2).
typedef struct {
    const int32_t *bias; // one a channel
    const int32_t *multiplier;
    int8_t zero_point;
    int8_t min, max;
    uint8_t shift; // of the accumulator, to the left; 0 but in convolutions that are rounded once
    bool fine; // biases have RNNP_FINE_BITS fraction bits
    bool wide; // of dense layers: sums need more than 24 bits (flag WIDE)
    const int8_t *exponent; // of the multipliers, which are rounded twice; else NULL
} rnnp_requantize_t;

// Its shift, whether biases are fine, and its exponents, where there is code for them.
static inline uint32_t rnnp_shift(const rnnp_requantize_t *r) {
    return RNNP_WITH_SHIFT ? r->shift : 0;
}

static inline bool rnnp_fine(const rnnp_requantize_t *r) {
    return RNNP_WITH_FINE && r->fine;
}

static inline const int8_t *rnnp_exponents(const rnnp_requantize_t *r) {
    return RNNP_WITH_TFLITE ? r->exponent : NULL;
}

// Whether a value is rounded once, from a sum that begins with its bias.
static inline bool rnnp_once(const rnnp_requantize_t *r) {
    return !rnnp_fine(r) && rnnp_exponents(r) == NULL;
}

// The same of one value whose bias is not yet added, for the two other ways. Slow.
int8_t rnnp_requantize(const rnnp_requantize_t *requantize, int32_t sum, uint32_t channel);

// Bytes of scratch memory, at an address divisible by 4, that a kernel with dense weights may use: RNNP_TILE pixels,
// widened to int16.
#define RNNP_TILE (4)
static inline uint32_t rnnp_tile_bytes(uint32_t inputs) {
    return rnnp_align(inputs, RNNP_WEIGHT_BLOCK) * RNNP_TILE * (uint32_t)sizeof(int16_t);
}

// A convolution of one output row.
typedef struct {
    const int8_t *weight; // dense; inputs are [kernel_h][kernel_w][in_channels]
    uint16_t in_width, in_channels;
    uint16_t out_width, out_channels;
    uint8_t kernel_h, kernel_w;
    uint8_t stride, left; // along the row: stride, columns of padding before the first
    int8_t pad; // value of pixels outside of the input
    rnnp_requantize_t requantize; // heads: bias and multiplier alone are used
    // Scratch: rnnp_tile_bytes(kernel_h * kernel_w * in_channels), then in_channels rounded up to 4, then
    // rnnp_conv_addresses(kernel_h) or, if there is padding, rnnp_conv_addresses(kernel_h * kernel_w).
    void *tile;
} rnnp_conv_t;

// Bytes for the addresses of runs of pixels, if they are more than the stack has room for.
#define RNNP_CONV_RUNS (9)
static inline uint32_t rnnp_conv_addresses(uint32_t runs) {
    return runs > RNNP_CONV_RUNS ? runs * RNNP_TILE * 4 : 0;
}

// One output row.
//   rows  the kernel_h input rows, top to bottom; NULL where a row is outside of the input
//   out   out_width * out_channels values
void rnnp_kernel_conv(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out);

// The same to int16: sat16((acc * multiplier + 2^23) >> 24).
void rnnp_kernel_head(const rnnp_conv_t *conv, const int8_t *const *rows, int16_t *out);

// A 1x1 convolution over a run of pixels, with a second, one-tap input if `residual` is not NULL.
//
// Either side may be *planar*, a row of pixels a channel, instead of a pixel after the other: its pitch is the distance
// in bytes from a channel's row to the next one's, a multiple of 4 (0: not planar).
typedef struct {
    const int8_t *weight; // dense
    const int32_t *residual; // [out_channels], -32767..32767, or NULL: always, if not rounded once without a shift
    uint16_t in_channels, out_channels;
    uint16_t in_pitch, out_pitch;
    uint8_t stride; // of a planar input: 1 or 2
    rnnp_requantize_t requantize;
    void *tile; // scratch: rnnp_tile_bytes(in_channels)
} rnnp_pointwise_t;

//   in    the first pixel. Planar: rows have 4 * stride readable bytes, of any value, past their last pixel
//   skip  pixels * out_channels values that `residual` weighs; unused without it
//   out   the first pixel; must not overlap the inputs
void rnnp_kernel_pointwise(
    const rnnp_pointwise_t *pointwise, const int8_t *in, const int8_t *skip, uint32_t pixels, int8_t *out);

// A depthwise 3x3 convolution of a row. Input and output are planar; the input is padded already.
typedef struct {
    const int8_t *weight; // [channels][3][4] (RNNP_DEPTHWISE_RECORD), the last of each 4 is unused
    uint16_t channels;
    uint16_t pitch; // at least out_width * stride + 5
    uint8_t stride; // 1 or 2, along the row
    rnnp_requantize_t requantize;
} rnnp_depthwise_t;

// Output x of a channel covers columns x * stride .. x * stride + 2 and takes the place of column x * stride in rows[0];
// what is in rows[0] between and behind the outputs may change.
//   rows  three rows, channels * pitch bytes each, at addresses divisible by 4
void rnnp_kernel_depthwise(const rnnp_depthwise_t *depthwise, int8_t *const *rows, uint32_t out_width);

// A depthwise convolution of any window, at one output pixel.
typedef struct {
    const int8_t *weight; // [taps][channels]
    uint32_t channels, taps;
    rnnp_requantize_t requantize;
} rnnp_filter_t;

//   in    what `taps` counts from
//   taps  where the pixels of the window begin, those of padding included
//   out   `channels` values
void rnnp_kernel_filter(const rnnp_filter_t *filter, const int8_t *in, const uint32_t *taps, int8_t *out);

#if RNNP_ARMV7EM
// A row of a depthwise 3x3 convolution; shift 0, not rounded twice.
typedef struct {
    const int8_t *weight; // [3][3][channels]
    uint16_t channels; // a multiple of 4
    uint16_t in_width, out_width; // at least 2; at most one column of padding on the right
    uint8_t stride, left; // along the row: 1 or 2; 0 or 1 column of padding on the left
    int8_t pad; // value of pixels outside of the input
    rnnp_requantize_t requantize;
} rnnp_filter3x3_t;

//   rows  three; NULL where a row is outside of the input, not all
//   out   out_width * channels values
// Returns whether it was made: not, if biases are neither fine nor small.
bool rnnp_kernel_filter3x3(const rnnp_filter3x3_t *filter, const int8_t *const *rows, int8_t *out);
#endif

// ---- The recurrent cell ----
//
// Vectors are handled RNNP_LANES at a time. In a *tile* of int16 vectors, and in a map of products W v, elements 2 i and
// 2 i + 1 of a vector (a *pair*) stand together, beside the same pair of the next lane's vector: pair i of lane l is at
// (i * pitch + l) * 2, where a tile's pitch is RNNP_LANES. Of an odd number of elements the last pair has one. Lanes from
// `count` (1..RNNP_LANES) on may hold anything, may be written, and have no influence on the others.

#define RNNP_LANES (4u)

// Values of a tile.
#define RNNP_TILE_VALUES(elements) (((elements) + 1u) / 2u * 2u * RNNP_LANES)

// One FastGRNN cell.
typedef struct {
    const int16_t *w; // [hidden][inputs]
    const int16_t *u; // [hidden][hidden]
    const int16_t *bz, *bh; // [hidden]
    uint16_t inputs; // 1..2048
    uint16_t hidden; // 1..RNNP_MAX_HIDDEN
    uint8_t shift_w, shift_u; // 0..24
    uint16_t zeta, nu; // Q15, 0..32768 and 0..32767
    bool smooth; // sigmoid and tanh; else the hard non-linearities
    uint32_t *packed; // set before any other use: memory for rnnp_kernel_cell_pack
    uint32_t *table; // if smooth: memory for rnnp_kernel_cell_table, which cells may share
} rnnp_cell_t;

// Words of memory for rnnp_kernel_cell_pack: the same for all machines.
#define RNNP_CELL_WORDS(inputs, hidden) \
    (1u + ((hidden) + 1u) / 2u * (((inputs) <= 16 ? (inputs) : 0u) + ((hidden) <= 16 ? (hidden) : 0u) + 2u))

// Copies the weights to cell->packed as this machine's kernels like them best, in memory that is faster than a blob's.
void rnnp_kernel_cell_pack(const rnnp_cell_t *cell);

// Fills a table of the smooth non-linearities as this machine's kernels like it best. Words of it: the same for all machines.
#define RNNP_CELL_TABLE_WORDS (384u)
void rnnp_kernel_cell_table(uint32_t *table);

// Products W v: sat16((sum_k w[i][k] * v[k]) >> shift_w).
//   tile   the vectors
//   wx     of lane 0, as above; must not overlap the tile
void rnnp_kernel_cell_input(const rnnp_cell_t *cell, const int16_t *tile, uint32_t count, int16_t *wx, uint32_t pitch);

// The same for tiles of int8 vectors, v = x - zero_point.
//   x      of lane 0 of each tile; the next lane's is `step` bytes further
//   next   from the products of a tile to those of the next one, in values
void rnnp_kernel_cell_input8(const rnnp_cell_t *cell, const int8_t *const *x, uint32_t tiles, uint32_t step,
    uint32_t count, int8_t zero_point, int16_t *wx, uint32_t next, uint32_t pitch);

// Steps of the cell: of one tile, a sweep; or one of each of some tiles.
//   wx      for each step the products W v of lane 0 on
//   steps   1..RNNP_MAX_PATCH
//   h       a tile for the states, Q15; must not overlap wx
//   tiles   each step has a tile of its own, one behind the other
//   resume  from the states in h; else from the initial one. Neither without BY_STEP (left_out.h)
void rnnp_kernel_cell_sweep(const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps, uint32_t pitch,
    uint32_t count, int16_t *h, bool tiles, bool resume);

// Last states as int8: sat8((h + 128) >> 8).
//   out  of lane 0; the next lane's is `step` bytes further
void rnnp_kernel_cell_store(const int16_t *tile, uint32_t elements, uint32_t count, int8_t *out, uint32_t step);

// States as what is left of them as int8, 256 sat8((h + 128) >> 8), in their place.
//   values  of the tile
void rnnp_kernel_cell_round(int16_t *tile, uint32_t values);

// The twins in plain C of the kernels that arch/ has, for shapes that those are not made for; without arch/ they are the
// kernels themselves.
#if RNNP_ARMV7EM
__typeof__(rnnp_kernel_head) rnnp_kernel_head_c;
__typeof__(rnnp_kernel_conv) rnnp_kernel_conv_c;
__typeof__(rnnp_kernel_pointwise) rnnp_kernel_pointwise_c;
__typeof__(rnnp_kernel_depthwise) rnnp_kernel_depthwise_c;
__typeof__(rnnp_kernel_filter) rnnp_kernel_filter_c;
__typeof__(rnnp_kernel_cell_input8) rnnp_kernel_cell_input8_c;
__typeof__(rnnp_kernel_cell_store) rnnp_kernel_cell_store_c;
__typeof__(rnnp_kernel_cell_input) rnnp_kernel_cell_input_c;
__typeof__(rnnp_kernel_cell_sweep) rnnp_kernel_cell_sweep_c;
#else
#define rnnp_kernel_head_c rnnp_kernel_head
#define rnnp_kernel_conv_c rnnp_kernel_conv
#define rnnp_kernel_pointwise_c rnnp_kernel_pointwise
#define rnnp_kernel_depthwise_c rnnp_kernel_depthwise
#define rnnp_kernel_filter_c rnnp_kernel_filter
#define rnnp_kernel_cell_input8_c rnnp_kernel_cell_input8
#define rnnp_kernel_cell_store_c rnnp_kernel_cell_store
#define rnnp_kernel_cell_input_c rnnp_kernel_cell_input
#define rnnp_kernel_cell_sweep_c rnnp_kernel_cell_sweep
#endif

#endif // RNNP_KERNELS_H
