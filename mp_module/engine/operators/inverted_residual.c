// This file is part of rnnpool. MIT licence, see LICENSE.
//
// INVERTED_RESIDUAL, fused, an input row at a time: it is expanded, filtered with the two rows above it, and projected.
//
// The expanded rows are planar: a row of columns a channel, which is what a depthwise convolution is fast on. Of the three
// that it needs only two are kept. With stride 1 the oldest moves into scratch memory, where it becomes the *filtered* row,
// and the newest takes its place. With stride 2 nobody needs the middle row any more either: the newest is made in scratch
// memory, some channels at a time, and takes that one's place; the filtered row takes the oldest one's.
//
// The last `recompute` channels are not kept at all: their three rows are expanded for each output row, some channels at a
// time. That trades multiply-adds for two rows of these channels (and keeps narrow input rows for longer).
//
// Rows have a pixel of padding at both ends, and the ring starts filled with the padding value, which is also the row above
// the first. So the kernels never see an edge.
//
//   ring     two expanded rows, [kept channels][pitch], column x at x + 1; the middle one of output i is in slot i % 2
//   scratch  the filtered row [mid_channels][pitch], with stride 2 only if channels are recomputed; groups of channels of
//            fresh rows; what the kernels want
#include <string.h>

#include "../kernels/kernels.h"
#include "../numeric.h"
#include "operator.h"

enum { EXPAND, DEPTHWISE, PROJECT }; // its layers

// Its arrays: weights, biases and multipliers of each layer, then those of the residual.
enum { EXPAND_WEIGHT = 0, DEPTHWISE_WEIGHT = 3, PROJECT_WEIGHT = 6, RESIDUAL = 9 };

typedef struct {
    uint8_t stride, reserved;
    uint16_t mid; // channels between the expansion and the projection
    int8_t zero_point[2]; // of EXPAND and DEPTHWISE
    int8_t clamp[2][2]; // of both: min, max
    uint16_t recompute; // of the inner channels, the last ones: expanded again for each output row
} fields_t;

static const fields_t *get(const rnnp_op_t *op) {
    return (const void *)op->fields;
}

static bool has_residual(const rnnp_op_t *op) {
    return (op->flags & RNNP_FLAG_RESIDUAL) != 0;
}

// Those of the inner channels, the last ones, that are expanded again for each output row.
static uint32_t recomputed(const rnnp_op_t *op) {
    return RNNP_WITH_RECOMPUTE ? get(op)->recompute : 0;
}

static uint32_t kept_channels(const rnnp_op_t *op) {
    return get(op)->mid - recomputed(op);
}

static uint32_t out_size(const rnnp_op_t *op, uint32_t size) {
    return (size - 1) / get(op)->stride + 1;
}

static bool check(const rnnp_check_t *c, const rnnp_op_t *op) {
    uint32_t mid = get(op)->mid, again = get(op)->recompute;
    if (!RNNP_WITH_CLAMP &&
        (get(op)->clamp[0][0] != -128 || get(op)->clamp[0][1] != 127 || get(op)->clamp[1][0] != -128 ||
            get(op)->clamp[1][1] != 127)) {
        return rnnp_left_out(c, "CLAMP");
    }
    return (RNNP_WITH_RECOMPUTE || again == 0 || rnnp_left_out(c, "RECOMPUTE")) &&
        (!RNNP_WITH_RECOMPUTE ||
            (rnnp_check_range(c, "recompute", (int32_t)again, 0, (int32_t)mid) &&
                (again == 0 || (mid - again) % 4 == 0 || rnnp_bad(c, "recompute", again - 1, again)))) &&
        (!RNNP_WITH_CLAMP ||
            (rnnp_check_range(c, "exp_min", get(op)->clamp[0][0], -128, get(op)->clamp[0][1]) &&
                rnnp_check_range(c, "dw_min", get(op)->clamp[1][0], -128, get(op)->clamp[1][1]))) &&
        (!has_residual(op) ||
            (rnnp_check_equal(c, "stride", get(op)->stride, 1) &&
                rnnp_check_equal(c, "out_channels", op->out_channels, op->in_channels))) &&
        rnnp_check_output(c, op, out_size(op, op->in_height), out_size(op, op->in_width));
}

static void layout(rnnp_layout_t *layout, const rnnp_op_t *op) {
    uint32_t in = op->in_channels, mid = get(op)->mid, out = op->out_channels;
    rnnp_layout_add_dense(layout, mid, in);
    rnnp_layout_add(layout, RNNP_DEPTHWISE_RECORD * mid);
    rnnp_layout_add(layout, 4 * mid);
    rnnp_layout_add(layout, 4 * mid);
    rnnp_layout_add_dense(layout, out, mid);
    if (has_residual(op)) {
        rnnp_layout_add(layout, 4 * out);
    }
}

static bool check_parameters(const rnnp_check_t *c, const rnnp_op_t *op, const void *const *arrays) {
    uint32_t in = op->in_channels, mid = get(op)->mid, out = op->out_channels;
    const rnnp_rounding_t once = { 0 };
    return rnnp_check_dense(c, op, "expand_weight", arrays + EXPAND_WEIGHT, mid, in, NULL, &once) &&
        rnnp_check_depthwise(c, "depthwise_weight", arrays + DEPTHWISE_WEIGHT, mid) &&
        rnnp_check_dense(c, op, "project_weight", arrays + PROJECT_WEIGHT, out, mid,
            has_residual(op) ? arrays[RESIDUAL] : NULL, &once);
}

static void timing(const rnnp_op_t *op, uint32_t made, uint32_t steps, rnnp_timing_t *timing) {
    timing->need = (uint16_t)rnnp_min_u32(steps + 1, op->in_height); // past the last row comes one of padding
    // The residual comes with the input row after it. What is recomputed wants the row above, too.
    uint32_t centre = made * get(op)->stride, above = centre == 0 ? 0 : centre - 1;
    timing->oldest = (uint16_t)(recomputed(op) != 0 ? above : has_residual(op) ? made : steps);
    timing->makes = steps == made * get(op)->stride + 1; // output row i is centred on row i * stride
}

static uint64_t macs(const rnnp_op_t *op) {
    uint32_t in = (uint32_t)op->in_height * op->in_width, mid = get(op)->mid, out = rnnp_op_pixels(op);
    return rnnp_multiply(in, op->in_channels * mid) + rnnp_multiply(out, mid * (9u + op->out_channels)) +
        (has_residual(op) ? rnnp_multiply(out, op->out_channels) : 0);
}

// Bytes of a channel's row: padding at both ends, and what the kernels may read and write behind it.
static uint32_t row_pitch(const rnnp_op_t *op) {
    return rnnp_align(op->in_width + 4u, 4);
}

static uint32_t ring_row_bytes(const rnnp_op_t *op) {
    return rnnp_align(row_pitch(op) * kept_channels(op), RNNP_ALIGNMENT);
}

static uint32_t work(const rnnp_op_t *op) {
    return 2 * ring_row_bytes(op);
}

// Bytes of the filtered row in scratch memory.
static uint32_t filtered_bytes(const rnnp_op_t *op) {
    bool own = get(op)->stride == 1 || recomputed(op) != 0;
    return own ? rnnp_align(row_pitch(op) * get(op)->mid, RNNP_ALIGNMENT) : 0;
}

#define GROUP (32) // channels of a fresh row at a time: a multiple of 4, for so the weights are stored

static uint32_t group_bytes(const rnnp_op_t *op) {
    return rnnp_align(row_pitch(op) * rnnp_min_u32(GROUP, get(op)->mid), RNNP_ALIGNMENT);
}

static uint32_t groups_bytes(const rnnp_op_t *op) {
    uint32_t groups = recomputed(op) != 0 ? 2 : get(op)->stride == 2 ? 1 : 0;
    return groups * group_bytes(op);
}

static uint32_t scratch(const rnnp_op_t *op) {
    return filtered_bytes(op) + groups_bytes(op) + rnnp_tile_bytes(rnnp_max_u32(op->in_channels, get(op)->mid));
}

static void *tile(const rnnp_step_t *s) {
    return (uint8_t *)rnnp_scratch(s) + filtered_bytes(s->op) + groups_bytes(s->op);
}

static void start(const rnnp_step_t *s) {
    memset(rnnp_work(s), get(s->op)->zero_point[EXPAND], work(s->op));
}

// How a layer is requantized, from channel `first` on. Returns its weights.
__attribute__((noinline)) static const int8_t *get_layer(
    const rnnp_step_t *s, uint32_t layer, uint32_t first, rnnp_requantize_t *r) {
    const rnnp_op_t *op = s->op;
    const int32_t *bias = rnnp_parameters(s, 3 * layer + 1), *multiplier = rnnp_parameters(s, 3 * layer + 2);
    bool inner = layer != PROJECT;
    const int8_t *clamp = inner ? get(op)->clamp[layer] : &op->act_min;
    r->bias = bias + first;
    r->multiplier = multiplier + first;
    r->zero_point = inner ? get(op)->zero_point[layer] : op->out_zero_point;
    r->min = clamp[0];
    r->max = clamp[1];
    r->shift = 0;
    r->fine = false;
    r->wide = rnnp_is_wide(op);
    r->exponent = NULL;
    return rnnp_parameters(s, 3 * layer);
}

// Makes `count` channels of expanded row y, from `first` on, padding included.
static void expand(const rnnp_step_t *s, uint32_t y, uint32_t first, uint32_t count, int8_t *row) {
    const rnnp_op_t *op = s->op;
    uint32_t pitch = row_pitch(op), size = pitch * count;
    if (y >= op->in_height) {
        memset(row, get(op)->zero_point[EXPAND], size);
        return;
    }
    rnnp_pointwise_t expansion;
    const int8_t *weight = get_layer(s, EXPAND, first, &expansion.requantize);
    expansion.weight = weight + rnnp_weight_index(op->in_channels, first);
    expansion.residual = NULL;
    expansion.in_channels = op->in_channels;
    expansion.out_channels = (uint16_t)count;
    expansion.in_pitch = 0;
    expansion.out_pitch = (uint16_t)pitch;
    expansion.tile = tile(s);
    rnnp_kernel_pointwise(&expansion, rnnp_input_row(s, 0, y), NULL, op->in_width, row + 1);
    int8_t padding = expansion.requantize.zero_point;
    for (int8_t *left = row, *right = row + op->in_width + 1; left < row + size; left += pitch, right += pitch) {
        *left = *right = padding;
    }
}

// Filters `count` channels of three expanded rows, from `first` on; the result takes the place of the first row.
static void filter(const rnnp_step_t *s, uint32_t first, uint32_t count, int8_t *const *rows) {
    const rnnp_op_t *op = s->op;
    rnnp_depthwise_t depthwise;
    depthwise.weight = get_layer(s, DEPTHWISE, first, &depthwise.requantize) + first * RNNP_DEPTHWISE_RECORD;
    depthwise.channels = (uint16_t)count;
    depthwise.pitch = (uint16_t)row_pitch(op);
    depthwise.stride = get(op)->stride;
    rnnp_kernel_depthwise(&depthwise, rows, op->out_width);
}

// Makes the next output row from a filtered one.
static void project(const rnnp_step_t *s, const int8_t *filtered) {
    const rnnp_op_t *op = s->op;
    const int8_t *skip = NULL;
    rnnp_pointwise_t projection;
    projection.weight = get_layer(s, PROJECT, 0, &projection.requantize);
    projection.residual = NULL;
    if (has_residual(op)) {
        projection.residual = rnnp_parameters(s, RESIDUAL);
        skip = rnnp_input_row(s, 0, s->node->rows_made);
    }
    projection.in_channels = get(op)->mid;
    projection.out_channels = op->out_channels;
    projection.in_pitch = (uint16_t)row_pitch(op);
    projection.out_pitch = 0;
    projection.stride = get(op)->stride;
    projection.tile = tile(s);
    rnnp_kernel_pointwise(&projection, filtered, skip, op->out_width, s->out);
}

// Takes the newest row of the channels that are kept, and filters those.
static void filter_kept(const rnnp_step_t *s, uint32_t y, int8_t *oldest, int8_t *middle, int8_t *filtered) {
    const rnnp_op_t *op = s->op;
    uint32_t kept = kept_channels(op), pitch = row_pitch(op);
    if (filtered != oldest) {
        memcpy(filtered, oldest, kept * pitch);
    }
    if (get(op)->stride == 1) {
        expand(s, y, 0, kept, oldest);
        filter(s, 0, kept, (int8_t *const[]){ filtered, middle, oldest });
        return;
    }
    int8_t *fresh = (int8_t *)rnnp_scratch(s) + filtered_bytes(op);
    for (uint32_t first = 0; first < kept; first += GROUP) {
        uint32_t count = rnnp_min_u32(GROUP, kept - first), at = first * pitch;
        expand(s, y, first, count, fresh);
        filter(s, first, count, (int8_t *const[]){ filtered + at, middle + at, fresh });
        memcpy(middle + at, fresh, count * pitch);
    }
}

// Filters the other channels around row y - 1. Row -1 is one of padding, as is that behind the last.
static void filter_recomputed(const rnnp_step_t *s, uint32_t y, int8_t *filtered) {
    const rnnp_op_t *op = s->op;
    uint32_t mid = get(op)->mid, pitch = row_pitch(op);
    int8_t *middle = (int8_t *)rnnp_scratch(s) + filtered_bytes(op), *fresh = middle + group_bytes(op);
    for (uint32_t first = kept_channels(op); first < mid; first += GROUP) {
        uint32_t count = rnnp_min_u32(GROUP, mid - first);
        int8_t *const rows[] = { filtered + first * pitch, middle, fresh };
        for (uint32_t k = 0; k < 3; k++) {
            expand(s, y + k - 2, first, count, rows[k]);
        }
        filter(s, first, count, rows);
    }
}

static void step(const rnnp_step_t *s) {
    const rnnp_op_t *op = s->op;
    uint32_t y = s->node->steps, i = s->node->rows_made, kept = kept_channels(op);
    int8_t *middle = (int8_t *)rnnp_work(s) + i % 2 * ring_row_bytes(op);
    int8_t *oldest = (int8_t *)rnnp_work(s) + (i + 1) % 2 * ring_row_bytes(op);
    if (!s->node->makes) {
        if (kept != 0) {
            expand(s, y, 0, kept, middle);
        }
        return;
    }
    int8_t *filtered = filtered_bytes(op) != 0 ? rnnp_scratch(s) : oldest;
    if (kept != 0) {
        filter_kept(s, y, oldest, middle, filtered);
    }
    if (recomputed(op) != 0) {
        filter_recomputed(s, y, filtered);
    }
    project(s, filtered);
}

#define AT(name) (offsetof(rnnp_op_t, fields) + offsetof(fields_t, name))
static const rnnp_field_t fields[] = {
    { "stride", AT(stride), 0, 1, 2 },
    { "reserved", AT(reserved), 0, 0, 0 },
    { "mid_channels", AT(mid), 1, 1, RNNP_MAX_CHANNELS },
};

const rnnp_operator_t rnnp_inverted_residual = {
    .flags = RNNP_FLAG_RESIDUAL | RNNP_FLAG_WIDE,
    .fields = RNNP_FOR_CHECKS(fields),
    .num_fields = RNNP_FIELDS(fields),
    .fields_size = sizeof(fields_t),
    .check = RNNP_FOR_CHECKS(check),
    .layout = layout,
    .check_parameters = RNNP_FOR_CHECKS(check_parameters),
    .timing = timing,
    .macs = macs,
    .work_name = "expanded",
    .work = work,
    .scratch = scratch,
    .start = start,
    .step = step,
};
