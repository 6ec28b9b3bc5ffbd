// This file is part of rnnpool. MIT licence, see LICENSE.

#include "py/binary.h"

#include "binding/binding.h"

#define MAX_SIDE (4096) // of a frame, rnnp.h
#define MAX_STRIDE (65536)
#define MAX_OFFSET (255)

enum {
    ARG_width,
    ARG_height,
    ARG_format = RNNPOOL_FORMAT_ARG,
    ARG_stride,
    ARG_roi,
    ARG_rotate,
    ARG_mirror,
    ARG_gain,
    ARG_offset
};

static uint16_t side_from_arg(mp_int_t value, qstr name, uint16_t own) {
    if (value < 0 || value > MAX_SIDE) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q must be 1..%d, not %ld"), name, MAX_SIDE, (long)value);
    }
    return value == 0 ? own : (uint16_t)value;
}

static void set_size(rnnp_frame_t *frame, const rnnp_model_t *model, mp_int_t width, mp_int_t height) {
    *frame = (rnnp_frame_t){
        .width = side_from_arg(width, MP_QSTR_width, model->width),
        .height = side_from_arg(height, MP_QSTR_height, model->height),
        .format = RNNP_GRAY8,
    };
}

uint32_t rnnpool_frame_arena_size(const rnnp_model_t *model, mp_int_t width, mp_int_t height) {
    rnnp_frame_t frame;
    set_size(&frame, model, width, height);
    return rnnp_arena_size(model, &frame);
}

void rnnpool_frame_of_model(rnnp_frame_t *frame, const rnnp_model_t *model) {
    set_size(frame, model, 0, 0);
    frame->format = model->channels == 1 ? RNNP_GRAY8 : RNNP_RGB888;
}

static rnnp_format_t format_from_arg(mp_obj_t value) {
    mp_int_t format = mp_obj_get_int(value);
    if (format >= RNNP_FIRST_FORMAT && format <= RNNP_LAST_FORMAT) {
        return (rnnp_format_t)format;
    }
    if (format == 1 || format == 6) { // framebuf.RGB565, framebuf.GS8
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("format %ld is framebuf's: use rnnpool.%q"), (long)format,
            format == 1 ? MP_QSTR_RGB565 : MP_QSTR_GRAY8);
    }
    if (format >= 0 && format <= 5) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("format %ld is framebuf's, rnnpool has none like it"), (long)format);
    }
    mp_raise_msg_varg(
        &mp_type_ValueError, MP_ERROR_TEXT("format must be rnnpool.GRAY8, .RGB565, ..., not %ld"), (long)format);
}

static bool fits(const rnnp_frame_t *frame, rnnp_format_t format, size_t bytes) {
    rnnp_frame_t tried = *frame;
    tried.format = format;
    uint32_t least, most;
    rnnp_frame_bytes(&tried, &least, &most);
    return bytes >= least && bytes <= most && rnnp_frame_stride(&tried) >= rnnp_frame_row_bytes(&tried);
}

// The pixels are no pixels, maybe.
static void check_kind(const mp_buffer_info_t *buffer) {
    const char *kind = rnnpool_file_kind(buffer->buf, buffer->len, 0);
    if (kind != NULL) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("frame is %s data, not pixels: decode it first"), kind);
    }
}

void rnnpool_frame_check_guess(rnnp_format_t format, const mp_buffer_info_t *buffer, size_t whole) {
    const char *kind = rnnpool_file_kind(buffer->buf, buffer->len, whole);
    if (kind != NULL) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("frame looks like %s data: decode it, or say format=%q"),
            kind, format == RNNP_GRAY8 ? MP_QSTR_GRAY8 : MP_QSTR_YUV420);
    }
}

// The only format that a frame of so many bytes can have. Where there are several, whoever made it has to say.
static rnnp_format_t format_of_bytes(const rnnp_frame_t *frame, const mp_buffer_info_t *buffer) {
    size_t bytes = buffer->len;
    bool gray = fits(frame, RNNP_GRAY8, bytes), words = fits(frame, RNNP_RGB565, bytes);
    bool triples = fits(frame, RNNP_RGB888, bytes);
    bool planes = frame->width % 2 == 0 && frame->height % 2 == 0 && fits(frame, RNNP_YUV420, bytes);
    if (gray + words + triples + planes > 1) {
        if (gray && planes && !words && !triples) {
            rnnpool_frame_check_guess(RNNP_GRAY8, buffer, bytes);
            return RNNP_GRAY8; // it is Y either way
        }
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("stride %u fits several formats: say format="),
            (unsigned int)frame->stride);
    }
    if (gray || planes) {
        rnnp_format_t format = gray ? RNNP_GRAY8 : RNNP_YUV420;
        rnnpool_frame_check_guess(format, buffer, bytes);
        return format;
    }
    if (words) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%u bytes: format=RGB565, RGB565_BE, YUYV or UYVY?"),
            (unsigned int)bytes);
    }
    if (triples) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("%u bytes: format=RGB888 or BGR888?"), (unsigned int)bytes);
    }
    if (frame->stride != 0) { // all formats need about the same: check_bytes() says how much
        return RNNP_GRAY8;
    }
    check_kind(buffer);
    unsigned int pixels = (unsigned int)frame->width * frame->height;
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%ux%u needs %u, %u or %u bytes by format, has %u"),
        (unsigned int)frame->width, (unsigned int)frame->height, pixels, 2 * pixels, 3 * pixels, (unsigned int)bytes);
}

static void check_bytes(const rnnp_frame_t *frame, const mp_buffer_info_t *buffer) {
    uint32_t least, most;
    rnnp_frame_bytes(frame, &least, &most);
    if (buffer->len >= least && buffer->len <= most) {
        return;
    }
    check_kind(buffer);
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("frame of %ux%u needs %u bytes, has %u"),
        (unsigned int)frame->width, (unsigned int)frame->height, (unsigned int)least, (unsigned int)buffer->len);
}

static void set_roi(rnnp_frame_t *frame, mp_obj_t roi) {
    if (roi == mp_const_none) {
        return;
    }
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(roi, 4, &items);
    mp_int_t v[4];
    for (size_t i = 0; i < 4; i++) {
        v[i] = mp_obj_get_int(items[i]);
    }
    if (v[0] < 0 || v[1] < 0 || v[2] < 1 || v[3] < 1 || v[2] > frame->width || v[3] > frame->height ||
        v[0] > frame->width - v[2] || v[1] > frame->height - v[3]) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("roi (%ld, %ld, %ld, %ld) is not within %ux%u"),
            (long)v[0], (long)v[1], (long)v[2], (long)v[3], (unsigned int)frame->width, (unsigned int)frame->height);
    }
    frame->roi_x = (uint16_t)v[0];
    frame->roi_y = (uint16_t)v[1];
    frame->roi_width = (uint16_t)v[2];
    frame->roi_height = (uint16_t)v[3];
}

static void set_light(rnnp_frame_t *frame, mp_obj_t gain, mp_int_t offset) {
    if (offset < -MAX_OFFSET || offset > MAX_OFFSET) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("offset must be -%d..%d, not %ld"), MAX_OFFSET, MAX_OFFSET,
            (long)offset);
    }
    if (gain == MP_OBJ_NEW_QSTR(MP_QSTR_auto)) {
        if (offset != 0) {
            mp_raise_ValueError(MP_ERROR_TEXT("gain 'auto' finds the offset by itself"));
        }
        frame->measure = true;
        return;
    }
    uint32_t q8 = 256;
    if (gain != mp_const_none) {
        q8 = mp_obj_is_str(gain) ? 0 : rnnpool_get_fixed(gain, 256, RNNP_MAX_GAIN / 256);
        if (q8 < 1 || q8 > RNNP_MAX_GAIN) {
            mp_raise_ValueError(MP_ERROR_TEXT("gain must be 'auto' or 1/256..8"));
        }
    } else if (offset == 0) {
        return;
    }
    frame->light.gain = (uint16_t)q8;
    frame->light.bias = (int32_t)offset * 256;
}

static void set_view(rnnp_frame_t *frame, const rnnp_model_t *model, const mp_arg_val_t *vals) {
    mp_int_t rotate = vals[ARG_rotate].u_int;
    if (rotate != 0 && rotate != 90 && rotate != 180 && rotate != 270) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("rotate must be 0, 90, 180 or 270, not %ld"), (long)rotate);
    }
    frame->rotate = (uint16_t)rotate;
    frame->mirror = vals[ARG_mirror].u_bool;
    set_roi(frame, vals[ARG_roi].u_obj);
    set_light(frame, vals[ARG_gain].u_obj, vals[ARG_offset].u_int);
    mp_int_t stride = vals[ARG_stride].u_int;
    if (stride < 0 || stride > MAX_STRIDE) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("stride must be 1..%d, not %ld"), MAX_STRIDE, (long)stride);
    }
    frame->stride = (uint32_t)stride;
    (void)model;
}

static void check_format(const rnnp_frame_t *frame, const rnnp_model_t *model) {
    bool in_pairs = frame->format == RNNP_YUYV || frame->format == RNNP_UYVY;
    if (in_pairs && frame->width % 2 != 0) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("YUYV and UYVY have an even width, not %u"), (unsigned int)frame->width);
    }
    if (frame->format == RNNP_YUV420 && model->channels != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("model wants colour, which YUV420 has in any order"));
    }
    uint32_t row_bytes = rnnp_frame_row_bytes(frame);
    if (frame->stride != 0 && frame->stride < row_bytes) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("rows of %u pixels have %u bytes, stride is %u"),
            (unsigned int)frame->width, (unsigned int)row_bytes, (unsigned int)frame->stride);
    }
}

void rnnpool_frame_from_args(rnnp_frame_t *frame, const rnnp_model_t *model, const mp_arg_val_t *vals) {
    set_size(frame, model, vals[ARG_width].u_int, vals[ARG_height].u_int);
    set_view(frame, model, vals);
    if (frame->rotate != 0 || frame->roi_width != 0) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q wants a whole frame: rows come from the top"),
            frame->rotate != 0 ? MP_QSTR_rotate : MP_QSTR_roi);
    }
    mp_obj_t format = vals[ARG_format].u_obj;
    if (format != mp_const_none) {
        frame->format = format_from_arg(format);
    } else if (model->channels != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("format of the rows? RGB888, BGR888, RGB565, ..."));
    }
    if (frame->format == RNNP_YUV420) {
        mp_raise_ValueError(MP_ERROR_TEXT("YUV420 is for whole frames: rows of its Y are GRAY8"));
    }
    check_format(frame, model);
}

uint32_t rnnpool_frame_required_ram(
    const rnnp_model_t *model, const mp_arg_val_t *vals, const uint16_t *scales, size_t passes) {
    rnnp_frame_t frame;
    set_size(&frame, model, vals[ARG_width].u_int, vals[ARG_height].u_int);
    set_view(&frame, model, vals);
    if (vals[ARG_format].u_obj != mp_const_none) {
        frame.format = format_from_arg(vals[ARG_format].u_obj);
        check_format(&frame, model);
    }
    frame.stride = 0; // no matter in what format
    rnnp_error_t error;
    if (!rnnp_frame_check(model, &frame, &error)) { // VIEW, LIGHT, ... may be left out
        rnnpool_raise(&error);
    }
    uint32_t ram = 0;
    for (size_t i = 0; i < passes; i++) {
        frame.scale = scales[i];
        ram = MAX(ram, rnnp_arena_size(model, &frame));
        frame.measure = false; // the first pass has found the light
    }
    return ram;
}

void rnnpool_frame_of_pixels(
    rnnp_frame_t *frame, const rnnp_model_t *model, mp_obj_t pixels, const mp_arg_val_t *vals) {
    mp_buffer_info_t buffer;
    rnnpool_frame_buffer(pixels, &buffer);
    if (buffer.len == 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("frame is empty"));
    }
    set_size(frame, model, vals[ARG_width].u_int, vals[ARG_height].u_int);
    set_view(frame, model, vals);
    mp_obj_t format = vals[ARG_format].u_obj;
    if (frame->stride != 0 && frame->stride < frame->width) { // too small for any format
        frame->format = RNNP_GRAY8;
    } else {
        frame->format = format == mp_const_none ? format_of_bytes(frame, &buffer) : format_from_arg(format);
    }
    check_format(frame, model);
    rnnpool_frame_check_items(frame, &buffer);
    check_bytes(frame, &buffer);
    RNNPOOL_CHECK_SHAPE(pixels, frame);
}

void rnnpool_frame_buffer(mp_obj_t pixels, mp_buffer_info_t *info) {
    // MicroPython's str has the buffer protocol, and arrays have it for items of any kind; pixels are neither.
    if (mp_obj_is_str(pixels)) {
        mp_raise_TypeError(MP_ERROR_TEXT("pixels must be bytes, not str"));
    }
    mp_get_buffer_raise(pixels, info, MP_BUFFER_READ);
    int typecode = info->typecode;
    if (typecode != BYTEARRAY_TYPECODE && typecode != 'B' && typecode != 'H') {
        mp_raise_msg_varg(
            &mp_type_TypeError, MP_ERROR_TEXT("pixels must be bytes or 16-bit words, not items '%c'"), typecode);
    }
}

void rnnpool_frame_check_items(const rnnp_frame_t *frame, const mp_buffer_info_t *pixels) {
    if (pixels->typecode == 'H' && rnnp_frame_row_bytes(frame) != 2u * frame->width) {
        mp_raise_TypeError(MP_ERROR_TEXT("pixels must be bytes: 16-bit words are for RGB565"));
    }
}

uint16_t rnnpool_q15_from_arg(mp_obj_t value, qstr name, uint16_t otherwise) {
    if (value == mp_const_none) {
        return otherwise;
    }
    uint32_t q15 = rnnpool_get_fixed(value, 1u << 15, 1);
    if (q15 == UINT32_MAX) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q must be 0..1"), name);
    }
    return (uint16_t)MIN(q15, INT16_MAX);
}

static uint16_t scale_from_obj(mp_obj_t value) {
    uint32_t scale = rnnpool_get_fixed(value, RNNP_SCALE_ONE, 1);
    if (scale == UINT32_MAX || !mp_obj_is_true(value)) {
        mp_raise_ValueError(MP_ERROR_TEXT("scale must be above 0, at most 1: roi= magnifies"));
    }
    return MAX(1, (uint16_t)scale);
}

size_t rnnpool_scales_from_arg(mp_obj_t value, uint16_t *scales) {
    mp_obj_t *items = &value;
    size_t count = 1;
    if (mp_obj_is_type(value, &mp_type_tuple) || mp_obj_is_type(value, &mp_type_list)) {
        mp_obj_get_array(value, &count, &items);
    }
    if (count < 1 || count > RNNPOOL_MAX_SCALES) {
        mp_raise_msg_varg(
            &mp_type_ValueError, MP_ERROR_TEXT("1..%d scales wanted, not %u"), RNNPOOL_MAX_SCALES, (unsigned int)count);
    }
    for (size_t i = 0; i < count; i++) {
        scales[i] = items[i] == mp_const_none ? RNNP_SCALE_ONE : scale_from_obj(items[i]);
    }
    return count;
}
