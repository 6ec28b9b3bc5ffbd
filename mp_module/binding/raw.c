// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Results as they are: a classifier's logits, a map.

#include <string.h>

#include "py/binary.h"
#include "py/objarray.h"

#include "binding/binding.h"

// What the model gives; raises ValueError if it is a detector.
static void get_shape(const rnnpool_model_obj_t *self, rnnp_raw_t *raw) {
    rnnp_error_t error;
    if (rnnp_raw_shape(&self->model, raw, &error) != RNNP_OK) {
        mp_raise_ValueError(MP_ERROR_TEXT("this model detects, it keeps no raw result: detect()"));
    }
}

static size_t total_bytes(const rnnp_raw_t *raw) {
    return (size_t)raw->height * raw->width * raw->channels * raw->value_bytes;
}

static void get_buffer(const rnnpool_memory_t *out, const rnnp_raw_t *raw, mp_buffer_info_t *buffer) {
    rnnpool_memory_look_up(out, buffer, MP_BUFFER_RW);
    int typecode = buffer->typecode, own = raw->value_bytes == 1 ? 'b' : 'h';
    if (typecode != own && typecode != 'B' && typecode != BYTEARRAY_TYPECODE) {
        mp_raise_msg_varg(
            &mp_type_TypeError, MP_ERROR_TEXT("out must be array('%c') or bytearray, not items '%c'"), own, typecode);
    }
    if (buffer->len < total_bytes(raw)) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("out needs %u bytes, has %u"),
            (unsigned int)total_bytes(raw), (unsigned int)buffer->len);
    }
}

void rnnpool_raw_out(rnnpool_memory_t *memory, const rnnpool_model_obj_t *self, mp_obj_t out) {
    rnnp_raw_t raw;
    get_shape(self, &raw);
    rnnpool_memory_init(memory, out);
    if (out != mp_const_none) {
        mp_buffer_info_t buffer;
        get_buffer(memory, &raw, &buffer);
    }
}

static void copy_rows(const rnnp_raw_t *raw, uint8_t *to) {
    size_t bytes = total_bytes(raw) / raw->height;
    for (uint32_t y = 0; y < raw->height; y++) {
        memcpy(to + y * bytes, raw->values + (size_t)y * raw->row_bytes, bytes);
    }
}

mp_obj_t rnnpool_raw(rnnpool_model_obj_t *self, const rnnpool_memory_t *out) {
    rnnp_raw_t raw;
    rnnp_error_t error;
    if (rnnp_raw(&self->run, self->arena.data, &raw, &error) != RNNP_OK) {
        rnnpool_raise(&error);
    }
    mp_buffer_info_t buffer;
    if (out->owner != mp_const_none) {
        get_buffer(out, &raw, &buffer); // a callback may have made it smaller
        rnnpool_run_check_apart(self, &buffer, MP_QSTR_out, NULL, 0);
        copy_rows(&raw, buffer.buf);
        return MP_OBJ_NEW_SMALL_INT((mp_int_t)(total_bytes(&raw) / raw.value_bytes));
    }
    // An array is made of as many bytes, whichever: rows have gaps between them, so they are copied afterwards.
    mp_obj_t args[] = {
        MP_OBJ_NEW_QSTR(raw.value_bytes == 1 ? MP_QSTR_b : MP_QSTR_h),
        mp_obj_new_bytearray_by_ref(total_bytes(&raw), (void *)raw.values),
    };
    mp_obj_t array = mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_type_array), MP_ARRAY_SIZE(args), 0, args);
    mp_get_buffer_raise(array, &buffer, MP_BUFFER_WRITE);
    copy_rows(&raw, buffer.buf);
    return array;
}

bool rnnpool_raw_attr(const rnnpool_model_obj_t *self, qstr attr, mp_obj_t *dest) {
    rnnp_raw_t raw;
    rnnp_error_t error;
    if (rnnp_raw_shape(&self->model, &raw, &error) != RNNP_OK) {
        return false;
    }
    if (attr == MP_QSTR_output_shape) {
        dest[0] = rnnpool_new_shape(raw.height, raw.width, raw.channels);
    } else if (attr == MP_QSTR_output_zero_point) {
        dest[0] = MP_OBJ_NEW_SMALL_INT(raw.zero_point);
    } else {
        dest[0] = self->model.task == RNNP_TASK_MAP ? rnnpool_new_float_of_bits(self->model.result_scale)
                                                    : rnnpool_new_float(1u << raw.shift, 4096);
    }
    return true;
}
