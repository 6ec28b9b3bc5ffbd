// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Memory of scripts: whose it is, and whether two pieces of it overlap.

#include "py/cstack.h"
#include "py/gc.h"
#include "py/objarray.h"

#include "binding/binding.h"

void rnnpool_check_stack(void) {
#if MICROPY_STACK_CHECK
    // As mp_cstack_check(), but with room for the engine, which does not check.
    if (mp_cstack_usage() + RNNPOOL_STACK_BYTES >= MP_STATE_THREAD(stack_limit)) {
        mp_raise_recursion_depth();
    }
#endif
}

bool rnnpool_overlap(const void *a, size_t a_size, const void *b, size_t b_size) {
    return (uintptr_t)a < (uintptr_t)b + b_size && (uintptr_t)b < (uintptr_t)a + a_size;
}

// Whether a block of the heap is a bytearray or an array, of which `address` is a part.
static bool owns(const void *block, size_t bytes, const uint8_t *address) {
    const mp_obj_array_t *array = block;
    if (bytes < sizeof(*array) || (array->base.type != &mp_type_bytearray && array->base.type != &mp_type_array)) {
        return false;
    }
    const uint8_t *items = array->items;
    return items <= address && address < items + gc_nbytes(items);
}

// The bytearray or array in whose items an address lies, or MP_OBJ_NULL. There is no way back from a memoryview to what it is
// a view of: all of the heap is looked through, block by block.
static mp_obj_t find_owner(const uint8_t *address) {
    mp_state_mem_area_t *area = &MP_STATE_MEM(area);
    do {
        uint8_t *block = area->gc_pool_start;
        while (block < area->gc_pool_end) {
            size_t bytes = gc_nbytes(block);
            if (owns(block, bytes, address)) {
                return MP_OBJ_FROM_PTR(block);
            }
            block += MAX(bytes, MICROPY_BYTES_PER_GC_BLOCK);
        }
#if MICROPY_GC_SPLIT_HEAP
        area = area->next;
#else
        area = NULL;
#endif
    } while (area != NULL);
    return MP_OBJ_NULL;
}

void rnnpool_memory_init(rnnpool_memory_t *memory, mp_obj_t buffer) {
    *memory = (rnnpool_memory_t){ .owner = buffer, .size = SIZE_MAX };
    mp_buffer_info_t view;
    if (mp_obj_is_type(buffer, &mp_type_bytearray) || mp_obj_is_type(buffer, &mp_type_array) ||
        !mp_get_buffer(buffer, &view, MP_BUFFER_READ) || view.len == 0) {
        return;
    }
    mp_obj_t owner = find_owner(view.buf);
    if (owner != MP_OBJ_NULL) {
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
