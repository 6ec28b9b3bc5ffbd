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

// One instruction of an Armv7E-M (SMLABB) if the compiler sees that both factors have 16 bits.
static inline uint32_t add_product(uint32_t sum, uint32_t a, uint32_t b) {
    return sum + (uint32_t)((int16_t)a * (int16_t)b);
}

// Area mean. A source pixel has m units, a destination n of them, so a source pixel ends one destination at most. Sums start
// with n / 2, for rounding, and with what the last pixel had left.
static void shrink_gray(rnnp_resampler_t *r, const uint8_t *in, uint32_t pixels) {
    uint32_t n = r->n, m = r->m, reciprocal = r->reciprocal, left = r->left, sum = r->sum[0];
    uint8_t *out = r->out;
    for (const uint8_t *end = in + pixels; in != end;) {
        uint32_t value = *in++;
        if (left > m) {
            sum = add_product(sum, value, m);
            left -= m;
            continue;
        }
        uint32_t rest = m - left;
        *out++ = quotient(add_product(sum, value, left), reciprocal);
        sum = add_product(n / 2, value, rest);
        left = n - rest;
    }
    r->left = left;
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
            sum0 = add_product(sum0, v0, m);
            sum1 = add_product(sum1, v1, m);
            sum2 = add_product(sum2, v2, m);
            left -= m;
            continue;
        }
        uint32_t rest = m - left;
        out[0] = quotient(add_product(sum0, v0, left), reciprocal);
        out[1] = quotient(add_product(sum1, v1, left), reciprocal);
        out[2] = quotient(add_product(sum2, v2, left), reciprocal);
        out += 3;
        sum0 = add_product(n / 2, v0, rest);
        sum1 = add_product(n / 2, v1, rest);
        sum2 = add_product(n / 2, v2, rest);
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
        for (uint32_t i = 0; i < RNNP_CHANNELS(r->channels); i++) {
            *r->out++ = mixed(r->last[i], next[i], f, r->m, r->reciprocal);
        }
    }
    r->position = position - whole;
    for (uint32_t i = 0; i < RNNP_CHANNELS(r->channels); i++) {
        r->last[i] = next[i];
    }
}

void rnnp_resample(rnnp_resampler_t *r, const uint8_t *in, uint32_t pixels) {
    if (r->m < r->n) {
        if (RNNP_CHANNELS(r->channels) == 1) {
            shrink_gray(r, in, pixels);
        } else {
            shrink_rgb(r, in, pixels);
        }
        return;
    }
    for (; pixels > 0; pixels--, in += RNNP_CHANNELS(r->channels)) {
        if (r->begun) {
            stretch_to(r, in);
            continue;
        }
        r->begun = true;
        for (uint32_t i = 0; i < RNNP_CHANNELS(r->channels); i++) {
            r->last[i] = in[i];
        }
    }
}

// A row's values whose sums go on. Four at a time: their sums are the greater part of the work.
static void add_values(uint32_t m, uint32_t *sums, const uint8_t *values, uint32_t count) {
    for (; count >= 4; count -= 4, values += 4, sums += 4) {
        uint32_t word;
        memcpy(&word, values, sizeof(word));
        uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
        sums[0] = add_product(s0, word & 255, m);
        sums[1] = add_product(s1, word >> 8 & 255, m);
        sums[2] = add_product(s2, word >> 16 & 255, m);
        sums[3] = add_product(s3, word >> 24, m);
    }
    for (; count > 0; count--) {
        *sums = add_product(*sums, *values++, m);
        sums++;
    }
}

// What ends the sums of a row, and starts those of the next.
typedef struct {
    uint32_t last, next; // weights
    uint32_t half, reciprocal;
} end_t;

static inline uint32_t end_sum(const end_t *e, uint32_t *sum, uint32_t value) {
    uint32_t mean = quotient(add_product(*sum, value, e->last), e->reciprocal);
    *sum = add_product(e->half, value, e->next);
    return mean;
}

// Of fewer rows than add_values: one at a time.
static void end_values(const end_t *e, uint32_t *sums, uint8_t *values, uint32_t count) {
    for (const uint8_t *end = values + count; values != end; values++, sums++) {
        *values = (uint8_t)(end_sum(e, sums, *values) ^ SIGN);
    }
}

void rnnp_resample_add_row(
    uint32_t i, uint32_t n, uint32_t y, uint32_t m, uint32_t *sums, uint8_t *values, uint32_t count) {
    uint32_t end = (i + 1) * m, boundary = (y + 1) * n; // in units of 1/m of a source row
    if (i == 0) {
        for (uint32_t k = 0; k < count; k++) {
            sums[k] = n / 2; // for rounding
        }
    }
    if (end < boundary) {
        add_values(m, sums, values, count);
    } else {
        const end_t e = { m - (end - boundary), end - boundary, n / 2, reciprocal_of(n) };
        end_values(&e, sums, values, count);
    }
}

void rnnp_resample_mix_rows(const uint8_t *a, const uint8_t *b, uint32_t f, uint32_t m, uint8_t *out, uint32_t count) {
    uint32_t reciprocal = reciprocal_of(2 * m);
    for (const uint8_t *end = a + count; a != end;) {
        *out++ = mixed(*a++, *b++, f, m, reciprocal) ^ SIGN;
    }
}

void rnnp_flip_signs(const uint8_t *in, uint8_t *out, uint32_t count) {
    for (; count >= 8; count -= 8, in += 8, out += 8) {
        uint32_t a, b; // not an array, which small code would copy by a function
        memcpy(&a, in, 4);
        memcpy(&b, in + 4, 4);
        a ^= SIGN * 0x01010101u;
        b ^= SIGN * 0x01010101u;
        memcpy(out, &a, 4);
        memcpy(out + 4, &b, 4);
    }
    for (; count > 0; count--) {
        *out++ = *in++ ^ SIGN;
    }
}

RNNP_SMALL_FROM_HERE

// Once a row.
void rnnp_resample_start(rnnp_resampler_t *r, uint32_t n, uint32_t m, uint32_t channels, uint8_t *out) {
    memset(r, 0, sizeof(*r));
    r->n = n;
    r->m = m;
    r->channels = channels;
    r->reciprocal = reciprocal_of(m < n ? n : 2 * m);
    r->left = n;
    r->sum[0] = r->sum[1] = r->sum[2] = n / 2;
    r->position = (int32_t)n - (int32_t)m;
    r->out = out;
    r->end = out + m * channels;
}

void rnnp_resample_end(rnnp_resampler_t *r) {
    while (r->out != r->end) { // beyond the middle of the last pixel there is only that; shrinking is done already
        for (uint32_t i = 0; i < RNNP_CHANNELS(r->channels); i++) {
            *r->out++ = (uint8_t)r->last[i];
        }
    }
}

void rnnp_resample_position(uint32_t y, uint32_t n, uint32_t m, uint32_t *i, uint32_t *f) {
    int32_t p = rnnp_clamp((int32_t)((2 * y + 1) * n) - (int32_t)m, 0, (int32_t)(2 * m * (n - 1)));
    *i = (uint32_t)p / (2 * m);
    *f = (uint32_t)p - 2 * m * *i;
}
