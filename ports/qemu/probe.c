// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Module engine_probe, for the tests in tests/qemu: runs the engine on one frame without the binding, and tells what a
// script can't see, the checksum of all raw results and the time in timer ticks (under -icount: instructions).

#include "py/mphal.h"
#include "py/runtime.h"

// MicroPython may be built for this board without our module.
#if __has_include("engine/rnnp.h")

#include "engine/rnnp.h"

static void check(rnnp_status_t status, const rnnp_error_t *error) {
    if (status != RNNP_OK) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%s: expected %u, given %u"), error->what,
            (unsigned int)error->expected, (unsigned int)error->given);
    }
}

// run(blob, frame, width, height, format, arena) -> (CRC-32 of the results as in docs/arithmetic.md, section 5; ticks)
static mp_obj_t probe_run(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t blob, pixels, arena;
    mp_get_buffer_raise(args[0], &blob, MP_BUFFER_READ);
    mp_get_buffer_raise(args[1], &pixels, MP_BUFFER_READ);
    mp_get_buffer_raise(args[5], &arena, MP_BUFFER_WRITE);

    rnnp_error_t error;
    rnnp_model_t model;
    check(rnnp_model_init(&model, blob.buf, blob.len, &error), &error);
    rnnp_frame_t frame = {
        .width = (uint16_t)mp_obj_get_int(args[2]),
        .height = (uint16_t)mp_obj_get_int(args[3]),
        .format = (rnnp_format_t)mp_obj_get_int(args[4]),
    };
    size_t row_bytes = rnnp_frame_row_bytes(&frame);
    if (row_bytes * frame.height != pixels.len) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("frame: expected %u bytes, given %u"),
            (unsigned int)(row_bytes * frame.height), (unsigned int)pixels.len);
    }
    rnnp_run_t run;
    uint32_t start = mp_hal_ticks_cpu();
    check(rnnp_begin(&run, &model, &frame, arena.buf, arena.len, model.threshold, &error), &error);
    for (size_t y = 0; y < frame.height; ++y) {
        check(rnnp_push(&run, arena.buf, (const uint8_t *)pixels.buf + y * row_bytes, &error), &error);
        while (rnnp_advance(&run, arena.buf)) {
        }
    }
    uint32_t ticks = mp_hal_ticks_cpu() - start;
    mp_obj_t result[2] = {
        mp_obj_new_int_from_uint(rnnp_result_crc(&run, arena.buf)),
        mp_obj_new_int_from_uint(ticks),
    };
    return mp_obj_new_tuple(2, result);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(probe_run_obj, 6, 6, probe_run);

static const mp_rom_map_elem_t probe_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_engine_probe) },
    { MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&probe_run_obj) },
};
static MP_DEFINE_CONST_DICT(probe_globals, probe_globals_table);

const mp_obj_module_t engine_probe_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&probe_globals,
};
MP_REGISTER_MODULE(MP_QSTR_engine_probe, engine_probe_module);

#endif // engine
