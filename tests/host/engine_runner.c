// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Runs cases through the engine for tests that can't load it as a library: 32-bit and sanitizer builds
// (tests/host/engine_runner.py writes the cases and reads the answers). Numbers are uint32, little-endian.
//
// A case:   blob bytes, frame bytes, width, height, format, threshold, iou, max, blob, frame
// Answer:   status, op, expected, given (of the first call that failed), arena size; and, if none failed, all output
//           rows (op, y, bytes, row), END, number of detections, detections (x, y, w, h, score, x1, y1, x2, y2, anchor, label),
//           number of probabilities, probabilities, result CRC
//
// Blob, frame rows and arena are blocks of exactly their size, so a sanitizer sees any access past them. Models that
// want too much memory or time (random ones do) are answered as if the arena were too small.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rnnp.h"

#define END (0xffffffffu)
#define MAX_ARENA (16u << 20)
#define MAX_MACS (400u * 1000 * 1000)

static void put(uint32_t value) {
    fwrite(&value, sizeof(value), 1, stdout);
}

static bool get(uint32_t *value) {
    return fread(value, sizeof(*value), 1, stdin) == 1;
}

static uint8_t *get_bytes(uint32_t count) {
    uint8_t *bytes = malloc(count);
    if (count > 0 && (bytes == NULL || fread(bytes, 1, count, stdin) != count)) {
        fprintf(stderr, "engine_runner: the case ends too early\n");
        exit(2);
    }
    return bytes;
}

static void tap(void *context, uint32_t op, uint32_t y, const void *row, uint32_t bytes) {
    (void)context;
    put(op);
    put(y);
    put(bytes);
    fwrite(row, 1, bytes, stdout);
}

static void put_error(const rnnp_error_t *error, uint32_t arena_size) {
    put(error->status);
    put((uint32_t)error->op);
    put(error->expected);
    put(error->given);
    put(arena_size);
}

static void put_detections(const rnnp_run_t *run, void *arena, uint32_t iou, uint32_t max) {
    rnnp_detection_t *found = calloc(max, sizeof(*found));
    uint32_t count = 0;
    rnnp_error_t error;
    if (run->model->task == RNNP_TASK_DETECTION &&
        rnnp_detections(run, arena, (uint16_t)iou, found, max, &count, &error) != RNNP_OK) {
        fprintf(stderr, "engine_runner: %s: expected %u, given %u\n", error.what, error.expected, error.given);
        exit(2);
    }
    put(count);
    for (uint32_t i = 0; i < count; i++) {
        const rnnp_detection_t *d = &found[i];
        const int32_t values[] = { d->x, d->y, d->w, d->h, d->score, d->raw[0], d->raw[1], d->raw[2], d->raw[3] };
        fwrite(values, sizeof(values), 1, stdout);
        put(d->anchor);
        put(d->label);
    }
    free(found);
}

static void put_probabilities(const rnnp_run_t *run, const void *arena) {
    bool classes = run->model->task == RNNP_TASK_CLASSIFICATION && !run->model->numbers;
    uint32_t count = classes ? run->model->num_labels : 0;
    uint16_t *found = calloc(count + 1u, sizeof(*found)); // calloc(0) may give NULL
    rnnp_error_t error;
    if (count > 0 && rnnp_probabilities(run, arena, found, &error) != RNNP_OK) {
        fprintf(stderr, "engine_runner: %s: expected %u, given %u\n", error.what, error.expected, error.given);
        exit(2);
    }
    put(count);
    for (uint32_t i = 0; i < count; i++) {
        put(found[i]);
    }
    free(found);
}

static bool affordable(const rnnp_model_t *model, uint32_t arena_size) {
    uint64_t macs = 0;
    for (uint32_t i = 0; i < model->num_ops; i++) {
        rnnp_op_info_t info;
        rnnp_model_op_info(model, i, &info);
        macs += info.macs;
    }
    return arena_size <= MAX_ARENA && macs <= MAX_MACS;
}

// Rows of a layer, each as many times pulled as there is an output row; the tap sees them.
static void run_layer(rnnp_run_t *run, void *arena, const uint8_t *map) {
    uint32_t row_bytes = (uint32_t)run->model->width * run->model->channels;
    rnnp_error_t error;
    run->tap = tap;
    for (uint32_t y = 0; y < run->model->height; y++) {
        uint8_t *row = malloc(row_bytes);
        memcpy(row, map + y * row_bytes, row_bytes);
        if (rnnp_layer_push(run, arena, row, &error) != RNNP_OK) {
            fprintf(stderr, "engine_runner: row %u is refused\n", y);
            exit(2);
        }
        free(row);
        while (rnnp_layer_pull(run, arena) != NULL) {
        }
    }
    if (!run->done) {
        fprintf(stderr, "engine_runner: rows are missing\n");
        exit(2);
    }
    put(END);
}

static void run_frame(rnnp_run_t *run, void *arena, const uint8_t *frame) {
    uint32_t row_bytes = rnnp_frame_row_bytes(&run->frame);
    rnnp_error_t error;
    run->tap = tap;
    for (uint32_t y = 0; y < run->height; y++) {
        uint8_t *row = malloc(row_bytes);
        memcpy(row, frame + y * row_bytes, row_bytes);
        if (rnnp_push(run, arena, row, &error) != RNNP_OK) {
            fprintf(stderr, "engine_runner: row %u is refused\n", y);
            exit(2);
        }
        free(row); // all of it was read
        while (rnnp_advance(run, arena)) {
        }
    }
    put(END);
}

static void run_case(const uint8_t *blob, uint32_t blob_size, const uint8_t *pixels, uint32_t pixels_size,
    const rnnp_frame_t *frame, uint32_t threshold, uint32_t iou, uint32_t max) {
    rnnp_model_t model;
    rnnp_error_t error;
    if (rnnp_model_init(&model, blob, blob_size, &error) != RNNP_OK) {
        put_error(&error, 0);
        return;
    }
    bool layer = model.task == RNNP_TASK_LAYER;
    uint32_t size = rnnp_arena_size(&model, layer ? NULL : frame);
    if (!affordable(&model, size)) {
        error = (rnnp_error_t){ RNNP_ERROR_ARENA, -1, "arena", size, MAX_ARENA };
        put_error(&error, size);
        return;
    }
    uint32_t row_bytes = layer ? (uint32_t)model.width * model.channels : rnnp_frame_row_bytes(frame);
    if (pixels_size != row_bytes * (layer ? model.height : frame->height)) {
        fprintf(stderr, "engine_runner: %u bytes of frame\n", pixels_size);
        exit(2);
    }
    uint8_t *arena = malloc(size);
    memset(arena, 0xa5, size);
    rnnp_run_t run;
    rnnp_begin(&run, &model, frame, arena, size, (uint16_t)threshold, &error);
    put_error(&error, size);
    if (error.status == RNNP_OK) {
        if (layer) {
            run_layer(&run, arena, pixels);
        } else {
            run_frame(&run, arena, pixels);
        }
        put_detections(&run, arena, iou, max);
        put_probabilities(&run, arena);
        put(rnnp_result_crc(&run, arena));
    }
    free(arena);
}

int main(void) {
    uint32_t blob_size, pixels_size, width, height, format, threshold, iou, max;
    while (get(&blob_size) && get(&pixels_size) && get(&width) && get(&height) && get(&format) && get(&threshold) &&
        get(&iou) && get(&max)) {
        uint8_t *blob = get_bytes(blob_size);
        uint8_t *pixels = get_bytes(pixels_size);
        rnnp_frame_t frame = { .width = (uint16_t)width, .height = (uint16_t)height, .format = (rnnp_format_t)format };
        run_case(blob, blob_size, pixels, pixels_size, &frame, threshold, iou, max);
        free(blob);
        free(pixels);
    }
    return 0;
}
