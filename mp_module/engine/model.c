// This file is part of rnnpool. MIT licence, see LICENSE.
#include <string.h>

#include "check.h"
#include "crc32.h"
#include "op.h"
#include "plan.h"
#include "rnnp.h"

#define MAX_LABELS_SIZE (4096)
#define NAME_OFFSET (52)
#define NAME_SIZE (32)
#define RESERVED_OFFSET (84)
#define RESERVED_SIZE (44)

// Bytes of the UTF-8 sequence at `text`, 0 if it is none. Overlong forms, surrogates and values past U+10FFFF are none.
static uint32_t utf8_length(const uint8_t *text, uint32_t size) {
    uint8_t lead = text[0];
    if (lead < 0x80) {
        return 1;
    }
    uint32_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > size) {
        return 0;
    }
    // The second byte's range depends on the lead where the plain one would allow too much.
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (uint32_t i = 2; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

// Counts the NULs of UTF-8 text; false, with the error filled, if it is not UTF-8. The error gives place and byte.
static bool check_text(
    const rnnp_check_t *check, const char *what, const uint8_t *text, uint32_t size, uint32_t *nuls) {
    *nuls = 0;
    for (uint32_t i = 0; i < size;) {
        uint32_t length = utf8_length(text + i, size - i);
        if (length == 0) {
            rnnp_fail(check->error, RNNP_ERROR_FORMAT, check->op, what, i, text[i]);
            return false;
        }
        *nuls += text[i] == 0;
        i += length;
    }
    return true;
}

static bool check_name(const rnnp_check_t *check, const uint8_t *name) {
    uint32_t length = 0, nuls;
    while (length < NAME_SIZE && name[length] != 0) {
        length++;
    }
    return rnnp_check_range(check, "name", (int32_t)length, 1, NAME_SIZE - 1) &&
        rnnp_check_zeros(check, "name", name + length, NAME_SIZE - length) &&
        check_text(check, "name", name, length, &nuls);
}

static bool check_labels(const rnnp_check_t *check, const uint8_t *labels, uint32_t size, uint32_t num_labels) {
    uint32_t nuls;
    return rnnp_check_range(check, "labels", labels[size - 1], 0, 0) &&
        check_text(check, "labels", labels, size, &nuls) &&
        rnnp_check_range(check, "num_labels", (int32_t)num_labels, (int32_t)nuls, (int32_t)nuls);
}

// What can be said of the bytes as a whole.
static rnnp_status_t check_container(const uint8_t *blob, size_t size, rnnp_error_t *error) {
    uint32_t given = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
    if ((uintptr_t)blob % RNNP_ALIGNMENT != 0) {
        uint32_t remainder = (uint32_t)((uintptr_t)blob % RNNP_ALIGNMENT);
        return rnnp_fail(error, RNNP_ERROR_ALIGNMENT, -1, "blob", RNNP_ALIGNMENT, remainder);
    }
    if (size < RNNP_HEADER_SIZE) {
        return rnnp_fail(error, RNNP_ERROR_TRUNCATED, -1, "header", RNNP_HEADER_SIZE, given);
    }
    uint32_t magic = rnnp_read_u32(blob), expected_magic = rnnp_read_u32((const uint8_t *)"RNNP");
    if (magic != expected_magic) {
        return rnnp_fail(error, RNNP_ERROR_FORMAT, -1, "magic", expected_magic, magic);
    }
    uint32_t version = rnnp_read_u16(blob + 4), header_size = rnnp_read_u16(blob + 6);
    if (version != RNNP_BLOB_VERSION) {
        return rnnp_fail(error, RNNP_ERROR_UNSUPPORTED, -1, "version", RNNP_BLOB_VERSION, version);
    }
    if (header_size != RNNP_HEADER_SIZE) {
        return rnnp_fail(error, RNNP_ERROR_FORMAT, -1, "header_size", RNNP_HEADER_SIZE, header_size);
    }
    uint32_t total = rnnp_read_u32(blob + 8);
    if (total > given) {
        return rnnp_fail(error, RNNP_ERROR_TRUNCATED, -1, "total_size", total, given);
    }
    if (total < RNNP_HEADER_SIZE || total % RNNP_SECTION_ALIGNMENT != 0) {
        uint32_t expected = total < RNNP_HEADER_SIZE ? RNNP_HEADER_SIZE : RNNP_SECTION_ALIGNMENT;
        return rnnp_fail(error, RNNP_ERROR_FORMAT, -1, "total_size", expected, total);
    }
    uint32_t crc = rnnp_crc32(0, blob + 16, total - 16), expected_crc = rnnp_read_u32(blob + 12);
    if (crc != expected_crc) {
        return rnnp_fail(error, RNNP_ERROR_CHECKSUM, -1, "crc32", expected_crc, crc);
    }
    return RNNP_OK;
}

static bool check_header(const uint8_t *blob, rnnp_error_t *error) {
    rnnp_check_t c = { error, -1 };
    bool detection = blob[16] == RNNP_TASK_DETECTION, layer = blob[16] == RNNP_TASK_LAYER;
    if (!rnnp_check_range(&c, "task", blob[16], RNNP_TASK_DETECTION, RNNP_TASK_LAYER) ||
        !rnnp_check_range(&c, "channels", blob[17], layer ? 0 : 1, blob[17] == 2 ? 1 : 3) ||
        !rnnp_check_range(&c, "height", rnnp_read_u16(blob + 18), 1, RNNP_MAX_SIDE) ||
        !rnnp_check_range(&c, "width", rnnp_read_u16(blob + 20), 1, RNNP_MAX_SIDE) ||
        !rnnp_check_range(&c, "num_ops", rnnp_read_u16(blob + 22), 1, layer ? 1 : RNNP_MAX_OPS) ||
        !rnnp_check_range(&c, "num_labels", rnnp_read_u16(blob + 36), 1, 256) ||
        !rnnp_check_range(&c, "threshold", rnnp_read_u16(blob + 38), 0, 32767) ||
        !rnnp_check_range(&c, "iou", rnnp_read_u16(blob + 40), 0, 32767) ||
        !rnnp_check_range(
            &c, "max_candidates", rnnp_read_u16(blob + 42), detection ? 1 : 0, detection ? RNNP_MAX_CANDIDATES : 0) ||
        !rnnp_check_zeros(&c, "reserved", blob + RESERVED_OFFSET, RESERVED_SIZE)) {
        return false;
    }
    uint32_t total = rnnp_read_u32(blob + 8);
    uint32_t labels_offset = rnnp_read_u32(blob + 28), labels_size = rnnp_read_u32(blob + 32);
    if (labels_size < 1 || labels_size > MAX_LABELS_SIZE) {
        rnnp_fail(error, RNNP_ERROR_FORMAT, -1, "labels_size", labels_size < 1 ? 1 : MAX_LABELS_SIZE, labels_size);
        return false;
    }
    uint32_t table_size = (uint32_t)rnnp_read_u16(blob + 22) * RNNP_OP_SIZE;
    return rnnp_check_section(&c, "ops_offset", rnnp_read_u32(blob + 24), table_size, total) &&
        rnnp_check_section(&c, "labels_offset", labels_offset, labels_size, total) &&
        check_name(&c, blob + NAME_OFFSET) &&
        check_labels(&c, blob + labels_offset, labels_size, rnnp_read_u16(blob + 36));
}

rnnp_status_t rnnp_model_init(rnnp_model_t *model, const uint8_t *blob, size_t size, rnnp_error_t *error) {
    rnnp_fail(error, RNNP_OK, -1, "", 0, 0);
    if (check_container(blob, size, error) != RNNP_OK || !check_header(blob, error)) {
        return error->status;
    }
    rnnp_model_t checked = {
        .blob = blob,
        .size = rnnp_read_u32(blob + 8),
        .task = (rnnp_task_t)blob[16],
        .height = rnnp_read_u16(blob + 18),
        .width = rnnp_read_u16(blob + 20),
        .channels = blob[17],
        .num_ops = (uint8_t)rnnp_read_u16(blob + 22),
        .num_labels = rnnp_read_u16(blob + 36),
        .threshold = rnnp_read_u16(blob + 38),
        .iou = rnnp_read_u16(blob + 40),
        .max_candidates = rnnp_read_u16(blob + 42),
        .golden_seed = rnnp_read_u32(blob + 44),
        .golden_crc = rnnp_read_u32(blob + 48),
        .name = (const char *)blob + NAME_OFFSET,
        .labels = (const char *)blob + rnnp_read_u32(blob + 28),
    };
    if (!rnnp_reads_pixels(&checked)) { // a layer: its operator says how many
        checked.channels = rnnp_read_u16(blob + rnnp_read_u32(blob + 24) + 8);
    }
    if (!rnnp_check_operators(&checked, error)) {
        return error->status;
    }
    uint64_t arena = rnnp_plan_size(&checked, NULL);
    if (arena > RNNP_MAX_ARENA) {
        uint32_t given = arena < UINT32_MAX ? (uint32_t)arena : UINT32_MAX;
        return rnnp_fail(error, RNNP_ERROR_FORMAT, -1, "arena", RNNP_MAX_ARENA, given);
    }
    *model = checked;
    return RNNP_OK;
}

void rnnp_model_op_info(const rnnp_model_t *model, uint32_t index, rnnp_op_info_t *info) {
    rnnp_op_t op;
    rnnp_op_get(&op, model, index);
    info->kind = (rnnp_kind_t)op.kind;
    info->height = op.out_height;
    info->width = op.out_width;
    info->channels = op.out_channels;
    info->arena = rnnp_plan_op_arena(model, index);
    info->macs = rnnp_op_macs(&op);
}
