// This file is part of rnnpool. MIT licence, see LICENSE.
//
// libFuzzer target: any bytes as a blob, then rows of any frame through whatever model was accepted.
//
//     clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Imp_module
//         -o build/fuzz/fuzz_blob tests/fuzz/fuzz_blob.c mp_module/engine/*.c mp_module/engine/*/*.c
//     python tests/fuzz/make_seeds.py build/fuzz/seeds
//     build/fuzz/fuzz_blob -max_total_time=60 build/fuzz/corpus build/fuzz/seeds        (corpus: an empty folder)
//
// Input: 16 bytes that choose frame, view and thresholds (choice_t), then the blob. The blob's checksum is made right, so that
// the fuzzer gets past it. Blob, rows and arena are blocks of exactly their size. Each image is run twice, in arenas of
// different content: the results must be the same, so nothing is read that was not written.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/blob/crc32.h"
#include "engine/rnnp.h"

// A model that wants more is not run: each input must take milliseconds.
#define MAX_ARENA (1u << 20)
#define MAX_MACS (100u * 1000)
#define MAX_PIXELS (1u << 14)

typedef struct {
    uint8_t width, height; // of the frame; 0: the model's own
    uint8_t format; // taken modulo the number of formats
    uint8_t threshold, iou; // high bytes of the Q15 values
    uint8_t max; // of detections; 0: 512
    uint8_t pixels; // seed of the frame's pixels
    uint8_t cut; // bytes cut from the end of the blob
    uint8_t view; // bits 0, 1: quarter turns; 2: mirrored; 3: light measured; 4: a whole frame, not rows
    uint8_t roi_x, roi_y, roi_width, roi_height; // of a whole frame; 0, 0, 0, 0: all of it
    uint8_t gain; // in 1/16
    uint8_t gap; // bytes between rows
    uint8_t scale; // of a second pass over a whole frame; 0: none
} choice_t;

extern unsigned int fuzz_models;
unsigned int fuzz_models; // run so far, for run_seeds.c

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "fuzz_blob: %s\n", what);
        abort();
    }
}

// A block of its own for the sanitizer to watch. malloc's blocks are aligned to 16 bytes.
static uint8_t *copy(const uint8_t *data, size_t size) {
    uint8_t *block = malloc(size > 0 ? size : 1);
    memcpy(block, data, size);
    return block;
}

static void fix_checksum(uint8_t *blob, size_t size) {
    uint32_t total;
    if (size < 128) {
        return;
    }
    memcpy(&total, blob + 8, sizeof(total));
    if (total >= 16 && total <= size) {
        uint32_t crc = rnnp_crc32(0, blob + 16, total - 16);
        memcpy(blob + 12, &crc, sizeof(crc));
    }
}

// Everything that the engine says of a model without running it.
static bool inspect(const rnnp_model_t *model, const rnnp_frame_t *frame, uint32_t arena_size) {
    uint64_t macs = 0;
    for (uint32_t i = 0; i < model->num_ops; i++) {
        rnnp_op_info_t info;
        rnnp_model_op_info(model, i, &info);
        macs += info.macs;
    }
    rnnp_region_t region;
    uint32_t count = 0;
    while (rnnp_arena_region(model, frame, count, &region)) {
        check(region.size > 0 && region.offset + (uint64_t)region.size <= arena_size, "region outside of the arena");
        check(region.segment_first <= region.segment_last, "region that ends before it begins");
        count++;
    }
    check(count > 0 && strlen(model->name) > 0, "no regions or no name");
    const char *label = model->labels;
    for (uint32_t i = 0; i < model->num_labels; i++) {
        label += strlen(label) + 1;
    }
    uint32_t pixels = (uint32_t)model->height * model->width;
    return arena_size <= MAX_ARENA && macs <= MAX_MACS && pixels <= MAX_PIXELS;
}

static void check_detections(const rnnp_run_t *run, void *arena, const choice_t *choice, uint32_t *crc) {
    rnnp_error_t error;
    uint32_t count, max = choice->max > 0 ? choice->max : 512;
    rnnp_detection_t *found = malloc(max * sizeof(*found));
    rnnp_status_t status = rnnp_detections(run, arena, (uint16_t)(choice->iou << 7), found, max, &count, &error);
    check(status == (run->model->task == RNNP_TASK_DETECTION ? RNNP_OK : RNNP_ERROR_ARGUMENT), "detections refused");
    for (uint32_t i = 0; status == RNNP_OK && i < count; i++) {
        const rnnp_detection_t *d = &found[i];
        check(d->x >= 0 && d->y >= 0 && d->w >= 1 && d->h >= 1, "box without a size");
        check(d->x + d->w <= run->frame.width && d->y + d->h <= run->frame.height, "box outside of the frame");
        check(d->label < run->model->num_labels, "a class that is none");
        check(i == 0 || found[i - 1].score >= d->score, "detections out of order");
        const int32_t values[] = { d->x, d->y, d->w, d->h, d->score, (int32_t)d->anchor, d->label };
        *crc = rnnp_crc32(*crc, values, sizeof(values));
    }
    free(found);
}

static void check_probabilities(const rnnp_run_t *run, const void *arena, uint32_t *crc) {
    rnnp_error_t error;
    uint16_t *found = malloc(run->model->num_labels * sizeof(*found));
    rnnp_status_t status = rnnp_probabilities(run, arena, found, &error);
    bool classifier = run->model->task == RNNP_TASK_CLASSIFICATION && !run->model->numbers;
    check(status == (classifier ? RNNP_OK : RNNP_ERROR_ARGUMENT), "probabilities refused");
    uint32_t sum = 0;
    for (uint32_t i = 0; classifier && i < run->model->num_labels; i++) {
        check(found[i] <= 32767, "probability above 1");
        sum += found[i];
        *crc = rnnp_crc32(*crc, &found[i], sizeof(found[i]));
    }
    check(!classifier || (sum + 256 >= 32768 && sum <= 32768 + 256), "probabilities that do not sum to 1");
    free(found);
}

// All that the raw result says must be there.
static void check_raw(const rnnp_run_t *run, const void *arena, uint32_t *crc) {
    rnnp_error_t error;
    rnnp_raw_t raw, shape;
    bool has = run->model->task == RNNP_TASK_CLASSIFICATION || run->model->task == RNNP_TASK_MAP;
    rnnp_status_t wanted = has ? RNNP_OK : RNNP_ERROR_ARGUMENT;
    check(rnnp_raw(run, arena, &raw, &error) == wanted, "raw result refused");
    check(rnnp_raw_shape(run->model, &shape, &error) == wanted, "raw shape refused");
    if (has) {
        check(raw.height == shape.height && raw.width == shape.width && raw.channels == shape.channels, "raw shape");
        check(raw.channels == run->model->num_labels, "a label a channel");
        uint32_t bytes = (uint32_t)raw.width * raw.channels * raw.value_bytes;
        check(raw.row_bytes >= bytes, "rows overlap");
        for (uint32_t y = 0; y < raw.height; y++) {
            *crc = rnnp_crc32(*crc, raw.values + (size_t)y * raw.row_bytes, bytes);
        }
    }
}

// A row of `bytes` pseudo-random bytes, a block of its own.
static uint8_t *make_row(uint32_t bytes, uint32_t *state) {
    uint8_t *row = malloc(bytes);
    for (uint32_t x = 0; x < bytes; x++) {
        *state = *state * 1664525 + 1013904223;
        row[x] = (uint8_t)(*state >> 24);
    }
    return row;
}

// Runs one map through a layer; returns a checksum of its rows.
static uint32_t run_map(const rnnp_model_t *model, uint32_t seed, uint32_t arena_size, int fill) {
    uint8_t *arena = malloc(arena_size);
    memset(arena, fill, arena_size);
    rnnp_run_t run;
    rnnp_error_t error;
    rnnp_op_info_t info;
    rnnp_model_op_info(model, 0, &info);
    bool wide = info.kind == RNNP_DETECT_HEAD || info.kind == RNNP_DENSE;
    uint32_t out_bytes = (uint32_t)info.width * info.channels * (wide ? 2 : 1);
    uint32_t bytes = (uint32_t)model->width * model->channels, crc = 0, made = 0;
    check(rnnp_begin(&run, model, NULL, arena, arena_size - 1, 0, &error) == RNNP_ERROR_ARENA, "small arena");
    check(rnnp_begin(&run, model, NULL, arena, arena_size, 0, &error) == RNNP_OK, "begin refused");
    check(rnnp_push(&run, arena, arena, &error) == RNNP_ERROR_ARGUMENT, "a layer takes frames");
    for (uint32_t y = 0; y < model->height; y++) {
        uint8_t *row = make_row(bytes, &seed);
        check(rnnp_layer_push(&run, arena, row, &error) == RNNP_OK, "row refused");
        free(row);
        const void *out;
        while ((out = rnnp_layer_pull(&run, arena)) != NULL) {
            crc = rnnp_crc32(crc, out, out_bytes);
            made++;
        }
    }
    check(run.done && made == info.height, "rows are missing");
    check(rnnp_layer_push(&run, arena, arena, &error) == RNNP_ERROR_STATE, "too many rows");
    check(rnnp_result_crc(&run, arena) == rnnp_crc32(0, &crc, sizeof(crc)), "another checksum");
    free(arena);
    return crc;
}

// What the engine must refuse of a run that has not begun, or is not complete.
static void check_refusals(const rnnp_model_t *model, const rnnp_frame_t *frame, uint8_t *arena, uint32_t arena_size) {
    rnnp_run_t run;
    rnnp_error_t error;
    rnnp_detection_t found[1];
    uint16_t probabilities[256];
    uint32_t count;
    rnnp_region_t region;
    const uint16_t sides[] = { 0, 5000 };
    for (uint32_t i = 0; i < 2; i++) {
        rnnp_frame_t bad = *frame;
        bad.width = sides[i];
        check(rnnp_begin(&run, model, &bad, arena, arena_size, 0, &error) == RNNP_ERROR_ARGUMENT, "bad width");
        check(rnnp_arena_size(model, &bad) == 0 && !rnnp_arena_region(model, &bad, 0, &region), "size of a bad frame");
        bad = *frame;
        bad.height = sides[i];
        check(rnnp_begin(&run, model, &bad, arena, arena_size, 0, &error) == RNNP_ERROR_ARGUMENT, "bad height");
    }
    check(rnnp_begin(&run, model, frame, arena + 1, arena_size, 0, &error) == RNNP_ERROR_ALIGNMENT, "odd arena");
    bool detection = model->task == RNNP_TASK_DETECTION;
    check(
        rnnp_begin(&run, model, frame, arena, arena_size, 32768, &error) == (detection ? RNNP_ERROR_ARGUMENT : RNNP_OK),
        "bad threshold");
    check(rnnp_begin(&run, model, frame, arena, arena_size, 0, &error) == RNNP_OK, "begin refused");
    rnnp_status_t early = RNNP_ERROR_STATE, never = RNNP_ERROR_ARGUMENT;
    check(rnnp_layer_push(&run, arena, arena, &error) == never, "no layer");
    check(!rnnp_advance(&run, arena), "work before the first row");
    check(rnnp_detections(&run, arena, 0, found, 1, &count, &error) == (detection ? early : never), "early boxes");
    rnnp_raw_t raw;
    bool classifier = model->task == RNNP_TASK_CLASSIFICATION && !model->numbers;
    check(rnnp_probabilities(&run, arena, probabilities, &error) == (classifier ? early : never), "early result");
    check(rnnp_raw(&run, arena, &raw, &error) == (detection ? never : early), "early raw result");
    run.done = true;
    if (detection) {
        check(rnnp_detections(&run, arena, 32768, found, 1, &count, &error) == never, "bad iou");
        check(rnnp_detections(&run, arena, 0, found, 0, &count, &error) == never, "no room");
        check(rnnp_detections(&run, arena, 0, found, 513, &count, &error) == never, "too much room");
    }
    uint32_t state = model->golden_seed;
    uint8_t *row = malloc((size_t)model->width * model->channels);
    rnnp_golden_row(model, 0, &state, row);
    free(row);
}

// All rows of a whole frame, or with pixels NULL rows that are made as they are wanted.
static void push_all(
    rnnp_run_t *run, uint8_t *arena, const rnnp_frame_t *frame, const uint8_t *pixels, uint32_t *state) {
    rnnp_error_t error;
    for (uint32_t y = 0; y < run->height; y++) {
        check(!run->done, "done too early");
        if (pixels != NULL) {
            check(rnnp_push_from(run, arena, pixels, &error) == RNNP_OK, "row refused");
        } else {
            uint8_t *row = make_row(rnnp_frame_row_bytes(frame), state);
            check(rnnp_push(run, arena, row, &error) == RNNP_OK, "row refused");
            free(row);
        }
        check(rnnp_push_from(run, arena, arena, &error) == RNNP_ERROR_STATE, "a row is taken while work is left");
        while (rnnp_advance(run, arena)) {
            check(!run->done, "done, but work is left");
        }
    }
    check(run->done && rnnp_push_from(run, arena, arena, &error) == RNNP_ERROR_STATE, "not done after the last row");
}

// Runs one image; returns a checksum of all results.
static uint32_t run_image(
    const rnnp_model_t *model, const rnnp_frame_t *frame, const choice_t *choice, uint32_t arena_size, int fill) {
    uint8_t *arena = malloc(arena_size);
    memset(arena, fill, arena_size);
    rnnp_run_t run;
    rnnp_error_t error;
    uint16_t threshold = (uint16_t)(choice->threshold << 7);
    check(rnnp_begin(&run, model, frame, arena, arena_size - 1, threshold, &error) == RNNP_ERROR_ARENA, "small arena");
    check(rnnp_begin(&run, model, frame, arena, arena_size, threshold, &error) == RNNP_OK, "begin refused");
    check_refusals(model, frame, arena, arena_size);
    check(rnnp_begin(&run, model, frame, arena, arena_size, threshold, &error) == RNNP_OK, "begin refused");
    uint32_t state = choice->pixels, least, most;
    bool whole = (choice->view & 16) != 0;
    rnnp_frame_bytes(frame, &least, &most);
    check(least <= most, "more bytes at least than at most");
    uint8_t *pixels = whole ? make_row(least, &state) : NULL;
    push_all(&run, arena, frame, pixels, &state);
    uint32_t crc = rnnp_result_crc(&run, arena);
    if (whole && choice->scale != 0) {
        rnnp_status_t begun = rnnp_begin_scale(&run, arena, arena_size, choice->scale, &error);
        check(
            begun == (model->task == RNNP_TASK_DETECTION ? RNNP_OK : RNNP_ERROR_ARGUMENT) || begun == RNNP_ERROR_ARENA,
            "second pass refused");
        if (begun == RNNP_OK) {
            rnnp_run_t early = run;
            check(rnnp_begin_scale(&early, arena, arena_size, 1, &error) == RNNP_ERROR_STATE, "a pass within another");
            push_all(&run, arena, frame, pixels, &state);
            check(rnnp_begin_scale(&run, arena, arena_size, 257, &error) == RNNP_ERROR_ARGUMENT, "bad scale");
            check(rnnp_begin_scale(&run, arena, 64, choice->scale, &error) == RNNP_ERROR_ARENA, "small arena");
        }
    }
    free(pixels);
    check_detections(&run, arena, choice, &crc);
    check_probabilities(&run, arena, &crc);
    check_raw(&run, arena, &crc);
    free(arena);
    return crc;
}

static rnnp_frame_t choose_frame(const rnnp_model_t *model, const choice_t *choice) {
    uint32_t formats = RNNP_LAST_FORMAT - RNNP_FIRST_FORMAT + 1;
    rnnp_frame_t frame = { .width = choice->width,
        .height = choice->height,
        .format = (rnnp_format_t)(RNNP_FIRST_FORMAT + choice->format % formats),
        .mirror = (choice->view & 4) != 0,
        .measure = (choice->view & 8) != 0 };
    if (frame.width == 0 || frame.height == 0) {
        frame.width = model->width;
        frame.height = model->height;
    }
    frame.light.gain = (uint16_t)(choice->gain * 16);
    if (choice->gap != 0) {
        frame.stride = rnnp_frame_row_bytes(&frame) + choice->gap;
    }
    if ((choice->view & 16) != 0) {
        frame.rotate = (uint16_t)((choice->view & 3) * 90);
        frame.roi_x = choice->roi_x;
        frame.roi_y = choice->roi_y;
        frame.roi_width = choice->roi_width;
        frame.roi_height = choice->roi_height;
    }
    return frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    choice_t choice;
    if (size < sizeof(choice)) {
        return 0;
    }
    memcpy(&choice, data, sizeof(choice));
    size -= sizeof(choice);
    size -= choice.cut < size ? choice.cut : size;
    uint8_t *blob = copy(data + sizeof(choice), size);
    fix_checksum(blob, size);
    rnnp_model_t model;
    rnnp_error_t error;
    if (rnnp_model_init(&model, blob, size, &error) == RNNP_OK) {
        rnnp_frame_t frame = choose_frame(&model, &choice);
        bool layer = model.task == RNNP_TASK_LAYER;
        uint32_t arena_size = rnnp_arena_size(&model, layer ? NULL : &frame);
        if (arena_size == 0) { // a frame that can't be
            rnnp_run_t run;
            check(rnnp_begin(&run, &model, &frame, blob, 8, 0, &error) == RNNP_ERROR_ARGUMENT, "bad frame");
            free(blob);
            return 0;
        }
        bool small = inspect(&model, layer ? NULL : &frame, arena_size);
        fuzz_models += small;
        if (small && layer) {
            uint32_t first = run_map(&model, choice.pixels, arena_size, 0x00);
            check(run_map(&model, choice.pixels, arena_size, 0xff) == first, "results depend on the arena's content");
        } else if (small) {
            uint32_t first = run_image(&model, &frame, &choice, arena_size, 0x00);
            check(
                run_image(&model, &frame, &choice, arena_size, 0xff) == first, "results depend on the arena's content");
        }
    } else {
        check(error.status != RNNP_OK && error.what != NULL && strlen(error.what) > 0, "error without words");
        check(error.op >= -1 && error.op < RNNP_MAX_OPS, "error of an operator that can't be");
    }
    free(blob);
    return 0;
}
