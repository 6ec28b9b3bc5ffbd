// This file is part of rnnpool. MIT licence, see LICENSE.
#include <string.h>

#include "../numeric.h"
#include "rows.h"

static inline uint8_t luma(uint32_t r, uint32_t g, uint32_t b) {
    return (uint8_t)((77 * r + 150 * g + 29 * b + 128) >> 8);
}

// ---- one byte

static void gray8_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    memcpy(out, row + x, count);
}

static void gray8_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += x; count > 0; count--, out += 3) {
        out[0] = out[1] = out[2] = *row++;
    }
}

// ---- 16-bit words

static inline uint32_t red(uint32_t word) {
    return (word >> 8 & 0xf8) | word >> 13;
}

static inline uint32_t green(uint32_t word) {
    return (word >> 3 & 0xfc) | (word >> 9 & 3);
}

static inline uint32_t blue(uint32_t word) {
    return (word << 3 & 0xf8) | (word >> 2 & 7);
}

static inline uint32_t swapped(uint32_t word) {
    return word >> 8 | (word << 8 & 0xff00);
}

static inline uint32_t word_at(const uint8_t *at) {
    uint16_t word; // may lie anywhere
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline void put_rgb565(uint8_t *out, uint32_t word) {
    out[0] = (uint8_t)red(word);
    out[1] = (uint8_t)green(word);
    out[2] = (uint8_t)blue(word);
}

static void rgb565_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 2 * x; count > 0; count--, row += 2) {
        uint32_t word = word_at(row);
        *out++ = luma(red(word), green(word), blue(word));
    }
}

static void rgb565_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 2 * x; count > 0; count--, row += 2, out += 3) {
        put_rgb565(out, word_at(row));
    }
}

static void rgb565_be_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 2 * x; count > 0; count--, row += 2) {
        uint32_t word = swapped(word_at(row));
        *out++ = luma(red(word), green(word), blue(word));
    }
}

static void rgb565_be_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 2 * x; count > 0; count--, row += 2, out += 3) {
        put_rgb565(out, swapped(word_at(row)));
    }
}

// ---- three bytes

static void rgb888_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 3 * x; count > 0; count--, row += 3) {
        *out++ = luma(row[0], row[1], row[2]);
    }
}

static void rgb888_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    memcpy(out, row + 3 * x, 3 * count);
}

static void bgr888_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 3 * x; count > 0; count--, row += 3) {
        *out++ = luma(row[2], row[1], row[0]);
    }
}

static void bgr888_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 3 * x; count > 0; count--, row += 3, out += 3) {
        out[0] = row[2];
        out[1] = row[1];
        out[2] = row[0];
    }
}

// ---- YUV 4:2:2: four bytes for two pixels

static void yuyv_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 2 * x; count > 0; count--, row += 2) {
        *out++ = *row;
    }
}

static void uyvy_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    yuyv_to_gray(row + 1, x, count, out);
}

// Pixels of a pair have their Y at `y` and `y + 2`, their U and V at `u` and `u + 2`.
static inline void yuv_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out, uint32_t y, uint32_t u) {
    const uint8_t *pair = row + 2 * (x & ~1u);
    for (uint32_t half = x & 1; count > 0; half = 0, pair += 4) {
        int32_t blueness = pair[u] - 128, redness = pair[u + 2] - 128;
        int32_t r = (359 * redness + 128) >> 8;
        int32_t g = (88 * blueness + 183 * redness + 128) >> 8;
        int32_t b = (454 * blueness + 128) >> 8;
        for (; half < 2 && count > 0; half++, count--, out += 3) {
            int32_t light = pair[y + 2 * half];
            out[0] = (uint8_t)RNNP_UNSIGNED(light + r, 8);
            out[1] = (uint8_t)RNNP_UNSIGNED(light - g, 8);
            out[2] = (uint8_t)RNNP_UNSIGNED(light + b, 8);
        }
    }
}

static void yuyv_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    yuv_to_rgb(row, x, count, out, 0, 1);
}

static void uyvy_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    yuv_to_rgb(row, x, count, out, 1, 0);
}

// ---- all of them

typedef struct {
    rnnp_unpack_t to_gray, to_rgb;
    uint8_t bytes; // a pixel
    bool in_pairs;
} format_t;

static const format_t formats[] = {
    [RNNP_GRAY8 - RNNP_FIRST_FORMAT] = { gray8_to_gray, gray8_to_rgb, 1, false },
    [RNNP_RGB565 - RNNP_FIRST_FORMAT] = { rgb565_to_gray, rgb565_to_rgb, 2, false },
    [RNNP_RGB565_BE - RNNP_FIRST_FORMAT] = { rgb565_be_to_gray, rgb565_be_to_rgb, 2, false },
    [RNNP_RGB888 - RNNP_FIRST_FORMAT] = { rgb888_to_gray, rgb888_to_rgb, 3, false },
    [RNNP_BGR888 - RNNP_FIRST_FORMAT] = { bgr888_to_gray, bgr888_to_rgb, 3, false },
    [RNNP_YUYV - RNNP_FIRST_FORMAT] = { yuyv_to_gray, yuyv_to_rgb, 2, true },
    [RNNP_UYVY - RNNP_FIRST_FORMAT] = { uyvy_to_gray, uyvy_to_rgb, 2, true },
    [RNNP_YUV420 - RNNP_FIRST_FORMAT] = { gray8_to_gray, gray8_to_rgb, 1, false }, // its Y plane
};

rnnp_unpack_t rnnp_unpack(rnnp_format_t format, uint32_t channels) {
    const format_t *f = &formats[format - RNNP_FIRST_FORMAT];
    return channels == 1 ? f->to_gray : f->to_rgb;
}

uint32_t rnnp_bytes_per_pixel(rnnp_format_t format) {
    return formats[format - RNNP_FIRST_FORMAT].bytes;
}

bool rnnp_format_in_pairs(rnnp_format_t format) {
    return formats[format - RNNP_FIRST_FORMAT].in_pairs;
}
