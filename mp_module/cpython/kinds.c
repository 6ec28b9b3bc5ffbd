// This file is part of rnnpool. MIT licence, see LICENSE.
//
// More kinds of files that are taken for pixels or a model, beside those of binding/kind.c: code size is no matter here. Only
// marks that none of the 53 million places in 1,500 gray photos had, where four letters of about one brightness come up.

#include <string.h>

#include "engine/blob/record.h"

#include "binding/binding.h"

typedef struct {
    const char *name;
    uint16_t at, len; // where the mark is, and its length
    const char *mark;
} kind_t;

#define MARK(at, text) at, sizeof(text) - 1, text

static const kind_t kinds[] = {
    { "bzip2", MARK(4, "1AY&SY") },
    { "xz",
        MARK(0,
            "\xfd"
            "7zXZ\0") },
    { "zstd", MARK(0, "\x28\xb5\x2f\xfd") },
    { "lz4", MARK(0, "\x04\x22\x4d\x18") },
    { "7z", MARK(0, "7z\xbc\xaf\x27\x1c") },
    { "RAR", MARK(0, "Rar!\x1a\x07") },
    { "tar", MARK(257, "ustar") },
    { "EPS or PostScript", MARK(0, "%!PS") },
    { "SVG", MARK(0, "<svg") },
    { "XML (SVG)", MARK(0, "<?xml") },
    { "XML (SVG)", MARK(3, "<?xml") }, // behind a byte order mark
    { "HTML", MARK(0, "<!DOCTYPE") },
    { "HTML", MARK(0, "<!doctype") },
    { "HTML", MARK(0, "<html") },
    { "HTTP", MARK(0, "HTTP/") },
    { "data: URL", MARK(0, "data:image/") },
    { "base64 (JPEG)", MARK(0, "/9j/") },
    { "base64 (PNG)", MARK(0, "iVBORw0K") },
    { "Git LFS pointer", MARK(0, "version https://git-lfs") },
    { "DDS", MARK(0, "DDS \x7c") },
    { "OpenEXR", MARK(0, "\x76\x2f\x31\x01") },
    { "Radiance HDR", MARK(0, "#?RADIANCE") },
    { "Radiance HDR", MARK(0, "#?RGBE") },
    { "FITS", MARK(0, "SIMPLE  =") },
    { "SGI", MARK(0, "\x01\xda\x00\x01") },
    { "SGI", MARK(0, "\x01\xda\x01\x01") },
    { "Sun raster", MARK(0, "\x59\xa6\x6a\x95") },
    { "farbfeld", MARK(0, "farbfeld") },
    { "GIMP", MARK(0, "gimp xcf") },
    { "XBM", MARK(0, "#define ") },
    { "XPM", MARK(0, "/* XPM */") },
    { "Flash video", MARK(0, "FLV\x01") },
    { "Ogg", MARK(0, "OggS\0") },
    { "ELF",
        MARK(0,
            "\x7f"
            "ELF") },
    { "UF2", MARK(0, "UF2\n") },
};

static uint32_t word(const uint8_t *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

// "RNNP" alone, four values of nearly the same brightness, is in gray pixels once in a million frames.
static bool is_model(const uint8_t *bytes, size_t len) {
    return len >= 8 && memcmp(bytes, "RNNP", 4) == 0 && word(bytes + 6) == RNNP_HEADER_SIZE;
}

// A part of a BMP file, too: its head has zeros, and behind them the length of the second head.
static bool is_bmp(const uint8_t *bytes, size_t len) {
    static const uint8_t second[] = { 12, 40, 52, 56, 64, 108, 124 };
    return len >= 26 && memcmp(bytes, "BM", 2) == 0 && memcmp(bytes + 6, "\0\0\0\0", 4) == 0 &&
        memchr(second, bytes[14], sizeof(second)) != NULL && memcmp(bytes + 15, "\0\0\0", 3) == 0;
}

// A PCX file has no mark of its own, but a header of which most is known.
static bool is_pcx(const uint8_t *bytes, size_t len) {
    if (len < 128 || bytes[0] != 10 || bytes[1] > 5 || bytes[1] == 1 || bytes[2] != 1 || bytes[64] != 0) {
        return false;
    }
    uint32_t bits = bytes[3], planes = bytes[65], line = word(bytes + 66);
    bool known = (bits == 1 || bits == 2 || bits == 4 || bits == 8) && planes >= 1 && planes <= 4;
    uint32_t left = word(bytes + 4), top = word(bytes + 6), right = word(bytes + 8), bottom = word(bytes + 10);
    if (!known || left > right || top > bottom || line < ((right - left + 1) * bits + 7) / 8) {
        return false;
    }
    static const uint8_t filler[128 - 74];
    return memcmp(bytes + 74, filler, sizeof(filler)) == 0;
}

// A TGA file has its mark at the end, and only since version 2.
static bool is_tga(const uint8_t *bytes, size_t len) {
    static const char mark[18] = "TRUEVISION-XFILE.";
    return len >= 18 + sizeof(mark) && memcmp(bytes + len - sizeof(mark), mark, sizeof(mark)) == 0;
}

const char *rnnpool_more_kinds(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < MP_ARRAY_SIZE(kinds); i++) {
        const kind_t *kind = &kinds[i];
        if (len >= (size_t)kind->at + kind->len && memcmp(bytes + kind->at, kind->mark, kind->len) == 0) {
            return kind->name;
        }
    }
    return is_model(bytes, len) ? ".rnnp model"
        : is_bmp(bytes, len)    ? "BMP"
        : is_pcx(bytes, len)    ? "PCX"
        : is_tga(bytes, len)    ? "TGA"
                                : NULL;
}
