// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The module `rnnpool`. What scripts see is described in typings/rnnpool.pyi.

#include "py/objstr.h"

#include "binding/binding.h"

// required_ram(source, *, <frame>, scale=None), <frame> as in binding.h
static mp_obj_t rnnpool_required_ram(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    enum { ARG_source, ARG_of_frame, ARG_scale = ARG_of_frame + RNNPOOL_NUM_FRAME_ARGS };
    RNNPOOL_NAMES mp_arg_t allowed_args[] = {
        { MP_QSTR_source, MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        RNNPOOL_FRAME_ARGS,
        { MP_QSTR_scale, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args, args, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);

    rnnpool_check_stack();
    rnnpool_source_t source;
    rnnpool_source_open(&source, vals[ARG_source].u_obj);
    rnnp_model_t model;
    rnnp_error_t error;
    rnnp_status_t status = rnnp_model_init(&model, source.data, source.size, &error);
    if (status != RNNP_OK) {
        rnnpool_raise_blob(&error, source.data, source.size);
    }
    uint16_t scales[RNNPOOL_MAX_SCALES];
    size_t passes = rnnpool_scales_from_arg(vals[ARG_scale].u_obj, scales);
    uint32_t ram = rnnpool_frame_required_ram(&model, &vals[ARG_of_frame], scales, passes);
    if (source.copy != NULL) {
        m_del(uint8_t, source.copy, source.size);
    }
    return mp_obj_new_int_from_uint(ram);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_required_ram_obj, 1, rnnpool_required_ram);

#if MICROPY_ENABLE_DYNRUNTIME
// The module itself is natmod/runtime.c's.
#define MODULE_ROWS { MP_ROM_QSTR(MP_QSTR___version__), rnnpool_new_text(RNNP_VERSION_STRING) }
#elif defined(RNNPOOL_CPYTHON)
// The module itself is cpython/module.c's.
#define MODULE_ROWS { MP_ROM_QSTR(MP_QSTR___version__), MP_ROM_TEXT(RNNP_VERSION_STRING) }
#else
static const MP_DEFINE_STR_OBJ(version_obj, RNNP_VERSION_STRING);

// MicroPython calls this at each import of a module that is not in sys.modules. We put ourselves there, so it comes once
// after each start of the interpreter; then the cached model is of a heap that is gone (a soft reset does not clear
// root pointers of user modules).
static mp_obj_t rnnpool_init(void);
static MP_DEFINE_CONST_FUN_OBJ_0(rnnpool_init_obj, rnnpool_init);

#define MODULE_ROWS                                                        \
    { MP_ROM_QSTR(MP_QSTR___version__), MP_ROM_PTR(&version_obj) },        \
        { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_rnnpool) }, { \
        MP_ROM_QSTR(MP_QSTR___init__), MP_ROM_PTR(&rnnpool_init_obj)       \
    }
#endif

RNNPOOL_DEFINE_DICT(rnnpool_globals, { MP_ROM_QSTR(MP_QSTR_GRAY8), MP_ROM_INT(RNNP_GRAY8) },
    { MP_ROM_QSTR(MP_QSTR_RGB565), MP_ROM_INT(RNNP_RGB565) },
    { MP_ROM_QSTR(MP_QSTR_RGB565_BE), MP_ROM_INT(RNNP_RGB565_BE) },
    { MP_ROM_QSTR(MP_QSTR_RGB888), MP_ROM_INT(RNNP_RGB888) }, { MP_ROM_QSTR(MP_QSTR_BGR888), MP_ROM_INT(RNNP_BGR888) },
    { MP_ROM_QSTR(MP_QSTR_YUYV), MP_ROM_INT(RNNP_YUYV) }, { MP_ROM_QSTR(MP_QSTR_UYVY), MP_ROM_INT(RNNP_UYVY) },
    { MP_ROM_QSTR(MP_QSTR_YUV420), MP_ROM_INT(RNNP_YUV420) },
    { MP_ROM_QSTR(MP_QSTR_Model), MP_ROM_PTR(RNNPOOL_TYPE(rnnpool_model_type)) },
    { MP_ROM_QSTR(MP_QSTR_Conv2D), MP_ROM_PTR(RNNPOOL_TYPE(rnnpool_conv2d_type)) },
    { MP_ROM_QSTR(MP_QSTR_RNNPool), MP_ROM_PTR(RNNPOOL_TYPE(rnnpool_rnnpool_type)) },
    { MP_ROM_QSTR(MP_QSTR_MBConv), MP_ROM_PTR(RNNPOOL_TYPE(rnnpool_mbconv_type)) },
    { MP_ROM_QSTR(MP_QSTR_AveragePool), MP_ROM_PTR(RNNPOOL_TYPE(rnnpool_average_pool_type)) },
    { MP_ROM_QSTR(MP_QSTR_Dense), MP_ROM_PTR(RNNPOOL_TYPE(rnnpool_dense_type)) },
    { MP_ROM_QSTR(MP_QSTR_Head), MP_ROM_PTR(RNNPOOL_TYPE(rnnpool_head_type)) },
    { MP_ROM_QSTR(MP_QSTR_builtin_models), MP_ROM_PTR(&rnnpool_builtin_models_obj) },
    { MP_ROM_QSTR(MP_QSTR_required_ram), MP_ROM_PTR(&rnnpool_required_ram_obj) },
    { MP_ROM_QSTR(MP_QSTR_detect_faces), MP_ROM_PTR(&rnnpool_detect_faces_obj) },
    { MP_ROM_QSTR(MP_QSTR_person_present), MP_ROM_PTR(&rnnpool_person_present_obj) }, MODULE_ROWS);

#if MICROPY_ENABLE_DYNRUNTIME || defined(RNNPOOL_CPYTHON)
void rnnpool_fill_module(mp_obj_t globals) {
    rnnpool_globals_fill(globals);
}
#else
const mp_obj_module_t rnnpool_user_cmodule = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&rnnpool_globals,
};
MP_REGISTER_MODULE(MP_QSTR_rnnpool, rnnpool_user_cmodule);

static mp_obj_t rnnpool_init(void) {
    rnnpool_functions_reset();
    mp_obj_t modules = MP_OBJ_FROM_PTR(&MP_STATE_VM(mp_loaded_modules_dict));
    mp_obj_dict_store(modules, MP_OBJ_NEW_QSTR(MP_QSTR_rnnpool), MP_OBJ_FROM_PTR(&rnnpool_user_cmodule));
    return mp_const_none;
}
#endif
