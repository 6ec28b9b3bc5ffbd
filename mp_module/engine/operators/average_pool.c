// This file is part of rnnpool. MIT licence, see LICENSE.
//
// GLOBAL_AVERAGE_POOL: row by row into a sum a channel (docs/arithmetic.md, section 2).
#include <string.h>

#include "../numeric.h"
#include "operator.h"

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    return rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels) && rnnp_check_output(c, op, 1, 1);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    (void)op;
    rnnp_layout_add(layout, 4); // the multiplier
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    (void)op;
    return rnnp_check_range(c, "multiplier", *(const int32_t *)arrays[0], 0, INT32_MAX);
}

static void timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    (void)made;
    timing->need = (uint16_t)(steps + 1);
    timing->oldest = (uint16_t)steps;
    timing->makes = steps + 1 == op->in_height;
}

static uint64_t macs(const rnnp_op_t *op) {
    return rnnp_multiply((uint32_t)op->in_height * op->in_width, op->in_channels);
}

static uint32_t work(const rnnp_op_t *op) {
    return op->in_channels * (uint32_t)sizeof(int32_t);
}

static void start(const rnnp_step_t *s) {
    memset(rnnp_work(s), 0, work(s->op));
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int8_t *in = rnnp_input_row(s, 0, s->node->steps);
    uint32_t channels = op->in_channels;
    int32_t *sums = rnnp_work(s);
    for (uint32_t x = 0; x < op->in_width; x++) {
        for (uint32_t c = 0; c < channels; c++) {
            sums[c] += *in++;
        }
    }
    if (!s->node->makes) {
        return;
    }
    int32_t zero = op->in_height * op->in_width * op->in_zero_point; // of all sides 2048: 2^29
    int64_t multiplier = *(const int32_t *)rnnp_parameters(s, 0);
    int8_t *out = s->out;
    for (uint32_t c = 0; c < channels; c++) {
        int64_t y = op->out_zero_point + (((sums[c] - zero) * multiplier + (1 << 23)) >> 24);
        out[c] = (int8_t)(y < op->act_min ? op->act_min : y > op->act_max ? op->act_max : y);
    }
}

const rnnp_operator_t rnnp_global_average_pool = {
    .check = check,
    .layout = layout,
    .check_parameters = check_parameters,
    .timing = timing,
    .macs = macs,
    .work_name = "sums",
    .work = work,
    .start = start,
    .step = step,
};
