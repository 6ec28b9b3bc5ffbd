// This file is part of rnnpool. MIT licence, see LICENSE.
#ifndef RNNP_CRC32_H
#define RNNP_CRC32_H

#include <stddef.h>
#include <stdint.h>

// zlib's CRC-32: crc of the bytes so far (0 at the start), returns that of those and `size` more.
uint32_t rnnp_crc32(uint32_t crc, const void *data, size_t size);

#endif // RNNP_CRC32_H
