// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The kernels of convolutions in plain C (kernels.h), the reference of all others, for cores that multiply 32-bit words.
//
// Dense layers do two multiply-adds with one multiplication: two pixels are packed into a word, x0 + 2^16 x1, once for all
// outputs. A weight times that word is w x0 + 2^16 w x1. The products of two inputs are added before the halves are taken
// apart: w x0 + v y0 is -32512 .. 32768, so that with LIFT neither half is negative nor longer than 16 bits. The lower
// halves need not be taken at all: they are what is left of the sum of all words, modulo 2^32, without the upper ones.
#include "kernels.h"

#include "../arch/sse2.h"
#include "../numeric.h"

#include <string.h>

// Sums are to stay grouped as they are written: then each multiplication adds to one.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-reassoc", "no-schedule-insns") // and few values are to be alive at a time
#endif

#if !RNNP_ARMV7EM || defined(RNNP_TWINS) // arch/ has all of these for any shape

#define LIFT (32512u * 0x10001u)

// What requantizing needs beside bias and multiplier, where the compiler knows that no output is written over it.
typedef struct {
    int32_t zero_point, min; // the former less min
    uint32_t range, shift;
} output_t;

static inline output_t get_output(const rnnp_requantize_t *r) {
    return (output_t){ r->zero_point - r->min, r->min, (uint32_t)(r->max - r->min), rnnp_shift(r) };
}

static inline int8_t requantize(const output_t *o, int32_t acc, int32_t multiplier) {
    int32_t y = o->zero_point + rnnp_scale((int32_t)((uint32_t)acc << o->shift), multiplier);
    if ((uint32_t)y > o->range) {
        y = y < 0 ? 0 : (int32_t)o->range;
    }
    return (int8_t)(y + o->min);
}

// ------------------------------------------------------------------------------------------------ dense layers
//
// RNNP_TILE pixels at a time, of which the last may be the same one again. In the tile inputs are behind each other, each
// two words: pixels 0 and 1, 2 and 3. (With SSE2: arch/sse2.h.)

#if RNNP_SSE2

// Inputs 2 i and 2 i + 1 of the pixels are side by side, as pairs of int16.
static inline void put_input(int16_t *x, uint32_t i, int32_t a, int32_t b, int32_t c, int32_t d) {
    int16_t *to = x + i / 2 * 8 + i % 2;
    to[0] = (int16_t)a;
    to[2] = (int16_t)b;
    to[4] = (int16_t)c;
    to[6] = (int16_t)d;
}

#else

static inline uint32_t pack(int32_t low, int32_t high) {
    return (uint32_t)low + ((uint32_t)high << 16);
}

static inline void put_input(uint32_t *x, uint32_t i, int32_t a, int32_t b, int32_t c, int32_t d) {
    x[2 * i] = pack(a, b);
    x[2 * i + 1] = pack(c, d);
}

#endif

// `count` inputs (at least one) of four pixels, side by side, as those from `first` on of the tile.
static void widen(const int8_t *const *in, uint32_t first, uint32_t count, void *x) {
    const int8_t *a = in[0], *b = in[1], *c = in[2], *d = in[3];
    for (uint32_t end = first + count; first < end; first++) {
        put_input(x, first, *a++, *b++, *c++, *d++);
    }
}

// Pixel p of the tile that starts at the first of `count` more pixels.
static inline uint32_t pixel_of(uint32_t p, uint32_t count) {
    return rnnp_min_u32(p, count - 1);
}

// A dense layer's tile.
typedef struct {
    const uint32_t *x, *end; // inputs: a multiple of four (or eight), which the gaps in the weights allow
    uint32_t lift; // what the sum of all lower, or upper, halves is too large by
    uint32_t next_four; // bytes of the weights of four outputs
} dense_t;

static dense_t get_dense(uint32_t inputs, const void *tile) {
    uint32_t whole = rnnp_align(inputs, RNNP_SSE2 ? 8 : 4);
    return (
        dense_t){ tile, (const uint32_t *)tile + 2 * whole, whole / 2 * (LIFT >> 16), rnnp_weight_index(inputs, 4) };
}

#if RNNP_SSE2

static inline void multiply(const dense_t *d, const int8_t *weight, uint32_t o, int32_t bias, int32_t *acc) {
    __m128i sum = _mm_set1_epi32(bias), half = _mm_set1_epi16(128);
    const int8_t *from = weight + o / 2 % 2 * 4;
    for (const uint32_t *x = d->x; x < d->end; x += 16, from += 32) {
        __m128i low = _mm_unpacklo_epi32(rnnp_load8(from), rnnp_load8(from + 8));
        __m128i high = _mm_unpacklo_epi32(rnnp_load8(from + 16), rnnp_load8(from + 24));
        __m128i both = _mm_unpacklo_epi64(low, high);
        both = o % 2 != 0 ? _mm_add_epi16(both, half) : _mm_slli_epi16(both, 8);
        sum = rnnp_four_pairs(sum, _mm_srai_epi16(both, 8), x);
    }
    _mm_storeu_si128((__m128i *)acc, sum);
}

#else

// Weight i, in the order of record.h, of an output that is odd, or even.
static inline uint32_t weight_of(const int8_t *weight, uint32_t i, bool odd) {
    const int8_t *at = weight + i / 2 * 8 + i % 2 * 2;
    return (uint32_t)(odd ? (*(const int16_t *)(const void *)at + 128) >> 8 : *at);
}

// The weights of an output times four pixels.
static inline void multiply_with(const dense_t *d, const int8_t *weight, bool odd, int32_t bias, int32_t *acc) {
    uint32_t all01 = 0, all23 = 0, high01 = 0, high23 = 0, lift = LIFT;
    __asm__("" : "+r"(lift)); // in a register, to which a multiplication adds
    for (const uint32_t *x = d->x, *end = d->end; x != end; x += 8, weight += 16) {
        uint32_t v = weight_of(weight, 0, odd), w = weight_of(weight, 1, odd), sum = lift + x[0] * v;
        sum += x[2] * w;
        all01 += sum;
        high01 += sum >> 16;
        sum = lift + x[1] * v;
        sum += x[3] * w;
        all23 += sum;
        high23 += sum >> 16;
        v = weight_of(weight, 2, odd);
        w = weight_of(weight, 3, odd);
        sum = lift + x[4] * v;
        sum += x[6] * w;
        all01 += sum;
        high01 += sum >> 16;
        sum = lift + x[5] * v;
        sum += x[7] * w;
        all23 += sum;
        high23 += sum >> 16;
    }
    acc[0] = bias + (int32_t)(all01 - (high01 << 16) - d->lift);
    acc[1] = bias + (int32_t)(high01 - d->lift);
    acc[2] = bias + (int32_t)(all23 - (high23 << 16) - d->lift);
    acc[3] = bias + (int32_t)(high23 - d->lift);
}

// Those of output o of the four that `weight` is of.
static inline void multiply(const dense_t *d, const int8_t *weight, uint32_t o, int32_t bias, int32_t *acc) {
    weight += o / 2 % 2 * 4;
    if (o % 2 != 0) {
        multiply_with(d, weight, true, bias, acc);
    } else {
        multiply_with(d, weight, false, bias, acc);
    }
}

#endif

// All outputs of a tile.
//   residual  as in rnnp_pointwise_t
//   at        of the pixels, from skip and out on
//   channel   bytes from an output to the next one
static void all_outputs(const dense_t *dense, const int8_t *weight, const rnnp_requantize_t *r, uint32_t outputs,
    const int32_t *residual, const int8_t *skip, const uint32_t *at, uint32_t channel, int8_t *out) {
    const output_t output = get_output(r);
    const int32_t *bias = r->bias, *multiplier = r->multiplier;
    uint32_t at1 = at[1], at2 = at[2], at3 = at[3];
    bool once = rnnp_once(r);
    for (uint32_t o = 0; o < outputs; o++) {
        int32_t acc[RNNP_TILE], m = *multiplier++, b = *bias++;
        multiply(dense, weight, o, once ? b : 0, acc);
        if (residual != NULL) {
            int32_t weight_of_skip = *residual++;
            acc[0] += weight_of_skip * skip[0];
            acc[1] += weight_of_skip * skip[at1];
            acc[2] += weight_of_skip * skip[at2];
            acc[3] += weight_of_skip * skip[at3];
            skip += channel;
        }
        if (once) {
            out[0] = requantize(&output, acc[0], m);
            out[at1] = requantize(&output, acc[1], m);
            out[at2] = requantize(&output, acc[2], m);
            out[at3] = requantize(&output, acc[3], m);
        } else {
            for (uint32_t p = 0; p < RNNP_TILE; p++) {
                out[at[p]] = rnnp_requantize(r, acc[p], o);
            }
        }
        out += channel;
        weight += o % 4 == 3 ? dense->next_four : 0;
    }
}

// What the `count` output pixels from ox on look at, kernel row by kernel row.
static void gather(const rnnp_conv_t *conv, const int8_t *const *rows, uint32_t ox, uint32_t count) {
    uint32_t channels = conv->in_channels, width = conv->kernel_w, done = 0;
    uint32_t taps = (uint32_t)conv->kernel_h * width;
    int8_t *padding = (int8_t *)conv->tile + rnnp_tile_bytes(taps * channels);
    uint32_t left = ox * conv->stride - conv->left; // wraps to a huge number left of the input
    uint32_t end = left + pixel_of(RNNP_TILE - 1, count) * conv->stride + width;
    bool inside = left < conv->in_width && end <= conv->in_width;
    memset(padding, conv->pad, channels);
    for (const int8_t *const *row = rows; row < rows + conv->kernel_h; row++) {
        uint32_t runs = inside && *row != NULL ? 1 : width, run = runs == 1 ? width * channels : channels;
        for (uint32_t k = 0; k < runs; k++) {
            const int8_t *in[RNNP_TILE];
            for (uint32_t p = 0; p < RNNP_TILE; p++) {
                uint32_t column = left + k + pixel_of(p, count) * conv->stride;
                in[p] = *row != NULL && column < conv->in_width ? *row + column * channels : padding;
            }
            widen(in, done, run, conv->tile);
            done += run;
        }
    }
}

static dense_t get_conv(const rnnp_conv_t *conv) {
    return get_dense((uint32_t)conv->kernel_h * conv->kernel_w * conv->in_channels, conv->tile);
}

void rnnp_kernel_conv_c(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out) {
    dense_t dense = get_conv(conv);
    uint32_t outputs = conv->out_channels;
    for (uint32_t ox = 0; ox < conv->out_width; ox += RNNP_TILE, out += RNNP_TILE * outputs) {
        uint32_t count = conv->out_width - ox, at[RNNP_TILE];
        for (uint32_t p = 0; p < RNNP_TILE; p++) {
            at[p] = pixel_of(p, count) * outputs;
        }
        gather(conv, rows, ox, count);
        all_outputs(&dense, conv->weight, &conv->requantize, outputs, NULL, NULL, at, 1, out);
    }
}

void rnnp_kernel_head_c(const rnnp_conv_t *conv, const int8_t *const *rows, int16_t *out) {
    dense_t dense = get_conv(conv);
    uint32_t outputs = conv->out_channels;
    for (uint32_t ox = 0; ox < conv->out_width; ox += RNNP_TILE, out += RNNP_TILE * outputs) {
        uint32_t count = conv->out_width - ox;
        const int8_t *weight = conv->weight;
        gather(conv, rows, ox, count);
        for (uint32_t o = 0; o < outputs; o++) {
            int32_t acc[RNNP_TILE], multiplier = conv->requantize.multiplier[o];
            multiply(&dense, weight, o, conv->requantize.bias[o], acc);
            for (uint32_t p = 0; p < RNNP_TILE && p < count; p++) {
                int64_t y = ((int64_t)acc[p] * multiplier + (1 << 23)) >> 24;
                out[p * outputs + o] = (int16_t)(y < INT16_MIN ? INT16_MIN : y > INT16_MAX ? INT16_MAX : y);
            }
            weight += o % 4 == 3 ? dense.next_four : 0;
        }
    }
}

// `count` pixels of a planar input, a row of pixels a channel.
static void widen_planar(
    const int8_t *in, uint32_t pitch, uint32_t stride, uint32_t channels, uint32_t count, void *x) {
    uint32_t b = pixel_of(1, count) * stride, c = pixel_of(2, count) * stride, d = pixel_of(3, count) * stride;
    for (uint32_t i = 0; i < channels; i++, in += pitch) {
        put_input(x, i, in[0], in[b], in[c], in[d]);
    }
}

void rnnp_kernel_pointwise_c(
    const rnnp_pointwise_t *p, const int8_t *in, const int8_t *skip, uint32_t pixels, int8_t *out) {
    uint32_t channels = p->in_channels, pitch = p->in_pitch;
    uint32_t step = p->out_pitch != 0 ? 1 : p->out_channels, channel = p->out_pitch != 0 ? p->out_pitch : 1;
    uint32_t next = RNNP_TILE * (pitch != 0 ? p->stride : channels);
    dense_t dense = get_dense(channels, p->tile);
    for (uint32_t left = pixels; left != 0; left -= rnnp_min_u32(RNNP_TILE, left), in += next) {
        const int8_t *pixel[RNNP_TILE];
        uint32_t at[RNNP_TILE];
        for (uint32_t i = 0; i < RNNP_TILE; i++) {
            pixel[i] = in + pixel_of(i, left) * channels;
            at[i] = pixel_of(i, left) * step;
        }
        if (pitch != 0) {
            widen_planar(in, pitch, p->stride, channels, left, p->tile);
        } else {
            widen(pixel, 0, channels, p->tile);
        }
        all_outputs(&dense, p->weight, &p->requantize, p->out_channels, p->residual, skip, at, channel, out);
        if (p->residual != NULL) {
            skip += RNNP_TILE * step;
        }
        out += RNNP_TILE * step;
    }
}

// ------------------------------------------------------------------------------------------------ depthwise layers

// A row of the window, at four columns next to each other.
static inline void four_columns(const int8_t *in, const int8_t *weight, int32_t *acc) {
    int32_t u = weight[0], v = weight[1], w = weight[2];
    int32_t x0 = in[0], x1 = in[1], x2 = in[2], x3 = in[3], x4 = in[4], x5 = in[5];
    acc[0] += x0 * u;
    acc[0] += x1 * v;
    acc[0] += x2 * w;
    acc[1] += x1 * u;
    acc[1] += x2 * v;
    acc[1] += x3 * w;
    acc[2] += x2 * u;
    acc[2] += x3 * v;
    acc[2] += x4 * w;
    acc[3] += x3 * u;
    acc[3] += x4 * v;
    acc[3] += x5 * w;
}

// The same at two columns that are two apart.
static inline void two_columns(const int8_t *in, const int8_t *weight, int32_t *acc) {
    int32_t u = weight[0], v = weight[1], w = weight[2], x2 = in[2];
    acc[0] += in[0] * u;
    acc[0] += in[1] * v;
    acc[0] += x2 * w;
    acc[1] += x2 * u;
    acc[1] += in[3] * v;
    acc[1] += in[4] * w;
}

// More columns than asked for may be done: there is room behind a row.
void rnnp_kernel_depthwise_c(const rnnp_depthwise_t *d, int8_t *const *rows, uint32_t out_width) {
    const output_t output = get_output(&d->requantize);
    const int8_t *weight = d->weight, *row1 = rows[1], *row2 = rows[2];
    const int32_t *bias = d->requantize.bias, *multiplier = d->requantize.multiplier;
    int8_t *row0 = rows[0];
    uint32_t pitch = d->pitch, columns = out_width * d->stride;
    bool every_second = d->stride == 2;
    for (const int8_t *last = weight + d->channels * RNNP_DEPTHWISE_RECORD; weight < last;) {
        int32_t b = *bias++, m = *multiplier++;
        for (uint32_t x = 0; x < columns; x += 4) {
            int8_t *to = row0 + x;
            int32_t acc[4] = { b, b, b, b };
            if (every_second) {
                two_columns(to, weight, acc);
                two_columns(row1 + x, weight + 4, acc);
                two_columns(row2 + x, weight + 8, acc);
                to[0] = requantize(&output, acc[0], m);
                to[2] = requantize(&output, acc[1], m);
            } else {
                four_columns(to, weight, acc);
                four_columns(row1 + x, weight + 4, acc);
                four_columns(row2 + x, weight + 8, acc);
                to[0] = requantize(&output, acc[0], m);
                to[1] = requantize(&output, acc[1], m);
                to[2] = requantize(&output, acc[2], m);
                to[3] = requantize(&output, acc[3], m);
            }
        }
        row0 += pitch;
        row1 += pitch;
        row2 += pitch;
        weight += RNNP_DEPTHWISE_RECORD;
    }
}

void rnnp_kernel_filter_c(const rnnp_filter_t *filter, const int8_t *in, const uint32_t *taps, int8_t *out) {
    const rnnp_requantize_t r = filter->requantize; // a copy: out might be part of it for all that the compiler knows
    const output_t output = get_output(&r);
    bool once = rnnp_once(&r);
    const int8_t *weights = filter->weight;
    const uint32_t *end = taps + filter->taps;
    uint32_t channels = filter->channels, c = 0;
    for (; c + 4 <= channels; c += 4, in += 4, weights += 4, out += 4) {
        const int32_t *multiplier = r.multiplier + c;
        int32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
        const int8_t *weight = weights;
        for (const uint32_t *tap = taps; tap < end; tap++, weight += channels) {
            const int8_t *x = in + *tap;
            acc0 += weight[0] * x[0];
            acc1 += weight[1] * x[1];
            acc2 += weight[2] * x[2];
            acc3 += weight[3] * x[3];
        }
        if (once) {
            const int32_t *bias = r.bias + c;
            out[0] = requantize(&output, bias[0] + acc0, multiplier[0]);
            out[1] = requantize(&output, bias[1] + acc1, multiplier[1]);
            out[2] = requantize(&output, bias[2] + acc2, multiplier[2]);
            out[3] = requantize(&output, bias[3] + acc3, multiplier[3]);
        } else {
            out[0] = rnnp_requantize(&r, acc0, c);
            out[1] = rnnp_requantize(&r, acc1, c + 1);
            out[2] = rnnp_requantize(&r, acc2, c + 2);
            out[3] = rnnp_requantize(&r, acc3, c + 3);
        }
    }
    for (; c < channels; c++, in++, weights++) {
        int32_t acc = 0;
        const int8_t *weight = weights;
        for (const uint32_t *tap = taps; tap < end; tap++, weight += channels) {
            acc += *weight * in[*tap];
        }
        *out++ = once ? requantize(&output, r.bias[c] + acc, r.multiplier[c]) : rnnp_requantize(&r, acc, c);
    }
}

#endif
