// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What CPython sees: the module, its types, and calls of what the binding has in its tables.

#include <string.h>

#include "binding/binding.h"

static mp_obj_type_t *const types[] = {
    &rnnpool_model_type,
    &rnnpool_conv2d_type,
    &rnnpool_rnnpool_type,
    &rnnpool_mbconv_type,
    &rnnpool_average_pool_type,
    &rnnpool_dense_type,
    &rnnpool_head_type,
};

static const mp_obj_type_t *find_native(PyTypeObject *type) {
    for (size_t i = 0; i < MP_ARRAY_SIZE(types); i++) {
        if (types[i]->python != NULL && PyType_IsSubtype(type, types[i]->python)) {
            return types[i];
        }
    }
    return NULL; // the module itself
}

static const mp_obj_type_t *native_of(PyObject *self) {
    return ((const mp_obj_base_t *)(const void *)self)->type;
}

// For an object whose constructor was not called, or failed.
static bool check_made(PyObject *self) {
    if (!rnnpool_instance_is_made(self)) {
        PyErr_Format(PyExc_RuntimeError, "%s.__init__() was not called", rnnpool_name_of(native_of(self)->name));
        return false;
    }
    return true;
}

// ---- Calls

typedef struct {
    const rnnpool_function_t *function;
    const mp_obj_type_t *type; // whose constructor it is, or NULL
    PyObject *self; // first argument, or NULL
    PyObject *args, *kwargs;
    mp_obj_t result;
} given_t;

static mp_obj_t call_function(const rnnpool_function_t *f, size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    if (f->kw != NULL) {
        mp_arg_check_num(n_args, kw_args->used, f->num_args, SIZE_MAX, true);
        return f->kw(n_args, args, kw_args);
    }
    if (kw_args->used > 0) {
        mp_raise_TypeError("function doesn't take keyword arguments");
    }
    if (n_args != f->num_args) {
        mp_raise_msg_varg(
            PyExc_TypeError, "function takes %d positional arguments but %d were given", (int)f->num_args, (int)n_args);
    }
    return f->none != NULL ? f->none()
        : f->one != NULL   ? f->one(args[0])
        : f->two != NULL   ? f->two(args[0], args[1])
                           : f->three(args[0], args[1], args[2]);
}

static void make_call(void *context) {
    given_t *given = context;
    size_t n_args = (size_t)PyTuple_GET_SIZE(given->args) + (given->self != NULL), at = 0;
    size_t n_kw = given->kwargs == NULL ? 0 : (size_t)PyDict_GET_SIZE(given->kwargs);
    mp_obj_t *args = m_new(mp_obj_t, n_args + 2 * n_kw);
    if (given->self != NULL) {
        args[at++] = given->self;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given->args); i++) {
        args[at++] = PyTuple_GET_ITEM(given->args, i);
    }
    Py_ssize_t place = 0;
    PyObject *name, *value;
    while (n_kw > 0 && PyDict_Next(given->kwargs, &place, &name, &value)) {
        args[at++] = name;
        args[at++] = value;
    }
    if (given->type != NULL) {
        given->result = given->type->make_new(given->type, n_args, n_kw, args);
    } else {
        mp_map_t kw_args = { n_kw, args + n_args };
        given->result = call_function(given->function, n_args, args, &kw_args);
    }
}

PyObject *rnnpool_call(const rnnpool_function_t *function, PyObject *self, PyObject *args, PyObject *kwargs) {
    bool is_method = !PyModule_Check(self);
    if (is_method && !check_made(self)) {
        return NULL;
    }
    given_t given = { function, NULL, is_method ? self : NULL, args, kwargs, NULL };
    return rnnpool_run_call(make_call, &given, &given.result);
}

// ---- Objects

static PyObject *type_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args; // they are __init__()'s
    (void)kwargs;
    return rnnpool_instance_alloc(type, find_native(type));
}

typedef struct {
    PyObject *self;
    given_t given;
} making_t;

static void make_object(void *context) {
    making_t *making = context;
    rnnpool_construct(making->self);
    make_call(&making->given);
    rnnpool_instance_set_made(making->self);
}

static int type_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    if (rnnpool_instance_is_made(self)) {
        PyErr_Format(PyExc_RuntimeError, "this %s is made already", rnnpool_name_of(native_of(self)->name));
        return -1;
    }
    making_t making = { self, { NULL, native_of(self), NULL, args, kwargs, NULL } };
    PyObject *made = rnnpool_run_call(make_object, &making, &making.given.result);
    if (made == NULL) {
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        rnnpool_instance_clear(self);
        PyErr_Restore(type, error, trace);
        return -1;
    }
    Py_DECREF(made);
    return 0;
}

static void type_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    rnnpool_instance_free(self);
    type->tp_free(self);
    Py_DECREF(type);
}

typedef struct {
    PyObject *self;
    qstr attr; // of a look-up
    mp_obj_t result;
} look_t;

static void put_text(void *data, const char *text, size_t len) {
    mp_obj_list_append(data, mp_obj_new_str(text, len));
}

static void print_object(void *context) {
    look_t *look = context;
    mp_obj_t parts = mp_obj_new_list(0, NULL);
    const mp_print_t print = { parts, put_text };
    native_of(look->self)->print(&print, look->self, 0);
    look->result = rnnpool_own(PyUnicode_Join(rnnpool_str_of(MP_QSTRnull), parts));
}

static PyObject *type_repr(PyObject *self) {
    look_t look = { .self = self };
    return check_made(self) ? rnnpool_run_call(print_object, &look, &look.result) : NULL;
}

static void look_up(void *context) {
    look_t *look = context;
    mp_obj_t dest[2] = { NULL, NULL };
    const mp_obj_type_t *type = native_of(look->self);
    type->attr(look->self, look->attr, dest);
    if (dest[0] == NULL) {
        mp_raise_msg_varg(PyExc_AttributeError, "'%q' object has no attribute '%q'", type->name, look->attr);
    }
    look->result = dest[0];
}

static PyObject *get_attr(PyObject *self, void *closure) {
    look_t look = { .self = self, .attr = (qstr)(intptr_t)closure };
    return check_made(self) ? rnnpool_run_call(look_up, &look, &look.result) : NULL;
}

// ---- Types and the module

#define ATTR(name) { #name, get_attr, NULL, NULL, (void *)(intptr_t)MP_QSTR_##name }
#define LAYER_ATTRS ATTR(name), ATTR(input_shape), ATTR(output_shape), ATTR(ram), ATTR(size), ATTR(in_place), ATTR(macs)
static PyGetSetDef model_attrs[] = { LAYER_ATTRS, ATTR(task), ATTR(labels), ATTR(output_scale), ATTR(output_zero_point),
    { NULL, NULL, NULL, NULL, NULL } };
static PyGetSetDef layer_attrs[] = { LAYER_ATTRS, { NULL, NULL, NULL, NULL, NULL } };
static PyGetSetDef head_attrs[] = { LAYER_ATTRS, ATTR(anchors), ATTR(step), { NULL, NULL, NULL, NULL, NULL } };

// A function of a table. It lives as long as the program.
static bool fill_method(PyMethodDef *to, const mp_rom_map_elem_t *row) {
    const rnnpool_fun_obj_t *function = row->pointer;
    *to = (PyMethodDef){ rnnpool_name_of(row->name), function->call, METH_VARARGS | METH_KEYWORDS, NULL };
    return true;
}

static bool make_type(mp_obj_type_t *type) {
    const rnnpool_table_t *table = type->methods;
    PyMethodDef *methods = PyMem_RawCalloc(table->num_rows + 1, sizeof(PyMethodDef));
    if (methods == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < table->num_rows; i++) {
        fill_method(&methods[i], &table->rows[i]);
    }
    PyType_Slot slots[] = { { Py_tp_new, (void *)type_new }, { Py_tp_init, (void *)type_init },
        { Py_tp_dealloc, (void *)type_dealloc }, { Py_tp_repr, (void *)type_repr }, { Py_tp_methods, methods },
        { Py_tp_getset,
            type == &rnnpool_model_type      ? model_attrs
                : type == &rnnpool_head_type ? head_attrs
                                             : layer_attrs },
        { 0, NULL } };
    static const char prefix[] = "rnnpool.";
    char *name = PyMem_RawMalloc(sizeof(prefix) + strlen(rnnpool_name_of(type->name)));
    if (name == NULL) {
        PyErr_NoMemory();
        return false;
    }
    strcpy(strcpy(name, prefix) + strlen(prefix), rnnpool_name_of(type->name));
    PyType_Spec spec = { name, (int)rnnpool_instance_size(), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots };
    type->python = (PyTypeObject *)PyType_FromSpec(&spec);
    return type->python != NULL;
}

static const mp_obj_type_t *find_type(const void *pointer) {
    for (size_t i = 0; i < MP_ARRAY_SIZE(types); i++) {
        if (types[i] == pointer) {
            return types[i];
        }
    }
    return NULL;
}

void rnnpool_add_rows(mp_obj_t module, const rnnpool_table_t *table) {
    for (size_t i = 0; i < table->num_rows && !PyErr_Occurred(); i++) {
        const mp_rom_map_elem_t *row = &table->rows[i];
        const char *name = rnnpool_name_of(row->name);
        const mp_obj_type_t *type = find_type(row->pointer);
        if (type != NULL) {
            PyModule_AddObjectRef(module, name, (PyObject *)type->python);
        } else if (row->pointer != NULL) {
            PyMethodDef *methods = PyMem_RawCalloc(2, sizeof(PyMethodDef));
            if (methods != NULL) {
                fill_method(&methods[0], row);
                PyModule_AddFunctions(module, methods);
            } else {
                PyErr_NoMemory();
            }
        } else if (row->text != NULL) {
            PyModule_AddStringConstant(module, name, row->text);
        } else {
            PyModule_AddIntConstant(module, name, row->number);
        }
    }
}

static struct PyModuleDef definition = { PyModuleDef_HEAD_INIT, .m_name = "rnnpool", .m_size = -1,
    .m_doc = "Neural vision for microcontrollers: the module `rnnpool` of MicroPython in CPython." };

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void) {
    if (!rnnpool_make_names()) {
        return NULL;
    }
    for (size_t i = 0; i < MP_ARRAY_SIZE(types); i++) {
        if (!make_type(types[i])) {
            return NULL;
        }
    }
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL) {
        rnnpool_fill_module(module);
    }
    if (PyErr_Occurred()) {
        Py_CLEAR(module);
    }
    return module;
}
