// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The arena: one plan says where everything lies. rnnp_arena_size(), rnnp_begin() and rnnp_arena_region() all use it, so
// size and layout can't drift apart.
//
//   | run state | nodes | candidates |  map of even segments  | rings, working rings, scratch |  map of odd segments |
//                                     base                                                                        size
//
// A tensor is a ring of as many rows as the schedule needs (graph.h), or a map of all its rows if it is MATERIALIZE. What a segment
// works with is dead when the segment ends, but for the map that it wrote: the next segment's memory starts again from
// the base, and maps lie at the two ends in turn.
#ifndef RNNP_PLAN_H
#define RNNP_PLAN_H

#include "../rnnp.h"
#include "graph.h"

#define RNNP_ROW_ALIGNMENT (4) // of rows of activations

// Largest arena of a model with a frame of its own size; with resampling buffers it stays below 2^31.
#define RNNP_MAX_ARENA (INT32_MAX - 32768)

typedef struct {
    uint32_t size; // of the whole arena; offsets only make sense if it is not above INT32_MAX
    uint32_t resample_bytes;
    uint8_t segment[RNNP_MAX_TENSORS]; // of the operator that makes the tensor
    uint8_t num_segments;
} rnnp_plan_t;

// frame NULL: one of the model's own size.
void rnnp_plan(rnnp_plan_t *plan, const rnnp_model_t *model, const rnnp_frame_t *frame);

typedef enum {
    RNNP_PLACE_RUN, // its state and nodes
    RNNP_PLACE_CANDIDATES,
    RNNP_PLACE_RESAMPLE,
    RNNP_PLACE_SCRATCH,
    RNNP_PLACE_WORK, // from here on of tensors
    RNNP_PLACE_RING,
} rnnp_place_t;

// Told where something lies: bytes at an offset, which may be none. of: a tensor, or a segment for scratch memory and for
// resampling.
typedef void (*rnnp_visit_t)(void *context, rnnp_place_t place, uint32_t of, uint32_t offset, uint32_t bytes);

// Tells all that lies in the arena, of a plan that is not above INT32_MAX. Nothing keeps the offsets of all
// tensors on the stack: who wants them takes them as they come.
void rnnp_plan_visit(const rnnp_plan_t *plan, const rnnp_model_t *model, rnnp_visit_t visit, void *context);

// plan.size alone.
uint32_t rnnp_plan_size(const rnnp_model_t *model, const rnnp_frame_t *frame);

// Bytes between the rows of a tensor.
uint32_t rnnp_plan_row_bytes(const rnnp_model_t *model, uint32_t tensor);

// Bytes of ring or map, working ring and state of an operator.
uint32_t rnnp_plan_op_arena(const rnnp_model_t *model, uint32_t index);

#endif // RNNP_PLAN_H
