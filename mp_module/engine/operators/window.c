// This file is part of rnnpool. MIT licence, see LICENSE.
#include "window.h"

#include "../numeric.h"

#define FIELD(name, low, high) \
    { "window " #name, offsetof(rnnp_op_t, fields) + offsetof(rnnp_window_t, name), 0, low, high }

static const rnnp_field_t fields[] = {
    FIELD(height, 1, RNNP_MAX_WINDOW),
    FIELD(width, 1, RNNP_MAX_WINDOW),
    FIELD(stride_h, 1, RNNP_MAX_WINDOW),
    FIELD(stride_w, 1, RNNP_MAX_WINDOW),
};

static void check_axis(const rnnp_check_t *check, const char *what, uint32_t window, uint32_t before, uint32_t after,
    uint32_t size, uint32_t stride, uint32_t *out) {
    uint32_t padded = size + before + after;
    *out = (padded - window) / stride + 1;
    rnnp_check_range(check, what, (int32_t)window, (int32_t)rnnp_max_u32(before, after) + 1, (int32_t)padded);
}

bool rnnp_window_check(const rnnp_check_t *check, const rnnp_op_t *op) {
    const rnnp_window_t *w = rnnp_window(op);
    uint32_t height, width;
    if (!rnnp_check_fields(check, op, fields, RNNP_FIELDS(fields))) {
        return false; // a stride may be 0
    }
    check_axis(check, "window height", w->height, w->top, w->bottom, op->in_height, w->stride_h, &height);
    check_axis(check, "window width", w->width, w->left, w->right, op->in_width, w->stride_w, &width);
    return rnnp_check_output(check, op, height, width);
}

void rnnp_window_timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    (void)steps;
    const rnnp_window_t *w = rnnp_window(op);
    uint32_t top = made * w->stride_h; // in rows of the padded input
    timing->need = (uint16_t)rnnp_min_u32(top + w->height - w->top, op->in_height);
    timing->oldest = (uint16_t)(top < w->top ? 0 : top - w->top);
    timing->makes = true;
}
