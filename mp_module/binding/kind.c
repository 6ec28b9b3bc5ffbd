// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What bytes are that should be pixels or a model: known by how such files start. Pixels may start like anything, so short
// marks count only where the bytes are wrong anyhow.

#include <string.h>

#include "binding/binding.h"

#define LONG_MARK (3) // bytes that pixels have by chance once in 16 million frames

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
    { "PGM", 0, 3, { 'P', '5', '\n' } },
    { "PPM", 0, 3, { 'P', '6', '\n' } },
    { "TFLite", 4, 4, { 'T', 'F', 'L', '3' } },
    { "zip or PyTorch", 0, 4, { 'P', 'K', 3, 4 } },
    { "pickle or old PyTorch", 0, 2, { 0x80, 2 } },
    { "HDF5 (Keras)", 0, 4, { 0x89, 'H', 'D', 'F' } },
    { "NumPy", 0, 6, { 0x93, 'N', 'U', 'M', 'P', 'Y' } },
    { "ONNX", 0, 1, { 8 } }, // ir_version: one more byte, and the producer's name or the graph
};

// Whether the length in a BMP's head is that of the whole frame.
static bool is_whole_bmp(const uint8_t *bytes, size_t len, size_t whole) {
    return len >= 6 && bytes[0] == 'B' &&
        (bytes[2] | bytes[3] << 8 | bytes[4] << 16 | (uint32_t)bytes[5] << 24) == whole;
}

const char *rnnpool_file_kind(const uint8_t *bytes, size_t len, size_t whole) {
    for (size_t i = 0; i < MP_ARRAY_SIZE(kinds); i++) {
        const kind_t *kind = &kinds[i];
        if (len >= (size_t)kind->at + kind->len && memcmp(bytes + kind->at, kind->mark, kind->len) == 0) {
            bool onnx = kind->len == 1;
            if (whole != 0 && kind->len < LONG_MARK && !is_whole_bmp(bytes, len, whole)) {
                continue;
            }
            if (!onnx || (len >= 3 && bytes[1] >= 3 && bytes[1] <= 20 && (bytes[2] == 0x12 || bytes[2] == 0x3a))) {
                return kind->name;
            }
        }
    }
    return NULL;
}
