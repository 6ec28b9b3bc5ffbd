// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What firmware and a native .mpy do differently, declared for both. This one is firmware's; natmod/port.h has the same names
// for a .mpy, which reaches MicroPython only through a table of functions and learns its names (MP_QSTR_...) when it is
// loaded. The functions are defined in firmware.c and in natmod/runtime.c.
#ifndef RNNPOOL_PORT_H
#define RNNPOOL_PORT_H

#include "py/obj.h"
#include "py/runtime.h"

#if !MICROPY_PY_BUILTINS_FLOAT
#error "rnnpool gives scores as floats: the port must have MICROPY_PY_BUILTINS_FLOAT"
#endif
#if !MICROPY_MODULE_BUILTIN_INIT
#error "rnnpool forgets its cached model at a soft reset: the port must have MICROPY_MODULE_BUILTIN_INIT"
#endif

#ifndef MP_NORETURN // its name before MicroPython 1.26
#define MP_NORETURN NORETURN
#endif

// A variable of one file, and a table that holds names.
#define RNNPOOL_VARIABLE static
#define RNNPOOL_NAMES static const

#define RNNPOOL_DECLARE_TYPE(type) extern const mp_obj_type_t type
#define RNNPOOL_DEFINE_TYPE(type, name, make, get_attr, print_on, methods) \
    MP_DEFINE_CONST_OBJ_TYPE(                                              \
        type, name, MP_TYPE_FLAG_NONE, make_new, make, attr, get_attr, print, print_on, locals_dict, &methods)
#define RNNPOOL_TYPE(type) (&type)

// The rows are { MP_ROM_QSTR(...), MP_ROM_PTR(...) }.
#define RNNPOOL_DEFINE_DICT(dict, ...)                               \
    static const mp_rom_map_elem_t dict##_table[] = { __VA_ARGS__ }; \
    static MP_DEFINE_CONST_DICT(dict, dict##_table)

// The models that the module keeps, known to the garbage collector (functions.c).
#define RNNPOOL_KEPT_MODELS (MP_STATE_VM(rnnpool_kept_models))

#endif // RNNPOOL_PORT_H
