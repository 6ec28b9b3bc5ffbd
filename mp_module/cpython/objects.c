// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Values, texts, exceptions and arguments as the binding knows them, with MicroPython's sentences where it has some of its own.

#include <stdio.h>
#include <string.h>

#include "binding/binding.h"

// ---- Names

static PyObject *strs[RNNPOOL_NUM_QSTRS];

const char *rnnpool_name_of(qstr name) {
#define NAME(name) #name,
    static const char *const names[] = { "", RNNPOOL_QSTRS(NAME) };
    return names[name];
}

bool rnnpool_make_names(void) {
    for (qstr name = 0; name < RNNPOOL_NUM_QSTRS; name++) {
        strs[name] = PyUnicode_InternFromString(rnnpool_name_of(name));
        if (strs[name] == NULL) {
            return false;
        }
    }
    return true;
}

mp_obj_t rnnpool_str_of(qstr name) {
    return strs[name];
}

// A str that is the same as one of our names is that one.
static mp_obj_t find_name(mp_obj_t object) {
    for (qstr name = 0; name < RNNPOOL_NUM_QSTRS && PyUnicode_Check(object); name++) {
        if (PyUnicode_CompareWithASCIIString(object, rnnpool_name_of(name)) == 0) {
            return strs[name];
        }
    }
    return object;
}

// ---- Texts

void mp_vprintf(const mp_print_t *print, const char *format, va_list args) {
    while (*format != '\0') {
        size_t plain = strcspn(format, "%");
        print->print_strn(print->data, format, plain);
        format += plain;
        if (*format == '\0') {
            return;
        }
        size_t len = strspn(format + 1, "0123456789l") + 2;
        char how[8] = "", text[32];
        memcpy(how, format, MIN(len, sizeof(how) - 1));
        const char *part = text;
        bool is_long = strchr(how, 'l') != NULL;
        switch (how[len - 1]) {
            case 's':
                part = va_arg(args, const char *);
                break;
            case 'q':
                part = rnnpool_name_of((qstr)va_arg(args, int));
                break;
            case 'c':
            case 'd':
                if (is_long) {
                    snprintf(text, sizeof(text), how, va_arg(args, long));
                } else {
                    snprintf(text, sizeof(text), how, va_arg(args, int));
                }
                break;
            default: // u, x
                snprintf(text, sizeof(text), how, va_arg(args, unsigned int));
        }
        print->print_strn(print->data, part, strlen(part));
        format += len;
    }
}

void mp_printf(const mp_print_t *print, const char *format, ...) {
    va_list args;
    va_start(args, format);
    mp_vprintf(print, format, args);
    va_end(args);
}

// ---- Exceptions

void rnnpool_raise_pending(void) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(value, trace);
    }
    Py_XDECREF(trace);
    Py_XDECREF(type);
    nlr_raise(rnnpool_own(value));
}

mp_obj_t mp_obj_new_exception_args(const PyObject *type, size_t n_args, const mp_obj_t *args) {
    return rnnpool_own(PyObject_CallObject((PyObject *)type, mp_obj_new_tuple(n_args, args)));
}

void mp_raise_msg_varg(const PyObject *type, const char *format, ...) {
    va_list args;
    va_start(args, format);
    mp_obj_t text = rnnpool_new_text_va(format, args);
    va_end(args);
    nlr_raise(mp_obj_new_exception_args(type, 1, &text));
}

void mp_raise_OSError(int number) {
    errno = number;
    PyErr_SetFromErrno(PyExc_OSError);
    rnnpool_raise_pending();
}

mp_obj_t mp_obj_exception_get_value(mp_obj_t error) {
    mp_obj_t args = rnnpool_own(PyObject_GetAttrString(error, "args"));
    return PyTuple_GET_SIZE(args) == 0 ? Py_None : PyTuple_GET_ITEM(args, 0);
}

// ---- Numbers

MP_NORETURN static void raise_no_number(mp_obj_t object, const char *wanted) {
    mp_raise_msg_varg(PyExc_TypeError, "can't convert %s to %s", Py_TYPE(object)->tp_name, wanted);
}

mp_int_t mp_obj_get_int(mp_obj_t object) {
    Py_ssize_t value = PyNumber_AsSsize_t(object, PyExc_OverflowError); // __index__(), as numpy's integers have it
    if (value == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Clear();
            mp_raise_msg(PyExc_OverflowError, "overflow converting long int to machine word");
        }
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
            rnnpool_raise_pending();
        }
        PyErr_Clear();
        raise_no_number(object, "int");
    }
    return value;
}

bool mp_obj_is_true(mp_obj_t object) {
    int is_true = PyObject_IsTrue(object);
    if (is_true < 0) {
        rnnpool_raise_pending();
    }
    return is_true != 0;
}

uint32_t rnnpool_get_fixed(mp_obj_t number, uint32_t one, uint32_t most) {
    double real = PyFloat_AsDouble(number);
    if (real == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Clear();
            return UINT32_MAX;
        }
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
            rnnpool_raise_pending();
        }
        PyErr_Clear();
        raise_no_number(number, "float");
    }
    if (!(real >= 0.0 && real <= (double)most)) {
        return UINT32_MAX;
    }
    return (uint32_t)(real * (double)one + 0.5);
}

mp_obj_t rnnpool_new_float(uint32_t value, uint32_t one) {
    return rnnpool_own(PyFloat_FromDouble((double)value / (double)one));
}

mp_obj_t rnnpool_new_float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return rnnpool_own(PyFloat_FromDouble((double)value));
}

// ---- Strings, tuples, lists, buffers

const char *mp_obj_str_get_data(mp_obj_t str, size_t *len) {
    Py_ssize_t bytes;
    const char *text = PyUnicode_AsUTF8AndSize(str, &bytes);
    if (text == NULL) { // a file's name that is no UTF-8, which Python has as halves of surrogate pairs
        PyErr_Clear();
        mp_obj_t name = rnnpool_own(PyUnicode_AsEncodedString(str, "utf-8", "surrogateescape"));
        text = PyBytes_AS_STRING(name);
        bytes = PyBytes_GET_SIZE(name);
    }
    *len = (size_t)bytes;
    return text;
}

const char *mp_obj_str_get_str(mp_obj_t str) {
    size_t len;
    return mp_obj_str_get_data(str, &len);
}

void mp_obj_get_array(mp_obj_t from, size_t *len, mp_obj_t **items) {
    if (PyTuple_Check(from)) {
        *len = (size_t)PyTuple_GET_SIZE(from);
        *items = ((PyTupleObject *)from)->ob_item;
    } else if (PyList_Check(from)) {
        *len = (size_t)PyList_GET_SIZE(from);
        *items = ((PyListObject *)from)->ob_item;
    } else {
        mp_raise_msg_varg(PyExc_TypeError, "object '%s' isn't a tuple or list", Py_TYPE(from)->tp_name);
    }
}

void mp_obj_get_array_fixed_n(mp_obj_t from, size_t len, mp_obj_t **items) {
    size_t given;
    mp_obj_get_array(from, &given, items);
    if (given != len) {
        mp_raise_msg_varg(PyExc_ValueError, "requested length %d but object has length %d", (int)len, (int)given);
    }
}

void mp_obj_list_append(mp_obj_t list, mp_obj_t item) {
    if (PyList_Append(list, item) != 0) {
        rnnpool_raise_pending();
    }
}

mp_obj_t mp_obj_new_bytearray_by_ref(size_t len, void *bytes) {
    return rnnpool_own(PyMemoryView_FromMemory(bytes, (Py_ssize_t)len, PyBUF_WRITE));
}

mp_obj_t rnnpool_new_array(const mp_obj_t *typecode_and_bytes) {
    mp_obj_t module = rnnpool_own(PyImport_ImportModule("array"));
    mp_obj_t array = rnnpool_own(PyObject_CallMethod(module, "array", "O", typecode_and_bytes[0]));
    rnnpool_own(PyObject_CallMethod(array, "frombytes", "O", typecode_and_bytes[1]));
    return array;
}

void mp_get_buffer_raise(mp_obj_t object, mp_buffer_info_t *info, mp_uint_t flags) {
    if (mp_get_buffer(object, info, flags)) {
        return;
    }
    Py_buffer view;
    if (PyObject_CheckBuffer(object) && PyObject_GetBuffer(object, &view, PyBUF_FULL_RO) == 0) {
        bool gaps = !PyBuffer_IsContiguous(&view, 'C');
        PyBuffer_Release(&view);
        if (gaps) {
            mp_raise_msg(PyExc_TypeError, "memory with gaps in it: numpy.ascontiguousarray() makes a copy without");
        }
    }
    PyErr_Clear();
    mp_raise_msg(PyExc_TypeError, "object with buffer protocol required");
}

// ---- Files

mp_obj_t rnnpool_path_of(mp_obj_t object) {
    PyObject *path;
    if (!PyObject_HasAttrString((PyObject *)Py_TYPE(object), "__fspath__")) {
        return MP_OBJ_NULL;
    }
    if (!PyUnicode_FSDecoder(object, &path)) {
        rnnpool_raise_pending();
    }
    return rnnpool_own(path);
}

mp_obj_t rnnpool_file_open(mp_obj_t path) {
    mp_obj_t module = rnnpool_own(PyImport_ImportModule("io"));
    return rnnpool_own(PyObject_CallMethod(module, "open", "Os", path, "rb"));
}

size_t rnnpool_file_seek(mp_obj_t file, rnnpool_whence_t whence) {
    return (size_t)mp_obj_get_int(rnnpool_own(PyObject_CallMethod(file, "seek", "ii", 0, (int)whence)));
}

size_t rnnpool_file_read(mp_obj_t file, uint8_t *to, size_t bytes) {
    mp_obj_t view = mp_obj_new_bytearray_by_ref(bytes, to);
    return (size_t)mp_obj_get_int(rnnpool_own(PyObject_CallMethod(file, "readinto", "O", view)));
}

void rnnpool_file_close(mp_obj_t file) {
    rnnpool_own(PyObject_CallMethod(file, "close", NULL));
}

// ---- Events, stack

void rnnpool_handle_events(void) {
    if (PyErr_CheckSignals() != 0) {
        rnnpool_raise_pending();
    }
}

void rnnpool_check_stack(void) {
    // CPython counts nested calls itself.
}

// ---- Arguments

void mp_arg_check_num(size_t n_args, size_t n_kw, size_t least, size_t most, bool takes_kw) {
    if (n_kw > 0 && !takes_kw) {
        mp_raise_TypeError("function doesn't take keyword arguments");
    }
    if (n_args < least) {
        mp_raise_msg_varg(PyExc_TypeError, "function missing %d required positional arguments", (int)(least - n_args));
    }
    if (n_args > most) {
        mp_raise_msg_varg(PyExc_TypeError, "function expected at most %d arguments, got %d", (int)most, (int)n_args);
    }
}

static mp_arg_val_t convert(unsigned int flags, mp_obj_t given) {
    switch (flags & MP_ARG_KIND) {
        case MP_ARG_BOOL:
            return (mp_arg_val_t){ .u_bool = mp_obj_is_true(given) };
        case MP_ARG_INT:
            return (mp_arg_val_t){ .u_int = mp_obj_get_int(given) };
        default:
            return (mp_arg_val_t){ .u_obj = find_name(given) };
    }
}

void mp_arg_parse_all(
    size_t n_pos, const mp_obj_t *pos, const mp_map_t *kw, size_t num, const mp_arg_t *allowed, mp_arg_val_t *out) {
    size_t pos_used = 0, kw_used = 0;
    for (size_t i = 0; i < num; i++) {
        const mp_arg_t *arg = &allowed[i];
        mp_obj_t given = NULL;
        if (pos_used < n_pos && (arg->flags & MP_ARG_KW_ONLY) == 0) {
            given = pos[pos_used++];
        }
        for (size_t k = 0; k < kw->used && given == NULL; k++) {
            if (PyUnicode_CompareWithASCIIString(kw->pairs[2 * k], rnnpool_name_of(arg->qst)) == 0) {
                given = kw->pairs[2 * k + 1];
                kw_used++;
            }
        }
        if (given == NULL && (arg->flags & MP_ARG_REQUIRED) != 0) {
            mp_raise_msg_varg(PyExc_TypeError, "'%q' argument required", arg->qst);
        }
        out[i] = given == NULL ? arg->defval : convert(arg->flags, given);
    }
    if (pos_used < n_pos) {
        mp_raise_TypeError("extra positional arguments given");
    }
    if (kw_used < kw->used) {
        mp_raise_TypeError("extra keyword arguments given");
    }
}

void mp_arg_parse_all_kw_array(
    size_t n_pos, size_t n_kw, const mp_obj_t *args, size_t num, const mp_arg_t *allowed, mp_arg_val_t *out) {
    const mp_map_t kw = { n_kw, args + n_pos };
    mp_arg_parse_all(n_pos, args, &kw, num, allowed, out);
}
