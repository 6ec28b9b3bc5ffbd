// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What binding.h declares under "port", for firmware: MicroPython's own functions are at hand.

#include <string.h>

#include "py/cstack.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/objarray.h"
#include "py/stream.h"
#if MICROPY_VFS
#include "extmod/vfs.h"
#endif

#include "binding/binding.h"

void rnnpool_check_stack(void) {
#if MICROPY_STACK_CHECK
    // As mp_cstack_check(), but with room for the engine, which does not check.
    if (mp_cstack_usage() + RNNPOOL_STACK_BYTES >= MP_STATE_THREAD(stack_limit)) {
        mp_raise_recursion_depth();
    }
#endif
}

void rnnpool_handle_events(void) {
    mp_event_handle_nowait();
}

uint32_t rnnpool_get_fixed(mp_obj_t number, uint32_t one, uint32_t most) {
    mp_float_t real = mp_obj_get_float(number);
    if (!(real >= MICROPY_FLOAT_CONST(0.0) && real <= (mp_float_t)most)) {
        return UINT32_MAX;
    }
    return (uint32_t)(real * (mp_float_t)one + MICROPY_FLOAT_CONST(0.5));
}

mp_obj_t rnnpool_new_float(uint32_t value, uint32_t one) {
    return mp_obj_new_float((mp_float_t)value / (mp_float_t)one);
}

mp_obj_t rnnpool_new_float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return mp_obj_new_float((mp_float_t)value);
}

mp_obj_t rnnpool_try(void (*body)(void *), void *context) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        body(context);
        nlr_pop();
        return MP_OBJ_NULL;
    }
    return MP_OBJ_FROM_PTR(nlr.ret_val);
}

void *rnnpool_allocate(size_t bytes) {
#if MICROPY_ENABLE_GC
    MP_STATIC_ASSERT(MICROPY_BYTES_PER_GC_BLOCK % RNNP_ALIGNMENT == 0);
#endif
    void *memory = m_malloc_maybe(bytes);
    if (memory != NULL) {
        return memory;
    }
#if MICROPY_ENABLE_GC
    if (gc_is_locked()) {
        mp_raise_msg_varg(&mp_type_MemoryError, MP_ERROR_TEXT("needs %u bytes, heap is locked"), (unsigned int)bytes);
    }
    gc_info_t info;
    gc_info(&info);
    mp_raise_msg_varg(&mp_type_MemoryError, MP_ERROR_TEXT("needs %u bytes, %u free, largest block %u"),
        (unsigned int)bytes, (unsigned int)info.free, (unsigned int)(info.max_free * MICROPY_BYTES_PER_GC_BLOCK));
#else
    mp_raise_msg_varg(&mp_type_MemoryError, MP_ERROR_TEXT("needs %u bytes"), (unsigned int)bytes);
#endif
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

// There is no way back from a memoryview to what it is a view of: all of the heap is looked through, block by block.
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

mp_obj_t rnnpool_find_owner(mp_obj_t buffer) {
    mp_buffer_info_t view;
    if (mp_obj_is_type(buffer, &mp_type_bytearray) || mp_obj_is_type(buffer, &mp_type_array) ||
        !mp_get_buffer(buffer, &view, MP_BUFFER_READ) || view.len == 0) {
        return MP_OBJ_NULL;
    }
    return find_owner(view.buf);
}

mp_obj_t rnnpool_file_open(mp_obj_t path) {
#if MICROPY_VFS
    mp_obj_t args[] = { path, MP_OBJ_NEW_QSTR(MP_QSTR_rb) };
    return mp_vfs_open(MP_ARRAY_SIZE(args), args, (mp_map_t *)&mp_const_empty_map);
#else
    (void)path;
    mp_raise_OSError(MP_ENODEV);
#endif
}

size_t rnnpool_file_seek(mp_obj_t file, rnnpool_whence_t whence) {
    int error;
    mp_off_t at = mp_stream_seek(file, 0, (int)whence, &error);
    if (at == (mp_off_t)-1) {
        mp_raise_OSError(error);
    }
    return (size_t)at;
}

size_t rnnpool_file_read(mp_obj_t file, uint8_t *to, size_t bytes) {
    int error;
    mp_uint_t got = mp_stream_read_exactly(file, to, bytes, &error);
    if (error != 0) {
        mp_raise_OSError(error);
    }
    return got;
}

void rnnpool_file_close(mp_obj_t file) {
    mp_stream_close(file);
}
