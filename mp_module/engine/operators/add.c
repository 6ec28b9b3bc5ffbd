// This file is part of rnnpool. MIT licence, see LICENSE.
//
// ADD: the sum of two maps, each with a weight, rounded once; or as TensorFlow Lite does it, which rounds each of them and
// the sum.
#include "elementwise.h"

bool rnnp_sum_check_parameters(const rnnp_check_t *check, const rnnp_op_t *op, const void *const *arrays) {
    const int32_t *weights = arrays[0];
    for (uint32_t i = 0; i < op->num_inputs; i++) {
        rnnp_check_range(check, "weight", weights[i], 1 - RNNP_SUM_LIMIT, RNNP_SUM_LIMIT - 1);
    }
    return rnnp_is_well(check);
}

static bool check_inputs(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    return rnnp_elementwise_check_other(c, model, op, op->in_height, op->in_width);
}

#define INPUT_BITS (20) // fraction bits that TensorFlow Lite gives an input
#define MULTIPLIERS (3) // of both inputs, and of their sum

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    rnnp_check_rounding(c, op);
    return rnnp_elementwise_check(c, op);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    if (rnnp_as_tflite(op)) {
        rnnp_layout_add(layout, 4 * MULTIPLIERS);
        rnnp_layout_add(layout, MULTIPLIERS);
    } else {
        rnnp_sum_layout(layout, op);
    }
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    if (!rnnp_as_tflite(op)) {
        return rnnp_sum_check_parameters(c, op, arrays);
    }
    const int32_t *multiplier = arrays[RNNP_MULTIPLIERS];
    for (uint32_t i = 0; i < MULTIPLIERS; i++) {
        rnnp_check_range(c, "multiplier", multiplier[i], 0, INT32_MAX);
    }
    return rnnp_check_exponents(c, arrays[RNNP_EXPONENTS], MULTIPLIERS, 0);
}

#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("O2"))) // where the time goes
#endif
static void add_as_tflite(const rnnp_step_t *s, const int8_t *a, const int8_t *b, int32_t zero_a, int32_t zero_b) {
    // Copies: out might be part of the operator for all that the compiler knows.
    int32_t zero_out = s->op->out_zero_point, min = s->op->act_min - zero_out, max = s->op->act_max - zero_out;
    const int32_t *multiplier = rnnp_parameters(s, RNNP_MULTIPLIERS);
    const int8_t *exponent = rnnp_parameters(s, RNNP_EXPONENTS);
    rnnp_twice_t one = rnnp_twice(multiplier[0], exponent[0]), two = rnnp_twice(multiplier[1], exponent[1]);
    const rnnp_twice_t total = rnnp_twice(multiplier[2], exponent[2]);
    one.left += INPUT_BITS;
    two.left += INPUT_BITS;
    int8_t *out = s->out;
    for (int8_t *end = out + (uint32_t)s->op->out_width * s->op->out_channels; out < end;) {
        int32_t sum = rnnp_round_twice(&one, *a++ - zero_a) + rnnp_round_twice(&two, *b++ - zero_b); // below 2^29
        *out++ = (int8_t)(rnnp_clamp(rnnp_round_twice(&total, sum), min, max) + zero_out);
    }
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    uint32_t y = s->node->rows_made, count = (uint32_t)op->out_width * op->out_channels;
    const int8_t *a = rnnp_input_row(s, 0, y), *b = rnnp_input_row(s, 1, y);
    int32_t zero_a = op->in_zero_point, zero_b = rnnp_input_op(s->context->model, op, 1)->out_zero_point;
    if (rnnp_as_tflite(op)) {
        add_as_tflite(s, a, b, zero_a, zero_b);
        return;
    }
    const int32_t *weights = rnnp_parameters(s, 0);
    int32_t weight_a = weights[0], weight_b = weights[1];
    int8_t *out = s->out;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = rnnp_sum_value(op, (a[i] - zero_a) * weight_a + (b[i] - zero_b) * weight_b);
    }
}

const rnnp_operator_t rnnp_add = {
    .min_inputs = 2,
    .max_inputs = 2,
    .max_shift = RNNP_MAX_SHIFT,
    .flags = RNNP_FLAG_TFLITE,
    .check = RNNP_FOR_CHECKS(check),
    .check_inputs = RNNP_FOR_CHECKS(check_inputs),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = rnnp_elementwise_timing,
    .macs = rnnp_elementwise_macs,
    .step = step,
};
