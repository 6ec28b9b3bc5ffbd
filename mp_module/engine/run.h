// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A run in progress, as the operators see it.
//
// A scheduler, not recursion, moves rows through the graph: an operator is *ready* when the input rows of its next step
// are there, and the ready operator that stands last in the table takes one step. So every consumer has taken what it
// can of a row before the producer makes the next one, which is what lets a ring be as short as its consumers' windows;
// the stack is as deep for 64 operators as for one; and since no operator is in the middle of a step while another runs,
// all operators of a segment use the same scratch memory, whose content lasts for one step.
#ifndef RNNP_RUN_H
#define RNNP_RUN_H

#include "op.h"
#include "rnnp.h"

// What a run keeps of each tensor and of the operator that makes it (tensor 0: the input).
typedef struct {
    uint32_t ring; // offset of its rows: row y is at ring + (y % ring_rows) * row_bytes
    uint32_t row_bytes;
    uint32_t work; // offset of the operator's working ring
    uint32_t scratch; // offset of the segment's scratch memory
    uint32_t crc; // results: CRC-32 of the rows made
    uint32_t first_anchor; // heads: index of their first anchor
    uint16_t ring_rows;
    uint16_t height;
    uint16_t rows_made;
    uint16_t rows_taken; // operators that work on each input row by itself
    uint16_t need; // input rows that must be there for the next step
    uint8_t segment;
    uint8_t input; // tensor that the operator reads
} rnnp_node_t;

// The first thing in the arena, followed by the nodes.
typedef struct {
    uint32_t candidates; // offset
    uint32_t num_candidates;
    int32_t logit_min; // Q12; 32768: no logit reaches the threshold
    uint32_t resample; // offset of the resampling buffers
    uint16_t scaled_width, scaled_height; // part of the model's input that the frame fills
    uint32_t num_segments;
} rnnp_state_t;

typedef struct {
    const rnnp_run_t *run;
    const rnnp_model_t *model;
    uint8_t *arena;
    rnnp_state_t *state;
    rnnp_node_t *nodes;
} rnnp_context_t;

// One step of an operator: its record, its node and its input's.
typedef struct {
    const rnnp_context_t *context;
    uint32_t index;
    const rnnp_op_t *op;
    rnnp_layout_t layout; // of its parameters
    rnnp_node_t *node;
    const rnnp_node_t *in;
} rnnp_step_t;

// Row y of the input; it must be one of the last ring_rows rows made.
static inline const int8_t *rnnp_input_row(const rnnp_step_t *s, uint32_t y) {
    return (const int8_t *)s->context->arena + s->in->ring + y % s->in->ring_rows * s->in->row_bytes;
}

// Row y of an operator's output, or of the input for node 0.
static inline int8_t *rnnp_ring_row(const rnnp_context_t *c, const rnnp_node_t *node, uint32_t y) {
    return (int8_t *)c->arena + node->ring + y % node->ring_rows * node->row_bytes;
}

static inline void *rnnp_work(const rnnp_step_t *s) {
    return s->context->arena + s->node->work;
}

static inline void *rnnp_scratch(const rnnp_step_t *s) {
    return s->context->arena + s->node->scratch;
}

static inline const void *rnnp_parameters(const rnnp_step_t *s, uint32_t array) {
    return s->context->model->blob + s->op->params_offset + s->layout.offset[array];
}

// To be called when the next output row is complete: counts it and shows it to the tap. `row` has `bytes` bytes.
void rnnp_row_made(const rnnp_step_t *s, const void *row, uint32_t bytes);

#endif // RNNP_RUN_H
