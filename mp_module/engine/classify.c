// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The end of a classifier: GLOBAL_AVERAGE_POOL, row by row into a sum a channel, and the probabilities of the dense
// layer's logits (docs/arithmetic.md, sections 2 and 6).
#include <string.h>

#include "check.h"
#include "numeric.h"
#include "operators.h"
#include "tables.h"

uint32_t rnnp_global_average_pool_work(const rnnp_op_t *op) {
    return op->kind == RNNP_GLOBAL_AVERAGE_POOL ? op->in_channels * (uint32_t)sizeof(int32_t) : 0;
}

void rnnp_global_average_pool_step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int8_t *in = rnnp_input_row(s, s->node->rows_taken);
    uint32_t channels = op->in_channels;
    int32_t *sums = rnnp_work(s);
    if (s->node->rows_taken++ == 0) {
        memset(sums, 0, rnnp_global_average_pool_work(op));
    }
    for (uint32_t x = 0; x < op->in_width; x++) {
        for (uint32_t c = 0; c < channels; c++) {
            sums[c] += *in++;
        }
    }
    if (s->node->rows_taken < op->in_height) {
        return;
    }
    int32_t zero = op->in_height * op->in_width * op->in_zero_point; // of all sides 2048: 2^29
    int64_t multiplier = *(const int32_t *)rnnp_parameters(s, RNNP_POOL_MULTIPLIER);
    int8_t *out = rnnp_ring_row(s->context, s->node, 0);
    for (uint32_t c = 0; c < channels; c++) {
        int64_t y = op->out_zero_point + (((sums[c] - zero) * multiplier + (1 << 23)) >> 24);
        out[c] = (int8_t)(y < INT8_MIN ? INT8_MIN : y > INT8_MAX ? INT8_MAX : y);
    }
    rnnp_row_made(s, out, channels);
}

// e^-below in Q16: 65536 for 0. below in Q12, 0..65535.
static uint32_t exponential(int32_t below) {
    int32_t t = -((below * 23637 + 8192) >> 14); // times log2(e)
    return (uint32_t)rnnp_exp2_mantissa(t & 4095) << 2 >> -(t >> 12);
}

rnnp_status_t rnnp_probabilities(const rnnp_run_t *run, const void *arena, uint16_t *out, rnnp_error_t *error) {
    rnnp_fail(error, RNNP_OK, -1, "", 0, 0);
    const rnnp_model_t *model = run->model;
    if (model->task != RNNP_TASK_CLASSIFICATION) {
        return rnnp_fail(error, RNNP_ERROR_ARGUMENT, -1, "task", RNNP_TASK_CLASSIFICATION, model->task);
    }
    if (!run->done) {
        return rnnp_fail(error, RNNP_ERROR_STATE, -1, "rows", run->frame.height, run->rows_in);
    }
    const rnnp_node_t *nodes = (const void *)((const uint8_t *)arena + sizeof(rnnp_state_t));
    const int16_t *logits = (const void *)((const uint8_t *)arena + nodes[model->num_ops].ring);
    int32_t largest = INT16_MIN;
    for (uint32_t i = 0; i < model->num_labels; i++) {
        largest = rnnp_clamp(largest, logits[i], INT16_MAX);
    }
    uint32_t sum = 0;
    for (uint32_t i = 0; i < model->num_labels; i++) {
        sum += exponential(largest - logits[i]);
    }
    for (uint32_t i = 0; i < model->num_labels; i++) {
        out[i] = (uint16_t)rnnp_min_u32(((exponential(largest - logits[i]) << 15) + sum / 2) / sum, 32767);
    }
    return RNNP_OK;
}
