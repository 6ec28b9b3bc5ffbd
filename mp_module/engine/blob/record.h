// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The blob as it lies there (SPEC.md): header, operators' records, order of weights.
#ifndef RNNP_RECORD_H
#define RNNP_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "../left_out.h"
#include "../numeric.h"
#include "../rnnp.h"

#define RNNP_HEADER_SIZE (128)
#define RNNP_OP_SIZE (64)
#define RNNP_NAME_SIZE (32)
#define RNNP_SECTION_ALIGNMENT (16)
#define RNNP_MAX_SIDE (2048)
#define RNNP_MAX_CHANNELS (2048)
#define RNNP_MAX_INPUTS (8)
#define RNNP_FIELDS_SIZE (28)
#define RNNP_MAX_SHIFT (15)
#define RNNP_MIN_EXPONENT (-31) // of multipliers, where a layer rounds as TensorFlow Lite does
#define RNNP_MAX_EXPONENT (15)
#define RNNP_FINE_BITS (8) // fraction bits of fine biases
#define RNNP_MAX_PATCH (32)
#define RNNP_MAX_HIDDEN (80)
#define RNNP_MAX_ANCHORS (8)
#define RNNP_MAX_PLACES (65536u) // anchors times classes of all heads together: a candidate keeps its place in 16 bits
#define RNNP_MAX_LABELS (1024)

#define RNNP_FLAG_MATERIALIZE (1)
#define RNNP_FLAG_RESIDUAL (2)
#define RNNP_FLAG_SMOOTH (4)
#define RNNP_FLAG_FINE (8)
#define RNNP_FLAG_TFLITE (16)
#define RNNP_FLAG_WIDE (32) // dense layers: sums need more than 24 bits
#define RNNP_FLAG_PROJECT (64)

// The header and a record of the operator table, in place: fields of a checked blob are read where they are. Offsets are
// SPEC.md's: all fields are aligned and the machine is little-endian (numeric.h).
typedef struct {
    uint32_t magic;
    uint16_t version, header_size;
    uint32_t total_size, crc32;
    uint8_t task, channels;
    uint16_t height, width, num_ops;
    uint32_t ops_offset, labels_offset, labels_size;
    uint16_t num_labels, threshold, iou, max_candidates;
    uint32_t golden_seed, golden_crc;
    uint8_t name[RNNP_NAME_SIZE];
    uint32_t result_scale; // of a map: a float32's bits
    uint8_t numbers; // of a classification: not classes
    uint8_t reserved[39];
} rnnp_header_t;

// What all operators have. `fields` is the operator's own: operators/ has a struct for each.
typedef struct {
    uint8_t kind, flags;
    uint8_t num_inputs;
    uint8_t shift; // of requantization, 0 where there is none
    uint8_t inputs[RNNP_MAX_INPUTS]; // tensors: 0 the frame, k the output of operator k - 1
    uint16_t in_height, in_width, in_channels; // of the first input
    uint16_t out_height, out_width, out_channels;
    int8_t in_zero_point, out_zero_point; // in: of the first input
    int8_t act_min, act_max; // clamp of the output
    uint32_t params_offset, params_size;
    uint32_t fields[RNNP_FIELDS_SIZE / 4];
} rnnp_op_t;

// Fails to compile where the compiler adds padding.
typedef char
    rnnp_record_sizes_check_t[sizeof(rnnp_header_t) == RNNP_HEADER_SIZE && sizeof(rnnp_op_t) == RNNP_OP_SIZE ? 1 : -1];

// Weights of a dense layer (convolution, expansion, projection): int16 [ceil(outputs / 4)][inputs rounded up to
// RNNP_WEIGHT_BLOCK, / 2][2][2], zeros in the gaps. Each is of two outputs, 256 times that of the second plus the first's;
// four outputs have two of them for an input, which stand behind those of both inputs of a pair.
#define RNNP_WEIGHT_BLOCK (16)

// Bytes from the first output's weights to those of one that is a multiple of 4.
static inline uint32_t rnnp_weight_index(uint32_t inputs, uint32_t output) {
    return output * rnnp_align(inputs, RNNP_WEIGHT_BLOCK);
}

// Where the upper byte, of an odd output, or the lower one is.
static inline const int8_t *rnnp_weight_at(const int8_t *weight, uint32_t inputs, uint32_t output, uint32_t input) {
    return weight + rnnp_weight_index(inputs, output & ~3u) + input / 2 * 8 + (output & 2) * 2 + input % 2 * 2 +
        output % 2;
}

static inline int32_t rnnp_weight(const int8_t *weight, uint32_t inputs, uint32_t output, uint32_t input) {
    const int8_t *at = rnnp_weight_at(weight, inputs, output, input);
    return output % 2 != 0 ? *at + (at[-1] < 0) : *at;
}

// Bytes of a channel's weights of a depthwise 3x3: [3][4], the last of each 4 is 0.
#define RNNP_DEPTHWISE_RECORD (12)

static inline const rnnp_header_t *rnnp_header(const rnnp_model_t *model) {
    return (const void *)model->blob;
}

// Record `index` of a model whose header has been checked.
static inline const rnnp_op_t *rnnp_op(const rnnp_model_t *model, uint32_t index) {
    const rnnp_op_t *table = model->ops;
    return &table[index];
}

// What a checked model is, as far as there is code for it (left_out.h).
static inline bool rnnp_is_detector(const rnnp_model_t *model) {
    return RNNP_DETECTORS_ONLY || (RNNP_WITH_DETECT_HEAD && model->task == RNNP_TASK_DETECTION);
}

static inline bool rnnp_is_classifier(const rnnp_model_t *model) {
    return RNNP_WITH_DENSE && model->task == RNNP_TASK_CLASSIFICATION;
}

static inline bool rnnp_is_layer(const rnnp_model_t *model) {
    return RNNP_WITH_LAYER && model->task == RNNP_TASK_LAYER;
}

static inline bool rnnp_is_map(const rnnp_model_t *model) {
    return RNNP_WITH_MAP && model->task == RNNP_TASK_MAP;
}

// Inputs of an operator that has been checked.
static inline uint32_t rnnp_num_inputs(const rnnp_op_t *op) {
    return RNNP_JOINS ? op->num_inputs : 1;
}

// True if the header says that the first operator reads pixels: bytes whose int8 value is u ^ 0x80. Else it is a layer that
// reads an int8 map.
static inline bool rnnp_reads_pixels(const rnnp_model_t *model) {
    return !RNNP_WITH_LAYER || rnnp_header(model)->channels != 0;
}

#endif // RNNP_RECORD_H
