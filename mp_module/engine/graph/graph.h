// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The graph of a model's operators: its rules (SPEC.md), and how many rows of each tensor are alive at a time.
//
// Tensors are numbered as in the blob: 0 is the model's input, k the output of operator k - 1.
#ifndef RNNP_GRAPH_H
#define RNNP_GRAPH_H

#include "../operators/operator.h"

#define RNNP_MAX_TENSORS (RNNP_MAX_OPS + 1)

// All operators, their parameters and the graph; true if all is well, else the error is filled. Of the model, all fields
// but name and labels are checked, and the operator table lies within the blob.
bool rnnp_graph_check(const rnnp_model_t *model, rnnp_error_t *error);

// The segment of each tensor's operator. Returns the number of segments.
uint32_t rnnp_graph_segments(const rnnp_model_t *model, uint8_t *segment);

// Whether a segment is that one; without MATERIALIZE there is no other.
static inline bool rnnp_same_segment(uint32_t segment, uint32_t other) {
    return !RNNP_WITH_MATERIALIZE || segment == other;
}

// True if operators of the next segment read the tensor, which is then kept whole.
static inline bool rnnp_graph_materialized(const rnnp_model_t *model, uint32_t tensor) {
    return RNNP_WITH_MATERIALIZE && tensor > 0 && (rnnp_op(model, tensor - 1)->flags & RNNP_FLAG_MATERIALIZE) != 0;
}

// True for the result of a map model, which is kept whole, too.
static inline bool rnnp_graph_is_map(const rnnp_model_t *model, uint32_t tensor) {
    return rnnp_is_map(model) && tensor == model->num_ops;
}

// Rows of a tensor, all of them.
static inline uint32_t rnnp_graph_height(const rnnp_model_t *model, uint32_t tensor) {
    return tensor == 0 ? model->height : rnnp_op(model, tensor - 1)->out_height;
}

static inline bool rnnp_graph_reads(const rnnp_op_t *op, uint32_t tensor) {
    for (uint32_t i = 0; i < rnnp_num_inputs(op); i++) {
        if (op->inputs[i] == tensor) {
            return true;
        }
    }
    return false;
}

// Rows of each tensor's ring, by a walk through the schedule without computing anything: the most rows between the one
// that is made and the oldest that a reader still wants. 0: none is kept, for a detector's heads give theirs away at once.
//   rows  [num_ops + 1], written
void rnnp_graph_rings(const rnnp_model_t *model, uint16_t *rows);

#endif // RNNP_GRAPH_H
