// This file is part of rnnpool. MIT licence, see LICENSE.

#include <string.h>

#include "py/binary.h"

#include "binding/binding.h"

#define MAX_ITEMS (6) // x, y, w, h, score, and of a model with several classes the class

mp_obj_t rnnpool_float_from_q15(uint16_t value) {
    return rnnpool_new_float(value, 1u << 15);
}

mp_obj_t *rnnpool_empty_items(mp_obj_t container) {
    size_t len;
    mp_obj_t *items;
    mp_obj_get_array(container, &len, &items);
    for (size_t i = 0; i < len; i++) {
        items[i] = mp_const_none;
    }
    return items;
}

static size_t num_items(const rnnp_model_t *model) {
    return model->num_labels == 1 ? MAX_ITEMS - 1 : MAX_ITEMS;
}

static size_t record_bytes(const rnnp_model_t *model) {
    return num_items(model) * sizeof(int16_t);
}

static mp_obj_t new_result(const rnnp_model_t *model, const rnnp_detection_t *detection) {
    mp_obj_t items[MAX_ITEMS] = {
        MP_OBJ_NEW_SMALL_INT(detection->x),
        MP_OBJ_NEW_SMALL_INT(detection->y),
        MP_OBJ_NEW_SMALL_INT(detection->w),
        MP_OBJ_NEW_SMALL_INT(detection->h),
        rnnpool_float_from_q15(detection->score),
        MP_OBJ_NEW_SMALL_INT(detection->label),
    };
    return mp_obj_new_tuple(num_items(model), items);
}

static void put_record(uint8_t *to, const rnnp_model_t *model, const rnnp_detection_t *detection) {
    // Scores are below 2^15; a bytearray may lie anywhere.
    int16_t record[MAX_ITEMS] = { detection->x, detection->y, detection->w, detection->h, (int16_t)detection->score,
        (int16_t)detection->label };
    memcpy(to, record, record_bytes(model));
}

// The buffer that int16 values are to be written to.
static void get_values_buffer(const rnnpool_memory_t *out, mp_buffer_info_t *buffer) {
    rnnpool_memory_look_up(out, buffer, MP_BUFFER_RW);
    int typecode = buffer->typecode;
    if (typecode != 'h' && typecode != 'B' && typecode != BYTEARRAY_TYPECODE) {
        mp_raise_msg_varg(
            &mp_type_TypeError, MP_ERROR_TEXT("out must be array('h') or bytearray, not items '%c'"), typecode);
    }
}

// Returns the number of records that `out` has room for.
static size_t get_records_buffer(const rnnpool_memory_t *out, const rnnp_model_t *model, mp_buffer_info_t *buffer) {
    get_values_buffer(out, buffer);
    if (buffer->len < record_bytes(model)) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("out needs %u bytes a result, has %u"),
            (unsigned int)record_bytes(model), (unsigned int)buffer->len);
    }
    return buffer->len / record_bytes(model);
}

void rnnpool_request_from_args(
    rnnpool_request_t *request, const rnnp_model_t *model, mp_obj_t iou, mp_int_t max, mp_obj_t out) {
    if (max < 0 || max > RNNPOOL_MAX_RESULTS) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("max_faces must be 1..%d, not %ld"), RNNPOOL_MAX_RESULTS, (long)max);
    }
    request->iou = rnnpool_q15_from_arg(iou, MP_QSTR_iou, model->iou);
    request->max = max == 0 ? RNNPOOL_MAX_RESULTS : (uint16_t)max;
    rnnpool_memory_init(&request->out, out);
    if (out != mp_const_none) {
        mp_buffer_info_t buffer;
        get_records_buffer(&request->out, model, &buffer);
    }
}

static mp_obj_t new_list(const rnnp_model_t *model, rnnp_detections_t *found, const void *arena, uint32_t count) {
    mp_obj_t list = mp_obj_new_list(count, NULL);
    mp_obj_t *items = rnnpool_empty_items(list);
    for (uint32_t i = 0; i < count; i++) {
        rnnp_detection_t detection;
        rnnp_detections_next(found, arena, &detection);
        items[i] = new_result(model, &detection);
    }
    return list;
}

mp_obj_t rnnpool_results(rnnpool_model_obj_t *self, const rnnpool_request_t *request) {
    mp_buffer_info_t buffer = { .buf = NULL };
    uint32_t max = request->max;
    if (request->out.owner != mp_const_none) {
        max = (uint32_t)MIN(max, get_records_buffer(&request->out, &self->model, &buffer));
        rnnpool_run_check_apart(self, &buffer, MP_QSTR_out, NULL, 0); // a callback may have moved it
    }

    rnnp_detections_t found;
    uint32_t count;
    rnnp_error_t error;
    self->begun = false; // unless it gets to its end, see rnnpool_run_push()
    rnnp_status_t status = rnnp_detections_begin(
        &found, &self->run, self->arena.data, request->iou, max, &count, &error);
    self->begun = true;
    if (status != RNNP_OK) {
        rnnpool_raise(&error);
    }

    if (request->out.owner == mp_const_none) {
        return new_list(&self->model, &found, self->arena.data, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        rnnp_detection_t detection;
        rnnp_detections_next(&found, self->arena.data, &detection);
        put_record((uint8_t *)buffer.buf + i * record_bytes(&self->model), &self->model, &detection);
    }
    return MP_OBJ_NEW_SMALL_INT((mp_int_t)count);
}

// The buffer that the probabilities are to be written to.
static void get_probabilities_buffer(const rnnpool_memory_t *out, const rnnp_model_t *model, mp_buffer_info_t *buffer) {
    get_values_buffer(out, buffer);
    size_t needed = model->num_labels * sizeof(uint16_t);
    if (buffer->len < needed) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("out needs %u bytes, has %u"), (unsigned int)needed,
            (unsigned int)buffer->len);
    }
}

void rnnpool_probabilities_out(rnnpool_memory_t *memory, const rnnpool_model_obj_t *self, mp_obj_t out) {
    const rnnp_model_t *model = &self->model;
    if (model->task == RNNP_TASK_DETECTION) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model detects, it does not classify"));
    }
    if (model->task == RNNP_TASK_MAP) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model makes a map: run()"));
    }
    if (model->numbers) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model gives numbers, no probabilities: run()"));
    }
    rnnpool_memory_init(memory, out);
    if (out != mp_const_none) {
        mp_buffer_info_t buffer;
        get_probabilities_buffer(memory, model, &buffer);
    }
}

void rnnpool_check_out(const rnnpool_model_obj_t *self, const rnnpool_memory_t *out, mp_obj_t pixels) {
    if (out->owner != mp_const_none) {
        mp_buffer_info_t buffer, frame;
        rnnpool_memory_look_up(out, &buffer, MP_BUFFER_RW);
        rnnpool_frame_buffer(pixels, &frame);
        rnnpool_run_check_apart(self, &buffer, MP_QSTR_out, &frame, MP_QSTR_frame);
    }
}

void rnnpool_softmax(const rnnpool_model_obj_t *self, rnnp_softmax_t *softmax) {
    rnnp_error_t error;
    if (rnnp_softmax(softmax, &self->run, self->arena.data, &error) != RNNP_OK) {
        rnnpool_raise(&error);
    }
}

mp_obj_t rnnpool_probabilities(rnnpool_model_obj_t *self, const rnnpool_memory_t *out) {
    rnnp_softmax_t softmax;
    const void *arena = self->arena.data;
    size_t count = self->model.num_labels;
    rnnpool_softmax(self, &softmax);
    if (out->owner != mp_const_none) {
        mp_buffer_info_t buffer;
        get_probabilities_buffer(out, &self->model, &buffer); // a callback may have made it smaller
        rnnpool_run_check_apart(self, &buffer, MP_QSTR_out, NULL, 0);
        for (size_t i = 0; i < count; i++) {
            uint16_t value = rnnp_probability(&softmax, arena, i);
            memcpy((uint8_t *)buffer.buf + i * sizeof(value), &value, sizeof(value)); // a bytearray may lie anywhere
        }
        return MP_OBJ_NEW_SMALL_INT((mp_int_t)count);
    }
    mp_obj_t tuple = mp_obj_new_tuple(count, NULL);
    mp_obj_t *items = rnnpool_empty_items(tuple);
    for (size_t i = 0; i < count; i++) {
        items[i] = rnnpool_float_from_q15(rnnp_probability(&softmax, arena, i));
    }
    return tuple;
}
