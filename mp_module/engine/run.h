// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A run in progress: what frames, operators and the scheduler (graph/run.c) share.
//
// A scheduler, not recursion, moves rows through the graph: an operator is *ready* when the input rows of its next step
// are there, and the ready operator that stands last in the table takes one step. So every consumer has taken what it
// can of a row before the producer makes the next one, which is what lets a ring be as short as its consumers' windows;
// the stack is as deep for a hundred operators as for one; and since no operator is in the middle of a step while another runs,
// all operators of a segment use the same scratch memory, whose content lasts for one step.
#ifndef RNNP_RUN_H
#define RNNP_RUN_H

#include "rnnp.h"

// What a run keeps of each tensor and of the operator that makes it (tensor 0: the input).
typedef struct {
    uint32_t ring; // offset of its rows: row y is at ring + (y % ring_rows) * row_bytes
    uint32_t row_bytes;
    uint32_t work; // offset of the operator's working ring
    uint32_t scratch; // offset of the segment's scratch memory
    uint32_t crc; // results: CRC-32 of the rows made
    uint16_t ring_rows;
    uint16_t height;
    uint16_t rows_made;
    uint16_t steps; // that the operator has taken
    uint16_t need; // input rows that must be there for the next one
    uint8_t makes : 1; // the next one makes a row
    uint8_t reader : 7; // behind the last operator that reads the rows
    uint8_t segment;
} rnnp_node_t;

// The first thing in the arena, followed by the nodes.
typedef struct {
    uint32_t candidates; // offset
    uint32_t num_candidates;
    int32_t logit_min; // Q12; 32768: no logit reaches the threshold
    uint32_t resample; // offset of the resampling buffers
    uint16_t scaled_width, scaled_height; // part of the model's input that the frame fills
    uint8_t segment, end; // the one that runs; from this operator on none of it is ready
    uint16_t stamp; // the caller's; not read
} rnnp_state_t;

typedef struct {
    const rnnp_run_t *run;
    const rnnp_model_t *model;
    uint8_t *arena;
    rnnp_state_t *state;
    rnnp_node_t *nodes;
} rnnp_context_t;

// Row y of an operator's output, or of the input for node 0.
static inline int8_t *rnnp_ring_row(const rnnp_context_t *c, const rnnp_node_t *node, uint32_t y) {
    return (int8_t *)c->arena + node->ring + y % node->ring_rows * node->row_bytes;
}

#endif // RNNP_RUN_H
