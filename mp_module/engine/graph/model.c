// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A model: a blob that has been checked, and what follows from it.
#include "../blob/container.h"
#include "plan.h"

rnnp_status_t rnnp_model_init(rnnp_model_t *model, const uint8_t *blob, size_t size, rnnp_error_t *error) {
    const rnnp_header_t *h = (const void *)blob;
    rnnp_no_error(error);
    if (!rnnp_container_check(blob, size, error)) {
        return error->status;
    }
    rnnp_model_t checked = {
        .blob = blob,
        .ops = blob + h->ops_offset,
        .size = h->total_size,
        .task = (rnnp_task_t)h->task,
        .height = h->height,
        .width = h->width,
        .channels = h->channels,
        .num_ops = (uint8_t)h->num_ops,
        .num_labels = h->num_labels,
        .threshold = h->threshold,
        .iou = h->iou,
        .max_candidates = h->max_candidates,
        .numbers = h->numbers != 0 || (h->task == RNNP_TASK_CLASSIFICATION && h->num_labels == 1),
        .result_scale = h->result_scale,
        .golden_seed = h->golden_seed,
        .golden_crc = h->golden_crc,
        .name = (const char *)h->name,
        .labels = (const char *)blob + h->labels_offset,
    };
    if (!rnnp_reads_pixels(&checked)) { // a layer: its operator says how many
        checked.channels = rnnp_op(&checked, 0)->in_channels;
    }
    if (RNNP_WITH_CHECKS && !rnnp_graph_check(&checked, error)) {
        return error->status;
    }
    rnnp_graph_rings(&checked, checked.ring_rows);
    uint32_t arena = RNNP_WITH_CHECKS ? rnnp_plan_size(&checked, NULL) : 0;
    if (arena > RNNP_MAX_ARENA) {
        return rnnp_fail(error, RNNP_ERROR_FORMAT, -1, "arena", RNNP_MAX_ARENA, arena);
    }
    *model = checked;
    return RNNP_OK;
}

void rnnp_model_op_info(const rnnp_model_t *model, uint32_t index, rnnp_op_info_t *info) {
    const rnnp_op_t *op = rnnp_op(model, index);
    info->kind = (rnnp_kind_t)op->kind;
    info->height = op->out_height;
    info->width = op->out_width;
    info->channels = op->out_channels;
    info->arena = rnnp_plan_op_arena(model, index);
    uint64_t macs = rnnp_operator(op)->macs(op);
    info->macs = macs < UINT32_MAX ? (uint32_t)macs : UINT32_MAX;
}
