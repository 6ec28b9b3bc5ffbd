// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The engine for a page: what ../page/engine.js calls. One model and one run at a time; an instance of the module for
// each model. All memory is the page's: it says where blob, arena and pictures lie, from __heap_base on.
//
// Structures go out as rows of int32: the address of the first is returned.
#include "engine/rnnp.h"
#include "engine/run.h"

#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

#define MAX_DETECTIONS (512)

static rnnp_model_t model;
static rnnp_frame_t frame;
static rnnp_run_t run;
static rnnp_error_t error;
static rnnp_detection_t detections[MAX_DETECTIONS];
static int32_t numbers[RNNP_MAX_OPS + 1 > 16 ? RNNP_MAX_OPS + 1 : 16];
static uint32_t golden_state;

static int32_t text(const char *string) {
    return (int32_t)(intptr_t)string;
}

// 0, or a status: failure() says more.
int32_t EXPORT(load)(const uint8_t *blob, uint32_t size) {
    return (int32_t)rnnp_model_init(&model, blob, size, &error);
}

// status, operator, what (a string), expected, given
const int32_t *EXPORT(failure)(void) {
    numbers[0] = (int32_t)error.status;
    numbers[1] = error.op;
    numbers[2] = text(error.what);
    numbers[3] = (int32_t)error.expected;
    numbers[4] = (int32_t)error.given;
    return numbers;
}

// task, height, width, channels, operators, labels, threshold, iou, CRC of the golden check, name, first label, bytes
const int32_t *EXPORT(describe)(void) {
    const int32_t found[] = { (int32_t)model.task, model.height, model.width, model.channels, model.num_ops,
        model.num_labels, model.threshold, model.iou, (int32_t)model.golden_crc, text(model.name), text(model.labels),
        (int32_t)model.size, model.numbers };
    memcpy(numbers, found, sizeof(found));
    return numbers;
}

// kind, height, width, channels, bytes of arena, multiply-adds
const int32_t *EXPORT(operator_info)(uint32_t index) {
    rnnp_op_info_t info;
    rnnp_model_op_info(&model, index, &info);
    const int32_t found[] = { (int32_t)info.kind, info.height, info.width, info.channels, (int32_t)info.arena,
        (int32_t)info.macs };
    memcpy(numbers, found, sizeof(found));
    return numbers;
}

// The frames to come. scale: 1..256.
void EXPORT(set_frame)(uint32_t width, uint32_t height, rnnp_format_t format, bool mirror, uint32_t scale) {
    frame = (rnnp_frame_t){
        .width = (uint16_t)width,
        .height = (uint16_t)height,
        .format = format,
        .mirror = mirror,
        .scale = (uint16_t)scale,
    };
}

// 0: the engine does not take such a frame.
uint32_t EXPORT(arena_size)(void) {
    return rnnp_arena_size(&model, &frame);
}

uint32_t EXPORT(frame_bytes)(void) {
    uint32_t least, most;
    rnnp_frame_bytes(&frame, &least, &most);
    return least;
}

// what (a string), operator, first segment, last segment, offset, bytes; NULL past the last one
const int32_t *EXPORT(region)(uint32_t index) {
    rnnp_region_t r;
    if (!rnnp_arena_region(&model, &frame, index, &r)) {
        return NULL;
    }
    const int32_t found[] = { text(r.what), r.op, r.segment_first, r.segment_last, (int32_t)r.offset, (int32_t)r.size };
    memcpy(numbers, found, sizeof(found));
    return numbers;
}

int32_t EXPORT(begin)(void *arena, uint32_t size, uint32_t threshold) {
    return (int32_t)rnnp_begin(&run, &model, &frame, arena, size, (uint16_t)threshold, &error);
}

int32_t EXPORT(begin_scale)(void *arena, uint32_t size, uint32_t scale) {
    return (int32_t)rnnp_begin_scale(&run, arena, size, (uint16_t)scale, &error);
}

// Lets the operators take some steps, and keeps what the model sees. True if there is more to do before the next row.
//   seen  height * width * channels of the model: each row of its input, as it is made
bool EXPORT(work)(uint8_t *arena, int8_t *seen, uint32_t steps) {
    rnnp_node_t *nodes = (rnnp_node_t *)(arena + sizeof(rnnp_state_t));
    const rnnp_context_t context = { &run, &model, arena, (rnnp_state_t *)arena, nodes };
    const uint32_t bytes = (uint32_t)model.width * model.channels;
    uint32_t rows = nodes[0].rows_made;
    bool more = true;
    for (; more && steps > 0; steps--) {
        more = rnnp_advance(&run, arena);
        for (; rows < nodes[0].rows_made; rows++) {
            memcpy(seen + rows * bytes, rnnp_ring_row(&context, &nodes[0], rows), bytes);
        }
    }
    return more;
}

// The next row of the upright picture. work() must be done.
int32_t EXPORT(push)(uint8_t *arena, const uint8_t *pixels) {
    return (int32_t)rnnp_push_from(&run, arena, pixels, &error);
}

// Rows of the upright picture; 1 if all results are there; segment that runs
const int32_t *EXPORT(progress)(const uint8_t *arena) {
    const rnnp_state_t *state = (const rnnp_state_t *)arena;
    const int32_t found[] = { run.height, run.done, state->segment };
    memcpy(numbers, found, sizeof(found));
    return numbers;
}

// Rows made of the input and of each operator's output.
const int32_t *EXPORT(rows_made)(const uint8_t *arena) {
    const rnnp_node_t *nodes = (const rnnp_node_t *)(arena + sizeof(rnnp_state_t));
    for (uint32_t i = 0; i <= model.num_ops; i++) {
        numbers[i] = nodes[i].rows_made;
    }
    return numbers;
}

// Begins the golden check: the frame of set_frame() is the model's own from then on.
int32_t EXPORT(golden_begin)(void *arena, uint32_t size) {
    golden_state = model.golden_seed;
    return (int32_t)rnnp_begin(&run, &model, &frame, arena, size, model.threshold, &error);
}

//   row  width * channels of the model: the picture's next row is made there
int32_t EXPORT(golden_push)(uint8_t *arena, uint8_t *row) {
    rnnp_golden_row(&model, run.rows_in, &golden_state, row);
    return (int32_t)rnnp_push(&run, arena, row, &error);
}

uint32_t EXPORT(result_crc)(const void *arena) {
    return rnnp_result_crc(&run, arena);
}

// Detections of a complete run, -1 for a failure. Each is at found(): x, y, width, height, score.
int32_t EXPORT(detect)(void *arena, uint32_t iou) {
    uint32_t count;
    if (rnnp_detections(&run, arena, (uint16_t)iou, detections, MAX_DETECTIONS, &count, &error) != RNNP_OK) {
        return -1;
    }
    return (int32_t)count;
}

const int32_t *EXPORT(found)(uint32_t index) {
    const rnnp_detection_t *d = &detections[index];
    const int32_t values[] = { d->x, d->y, d->w, d->h, d->score };
    memcpy(numbers, values, sizeof(values));
    return numbers;
}

//   out  a uint16 a label
int32_t EXPORT(classify)(const void *arena, uint16_t *out) {
    return (int32_t)rnnp_probabilities(&run, arena, out, &error);
}

// The map of a complete run: int8 values (their address), bytes from row to row, height, width, channels; NULL for a failure
const int32_t *EXPORT(map)(const void *arena) {
    rnnp_raw_t raw;
    if (rnnp_raw(&run, arena, &raw, &error) != RNNP_OK) {
        return NULL;
    }
    const int32_t found[] = { (int32_t)(intptr_t)raw.values, (int32_t)raw.row_bytes, raw.height, raw.width,
        raw.channels };
    memcpy(numbers, found, sizeof(found));
    return numbers;
}

// ---- Pictures of a canvas as a camera would deliver them

static uint32_t luma(const uint8_t *p) {
    return (77u * p[0] + 150u * p[1] + 29u * p[2] + 128) >> 8;
}

// JPEG's colours; u and v of two pixels' mean.
static int32_t chroma(int32_t r, int32_t g, int32_t b, const uint8_t *p, const uint8_t *q) {
    int32_t sum = r * (p[0] + q[0]) + g * (p[1] + q[1]) + b * (p[2] + q[2]);
    int32_t value = 128 + ((sum + 256) >> 9);
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

static uint32_t word565(const uint8_t *p) {
    return (uint32_t)(p[0] >> 3) << 11 | (uint32_t)(p[1] >> 2) << 5 | p[2] >> 3;
}

// Of YUYV and UYVY the number of pixels is even.
//   rgba    as a canvas gives them; transparent pixels were drawn on black before
//   out     as `format` says; not YUV420
void EXPORT(pack)(const uint8_t *rgba, uint32_t pixels, rnnp_format_t format, uint8_t *out) {
    for (const uint8_t *p = rgba, *end = rgba + 4 * pixels; p < end; p += 4) {
        uint32_t first = format == RNNP_BGR888 ? 2 : 0;
        switch (format) {
            case RNNP_RGB565:
            case RNNP_RGB565_BE:
                out[format == RNNP_RGB565] = (uint8_t)(word565(p) >> 8);
                out[format == RNNP_RGB565_BE] = (uint8_t)word565(p);
                out += 2;
                break;
            case RNNP_RGB888:
            case RNNP_BGR888:
                out[first] = p[0];
                out[1] = p[1];
                out[2 - first] = p[2];
                out += 3;
                break;
            case RNNP_YUYV:
            case RNNP_UYVY: {
                uint32_t y = format == RNNP_YUYV ? 0 : 1;
                out[y] = (uint8_t)luma(p);
                out[y + 2] = (uint8_t)luma(p + 4);
                out[1 - y] = (uint8_t)chroma(-43, -85, 128, p, p + 4);
                out[3 - y] = (uint8_t)chroma(128, -107, -21, p, p + 4);
                p += 4;
                out += 4;
                break;
            }
            default: // GRAY8
                *out++ = (uint8_t)luma(p);
        }
    }
}
