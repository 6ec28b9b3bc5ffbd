// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A blob's bytes: in a buffer, a file or the firmware. Which of them a script means is open.c's.

#include <string.h>

#include "py/mperrno.h"

#include "engine/blob/record.h"
#include "engine/left_out.h"

#include "binding/binding.h"

static bool is_aligned(const void *address) {
    return (uintptr_t)address % RNNP_ALIGNMENT == 0;
}

// Bytes of the blob that starts with these ones; raises if they start none, or one longer than `available` bytes.
static size_t blob_size(const uint8_t *bytes, size_t len, size_t available) {
    uint8_t header[RNNP_HEADER_SIZE] __attribute__((aligned(RNNP_ALIGNMENT)));
    len = MIN(len, sizeof(header));
    memcpy(header, bytes, len);
    // The engine knows the header: given no more than that, it answers how much there should be.
    rnnp_model_t model;
    rnnp_error_t error;
    if (rnnp_model_init(&model, header, len, &error) != RNNP_ERROR_TRUNCATED) {
        rnnpool_raise_blob(&error, header, len); // a blob is longer than its header
    }
    if (error.expected > available) {
        error.given = (uint32_t)available;
        rnnpool_raise(&error);
    }
    return error.expected;
}

static void read_exactly(mp_obj_t file, uint8_t *to, size_t bytes) {
    if (rnnpool_file_read(file, to, bytes) != bytes) {
        mp_raise_OSError(MP_EIO); // it was longer a moment ago
    }
}

typedef struct {
    rnnpool_source_t *source;
    mp_obj_t file;
} reading_t;

static void read_blob(void *context) {
    rnnpool_source_t *source = ((reading_t *)context)->source;
    mp_obj_t file = ((reading_t *)context)->file;
    size_t available = rnnpool_file_seek(file, RNNPOOL_END);
    rnnpool_file_seek(file, RNNPOOL_START);
    uint8_t header[RNNP_HEADER_SIZE];
    size_t len = MIN(available, sizeof(header));
    read_exactly(file, header, len);
    source->size = blob_size(header, len, available);
    source->copy = rnnpool_allocate(source->size);
    memcpy(source->copy, header, len);
    read_exactly(file, source->copy + len, source->size - len);
    source->data = source->copy;
}

// The file does not stay open if reading fails, say for lack of memory.
static void read_file(rnnpool_source_t *source, mp_obj_t file) {
    reading_t reading = { source, file };
    mp_obj_t error = rnnpool_try(read_blob, &reading);
    rnnpool_file_close(file);
    if (error != MP_OBJ_NULL) {
        nlr_raise(error);
    }
}

// Takes a buffer, in place if it can be.
static void use_buffer(rnnpool_source_t *source, const mp_buffer_info_t *buffer) {
    source->size = buffer->len;
    source->data = buffer->buf;
    if (!is_aligned(buffer->buf)) {
        source->size = blob_size(buffer->buf, buffer->len, buffer->len);
        source->copy = rnnpool_allocate(source->size);
        memcpy(source->copy, buffer->buf, source->size);
        source->data = source->copy;
        source->memory.owner = MP_OBJ_NULL;
        return;
    }
    mp_buffer_info_t unused;
    source->writable = mp_get_buffer(source->memory.owner, &unused, MP_BUFFER_RW);
}

// Without checks what a script has may write anywhere.
static void refuse_unchecked(void) {
    if (!RNNP_WITH_CHECKS) {
        mp_raise_ValueError(MP_ERROR_TEXT("CHECKS is not in this firmware: built-in models only"));
    }
}

typedef struct {
    rnnpool_source_t *source;
    mp_obj_t path;
} opening_t;

static void open_file(void *context) {
    rnnpool_source_t *source = ((opening_t *)context)->source;
    mp_obj_t file = rnnpool_file_open(((opening_t *)context)->path);
    mp_buffer_info_t buffer;
    if (mp_get_buffer(file, &buffer, MP_BUFFER_READ)) { // ROMFS: the file is mapped
        source->memory = (rnnpool_memory_t){ .owner = file, .size = SIZE_MAX };
        use_buffer(source, &buffer);
        return;
    }
    read_file(source, file);
}

// Whether an OSError says that there is no such file or file system, rather than that it can't be read.
static bool is_missing(mp_obj_t error) {
    if (!mp_obj_exception_match(error, MP_OBJ_FROM_PTR(&mp_type_OSError))) {
        return false;
    }
    mp_obj_t number = mp_obj_exception_get_value(error);
    return number == MP_OBJ_NEW_SMALL_INT(MP_ENOENT) || number == MP_OBJ_NEW_SMALL_INT(MP_ENODEV);
}

bool rnnpool_source_open_file(rnnpool_source_t *source, mp_obj_t path) {
    refuse_unchecked();
    *source = (rnnpool_source_t){ .memory = { .owner = MP_OBJ_NULL } };
    opening_t opening = { source, path };
    mp_obj_t error = rnnpool_try(open_file, &opening);
    if (error != MP_OBJ_NULL && !is_missing(error)) {
        nlr_raise(error);
    }
    return error == MP_OBJ_NULL;
}

void rnnpool_source_open_buffer(rnnpool_source_t *source, mp_obj_t from) {
    refuse_unchecked();
    *source = (rnnpool_source_t){ .memory = { .owner = MP_OBJ_NULL } };
    rnnpool_memory_init(&source->memory, from);
    mp_buffer_info_t buffer;
    rnnpool_memory_look_up(&source->memory, &buffer, MP_BUFFER_READ);
    use_buffer(source, &buffer);
}

void rnnpool_source_open_firmware(rnnpool_source_t *source, const uint8_t *data, size_t size) {
    *source = (rnnpool_source_t){ .memory = { .owner = MP_OBJ_NULL }, .data = data, .size = size };
}

bool rnnpool_source_acquire(rnnpool_source_t *source) {
    if (source->memory.owner == MP_OBJ_NULL) {
        return true;
    }
    mp_buffer_info_t buffer;
    rnnpool_memory_look_up(&source->memory, &buffer, MP_BUFFER_READ);
    if (buffer.buf == source->data && buffer.len == source->size) {
        return true;
    }
    use_buffer(source, &buffer);
    return false;
}
