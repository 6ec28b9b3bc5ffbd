// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The module as a native .mpy: its entry, and what binding.h declares under "port" and port.h beside it, by way of the
// functions that MicroPython's table (py/nativeglue.h) has.

#include <string.h>

#include "binding/binding.h"
#include "binding/builtin_models.h"

#define GC_BLOCK_BYTES (4 * sizeof(void *))

rnnpool_natmod_t rnnpool_natmod;

// None: they would lie on the heap as long as the module does.
const rnnp_builtin_model_t rnnp_builtin_models[1] = { { NULL, NULL, 0 } };
const uint32_t rnnp_builtin_models_len = 0;

// ---- Types and names

void rnnpool_fill_dict(mp_obj_t dict, const mp_rom_map_elem_t *rows, size_t num_rows) {
    for (size_t i = 0; i < num_rows; i++) {
        mp_obj_dict_store(dict, (mp_obj_t)rows[i].key, (mp_obj_t)rows[i].value);
    }
}

void rnnpool_init_type(mp_obj_full_type_t *type, qstr name, mp_make_new_fun_t make, mp_attr_fun_t get_attr,
    mp_print_fun_t print_on, void (*fill_methods)(mp_obj_t dict)) {
    mp_obj_t methods = mp_obj_new_dict(8);
    fill_methods(methods);
    type->base.type = &mp_type_type;
    type->flags = MP_TYPE_FLAG_NONE;
    type->name = (uint16_t)name;
    MP_OBJ_TYPE_SET_SLOT(type, make_new, make, 0);
    MP_OBJ_TYPE_SET_SLOT(type, attr, get_attr, 1);
    MP_OBJ_TYPE_SET_SLOT(type, print, print_on, 2);
    MP_OBJ_TYPE_SET_SLOT(type, locals_dict, MP_OBJ_TO_PTR(methods), 3);
}

// ---- Numbers

mp_int_t rnnpool_get_int(mp_obj_t value) {
    if (MP_OBJ_IS_SMALL_INT(value)) {
        return MP_OBJ_SMALL_INT_VALUE(value);
    }
    mp_int_t low = (mp_int_t)mp_fun_table.native_from_obj(value, MP_NATIVE_TYPE_INT); // TypeError if it is no integer
    if (mp_binary_op(MP_BINARY_OP_EQUAL, mp_obj_new_int(low), value) != mp_const_true) {
        mp_raise_msg(&mp_type_OverflowError, "overflow converting long int to machine word");
    }
    return low;
}

static uint32_t log2_of(uint32_t power) {
    uint32_t log2 = 0;
    while (1u << log2 < power) {
        log2++;
    }
    return log2;
}

// From the bits of a float in memory. It can't be passed by firmware whose calling convention for floats is not ours (armv7m
// code in firmware for a Cortex-M4F), and so no arithmetic of floats need be linked for processors without an FPU.
uint32_t rnnpool_get_fixed(mp_obj_t number, uint32_t one, uint32_t most) {
    uint32_t bits;
    mp_binary_set_val_array('f', &bits, 0, number);
    if (bits == 1u << 31) { // -0.0
        bits = 0;
    }
    if (bits > (127 + log2_of(most)) << 23) { // negative, a NaN, or above a power of two
        return UINT32_MAX;
    }
    uint32_t exponent = bits >> 23, mantissa = (bits & 0x7fffff) | (exponent != 0 ? 1u << 23 : 0);
    uint32_t down = 150 - exponent, up = log2_of(one);
    if (down <= up) {
        return mantissa << (up - down);
    }
    return down - up > 25 ? 0 : ((mantissa >> (down - up - 1)) + 1) >> 1;
}

mp_obj_t rnnpool_new_float(uint32_t value, uint32_t one) {
    return mp_binary_op(
        MP_BINARY_OP_TRUE_DIVIDE, MP_OBJ_NEW_SMALL_INT((mp_int_t)value), MP_OBJ_NEW_SMALL_INT((mp_int_t)one));
}

mp_obj_t rnnpool_new_float_of_bits(uint32_t bits) {
    return mp_binary_get_val_array('f', &bits, 0);
}

mp_obj_t mp_obj_new_int_from_ull(unsigned long long value) {
    mp_obj_t high = mp_obj_new_int_from_uint((uint32_t)(value >> 32));
    mp_obj_t low = mp_obj_new_int_from_uint((uint32_t)value);
    if (high == MP_OBJ_NEW_SMALL_INT(0)) {
        return low;
    }
    return mp_binary_op(MP_BINARY_OP_OR, mp_binary_op(MP_BINARY_OP_LSHIFT, high, MP_OBJ_NEW_SMALL_INT(32)), low);
}

void mp_obj_get_array_fixed_n(mp_obj_t from, size_t len, mp_obj_t **items) {
    size_t given;
    mp_obj_get_array(from, &given, items);
    if (given != len) {
        mp_raise_msg_varg(&mp_type_ValueError, "requested length %d but object has length %d", (int)len, (int)given);
    }
}

// ---- Exceptions

mp_obj_t rnnpool_new_exception(const mp_obj_type_t *type, mp_obj_t arg) {
    return mp_call_function_n_kw(MP_OBJ_FROM_PTR(type), 1, 0, &arg);
}

MP_NORETURN void rnnpool_raise_text(const mp_obj_type_t *type, const char *format, ...) {
    va_list args;
    va_start(args, format);
    mp_obj_t text = rnnpool_new_text_va(format, args);
    va_end(args);
    nlr_raise(rnnpool_new_exception(type, text));
}

mp_obj_t mp_obj_exception_get_value(mp_obj_t error) {
    mp_obj_t args = mp_load_attr(error, MP_QSTR_args);
    size_t len;
    mp_obj_t *items;
    mp_obj_get_array(args, &len, &items);
    return len == 0 ? mp_const_none : items[0];
}

// The firmware's own nlr_buf_t may be longer than that of this architecture's compiler (armv6m code on a processor with an
// FPU), or hold a jmp_buf.
typedef union {
    nlr_buf_t nlr;
    struct {
        void *prev, *ret_val;
        void *registers[48];
    } room;
} jump_t;

mp_obj_t rnnpool_try(void (*body)(void *), void *context) {
    jump_t jump;
    unsigned int caught = mp_fun_table.nlr_push(&jump.nlr);
    if (mp_fun_table.setjmp_ != NULL) {
        int (*set)(void *) = (int (*)(void *))mp_fun_table.setjmp_;
        caught = (unsigned int)set(jump.room.registers);
    }
    // The second return: nothing may be used from here on but what lies in `jump`.
    if (caught != 0) {
        return MP_OBJ_FROM_PTR(*(void *volatile *)&jump.room.ret_val);
    }
    body(context);
    mp_fun_table.nlr_pop();
    return MP_OBJ_NULL;
}

// ---- Memory, stack, events

// Bytes of the heap's largest free block, found by trying: there is no other way to know.
static size_t find_largest_block(size_t most) {
    size_t least = 0;
    while (most - least >= GC_BLOCK_BYTES) {
        size_t tried = least + (most - least + 1) / 2;
        void *memory = m_realloc_maybe(NULL, tried, false);
        if (memory != NULL) {
            m_free(memory);
            least = tried;
        } else {
            most = tried - 1;
        }
    }
    return least;
}

void *rnnpool_allocate(size_t bytes) {
    void *memory = m_realloc_maybe(NULL, bytes, false);
    if (memory == NULL) {
        mp_obj_t left = mp_call_function_n_kw(rnnpool_natmod.mem_free, 0, 0, NULL);
        size_t num_free = (size_t)mp_obj_get_int(left);
        mp_raise_msg_varg(&mp_type_MemoryError, "needs %u bytes, %u free, largest block %u", (unsigned int)bytes,
            (unsigned int)num_free, (unsigned int)find_largest_block(MIN(num_free, bytes)));
    }
    return memory;
}

mp_obj_t rnnpool_find_owner(mp_obj_t buffer) {
    (void)buffer; // the heap can't be looked through from here
    return MP_OBJ_NULL;
}

#define PROBE_BYTES (256)

// Goes down the stack, `bytes` bytes at least, as long as MicroPython lets us call a function there: it checks the stack, and
// keeps at least a kilobyte behind its limit for raising the exception, of which a step must leave most.
static __attribute__((noinline)) void probe_stack(size_t bytes) {
    volatile uint8_t room[PROBE_BYTES];
    room[0] = 0;
    mp_call_function_n_kw(rnnpool_natmod.do_nothing, 0, 0, NULL);
    if (bytes > PROBE_BYTES) {
        probe_stack(bytes - PROBE_BYTES);
    }
    (void)room[0]; // after the calls, so that it is no tail call
}

void rnnpool_check_stack(void) {
    mp_call_function_n_kw(rnnpool_natmod.do_nothing, 0, 0, NULL);
    probe_stack(RNNPOOL_STACK_BYTES);
}

void rnnpool_handle_events(void) {
    mp_obj_t jump = mp_const_true;
    mp_call_function_n_kw(rnnpool_natmod.run_events, 1, 0, &jump);
}

// ---- Files

static mp_obj_t call_method(mp_obj_t object, qstr name, size_t n_args, const mp_obj_t *args) {
    mp_obj_t call[4];
    mp_load_method(object, name, call);
    for (size_t i = 0; i < n_args; i++) {
        call[2 + i] = args[i];
    }
    return mp_fun_table.call_method_n_kw(n_args, 0, call);
}

mp_obj_t rnnpool_file_open(mp_obj_t path) {
    mp_obj_t args[] = { path, MP_OBJ_NEW_QSTR(MP_QSTR_rb) };
    return mp_call_function_n_kw(rnnpool_natmod.open, 2, 0, args);
}

size_t rnnpool_file_seek(mp_obj_t file, rnnpool_whence_t whence) {
    mp_obj_t args[] = { MP_OBJ_NEW_SMALL_INT(0), MP_OBJ_NEW_SMALL_INT(whence) };
    return (size_t)mp_obj_get_int(call_method(file, MP_QSTR_seek, 2, args));
}

size_t rnnpool_file_read(mp_obj_t file, uint8_t *to, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        mp_obj_t part = mp_obj_new_bytearray_by_ref(bytes - done, to + done);
        mp_obj_t got = call_method(file, MP_QSTR_readinto, 1, &part);
        if (got == mp_const_none || got == MP_OBJ_NEW_SMALL_INT(0)) {
            break;
        }
        done += (size_t)mp_obj_get_int(got);
    }
    return done;
}

void rnnpool_file_close(mp_obj_t file) {
    call_method(file, MP_QSTR_close, 0, NULL);
}

// ---- Entry

// Called by start.py.
static mp_obj_t start(mp_obj_t run_events, mp_obj_t do_nothing) {
    rnnpool_natmod.run_events = run_events;
    rnnpool_natmod.do_nothing = do_nothing;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(start_obj, start);

static const mp_obj_type_t *find_type(qstr name) {
    return MP_OBJ_TO_PTR(mp_load_global(name));
}

static mp_obj_t find_function(qstr module, qstr name) {
    return mp_load_attr(mp_import_name(module, mp_const_none, MP_OBJ_NEW_SMALL_INT(0)), name);
}

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    (void)n_args;
    (void)n_kw;
    (void)args;
    MP_DYNRUNTIME_INIT_ENTRY
    rnnpool_natmod.MemoryError = find_type(MP_QSTR_MemoryError);
    rnnpool_natmod.OSError = find_type(MP_QSTR_OSError);
    rnnpool_natmod.OverflowError = find_type(MP_QSTR_OverflowError);
    rnnpool_natmod.RuntimeError = find_type(MP_QSTR_RuntimeError);
    rnnpool_natmod.TypeError = find_type(MP_QSTR_TypeError);
    rnnpool_natmod.ValueError = find_type(MP_QSTR_ValueError);
    rnnpool_natmod.array = MP_OBJ_TO_PTR(find_function(MP_QSTR_array, MP_QSTR_array));
    rnnpool_natmod.open = find_function(MP_QSTR_io, MP_QSTR_open);
    rnnpool_natmod.mem_free = find_function(MP_QSTR_gc, MP_QSTR_mem_free);
    rnnpool_model_type_init();
    rnnpool_conv2d_type_init();
    rnnpool_rnnpool_type_init();
    rnnpool_mbconv_type_init();
    rnnpool_average_pool_type_init();
    rnnpool_dense_type_init();
    rnnpool_head_type_init();
    rnnpool_fill_module(MP_OBJ_FROM_PTR(self->context->module.globals));
    mp_store_global(MP_QSTR__start, MP_OBJ_FROM_PTR(&start_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
