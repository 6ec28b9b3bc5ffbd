// This file is part of rnnpool. MIT licence, see LICENSE.
#include "container.h"

#include "check.h"
#include "crc32.h"
#include "../left_out.h"

#define MAGIC (0x504e4e52) // "RNNP"
#define MAX_LABELS_SIZE (32768)

// Bytes of the UTF-8 sequence at `text`, 0 if it is none. Overlong forms, surrogates and values past U+10FFFF are none.
static uint32_t utf8_length(const uint8_t *text, uint32_t size) {
    uint32_t lead = text[0], length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf7 || length > size) {
        return 0;
    }
    uint32_t value = lead & (0x7fu >> length);
    for (uint32_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text[i] & 0x3f);
    }
    uint32_t shorter = 1u << (5 * length - 4); // 3 bytes are for 2^11 and more, 4 for 2^16 and more
    return value < shorter || value >> 11 == 0xd800 >> 11 || value > 0x10ffff ? 0 : length;
}

// Counts the NULs of UTF-8 text. The error, if it is not UTF-8, gives place and byte.
static bool check_text(
    const rnnp_check_t *check, const char *what, const uint8_t *text, uint32_t size, uint32_t *nuls) {
    *nuls = 0;
    for (uint32_t i = 0; i < size;) {
        uint32_t length = utf8_length(text + i, size - i);
        if (length == 0) {
            return rnnp_bad(check, what, i, text[i]);
        }
        *nuls += text[i] == 0;
        i += length;
    }
    return rnnp_is_well(check);
}

static bool check_name(const rnnp_check_t *check, const uint8_t *name) {
    uint32_t length = 0, nuls;
    while (length < RNNP_NAME_SIZE && name[length] != 0) {
        length++;
    }
    rnnp_check_range(check, "name", (int32_t)length, 1, RNNP_NAME_SIZE - 1);
    rnnp_check_zeros(check, "name", name + length, RNNP_NAME_SIZE - length);
    return check_text(check, "name", name, length, &nuls);
}

static bool check_labels(const rnnp_check_t *check, const uint8_t *labels, uint32_t size, uint32_t num_labels) {
    uint32_t nuls;
    rnnp_check_equal(check, "labels", labels[size - 1], 0);
    check_text(check, "labels", labels, size, &nuls);
    return rnnp_check_equal(check, "num_labels", (int32_t)num_labels, (int32_t)nuls);
}

// What can be said of the bytes as a whole.
static bool check_bytes(const rnnp_check_t *check, const uint8_t *blob, size_t size) {
    const rnnp_header_t *header = (const void *)blob;
    uint32_t given = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX, remainder = (uintptr_t)blob % RNNP_ALIGNMENT;
    if (remainder != 0) {
        return rnnp_report(check, RNNP_ERROR_ALIGNMENT, "blob", RNNP_ALIGNMENT, remainder);
    }
    if (size < RNNP_HEADER_SIZE) {
        return rnnp_report(check, RNNP_ERROR_TRUNCATED, "header", RNNP_HEADER_SIZE, given);
    }
    rnnp_check_equal(check, "magic", (int32_t)header->magic, MAGIC);
    if (header->version != RNNP_BLOB_VERSION) {
        rnnp_report(check, RNNP_ERROR_UNSUPPORTED, "version", RNNP_BLOB_VERSION, header->version);
    }
    rnnp_check_equal(check, "header_size", header->header_size, RNNP_HEADER_SIZE);
    uint32_t total = header->total_size;
    if (total > given) {
        rnnp_report(check, RNNP_ERROR_TRUNCATED, "total_size", total, given);
    } else if (total < RNNP_HEADER_SIZE || total % RNNP_SECTION_ALIGNMENT != 0) {
        rnnp_bad(check, "total_size", total < RNNP_HEADER_SIZE ? RNNP_HEADER_SIZE : RNNP_SECTION_ALIGNMENT, total);
    }
    if (!rnnp_is_well(check)) {
        return false;
    }
    uint32_t summed = offsetof(rnnp_header_t, task), crc = rnnp_crc32(0, blob + summed, total - summed);
    return crc == header->crc32 || rnnp_report(check, RNNP_ERROR_CHECKSUM, "crc32", header->crc32, crc);
}

// Bits of the normal float32 numbers above 0.
#define LEAST_SCALE (0x00800000)
#define MOST_SCALE (0x7f7fffff)

// Ranges as SPEC.md's table says them.
static const rnnp_field_t header_fields[] = {
    RNNP_FIELD(rnnp_header_t, task, RNNP_TASK_DETECTION, RNNP_TASK_MAP),
    RNNP_FIELD(rnnp_header_t, height, 1, RNNP_MAX_SIDE),
    RNNP_FIELD(rnnp_header_t, width, 1, RNNP_MAX_SIDE),
    RNNP_FIELD(rnnp_header_t, num_labels, 1, RNNP_MAX_LABELS),
    RNNP_FIELD(rnnp_header_t, threshold, 0, 32767),
    RNNP_FIELD(rnnp_header_t, iou, 0, 32767),
};

// What the header asks for and this firmware has not (left_out.h); NULL if there is nothing.
static const char *missing(const rnnp_header_t *h) {
    return !RNNP_WITH_LAYER && h->task == RNNP_TASK_LAYER ? "LAYER"
        : !RNNP_WITH_MAP && h->task == RNNP_TASK_MAP      ? "MAP"
        : !RNNP_WITH_RGB && h->channels == 3              ? "RGB"
                                                          : NULL;
}

bool rnnp_container_check(const uint8_t *blob, size_t size, rnnp_error_t *error) {
    const rnnp_header_t *h = (const void *)blob;
    rnnp_check_t c = { error, -1, RNNP_ERROR_FORMAT };
    if (!check_bytes(&c, blob, size)) {
        return false;
    }
    if (!RNNP_WITH_CHECKS) {
        return true;
    }
    bool detection = h->task == RNNP_TASK_DETECTION, layer = h->task == RNNP_TASK_LAYER, map = h->task == RNNP_TASK_MAP;
    const char *without = missing(h);
    rnnp_check_fields(&c, h, header_fields, RNNP_FIELDS(header_fields));
    rnnp_check_range(&c, "channels", h->channels, layer ? 0 : 1, h->channels == 2 ? 1 : 3);
    if (without != NULL) {
        rnnp_left_out(&c, without);
    }
    rnnp_check_range(&c, "num_ops", h->num_ops, 1, layer ? 1 : RNNP_MAX_OPS);
    rnnp_check_range(&c, "max_candidates", h->max_candidates, detection, detection ? RNNP_MAX_CANDIDATES : 0);
    rnnp_check_range(&c, "result_scale", (int32_t)h->result_scale, map ? LEAST_SCALE : 0, map ? MOST_SCALE : 0);
    rnnp_check_range(&c, "numbers", h->numbers, 0, h->task == RNNP_TASK_CLASSIFICATION);
    rnnp_check_zeros(&c, "reserved", h->reserved, sizeof(h->reserved));
    rnnp_check_range(&c, "labels_size", (int32_t)h->labels_size, 1, MAX_LABELS_SIZE);
    rnnp_check_section(&c, "ops_offset", h->ops_offset, h->num_ops * RNNP_OP_SIZE, h->total_size);
    rnnp_check_section(&c, "labels_offset", h->labels_offset, h->labels_size, h->total_size);
    return check_name(&c, h->name) && check_labels(&c, blob + h->labels_offset, h->labels_size, h->num_labels);
}
