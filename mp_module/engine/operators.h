// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the planner and the scheduler ask of each kind of operator. One file a kind: conv.c (CONV, DETECT_HEAD and DENSE),
// rnnpool.c, inverted_residual.c; classify.c (GLOBAL_AVERAGE_POOL).
//
//   X_lookback  rows of its input that an operator reads in one step, newest included
//   X_work      bytes that it keeps from step to step, 0 for none
//   X_scratch   bytes that it needs within a step, 0 for none
//   X_need      input rows that must be there for its next step
//   X_start     prepares the working memory before the first step
//   X_step      makes at most one output row
#ifndef RNNP_OPERATORS_H
#define RNNP_OPERATORS_H

#include "op.h"
#include "run.h"

uint32_t rnnp_conv_scratch(const rnnp_op_t *op);
uint32_t rnnp_conv_need(const rnnp_op_t *op, const rnnp_node_t *node);
void rnnp_conv_step(const rnnp_step_t *s);
void rnnp_head_step(const rnnp_step_t *s);

uint32_t rnnp_rnnpool_lookback(const rnnp_op_t *op);
uint32_t rnnp_rnnpool_work(const rnnp_op_t *op);
uint32_t rnnp_rnnpool_scratch(const rnnp_op_t *op);
uint32_t rnnp_rnnpool_need(const rnnp_op_t *op, const rnnp_node_t *node);
void rnnp_rnnpool_step(const rnnp_step_t *s);

uint32_t rnnp_inverted_residual_lookback(const rnnp_op_t *op);
uint32_t rnnp_inverted_residual_work(const rnnp_op_t *op);
uint32_t rnnp_inverted_residual_scratch(const rnnp_op_t *op);
uint32_t rnnp_inverted_residual_need(const rnnp_op_t *op, const rnnp_node_t *node);
void rnnp_inverted_residual_start(const rnnp_step_t *s);
void rnnp_inverted_residual_step(const rnnp_step_t *s);

uint32_t rnnp_global_average_pool_work(const rnnp_op_t *op);
void rnnp_global_average_pool_step(const rnnp_step_t *s);

#endif // RNNP_OPERATORS_H
