// This file is part of rnnpool. MIT licence, see LICENSE.
//
// POOL: the largest or the mean value of each channel within a window; padding does not count.
#include "../numeric.h"
#include "window.h"

typedef struct {
    rnnp_window_t window;
    uint8_t mean; // else the largest
} fields_t;

static const fields_t *get(const rnnp_op_t *op) {
    return (const void *)op->fields;
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    rnnp_window_check(c, op);
    rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels);
    return rnnp_check_equal(c, "out_zero_point", op->out_zero_point, op->in_zero_point);
}

static uint64_t macs(const rnnp_op_t *op) {
    return rnnp_multiply(rnnp_op_pixels(op), op->in_channels * rnnp_window_taps(op));
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    const rnnp_window_t *w = rnnp_window(op);
    bool mean = get(op)->mean != 0;
    uint32_t channels = op->in_channels;
    int32_t top = (int32_t)(s->node->rows_made * w->stride_h) - w->top;
    uint32_t first = (uint32_t)(top < 0 ? 0 : top), last = rnnp_min_u32((uint32_t)(top + w->height), op->in_height);
    int8_t *out = s->out;
    for (uint32_t ox = 0; ox < op->out_width; ox++) {
        int32_t left = (int32_t)(ox * w->stride_w) - w->left;
        uint32_t begin = (uint32_t)(left < 0 ? 0 : left), end = rnnp_min_u32((uint32_t)(left + w->width), op->in_width);
        int32_t count = (int32_t)((last - first) * (end - begin)); // at least 1
        for (uint32_t c = 0; c < channels; c++) {
            int32_t sum = 0, largest = INT8_MIN;
            for (uint32_t y = first; y < last; y++) {
                const int8_t *in = rnnp_input_row(s, 0, y) + begin * channels + c;
                for (uint32_t x = begin; x < end; x++, in += channels) {
                    sum += *in;
                    largest = *in > largest ? *in : largest;
                }
            }
            *out++ = (int8_t)rnnp_clamp(mean ? rnnp_mean(sum, count) : largest, op->act_min, op->act_max);
        }
    }
}

#define AT(name) (offsetof(rnnp_op_t, fields) + offsetof(fields_t, name))
static const rnnp_field_t fields[] = {
    { "mean", AT(mean), 0, 0, 1 },
};

const rnnp_operator_t rnnp_pool = {
    .fields = RNNP_FOR_CHECKS(fields),
    .num_fields = RNNP_FIELDS(fields),
    .fields_size = sizeof(fields_t),
    .check = RNNP_FOR_CHECKS(check),
    .timing = rnnp_window_timing,
    .macs = macs,
    .step = step,
};
