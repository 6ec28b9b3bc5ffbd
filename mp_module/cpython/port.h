// This file is part of rnnpool. MIT licence, see LICENSE.
//
// binding/port.h for CPython: the same binding as a module of the computer's own Python, so that scripts get the same answers
// and the same sentences as on a board. These are the names of MicroPython's C API that the binding uses, by way of CPython's;
// the functions are in call.c (memory, references, exceptions), objects.c (values, arguments) and module.c (types, entry).
//
// MicroPython's objects are looked after by its garbage collector, CPython's by counting references. What the binding makes during
// a call belongs to the call (call.c): at its end all of it is given up but the result and what a model keeps.
#ifndef RNNPOOL_PORT_H
#define RNNPOOL_PORT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/rnnp.h"

#define MICROPY_ENABLE_DYNRUNTIME (0)
#define MP_NORETURN __attribute__((noreturn))
#define MP_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MP_ERROR_TEXT(text) (text)
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif

#define RNNPOOL_VARIABLE static
#define RNNPOOL_NAMES const

typedef PyObject *mp_obj_t;
typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;

#define MP_OBJ_NULL ((mp_obj_t)NULL)
#define MP_OBJ_SENTINEL ((mp_obj_t) & rnnpool_sentinel)
#define MP_OBJ_TO_PTR(object) ((void *)(object))
#define MP_OBJ_FROM_PTR(pointer) ((mp_obj_t)(pointer))
#define mp_const_none Py_None
#define mp_const_false Py_False
extern char rnnpool_sentinel;

// ---- Names

// clang-format off
#define RNNPOOL_QSTRS(X) \
    X(AveragePool) X(BGR888) X(Conv2D) X(Dense) X(GRAY8) X(Head) X(MBConv) X(Model) X(RGB565) X(RGB565_BE) \
    X(RGB888) X(RNNPool) X(UYVY) X(YUV420) X(YUYV) X(__version__) X(anchors) X(arena) X(auto) X(b) X(begin) \
    X(builtin_models) X(classification) X(classify) X(detect) X(detect_faces) X(detection) X(face) X(feed) \
    X(format) X(frame) X(gain) X(h) X(height) X(in_place) X(input_shape) X(iou) X(labels) X(layers) X(macs) X(map) \
    X(max_faces) X(mirror) X(name) X(numbers) X(offset) X(out) X(output_scale) X(output_shape) X(output_zero_point) X(person) \
    X(person_present) X(ram) X(required_ram) X(result) X(roi) X(rotate) X(row) X(run) X(scale) X(selftest) X(size) \
    X(source) X(step) X(stride) X(task) X(threshold) X(width)
// clang-format on
#define RNNPOOL_QSTR_ENUM(name) MP_QSTR_##name,
typedef enum { MP_QSTRnull, RNNPOOL_QSTRS(RNNPOOL_QSTR_ENUM) RNNPOOL_NUM_QSTRS } qstr;

// The str of a name: there is one of each, so that objects can be compared.
mp_obj_t rnnpool_str_of(qstr name);
#define MP_OBJ_NEW_QSTR(name) rnnpool_str_of(name)
const char *rnnpool_name_of(qstr name);
bool rnnpool_make_names(void); // false: a Python exception

// ---- Texts

typedef struct {
    void *data;
    void (*print_strn)(void *data, const char *text, size_t len);
} mp_print_t;
typedef int mp_print_kind_t;

void mp_vprintf(const mp_print_t *print, const char *format, va_list args); // %s %q %c %d %u %x with l and a width
void mp_printf(const mp_print_t *print, const char *format, ...);

// ---- Types, tables of methods

typedef struct _mp_obj_type_t mp_obj_type_t;
typedef struct _mp_map_t mp_map_t;
typedef struct {
    mp_obj_t (*kw)(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args); // or the one below
    mp_obj_t (*none)(void);
    mp_obj_t (*one)(mp_obj_t);
    mp_obj_t (*two)(mp_obj_t, mp_obj_t);
    mp_obj_t (*three)(mp_obj_t, mp_obj_t, mp_obj_t);
    size_t num_args; // the least that a `kw` takes
} rnnpool_function_t;

// What CPython calls (module.c): self is an object of one of our types, or the module.
PyObject *rnnpool_call(const rnnpool_function_t *function, PyObject *self, PyObject *args, PyObject *kwargs);

typedef struct {
    PyCFunction call;
} rnnpool_fun_obj_t;

#define RNNPOOL_DEFINE_FUNCTION(object, ...)                                    \
    PyObject *object##_call(PyObject *self, PyObject *args, PyObject *kwargs);  \
    extern const rnnpool_fun_obj_t object;                                      \
    PyObject *object##_call(PyObject *self, PyObject *args, PyObject *kwargs) { \
        static const rnnpool_function_t function = { __VA_ARGS__ };             \
        return rnnpool_call(&function, self, args, kwargs);                     \
    }                                                                           \
    const rnnpool_fun_obj_t object = { (PyCFunction)(void (*)(void))object##_call }
#define MP_DEFINE_CONST_FUN_OBJ_KW(object, least, function) \
    RNNPOOL_DEFINE_FUNCTION(object, .kw = function, .num_args = least)
#define MP_DEFINE_CONST_FUN_OBJ_0(object, function) RNNPOOL_DEFINE_FUNCTION(object, .none = function, .num_args = 0)
#define MP_DEFINE_CONST_FUN_OBJ_1(object, function) RNNPOOL_DEFINE_FUNCTION(object, .one = function, .num_args = 1)
#define MP_DEFINE_CONST_FUN_OBJ_2(object, function) RNNPOOL_DEFINE_FUNCTION(object, .two = function, .num_args = 2)
#define MP_DEFINE_CONST_FUN_OBJ_3(object, function) RNNPOOL_DEFINE_FUNCTION(object, .three = function, .num_args = 3)
#define MP_DECLARE_CONST_FUN_OBJ_KW(object) extern const rnnpool_fun_obj_t object
#define MP_DECLARE_CONST_FUN_OBJ_0 MP_DECLARE_CONST_FUN_OBJ_KW
#define MP_DECLARE_CONST_FUN_OBJ_1 MP_DECLARE_CONST_FUN_OBJ_KW
#define MP_DECLARE_CONST_FUN_OBJ_2 MP_DECLARE_CONST_FUN_OBJ_KW

// A row of a table: a name, and one of these.
typedef struct {
    qstr name;
    const void *pointer; // a rnnpool_fun_obj_t, or in the module's own table a mp_obj_type_t
    const char *text;
    long number;
} mp_rom_map_elem_t;
#define MP_ROM_QSTR(name) name
#define MP_ROM_PTR(to) .pointer = (to)
#define MP_ROM_INT(value) .number = (value)
#define MP_ROM_TEXT(value) .text = (value)
#define MP_ROM_NONE Py_None
#define RNNPOOL_DEFINE_DICT(dict, ...)                               \
    static const mp_rom_map_elem_t dict##_table[] = { __VA_ARGS__ }; \
    static const rnnpool_table_t dict = { dict##_table, MP_ARRAY_SIZE(dict##_table) }
typedef struct {
    const mp_rom_map_elem_t *rows;
    size_t num_rows;
} rnnpool_table_t;

struct _mp_obj_type_t {
    qstr name;
    mp_obj_t (*make_new)(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
    void (*attr)(mp_obj_t self, qstr attr, mp_obj_t *dest);
    void (*print)(const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind);
    const rnnpool_table_t *methods;
    PyTypeObject *python; // made by module.c
};
#define RNNPOOL_DECLARE_TYPE(type) extern mp_obj_type_t type
#define RNNPOOL_DEFINE_TYPE(type, name, make, get_attr, print_on, methods) \
    mp_obj_type_t type = { name, make, get_attr, print_on, &methods, NULL }
#define RNNPOOL_TYPE(type) (&type)

// The head of each of our objects.
typedef struct {
    PyObject head;
    const mp_obj_type_t *type;
} mp_obj_base_t;
#define mp_obj_malloc(structure, type) ((structure *)(void *)rnnpool_new_object(type))
mp_obj_t rnnpool_new_object(const mp_obj_type_t *type);

void rnnpool_fill_module(mp_obj_t module); // binding/modrnnpool.c
#define rnnpool_globals_fill(module) rnnpool_add_rows(module, &rnnpool_globals)
void rnnpool_add_rows(mp_obj_t module, const rnnpool_table_t *table);

#define MP_REGISTER_ROOT_POINTER(variable) _Static_assert(true, "")
#define RNNPOOL_KEPT_MODELS rnnpool_kept_models
#define RNNPOOL_NUM_KEPT_MODELS (2)
extern mp_obj_t rnnpool_kept_models[RNNPOOL_NUM_KEPT_MODELS];

// ---- Exceptions

// The types are CPython's own: &mp_type_ValueError is PyExc_ValueError.
#define mp_type_MemoryError (*PyExc_MemoryError)
#define mp_type_OSError (*PyExc_OSError)
#define mp_type_RuntimeError (*PyExc_RuntimeError)
#define mp_type_TypeError (*PyExc_TypeError)
#define mp_type_ValueError (*PyExc_ValueError)
#define MP_ENOENT ENOENT
#define MP_ENODEV ENODEV
#define MP_EIO EIO

MP_NORETURN void nlr_raise(mp_obj_t error);
MP_NORETURN void rnnpool_raise_pending(void); // CPython's own exception, which a function of it has left
MP_NORETURN void mp_raise_msg_varg(const PyObject *type, const char *format, ...);
#define mp_raise_msg(type, text) mp_raise_msg_varg(type, "%s", text)
#define mp_raise_ValueError(text) mp_raise_msg(PyExc_ValueError, text)
#define mp_raise_TypeError(text) mp_raise_msg(PyExc_TypeError, text)
MP_NORETURN void mp_raise_OSError(int number);
mp_obj_t mp_obj_new_exception_args(const PyObject *type, size_t n_args, const mp_obj_t *args);
mp_obj_t mp_obj_exception_get_value(mp_obj_t error);
#define mp_obj_exception_match(error, type) PyErr_GivenExceptionMatches(error, type)

// ---- Memory that a call or a model owns

void *rnnpool_new_block(size_t bytes); // raises MemoryError
void rnnpool_free_block(void *block); // NULL: nothing
#define m_new(type, count) ((type *)rnnpool_new_block((count) * sizeof(type)))
#define m_del(type, block, count) rnnpool_free_block(block)

// A new reference that is the call's from now on; raises the pending exception if it is NULL.
mp_obj_t rnnpool_own(mp_obj_t object);

// ---- Values

#define MP_OBJ_NEW_SMALL_INT(value) rnnpool_own(PyLong_FromSsize_t(value))
#define mp_obj_new_int_from_uint(value) rnnpool_own(PyLong_FromSize_t(value))
#define mp_obj_new_int_from_ull(value) rnnpool_own(PyLong_FromUnsignedLongLong(value))
#define mp_obj_new_bool(value) ((value) ? Py_True : Py_False)
#define mp_obj_new_str(text, len) rnnpool_own(PyUnicode_DecodeUTF8(text, (Py_ssize_t)(len), "surrogateescape"))
mp_obj_t mp_obj_new_tuple(size_t len, const mp_obj_t *items); // NULL: to be filled in place
mp_obj_t mp_obj_new_list(size_t len, const mp_obj_t *items); // the same
void mp_obj_list_append(mp_obj_t list, mp_obj_t item);
mp_obj_t mp_obj_new_bytearray_by_ref(size_t len, void *bytes); // a memoryview

// What the binding calls by MicroPython's type `array`: (typecode, bytes) as an array.
#define mp_type_array (*Py_None)
#define mp_call_function_n_kw(type, n_args, n_kw, args) rnnpool_new_array(args)
mp_obj_t rnnpool_new_array(const mp_obj_t *typecode_and_bytes);

#define mp_type_tuple PyTuple_Type
#define mp_type_list PyList_Type
#define mp_obj_is_type(object, type) PyObject_TypeCheck(object, type)
#define mp_obj_is_str(object) PyUnicode_Check(object)
bool mp_obj_is_true(mp_obj_t object);
mp_int_t mp_obj_get_int(mp_obj_t object);
const char *mp_obj_str_get_data(mp_obj_t str, size_t *len);
const char *mp_obj_str_get_str(mp_obj_t str);
void mp_obj_get_array(mp_obj_t tuple_or_list, size_t *len, mp_obj_t **items);
void mp_obj_get_array_fixed_n(mp_obj_t tuple_or_list, size_t len, mp_obj_t **items);

// ---- Buffers: exported until the call's end, so that no script moves them meanwhile

enum { MP_BUFFER_READ = 1, MP_BUFFER_WRITE = 2, MP_BUFFER_RW = 3 };
enum { BYTEARRAY_TYPECODE = 1 };
typedef struct {
    void *buf;
    size_t len;
    int typecode;
} mp_buffer_info_t;
bool mp_get_buffer(mp_obj_t object, mp_buffer_info_t *info, mp_uint_t flags);
void mp_get_buffer_raise(mp_obj_t object, mp_buffer_info_t *info, mp_uint_t flags);

// Raises ValueError for an array of numpy, say, that has another shape than the frame: its bytes alone would pass where width and
// height are exchanged, channels come first, or (height, width, 2) is taken for gray pixels of a frame that is twice as wide.
void rnnpool_check_shape(mp_obj_t pixels, const rnnp_frame_t *frame);
#define RNNPOOL_CHECK_SHAPE rnnpool_check_shape

// The same for rows that are fed: RGB rows to a model that was told of gray ones, say, would pass for three times as many.
void rnnpool_check_rows(mp_obj_t pixels, size_t rows);
#define RNNPOOL_CHECK_ROWS rnnpool_check_rows

const char *rnnpool_more_kinds(const uint8_t *bytes, size_t len);
#define RNNPOOL_MORE_KINDS rnnpool_more_kinds

// That of a pathlib.Path, say.
mp_obj_t rnnpool_path_of(mp_obj_t object);
#define RNNPOOL_PATH_OF rnnpool_path_of

// A block of it would be known to rnnpool_find_owner(), which knows none here: a memoryview keeps its bytearray as it is.
typedef struct {
    void *items;
} mp_obj_array_t;

// ---- Arguments

enum {
    MP_ARG_BOOL = 1,
    MP_ARG_INT = 2,
    MP_ARG_OBJ = 3,
    MP_ARG_KIND = 0xff,
    MP_ARG_REQUIRED = 0x100,
    MP_ARG_KW_ONLY = 0x200
};
typedef union {
    bool u_bool;
    mp_int_t u_int;
    mp_obj_t u_obj, u_rom_obj;
} mp_arg_val_t;
typedef struct {
    qstr qst;
    unsigned int flags;
    mp_arg_val_t defval;
} mp_arg_t;
struct _mp_map_t {
    size_t used;
    const mp_obj_t *pairs; // name, value, ...
};
void mp_arg_check_num(size_t n_args, size_t n_kw, size_t least, size_t most, bool takes_kw);
void mp_arg_parse_all(
    size_t n_pos, const mp_obj_t *pos, const mp_map_t *kw, size_t num, const mp_arg_t *allowed, mp_arg_val_t *out);
void mp_arg_parse_all_kw_array(
    size_t n_pos, size_t n_kw, const mp_obj_t *args, size_t num, const mp_arg_t *allowed, mp_arg_val_t *out);

// ---- The call (call.c)

// Calls body(context), whose result is in *result unless it raises, as a call of its own. Returns a new reference, or NULL with
// CPython's exception set.
PyObject *rnnpool_run_call(void (*body)(void *context), void *context, mp_obj_t *result);

// In a call that fills an object which is there already: the next rnnpool_new_object() gives that.
void rnnpool_construct(mp_obj_t object);

PyObject *rnnpool_instance_alloc(PyTypeObject *type, const mp_obj_type_t *native); // not made yet
void rnnpool_instance_free(PyObject *object);
bool rnnpool_instance_is_made(PyObject *object);
void rnnpool_instance_set_made(PyObject *object);
void rnnpool_instance_clear(PyObject *object); // what a failed constructor has left in it
size_t rnnpool_instance_size(void);

#endif // RNNPOOL_PORT_H
