// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The type Model: what it is made from, what it says about itself, and its methods.

#include <string.h>

#include "binding/binding.h"

// Model(source, *, arena=None, width=0, height=0)
static mp_obj_t model_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    enum { ARG_source, ARG_arena, ARG_width, ARG_height };
    RNNPOOL_NAMES mp_arg_t allowed_args[] = {
        { MP_QSTR_source, MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_arena, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_width, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_height, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all_kw_array(n_args, n_kw, args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);
    rnnpool_source_t source;
    rnnpool_source_open(&source, vals[ARG_source].u_obj);
    return rnnpool_model_new(
        type, RNNPOOL_NO_LAYER, &source, vals[ARG_arena].u_obj, vals[ARG_width].u_int, vals[ARG_height].u_int);
}

static bool is_in_place(const rnnpool_model_obj_t *self) {
    return self->source.copy == NULL;
}

static qstr task_name(const rnnpool_model_obj_t *self) {
    rnnp_task_t task = self->model.task;
    return task == RNNP_TASK_DETECTION ? MP_QSTR_detection
        : task == RNNP_TASK_MAP        ? MP_QSTR_map
        : self->model.numbers          ? MP_QSTR_numbers
                                       : MP_QSTR_classification;
}

static uint64_t total_macs(const rnnpool_model_obj_t *self) {
    uint64_t macs = 0;
    for (uint32_t i = 0; i < self->model.num_ops; i++) {
        rnnp_op_info_t info;
        rnnp_model_op_info(&self->model, i, &info);
        macs += info.macs;
    }
    return macs;
}

static mp_obj_t new_labels(const rnnpool_model_obj_t *self) {
    mp_obj_t list = mp_obj_new_list(0, NULL);
    const char *label = self->model.labels;
    for (uint32_t i = 0; i < self->model.num_labels; i++) {
        size_t len = strlen(label);
        mp_obj_list_append(list, mp_obj_new_str(label, len));
        label += len + 1;
    }
    size_t len;
    mp_obj_t *items;
    mp_obj_get_array(list, &len, &items);
    return mp_obj_new_tuple(len, items);
}

void rnnpool_model_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        return; // all are read-only
    }
    if (attr == MP_QSTR_output_shape || attr == MP_QSTR_output_scale || attr == MP_QSTR_output_zero_point) {
        rnnpool_model_refresh(self, true);
        if (!rnnpool_raw_attr(self, attr, dest)) {
            dest[1] = MP_OBJ_SENTINEL; // there is none
        }
        return;
    }
    // Names are no constants in a native .mpy: no switch.
    bool known = attr == MP_QSTR_task || attr == MP_QSTR_name || attr == MP_QSTR_labels ||
        attr == MP_QSTR_input_shape || attr == MP_QSTR_ram || attr == MP_QSTR_size || attr == MP_QSTR_in_place ||
        attr == MP_QSTR_macs;
    if (!known) {
        dest[1] = MP_OBJ_SENTINEL; // a method, maybe
        return;
    }
    rnnpool_model_refresh(self, true);
    const rnnp_model_t *model = &self->model;
    if (attr == MP_QSTR_task) {
        dest[0] = MP_OBJ_NEW_QSTR(task_name(self));
    } else if (attr == MP_QSTR_name) {
        dest[0] = mp_obj_new_str(model->name, strlen(model->name));
    } else if (attr == MP_QSTR_labels) {
        dest[0] = new_labels(self);
    } else if (attr == MP_QSTR_input_shape) {
        dest[0] = rnnpool_new_shape(model->height, model->width, model->channels);
    } else if (attr == MP_QSTR_ram) {
        dest[0] = mp_obj_new_int_from_uint(self->ram);
    } else if (attr == MP_QSTR_size) {
        dest[0] = mp_obj_new_int_from_uint(model->size);
    } else if (attr == MP_QSTR_in_place) {
        dest[0] = mp_obj_new_bool(is_in_place(self));
    } else { // macs
        dest[0] = mp_obj_new_int_from_ull(total_macs(self));
    }
}

static void model_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_model_refresh(self, true);
    const rnnp_model_t *model = &self->model;
    mp_printf(print, "<Model '%s' %q %ux%ux%u, %u bytes %s, ram %u, %u kmacs>", model->name, task_name(self),
        (unsigned int)model->width, (unsigned int)model->height, (unsigned int)model->channels,
        (unsigned int)model->size, is_in_place(self) ? "in place" : "copied", (unsigned int)self->ram,
        (unsigned int)(total_macs(self) / 1000));
}

// The kind's name in SPEC.md, in small letters.
static mp_obj_t new_kind(rnnp_kind_t kind) {
    const char *name = rnnp_kind_name(kind);
    char small[24];
    size_t len = 0;
    for (; name[len] != '\0' && len < sizeof(small); len++) {
        small[len] = name[len] == '_' ? '_' : (char)(name[len] | 0x20);
    }
    return mp_obj_new_str(small, len);
}

// layers()
static mp_obj_t model_layers(mp_obj_t self_in) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_model_refresh(self, true);
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (uint32_t i = 0; i < self->model.num_ops; i++) {
        rnnp_op_info_t info;
        rnnp_model_op_info(&self->model, i, &info);
        mp_obj_t items[] = {
            new_kind(info.kind),
            rnnpool_new_shape(info.height, info.width, info.channels),
            mp_obj_new_int_from_uint(info.arena),
            mp_obj_new_int_from_uint(info.macs),
        };
        mp_obj_list_append(list, mp_obj_new_tuple(MP_ARRAY_SIZE(items), items));
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_1(model_layers_obj, model_layers);

RNNPOOL_DEFINE_DICT(model_methods, { MP_ROM_QSTR(MP_QSTR_detect), MP_ROM_PTR(&rnnpool_model_detect_obj) },
    { MP_ROM_QSTR(MP_QSTR_classify), MP_ROM_PTR(&rnnpool_model_classify_obj) },
    { MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&rnnpool_model_run_obj) },
    { MP_ROM_QSTR(MP_QSTR_begin), MP_ROM_PTR(&rnnpool_model_begin_obj) },
    { MP_ROM_QSTR(MP_QSTR_feed), MP_ROM_PTR(&rnnpool_model_feed_obj) },
    { MP_ROM_QSTR(MP_QSTR_result), MP_ROM_PTR(&rnnpool_model_result_obj) },
    { MP_ROM_QSTR(MP_QSTR_layers), MP_ROM_PTR(&model_layers_obj) },
    { MP_ROM_QSTR(MP_QSTR_selftest), MP_ROM_PTR(&rnnpool_model_selftest_obj) });

RNNPOOL_DEFINE_TYPE(rnnpool_model_type, MP_QSTR_Model, model_make_new, rnnpool_model_attr, model_print, model_methods);
