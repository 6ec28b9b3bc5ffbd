// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What bytes are that should be pixels or a model: known by how such files start. Pixels may start like anything, so short
// marks count only where the bytes are wrong anyhow.

#include <string.h>

#include "binding/binding.h"

#define LONG_MARK (3) // bytes; gray pictures begin by chance as any of these once in three million

typedef struct {
    const char *name;
    uint8_t at, len; // where the mark is, and its length
    uint8_t mark[6];
} kind_t;

static const kind_t kinds[] = {
    { "JPEG", 0, 3, { 0xff, 0xd8, 0xff } },
    { "PNG", 0, 4, { 0x89, 'P', 'N', 'G' } },
    { "GIF", 0, 4, { 'G', 'I', 'F', '8' } },
    { "BMP", 0, 2, { 'B', 'M' } },
    { "RIFF (WebP, AVI)", 0, 4, { 'R', 'I', 'F', 'F' } },
    { "TIFF", 0, 4, { 'I', 'I', '*', 0 } },
    { "TIFF", 0, 4, { 'M', 'M', 0, '*' } },
    { "HEIC, AVIF or MP4", 4, 4, { 'f', 't', 'y', 'p' } },
    { "JPEG 2000", 4, 4, { 'j', 'P', ' ', ' ' } },
    { "JPEG 2000", 0, 4, { 0xff, 0x4f, 0xff, 0x51 } },
    { "JPEG XL", 4, 4, { 'J', 'X', 'L', ' ' } },
    { "QOI", 0, 6, { 'q', 'o', 'i', 'f', 0, 0 } }, // up to 65,535 wide
    { "PSD", 0, 6, { '8', 'B', 'P', 'S', 0, 1 } },
    { "PDF", 0, 4, { '%', 'P', 'D', 'F' } },
    { "WebM", 0, 4, { 0x1a, 0x45, 0xdf, 0xa3 } },
    { "gzip", 0, 3, { 0x1f, 0x8b, 8 } },
    { "PNM (PGM, PPM)", 0, 1, { 'P' } },
    { "ICO", 0, 3, { 0, 0, 1 } },
    { "TFLite", 4, 4, { 'T', 'F', 'L', '3' } },
    { "zip or PyTorch", 0, 4, { 'P', 'K', 3, 4 } },
    { "pickle or old PyTorch", 0, 2, { 0x80, 2 } },
    { "HDF5 (Keras)", 0, 4, { 0x89, 'H', 'D', 'F' } },
    { "NumPy", 0, 6, { 0x93, 'N', 'U', 'M', 'P', 'Y' } },
    { "ONNX", 0, 1, { 8 } },
};

static uint32_t word(const uint8_t *bytes) {
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

// What follows a mark that says too little: dark pixels begin as an ICO, and any as the short ones. `whole` as below.
static bool goes_on(const uint8_t *bytes, size_t len, size_t whole) {
    switch (bytes[0]) {
        case 0: // its first picture lies behind the list of all, which has 16 bytes for each
            return len >= 22 && bytes[3] == 0 && bytes[4] != 0 && bytes[5] == 0 &&
                word(bytes + 18) == 6 + 16u * bytes[4];
        case 8: // ir_version, which is one byte more, and the producer's name or the graph
            return whole == 0 && len >= 3 && bytes[1] >= 3 && bytes[1] <= 20 && (bytes[2] == 0x12 || bytes[2] == 0x3a);
        case 'B': // its head has the whole length
            return whole == 0 || (len >= 6 && word(bytes + 2) == whole);
        case 'P': // a digit, white space, and a number, a comment or PAM's WIDTH
            return len >= 4 && bytes[1] >= '1' && bytes[1] <= '7' && memchr("\n \r\t", bytes[2], 4) != NULL &&
                memchr("0123456789#W\n", bytes[3], 13) != NULL;
        default:
            return whole == 0;
    }
}

const char *rnnpool_file_kind(const uint8_t *bytes, size_t len, size_t whole) {
    for (size_t i = 0; i < MP_ARRAY_SIZE(kinds); i++) {
        const kind_t *kind = &kinds[i];
        bool marked = len >= (size_t)kind->at + kind->len && memcmp(bytes + kind->at, kind->mark, kind->len) == 0;
        bool says_enough = kind->len >= LONG_MARK && kind->mark[0] != 0;
        if (marked && (says_enough || goes_on(bytes, len, whole))) {
            return kind->name;
        }
    }
    return RNNPOOL_MORE_KINDS(bytes, len);
}
