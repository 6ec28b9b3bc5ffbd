// This file is part of rnnpool. MIT licence, see LICENSE.
#include "crc32.h"

// Remainders of the 16 nibbles for the reflected polynomial 0xedb88320: 64 bytes of flash instead of 1 KB.
static const uint32_t nibbles[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278,
    0xbdbdf21c };

static uint32_t add_byte(uint32_t crc, uint32_t byte) {
    crc ^= byte;
    crc = (crc >> 4) ^ nibbles[crc & 15];
    return (crc >> 4) ^ nibbles[crc & 15];
}

#define MANY (1024u) // words, from which on remainders of all bytes pay

// Words, with the remainders of all bytes, which are made on the stack: most of what opening a blob takes.
__attribute__((noinline)) static uint32_t add_words(uint32_t crc, const uint32_t *words, size_t count) {
    uint32_t bytes[256];
    for (uint32_t i = 0; i < 256; i++) {
        bytes[i] = add_byte(0, i);
    }
    for (const uint32_t *end = words + count; words < end; words++) {
        crc ^= *words;
        crc = (crc >> 8) ^ bytes[crc & 255];
        crc = (crc >> 8) ^ bytes[crc & 255];
        crc = (crc >> 8) ^ bytes[crc & 255];
        crc = (crc >> 8) ^ bytes[crc & 255];
    }
    return crc;
}

uint32_t rnnp_crc32(uint32_t crc, const void *data, size_t size) {
    const uint8_t *at = data, *end = at + size;
    crc = ~crc;
    if ((uintptr_t)at % 4 == 0 && size / 4 >= MANY) {
        crc = add_words(crc, data, size / 4);
        at += size / 4 * 4;
    }
    while (at < end) {
        crc = add_byte(crc, *at++);
    }
    return ~crc;
}
