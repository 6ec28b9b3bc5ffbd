// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Single operators for scripts that chain them: Conv2D, RNNPool, MBConv, AveragePool, Dense, Head. Each is a Model of one
// layer (a blob of that task), run row by row by the same engine.

#include <string.h>

#include "py/binary.h"

#include "engine/operators/head.h"

#include "binding/binding.h"

typedef struct {
    const mp_obj_type_t *type;
    rnnp_kind_t kind;
} layer_kind_t;

static const layer_kind_t kinds[] = {
    { RNNPOOL_TYPE(rnnpool_conv2d_type), RNNP_CONV },
    { RNNPOOL_TYPE(rnnpool_rnnpool_type), RNNP_RNNPOOL },
    { RNNPOOL_TYPE(rnnpool_mbconv_type), RNNP_INVERTED_RESIDUAL },
    { RNNPOOL_TYPE(rnnpool_average_pool_type), RNNP_GLOBAL_AVERAGE_POOL },
    { RNNPOOL_TYPE(rnnpool_dense_type), RNNP_DENSE },
    { RNNPOOL_TYPE(rnnpool_head_type), RNNP_DETECT_HEAD },
};

static rnnp_kind_t kind_of(const mp_obj_type_t *type) {
    size_t i = 0;
    while (kinds[i].type != type) {
        i++;
    }
    return kinds[i].kind;
}

static rnnp_op_info_t get_info(const rnnpool_model_obj_t *self) {
    rnnp_op_info_t info;
    rnnp_model_op_info(&self->model, 0, &info);
    return info;
}

// Conv2D(source, *, arena=None), and so on
static mp_obj_t layer_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    enum { ARG_source, ARG_arena };
    RNNPOOL_NAMES mp_arg_t allowed_args[] = {
        { MP_QSTR_source, MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_arena, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all_kw_array(n_args, n_kw, args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);
    rnnpool_source_t source;
    rnnpool_source_open(&source, vals[ARG_source].u_obj);
    return rnnpool_model_new(type, kind_of(type), &source, vals[ARG_arena].u_obj, 0, 0);
}

// Whether the output's values are int16.
static bool is_wide(const rnnp_op_info_t *info) {
    return info->kind == RNNP_DENSE || info->kind == RNNP_DETECT_HEAD;
}

static size_t out_row_bytes(const rnnp_op_info_t *info) {
    return (size_t)info->width * info->channels * (is_wide(info) ? sizeof(int16_t) : sizeof(int8_t));
}

static void check_typecode(int typecode, bool wide, qstr name) {
    if (typecode == BYTEARRAY_TYPECODE || typecode == 'B' || typecode == 'b' || (wide && typecode == 'h')) {
        return;
    }
    if (wide) {
        mp_raise_msg_varg(
            &mp_type_TypeError, MP_ERROR_TEXT("%q must hold int16 or bytes, not items '%c'"), name, typecode);
    }
    mp_raise_msg_varg(&mp_type_TypeError, MP_ERROR_TEXT("%q must hold bytes, not items '%c'"), name, typecode);
}

static void check_length(size_t given, size_t needed, bool exact, qstr name) {
    if (given < needed || (exact && given != needed)) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q needs %u bytes, has %u"), name, (unsigned int)needed,
            (unsigned int)given);
    }
}

// feed(row, out)
static mp_obj_t layer_feed(mp_obj_t self_in, mp_obj_t row_in, mp_obj_t out_in) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_run_check_idle(self);
    if (self->begun) {
        rnnpool_run_check(self);
    } else {
        rnnpool_model_refresh(self, true);
    }
    rnnp_op_info_t info = get_info(self);
    size_t out_bytes = out_row_bytes(&info);
    mp_buffer_info_t row = { .buf = NULL }, out;
    if (mp_obj_is_str(row_in)) { // has the buffer protocol, but is no row
        mp_raise_TypeError(MP_ERROR_TEXT("row must be bytes, not str"));
    }
    if (row_in != mp_const_none) {
        mp_get_buffer_raise(row_in, &row, MP_BUFFER_READ);
        check_typecode(row.typecode, false, MP_QSTR_row);
        check_length(row.len, (size_t)self->model.width * self->model.channels, true, MP_QSTR_row);
    }
    mp_get_buffer_raise(out_in, &out, MP_BUFFER_WRITE);
    check_typecode(out.typecode, is_wide(&info), MP_QSTR_out); // int16 items would hold two values of int8 each
    check_length(out.len, out_bytes, false, MP_QSTR_out);
    if (!self->begun) {
        if (row.buf == NULL) {
            return mp_const_false;
        }
        rnnpool_run_begin(self, NULL, 0);
    }
    return mp_obj_new_bool(rnnpool_run_row(self, &row, &out, out_bytes));
}
static MP_DEFINE_CONST_FUN_OBJ_3(layer_feed_obj, layer_feed);

// begin()
static mp_obj_t layer_begin(mp_obj_t self_in) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_run_check_idle(self);
    rnnpool_run_begin(self, NULL, 0);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(layer_begin_obj, layer_begin);

// selftest()
static mp_obj_t layer_selftest(mp_obj_t self_in) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_run_check_idle(self);
    rnnpool_model_refresh(self, true);
    rnnp_op_info_t info = get_info(self);
    size_t row_bytes = (size_t)self->model.width * self->model.channels, out_bytes = out_row_bytes(&info);
    mp_buffer_info_t row = { .buf = rnnpool_allocate(row_bytes), .len = row_bytes };
    mp_buffer_info_t out = { .buf = rnnpool_allocate(out_bytes), .len = out_bytes }, none = { .buf = NULL };
    rnnpool_run_begin(self, NULL, 0);
    self->run.skip_crc = false;
    uint32_t state = self->model.golden_seed, crc = 0;
    for (uint32_t y = 0; y < self->model.height; y++) {
        rnnp_golden_row(&self->model, y, &state, row.buf);
        bool made = rnnpool_run_row(self, &row, &out, out_bytes);
        while (made) {
            crc = rnnp_result_crc(&self->run, self->arena.data);
            made = self->begun && rnnpool_run_row(self, &none, &out, out_bytes);
        }
    }
    self->begun = false;
    return mp_obj_new_bool(crc == self->model.golden_crc);
}
static MP_DEFINE_CONST_FUN_OBJ_1(layer_selftest_obj, layer_selftest);

// A head's anchors as ((width, height), ...) in pixels.
static mp_obj_t get_anchors(const rnnpool_model_obj_t *self, const rnnp_op_t *op) {
    rnnp_layout_t layout = { .count = 0 };
    rnnp_operator(op)->layout(&layout, op);
    // A copy: an allocation may run finalisers, which may write to a blob in RAM.
    uint16_t sizes[2 * RNNP_MAX_ANCHORS];
    size_t num_anchors = rnnp_head(op)->num_anchors;
    memcpy(
        sizes, self->model.blob + op->params_offset + layout.offset[RNNP_ANCHORS], 2 * num_anchors * sizeof(sizes[0]));
    mp_obj_t anchors[RNNP_MAX_ANCHORS];
    for (size_t i = 0; i < num_anchors; i++) {
        mp_obj_t sides[2];
        for (size_t k = 0; k < MP_ARRAY_SIZE(sides); k++) {
            sides[k] = rnnpool_new_float(sizes[2 * i + k], 16);
        }
        anchors[i] = mp_obj_new_tuple(MP_ARRAY_SIZE(sides), sides);
    }
    return mp_obj_new_tuple(num_anchors, anchors);
}

static void layer_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    bool head = self->base.type == RNNPOOL_TYPE(rnnpool_head_type) && dest[0] == MP_OBJ_NULL;
    if (head && (attr == MP_QSTR_anchors || attr == MP_QSTR_step)) {
        rnnpool_model_refresh(self, true);
        const rnnp_op_t *op = rnnp_op(&self->model, 0);
        dest[0] = attr == MP_QSTR_step ? MP_OBJ_NEW_SMALL_INT(rnnp_head(op)->step) : get_anchors(self, op);
    } else if (attr == MP_QSTR_output_shape && dest[0] == MP_OBJ_NULL) {
        rnnpool_model_refresh(self, true);
        rnnp_op_info_t info = get_info(self);
        dest[0] = rnnpool_new_shape(info.height, info.width, info.channels);
    } else if (attr == MP_QSTR_task || attr == MP_QSTR_labels) {
        dest[1] = MP_OBJ_SENTINEL; // a Model has these
    } else {
        rnnpool_model_attr(self_in, attr, dest);
    }
}

static void layer_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_model_refresh(self, true);
    rnnp_op_info_t info = get_info(self);
    mp_printf(print, "<%q '%s' %ux%ux%u to %ux%ux%u, ram %u>", self->base.type->name, self->model.name,
        (unsigned int)self->model.height, (unsigned int)self->model.width, (unsigned int)self->model.channels,
        (unsigned int)info.height, (unsigned int)info.width, (unsigned int)info.channels, (unsigned int)self->ram);
}

RNNPOOL_DEFINE_DICT(layer_methods, // the same for all
    { MP_ROM_QSTR(MP_QSTR_feed), MP_ROM_PTR(&layer_feed_obj) },
    { MP_ROM_QSTR(MP_QSTR_begin), MP_ROM_PTR(&layer_begin_obj) },
    { MP_ROM_QSTR(MP_QSTR_selftest), MP_ROM_PTR(&layer_selftest_obj) });

#define DEFINE_LAYER_TYPE(type, name) \
    RNNPOOL_DEFINE_TYPE(type, name, layer_make_new, layer_attr, layer_print, layer_methods)

DEFINE_LAYER_TYPE(rnnpool_conv2d_type, MP_QSTR_Conv2D);
DEFINE_LAYER_TYPE(rnnpool_rnnpool_type, MP_QSTR_RNNPool);
DEFINE_LAYER_TYPE(rnnpool_mbconv_type, MP_QSTR_MBConv);
DEFINE_LAYER_TYPE(rnnpool_average_pool_type, MP_QSTR_AveragePool);
DEFINE_LAYER_TYPE(rnnpool_dense_type, MP_QSTR_Dense);
DEFINE_LAYER_TYPE(rnnpool_head_type, MP_QSTR_Head);
