// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The kernels in plain C (kernels.h): the reference of all others.
#include "kernels.h"

#include "../numeric.h"
#include "tables.h"

#include <string.h>

#if RNNP_ARMV7EM && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("Os") // for shapes only that arch/ is not made for
#endif

#if !RNNP_ARMV7EM || defined(RNNP_TWINS) // arch/ has all of these for any shape

// acc * multiplier / 2^shift, rounded to nearest (halves up).
static int64_t scale(int32_t acc, int32_t multiplier, uint32_t shift) {
    return ((int64_t)acc * multiplier + (INT64_C(1) << (shift - 1))) >> shift;
}

static int8_t requantize(const rnnp_requantize_t *r, uint32_t channel, int32_t acc) {
    int32_t y = r->zero_point + (int32_t)scale(acc * (1 << r->shift), r->multiplier[channel], 32);
    return (int8_t)rnnp_clamp(y, r->min, r->max);
}

void rnnp_kernel_filter_c(const rnnp_filter_t *filter, const int8_t *in, const uint32_t *taps, int8_t *out) {
    for (uint32_t c = 0; c < filter->channels; c++) {
        const int8_t *weight = filter->weight + c;
        int32_t acc = filter->requantize.bias[c];
        for (uint32_t t = 0; t < filter->taps; t++, weight += filter->channels) {
            acc += *weight * in[taps[t] + c];
        }
        out[c] = requantize(&filter->requantize, c, acc);
    }
}

// Weights of one output, which stand two apart.
static int32_t dot8(const int8_t *weight, const int8_t *x, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += weight[2 * i] * x[i];
    }
    return sum;
}

static int32_t sum8(const int8_t *weight, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += weight[2 * i];
    }
    return sum;
}

// Accumulator of output channel o at output column ox.
static int32_t convolve(const rnnp_conv_t *conv, const int8_t *const *rows, uint32_t ox, uint32_t o) {
    uint32_t channels = conv->in_channels;
    const int8_t *weight = conv->weight + rnnp_weight_index((uint32_t)conv->kernel_h * conv->kernel_w * channels, o, 0);
    int32_t acc = conv->requantize.bias[o];
    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < conv->kernel_w; kx++, weight += 2 * channels) {
            int32_t x = (int32_t)(ox * conv->stride + kx) - conv->left;
            if (rows[ky] == NULL || x < 0 || x >= conv->in_width) {
                acc += conv->pad * sum8(weight, channels);
            } else {
                acc += dot8(weight, rows[ky] + (uint32_t)x * channels, channels);
            }
        }
    }
    return acc;
}

void rnnp_kernel_conv_c(const rnnp_conv_t *conv, const int8_t *const *rows, int8_t *out) {
    for (uint32_t ox = 0; ox < conv->out_width; ox++) {
        for (uint32_t o = 0; o < conv->out_channels; o++) {
            *out++ = requantize(&conv->requantize, o, convolve(conv, rows, ox, o));
        }
    }
}

void rnnp_kernel_head_c(const rnnp_conv_t *conv, const int8_t *const *rows, int16_t *out) {
    for (uint32_t ox = 0; ox < conv->out_width; ox++) {
        for (uint32_t o = 0; o < conv->out_channels; o++) {
            int64_t y = scale(convolve(conv, rows, ox, o), conv->requantize.multiplier[o], 24);
            *out++ = (int16_t)(y < INT16_MIN ? INT16_MIN : y > INT16_MAX ? INT16_MAX : y);
        }
    }
}

void rnnp_kernel_pointwise_c(
    const rnnp_pointwise_t *p, const int8_t *in, const int8_t *skip, uint32_t pixels, int8_t *out) {
    uint32_t in_channels = p->in_channels, out_channels = p->out_channels;
    for (uint32_t x = 0; x < pixels; x++) {
        int8_t *planar = p->tile;
        const int8_t *pixel = in + x * in_channels;
        if (p->in_pitch != 0) {
            for (uint32_t i = 0; i < in_channels; i++) {
                planar[i] = in[i * p->in_pitch + x * p->stride];
            }
            pixel = planar;
        }
        for (uint32_t o = 0; o < out_channels; o++) {
            const int8_t *weight = p->weight + rnnp_weight_index(in_channels, o, 0);
            int32_t acc = p->requantize.bias[o] + dot8(weight, pixel, in_channels);
            if (p->residual != NULL) {
                acc += p->residual[o] * skip[x * out_channels + o];
            }
            out[p->out_pitch != 0 ? o * p->out_pitch + x : x * out_channels + o] = requantize(&p->requantize, o, acc);
        }
    }
}

void rnnp_kernel_depthwise_c(const rnnp_depthwise_t *d, int8_t *const *rows, uint32_t out_width) {
    for (uint32_t c = 0; c < d->channels; c++) {
        const int8_t *weight = d->weight + 12 * c;
        for (uint32_t x = 0; x < out_width; x++) {
            uint32_t at = c * d->pitch + x * d->stride;
            int32_t acc = d->requantize.bias[c];
            for (uint32_t ky = 0; ky < 3; ky++) {
                const int8_t *in = rows[ky] + at, *w = weight + 4 * ky;
                acc += in[0] * w[0] + in[1] * w[1] + in[2] * w[2];
            }
            rows[0][at] = requantize(&d->requantize, c, acc);
        }
    }
}

#endif

static int32_t dot16(const int16_t *a, const int16_t *b, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

// Where element i of lane l is in a tile or in a map of products.
static uint32_t at(uint32_t i, uint32_t pitch, uint32_t lane) {
    return (i / 2 * pitch + lane) * 2 + i % 2;
}

#if !RNNP_ARMV7EM
void rnnp_kernel_cell_pack(const rnnp_cell_t *cell) {
    (void)cell; // the blob is fine
}
#endif

void rnnp_kernel_cell_store_c(const int16_t *tile, uint32_t elements, uint32_t count, int8_t *out, uint32_t step) {
    for (uint32_t lane = 0; lane < count; lane++, out += step) {
        for (uint32_t i = 0; i < elements; i++) {
            out[i] = rnnp_sat8((tile[at(i, RNNP_LANES, lane)] + 128) >> 8);
        }
    }
}

void rnnp_kernel_cell_input_c(
    const rnnp_cell_t *cell, const int16_t *tile, uint32_t count, int16_t *wx, uint32_t pitch) {
    for (uint32_t i = 0; i < cell->hidden; i++) {
        const int16_t *w = cell->w + i * cell->inputs;
        for (uint32_t lane = 0; lane < count; lane++) {
            int32_t sum = 0;
            for (uint32_t k = 0; k < cell->inputs; k++) {
                sum += w[k] * tile[at(k, RNNP_LANES, lane)];
            }
            wx[at(i, pitch, lane)] = rnnp_sat16(sum >> cell->shift_w);
        }
    }
}

void rnnp_kernel_cell_input8_c(const rnnp_cell_t *cell, const int8_t *x, uint32_t step, uint32_t count,
    int8_t zero_point, uint32_t shift, int16_t *wx, uint32_t pitch) {
    for (uint32_t lane = 0; lane < count; lane++, x += step) {
        for (uint32_t i = 0; i < cell->hidden; i++) {
            const int16_t *w = cell->w + i * cell->inputs;
            int32_t sum = 0;
            for (uint32_t k = 0; k < cell->inputs; k++) {
                sum += w[k] * (x[k] - zero_point);
            }
            wx[at(i, pitch, lane)] = rnnp_sat16((sum * (1 << shift)) >> cell->shift_w);
        }
    }
}

// The element-wise half of a step: the new state from the old one and the pre-activation p.
static int16_t update(const rnnp_cell_t *cell, uint32_t i, int32_t p, int32_t h) {
    int32_t z, g; // Q13
    if (cell->smooth) {
        z = rnnp_sigmoid15(rnnp_sat16(p + cell->bz[i])) >> 2;
        g = rnnp_tanh15(rnnp_sat16(p + cell->bh[i])) >> 2;
    } else {
        z = (int32_t)RNNP_UNSIGNED((p + cell->bz[i]) >> 1, 13);
        g = RNNP_SIGNED(p + cell->bh[i], 14);
    }
    int32_t keep = (8191 - z) * 4; // 1 - z in Q15
    int32_t weight = rnnp_satu15(((keep * cell->zeta) >> 15) + cell->nu);
    return rnnp_sat16((z * h + weight * g) >> 13);
}

void rnnp_kernel_cell_sweep_c(const rnnp_cell_t *cell, const int16_t *const *wx, uint32_t steps, uint32_t pitch,
    uint32_t count, int16_t *h, bool tiles, bool resume) {
    uint32_t hidden = cell->hidden, values = RNNP_TILE_VALUES(hidden);
    if (!resume) {
        memset(h, 0, values * (tiles ? steps : 1) * sizeof(*h));
    }
    for (uint32_t t = 0; t < steps; t++, h += tiles ? values : 0) {
        uint32_t known = resume || (t > 0 && !tiles) ? hidden : 0; // U times the initial state, 0, is left out
        for (uint32_t lane = 0; lane < count; lane++) {
            int16_t old[RNNP_MAX_HIDDEN];
            for (uint32_t i = 0; i < hidden; i++) {
                old[i] = h[at(i, RNNP_LANES, lane)];
            }
            for (uint32_t i = 0; i < hidden; i++) {
                int32_t uh = rnnp_sat16(dot16(cell->u + i * hidden, old, known) >> cell->shift_u);
                h[at(i, RNNP_LANES, lane)] = update(cell, i, rnnp_sat16(wx[t][at(i, pitch, lane)] + uh), old[i]);
            }
        }
    }
}
