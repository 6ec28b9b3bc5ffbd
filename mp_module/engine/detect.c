// This file is part of rnnpool. MIT licence, see LICENSE.
#include "detect.h"

#include <string.h>

#include "check.h"
#include "frame.h"
#include "numeric.h"
#include "tables.h"

int32_t rnnp_detect_logit_min(uint16_t threshold_q15) {
    int32_t low = INT16_MIN, high = INT16_MAX + 1; // the answer is in low..high
    while (low < high) {
        int32_t middle = rnnp_floor_div(low + high, 2);
        if (rnnp_sigmoid15(middle) >= threshold_q15) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

// One axis of a box: its two edges from the anchor's centre (Q4) and size (Q4) and the head's offset and log2 (Q12).
static void decode_axis(
    int32_t centre, int32_t size, int32_t offset, int32_t log2_ratio, int16_t *edge1, int16_t *edge2) {
    int32_t c = centre + ((size * offset + 2048) >> 12);
    int32_t extent = (int32_t)(((int64_t)size * rnnp_exp2_14(log2_ratio) + 8192) >> 14);
    extent = extent < 1 ? 1 : extent;
    int32_t first = c - (extent >> 1);
    *edge1 = rnnp_sat16(first);
    *edge2 = rnnp_sat16(first + extent);
}

// The order of candidates: does (logit, anchor) come before b?
static bool before(int16_t logit, uint32_t anchor, const rnnp_candidate_t *b) {
    return logit != b->logit ? logit > b->logit : anchor < b->anchor;
}

// Makes room for a candidate at its place; NULL if it is not among the best max_candidates.
static rnnp_candidate_t *insert(const rnnp_context_t *c, int16_t logit, uint32_t anchor) {
    rnnp_candidate_t *list = (void *)(c->arena + c->state->candidates);
    uint32_t count = c->state->num_candidates, capacity = c->model->max_candidates;
    if (count == capacity) {
        if (!before(logit, anchor, &list[count - 1])) {
            return NULL;
        }
        count--; // the last one falls out
    }
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (before(logit, anchor, &list[middle])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    memmove(list + low + 1, list + low, (count - low) * sizeof(list[0]));
    c->state->num_candidates = count + 1;
    return list + low;
}

void rnnp_detect_row(const rnnp_step_t *s, const int16_t *row) {
    const rnnp_op_t *op = s->op;
    const uint16_t *anchors = rnnp_parameters(s, RNNP_ANCHORS);
    int32_t iy = s->node->rows_made;
    uint32_t index = s->node->first_anchor + s->node->rows_made * (uint32_t)op->out_width * op->num_anchors;
    for (int32_t ix = 0; ix < op->out_width; ix++) {
        for (uint32_t a = 0; a < op->num_anchors; a++, index++, row += RNNP_VALUES_PER_ANCHOR) {
            rnnp_candidate_t *candidate = row[0] >= s->context->state->logit_min ? insert(s->context, row[0], index)
                                                                                 : NULL;
            if (candidate == NULL) {
                continue;
            }
            int16_t *box = candidate->box;
            decode_axis((2 * ix + 1) * op->step * 8, anchors[2 * a], row[1], row[3], &box[0], &box[2]);
            decode_axis((2 * iy + 1) * op->step * 8, anchors[2 * a + 1], row[2], row[4], &box[1], &box[3]);
            candidate->logit = row[0];
            candidate->anchor = (uint16_t)index;
        }
    }
}

// Length of the overlap of two intervals, 0 if there is none.
static int64_t overlap(int32_t a1, int32_t a2, int32_t b1, int32_t b2) {
    int32_t first = a1 > b1 ? a1 : b1, last = a2 < b2 ? a2 : b2;
    return last > first ? last - first : 0;
}

static int64_t area(const int16_t *box) {
    return (int64_t)(box[2] - box[0]) * (box[3] - box[1]);
}

static bool suppresses(const int16_t *a, const int16_t *b, uint16_t iou_q15) {
    int64_t inter = overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3]);
    return inter * 32768 > iou_q15 * (area(a) + area(b) - inter);
}

// Is candidate i not suppressed by a kept one before it? Greedy, best first: all before it are decided.
//   kept  a bit for each candidate
static bool survives(const rnnp_candidate_t *list, const uint8_t *kept, uint32_t i, uint16_t iou_q15) {
    for (uint32_t j = 0; j < i; j++) {
        if ((kept[j / 8] >> j % 8 & 1) != 0 && suppresses(list[j].box, list[i].box, iou_q15)) {
            return false;
        }
    }
    return true;
}

// An edge in frame pixels, clipped: `edge` in 1/16 pixel of a model's input into which `size` pixels went as `scaled`.
static int32_t to_frame(int32_t edge, int32_t size, int32_t scaled) {
    return rnnp_clamp(rnnp_floor_div(edge * size + 8 * scaled, 16 * scaled), 0, size);
}

// False if nothing of the box is within the frame.
static bool to_detection(
    const rnnp_run_t *run, const rnnp_state_t *state, const rnnp_candidate_t *c, rnnp_detection_t *d) {
    int32_t width = run->frame.width, height = run->frame.height;
    int32_t x1 = to_frame(c->box[0], width, state->scaled_width), x2 = to_frame(c->box[2], width, state->scaled_width);
    int32_t y1 = to_frame(c->box[1], height, state->scaled_height),
            y2 = to_frame(c->box[3], height, state->scaled_height);
    if (x1 >= x2 || y1 >= y2) {
        return false;
    }
    d->x = (int16_t)x1;
    d->y = (int16_t)y1;
    d->w = (int16_t)(x2 - x1);
    d->h = (int16_t)(y2 - y1);
    d->score = (uint16_t)rnnp_sigmoid15(c->logit);
    memcpy(d->raw, c->box, sizeof(d->raw));
    d->anchor = c->anchor;
    return true;
}

rnnp_status_t rnnp_detections(const rnnp_run_t *run, void *arena, uint16_t iou_q15, rnnp_detection_t *out, uint32_t max,
    uint32_t *count, rnnp_error_t *error) {
    rnnp_fail(error, RNNP_OK, -1, "", 0, 0);
    if (run->model->task != RNNP_TASK_DETECTION) {
        return rnnp_fail(error, RNNP_ERROR_ARGUMENT, -1, "task", RNNP_TASK_DETECTION, run->model->task);
    }
    if (!run->done) {
        return rnnp_fail(error, RNNP_ERROR_STATE, -1, "rows", run->frame.height, run->rows_in);
    }
    if (iou_q15 > 32767) {
        return rnnp_fail(error, RNNP_ERROR_ARGUMENT, -1, "iou", 32767, iou_q15);
    }
    if (max < 1 || max > 512) {
        return rnnp_fail(error, RNNP_ERROR_ARGUMENT, -1, "max", max < 1 ? 1 : 512, max);
    }
    rnnp_state_t *state = arena;
    const rnnp_candidate_t *list = (const void *)((const uint8_t *)arena + state->candidates);
    uint8_t kept[RNNP_MAX_CANDIDATES / 8] = { 0 };
    *count = 0;
    for (uint32_t i = 0; i < state->num_candidates && *count < max; i++) {
        if (survives(list, kept, i, iou_q15)) {
            kept[i / 8] |= (uint8_t)(1u << i % 8);
            *count += to_detection(run, state, &list[i], &out[*count]);
        }
    }
    return RNNP_OK;
}
