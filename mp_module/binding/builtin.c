// This file is part of rnnpool. MIT licence, see LICENSE.
//
// detect_faces: the model that is built into the firmware, made when it is first used and kept.

#include <string.h>

#include "py/mperrno.h"
#include "py/objstr.h"

#include "binding/binding.h"
#include "binding/builtin_models.h"

#define FACE_MODEL "face"
#define FACE_PATH "/rom/face.rnnp" // where it is looked for if it is not in the firmware

MP_REGISTER_ROOT_POINTER(mp_obj_t rnnpool_face_model); // MP_OBJ_NULL: not made yet

void rnnpool_builtin_reset(void) {
    MP_STATE_VM(rnnpool_face_model) = MP_OBJ_NULL;
}

static bool find_builtin(rnnpool_source_t *source, const char *name) {
    for (uint32_t i = 0; i < rnnp_builtin_models_len; i++) {
        if (strcmp(rnnp_builtin_models[i].name, name) == 0) {
            rnnpool_source_open_builtin(source, rnnp_builtin_models[i].data, rnnp_builtin_models[i].size);
            return true;
        }
    }
    return false;
}

static void open_face_path(rnnpool_source_t *source) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        rnnpool_source_open(source, mp_obj_new_str_from_cstr(FACE_PATH));
        nlr_pop();
        return;
    }
    // "No such file" would not tell what to do.
    mp_obj_t error = MP_OBJ_FROM_PTR(nlr.ret_val);
    if (!mp_obj_exception_match(error, MP_OBJ_FROM_PTR(&mp_type_OSError))) {
        nlr_jump(nlr.ret_val);
    }
    static const MP_DEFINE_STR_OBJ(text, "no face model in this firmware and no " FACE_PATH);
    mp_obj_t args[] = { MP_OBJ_NEW_SMALL_INT(MP_ENOENT), MP_OBJ_FROM_PTR(&text) };
    nlr_raise(mp_obj_new_exception_args(&mp_type_OSError, MP_ARRAY_SIZE(args), args));
}

static mp_obj_t face_model(void) {
    if (MP_STATE_VM(rnnpool_face_model) == MP_OBJ_NULL) {
        rnnpool_source_t source;
        if (!find_builtin(&source, FACE_MODEL)) {
            open_face_path(&source);
        }
        MP_STATE_VM(rnnpool_face_model) = rnnpool_model_new(
            &rnnpool_model_type, &source, rnnpool_arena_of_board(), 0, 0);
    }
    return MP_STATE_VM(rnnpool_face_model);
}

// detect_faces(frame, *, width=0, height=0, format=None, threshold=None, iou=None, max_faces=0, out=None)
static mp_obj_t detect_faces(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    mp_arg_check_num(n_args, kw_args->used, 0, 1, true);
    mp_obj_t detect_args[2] = { face_model() };
    if (n_args == 1) {
        detect_args[1] = args[0];
    }
    return rnnpool_model_detect(1 + n_args, detect_args, kw_args);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_detect_faces_obj, 0, detect_faces);
