// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The methods of Model that run it. All arguments are checked before anything is computed.

#include "binding/binding.h"

static rnnpool_model_obj_t *ready_model(mp_obj_t self_in) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_run_check_idle(self);
    rnnpool_model_refresh(self, false);
    return self;
}

static bool is_classifier(const rnnpool_model_obj_t *self) {
    return self->model.task == RNNP_TASK_CLASSIFICATION;
}

// `wanted`: something was asked of the model that only detectors do.
static void check_detector(const rnnpool_model_obj_t *self, bool wanted) {
    if (wanted && is_classifier(self)) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model classifies, it does not detect"));
    }
}

// detect(frame, *, width=0, height=0, format=None, threshold=None, iou=None, max_faces=0, out=None)
mp_obj_t rnnpool_model_detect(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    enum { ARG_frame, ARG_width, ARG_height, ARG_format, ARG_threshold, ARG_iou, ARG_max_faces, ARG_out };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_frame, MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_width, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_height, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_format, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_threshold, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_iou, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_max_faces, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_out, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);

    rnnpool_model_obj_t *self = ready_model(args[0]);
    check_detector(self, true);
    rnnp_frame_t frame;
    rnnpool_frame_of_pixels(&frame, &self->model, vals[ARG_frame].u_obj, vals[ARG_width].u_int, vals[ARG_height].u_int,
        vals[ARG_format].u_obj);
    uint16_t threshold = rnnpool_q15_from_arg(vals[ARG_threshold].u_obj, MP_QSTR_threshold, self->model.threshold);
    rnnpool_request_t request;
    rnnpool_request_from_args(
        &request, &self->model, vals[ARG_iou].u_obj, vals[ARG_max_faces].u_int, vals[ARG_out].u_obj);

    rnnpool_run_begin(self, &frame, threshold);
    rnnpool_check_out(self, &request.out, vals[ARG_frame].u_obj);
    rnnpool_run_push(self, vals[ARG_frame].u_obj, frame.height);
    return rnnpool_results(self, &request);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_detect_obj, 1, rnnpool_model_detect);

rnnpool_model_obj_t *rnnpool_model_run_classifier(
    size_t n_args, const mp_obj_t *args, mp_map_t *kw_args, rnnpool_memory_t *out) {
    enum { ARG_frame, ARG_width, ARG_height, ARG_format, ARG_out };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_frame, MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_width, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_height, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_format, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_out, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    size_t allowed = out != NULL ? MP_ARRAY_SIZE(allowed_args) : ARG_out;
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, allowed, allowed_args, vals);

    rnnpool_model_obj_t *self = ready_model(args[0]);
    if (!is_classifier(self)) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model detects, it does not classify"));
    }
    rnnp_frame_t frame;
    rnnpool_frame_of_pixels(&frame, &self->model, vals[ARG_frame].u_obj, vals[ARG_width].u_int, vals[ARG_height].u_int,
        vals[ARG_format].u_obj);
    if (out != NULL) {
        rnnpool_probabilities_out(out, &self->model, vals[ARG_out].u_obj);
    }
    rnnpool_run_begin(self, &frame, 0);
    if (out != NULL) {
        rnnpool_check_out(self, out, vals[ARG_frame].u_obj);
    }
    rnnpool_run_push(self, vals[ARG_frame].u_obj, frame.height);
    return self;
}

// classify(frame, *, width=0, height=0, format=None, out=None)
static mp_obj_t model_classify(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    rnnpool_memory_t out;
    rnnpool_model_obj_t *self = rnnpool_model_run_classifier(n_args, args, kw_args, &out);
    return rnnpool_probabilities(self, &out);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_classify_obj, 1, model_classify);

// begin(*, width=0, height=0, format=None, threshold=None)
static mp_obj_t model_begin(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    enum { ARG_width, ARG_height, ARG_format, ARG_threshold };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_width, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_height, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_format, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_threshold, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);

    rnnpool_model_obj_t *self = ready_model(args[0]);
    check_detector(self, vals[ARG_threshold].u_obj != mp_const_none);
    rnnp_frame_t frame;
    rnnpool_frame_from_args(
        &frame, &self->model, vals[ARG_width].u_int, vals[ARG_height].u_int, vals[ARG_format].u_obj, 0);
    uint16_t threshold = rnnpool_q15_from_arg(vals[ARG_threshold].u_obj, MP_QSTR_threshold, self->model.threshold);
    rnnpool_run_begin(self, &frame, threshold);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_begin_obj, 1, model_begin);

// feed(rows)
static mp_obj_t model_feed(mp_obj_t self_in, mp_obj_t rows_in) {
    rnnpool_model_obj_t *self = ready_model(self_in);
    rnnpool_run_check(self);
    mp_buffer_info_t buffer;
    rnnpool_frame_buffer(rows_in, &buffer);
    size_t row_bytes = rnnp_frame_row_bytes(&self->run.frame);
    size_t rows = buffer.len / row_bytes;
    size_t wanted = (size_t)(self->run.frame.height - self->run.rows_in);
    if (buffer.len % row_bytes != 0) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("rows of %u bytes each wanted, not %u bytes"),
            (unsigned int)row_bytes, (unsigned int)buffer.len);
    }
    if (rows > wanted) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("%u rows wanted, not %u"), (unsigned int)wanted, (unsigned int)rows);
    }
    rnnpool_run_push(self, rows_in, rows);
    return MP_OBJ_NEW_SMALL_INT((mp_int_t)(wanted - rows));
}
MP_DEFINE_CONST_FUN_OBJ_2(rnnpool_model_feed_obj, model_feed);

// result(*, iou=None, max_faces=0, out=None)
static mp_obj_t model_result(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    enum { ARG_iou, ARG_max_faces, ARG_out };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_iou, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_max_faces, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_out, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);

    rnnpool_model_obj_t *self = ready_model(args[0]);
    check_detector(self, vals[ARG_iou].u_obj != mp_const_none || vals[ARG_max_faces].u_int != 0);
    rnnpool_run_check(self);
    if (is_classifier(self)) {
        rnnpool_memory_t out;
        rnnpool_probabilities_out(&out, &self->model, vals[ARG_out].u_obj);
        return rnnpool_probabilities(self, &out);
    }
    rnnpool_request_t request;
    rnnpool_request_from_args(
        &request, &self->model, vals[ARG_iou].u_obj, vals[ARG_max_faces].u_int, vals[ARG_out].u_obj);
    return rnnpool_results(self, &request);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_result_obj, 1, model_result);

// selftest()
static mp_obj_t model_selftest(mp_obj_t self_in) {
    rnnpool_model_obj_t *self = ready_model(self_in);
    rnnp_frame_t frame;
    rnnpool_frame_from_args(&frame, &self->model, 0, 0, mp_const_none, 0);
    size_t row_bytes = rnnp_frame_row_bytes(&frame);
    uint8_t *row = rnnpool_allocate(row_bytes);
    mp_obj_t row_obj = mp_obj_new_bytearray_by_ref(row_bytes, row);

    rnnpool_run_begin(self, &frame, self->model.threshold);
    self->run.skip_crc = false;
    uint32_t state = self->model.golden_seed;
    for (uint32_t y = 0; y < frame.height; y++) {
        rnnp_golden_row(&self->model, y, &state, row);
        rnnpool_run_push(self, row_obj, 1);
    }
    bool right = rnnp_result_crc(&self->run, self->arena.data) == self->model.golden_crc;
    self->begun = false; // nobody's image
    return mp_obj_new_bool(right);
}
MP_DEFINE_CONST_FUN_OBJ_1(rnnpool_model_selftest_obj, model_selftest);
