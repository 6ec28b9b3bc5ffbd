// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Detections of a complete run: non-maximum suppression of the candidates that heads left (docs/arithmetic.md, section 4).
#include "../blob/check.h"
#include "../frame/frame.h"
#include "../kernels/tables.h"
#include "../numeric.h"
#include "../operators/head.h"
#include "results.h"

int32_t rnnp_detect_logit_min(uint16_t threshold_q15) {
    int32_t low = INT16_MIN, high = INT16_MAX + 1; // the answer is in low..high
    while (low < high) {
        int32_t middle = (low + high) >> 1;
        if (rnnp_sigmoid15(middle) >= threshold_q15) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static const rnnp_candidate_t *candidates(const void *arena) {
    const rnnp_state_t *state = arena;
    return (const void *)((const uint8_t *)arena + state->candidates);
}

static uint32_t num_candidates(const void *arena) {
    const rnnp_state_t *state = arena;
    return state->num_candidates;
}

static uint32_t area(const int16_t *box) {
    return (uint32_t)(box[2] - box[0]) * (uint32_t)(box[3] - box[1]); // no more than 65,535 each
}

// Whether box a, which is the better one, leaves no room for b.
//   merged  they may be of passes of several scales: the finer one finds pieces of what fills the frame
static bool suppresses(const int16_t *a, const int16_t *b, uint16_t iou_q15, bool merged) {
    uint32_t both = 1, area_a = area(a), area_b = area(b);
    for (uint32_t k = 0; k < 2; k++) {
        int32_t first = a[k] > b[k] ? a[k] : b[k], last = a[k + 2] < b[k + 2] ? a[k + 2] : b[k + 2];
        if (last <= first) {
            return false; // most pairs
        }
        both *= (uint32_t)(last - first);
    }
    // both / (area_a + area_b - both) is above the limit
    return (uint64_t)both * (32768u + iou_q15) > (uint64_t)area_a * iou_q15 + (uint64_t)area_b * iou_q15 ||
        (merged && both > area_b - (area_b + 3) / 4); // 3/4
}

static bool is_kept(const uint8_t *kept, uint32_t i) {
    return (kept[i / 8] >> i % 8 & 1) != 0;
}

// Classes of a detector, which num_labels says.
static uint32_t classes_of(const rnnp_run_t *run) {
    return RNNP_WITH_CLASSES ? run->model->num_labels : 1;
}

static bool same_class(const rnnp_run_t *run, const rnnp_candidate_t *a, const rnnp_candidate_t *b) {
    return a->place % classes_of(run) == b->place % classes_of(run);
}

// Is candidate i not suppressed by a kept one of its class before it? Greedy, best first: all before it are decided.
//   kept  a bit for each candidate
static bool survives(
    const rnnp_run_t *run, const rnnp_candidate_t *list, const uint8_t *kept, uint32_t i, uint16_t iou_q15) {
    for (uint32_t j = 0; j < i; j++) {
        if (is_kept(kept, j) && same_class(run, &list[j], &list[i]) &&
            suppresses(list[j].box, list[i].box, iou_q15, run->merged)) {
            return false;
        }
    }
    return true;
}

// Whether the overlap of two boxes is no more than half of their union because it is not in one direction: most pairs, and
// quicker to see than products of 64 bits.
static bool apart(const int16_t *a, const int16_t *b) {
    for (uint32_t k = 0; k < 2; k++) {
        int32_t starts = a[k] - b[k], ends = a[k + 2] - b[k + 2], all = a[k + 2] - a[k] + b[k + 2] - b[k];
        // 3 times the overlap, which is (all - |starts| - |ends|) / 2, is no more than all
        if (all <= 3 * ((starts < 0 ? -starts : starts) + (ends < 0 ? -ends : ends))) {
            return true;
        }
    }
    return false;
}

// A kept candidate's box as the mean of all that overlap it by more than half, weighted with their scores: several anchors see an
// object, each with an error of its own.
//   box  4 edges. They are at most 32,767 from one another, being halves of a union's 65,535; 512 weights of 128 at
//        most keep the sum in 32 bits.
static void vote(const rnnp_run_t *run, const void *arena, const rnnp_candidate_t *c, int16_t *box) {
    int32_t sums[4] = { 0 }, total = 0;
    const rnnp_candidate_t *other = candidates(arena);
    for (const rnnp_candidate_t *end = other + num_candidates(arena); other != end; other++) {
        if (other == c ||
            (!apart(other->box, c->box) && suppresses(c->box, other->box, 16384, false) && same_class(run, other, c))) {
            int32_t weight = (rnnp_sigmoid15(other->logit) >> 8) + 1;
            total += weight;
            for (uint32_t k = 0; k < 4; k++) {
                sums[k] += weight * (other->box[k] - c->box[k]);
            }
        }
    }
    for (uint32_t k = 0; k < 4; k++) {
        box[k] = (int16_t)(c->box[k] + rnnp_floor_div(sums[k] + total / 2, total));
    }
}

// An edge in frame pixels, clipped: `edge` in 1/16 pixel of a model's input into which `size` pixels went as `scaled`.
static int32_t to_frame(int32_t edge, int32_t size, int32_t scaled) {
    return rnnp_clamp(rnnp_floor_div(edge * size + 8 * scaled, 16 * scaled), 0, size);
}

void rnnp_detect_rescale(const rnnp_context_t *c, uint16_t width, uint16_t height) {
    rnnp_candidate_t *list = (void *)(c->arena + c->state->candidates);
    const int32_t old[] = { width, height }, new[] = { c->state->scaled_width, c->state->scaled_height };
    for (uint32_t i = 0; i < c->state->num_candidates; i++) {
        for (uint32_t k = 0; k < 4; k++) {
            int32_t edge = list[i].box[k] * new[k % 2] + old[k % 2] / 2;
            list[i].box[k] = rnnp_sat16(rnnp_floor_div(edge, old[k % 2]));
        }
    }
}

// False if nothing of the box is within the frame.
static bool to_detection(const rnnp_run_t *run, const void *arena, uint32_t i, rnnp_detection_t *d) {
    const rnnp_state_t *state = arena;
    const rnnp_candidate_t *c = &candidates(arena)[i];
    const int32_t sizes[] = { run->width, run->height }, scaled[] = { state->scaled_width, state->scaled_height };
    int32_t box[4];
    vote(run, arena, c, d->raw);
    for (uint32_t k = 0; k < 4; k++) {
        box[k] = to_frame(d->raw[k], sizes[k % 2], scaled[k % 2]);
    }
    if (box[0] >= box[2] || box[1] >= box[3]) {
        return false;
    }
    rnnp_frame_stored_box(&run->frame, box);
    d->x = (int16_t)box[0];
    d->y = (int16_t)box[1];
    d->w = (int16_t)(box[2] - box[0]);
    d->h = (int16_t)(box[3] - box[1]);
    d->score = (uint16_t)rnnp_sigmoid15(c->logit);
    d->anchor = c->place / classes_of(run);
    d->label = (uint16_t)(c->place % classes_of(run));
    return true;
}

rnnp_status_t rnnp_detections_begin(rnnp_detections_t *found, const rnnp_run_t *run, const void *arena,
    uint16_t iou_q15, uint32_t max, uint32_t *count, rnnp_error_t *error) {
    rnnp_no_error(error);
    if (!rnnp_is_detector(run->model)) {
        return rnnp_bad_argument(error, "task", RNNP_TASK_DETECTION, run->model->task);
    }
    if (!run->done) {
        return rnnp_bad_state(error, "rows", run->height, run->rows_in);
    }
    if (iou_q15 > 32767) {
        return rnnp_bad_argument(error, "iou", 32767, iou_q15);
    }
    if (max < 1 || max > RNNP_MAX_CANDIDATES) {
        return rnnp_bad_argument(error, "max", max < 1 ? 1 : RNNP_MAX_CANDIDATES, max);
    }
    const rnnp_candidate_t *list = candidates(arena);
    *found = (rnnp_detections_t){ .run = run };
    *count = 0;
    for (uint32_t i = 0; i < num_candidates(arena) && *count < max; i++) {
        if (survives(run, list, found->kept, i, iou_q15)) {
            rnnp_detection_t unused;
            found->kept[i / 8] |= (uint8_t)(1u << i % 8);
            *count += to_detection(run, arena, i, &unused);
        }
    }
    return RNNP_OK;
}

bool rnnp_detections_next(rnnp_detections_t *found, const void *arena, rnnp_detection_t *out) {
    while (RNNP_WITH_DETECT_HEAD && found->next < num_candidates(arena)) {
        uint32_t i = found->next++;
        if (is_kept(found->kept, i) && to_detection(found->run, arena, i, out)) {
            return true;
        }
    }
    return false;
}

rnnp_status_t rnnp_detections(const rnnp_run_t *run, void *arena, uint16_t iou_q15, rnnp_detection_t *out, uint32_t max,
    uint32_t *count, rnnp_error_t *error) {
    rnnp_detections_t found;
    if (rnnp_detections_begin(&found, run, arena, iou_q15, max, count, error) == RNNP_OK) {
        for (uint32_t i = 0; i < *count; i++) {
            rnnp_detections_next(&found, arena, &out[i]);
        }
    }
    return error->status;
}
