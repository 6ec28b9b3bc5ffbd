// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Runs one image through one model, both linked in, and prints the results. BENCH_ARENA, BENCH_MODEL, BENCH_IMAGE
// (paths), BENCH_WIDTH, BENCH_HEIGHT come from the command line.
#include <stddef.h>

#include "engine/blob/crc32.h"
#include "engine/rnnp.h"
#include "mark.h"
#include "start.h"

#define MAX_DETECTIONS (32)
#define MAX_LABELS (256)

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

__asm__(".section .rodata.blob, \"a\"\n"
        ".balign 16\n"
        ".global bench_blob, bench_blob_end\n"
        "bench_blob: .incbin " TEXT(BENCH_MODEL) "\n"
                                                 "bench_blob_end:\n"
                                                 ".section .rodata.image, \"a\"\n"
                                                 ".balign 4\n"
                                                 ".global bench_image\n"
                                                 "bench_image: .incbin " TEXT(BENCH_IMAGE) "\n"
                                                                                           ".previous");

extern const uint8_t bench_blob[], bench_blob_end[], bench_image[];

static uint8_t arena[BENCH_ARENA] __attribute__((aligned(RNNP_ALIGNMENT)));
static rnnp_detection_t detections[MAX_DETECTIONS];
static uint16_t probabilities[MAX_LABELS];

// A layer's map: its rows in, and all rows out of it that they make.
static rnnp_status_t run_layer(rnnp_run_t *run, rnnp_error_t *error) {
    uint32_t row_bytes = (uint32_t)run->model->width * run->model->channels;
    rnnp_status_t status = RNNP_OK;
    run->skip_crc = true; // as for scripts
    for (uint32_t y = 0; y < run->model->height && status == RNNP_OK; y++) {
        status = rnnp_layer_push(run, arena, bench_image + y * row_bytes, error);
        mark_event();
        while (rnnp_layer_pull(run, arena) != NULL) {
            mark_event();
        }
    }
    return status;
}

static void print_value(const char *name, uint32_t value) {
    print(name);
    print(" ");
    print_number(value);
    print("\n");
}

static int failed(const rnnp_error_t *error) {
    print(error->what);
    print_value(": status", error->status);
    print_value("expected", error->expected);
    print_value("given", error->given);
    return 1;
}

// The CRC of the results, as rnnp_result_crc() counts it, but outside of what is measured.
static uint32_t crc[RNNP_MAX_OPS];

static void tap(void *model, uint32_t op, uint32_t y, const void *row, uint32_t bytes) {
    (void)y;
    mark_enter(MARK_NONE);
    rnnp_op_info_t info;
    rnnp_model_op_info(model, op, &info);
    if (info.kind == RNNP_DETECT_HEAD || info.kind == RNNP_DENSE) {
        crc[op] = rnnp_crc32(crc[op], row, bytes);
    }
    mark_leave();
}

static uint32_t result_crc(const rnnp_model_t *model) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < model->num_ops; i++) {
        rnnp_op_info_t info;
        rnnp_model_op_info(model, i, &info);
        if (info.kind == RNNP_DETECT_HEAD || info.kind == RNNP_DENSE) {
            all = rnnp_crc32(all, &crc[i], sizeof(crc[i]));
        }
    }
    return all;
}

int main(void) {
    rnnp_error_t error;
    rnnp_model_t model;
#if defined(BENCH_OPEN) // this alone
    mark_enter(MARK_RUN);
#endif
    rnnp_status_t status = rnnp_model_init(&model, bench_blob, (size_t)(bench_blob_end - bench_blob), &error);
#if defined(BENCH_OPEN)
    mark_leave();
    return status == RNNP_OK ? 0 : failed(&error);
#endif
    if (status != RNNP_OK) {
        return failed(&error);
    }
    const rnnp_frame_t frame = { .width = BENCH_WIDTH,
        .height = BENCH_HEIGHT,
        .format = BENCH_FORMAT != 0 ? BENCH_FORMAT
            : model.channels == 1   ? RNNP_GRAY8
                                    : RNNP_RGB888 };
    uint32_t row_bytes = rnnp_frame_row_bytes(&frame);
    uint32_t count = 0;
    rnnp_run_t run;
    mark_enter(MARK_RUN);
    status = rnnp_begin(&run, &model, &frame, arena, sizeof(arena), model.threshold, &error);
    run.skip_crc = true;
    run.tap = tap;
    run.tap_context = &model;
    bool layer = model.task == RNNP_TASK_LAYER;
    if (layer && status == RNNP_OK) {
        status = run_layer(&run, &error);
    }
    for (uint32_t y = 0; y < frame.height && status == RNNP_OK && !layer; y++) {
        status = rnnp_push(&run, arena, bench_image + y % BENCH_ROWS * row_bytes, &error);
        while (rnnp_advance(&run, arena)) {
            mark_event(); // where the binding looks after them
        }
        mark_event();
    }
    if (status == RNNP_OK && model.task == RNNP_TASK_DETECTION) {
        status = rnnp_detections(&run, arena, model.iou, detections, MAX_DETECTIONS, &count, &error);
    }
    bool classes = model.task == RNNP_TASK_CLASSIFICATION && !model.numbers;
    if (status == RNNP_OK && classes) {
        status = rnnp_probabilities(&run, arena, probabilities, &error);
    }
    mark_event();
    mark_leave();
    if (status != RNNP_OK) {
        return failed(&error);
    }
    print_value("crc", result_crc(&model));
    print_value("arena", rnnp_arena_size(&model, layer ? NULL : &frame));
    print_value("stack", stack_used());
    print_value("detections", count);
    for (uint32_t i = 0; i < model.num_labels && classes; i++) {
        print_value("probability", probabilities[i]);
    }
    for (uint32_t i = 0; i < model.num_ops; i++) {
        rnnp_op_info_t info;
        rnnp_model_op_info(&model, i, &info);
        print_value("macs", info.macs);
        print_value("bytes", info.arena);
    }
#if defined(BENCH_TICK)
    for (uint32_t i = MARK_RUN; i < (uint32_t)MARK_OP(model.num_ops); i++) {
        print_value("kilo", (uint32_t)(mark_instructions(i) / 1000));
        print_value("instructions", (uint32_t)(mark_instructions(i) % 1000));
    }
#endif
    return 0;
}
