// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The MicroPython binding: one concept a file, declared here.
//
//   modrnnpool.c  the module: constants, functions          open.c      what a script gives as a model: name, path, buffer
//   functions.c   detect_faces, person_present              source.c    a blob's bytes
//   model_type.c  the Model type                            model.c     a loaded model
//   detect.c      its detect, classify, run, begin, ...     arena.c     the memory that a run works in
//   raw.c         logits, maps                              frame.c     arguments that describe a frame
//   layer.c       single operators: Conv2D, RNNPool, ...    kind.c      files that are neither frame nor model
//   run.c         one image through a model                 memory.c    whose memory it is, overlaps
//   results.c     detections, probabilities as objects      errors.c    engine errors as exceptions
//   firmware.c    what a native .mpy does differently (port.h)
//
// What can fail raises a Python exception (TypeError, ValueError, OSError, MemoryError, RuntimeError) with the numbers in
// it and leaves every object usable. Memory of scripts (blob, arena, frame) is looked up again whenever a script may have
// run in between, since a bytearray can be resized.
#ifndef RNNPOOL_BINDING_H
#define RNNPOOL_BINDING_H

#include <stdarg.h>

#include "py/mpconfig.h"
#if defined(RNNPOOL_CPYTHON)
#include "cpython/port.h"
#elif MICROPY_ENABLE_DYNRUNTIME
#include "natmod/port.h"
#else
#include "binding/port.h"
#endif

#include "engine/rnnp.h"

// Texts of exceptions have at most RNNPOOL_MAX_TEXT characters: MicroPython's buffer to decompress them (py/objexcept.c) is
// as long as the longest text in the firmware, without room for the NUL. Its own longest one has 56 in every build.
#define RNNPOOL_MAX_TEXT (55)

#define RNNPOOL_MAX_RESULTS (64) // detections that one call can return

// ---- errors.c

// Raises the exception that belongs to an engine error; error->status is not RNNP_OK.
MP_NORETURN void rnnpool_raise(const rnnp_error_t *error);

// The same for a blob: bytes that are known to be something else are called by their name.
MP_NORETURN void rnnpool_raise_blob(const rnnp_error_t *error, const uint8_t *blob, size_t size);

// A new str from a format as MicroPython's printf has it.
mp_obj_t rnnpool_new_text(const char *format, ...);
mp_obj_t rnnpool_new_text_va(const char *format, va_list args);

// ---- port: firmware.c, or natmod/runtime.c

// Allocates `bytes` bytes on the GC heap at a multiple of RNNP_ALIGNMENT; raises MemoryError("needs .. bytes, .. free ..").
void *rnnpool_allocate(size_t bytes);

// Calls body(context) and returns MP_OBJ_NULL, or the exception that it raised. In some ports Ctrl-C jumps out of anywhere,
// even of the engine.
mp_obj_t rnnpool_try(void (*body)(void *), void *context);

// Pending events: Ctrl-C, scheduled functions. A script may run, and raise.
void rnnpool_handle_events(void);

// A number 0..most times `one`, rounded to the nearest; UINT32_MAX if it is not in that range (a NaN is not). Raises TypeError.
// `one` and `most` are powers of two.
uint32_t rnnpool_get_fixed(mp_obj_t number, uint32_t one, uint32_t most);

// value / one as a float; `one` is a power of two.
mp_obj_t rnnpool_new_float(uint32_t value, uint32_t one);
mp_obj_t rnnpool_new_float_of_bits(uint32_t bits); // of a float32

// The bytearray or array whose memory an object, a memoryview say, is a view of; MP_OBJ_NULL if it is its own or there is no
// way to know.
mp_obj_t rnnpool_find_owner(mp_obj_t buffer);

// Files. They raise OSError; read returns fewer bytes at the file's end, seek goes to one of its ends and says where that is.
typedef enum { RNNPOOL_START = 0, RNNPOOL_END = 2 } rnnpool_whence_t;
mp_obj_t rnnpool_file_open(mp_obj_t path);
size_t rnnpool_file_seek(mp_obj_t file, rnnpool_whence_t whence);
size_t rnnpool_file_read(mp_obj_t file, uint8_t *to, size_t bytes);
void rnnpool_file_close(mp_obj_t file);

// What a call may need of the C stack below the point where it checks, with a margin; the engine's functions do not check for
// themselves.
#ifndef RNNPOOL_STACK_BYTES
#ifdef __SANITIZE_ADDRESS__
#define RNNPOOL_STACK_BYTES (16 * 1024) // frames are padded
#else
#define RNNPOOL_STACK_BYTES (1024 * sizeof(void *)) // rnnp.h says what the engine needs
#endif
#endif

// Raises RuntimeError ("maximum recursion depth exceeded") if there is less than that.
void rnnpool_check_stack(void);

// ---- memory.c

bool rnnpool_overlap(const void *a, size_t a_size, const void *b, size_t b_size);

// A script's buffer that is kept for later. A memoryview has nothing but an address: once the bytearray that it is a view of has
// grown, that may be another object's memory. So what is kept is the bytearray, and which part of it.
typedef struct _rnnpool_memory_t {
    mp_obj_t owner; // an object with the buffer protocol
    size_t offset; // bytes, in the owner's buffer
    size_t size; // SIZE_MAX: all that there is
} rnnpool_memory_t;

void rnnpool_memory_init(rnnpool_memory_t *memory, mp_obj_t buffer);

// Where the memory is now; it may have become shorter. Raises TypeError if the owner has no such buffer.
void rnnpool_memory_look_up(const rnnpool_memory_t *memory, mp_buffer_info_t *buffer, mp_uint_t flags);

// Buffers with a shape are CPython's.
#ifndef RNNPOOL_CHECK_SHAPE
#define RNNPOOL_CHECK_SHAPE(pixels, frame)
#define RNNPOOL_CHECK_ROWS(pixels, rows)
#endif

// The path, a str, that an object other than a str stands for; MP_OBJ_NULL: it stands for none. Such objects are CPython's.
#ifndef RNNPOOL_PATH_OF
#define RNNPOOL_PATH_OF(object) MP_OBJ_NULL
#endif

// ---- kind.c

// As rnnpool_file_kind(), of kinds that a firmware has no room for.
#ifndef RNNPOOL_MORE_KINDS
#define RNNPOOL_MORE_KINDS(bytes, len) NULL
#endif

// What these bytes seem to be, "JPEG" say, or NULL. `whole`: the bytes of the frame that they would be right as, or begin, so
// only by marks that pixels hardly begin with; 0: they are wrong anyhow.
const char *rnnpool_file_kind(const uint8_t *bytes, size_t len, size_t whole);

// ---- source.c

// A blob's bytes. They stay where they are (a script's buffer, a file in ROMFS, the firmware) if they lie at a multiple of
// RNNP_ALIGNMENT, else they are copied to the heap.
typedef struct _rnnpool_source_t {
    rnnpool_memory_t memory; // its owner is MP_OBJ_NULL if `data` belongs to the firmware or to `copy`
    uint8_t *copy; // head of the copy on the heap, NULL if used in place
    const uint8_t *data; // at a multiple of RNNP_ALIGNMENT
    size_t size; // readable bytes, maybe more than the blob
    bool writable; // a script can change the bytes under us
} rnnpool_source_t;

// An object with the buffer protocol. Raises TypeError, MemoryError, or ValueError if the bytes must be copied and are no
// blob.
void rnnpool_source_open_buffer(rnnpool_source_t *source, mp_obj_t from);

// A file; returns false if it, or a file system for it, is not there. Raises OSError, MemoryError, or ValueError as above.
bool rnnpool_source_open_file(rnnpool_source_t *source, mp_obj_t path);

// A blob in the firmware.
void rnnpool_source_open_firmware(rnnpool_source_t *source, const uint8_t *data, size_t size);

// Looks up the owner's buffer again. Returns true if it is where it was, with the length that it had; if not, *source
// describes the new one. Raises like rnnpool_source_open_buffer().
bool rnnpool_source_acquire(rnnpool_source_t *source);

// ---- open.c

// `from` is a name (a str without slash and dot: a model in the firmware, or else the file NAME.rnnp in /rom, or where mip
// puts it, in /lib or (STM32) /flash/lib), a path, or an object with the buffer protocol. Raises OSError, TypeError,
// MemoryError, or ValueError for a NUL byte in a str, or if the bytes must be copied and are no blob.
void rnnpool_source_open(rnnpool_source_t *source, mp_obj_t from);

MP_DECLARE_CONST_FUN_OBJ_0(rnnpool_builtin_models_obj);

// ---- arena.c

typedef struct _rnnpool_arena_t {
    rnnpool_memory_t memory; // the caller's buffer; its owner is MP_OBJ_NULL for a block of our own on the heap
    uint8_t *block; // head of our own block, NULL if there is none
    uint8_t *data; // at a multiple of RNNP_ALIGNMENT
    size_t size; // usable bytes
} rnnpool_arena_t;

// `owner` is None or a writable buffer. Nothing is allocated.
void rnnpool_arena_init(rnnpool_arena_t *arena, mp_obj_t owner);

// The memory that the board sets aside for the models that the module itself keeps, or None: its mpconfigboard.h defines
// RNNPOOL_ARENA_BYTES and RNNPOOL_ARENA_SECTION. They share it: an image is done before another one begins.
mp_obj_t rnnpool_arena_of_board(void);

// Looks up the owner's buffer again. Returns true if it is where it was, with the length that it had.
bool rnnpool_arena_acquire(rnnpool_arena_t *arena);

// Makes sure of at least `bytes` usable bytes: an own block grows (its content is lost), the board's gives way to one on the
// heap, a caller's buffer that is too small is a MemoryError.
void rnnpool_arena_reserve(rnnpool_arena_t *arena, size_t bytes);

// ---- model.c

typedef struct _rnnpool_model_obj_t {
    mp_obj_base_t base;
    rnnpool_source_t source;
    rnnpool_arena_t arena;
    rnnp_model_t model; // checked view of the source; `valid` says so
    uint32_t ops_offset; // where the operators' records were in the source when it was checked
    rnnp_run_t run; // the image on its way, if `begun`
    rnnp_light_t light; // that the last image with gain="auto" asked for
    uint32_t ram; // arena bytes for the largest frame so far
    uint32_t state_offset, state_size; // of the run's state in the arena
    uint32_t image; // number of the last one that was begun
    uint32_t seal; // fingerprint of what must not change while an image is on its way (run.c)
    int8_t layer; // kind of operator of a single layer (layer.c), or RNNPOOL_NO_LAYER
    bool valid; // false: the source failed its check; the next use checks it again
    bool gapless; // rows of the image on its way came without the gap behind them
    bool guessed; // nobody said in what format they are
    bool begun; // an image was begun and not abandoned
    bool busy; // in the engine now, or in a callback called from there
} rnnpool_model_obj_t;

#define RNNPOOL_NO_LAYER (-1)

// Makes a Model (layer RNNPOOL_NO_LAYER) or a layer of that kind from an opened source; `arena` is None or a buffer; width and
// height as for Model(), 0 the model's own. Raises ValueError if the source is of another kind.
mp_obj_t rnnpool_model_new(const mp_obj_type_t *type, int layer, const rnnpool_source_t *source, mp_obj_t arena,
    mp_int_t width, mp_int_t height);

// (height, width, channels)
mp_obj_t rnnpool_new_shape(uint32_t height, uint32_t width, uint32_t channels);

// Makes sure that self->model is a checked view of the source's bytes: checks them again if the source has moved (which
// abandons an image that was begun), and with `recheck` also if it is writable.
void rnnpool_model_refresh(rnnpool_model_obj_t *self, bool recheck);

// ---- frame.c

// Arena bytes for frames of this size, 0 the model's own, in whatever format; raises ValueError for a bad size.
uint32_t rnnpool_frame_arena_size(const rnnp_model_t *model, mp_int_t width, mp_int_t height);

// The arguments that describe a frame, in the order in which the functions below expect their values.
#define RNNPOOL_FRAME_ARGS                                                             \
    { MP_QSTR_width, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },                    \
        { MP_QSTR_height, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },               \
        { MP_QSTR_format, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } }, \
        { MP_QSTR_stride, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },               \
        { MP_QSTR_roi, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },    \
        { MP_QSTR_rotate, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },               \
        { MP_QSTR_mirror, MP_ARG_KW_ONLY | MP_ARG_BOOL, { .u_bool = false } },         \
        { MP_QSTR_gain, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } }, { \
        MP_QSTR_offset, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 }                    \
    }
#define RNNPOOL_NUM_FRAME_ARGS (9)
#define RNNPOOL_FORMAT_ARG (2) // format's place among them

// Fills `frame` for rows to come. width and height 0: the model's own; format None: GRAY8 for a model with one channel, else
// a ValueError, as for anything that takes a whole frame.
void rnnpool_frame_from_args(rnnp_frame_t *frame, const rnnp_model_t *model, const mp_arg_val_t *vals);

// Arena bytes for such frames, of whole ones or rows, whichever of `passes` scales needs most.
uint32_t rnnpool_frame_required_ram(
    const rnnp_model_t *model, const mp_arg_val_t *vals, const uint16_t *scales, size_t passes);

// Fills `frame` for the whole frame that `pixels` is, with its bytes checked. format None: what their number implies, if it
// implies one.
void rnnpool_frame_of_pixels(rnnp_frame_t *frame, const rnnp_model_t *model, mp_obj_t pixels, const mp_arg_val_t *vals);

// Raises ValueError for bytes of which nobody said that they are pixels in this format, if they begin like a file. `whole`:
// the bytes of the frame that they begin.
void rnnpool_frame_check_guess(rnnp_format_t format, const mp_buffer_info_t *buffer, size_t whole);

// The model's own input, for the golden check.
void rnnpool_frame_of_model(rnnp_frame_t *frame, const rnnp_model_t *model);

// The bytes of an object that holds pixels; raises TypeError for str and for arrays of wide items.
void rnnpool_frame_buffer(mp_obj_t pixels, mp_buffer_info_t *info);

// Raises TypeError if the pixels are 16-bit words and the frame's format has none: a gray value in each, say, would be two.
void rnnpool_frame_check_items(const rnnp_frame_t *frame, const mp_buffer_info_t *pixels);

#define RNNPOOL_MAX_SCALES (4)

// A scale or a tuple of them, in 1/256; None: 1. Returns their number.
size_t rnnpool_scales_from_arg(mp_obj_t value, uint16_t *scales);

// A score or overlap in 0..1 as Q15, `otherwise` for None; raises TypeError, ValueError.
uint16_t rnnpool_q15_from_arg(mp_obj_t value, qstr name, uint16_t otherwise);

// ---- run.c

// Raises RuntimeError if the model is in use (a callback called during inference has called it), or the C stack is too short.
void rnnpool_run_check_idle(const rnnpool_model_obj_t *self);

// Starts an image, or with frame NULL a layer's input map; abandons one that was begun before.
void rnnpool_run_begin(rnnpool_model_obj_t *self, const rnnp_frame_t *frame, uint16_t threshold);

// Raises ValueError if a script's buffer lies in the model's arena or source, or in `other` (NULL: none), which the text names.
void rnnpool_run_check_apart(const rnnpool_model_obj_t *self, const mp_buffer_info_t *buffer, qstr name,
    const mp_buffer_info_t *other, qstr other_name);

// Pushes `count` rows from the start of `pixels`, a frame's stride apart. Handles pending events (Ctrl-C, scheduled
// functions) after each row. An exception abandons the image.
void rnnpool_run_push(rnnpool_model_obj_t *self, mp_obj_t pixels, size_t count);

// The same with all rows of the upright picture, from the whole frame that `pixels` is.
void rnnpool_run_push_frame(rnnpool_model_obj_t *self, mp_obj_t pixels);

// After that: begins another pass over the same frame, whose detections are added.
void rnnpool_run_begin_scale(rnnpool_model_obj_t *self, uint16_t scale);

// One step of a layer whose input map was begun: takes a row (buf NULL: none) and writes the next output row, out_bytes long,
// to `out`. Returns whether there was one; the map ends with the first false after its last row. Raises RuntimeError if a row
// comes while output rows are left, ValueError if memory is shared.
bool rnnpool_run_row(
    rnnpool_model_obj_t *self, const mp_buffer_info_t *row, const mp_buffer_info_t *out, size_t out_bytes);

// Raises RuntimeError if there is no image, or the memory that it works in was changed by a script meanwhile.
void rnnpool_run_check(rnnpool_model_obj_t *self);

// ---- results.c

// How a script wants its detections.
typedef struct _rnnpool_request_t {
    uint16_t iou; // Q15
    uint16_t max; // 1..RNNPOOL_MAX_RESULTS
    rnnpool_memory_t out; // its owner is None: a list; else a writable buffer for records
} rnnpool_request_t;

// Raises TypeError or ValueError for bad arguments: call it before the inference, not after.
void rnnpool_request_from_args(
    rnnpool_request_t *request, const rnnp_model_t *model, mp_obj_t iou, mp_int_t max, mp_obj_t out);

// Detections of the finished image as a list, or as records in the request's buffer, then their number.
mp_obj_t rnnpool_results(rnnpool_model_obj_t *self, const rnnpool_request_t *request);

// Raises ValueError if the model is no classifier, TypeError or ValueError if `out` is not None and no writable buffer for the
// probabilities; fills `memory`.
void rnnpool_probabilities_out(rnnpool_memory_t *memory, const rnnpool_model_obj_t *self, mp_obj_t out);

// Raises ValueError if `out` (not None) shares memory with the model or the frame. To be called once the arena is known.
void rnnpool_check_out(const rnnpool_model_obj_t *self, const rnnpool_memory_t *out, mp_obj_t pixels);

// For probabilities of the finished image. Raises RuntimeError if rows are missing.
void rnnpool_softmax(const rnnpool_model_obj_t *self, rnnp_softmax_t *softmax);

// The same as a tuple of floats, or as int16 in Q15 in the buffer `out`, then their number.
mp_obj_t rnnpool_probabilities(rnnpool_model_obj_t *self, const rnnpool_memory_t *out);

mp_obj_t rnnpool_float_from_q15(uint16_t value);

// Where the items of a new tuple or list are to be put: None until then, since the collector may run meanwhile.
mp_obj_t *rnnpool_empty_items(mp_obj_t container);

// ---- raw.c

// As rnnpool_probabilities_out(), for logits or a map.
void rnnpool_raw_out(rnnpool_memory_t *memory, const rnnpool_model_obj_t *self, mp_obj_t out);

// Logits or map of the finished image as a new array, or in the buffer `out`, then the number of values. Raises RuntimeError if
// rows are missing.
mp_obj_t rnnpool_raw(rnnpool_model_obj_t *self, const rnnpool_memory_t *out);

// output_shape, output_zero_point, output_scale; false if the model has none of them.
bool rnnpool_raw_attr(const rnnpool_model_obj_t *self, qstr attr, mp_obj_t *dest);

// ---- detect.c

MP_DECLARE_CONST_FUN_OBJ_KW(rnnpool_model_detect_obj);
MP_DECLARE_CONST_FUN_OBJ_KW(rnnpool_model_classify_obj);
MP_DECLARE_CONST_FUN_OBJ_KW(rnnpool_model_run_obj);
MP_DECLARE_CONST_FUN_OBJ_KW(rnnpool_model_begin_obj);
MP_DECLARE_CONST_FUN_OBJ_2(rnnpool_model_feed_obj);
MP_DECLARE_CONST_FUN_OBJ_KW(rnnpool_model_result_obj);
MP_DECLARE_CONST_FUN_OBJ_1(rnnpool_model_selftest_obj);

// Checks the model's task and the argument `out`, and fills `memory`.
typedef void (*rnnpool_look_at_out_t)(rnnpool_memory_t *memory, const rnnpool_model_obj_t *self, mp_obj_t out);

// All of classify() and run() but the result: the arguments' `out` is returned, or with NULL not allowed. Returns the model.
rnnpool_model_obj_t *rnnpool_model_run(
    size_t n_args, const mp_obj_t *args, mp_map_t *kw_args, rnnpool_look_at_out_t look_at_out, rnnpool_memory_t *out);

mp_obj_t rnnpool_model_detect(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args);

// ---- model_type.c

RNNPOOL_DECLARE_TYPE(rnnpool_model_type);

// Attributes that a layer has as well.
void rnnpool_model_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest);

// ---- layer.c

RNNPOOL_DECLARE_TYPE(rnnpool_conv2d_type);
RNNPOOL_DECLARE_TYPE(rnnpool_rnnpool_type);
RNNPOOL_DECLARE_TYPE(rnnpool_mbconv_type);
RNNPOOL_DECLARE_TYPE(rnnpool_average_pool_type);
RNNPOOL_DECLARE_TYPE(rnnpool_dense_type);
RNNPOOL_DECLARE_TYPE(rnnpool_head_type);

// ---- functions.c

MP_DECLARE_CONST_FUN_OBJ_KW(rnnpool_detect_faces_obj);
MP_DECLARE_CONST_FUN_OBJ_KW(rnnpool_person_present_obj);

// Forgets the models that they keep (after a soft reset their memory is gone).
void rnnpool_functions_reset(void);

#endif // RNNPOOL_BINDING_H
