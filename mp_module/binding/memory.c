// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Memory of scripts: whose it is, and whether two pieces of it overlap.

#include "py/objarray.h"

#include "binding/binding.h"

bool rnnpool_overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
    return (uintptr_t)a < (uintptr_t)b + b_size && (uintptr_t)b < (uintptr_t)a + a_size;
}

void rnnpool_memory_init(rnnpool_memory_t *memory, mp_obj_t buffer) {
    *memory = (rnnpool_memory_t){ .owner = buffer, .size = SIZE_MAX };
    mp_obj_t owner = rnnpool_find_owner(buffer);
    if (owner != MP_OBJ_NULL) {
        mp_buffer_info_t view;
        mp_get_buffer_raise(buffer, &view, MP_BUFFER_READ);
        mp_obj_array_t *array = MP_OBJ_TO_PTR(owner);
        *memory = (rnnpool_memory_t){ owner, (size_t)((uint8_t *)view.buf - (uint8_t *)array->items), view.len };
    }
}

void rnnpool_memory_look_up(const rnnpool_memory_t *memory, mp_buffer_info_t *buffer, mp_uint_t flags) {
    mp_get_buffer_raise(memory->owner, buffer, flags);
    size_t offset = MIN(memory->offset, buffer->len);
    buffer->buf = (uint8_t *)buffer->buf + offset;
    buffer->len = MIN(buffer->len - offset, memory->size);
}
