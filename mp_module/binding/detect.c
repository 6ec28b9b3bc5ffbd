// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The methods of Model that run it. All arguments are checked before anything is computed.

#include "binding/binding.h"

static rnnpool_model_obj_t *ready_model(mp_obj_t self_in) {
    rnnpool_model_obj_t *self = MP_OBJ_TO_PTR(self_in);
    rnnpool_run_check_idle(self);
    rnnpool_model_refresh(self, false);
    if (self->run.measured.gain != 0) { // before another image, which may measure nothing, takes its place
        self->light = self->run.measured;
    }
    return self;
}

static bool is_classifier(const rnnpool_model_obj_t *self) {
    return self->model.task == RNNP_TASK_CLASSIFICATION;
}

static void check_no_map(const rnnpool_model_obj_t *self) {
    if (self->model.task == RNNP_TASK_MAP) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model makes a map: run()"));
    }
}

// `wanted`: something was asked of the model that only detectors do.
static void check_detector(const rnnpool_model_obj_t *self, bool wanted) {
    if (wanted) {
        check_no_map(self);
    }
    if (wanted && self->model.numbers) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model gives numbers, it does not detect: run()"));
    }
    if (wanted && is_classifier(self)) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model classifies, it does not detect"));
    }
}

// detect(frame, *, <frame>, scale=None, threshold=None, iou=None, max_faces=0, out=None), <frame> as in binding.h
mp_obj_t rnnpool_model_detect(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    enum { ARG_frame, ARG_of_frame, ARG_scale = ARG_of_frame + RNNPOOL_NUM_FRAME_ARGS, ARG_threshold, ARG_iou };
    enum { ARG_max_faces = ARG_iou + 1, ARG_out };
    RNNPOOL_NAMES mp_arg_t allowed_args[] = {
        { MP_QSTR_frame, MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        RNNPOOL_FRAME_ARGS,
        { MP_QSTR_scale, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
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
    rnnpool_frame_of_pixels(&frame, &self->model, vals[ARG_frame].u_obj, &vals[ARG_of_frame]);
    uint16_t threshold = rnnpool_q15_from_arg(vals[ARG_threshold].u_obj, MP_QSTR_threshold, self->model.threshold);
    rnnpool_request_t request;
    rnnpool_request_from_args(
        &request, &self->model, vals[ARG_iou].u_obj, vals[ARG_max_faces].u_int, vals[ARG_out].u_obj);

    uint16_t scales[RNNPOOL_MAX_SCALES];
    size_t passes = rnnpool_scales_from_arg(vals[ARG_scale].u_obj, scales);
    if (passes > 1) { // the arena must not grow between them
        rnnpool_model_refresh(self, true); // before its blob is followed
        rnnp_frame_t pass = frame;
        for (size_t i = 0; i < passes; i++) {
            pass.scale = scales[i];
            rnnpool_arena_reserve(&self->arena, rnnp_arena_size(&self->model, &pass));
            pass.measure = false; // the first pass has found the light
        }
    }
    frame.scale = scales[0];
    rnnpool_run_begin(self, &frame, threshold);
    rnnpool_check_out(self, &request.out, vals[ARG_frame].u_obj);
    rnnpool_run_push_frame(self, vals[ARG_frame].u_obj);
    for (size_t i = 1; i < passes; i++) {
        rnnpool_run_begin_scale(self, scales[i]);
        rnnpool_run_push_frame(self, vals[ARG_frame].u_obj);
    }
    return rnnpool_results(self, &request);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_detect_obj, 1, rnnpool_model_detect);

rnnpool_model_obj_t *rnnpool_model_run(
    size_t n_args, const mp_obj_t *args, mp_map_t *kw_args, rnnpool_look_at_out_t look_at_out, rnnpool_memory_t *out) {
    enum { ARG_frame, ARG_of_frame, ARG_out = ARG_of_frame + RNNPOOL_NUM_FRAME_ARGS };
    RNNPOOL_NAMES mp_arg_t allowed_args[] = {
        { MP_QSTR_frame, MP_ARG_REQUIRED | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        RNNPOOL_FRAME_ARGS,
        { MP_QSTR_out, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    size_t allowed = out != NULL ? MP_ARRAY_SIZE(allowed_args) : ARG_out;
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, allowed, allowed_args, vals);

    rnnpool_model_obj_t *self = ready_model(args[0]);
    rnnpool_memory_t unused;
    look_at_out(out != NULL ? out : &unused, self, out != NULL ? vals[ARG_out].u_obj : mp_const_none);
    rnnp_frame_t frame;
    rnnpool_frame_of_pixels(&frame, &self->model, vals[ARG_frame].u_obj, &vals[ARG_of_frame]);
    rnnpool_run_begin(self, &frame, 0);
    if (out != NULL) {
        rnnpool_check_out(self, out, vals[ARG_frame].u_obj);
    }
    rnnpool_run_push_frame(self, vals[ARG_frame].u_obj);
    return self;
}

// classify(frame, *, <frame>, out=None)
static mp_obj_t model_classify(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    rnnpool_memory_t out;
    rnnpool_model_obj_t *self = rnnpool_model_run(n_args, args, kw_args, rnnpool_probabilities_out, &out);
    return rnnpool_probabilities(self, &out);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_classify_obj, 1, model_classify);

// run(frame, *, <frame>, out=None)
static mp_obj_t model_run(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    rnnpool_memory_t out;
    rnnpool_model_obj_t *self = rnnpool_model_run(n_args, args, kw_args, rnnpool_raw_out, &out);
    return rnnpool_raw(self, &out);
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_run_obj, 1, model_run);

// begin(*, <frame>, scale=None, threshold=None)
static mp_obj_t model_begin(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    enum { ARG_of_frame, ARG_scale = ARG_of_frame + RNNPOOL_NUM_FRAME_ARGS, ARG_threshold };
    RNNPOOL_NAMES mp_arg_t allowed_args[] = {
        RNNPOOL_FRAME_ARGS,
        { MP_QSTR_scale, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_threshold, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);

    rnnpool_model_obj_t *self = ready_model(args[0]);
    check_detector(self, vals[ARG_threshold].u_obj != mp_const_none || vals[ARG_scale].u_obj != mp_const_none);
    rnnp_frame_t frame;
    rnnpool_frame_from_args(&frame, &self->model, &vals[ARG_of_frame]);
    if (frame.measure) {
        frame.light = self->light;
    }
    uint16_t scales[RNNPOOL_MAX_SCALES];
    if (rnnpool_scales_from_arg(vals[ARG_scale].u_obj, scales) > 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("several scales want a whole frame"));
    }
    frame.scale = scales[0];
    uint16_t threshold = rnnpool_q15_from_arg(vals[ARG_threshold].u_obj, MP_QSTR_threshold, self->model.threshold);
    rnnpool_run_begin(self, &frame, threshold);
    self->guessed = vals[ARG_of_frame + RNNPOOL_FORMAT_ARG].u_obj == mp_const_none;
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_KW(rnnpool_model_begin_obj, 1, model_begin);

// feed(rows)
static mp_obj_t model_feed(mp_obj_t self_in, mp_obj_t rows_in) {
    rnnpool_model_obj_t *self = ready_model(self_in);
    rnnpool_run_check(self);
    mp_buffer_info_t buffer;
    rnnpool_frame_buffer(rows_in, &buffer);
    rnnpool_frame_check_items(&self->run.frame, &buffer);
    // The gap behind the last row may be there or not. Who leaves it out goes on so: bytes that begin with the gap that was
    // left out before have the length of rows with their gaps.
    size_t row_bytes = rnnp_frame_row_bytes(&self->run.frame), stride = rnnp_frame_stride(&self->run.frame);
    size_t rows = (buffer.len + stride - row_bytes) / stride, bytes = rows * stride;
    size_t wanted = (size_t)(self->run.height - self->run.rows_in);
    if (buffer.len != bytes && (rows == 0 || buffer.len != bytes - stride + row_bytes)) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("rows of %u bytes each wanted, not %u bytes"),
            (unsigned int)stride, (unsigned int)buffer.len);
    }
    if (rows > wanted) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("%u rows wanted, not %u"), (unsigned int)wanted, (unsigned int)rows);
    }
    RNNPOOL_CHECK_ROWS(rows_in, rows);
    if (self->guessed && self->run.rows_in == 0) {
        rnnpool_frame_check_guess(self->run.frame.format, &buffer, self->run.height * stride);
    }
    bool gapless = buffer.len != bytes;
    if (self->gapless && rows != 0 && !gapless) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("rows had no gaps: do these %u bytes begin with one?"),
            (unsigned int)buffer.len);
    }
    rnnpool_run_push(self, rows_in, rows);
    self->gapless |= gapless;
    return MP_OBJ_NEW_SMALL_INT((mp_int_t)(wanted - rows));
}
MP_DEFINE_CONST_FUN_OBJ_2(rnnpool_model_feed_obj, model_feed);

// result(*, iou=None, max_faces=0, out=None)
static mp_obj_t model_result(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    enum { ARG_iou, ARG_max_faces, ARG_out };
    RNNPOOL_NAMES mp_arg_t allowed_args[] = {
        { MP_QSTR_iou, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        { MP_QSTR_max_faces, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        { MP_QSTR_out, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
    };
    mp_arg_val_t vals[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args - 1, args + 1, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, vals);

    rnnpool_model_obj_t *self = ready_model(args[0]);
    check_detector(self, vals[ARG_iou].u_obj != mp_const_none || vals[ARG_max_faces].u_int != 0);
    rnnpool_run_check(self);
    rnnpool_memory_t out;
    if (is_classifier(self) && !self->model.numbers) {
        rnnpool_probabilities_out(&out, self, vals[ARG_out].u_obj);
        return rnnpool_probabilities(self, &out);
    }
    if (self->model.task == RNNP_TASK_MAP || self->model.numbers) {
        rnnpool_raw_out(&out, self, vals[ARG_out].u_obj);
        return rnnpool_raw(self, &out);
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
    rnnpool_frame_of_model(&frame, &self->model);
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
