// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Each source value is read once, weights are counted on, and a division is a multiplication: with d <= 4096 and
// r = ceil(2^32 / d), floor(t / d) is (t * r) >> 32 for all t < 2^20, since t * (r * d - 2^32) < 2^20 * 2^12. What is divided
// here is at most 255 d + d / 2 < 2^20, by n when shrinking to m < n <= 4096, by 2 m when stretching to m <= 2048.
#include <string.h>

#include "../numeric.h"
#include "rows.h"

#define SIGN (0x80) // u ^ SIGN is the int8 of a byte

static uint32_t reciprocal_of(uint32_t d) {
    return UINT32_MAX / d + 1; // d >= 2
}

static inline uint8_t quotient(uint32_t t, uint32_t reciprocal) {
    return (uint8_t)(((uint64_t)t * reciprocal) >> 32);
}

void rnnp_resample_start(rnnp_resampler_t *r, uint32_t n, uint32_t m, uint32_t channels, uint8_t *out) {
    memset(r, 0, sizeof(*r));
    r->n = n;
    r->m = m;
    r->channels = channels;
    r->reciprocal = reciprocal_of(m < n ? n : 2 * m);
    r->left = n;
    r->position = (int32_t)n - (int32_t)m;
    r->out = out;
    r->end = out + m * channels;
}

// Area mean. A source pixel has m units, a destination n of them, so a source pixel ends one destination at most.
static void shrink_gray(rnnp_resampler_t *r, const uint8_t *in, uint32_t pixels) {
    uint32_t n = r->n, m = r->m, reciprocal = r->reciprocal, left = r->left, carry = r->carry[0], sum = r->sum[0];
    uint8_t *out = r->out;
    for (const uint8_t *end = in + pixels; in != end;) {
        uint32_t value = *in++;
        if (left > m) {
            sum += value;
            left -= m;
            continue;
        }
        uint32_t rest = m - left;
        *out++ = quotient(carry + m * sum + left * value + n / 2, reciprocal);
        carry = rest * value;
        sum = 0;
        left = n - rest;
    }
    r->left = left;
    r->carry[0] = carry;
    r->sum[0] = sum;
    r->out = out;
}

static void shrink_rgb(rnnp_resampler_t *r, const uint8_t *in, uint32_t pixels) {
    uint32_t n = r->n, m = r->m, reciprocal = r->reciprocal, left = r->left;
    uint32_t sum0 = r->sum[0], sum1 = r->sum[1], sum2 = r->sum[2];
    uint8_t *out = r->out;
    for (const uint8_t *end = in + 3 * pixels; in != end; in += 3) {
        uint32_t v0 = in[0], v1 = in[1], v2 = in[2];
        if (left > m) {
            sum0 += v0;
            sum1 += v1;
            sum2 += v2;
            left -= m;
            continue;
        }
        uint32_t rest = m - left;
        out[0] = quotient(r->carry[0] + m * sum0 + left * v0 + n / 2, reciprocal);
        out[1] = quotient(r->carry[1] + m * sum1 + left * v1 + n / 2, reciprocal);
        out[2] = quotient(r->carry[2] + m * sum2 + left * v2 + n / 2, reciprocal);
        out += 3;
        r->carry[0] = rest * v0;
        r->carry[1] = rest * v1;
        r->carry[2] = rest * v2;
        sum0 = sum1 = sum2 = 0;
        left = n - rest;
    }
    r->left = left;
    r->sum[0] = sum0;
    r->sum[1] = sum1;
    r->sum[2] = sum2;
    r->out = out;
}

static inline uint8_t mixed(uint32_t a, uint32_t b, uint32_t f, uint32_t m, uint32_t reciprocal) {
    return quotient((2 * m - f) * a + f * b + m, reciprocal);
}

// Linear: all destinations between the last source pixel and the next one, half-pixel centres.
static void stretch_to(rnnp_resampler_t *r, const uint8_t *next) {
    int32_t whole = 2 * (int32_t)r->m, position = r->position;
    for (; position < whole && r->out != r->end; position += 2 * (int32_t)r->n) {
        uint32_t f = position < 0 ? 0 : (uint32_t)position;
        for (uint32_t i = 0; i < r->channels; i++) {
            *r->out++ = mixed(r->carry[i], next[i], f, r->m, r->reciprocal);
        }
    }
    r->position = position - whole;
    for (uint32_t i = 0; i < r->channels; i++) {
        r->carry[i] = next[i];
    }
}

void rnnp_resample(rnnp_resampler_t *r, const uint8_t *in, uint32_t pixels) {
    if (r->m < r->n) {
        if (r->channels == 1) {
            shrink_gray(r, in, pixels);
        } else {
            shrink_rgb(r, in, pixels);
        }
        return;
    }
    for (; pixels > 0; pixels--, in += r->channels) {
        if (r->begun) {
            stretch_to(r, in);
            continue;
        }
        r->begun = true;
        for (uint32_t i = 0; i < r->channels; i++) {
            r->carry[i] = in[i];
        }
    }
}

void rnnp_resample_end(rnnp_resampler_t *r) {
    while (r->out != r->end) { // beyond the middle of the last pixel there is only that; shrinking is done already
        for (uint32_t i = 0; i < r->channels; i++) {
            *r->out++ = (uint8_t)r->carry[i];
        }
    }
}

void rnnp_resample_add_row(
    uint32_t i, uint32_t n, uint32_t y, uint32_t m, uint32_t *sums, uint8_t *values, uint32_t count) {
    uint32_t end = (i + 1) * m, boundary = (y + 1) * n; // in units of 1/m of a source row
    const uint8_t *last = values + count;
    if (i == 0) {
        memset(sums, 0, count * sizeof(sums[0]));
    }
    if (end < boundary) {
        for (; values != last; values++) {
            *sums++ += m * *values;
        }
        return;
    }
    uint32_t rest = end - boundary, reciprocal = reciprocal_of(n);
    for (; values != last; values++, sums++) {
        uint32_t value = *values;
        *values = quotient(*sums + (m - rest) * value + n / 2, reciprocal) ^ SIGN;
        *sums = rest * value;
    }
}

void rnnp_resample_position(uint32_t y, uint32_t n, uint32_t m, uint32_t *i, uint32_t *f) {
    int32_t p = rnnp_clamp((int32_t)((2 * y + 1) * n) - (int32_t)m, 0, (int32_t)(2 * m * (n - 1)));
    *i = (uint32_t)p / (2 * m);
    *f = (uint32_t)p - 2 * m * *i;
}

void rnnp_resample_mix_rows(const uint8_t *a, const uint8_t *b, uint32_t f, uint32_t m, uint8_t *out, uint32_t count) {
    uint32_t reciprocal = reciprocal_of(2 * m);
    for (const uint8_t *end = a + count; a != end;) {
        *out++ = mixed(*a++, *b++, f, m, reciprocal) ^ SIGN;
    }
}

void rnnp_flip_signs(const uint8_t *in, uint8_t *out, uint32_t count) {
    uint32_t word;
    for (; count >= sizeof(word); count -= sizeof(word), in += sizeof(word), out += sizeof(word)) {
        memcpy(&word, in, sizeof(word));
        word ^= SIGN * 0x01010101u;
        memcpy(out, &word, sizeof(word));
    }
    for (; count > 0; count--) {
        *out++ = *in++ ^ SIGN;
    }
}
