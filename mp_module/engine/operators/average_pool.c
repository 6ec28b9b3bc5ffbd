// This file is part of rnnpool. MIT licence, see LICENSE.
//
// GLOBAL_AVERAGE_POOL: row by row into a sum a channel (docs/arithmetic.md, section 2).
#include <string.h>

#include "../numeric.h"
#include "operator.h"

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels);
    if (rnnp_as_tflite(op)) {
        rnnp_check_equal(c, "out_zero_point", op->out_zero_point, op->in_zero_point);
    }
    return rnnp_check_output(c, op, 1, 1);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    if (!rnnp_as_tflite(op)) {
        rnnp_layout_add(layout, 4); // the multiplier
    }
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    return rnnp_as_tflite(op) || rnnp_check_range(c, "multiplier", *(const int32_t *)arrays[0], 0, INT32_MAX);
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

#define MAX_SUMMANDS (257) // bytes whose sum fits 16 bits

// Adds `count` pixels' values of four channels, two sums a word: as bytes from 0 on, each 128 more than it is.
static void add_words(const int8_t *in, uint32_t channels, uint32_t count, int32_t *sums) {
    uint32_t even = 0, odd = 0;
    for (uint32_t x = 0; x < count; x++, in += channels) {
        uint32_t word;
        memcpy(&word, __builtin_assume_aligned(in, 4), sizeof(word)); // as rows are, and channels a multiple of 4
        word ^= 0x80808080u;
        even += word & 0x00ff00ffu;
        odd += word >> 8 & 0x00ff00ffu;
    }
    int32_t more = (int32_t)count * 128;
    sums[0] += (int32_t)(even & 0xffff) - more;
    sums[1] += (int32_t)(odd & 0xffff) - more;
    sums[2] += (int32_t)(even >> 16) - more;
    sums[3] += (int32_t)(odd >> 16) - more;
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int8_t *in = rnnp_input_row(s, 0, s->node->steps);
    uint32_t channels = op->in_channels;
    int32_t *sums = rnnp_work(s);
    bool words = channels % 4 == 0 && op->in_width <= MAX_SUMMANDS;
    for (uint32_t c = 0; words && c < channels; c += 4) {
        add_words(in + c, channels, op->in_width, sums + c);
    }
    for (uint32_t x = 0; !words && x < op->in_width; x++) {
        for (uint32_t c = 0; c < channels; c++) {
            sums[c] += *in++;
        }
    }
    if (!s->node->makes) {
        return;
    }
    int8_t *out = s->out;
    for (uint32_t c = 0; rnnp_as_tflite(op) && c < channels; c++) {
        int32_t mean = rnnp_mean(sums[c], op->in_height * op->in_width);
        out[c] = (int8_t)rnnp_clamp(mean, op->act_min, op->act_max);
    }
    if (rnnp_as_tflite(op)) {
        return;
    }
    int32_t zero = op->in_height * op->in_width * op->in_zero_point; // of all sides 2048: 2^29
    int64_t multiplier = *(const int32_t *)rnnp_parameters(s, 0);
    for (uint32_t c = 0; c < channels; c++) {
        int64_t y = op->out_zero_point + (((sums[c] - zero) * multiplier + (1 << 23)) >> 24);
        out[c] = (int8_t)(y < op->act_min ? op->act_min : y > op->act_max ? op->act_max : y);
    }
}

const rnnp_operator_t rnnp_global_average_pool = {
    .flags = RNNP_FLAG_TFLITE,
    .check = RNNP_FOR_CHECKS(check),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = timing,
    .macs = macs,
    .work_name = "sums",
    .work = work,
    .start = start,
    .step = step,
};
