// This file is part of rnnpool. MIT licence, see LICENSE.

#include <string.h>

#include "py/gc.h"

#include "binding/binding.h"

MP_NORETURN void rnnpool_raise(const rnnp_error_t *error) {
    char buffer[24];
    vstr_t where;
    vstr_init_fixed_buf(&where, sizeof(buffer), buffer);
    if (error->op >= 0) {
        vstr_printf(&where, "operator %d ", error->op);
    }
    const char *at = vstr_null_terminated_str(&where);
    const char *what = error->what;
    unsigned int expected = (unsigned int)error->expected;
    unsigned int given = (unsigned int)error->given;
    (void)at; // in ports without error texts
    (void)what;
    (void)expected;
    (void)given;

    switch (error->status) {
        case RNNP_ERROR_TRUNCATED:
            mp_raise_msg_varg(
                &mp_type_ValueError, MP_ERROR_TEXT("%s%s: needs %u bytes, has %u"), at, what, expected, given);
        case RNNP_ERROR_ALIGNMENT:
            mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s%s: must be a multiple of %u, remainder %u"), at,
                what, expected, given);
        case RNNP_ERROR_CHECKSUM:
            mp_raise_msg_varg(
                &mp_type_ValueError, MP_ERROR_TEXT("%s%s: checksum %08x, expected %08x"), at, what, given, expected);
        case RNNP_ERROR_UNSUPPORTED:
            if (expected == 0) { // a kind of operator
                mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s%s is not in this firmware"), at, what);
            }
            if (given < expected) { // an old version
                mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s%s %u is old, not %u: export the model again"),
                    at, what, given, expected);
            }
            mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s%s %u not supported, newest known is %u"), at, what,
                given, expected);
        case RNNP_ERROR_ARENA:
            mp_raise_msg_varg(&mp_type_MemoryError, MP_ERROR_TEXT("needs %u bytes, arena has %u"), expected, given);
        case RNNP_ERROR_STATE:
            mp_raise_msg_varg(&mp_type_RuntimeError, MP_ERROR_TEXT("%s: needs %u rows, has %u"), what, expected, given);
        default: // FORMAT, ARGUMENT
            if (strcmp(what, "magic") == 0) {
                mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("not an .rnnp model: starts with %08x, not %08x"),
                    given, expected);
            }
            mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s%s: limit %u, is %u"), at, what, expected, given);
    }
}

MP_NORETURN void rnnpool_raise_blob(const rnnp_error_t *error, const uint8_t *blob, size_t size) {
    const char *kind = rnnpool_file_kind(blob, size);
    if (kind != NULL && error->status != RNNP_ERROR_ALIGNMENT &&
        (size < sizeof(uint32_t) || memcmp(blob, "RNNP", sizeof(uint32_t)) != 0)) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("this is %s data, not an .rnnp model"), kind);
    }
    rnnpool_raise(error);
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
