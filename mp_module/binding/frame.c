// This file is part of rnnpool. MIT licence, see LICENSE.

#include "py/binary.h"

#include "binding/binding.h"

#define MAX_SIDE (4096) // of a frame, rnnp.h

static const rnnp_format_t formats[] = { RNNP_GRAY8, RNNP_RGB565, RNNP_RGB888 };

static uint16_t side_from_arg(mp_int_t value, qstr name, uint16_t own) {
    if (value < 0 || value > MAX_SIDE) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q must be 1..%d, not %ld"), name, MAX_SIDE, (long)value);
    }
    return value == 0 ? own : (uint16_t)value;
}

static void set_size(rnnp_frame_t *frame, const rnnp_model_t *model, mp_int_t width, mp_int_t height) {
    frame->width = side_from_arg(width, MP_QSTR_width, model->width);
    frame->height = side_from_arg(height, MP_QSTR_height, model->height);
}

static size_t frame_bytes(rnnp_frame_t *frame, rnnp_format_t format) {
    frame->format = format;
    return (size_t)rnnp_frame_row_bytes(frame) * frame->height;
}

uint32_t rnnpool_frame_arena_size(const rnnp_model_t *model, mp_int_t width, mp_int_t height) {
    rnnp_frame_t frame;
    set_size(&frame, model, width, height);
    uint32_t size = 0;
    for (size_t i = 0; i < MP_ARRAY_SIZE(formats); i++) {
        frame.format = formats[i];
        size = MAX(size, rnnp_arena_size(model, &frame));
    }
    return size;
}

void rnnpool_frame_from_args(
    rnnp_frame_t *frame, const rnnp_model_t *model, mp_int_t width, mp_int_t height, mp_obj_t format, size_t bytes) {
    set_size(frame, model, width, height);
    if (format != mp_const_none) {
        mp_int_t given = mp_obj_get_int(format);
        if (given != RNNP_GRAY8 && given != RNNP_RGB565 && given != RNNP_RGB888) {
            mp_raise_msg_varg(
                &mp_type_ValueError, MP_ERROR_TEXT("format must be GRAY8, RGB565 or RGB888, not %ld"), (long)given);
        }
        size_t needed = frame_bytes(frame, (rnnp_format_t)given);
        if (bytes != 0 && bytes != needed) {
            mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("frame of %ux%u needs %u bytes, has %u"),
                (unsigned int)frame->width, (unsigned int)frame->height, (unsigned int)needed, (unsigned int)bytes);
        }
        return;
    }
    if (bytes == 0) {
        frame->format = model->channels == 1 ? RNNP_GRAY8 : RNNP_RGB888;
        return;
    }
    for (size_t i = 0; i < MP_ARRAY_SIZE(formats); i++) {
        if (frame_bytes(frame, formats[i]) == bytes) {
            return;
        }
    }
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%ux%u needs %u, %u (RGB565), %u (RGB888) bytes, has %u"),
        (unsigned int)frame->width, (unsigned int)frame->height, (unsigned int)frame_bytes(frame, RNNP_GRAY8),
        (unsigned int)frame_bytes(frame, RNNP_RGB565), (unsigned int)frame_bytes(frame, RNNP_RGB888),
        (unsigned int)bytes);
}

void rnnpool_frame_buffer(mp_obj_t pixels, mp_buffer_info_t *info) {
    // MicroPython's str has the buffer protocol, and arrays have it for items of any kind; pixels are neither.
    if (mp_obj_is_str(pixels)) {
        mp_raise_TypeError(MP_ERROR_TEXT("pixels must be bytes, not str"));
    }
    mp_get_buffer_raise(pixels, info, MP_BUFFER_READ);
    int typecode = info->typecode;
    if (typecode != BYTEARRAY_TYPECODE && typecode != 'B' && typecode != 'b' && typecode != 'H') {
        mp_raise_msg_varg(
            &mp_type_TypeError, MP_ERROR_TEXT("pixels must be bytes or 16-bit words, not items '%c'"), typecode);
    }
}

void rnnpool_frame_of_pixels(
    rnnp_frame_t *frame, const rnnp_model_t *model, mp_obj_t pixels, mp_int_t width, mp_int_t height, mp_obj_t format) {
    mp_buffer_info_t buffer;
    rnnpool_frame_buffer(pixels, &buffer);
    if (buffer.len == 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("frame is empty"));
    }
    rnnpool_frame_from_args(frame, model, width, height, format, buffer.len);
}

uint16_t rnnpool_q15_from_arg(mp_obj_t value, qstr name, uint16_t otherwise) {
    if (value == mp_const_none) {
        return otherwise;
    }
    mp_float_t real = mp_obj_get_float(value);
    if (!(real >= MICROPY_FLOAT_CONST(0.0) && real <= MICROPY_FLOAT_CONST(1.0))) { // a NaN is not either
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q must be 0..1"), name);
    }
    int q15 = (int)(real * MICROPY_FLOAT_CONST(32768.0) + MICROPY_FLOAT_CONST(0.5));
    return (uint16_t)MIN(q15, INT16_MAX);
}
