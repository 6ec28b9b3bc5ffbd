// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The rnnpool engine: runs a `.rnnp` model on an image that comes row by row.
//
// - C99, no allocation, no libc beyond memcpy/memset/memmove, no floating point, no writable statics: everything it
//   writes is in memory that the caller owns and passes in.
// - A model (rnnp_model_t) is a checked view of a blob; the blob stays the caller's, must not move or change while a
//   model or run uses it, and is only read (it may be in flash).
// - A run (rnnp_run_t) is one image on its way through a model, in an arena of the caller's.
//   The arena holds only offsets, so its size and content are the same on every platform, and it may be moved
//   between calls (pass the current address to each call).
// - Stack: below 4 KB on a Cortex-M4 for any model (RNNPool with cells of sizes other than 8 and 16 needs most), 2 KB for
//   the face model; nothing recurses.
// - The arithmetic is docs/arithmetic.md, the blob SPEC.md. Functions that can fail return an rnnp_status_t and
//   describe it in an rnnp_error_t; they never leave a half-made object.
#ifndef RNNP_H
#define RNNP_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "rnnpool needs a little-endian processor: models are read in place"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define RNNP_VERSION_STRING "0.1.0"
#define RNNP_BLOB_VERSION (4)
#define RNNP_ALIGNMENT (8) // of a blob and of an arena, in bytes
#define RNNP_MAX_OPS (127) // what a node says of its readers has 7 bits (run.h)
#define RNNP_MAX_CANDIDATES (512) // of a detector

typedef enum {
    RNNP_OK = 0,
    RNNP_ERROR_TRUNCATED, // fewer bytes than the blob needs: expected/given bytes
    RNNP_ERROR_ALIGNMENT, // blob or arena not at a multiple of RNNP_ALIGNMENT: expected multiple, given remainder
    RNNP_ERROR_FORMAT, // a field of the blob is out of its range or contradicts another: expected limit, given value
    RNNP_ERROR_CHECKSUM, // expected/given CRC
    RNNP_ERROR_UNSUPPORTED, // a newer version: expected newest, given; a kind that is left out: `what` names it, expected 0
    RNNP_ERROR_ARGUMENT, // an argument of the call: expected limit, given value
    RNNP_ERROR_ARENA, // arena too small: expected/given bytes
    RNNP_ERROR_STATE, // wrong order of calls, e.g. results before the last row: expected/given rows
} rnnp_status_t;

typedef struct {
    rnnp_status_t status;
    int16_t op; // operator index, -1 if the error belongs to none
    const char *what; // static string: the field or argument, e.g. "out_width"
    uint32_t expected; // meaning as listed above
    uint32_t given;
} rnnp_error_t;

typedef enum {
    RNNP_TASK_DETECTION = 1,
    RNNP_TASK_CLASSIFICATION = 2,
    RNNP_TASK_LAYER = 3,
    RNNP_TASK_MAP = 4, // the last operator's output is the result
} rnnp_task_t;

typedef enum {
    RNNP_CONV = 1,
    RNNP_RNNPOOL = 2,
    RNNP_INVERTED_RESIDUAL = 3,
    RNNP_DETECT_HEAD = 4,
    RNNP_GLOBAL_AVERAGE_POOL = 5,
    RNNP_DENSE = 6,
    RNNP_DEPTHWISE = 7,
    RNNP_POOL = 8,
    RNNP_ADD = 9,
    RNNP_CONCAT = 10,
    RNNP_LOOKUP = 11,
    RNNP_MUL = 12,
    RNNP_UPSAMPLE = 13,
    RNNP_L2_NORM = 14,
} rnnp_kind_t;

// Pixel formats. No number is one of MicroPython's framebuf (0..6), so that its constants can't be mistaken for these.
typedef enum {
    RNNP_GRAY8 = 16,
    RNNP_RGB565 = 17, // low byte first
    RNNP_RGB565_BE = 18, // high byte first, as most sensors deliver it
    RNNP_RGB888 = 19, // R, G, B in memory
    RNNP_BGR888 = 20, // B, G, R in memory
    RNNP_YUYV = 21, // Y U Y V for two pixels
    RNNP_UYVY = 22, // U Y V Y
    RNNP_YUV420 = 23, // whole frames for gray models: the Y plane, then the chroma in any order
} rnnp_format_t;
#define RNNP_FIRST_FORMAT RNNP_GRAY8
#define RNNP_LAST_FORMAT RNNP_YUV420

// A model: what the header says plus the operator table, in place. Filled by rnnp_model_init(), then read only.
typedef struct {
    const uint8_t *blob;
    const void *ops; // the operators' records, in the blob
    uint32_t size; // total_size of the blob, <= the bytes given
    rnnp_task_t task;
    uint16_t height, width; // input, pixels
    uint16_t channels; // 1 or 3; of a layer 1..2048
    uint8_t num_ops;
    uint16_t num_labels;
    uint16_t threshold, iou; // defaults, Q15
    uint16_t max_candidates; // detection only, else 0
    bool numbers; // of a classification: its outputs are numbers, not logits of classes: there are no probabilities
    uint32_t result_scale; // of a map: the bits of a float32, for there are no floats here; else 0
    uint16_t ring_rows[RNNP_MAX_OPS + 1]; // of the input and of each operator's output: those that are kept at a time
    uint32_t golden_seed, golden_crc;
    const char *name; // NUL-terminated UTF-8
    const char *labels; // num_labels NUL-terminated strings, one after the other
} rnnp_model_t;

// Checks the whole blob (SPEC.md, "What a loader checks") and fills the model.
//   blob  at least `size` readable bytes at a multiple of RNNP_ALIGNMENT; any content: it is untrusted
rnnp_status_t rnnp_model_init(rnnp_model_t *model, const uint8_t *blob, size_t size, rnnp_error_t *error);

// What one operator is and costs, for people. index < num_ops.
typedef struct {
    rnnp_kind_t kind;
    uint16_t height, width, channels; // of its output
    uint32_t arena; // bytes of its output ring or map, working rings and state
    uint32_t macs; // multiply-adds for one image, shared sweeps counted once; UINT32_MAX if more
} rnnp_op_info_t;
// The kind's name as SPEC.md has it.
const char *rnnp_kind_name(rnnp_kind_t kind);

void rnnp_model_op_info(const rnnp_model_t *model, uint32_t index, rnnp_op_info_t *info);

// What every value of a picture is multiplied by and what is added then; saturated.
typedef struct {
    uint16_t gain; // Q8, 1..2048; 0: nothing is done
    int32_t bias; // Q8, below 2^20
} rnnp_light_t;
#define RNNP_MAX_GAIN (2048)

#define RNNP_SCALE_ONE (256)

// An image to come, as it is stored. All fields but the first three may be 0. What comes of it when it is cut, mirrored and
// turned is the *upright* picture, which is scaled to fit the model's input.
typedef struct {
    uint16_t width, height; // pixels, 1..4096; width even where pixels come in pairs
    rnnp_format_t format;
    uint32_t stride; // bytes from row to row, up to 65536; 0: no gap between rows
    uint16_t roi_x, roi_y, roi_width, roi_height; // the part that is looked at; all 0: the whole
    uint16_t rotate; // 0, 90, 180, 270: degrees clockwise by which it must be turned to be upright
    bool mirror; // it is mirrored left-right (undone before it is turned)
    bool measure; // find out the light that would suit it
    uint16_t scale; // 1..256: in 1/256 of the size that fits; 0: all of it
    rnnp_light_t light;
} rnnp_frame_t;

// False, with the error filled, if a field of the frame is out of its range, or asks for what was left out.
bool rnnp_frame_check(const rnnp_model_t *model, const rnnp_frame_t *frame, rnnp_error_t *error);

// Bytes of the pixels of a stored row, and from the start of one to that of the next.
uint32_t rnnp_frame_row_bytes(const rnnp_frame_t *frame);
uint32_t rnnp_frame_stride(const rnnp_frame_t *frame);

// Bytes that a whole frame has: with a stride, the gap behind its last row may be there or not.
void rnnp_frame_bytes(const rnnp_frame_t *frame, uint32_t *least, uint32_t *most);

// Bytes of arena that a run needs, planned by the same code that lays the arena out. frame NULL: a frame of the model's own
// size (no resampling buffers). 0 if the frame is not valid: rnnp_frame_check() says why.
uint32_t rnnp_arena_size(const rnnp_model_t *model, const rnnp_frame_t *frame);

// Where things lie in the arena, for people (`tools`): region i of the plan. Returns false past the last.
// Regions of different segments may overlap: that is the saving.
typedef struct {
    const char *what; // static: "run", "candidates", "input", "output", "expanded", "row summaries", ...
    int16_t op; // operator, -1 for none
    uint8_t segment_first, segment_last; // lifetime, in segments
    uint32_t offset, size;
} rnnp_region_t;
bool rnnp_arena_region(const rnnp_model_t *model, const rnnp_frame_t *frame, uint32_t index, rnnp_region_t *region);

// A tap for tests and tools: called with every output row of every operator as it is made (int8 rows; int16 rows for
// heads and dense layers). NULL: none. Costs nothing when not set.
typedef void (*rnnp_tap_t)(void *context, uint32_t op, uint32_t y, const void *row, uint32_t bytes);

// A run is a small caller-owned handle; all else is in the arena.
typedef struct {
    const rnnp_model_t *model;
    rnnp_frame_t frame;
    uint32_t arena_size;
    uint16_t width, height; // of the upright picture: height rows are to be pushed
    uint16_t rows_in; // of them taken so far
    rnnp_light_t measured; // if frame.measure: after the last row, or the first of a whole frame
    bool done; // all rows taken and all results there
    bool working; // a row was taken and rnnp_advance() has not returned false since
    bool ready; // the engine's own: operators may be ready
    bool merged; // the engine's own: the candidates are those of several passes
    rnnp_tap_t tap; // NULL after rnnp_begin(); set it before the first row
    void *tap_context;
    bool skip_crc; // false after rnnp_begin(); set before the first row it saves 17 cycles a byte of results
} rnnp_run_t;

// Starts an image, or an input map of a layer. Everything in the arena is overwritten.
//   frame         of a layer: ignored, may be NULL
//   arena         at a multiple of RNNP_ALIGNMENT, arena_size >= rnnp_arena_size(model, frame)
//   threshold_q15 detection: candidates below this score are not kept; 0..32767. Ignored otherwise.
rnnp_status_t rnnp_begin(rnnp_run_t *run, const rnnp_model_t *model, const rnnp_frame_t *frame, void *arena,
    size_t arena_size, uint16_t threshold_q15, rnnp_error_t *error);

// Takes the next stored row of the frame (rnnp_frame_row_bytes() readable bytes, any alignment), which is not read again later.
// Then rnnp_advance() is called until it returns false. Rows come from the top and are not kept, so a frame that is to be
// turned or cut is refused: RNNP_ERROR_ARGUMENT, also for a layer. RNNP_ERROR_STATE if the frame is complete already, or work
// is left.
rnnp_status_t rnnp_push(rnnp_run_t *run, void *arena, const uint8_t *row, rnnp_error_t *error);

// The same with the next row of the upright picture, which is taken from the whole frame at `pixels` (rnnp_frame_bytes()
// readable bytes). To be called run->height times. With frame.measure the first one measures the frame and sets its light.
rnnp_status_t rnnp_push_from(rnnp_run_t *run, void *arena, const uint8_t *pixels, rnnp_error_t *error);

// After a complete run of a detector: begins another one over the same picture, at another scale (1..256). The candidates
// stay, and rnnp_detections() then suppresses all of them together, also those of which a better one covers 3/4: at a large
// scale a face that fills the frame is found in pieces.
//   arena_size  at least rnnp_arena_size() of the frame with this scale, else RNNP_ERROR_ARENA and the run stays complete
rnnp_status_t rnnp_begin_scale(rnnp_run_t *run, void *arena, size_t arena_size, uint16_t scale, rnnp_error_t *error);

// Runs a part of what the rows so far make possible: at most one step of an operator, which is one row of its output. Returns
// false when nothing is left. So a caller can look after other things in between: behind the last row there are segments
// that had to wait for it (SPEC.md, MATERIALIZE), maybe half of the whole image's work.
bool rnnp_advance(rnnp_run_t *run, void *arena);

// A layer (RNNP_TASK_LAYER: a single operator, for callers that chain them) takes a row of its input map: width * channels
// int8 values, or pixels if its blob says so. All output rows that this makes possible must be pulled before the next push.
// RNNP_ERROR_STATE if the map is complete already, or rows are to be pulled. RNNP_ERROR_ARGUMENT for other tasks.
rnnp_status_t rnnp_layer_push(rnnp_run_t *run, void *arena, const void *row, rnnp_error_t *error);

// The layer's next output row, in the arena until the next call: width * channels int8 values (RNNP_DETECT_HEAD, RNNP_DENSE:
// int16, Q12); NULL if it needs more input, or has made all. Sets run->done with the last.
const void *rnnp_layer_pull(rnnp_run_t *run, void *arena);

typedef struct {
    int16_t x, y, w, h; // frame pixels, within the frame, w and h >= 1
    uint16_t score; // Q15
    int16_t raw[4]; // x1, y1, x2, y2 in 1/16 pixel of the model's input, unclipped
    uint16_t label; // number of the class
    uint32_t anchor; // index of the anchor, docs/arithmetic.md section 4
} rnnp_detection_t;

// The detections of a complete run, one after the other: no memory for all of them is needed.
typedef struct {
    const rnnp_run_t *run;
    uint32_t next; // candidate
    uint8_t kept[RNNP_MAX_CANDIDATES / 8]; // a bit for each
} rnnp_detections_t;

// Non-maximum suppression. May be called again with other arguments: candidates stay as they are.
//   iou_q15  its limit, 0..32767      max  how many are wanted, 1..RNNP_MAX_CANDIDATES
// Returns their number in *count. RNNP_ERROR_STATE before the last row, RNNP_ERROR_ARGUMENT for a classifier.
rnnp_status_t rnnp_detections_begin(rnnp_detections_t *found, const rnnp_run_t *run, const void *arena,
    uint16_t iou_q15, uint32_t max, uint32_t *count, rnnp_error_t *error);

// The next one, best first; false after the last.
bool rnnp_detections_next(rnnp_detections_t *found, const void *arena, rnnp_detection_t *out);

// All of them at once: the same errors.
//   out  room for max
rnnp_status_t rnnp_detections(const rnnp_run_t *run, void *arena, uint16_t iou_q15, rnnp_detection_t *out, uint32_t max,
    uint32_t *count, rnnp_error_t *error);

// Probabilities of a complete run, by the softmax of its logits: one a label, in the labels' order.
typedef struct {
    uint32_t logits; // offset in the arena
    int32_t largest;
    uint32_t sum;
    uint32_t shift;
} rnnp_softmax_t;

// RNNP_ERROR_STATE before the last row, RNNP_ERROR_ARGUMENT for a detector.
rnnp_status_t rnnp_softmax(rnnp_softmax_t *softmax, const rnnp_run_t *run, const void *arena, rnnp_error_t *error);

// Of label `index`, in Q15 (0..32767); all of them sum to about 32768.
uint16_t rnnp_probability(const rnnp_softmax_t *softmax, const void *arena, uint32_t index);

// All of them at once: the same errors.
//   out  num_labels values
rnnp_status_t rnnp_probabilities(const rnnp_run_t *run, const void *arena, uint16_t *out, rnnp_error_t *error);

// What the last operator of a classifier or of a map model gave, as it is: int16 logits, real = value * 2^(shift - 12), or an
// int8 map, real = result_scale * (value - zero_point).
typedef struct {
    const uint8_t *values; // in the arena: height rows of width * channels values
    uint32_t row_bytes; // from one row to the next, at least those of its values
    uint16_t height, width, channels;
    uint8_t value_bytes; // 1 or 2
    int8_t zero_point;
    uint8_t shift;
} rnnp_raw_t;

// Of a complete run, for as long as the arena is left alone. RNNP_ERROR_STATE before the last row, RNNP_ERROR_ARGUMENT for a
// detector, whose heads' values are gone, and for a layer.
rnnp_status_t rnnp_raw(const rnnp_run_t *run, const void *arena, rnnp_raw_t *raw, rnnp_error_t *error);

// The same without values, before a run.
rnnp_status_t rnnp_raw_shape(const rnnp_model_t *model, rnnp_raw_t *raw, rnnp_error_t *error);

// CRC of the run's raw results (docs/arithmetic.md, section 5). Only after a complete run, without skip_crc.
uint32_t rnnp_result_crc(const rnnp_run_t *run, const void *arena);

// Golden check: the golden frame, row by row (u8, model's own width * channels bytes a row); state starts as the seed.
void rnnp_golden_row(const rnnp_model_t *model, uint32_t y, uint32_t *state, uint8_t *row);

#ifdef __cplusplus
}
#endif

#endif // RNNP_H
