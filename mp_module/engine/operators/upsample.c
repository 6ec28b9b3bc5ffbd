// This file is part of rnnpool. MIT licence, see LICENSE.
//
// UPSAMPLE: each pixel `factor` times along both axes.
#include <string.h>

#include "elementwise.h"

typedef struct {
    uint8_t factor;
} fields_t;

static uint32_t factor(const rnnp_op_t *op) {
    const fields_t *fields = (const void *)op->fields;
    return fields->factor;
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels);
    rnnp_check_equal(c, "out_zero_point", op->out_zero_point, op->in_zero_point);
    return rnnp_check_output(c, op, op->in_height * factor(op), op->in_width * factor(op));
}

static void timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    (void)steps;
    uint32_t y = made / factor(op);
    timing->need = (uint16_t)(y + 1);
    timing->oldest = (uint16_t)y;
    timing->makes = true;
}

static uint64_t macs(const rnnp_op_t *op) {
    (void)op;
    return 0;
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const int8_t *in = rnnp_input_row(s, 0, s->node->rows_made / factor(op));
    uint32_t channels = op->in_channels, repeated = 0;
    int8_t *out = s->out;
    for (uint32_t x = 0; x < op->out_width; x++, out += channels) {
        memcpy(out, in, channels);
        if (++repeated == factor(op)) {
            repeated = 0;
            in += channels;
        }
    }
}

static const rnnp_field_t fields[] = {
    { "factor", offsetof(rnnp_op_t, fields), 0, 2, 8 },
};

const rnnp_operator_t rnnp_upsample = {
    .unclamped = true,
    .fields = RNNP_FOR_CHECKS(fields),
    .num_fields = RNNP_FIELDS(fields),
    .fields_size = sizeof(fields_t),
    .check = RNNP_FOR_CHECKS(check),
    .timing = timing,
    .macs = macs,
    .step = step,
};
