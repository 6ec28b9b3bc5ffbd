// This file is part of rnnpool. MIT licence, see LICENSE.
//
// detect_faces and person_present, whose models are made when they are first used and kept.

#include "binding/binding.h"

enum { FACE, PERSON, NUM_KEPT };

MP_REGISTER_ROOT_POINTER(mp_obj_t rnnpool_kept_models[2]); // NUM_KEPT; MP_OBJ_NULL: not made yet

void rnnpool_functions_reset(void) {
    for (size_t i = 0; i < NUM_KEPT; i++) {
        RNNPOOL_KEPT_MODELS[i] = MP_OBJ_NULL;
    }
}

static mp_obj_t get_model(size_t index) {
    mp_obj_t *slot = &RNNPOOL_KEPT_MODELS[index];
    if (*slot == MP_OBJ_NULL) {
        rnnpool_source_t source;
        rnnpool_source_open(&source, MP_OBJ_NEW_QSTR(index == FACE ? MP_QSTR_face : MP_QSTR_person));
        *slot = rnnpool_model_new(
            RNNPOOL_TYPE(rnnpool_model_type), RNNPOOL_NO_LAYER, &source, rnnpool_arena_of_board(), 0, 0);
    }
    return *slot;
}

// detect_faces(frame, *, ...), as Model.detect
static mp_obj_t detect_faces(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    mp_arg_check_num(n_args, kw_args->used, 0, 1, true);
    mp_obj_t detect_args[2] = { get_model(FACE) };
    if (n_args == 1) {
        detect_args[1] = args[0];
    }
    return rnnpool_model_detect(1 + n_args, detect_args, kw_args);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_detect_faces_obj, 0, detect_faces);

// person_present(frame, *, ...), as Model.classify without out
static mp_obj_t person_present(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    mp_arg_check_num(n_args, kw_args->used, 0, 1, true);
    mp_obj_t classify_args[2] = { get_model(PERSON) };
    if (n_args == 1) {
        classify_args[1] = args[0];
    }
    rnnpool_model_obj_t *model = rnnpool_model_run(1 + n_args, classify_args, kw_args, rnnpool_probabilities_out, NULL);
    rnnp_softmax_t softmax;
    rnnpool_softmax(model, &softmax);
    uint32_t last = model->model.num_labels - 1u;
    return rnnpool_float_from_q15(rnnp_probability(&softmax, model->arena.data, last));
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_person_present_obj, 0, person_present);
