// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The engine without MicroPython, from C99 or C++: finds the faces in a frame of 320x240 gray bytes.
//
//     cc -O2 -I mp_module examples/c/detect.c mp_module/engine/*/*.c -o detect && ./detect models/face.rnnp frame.raw
#include <stdio.h>

#include "engine/rnnp.h"

#define WIDTH 320
#define HEIGHT 240

// At multiples of RNNP_ALIGNMENT. On a microcontroller the model is a constant in flash, and rows come from the camera.
static uint64_t blob[1 << 16], arena[1 << 14];
static uint8_t row[WIDTH];

static int fail(const rnnp_error_t *error) {
    fprintf(stderr, "%s: %lu, not %lu\n", error->what, (unsigned long)error->given, (unsigned long)error->expected);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: detect MODEL.rnnp FRAME.raw\n");
        return 2;
    }
    FILE *model_file = fopen(argv[1], "rb"), *frame_file = fopen(argv[2], "rb");
    if (model_file == NULL || frame_file == NULL) {
        perror(model_file == NULL ? argv[1] : argv[2]);
        return 2;
    }
    rnnp_error_t error;
    rnnp_model_t model;
    if (rnnp_model_init(&model, (uint8_t *)blob, fread(blob, 1, sizeof(blob), model_file), &error) != RNNP_OK) {
        return fail(&error);
    }
    rnnp_frame_t frame = { WIDTH, HEIGHT, RNNP_GRAY8, 0, 0, 0, 0, 0, 0, false, false, 0, { 0, 0 } };
    rnnp_run_t run;
    if (rnnp_begin(&run, &model, &frame, arena, sizeof(arena), model.threshold, &error) != RNNP_OK) {
        return fail(&error);
    }
    while (fread(row, 1, sizeof(row), frame_file) == sizeof(row)) {
        if (rnnp_push(&run, arena, row, &error) != RNNP_OK) {
            return fail(&error);
        }
        while (rnnp_advance(&run, arena)) {
        }
    }
    rnnp_detection_t faces[16];
    uint32_t count;
    if (rnnp_detections(&run, arena, model.iou, faces, 16, &count, &error) != RNNP_OK) {
        return fail(&error);
    }
    for (uint32_t i = 0; i < count; i++) {
        printf("%d %d %d %d %u\n", faces[i].x, faces[i].y, faces[i].w, faces[i].h, faces[i].score);
    }
    return 0;
}
