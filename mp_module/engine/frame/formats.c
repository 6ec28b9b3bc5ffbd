// This file is part of rnnpool. MIT licence, see LICENSE.
#include <string.h>

#include "../numeric.h"
#include "rows.h"

static inline uint8_t luma(uint32_t r, uint32_t g, uint32_t b) {
    return (uint8_t)((77 * r + 150 * g + 29 * b + 128) >> 8);
}

// ---- one byte

static void gray8_to_gray(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    (void)pixels;
    memcpy(out, row + x, count);
}

#if RNNP_WITH_RGB
static void gray8_to_rgb(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    (void)pixels;
    for (row += x; count > 0; count--, out += 3) {
        out[0] = out[1] = out[2] = *row++;
    }
}
#endif

// ---- two bytes: RRRRRGGG GGGBBBBB, the first at `first`, the other at `last`

static inline uint32_t red(uint32_t first) {
    return (first & 0xf8) | first >> 5;
}

static inline uint32_t green(uint32_t first, uint32_t second) {
    return (first << 5 & 0xe0) | (second >> 3 & 0x1c) | (first >> 1 & 3);
}

static inline uint32_t blue(uint32_t second) {
    return (second << 3 & 0xf8) | (second >> 2 & 7);
}

static void words_to_gray(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    uint32_t high = pixels->first, low = pixels->last;
    for (row += 2 * x; count > 0; count--, row += 2) {
        uint32_t first = row[high], second = row[low];
        *out++ = luma(red(first), green(first, second), blue(second));
    }
}

#if RNNP_WITH_RGB
static void words_to_rgb(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    uint32_t high = pixels->first, low = pixels->last;
    for (row += 2 * x; count > 0; count--, row += 2, out += 3) {
        uint32_t first = row[high], second = row[low];
        out[0] = (uint8_t)red(first);
        out[1] = (uint8_t)green(first, second);
        out[2] = (uint8_t)blue(second);
    }
}
#endif

// ---- three bytes: red at `first`, blue at `last`

static void bytes_to_gray(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    uint32_t red = pixels->first, blue = pixels->last;
    for (row += 3 * x; count > 0; count--, row += 3) {
        *out++ = luma(row[red], row[1], row[blue]);
    }
}

#if RNNP_WITH_RGB
static void rgb888_to_rgb(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    (void)pixels;
    memcpy(out, row + 3 * x, 3 * count);
}

static void bgr888_to_rgb(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    (void)pixels;
    for (row += 3 * x; count > 0; count--, row += 3, out += 3) {
        out[0] = row[2];
        out[1] = row[1];
        out[2] = row[0];
    }
}
#endif

// ---- YUV 4:2:2: four bytes for two pixels, which have their Y at `first` and 2 behind it, U and V at `last` and 2 behind it

#if RNNP_WITH_YUV

static void yuv_to_gray(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    for (row += 2 * x + pixels->first; count > 0; count--, row += 2) {
        *out++ = *row;
    }
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

RNNP_NOINLINE static void pairs_to_rgb(const uint8_t *pair, uint32_t pairs, uint8_t *out, uint32_t y, uint32_t u) {
    for (const uint8_t *end = pair + 4 * pairs; pair != end; pair += 4, out += 6) {
        chroma_t c = chroma(pair[u] - 128, pair[u + 2] - 128);
        put_pixel(out, pair[y], c);
        put_pixel(out + 3, pair[y + 2], c);
    }
}

static void yuv_to_rgb(const rnnp_pixels_t *pixels, const uint8_t *row, uint32_t x, uint32_t count, uint8_t *out) {
    const uint8_t *pair = row + 2 * (x & ~1u);
    uint32_t y = pixels->first, u = pixels->last;
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

#endif

#endif

// ---- all of them

#if RNNP_WITH_RGB
#define UNPACK(gray, rgb) gray##_to_gray, rgb##_to_rgb
#else
#define UNPACK(gray, rgb) gray##_to_gray
#endif

// Where it is left out, no frame is unpacked by it: its size is asked for.
#if RNNP_WITH_YUV
#define UNPACK_YUV UNPACK(yuv, yuv)
#else
#define UNPACK_YUV UNPACK(gray8, gray8)
#endif

static const rnnp_pixels_t formats[] = {
    [RNNP_GRAY8 - RNNP_FIRST_FORMAT] = { UNPACK(gray8, gray8), 1, false, 0, 0 },
    [RNNP_RGB565 - RNNP_FIRST_FORMAT] = { UNPACK(words, words), 2, false, 1, 0 },
    [RNNP_RGB565_BE - RNNP_FIRST_FORMAT] = { UNPACK(words, words), 2, false, 0, 1 },
    [RNNP_RGB888 - RNNP_FIRST_FORMAT] = { UNPACK(bytes, rgb888), 3, false, 0, 2 },
    [RNNP_BGR888 - RNNP_FIRST_FORMAT] = { UNPACK(bytes, bgr888), 3, false, 2, 0 },
    [RNNP_YUYV - RNNP_FIRST_FORMAT] = { UNPACK_YUV, 2, true, 0, 1 },
    [RNNP_UYVY - RNNP_FIRST_FORMAT] = { UNPACK_YUV, 2, true, 1, 0 },
    [RNNP_YUV420 - RNNP_FIRST_FORMAT] = { UNPACK(gray8, gray8), 1, false, 0, 0 }, // its Y plane
};

const rnnp_pixels_t *rnnp_pixels(rnnp_format_t format) {
    return &formats[format - RNNP_FIRST_FORMAT];
}
