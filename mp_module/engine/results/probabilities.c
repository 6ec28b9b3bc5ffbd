// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Probabilities of a complete run: the softmax of a classifier's logits (docs/arithmetic.md, section 6).
#include "../blob/check.h"
#include "../blob/record.h"
#include "../left_out.h"
#include "../kernels/tables.h"
#include "../numeric.h"
#include "../run.h"

// e^-below in Q16: 65536 for 0. below in Q12, 0..65535, less `shift` bits.
static uint32_t exponential(int32_t below, uint32_t shift) {
    below = (int32_t)rnnp_min_u32((uint32_t)below << shift, 65535);
    int32_t t = -((below * 23637 + 8192) >> 14); // times log2(e)
    return (uint32_t)rnnp_exp2_mantissa(t & 4095) << 2 >> -(t >> 12);
}

static const int16_t *logits(const rnnp_softmax_t *softmax, const void *arena) {
    return (const void *)((const uint8_t *)arena + softmax->logits);
}

static uint32_t term(const rnnp_softmax_t *softmax, const void *arena, uint32_t index) {
    return exponential(softmax->largest - logits(softmax, arena)[index], softmax->shift);
}

rnnp_status_t rnnp_softmax(rnnp_softmax_t *softmax, const rnnp_run_t *run, const void *arena, rnnp_error_t *error) {
    rnnp_no_error(error);
    const rnnp_model_t *model = run->model;
    if (!rnnp_is_classifier(model)) {
        return rnnp_bad_argument(error, "task", RNNP_TASK_CLASSIFICATION, model->task);
    }
    if (model->numbers) { // whose softmax would say nothing
        return rnnp_bad_argument(error, "numbers", 0, model->num_labels);
    }
    if (!run->done) {
        return rnnp_bad_state(error, "rows", run->height, run->rows_in);
    }
    const rnnp_node_t *nodes = (const void *)((const uint8_t *)arena + sizeof(rnnp_state_t));
    softmax->logits = nodes[model->num_ops].ring;
    softmax->shift = rnnp_op(model, model->num_ops - 1u)->shift;
    softmax->largest = INT16_MIN;
    for (uint32_t i = 0; i < model->num_labels; i++) {
        softmax->largest = rnnp_clamp(softmax->largest, logits(softmax, arena)[i], INT16_MAX);
    }
    softmax->sum = 0;
    for (uint32_t i = 0; i < model->num_labels; i++) {
        softmax->sum += term(softmax, arena, i);
    }
    return RNNP_OK;
}

uint16_t rnnp_probability(const rnnp_softmax_t *softmax, const void *arena, uint32_t index) {
    if (!RNNP_WITH_DENSE) {
        return 0;
    }
    uint32_t value = ((term(softmax, arena, index) << 15) + softmax->sum / 2) / softmax->sum;
    return (uint16_t)rnnp_min_u32(value, 32767);
}

rnnp_status_t rnnp_probabilities(const rnnp_run_t *run, const void *arena, uint16_t *out, rnnp_error_t *error) {
    rnnp_softmax_t softmax;
    if (rnnp_softmax(&softmax, run, arena, error) == RNNP_OK) {
        for (uint32_t i = 0; i < run->model->num_labels; i++) {
            out[i] = rnnp_probability(&softmax, arena, i);
        }
    }
    return error->status;
}
