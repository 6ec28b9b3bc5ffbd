// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The result as it is: a classifier's logits, a map.
#include "../blob/check.h"
#include "../operators/operator.h"

rnnp_status_t rnnp_raw_shape(const rnnp_model_t *model, rnnp_raw_t *raw, rnnp_error_t *error) {
    rnnp_no_error(error);
    if (!rnnp_is_classifier(model) && !rnnp_is_map(model)) {
        return rnnp_bad_argument(error, "task", RNNP_TASK_MAP, model->task);
    }
    const rnnp_op_t *op = rnnp_op(model, model->num_ops - 1u);
    bool map = rnnp_is_map(model);
    *raw = (rnnp_raw_t){
        .height = op->out_height,
        .width = op->out_width,
        .channels = op->out_channels,
        .value_bytes = map ? 1 : 2,
        .zero_point = op->out_zero_point,
        .shift = map ? 0 : op->shift,
    };
    return RNNP_OK;
}

rnnp_status_t rnnp_raw(const rnnp_run_t *run, const void *arena, rnnp_raw_t *raw, rnnp_error_t *error) {
    if (rnnp_raw_shape(run->model, raw, error) != RNNP_OK || (!RNNP_WITH_DENSE && !RNNP_WITH_MAP)) {
        return error->status;
    }
    if (!run->done) {
        return rnnp_bad_state(error, "rows", run->height, run->rows_in);
    }
    const uint8_t *bytes = arena;
    const rnnp_node_t *nodes = (const void *)(bytes + sizeof(rnnp_state_t));
    const rnnp_node_t *node = &nodes[run->model->num_ops];
    raw->values = bytes + node->ring;
    raw->row_bytes = node->row_bytes;
    return RNNP_OK;
}
