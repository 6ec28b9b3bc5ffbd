// This file is part of rnnpool. MIT licence, see LICENSE.
//
// binding/port.h for a native .mpy: the same names, and those functions of MicroPython that py/dynruntime.h lacks
// (runtime.c). Names (MP_QSTR_...) are no constants here: they are read from a table that MicroPython fills at the import.
#ifndef RNNPOOL_PORT_H
#define RNNPOOL_PORT_H

#include "py/dynruntime.h"

#ifndef MP_NORETURN // its name before MicroPython 1.26
#define MP_NORETURN NORETURN
#endif

#define RNNPOOL_VARIABLE // the linker refuses a static one
#define RNNPOOL_NAMES const

// Types are filled in by <type>_init(), which mpy_init() calls.
#define RNNPOOL_DECLARE_TYPE(type)  \
    extern mp_obj_full_type_t type; \
    void type##_init(void)
#define RNNPOOL_DEFINE_TYPE(type, name, make, get_attr, print_on, methods)        \
    mp_obj_full_type_t type;                                                      \
    void type##_init(void) {                                                      \
        rnnpool_init_type(&type, name, make, get_attr, print_on, methods##_fill); \
    }
#define RNNPOOL_TYPE(type) ((const mp_obj_type_t *)&type)

#define RNNPOOL_DEFINE_DICT(dict, ...)                    \
    static void dict##_fill(mp_obj_t to) {                \
        const mp_rom_map_elem_t rows[] = { __VA_ARGS__ }; \
        rnnpool_fill_dict(to, rows, MP_ARRAY_SIZE(rows)); \
    }

void rnnpool_fill_dict(mp_obj_t dict, const mp_rom_map_elem_t *rows, size_t num_rows);
void rnnpool_init_type(mp_obj_full_type_t *type, qstr name, mp_make_new_fun_t make, mp_attr_fun_t get_attr,
    mp_print_fun_t print_on, void (*fill_methods)(mp_obj_t dict));
void rnnpool_fill_module(mp_obj_t globals); // modrnnpool.c

#define MP_REGISTER_ROOT_POINTER(variable)
#define RNNPOOL_KEPT_MODELS (rnnpool_natmod.kept_models)

// What the module remembers. The garbage collector looks at it: it is of the same kind of memory as the code.
typedef struct {
    mp_obj_t run_events, do_nothing; // Python functions, start.py
    mp_obj_t open, mem_free; // io.open, gc.mem_free
    mp_obj_t kept_models[2];
    // Types that dynruntime.h would look up among the globals of the script that happens to run.
    const mp_obj_type_t *array, *MemoryError, *OSError, *OverflowError, *RuntimeError, *TypeError, *ValueError;
} rnnpool_natmod_t;
extern rnnpool_natmod_t rnnpool_natmod;

#undef mp_type_RuntimeError
#undef mp_type_TypeError
#undef mp_type_ValueError
#define mp_type_array (*rnnpool_natmod.array)
#define mp_type_MemoryError (*rnnpool_natmod.MemoryError)
#define mp_type_OSError (*rnnpool_natmod.OSError)
#define mp_type_OverflowError (*rnnpool_natmod.OverflowError)
#define mp_type_RuntimeError (*rnnpool_natmod.RuntimeError)
#define mp_type_TypeError (*rnnpool_natmod.TypeError)
#define mp_type_ValueError (*rnnpool_natmod.ValueError)

#define MP_ROM_QSTR(name) MP_OBJ_NEW_QSTR(name) // dynruntime.h takes it away
#undef MP_ROM_NONE
#define MP_ROM_NONE (mp_fun_table.const_none)

// Without MicroPython's compression of texts.
#undef MP_ERROR_TEXT
#define MP_ERROR_TEXT(text) (text)

MP_NORETURN void rnnpool_raise_text(const mp_obj_type_t *type, const char *format, ...);
#undef mp_raise_msg
#undef mp_raise_OSError
#define mp_raise_msg_varg rnnpool_raise_text
#define mp_raise_msg(type, text) rnnpool_raise_text(type, "%s", text)
#define mp_raise_OSError(error) nlr_raise(rnnpool_new_exception(&mp_type_OSError, MP_OBJ_NEW_SMALL_INT(error)))

mp_obj_t rnnpool_new_exception(const mp_obj_type_t *type, mp_obj_t arg);
#define mp_obj_new_exception_args(type, n, args) mp_call_function_n_kw(MP_OBJ_FROM_PTR(type), n, 0, args)
#define mp_obj_exception_match(error, type) (MP_OBJ_FROM_PTR(mp_obj_get_type(error)) == (type))
mp_obj_t mp_obj_exception_get_value(mp_obj_t error);

// dynruntime.h's cuts off what a word has no room for.
#undef mp_obj_get_int
#define mp_obj_get_int rnnpool_get_int
mp_int_t rnnpool_get_int(mp_obj_t value);

mp_obj_t mp_obj_new_int_from_ull(unsigned long long value);
void mp_obj_get_array_fixed_n(mp_obj_t from, size_t len, mp_obj_t **items);

#endif // RNNPOOL_PORT_H
