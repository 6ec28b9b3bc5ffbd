// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Finds the faces in frames of 320x240 gray bytes that come over the serial line, row by row, and answers with a line for
// each face and "done". Take read_row() from your camera instead.
#include <rnnpool.h>

#include "face_rnnp.h"

#define WIDTH 320
#define HEIGHT 240
#define ARENA_BYTES 64200 // rnnp_arena_size() of the model and the frame

static uint64_t arena[ARENA_BYTES / 8];
static uint8_t row[WIDTH];
static rnnp_model_t model;

static void stop(const rnnp_error_t &error) {
    Serial.print(error.what);
    Serial.print(": ");
    Serial.print((unsigned long)error.given);
    Serial.print(", not ");
    Serial.println((unsigned long)error.expected);
    for (;;) {
        delay(1000);
    }
}

static void read_row() {
    for (int x = 0; x < WIDTH;) {
        int value = Serial.read();
        if (value >= 0) {
            row[x++] = (uint8_t)value;
        }
    }
}

void setup() {
    Serial.begin(115200);
    rnnp_error_t error;
    if (rnnp_model_init(&model, rnnpool_face, sizeof(rnnpool_face), &error) != RNNP_OK) {
        stop(error);
    }
}

void loop() {
    rnnp_error_t error;
    rnnp_frame_t frame = {};
    frame.width = WIDTH;
    frame.height = HEIGHT;
    frame.format = RNNP_GRAY8;
    rnnp_run_t run;
    if (rnnp_begin(&run, &model, &frame, arena, sizeof(arena), model.threshold, &error) != RNNP_OK) {
        stop(error);
    }
    for (int y = 0; y < HEIGHT; y++) {
        read_row();
        if (rnnp_push(&run, arena, row, &error) != RNNP_OK) {
            stop(error);
        }
        while (rnnp_advance(&run, arena)) {
        }
    }
    rnnp_detection_t faces[16];
    uint32_t count;
    if (rnnp_detections(&run, arena, model.iou, faces, 16, &count, &error) != RNNP_OK) {
        stop(error);
    }
    for (uint32_t i = 0; i < count; i++) {
        const int numbers[] = { faces[i].x, faces[i].y, faces[i].w, faces[i].h, (int)faces[i].score };
        for (int number : numbers) {
            Serial.print(number);
            Serial.print(" ");
        }
        Serial.println("");
    }
    Serial.println("done");
}
