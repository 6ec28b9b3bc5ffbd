// This file is part of rnnpool. MIT licence, see LICENSE.
//
// One image through a model: rows come in, the scheduler (run.h) moves them through the graph.
#include "../run.h"

#include <string.h>

#include "../blob/crc32.h"
#include "../left_out.h"
#include "../numeric.h"
#include "../frame/frame.h"
#include "../results/results.h"
#include "plan.h"

static rnnp_context_t get_context(const rnnp_run_t *run, void *arena) {
    rnnp_state_t *state = arena;
    return (rnnp_context_t){ run, run->model, arena, state, (rnnp_node_t *)(state + 1) };
}

// ------------------------------------------------------------------------------------------------ scheduler

static void get_step(const rnnp_context_t *c, uint32_t index, rnnp_step_t *s) {
    s->context = c;
    s->index = index;
    s->op = rnnp_op(c->model, index);
    s->parameters = c->model->blob + s->op->params_offset;
    s->layout.size = s->layout.count = 0;
    const rnnp_operator_t *operator = rnnp_operator(s->op);
    if (operator->layout != NULL) {
        operator->layout(&s->layout, s->op);
    }
    s->node = &c->nodes[index + 1];
}

// What the operator wants and makes next, if it has rows left to make.
static void set_timing(const rnnp_op_t *op, rnnp_node_t *node) {
    if (node->rows_made < node->height) {
        rnnp_timing_t timing;
        rnnp_operator(op)->timing(op, node->rows_made, node->steps, &timing);
        node->need = timing.need;
        node->makes = timing.makes;
    }
}

static bool is_result(const rnnp_model_t *model, uint32_t index) {
    return rnnp_operator(rnnp_op(model, index))->task != 0 || rnnp_is_layer(model) ||
        rnnp_graph_is_map(model, index + 1);
}

// The next output row is complete: counts it and shows it to the tap.
static void row_made(const rnnp_step_t *s) {
    const rnnp_run_t *run = s->context->run;
    uint32_t bytes = rnnp_op_row_bytes(s->op);
    if (run->tap != NULL) {
        run->tap(run->tap_context, s->index, s->node->rows_made, s->out, bytes);
    }
    if (!run->skip_crc && is_result(run->model, s->index)) {
        s->node->crc = rnnp_crc32(s->node->crc, s->out, bytes);
    }
    s->node->rows_made++;
}

static void take_step(rnnp_step_t *s) {
    const rnnp_operator_t *operator = rnnp_operator(s->op);
    rnnp_node_t *node = s->node;
    s->out = node->ring_rows != 0 ? (uint8_t *)rnnp_ring_row(s->context, node, node->rows_made)
                                  : (uint8_t *)rnnp_scratch(s) + operator->scratch(s->op);
    operator->step(s);
    uint32_t end = s->index + 1;
    if (node->makes) {
        row_made(s);
        end = rnnp_max_u32(end, node->reader);
    }
    s->context->state->end = (uint8_t)end;
    node->steps++;
    set_timing(s->op, node);
}

static bool is_ready(const rnnp_context_t *c, const rnnp_op_t *op, uint32_t need) {
    for (uint32_t i = 0; i < rnnp_num_inputs(op); i++) {
        const rnnp_node_t *in = &c->nodes[op->inputs[i]];
        if (in->rows_made < need && in->rows_made < in->height) {
            return false;
        }
    }
    return true;
}

// Finds the ready operator of a segment that stands last in the table; false if none is ready.
static bool find_ready(const rnnp_context_t *c, uint32_t segment, uint32_t *index) {
    for (uint32_t i = c->state->end; i-- > 0;) {
        const rnnp_node_t *node = &c->nodes[i + 1];
        if (rnnp_same_segment(node->segment, segment) && node->rows_made < node->height &&
            is_ready(c, rnnp_op(c->model, i), node->need)) {
            *index = i;
            return true;
        }
    }
    return false;
}

// What a benchmark may compile in around each step.
#ifndef RNNP_TRACE_ENTER
#define RNNP_TRACE_ENTER(op) ((void)0)
#define RNNP_TRACE_LEAVE() ((void)0)
#endif

// Lets the operator that is ready take a step; false if none is.
static bool run_step(const rnnp_context_t *c, uint32_t segment) {
    uint32_t index;
    if (!find_ready(c, segment, &index)) {
        return false;
    }
    rnnp_step_t s;
    get_step(c, index, &s);
    RNNP_TRACE_ENTER(index);
    take_step(&s);
    RNNP_TRACE_LEAVE();
    return true;
}

// Prepares the operators of a segment. Only now: their memory was another segment's before. False if there is none.
static bool start_segment(const rnnp_context_t *c, uint32_t segment) {
    uint32_t end = 0;
    for (uint32_t i = 0; i < c->model->num_ops; i++) {
        if (rnnp_same_segment(c->nodes[i + 1].segment, segment)) {
            rnnp_step_t s;
            get_step(c, i, &s);
            const rnnp_operator_t *operator = rnnp_operator(s.op);
            if (operator->start != NULL) {
                operator->start(&s);
            }
            end = i + 1;
        }
    }
    if (end != 0) {
        c->state->segment = (uint8_t)segment;
        c->state->end = (uint8_t)end;
    }
    return end != 0;
}

// ------------------------------------------------------------------------------------------------ a run

static void set_place(void *context, rnnp_place_t place, uint32_t of, uint32_t offset, uint32_t bytes) {
    const rnnp_context_t *c = context;
    (void)bytes;
    if (place == RNNP_PLACE_CANDIDATES) {
        c->state->candidates = offset;
    } else if (place == RNNP_PLACE_RESAMPLE) {
        c->state->resample = offset;
    } else if (place == RNNP_PLACE_WORK) {
        c->nodes[of].work = offset;
    } else if (place == RNNP_PLACE_RING) {
        c->nodes[of].ring = offset;
    } else if (place == RNNP_PLACE_SCRATCH) {
        for (uint32_t t = 0; t <= c->model->num_ops; t++) {
            if (rnnp_same_segment(c->nodes[t].segment, of)) {
                c->nodes[t].scratch = offset;
            }
        }
    }
}

// Fills in the state and the nodes from the plan.
static void set_up(rnnp_context_t *c, const rnnp_plan_t *plan) {
    const rnnp_model_t *model = c->model;
    c->state->num_candidates = 0;
    c->state->stamp = 0;
    rnnp_frame_letterbox(model, &c->run->frame, &c->state->scaled_width, &c->state->scaled_height);
    for (uint32_t t = 0; t <= model->num_ops; t++) {
        rnnp_node_t *node = &c->nodes[t];
        *node = (rnnp_node_t){
            .row_bytes = rnnp_plan_row_bytes(model, t),
            .ring_rows = model->ring_rows[t],
            .height = model->height,
            .segment = plan->segment[t],
        };
        if (t > 0) {
            const rnnp_op_t *op = rnnp_op(model, t - 1);
            node->height = op->out_height;
            set_timing(op, node);
            for (uint32_t i = 0; i < rnnp_num_inputs(op); i++) {
                c->nodes[op->inputs[i]].reader = (uint8_t)(t & 0x7f);
            }
        }
    }
    rnnp_plan_visit(plan, model, set_place, c);
}

// Starts a run over a frame that was not checked yet.
//   again  of one that is complete: its candidates stay
static rnnp_status_t start(rnnp_run_t *run, const rnnp_model_t *model, const rnnp_frame_t *frame, void *arena,
    size_t arena_size, bool again, rnnp_error_t *error) {
    if (!rnnp_is_layer(model) && !rnnp_frame_check(model, frame, error)) {
        return error->status;
    }
    rnnp_plan_t plan;
    rnnp_plan(&plan, model, frame);
    if (arena_size < plan.size) {
        return rnnp_fail(error, RNNP_ERROR_ARENA, -1, "arena", plan.size, (uint32_t)arena_size);
    }
    if (!again) {
        run->model = model;
        run->measured = (rnnp_light_t){ 0 };
        run->tap = NULL;
        run->tap_context = NULL;
        run->skip_crc = false;
    }
    run->frame = *frame;
    run->arena_size = plan.size;
    run->rows_in = 0;
    run->done = run->working = run->ready = false;
    run->merged = again;
    rnnp_frame_size(frame, &run->width, &run->height);
    rnnp_context_t c = get_context(run, arena);
    const rnnp_state_t before = *c.state;
    set_up(&c, &plan);
    if (again) {
        c.state->num_candidates = before.num_candidates;
        rnnp_detect_rescale(&c, before.scaled_width, before.scaled_height);
    }
    if (rnnp_frame_is_measured(frame)) {
        rnnp_frame_measure_start(&c);
    }
    start_segment(&c, 0);
    return RNNP_OK;
}

rnnp_status_t rnnp_begin(rnnp_run_t *run, const rnnp_model_t *model, const rnnp_frame_t *frame, void *arena,
    size_t arena_size, uint16_t threshold_q15, rnnp_error_t *error) {
    rnnp_no_error(error);
    const rnnp_format_t input = model->channels == 1 ? RNNP_GRAY8 : RNNP_RGB888;
    const rnnp_frame_t own = { .width = model->width, .height = model->height, .format = input };
    uint32_t remainder = (uintptr_t)arena % RNNP_ALIGNMENT;
    bool detection = rnnp_is_detector(model);
    if (detection && threshold_q15 > 32767) {
        return rnnp_bad_argument(error, "threshold", 32767, threshold_q15);
    }
    if (remainder != 0) {
        return rnnp_fail(error, RNNP_ERROR_ALIGNMENT, -1, "arena", RNNP_ALIGNMENT, remainder);
    }
    if (start(run, model, rnnp_is_layer(model) ? &own : frame, arena, arena_size, false, error) == RNNP_OK) {
        rnnp_state_t *state = arena;
        state->logit_min = detection ? rnnp_detect_logit_min(threshold_q15) : 0;
    }
    return error->status;
}

rnnp_status_t rnnp_begin_scale(rnnp_run_t *run, void *arena, size_t arena_size, uint16_t scale, rnnp_error_t *error) {
    rnnp_no_error(error);
    if (!rnnp_is_detector(run->model)) {
        return rnnp_bad_argument(error, "task", RNNP_TASK_DETECTION, run->model->task);
    }
    if (!run->done) {
        return rnnp_bad_state(error, "rows", run->height, run->rows_in);
    }
    rnnp_frame_t frame = run->frame;
    frame.scale = scale;
    frame.measure = false; // it has its light
    return start(run, run->model, &frame, arena, arena_size, true, error);
}

// A row of the upright picture has come, or an error.
RNNP_NOINLINE static rnnp_status_t check_push(const rnnp_run_t *run, bool whole, rnnp_error_t *error) {
    const rnnp_frame_t *frame = &run->frame;
    rnnp_no_error(error);
    if (rnnp_is_layer(run->model)) {
        return rnnp_bad_argument(error, "task", RNNP_TASK_CLASSIFICATION, RNNP_TASK_LAYER);
    }
    if (!whole && (rnnp_frame_rotate(frame) != 0 || rnnp_frame_is_cut(frame))) {
        bool turned = frame->rotate != 0;
        uint32_t given = turned ? frame->rotate : frame->roi_width;
        return rnnp_bad_argument(error, turned ? "rotate" : "roi", 0, given);
    }
    if (run->rows_in >= run->height || run->working) {
        const char *what = run->working ? "work" : "rows";
        return rnnp_bad_state(error, what, run->height, run->rows_in + 1u);
    }
    return RNNP_OK;
}

static void take_row(rnnp_run_t *run, const rnnp_context_t *c, const rnnp_line_t *line) {
    rnnp_frame_take_row(c, line);
    run->working = true;
    run->ready = false; // all that could be done was done before
}

rnnp_status_t rnnp_push(rnnp_run_t *run, void *arena, const uint8_t *row, rnnp_error_t *error) {
    if (check_push(run, false, error) != RNNP_OK) {
        return error->status;
    }
    rnnp_context_t c = get_context(run, arena);
    rnnp_line_t line = rnnp_frame_streamed_line(&run->frame, row);
    if (rnnp_frame_is_measured(&run->frame)) {
        rnnp_frame_measure_row(&c, run->rows_in, &line);
        if (run->rows_in + 1u == run->height) {
            run->measured = rnnp_frame_measured(&c);
        }
    }
    take_row(run, &c, &line);
    return RNNP_OK;
}

rnnp_status_t rnnp_push_from(rnnp_run_t *run, void *arena, const uint8_t *pixels, rnnp_error_t *error) {
    if (check_push(run, true, error) != RNNP_OK) {
        return error->status;
    }
    rnnp_context_t c = get_context(run, arena);
    if (rnnp_frame_is_measured(&run->frame) && run->rows_in == 0) {
        for (uint32_t y = 0; y < run->height; y++) {
            rnnp_line_t line = rnnp_frame_line(&run->frame, pixels, y);
            rnnp_frame_measure_row(&c, y, &line);
        }
        run->measured = run->frame.light = rnnp_frame_measured(&c);
    }
    rnnp_line_t line = rnnp_frame_line(&run->frame, pixels, run->rows_in);
    take_row(run, &c, &line);
    return RNNP_OK;
}

bool rnnp_advance(rnnp_run_t *run, void *arena) {
    if (!run->working) {
        return false;
    }
    rnnp_context_t c = get_context(run, arena);
    if (run->ready && run_step(&c, c.state->segment)) {
        return true;
    }
    if (rnnp_same_segment(c.state->segment, 0)) { // which takes the frame's rows
        run->ready = rnnp_frame_make_row(&c);
        c.state->end = c.nodes[0].reader;
        if (run->ready) {
            return true;
        }
        run->rows_in++;
    }
    bool complete = run->rows_in == run->height;
    if (RNNP_WITH_MATERIALIZE && complete && start_segment(&c, c.state->segment + 1u)) {
        run->ready = true;
        return true;
    }
    run->working = false;
    run->done = complete;
    return false;
}

// ------------------------------------------------------------------------------------------------ layers

rnnp_status_t rnnp_layer_push(rnnp_run_t *run, void *arena, const void *row, rnnp_error_t *error) {
    rnnp_no_error(error);
    const rnnp_model_t *model = run->model;
    if (!rnnp_is_layer(model)) {
        return rnnp_bad_argument(error, "task", RNNP_TASK_LAYER, model->task);
    }
    rnnp_context_t c = get_context(run, arena);
    uint32_t index, waiting = find_ready(&c, 0, &index);
    if (run->rows_in >= model->height || waiting != 0) {
        uint32_t given = run->rows_in + 1u;
        return rnnp_bad_state(error, waiting ? "pulled" : "rows", waiting ? 0 : model->height, given);
    }
    if (rnnp_reads_pixels(model)) {
        rnnp_line_t line = rnnp_frame_streamed_line(&run->frame, row);
        rnnp_frame_take_row(&c, &line);
    } else {
        memcpy(rnnp_ring_row(&c, &c.nodes[0], run->rows_in), row, (uint32_t)model->width * model->channels);
    }
    run->rows_in++;
    c.nodes[0].rows_made++;
    c.state->end = c.nodes[0].reader;
    return RNNP_OK;
}

const void *rnnp_layer_pull(rnnp_run_t *run, void *arena) {
    if (!RNNP_WITH_LAYER) {
        return NULL;
    }
    rnnp_context_t c = get_context(run, arena);
    rnnp_node_t *node = &c.nodes[1];
    uint32_t y = node->rows_made;
    while (node->rows_made == y && run_step(&c, 0)) {
    }
    run->done = node->rows_made == node->height;
    return node->rows_made == y ? NULL : rnnp_ring_row(&c, node, y);
}

// ------------------------------------------------------------------------------------------------ golden check

uint32_t rnnp_result_crc(const rnnp_run_t *run, const void *arena) {
    const rnnp_node_t *nodes = (const void *)((const uint8_t *)arena + sizeof(rnnp_state_t));
    uint32_t crc = 0;
    for (uint32_t i = 0; i < run->model->num_ops; i++) {
        if (is_result(run->model, i)) {
            crc = rnnp_crc32(crc, &nodes[i + 1].crc, sizeof(nodes[i + 1].crc));
        }
    }
    return crc;
}

void rnnp_golden_row(const rnnp_model_t *model, uint32_t y, uint32_t *state, uint8_t *row) {
    for (uint32_t x = 0; x < model->width; x++) {
        for (uint32_t channel = 0; channel < model->channels; channel++) {
            *state = *state * 1664525 + 1013904223;
            *row++ = (uint8_t)((*state >> 26) + (((x >> 3) ^ (y >> 3)) & 15) * 12);
        }
    }
}
