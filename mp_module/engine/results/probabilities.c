// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Probabilities of a complete run: the softmax of a classifier's logits (docs/arithmetic.md, section 6).
#include "../blob/check.h"
#include "../blob/record.h"
#include "../kernels/tables.h"
#include "../numeric.h"
#include "../run.h"

// e^-below in Q16: 65536 for 0. below in Q12, 0..65535, less `shift` bits.
static uint32_t exponential(int32_t below, uint32_t shift) {
    below = (int32_t)rnnp_min_u32((uint32_t)below << shift, 65535);
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
        return rnnp_fail(error, RNNP_ERROR_STATE, -1, "rows", run->height, run->rows_in);
    }
    const rnnp_node_t *nodes = (const void *)((const uint8_t *)arena + sizeof(rnnp_state_t));
    const int16_t *logits = (const void *)((const uint8_t *)arena + nodes[model->num_ops].ring);
    uint32_t shift = rnnp_op(model, model->num_ops - 1u)->shift;
    int32_t largest = INT16_MIN;
    for (uint32_t i = 0; i < model->num_labels; i++) {
        largest = rnnp_clamp(largest, logits[i], INT16_MAX);
    }
    uint32_t sum = 0;
    for (uint32_t i = 0; i < model->num_labels; i++) {
        sum += exponential(largest - logits[i], shift);
    }
    for (uint32_t i = 0; i < model->num_labels; i++) {
        out[i] = (uint16_t)rnnp_min_u32(((exponential(largest - logits[i], shift) << 15) + sum / 2) / sum, 32767);
    }
    return RNNP_OK;
}
