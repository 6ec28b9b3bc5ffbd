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

#if RNNP_WITH_RGB
static void gray8_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += x; count > 0; count--, out += 3) {
        out[0] = out[1] = out[2] = *row++;
    }
}
#endif

// ---- two bytes: RRRRRGGG GGGBBBBB, of which `high` and `low` say the places: the same loop for both orders

static inline uint32_t red(uint32_t first) {
    return (first & 0xf8) | first >> 5;
}

static inline uint32_t green(uint32_t first, uint32_t second) {
    return (first << 5 & 0xe0) | (second >> 3 & 0x1c) | (first >> 1 & 3);
}

static inline uint32_t blue(uint32_t second) {
    return (second << 3 & 0xf8) | (second >> 2 & 7);
}

RNNP_NOINLINE static void words_to_gray(const uint8_t *row, uint32_t count, uint8_t *out, uint32_t high, uint32_t low) {
    for (; count > 0; count--, row += 2) {
        uint32_t first = row[high], second = row[low];
        *out++ = luma(red(first), green(first, second), blue(second));
    }
}

#if RNNP_WITH_RGB
RNNP_NOINLINE static void words_to_rgb(const uint8_t *row, uint32_t count, uint8_t *out, uint32_t high, uint32_t low) {
    for (; count > 0; count--, row += 2, out += 3) {
        uint32_t first = row[high], second = row[low];
        out[0] = (uint8_t)red(first);
        out[1] = (uint8_t)green(first, second);
        out[2] = (uint8_t)blue(second);
    }
}
#endif

static void rgb565_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    words_to_gray(row + 2 * x, count, out, 1, 0);
}

#if RNNP_WITH_RGB
static void rgb565_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    words_to_rgb(row + 2 * x, count, out, 1, 0);
}
#endif

static void rgb565_be_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    words_to_gray(row + 2 * x, count, out, 0, 1);
}

#if RNNP_WITH_RGB
static void rgb565_be_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    words_to_rgb(row + 2 * x, count, out, 0, 1);
}
#endif

// ---- three bytes

// Red is byte `red`, blue byte `blue`.
RNNP_NOINLINE static void bytes_to_gray(const uint8_t *row, uint32_t count, uint8_t *out, uint32_t red, uint32_t blue) {
    for (; count > 0; count--, row += 3) {
        *out++ = luma(row[red], row[1], row[blue]);
    }
}

static void rgb888_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    bytes_to_gray(row + 3 * x, count, out, 0, 2);
}

#if RNNP_WITH_RGB
static void rgb888_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    memcpy(out, row + 3 * x, 3 * count);
}
#endif

static void bgr888_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    bytes_to_gray(row + 3 * x, count, out, 2, 0);
}

#if RNNP_WITH_RGB
static void bgr888_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 3 * x; count > 0; count--, row += 3, out += 3) {
        out[0] = row[2];
        out[1] = row[1];
        out[2] = row[0];
    }
}
#endif

// ---- YUV 4:2:2: four bytes for two pixels

RNNP_NOINLINE static void yuyv_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 2 * x; count > 0; count--, row += 2) {
        *out++ = *row;
    }
}

static void uyvy_to_gray(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    yuyv_to_gray(row + 1, x, count, out);
}

#if RNNP_WITH_RGB

// What the colour of a pair adds to its Y.
typedef struct {
    int32_t r, g, b;
} chroma_t;

static inline chroma_t chroma(int32_t u, int32_t v) {
    return (chroma_t){ (359 * v + 128) >> 8, -((88 * u + 183 * v + 128) >> 8), (454 * u + 128) >> 8 };
}

static inline void put_pixel(uint8_t *out, int32_t y, chroma_t c) {
    out[0] = (uint8_t)RNNP_UNSIGNED(y + c.r, 8);
    out[1] = (uint8_t)RNNP_UNSIGNED(y + c.g, 8);
    out[2] = (uint8_t)RNNP_UNSIGNED(y + c.b, 8);
}

// Pairs of pixels, which have their Y at `y` and `y + 2`, their U and V at `u` and `u + 2`.
RNNP_NOINLINE static void pairs_to_rgb(const uint8_t *pair, uint32_t pairs, uint8_t *out, uint32_t y, uint32_t u) {
    for (const uint8_t *end = pair + 4 * pairs; pair != end; pair += 4, out += 6) {
        chroma_t c = chroma(pair[u] - 128, pair[u + 2] - 128);
        put_pixel(out, pair[y], c);
        put_pixel(out + 3, pair[y + 2], c);
    }
}

RNNP_NOINLINE static void yuv_to_rgb(
    const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out, uint32_t y, uint32_t u) {
    const uint8_t *pair = row + 2 * (x & ~1u);
    uint8_t half[6]; // a pair of which one pixel is wanted
    if (x % 2 != 0 && count > 0) {
        pairs_to_rgb(pair, 1, half, y, u);
        memcpy(out, half + 3, 3);
        pair += 4;
        out += 3;
        count--;
    }
    pairs_to_rgb(pair, count / 2, out, y, u);
    if (count % 2 != 0) {
        pairs_to_rgb(pair + 2 * (count - 1), 1, half, y, u);
        memcpy(out + 3 * (count - 1), half, 3);
    }
}

static void yuyv_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    yuv_to_rgb(row, x, count, out, 0, 1);
}

static void uyvy_to_rgb(const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    yuv_to_rgb(row, x, count, out, 1, 0);
}

#endif

// ---- all of them

#if RNNP_WITH_RGB
#define FORMAT(name, bytes, in_pairs) { name##_to_gray, name##_to_rgb, bytes, in_pairs }
#define UNPACK(format, channels) ((channels) == 1 ? (format)->to_gray : (format)->to_rgb)
#else
#define FORMAT(name, bytes, in_pairs) { name##_to_gray, bytes, in_pairs }
#define UNPACK(format, channels) ((format)->to_gray)
#endif

typedef struct {
    rnnp_unpack_t to_gray;
#if RNNP_WITH_RGB
    rnnp_unpack_t to_rgb;
#endif
    uint8_t bytes; // a pixel
    bool in_pairs;
} format_t;

static const format_t formats[] = {
    [RNNP_GRAY8 - RNNP_FIRST_FORMAT] = FORMAT(gray8, 1, false),
    [RNNP_RGB565 - RNNP_FIRST_FORMAT] = FORMAT(rgb565, 2, false),
    [RNNP_RGB565_BE - RNNP_FIRST_FORMAT] = FORMAT(rgb565_be, 2, false),
    [RNNP_RGB888 - RNNP_FIRST_FORMAT] = FORMAT(rgb888, 3, false),
    [RNNP_BGR888 - RNNP_FIRST_FORMAT] = FORMAT(bgr888, 3, false),
    [RNNP_YUYV - RNNP_FIRST_FORMAT] = FORMAT(yuyv, 2, true),
    [RNNP_UYVY - RNNP_FIRST_FORMAT] = FORMAT(uyvy, 2, true),
    [RNNP_YUV420 - RNNP_FIRST_FORMAT] = FORMAT(gray8, 1, false), // its Y plane
};

rnnp_unpack_t rnnp_unpack(rnnp_format_t format, uint32_t channels) {
    (void)channels;
    return UNPACK(&formats[format - RNNP_FIRST_FORMAT], channels);
}

uint32_t rnnp_bytes_per_pixel(rnnp_format_t format) {
    return formats[format - RNNP_FIRST_FORMAT].bytes;
}

bool rnnp_format_in_pairs(rnnp_format_t format) {
    return formats[format - RNNP_FIRST_FORMAT].in_pairs;
}
