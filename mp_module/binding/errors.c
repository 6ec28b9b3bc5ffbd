// This file is part of rnnpool. MIT licence, see LICENSE.

#include <string.h>

#include "binding/binding.h"

// Where printed text goes: as much as there is room for, and all of it is counted.
typedef struct {
    char *to;
    size_t room, len;
} text_t;

static void put_text(void *data, const char *part, size_t len) {
    text_t *text = data;
    if (text->len < text->room) {
        memcpy(text->to + text->len, part, MIN(len, text->room - text->len));
    }
    text->len += len;
}

static size_t print_text(char *to, size_t room, const char *format, va_list args) {
    text_t text = { to, room, 0 };
    mp_print_t print = { &text, put_text };
    mp_vprintf(&print, format, args);
    return text.len;
}

mp_obj_t rnnpool_new_text_va(const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    size_t len = print_text(NULL, 0, format, args);
    char *text = m_new(char, len);
    print_text(text, len, format, again);
    va_end(again);
    mp_obj_t str = mp_obj_new_str(text, len);
    m_del(char, text, len);
    return str;
}

mp_obj_t rnnpool_new_text(const char *format, ...) {
    va_list args;
    va_start(args, format);
    mp_obj_t text = rnnpool_new_text_va(format, args);
    va_end(args);
    return text;
}

// "operator 3 ", or "" for an error that belongs to none.
static void put_place(char *to, size_t room, const char *format, ...) {
    va_list args;
    va_start(args, format);
    to[print_text(to, room - 1, format, args)] = 0;
    va_end(args);
}

MP_NORETURN void rnnpool_raise(const rnnp_error_t *error) {
    char at[24] = "";
    if (error->op >= 0) {
        put_place(at, sizeof(at), "operator %d ", error->op);
    }
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
    const char *kind = rnnpool_file_kind(blob, size, 0);
    if (kind != NULL && error->status != RNNP_ERROR_ALIGNMENT &&
        (size < sizeof(uint32_t) || memcmp(blob, "RNNP", sizeof(uint32_t)) != 0)) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("this is %s data, not an .rnnp model"), kind);
    }
    rnnpool_raise(error);
}
