// This file is part of rnnpool. MIT licence, see LICENSE.

#include <string.h>

#include "py/mperrno.h"
#include "py/stream.h"
#if MICROPY_VFS
#include "extmod/vfs.h"
#endif

#include "engine/blob/record.h"

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

#if MICROPY_VFS
static void read_exactly(mp_obj_t file, uint8_t *to, size_t bytes) {
    int error;
    mp_uint_t got = mp_stream_read_exactly(file, to, bytes, &error);
    if (error != 0) {
        mp_raise_OSError(error);
    }
    if (got != bytes) {
        mp_raise_OSError(MP_EIO); // it was longer a moment ago
    }
}

static size_t seek(mp_obj_t file, int whence) {
    int error;
    mp_off_t at = mp_stream_seek(file, 0, whence, &error);
    if (at == (mp_off_t)-1) {
        mp_raise_OSError(error);
    }
    return (size_t)at;
}

static void close_from_jump(void *file) {
    mp_stream_close(MP_OBJ_FROM_PTR(file));
}

static void read_file(rnnpool_source_t *source, mp_obj_t file) {
    // The file must not stay open if reading fails, say for lack of memory.
    MP_DEFINE_NLR_JUMP_CALLBACK_FUNCTION_1(failed, close_from_jump, MP_OBJ_TO_PTR(file));
    nlr_push_jump_callback(&failed.callback, mp_call_function_1_from_nlr_jump_callback);
    size_t available = seek(file, MP_SEEK_END);
    seek(file, MP_SEEK_SET);
    uint8_t header[RNNP_HEADER_SIZE];
    size_t len = MIN(available, sizeof(header));
    read_exactly(file, header, len);
    source->size = blob_size(header, len, available);
    source->copy = rnnpool_allocate(source->size);
    memcpy(source->copy, header, len);
    read_exactly(file, source->copy + len, source->size - len);
    source->data = source->copy;
    nlr_pop_jump_callback(true);
}
#endif

static mp_obj_t open_file(mp_obj_t path) {
#if MICROPY_VFS
    mp_obj_t args[] = { path, MP_OBJ_NEW_QSTR(MP_QSTR_rb) };
    return mp_vfs_open(MP_ARRAY_SIZE(args), args, (mp_map_t *)&mp_const_empty_map);
#else
    (void)path;
    mp_raise_OSError(MP_ENODEV);
#endif
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

// Whether a str is the name of a model rather than a path.
static bool is_name(mp_obj_t from) {
    size_t len;
    const char *text = mp_obj_str_get_data(from, &len);
    if (memchr(text, 0, len) != NULL) {
        mp_raise_ValueError(MP_ERROR_TEXT("model name or path with a NUL byte"));
    }
    return memchr(text, '/', len) == NULL && memchr(text, '.', len) == NULL;
}

void rnnpool_source_open(rnnpool_source_t *source, mp_obj_t from) {
    *source = (rnnpool_source_t){ .memory = { .owner = MP_OBJ_NULL } };
    mp_buffer_info_t buffer;
    if (!mp_obj_is_str(from)) {
        rnnpool_memory_init(&source->memory, from);
        rnnpool_memory_look_up(&source->memory, &buffer, MP_BUFFER_READ);
        use_buffer(source, &buffer);
        return;
    }
    if (is_name(from)) {
        rnnpool_builtin_open(source, mp_obj_str_get_str(from));
        return;
    }
    mp_obj_t file = open_file(from);
    if (mp_get_buffer(file, &buffer, MP_BUFFER_READ)) { // ROMFS: the file is mapped
        source->memory = (rnnpool_memory_t){ .owner = file, .size = SIZE_MAX };
        use_buffer(source, &buffer);
        return;
    }
#if MICROPY_VFS
    read_file(source, file);
#endif
}

void rnnpool_source_open_builtin(rnnpool_source_t *source, const uint8_t *data, size_t size) {
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
