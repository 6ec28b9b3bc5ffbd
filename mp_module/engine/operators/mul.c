// This file is part of rnnpool. MIT licence, see LICENSE.
//
// MUL: each pixel of a map times a vector of channels, as in squeeze and excitation.
#include "elementwise.h"

#define MAX_SHIFT (14) // products are at most 255 * 255
#define MAX_EXPONENT (MAX_SHIFT - 1)

static bool check_inputs(const rnnp_check_t *c, const rnnp_model_t *model, const rnnp_op_t *op) {
    return rnnp_elementwise_check_other(c, model, op, 1, 1);
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    rnnp_check_rounding(c, op);
    return rnnp_elementwise_check(c, op);
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    rnnp_layout_add(layout, 4); // the multiplier
    if (rnnp_as_tflite(op)) {
        rnnp_layout_add(layout, 1);
    }
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    return rnnp_check_range(c, "multiplier", *(const int32_t *)arrays[RNNP_MULTIPLIERS], 0, INT32_MAX) &&
        rnnp_check_exponents(c, arrays[RNNP_EXPONENTS], rnnp_as_tflite(op) ? 1 : 0, MAX_EXPONENT);
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int8_t *in = rnnp_input_row(s, 0, s->node->rows_made), *vector = rnnp_input_row(s, 1, 0);
    int32_t zero_in = op->in_zero_point, zero_vector = rnnp_input_op(s->context->model, op, 1)->out_zero_point;
    int32_t multiplier = *(const int32_t *)rnnp_parameters(s, RNNP_MULTIPLIERS);
    const int8_t *exponent = rnnp_as_tflite(op) ? rnnp_parameters(s, RNNP_EXPONENTS) : NULL;
    const rnnp_twice_t twice = rnnp_twice(multiplier, exponent != NULL ? *exponent : 0);
    int8_t *out = s->out;
    for (uint32_t x = 0; x < op->out_width; x++) {
        for (uint32_t c = 0; c < op->out_channels; c++) {
            int32_t product = (*in++ - zero_in) * (vector[c] - zero_vector);
            int32_t y = exponent != NULL ? rnnp_round_twice(&twice, product)
                                         : rnnp_scale(product * (1 << op->shift), multiplier);
            *out++ = rnnp_output_value(op, y);
        }
    }
}

const rnnp_operator_t rnnp_mul = {
    .min_inputs = 2,
    .max_inputs = 2,
    .max_shift = MAX_SHIFT,
    .flags = RNNP_FLAG_TFLITE,
    .check = RNNP_FOR_CHECKS(check),
    .check_inputs = RNNP_FOR_CHECKS(check_inputs),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = rnnp_elementwise_timing,
    .macs = rnnp_elementwise_macs,
    .step = step,
};
