// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What an operator is. One file a kind says everything about it in an rnnp_operator_t; operators.c is the table of those
// that are compiled in. Nothing else knows kinds.
#ifndef RNNP_OPERATOR_H
#define RNNP_OPERATOR_H

#include "../blob/check.h"
#include "../blob/record.h"
#include "../left_out.h"
#include "../run.h"

// What is needed for checks only.
#define RNNP_FOR_CHECKS(what) (RNNP_WITH_CHECKS ? (what) : NULL)

// Where an operator's arrays lie, in bytes from the start of its parameter section.
#define RNNP_MAX_ARRAYS (10)
typedef struct {
    uint32_t offset[RNNP_MAX_ARRAYS];
    uint32_t size; // of the section, less the padding of its last array
    uint32_t count;
} rnnp_layout_t;

// Appends an array of `size` bytes.
void rnnp_layout_add(rnnp_layout_t *layout, uint32_t size);

// Appends weights, biases and multipliers of a dense layer: three arrays (SPEC.md).
void rnnp_layout_add_dense(rnnp_layout_t *layout, uint32_t outputs, uint32_t inputs);

// An operator's next step.
typedef struct {
    uint16_t need; // input rows that must be there, of each input, or all that it has
    uint16_t oldest; // input row: neither this step nor a later one reads an older one
    bool makes; // an output row
} rnnp_timing_t;

// One step of an operator.
typedef struct {
    const rnnp_context_t *context;
    uint32_t index;
    const rnnp_op_t *op;
    const uint8_t *parameters; // its section of the blob
    rnnp_layout_t layout; // of that
    rnnp_node_t *node;
    void *out; // where the next output row goes
} rnnp_step_t;

typedef struct {
    uint8_t flags; // that it may have, beside MATERIALIZE
    uint8_t task; // whose result it gives: int16 rows that no other operator reads. 0: an int8 map
    uint8_t min_inputs, max_inputs; // 0: one
    uint8_t max_shift; // of requantization
    bool fixed_zero_point; // its output's zero point is 0
    bool unclamped; // act_min and act_max are -128 and 127
    uint8_t num_fields;
    uint8_t fields_size; // bytes of its own fields in the record; those behind are 0
    const rnnp_field_t *fields; // their ranges

    // Checks what ranges do not say, and the shape of the output. Fields, inputs and zero points were checked; the
    // number of output channels is 1..RNNP_MAX_CHANNELS.
    bool (*check)(const rnnp_check_t *check, const rnnp_op_t *op);
    bool (*check_inputs)(const rnnp_check_t *check, const rnnp_model_t *model, const rnnp_op_t *op); // of several
    void (*layout)(rnnp_layout_t *layout, const rnnp_op_t *op); // into an empty one; NULL: no arrays
    bool (*check_parameters)(const rnnp_check_t *check, const rnnp_op_t *op, const void *const *arrays); // NULL: any

    // Of the step after `steps`, which made `made` rows. Not called when all are made.
    void (*timing)(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing);
    uint64_t (*macs)(const rnnp_op_t *op); // multiply-adds of one image

    const char *work_name; // what it keeps from step to step, for people
    uint32_t (*work)(const rnnp_op_t *op); // bytes of it; NULL: none
    uint32_t (*scratch)(const rnnp_op_t *op); // bytes that it needs within a step; NULL: none
    void (*start)(const rnnp_step_t *s); // prepares what it keeps; NULL: nothing to do
    void (*step)(const rnnp_step_t *s); // makes one output row, or none
} rnnp_operator_t;

// NULL, with the error filled, if the kind is unknown or not compiled in.
const rnnp_operator_t *rnnp_operator_find(const rnnp_check_t *check, uint32_t kind);

// Of a record whose kind has been found.
const rnnp_operator_t *rnnp_operator(const rnnp_op_t *op);

// Bytes of a row of its output.
uint32_t rnnp_op_row_bytes(const rnnp_op_t *op);

// ---- What operators share ----

// The shape of the output is height x width.
bool rnnp_check_output(const rnnp_check_t *check, const rnnp_op_t *op, uint32_t height, uint32_t width);

// What an operator's sums must fit int32 with: a shift to the left, the fraction bits of fine biases, or the exponents of
// multipliers.
typedef struct {
    uint32_t shift;
    bool fine;
    const int8_t *exponent; // NULL: none
} rnnp_rounding_t;

// No more than one of a shift, fine biases, and exponents.
bool rnnp_check_rounding(const rnnp_check_t *check, const rnnp_op_t *op);

bool rnnp_check_exponents(const rnnp_check_t *check, const int8_t *exponent, uint32_t count, int32_t most);

// The sum of magnitudes fits. weights: of those of output o, at most 2^23.
bool rnnp_check_sum(const rnnp_check_t *check, const char *what, uint32_t weights, uint32_t bias,
    const rnnp_rounding_t *rounding, uint32_t o);

// Weights of a layer as SPEC.md lays them out, and the sums of docs/arithmetic.md, section 2.
//   arrays  weights, biases, multipliers
//   residual  weights of a second input; NULL: none
bool rnnp_check_dense(const rnnp_check_t *check, const rnnp_op_t *op, const char *what, const void *const *arrays,
    uint32_t outputs, uint32_t inputs, const void *residual, const rnnp_rounding_t *rounding);

// The same for a depthwise 3x3.
bool rnnp_check_depthwise(const rnnp_check_t *check, const char *what, const void *const *arrays, uint32_t channels);

// Whether it rounds as TensorFlow Lite's reference kernels do.
static inline bool rnnp_as_tflite(const rnnp_op_t *op) {
    return RNNP_WITH_TFLITE && (op->flags & RNNP_FLAG_TFLITE) != 0;
}

// Whether sums of its dense layers may need more than 24 bits.
static inline bool rnnp_is_wide(const rnnp_op_t *op) {
    return RNNP_WITH_ANY_DENSE && (op->flags & RNNP_FLAG_WIDE) != 0;
}

// Whether its biases have fraction bits.
static inline bool rnnp_is_fine(const rnnp_op_t *op) {
    return RNNP_WITH_FINE && (op->flags & RNNP_FLAG_FINE) != 0;
}

// Of a CONV or DEPTHWISE, as far as there is code for it; exponent: where its array of them is, if it has one.
static inline rnnp_rounding_t rnnp_rounding(const rnnp_op_t *op, const void *exponent) {
    return (
        rnnp_rounding_t){ RNNP_WITH_SHIFT ? op->shift : 0u, rnnp_is_fine(op), rnnp_as_tflite(op) ? exponent : NULL };
}

static inline uint32_t rnnp_magnitude(int32_t v) {
    return v < 0 ? 0u - (uint32_t)v : (uint32_t)v;
}

// Products of two numbers, which are below 2^32 each for all shapes that there are.
static inline uint64_t rnnp_multiply(uint32_t a, uint32_t b) {
    return (uint64_t)a * b;
}

// Output pixels.
static inline uint32_t rnnp_op_pixels(const rnnp_op_t *op) {
    return (uint32_t)op->out_height * op->out_width;
}

// The operator that makes an input, of one that is not the first operator.
static inline const rnnp_op_t *rnnp_input_op(const rnnp_model_t *model, const rnnp_op_t *op, uint32_t input) {
    return rnnp_op(model, op->inputs[input] - 1u);
}

// Row y of an input; it must be one of the last ring_rows rows made.
const int8_t *rnnp_input_row(const rnnp_step_t *s, uint32_t input, uint32_t y);

static inline void *rnnp_work(const rnnp_step_t *s) {
    return s->context->arena + s->node->work;
}

static inline void *rnnp_scratch(const rnnp_step_t *s) {
    return s->context->arena + s->node->scratch;
}

static inline const void *rnnp_parameters(const rnnp_step_t *s, uint32_t array) {
    return s->parameters + s->layout.offset[array];
}

#endif // RNNP_OPERATOR_H
