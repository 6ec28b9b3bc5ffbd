// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A call from CPython into the binding: what is made during it, and what is left of that at its end.
//
// Calls nest (a signal's handler may call a model) and threads may each be in one, so each thread has its own chain. CPython's
// lock is held all the time but where Python code runs.

#include <setjmp.h>
#include <string.h>

#include "binding/binding.h"

typedef struct _jump_t {
    struct _jump_t *outer;
    jmp_buf buffer;
    mp_obj_t error;
} jump_t;

typedef struct {
    mp_obj_t object;
    bool writable;
    Py_buffer view;
} export_t;

typedef struct _call_t {
    struct _call_t *outer;
    jump_t *jump; // the innermost place that exceptions go to
    mp_obj_t *owned; // references
    size_t num_owned, room_owned;
    mp_obj_t *unfilled; // tuples and lists whose items are written without counting them
    size_t num_unfilled, room_unfilled;
    export_t *exports;
    size_t num_exports, room_exports;
    mp_obj_t constructed; // that the next rnnpool_new_object() gives; NULL: a new one
} call_t;

static __thread call_t *current;

// ---- Blocks of memory: a sweep at a call's end frees those that neither a model nor another call has

typedef struct _block_t {
    struct _block_t *next, **link;
    const call_t *call; // that allocated it; NULL: which has ended
    size_t unused; // for the alignment
    uint8_t bytes[];
} block_t;
static block_t *blocks;

// ---- Objects of our types

typedef struct _instance_t {
    rnnpool_model_obj_t model;
    struct _instance_t *next, **link;
    mp_obj_t held[2]; // references that the model's fields stand for: source, arena
    bool made;
} instance_t;
static instance_t *instances;

mp_obj_t rnnpool_kept_models[RNNPOOL_NUM_KEPT_MODELS];
static mp_obj_t held_kept_models[RNNPOOL_NUM_KEPT_MODELS];
char rnnpool_sentinel;

// Room for one more; raises MemoryError.
static void *grow(void *items, size_t num, size_t *room, size_t item_bytes) {
    if (num < *room) {
        return items;
    }
    size_t more = 2 * *room + 16;
    void *larger = PyMem_RawRealloc(items, more * item_bytes);
    if (larger == NULL) {
        nlr_raise(PyExc_MemoryError); // the type: nothing may be made now
    }
    *room = more;
    return larger;
}

mp_obj_t rnnpool_own(mp_obj_t object) {
    if (object == NULL) {
        rnnpool_raise_pending();
    }
    current->owned = grow(current->owned, current->num_owned, &current->room_owned, sizeof(mp_obj_t));
    current->owned[current->num_owned++] = object;
    return object;
}

static mp_obj_t new_unfilled(mp_obj_t container) {
    rnnpool_own(container);
    current->unfilled = grow(current->unfilled, current->num_unfilled, &current->room_unfilled, sizeof(mp_obj_t));
    current->unfilled[current->num_unfilled++] = container;
    PyObject_GC_UnTrack(container); // until its items are counted
    return container;
}

mp_obj_t mp_obj_new_tuple(size_t len, const mp_obj_t *items) {
    mp_obj_t tuple = PyTuple_New((Py_ssize_t)len);
    if (items == NULL && len > 0) {
        return new_unfilled(tuple);
    }
    rnnpool_own(tuple);
    for (size_t i = 0; i < len; i++) {
        Py_INCREF(items[i]);
        PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, items[i]);
    }
    return tuple;
}

mp_obj_t mp_obj_new_list(size_t len, const mp_obj_t *items) {
    mp_obj_t list = PyList_New((Py_ssize_t)len);
    if (items == NULL && len > 0) {
        return new_unfilled(list);
    }
    rnnpool_own(list);
    for (size_t i = 0; i < len; i++) {
        Py_INCREF(items[i]);
        PyList_SET_ITEM(list, (Py_ssize_t)i, items[i]);
    }
    return list;
}

// ---- Exceptions

void nlr_raise(mp_obj_t error) {
    jump_t *jump = current->jump;
    jump->error = error;
    current->jump = jump->outer;
    longjmp(jump->buffer, 1);
}

mp_obj_t rnnpool_try(void (*body)(void *), void *context) {
    jump_t jump = { .outer = current->jump };
    current->jump = &jump;
    if (setjmp(jump.buffer) != 0) {
        return jump.error;
    }
    body(context);
    current->jump = jump.outer;
    return MP_OBJ_NULL;
}

// ---- Memory

void *rnnpool_new_block(size_t bytes) {
    block_t *block = bytes > PY_SSIZE_T_MAX / 2 ? NULL : PyMem_RawMalloc(sizeof(block_t) + bytes);
    if (block == NULL) {
        mp_raise_msg_varg(PyExc_MemoryError, "needs %u bytes", (unsigned int)bytes);
    }
    *block = (block_t){ .next = blocks, .link = &blocks, .call = current };
    if (blocks != NULL) {
        blocks->link = &block->next;
    }
    blocks = block;
    return block->bytes;
}

void *rnnpool_allocate(size_t bytes) {
    return rnnpool_new_block(bytes);
}

static void free_block(block_t *block) {
    *block->link = block->next;
    if (block->next != NULL) {
        block->next->link = block->link;
    }
    PyMem_RawFree(block);
}

void rnnpool_free_block(void *bytes) {
    if (bytes != NULL) {
        free_block((block_t *)(void *)((uint8_t *)bytes - offsetof(block_t, bytes)));
    }
}

static bool is_in_use(const block_t *block) {
    for (const instance_t *i = instances; i != NULL; i = i->next) {
        if (i->model.source.copy == block->bytes || i->model.arena.block == block->bytes) {
            return true;
        }
    }
    return block->call != NULL;
}

static void sweep_blocks(const call_t *ended) {
    for (block_t *block = blocks, *next; block != NULL; block = next) {
        next = block->next;
        if (block->call == ended) {
            block->call = NULL;
        }
        if (!is_in_use(block)) {
            free_block(block);
        }
    }
}

// ---- Buffers

// A number of an item's format as MicroPython has it, with the same letters; '?' for what it has not.
static int typecode_of(const Py_buffer *view, mp_obj_t object) {
    const char *format = view->format == NULL ? "B" : view->format;
    if (PyByteArray_Check(object)) {
        return BYTEARRAY_TYPECODE;
    }
    if (*format == '@' || *format == '=' || *format == (PY_LITTLE_ENDIAN ? '<' : '>')) {
        format++;
    }
    return format[0] != '\0' && format[1] == '\0' ? format[0] : '?';
}

bool mp_get_buffer(mp_obj_t object, mp_buffer_info_t *info, mp_uint_t flags) {
    bool writable = (flags & MP_BUFFER_WRITE) != 0;
    for (size_t i = 0; i < current->num_exports; i++) {
        const export_t *export = &current->exports[i];
        if (export->object == object && export->writable >= writable) {
            *info = (mp_buffer_info_t){ export->view.buf, (size_t)export->view.len,
                typecode_of(&export->view, object) };
            return true;
        }
    }
    current->exports = grow(current->exports, current->num_exports, &current->room_exports, sizeof(export_t));
    export_t *export = &current->exports[current->num_exports];
    *export = (export_t){ object, writable, { .buf = NULL } };
    if (!PyObject_CheckBuffer(object) ||
        PyObject_GetBuffer(object, &export->view, PyBUF_FORMAT | PyBUF_ND | (writable ? PyBUF_WRITABLE : 0)) != 0) {
        PyErr_Clear();
        return false;
    }
    current->num_exports++;
    *info = (mp_buffer_info_t){ export->view.buf, (size_t)export->view.len, typecode_of(&export->view, object) };
    return true;
}

static bool has_rows(const Py_ssize_t *shape, const rnnp_frame_t *frame) {
    size_t rows = (size_t)shape[0], height = frame->height;
    bool planes = frame->format == RNNP_YUV420; // those of colour may be behind the rows, half as many
    return rows == height || (planes && 2 * rows == 3 * height);
}

static bool has_columns(const Py_ssize_t *shape, int dimensions, const rnnp_frame_t *frame) {
    if (dimensions < 3 || frame->stride != 0) { // bytes, or with those of the gap
        return true;
    }
    size_t columns = (size_t)shape[1], width = frame->width;
    bool in_pairs = frame->format == RNNP_YUYV || frame->format == RNNP_UYVY;
    return columns == width || (in_pairs && 2 * columns == width);
}

static const Py_buffer *view_of(mp_obj_t pixels) {
    mp_buffer_info_t unused;
    mp_get_buffer_raise(pixels, &unused, MP_BUFFER_READ);
    const Py_buffer *view = NULL;
    for (size_t i = 0; i < current->num_exports && view == NULL; i++) {
        view = current->exports[i].object == pixels ? &current->exports[i].view : NULL;
    }
    return view;
}

void rnnpool_check_shape(mp_obj_t pixels, const rnnp_frame_t *frame) {
    const Py_buffer *view = view_of(pixels);
    const Py_ssize_t *shape = view->shape;
    int dimensions = view->ndim;
    while (dimensions > 1 && shape[0] == 1 && !(has_rows(shape, frame) && has_columns(shape, dimensions, frame))) {
        shape++; // a batch of one
        dimensions--;
    }
    if (dimensions > 1 && !has_rows(shape, frame)) {
        mp_raise_msg_varg(PyExc_ValueError, "array of %u rows, height is %u: (height, width, ...) wanted",
            (unsigned int)shape[0], (unsigned int)frame->height);
    }
    if (!has_columns(shape, dimensions, frame)) {
        mp_raise_msg_varg(PyExc_ValueError, "array of %u columns, width is %u: (height, width, ...) wanted",
            (unsigned int)shape[1], (unsigned int)frame->width);
    }
}

void rnnpool_check_rows(mp_obj_t pixels, size_t rows) {
    const Py_buffer *view = view_of(pixels);
    const Py_ssize_t *shape = view->shape;
    int dimensions = view->ndim;
    while (dimensions > 1 && shape[0] == 1) {
        shape++;
        dimensions--;
    }
    // A single row may be (width, channels).
    if (dimensions > 1 && rows > 1 && (size_t)shape[0] != rows) {
        mp_raise_msg_varg(PyExc_ValueError, "array of %u rows, its bytes are %u in this format: format=, width=?",
            (unsigned int)shape[0], (unsigned int)rows);
    }
}

mp_obj_t rnnpool_find_owner(mp_obj_t buffer) {
    (void)buffer; // no bytearray grows as long as there is a memoryview of it
    return MP_OBJ_NULL;
}

// ---- Objects

PyObject *rnnpool_instance_alloc(PyTypeObject *type, const mp_obj_type_t *native) {
    instance_t *instance = (instance_t *)(void *)type->tp_alloc(type, 0);
    if (instance == NULL) {
        return NULL;
    }
    instance->model.base.type = native;
    instance->next = instances;
    instance->link = &instances;
    if (instances != NULL) {
        instances->link = &instance->next;
    }
    instances = instance;
    return (PyObject *)instance;
}

size_t rnnpool_instance_size(void) {
    return sizeof(instance_t);
}

void rnnpool_instance_free(PyObject *object) {
    instance_t *instance = (instance_t *)(void *)object;
    *instance->link = instance->next;
    if (instance->next != NULL) {
        instance->next->link = instance->link;
    }
    rnnpool_free_block(instance->model.source.copy);
    rnnpool_free_block(instance->model.arena.block);
    for (size_t i = 0; i < MP_ARRAY_SIZE(instance->held); i++) {
        Py_XDECREF(instance->held[i]);
    }
}

bool rnnpool_instance_is_made(PyObject *object) {
    return ((instance_t *)(void *)object)->made;
}

void rnnpool_instance_set_made(PyObject *object) {
    ((instance_t *)(void *)object)->made = true;
}

void rnnpool_instance_clear(PyObject *object) {
    rnnpool_model_obj_t *model = (rnnpool_model_obj_t *)(void *)object;
    memset((uint8_t *)model + sizeof(model->base), 0, sizeof(*model) - sizeof(model->base));
}

void rnnpool_construct(mp_obj_t object) {
    current->constructed = object;
}

mp_obj_t rnnpool_new_object(const mp_obj_type_t *type) {
    mp_obj_t object = current->constructed;
    current->constructed = NULL;
    if (object == NULL) {
        object = rnnpool_own(rnnpool_instance_alloc(type->python, type));
        rnnpool_instance_set_made(object);
    }
    return object;
}

// Counts what is kept in `field` now, and gives the call what was kept there.
static void hold(mp_obj_t field, mp_obj_t *held, call_t *call) {
    if (*held == field) {
        return;
    }
    Py_XINCREF(field);
    mp_obj_t before = *held;
    *held = field;
    if (before != NULL) {
        if (call->num_owned < call->room_owned) {
            call->owned[call->num_owned++] = before;
        } // else it is never freed: there is no memory to remember it
    }
}

// ---- A call's end

static void settle(call_t *call) {
    for (size_t i = 0; i < call->num_unfilled; i++) {
        size_t len;
        mp_obj_t *items;
        mp_obj_get_array(call->unfilled[i], &len, &items);
        for (size_t k = 0; k < len; k++) {
            Py_XINCREF(items[k]);
        }
        PyObject_GC_Track(call->unfilled[i]);
    }
    for (instance_t *i = instances; i != NULL; i = i->next) {
        hold(i->model.source.memory.owner, &i->held[0], call);
        hold(i->model.arena.memory.owner, &i->held[1], call);
    }
    for (size_t i = 0; i < RNNPOOL_NUM_KEPT_MODELS; i++) {
        hold(rnnpool_kept_models[i], &held_kept_models[i], call);
    }
    sweep_blocks(call);
}

PyObject *rnnpool_run_call(void (*body)(void *context), void *context, mp_obj_t *result) {
    call_t call = { .outer = current };
    current = &call;
    mp_obj_t error = rnnpool_try(body, context);
    if (error != MP_OBJ_NULL) {
        PyErr_SetObject(PyType_Check(error) ? error : (PyObject *)Py_TYPE(error), PyType_Check(error) ? NULL : error);
    }
    PyObject *value = error == MP_OBJ_NULL ? *result : NULL;
    Py_XINCREF(value);
    settle(&call);
    current = call.outer;
    // From here on Python code may run, of objects that go.
    PyObject *type, *raised, *trace;
    PyErr_Fetch(&type, &raised, &trace);
    for (size_t i = 0; i < call.num_exports; i++) {
        PyBuffer_Release(&call.exports[i].view);
    }
    for (size_t i = call.num_owned; i > 0; i--) {
        Py_DECREF(call.owned[i - 1]);
    }
    PyErr_Restore(type, raised, trace);
    PyMem_RawFree(call.exports);
    PyMem_RawFree(call.owned);
    PyMem_RawFree(call.unfilled);
    return value;
}
