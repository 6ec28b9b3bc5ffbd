// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The life of one image: begin, push ..., results. A script can run between any two rows (between two calls of feed(), or
// in a scheduled function) and there do anything: call this model, resize or overwrite its blob or its arena, run another
// model in the same arena. So after each such gap all addresses are looked up again, and what the engine's memory safety
// rests on is compared with its fingerprint.

#include <string.h>

#include "engine/blob/record.h"
#include "engine/run.h"

#include "binding/binding.h"

void rnnpool_run_check_idle(const rnnpool_model_obj_t *self) {
    if (self->busy) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("model is in use: called during its own inference"));
    }
    rnnpool_check_stack();
}

// Of whole words, going on from `hash`: FNV-1a's step, and a turn that lets a word's upper bits reach the lower ones.
static uint32_t fingerprint(uint32_t hash, const void *bytes, size_t len) {
    const uint32_t *words = bytes;
    for (size_t i = 0; i < len / sizeof(*words); i++) {
        hash = (hash ^ words[i]) * 16777619u;
        hash = hash << 15 | hash >> 17;
    }
    return hash;
}

// Of what the engine trusts while it runs and a script could write to: the run's own state in a caller's arena, header and
// operators of a blob in RAM. (Wrong weights make wrong answers, but nothing worse.) Free of cost if there is none of it.
static uint32_t seal(const rnnpool_model_obj_t *self) {
    uint32_t hash = 2166136261u;
    if (self->arena.memory.owner != MP_OBJ_NULL) {
        hash = fingerprint(hash, self->arena.data + self->state_offset, self->state_size);
    }
    if (self->source.writable) {
        const uint8_t *blob = self->model.blob;
        hash = fingerprint(hash, blob, RNNP_HEADER_SIZE);
        // Not where the header says that they are: it may have changed.
        hash = fingerprint(hash, blob + self->ops_offset, self->model.num_ops * RNNP_OP_SIZE);
    }
    return hash;
}

static void find_state(rnnpool_model_obj_t *self, const rnnp_frame_t *frame) {
    rnnp_region_t region;
    for (uint32_t i = 0; rnnp_arena_region(&self->model, frame, i, &region); i++) {
        if (strcmp(region.what, "run") == 0) {
            self->state_offset = region.offset;
            self->state_size = region.size;
        }
    }
}

// Memory of scripts that images were begun in, and the latest of them: whoever had an image there before has lost it, also if
// the arenas overlap only in part. An image in the very same arena is noticed by its number in the run's state, too.
#define NUM_PLACES (8)
typedef struct {
    const uint8_t *data;
    size_t size;
    uint32_t image;
} place_t;
RNNPOOL_VARIABLE place_t rnnpool_places[NUM_PLACES];
RNNPOOL_VARIABLE uint32_t rnnpool_num_images;

static void take_place(rnnpool_model_obj_t *self) {
    self->image = ++rnnpool_num_images;
    if (self->arena.memory.owner == MP_OBJ_NULL) {
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < NUM_PLACES; i++) {
        if (rnnpool_places[i].data == self->arena.data) {
            at = i;
            break;
        }
        at = rnnpool_places[i].image < rnnpool_places[at].image ? i : at;
    }
    rnnpool_places[at].data = self->arena.data;
    rnnpool_places[at].size = self->run.arena_size;
    rnnpool_places[at].image = self->image;
}

// Whether another image was begun in the model's arena, or over its blob, since its own was.
static bool lost_place(const rnnpool_model_obj_t *self) {
    if (self->image == rnnpool_num_images) {
        return false;
    }
    for (size_t i = 0; i < NUM_PLACES; i++) {
        const uint8_t *data = rnnpool_places[i].data;
        size_t size = rnnpool_places[i].size;
        if (rnnpool_places[i].image > self->image &&
            (rnnpool_overlap(data, size, self->arena.data, self->run.arena_size) ||
                rnnpool_overlap(data, size, self->source.data, self->source.size))) {
            return true;
        }
    }
    return false;
}

static void raise_shared(qstr one, qstr other) {
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("%q and %q share memory"), one, other);
}

void rnnpool_run_check_apart(const rnnpool_model_obj_t *self, const mp_buffer_info_t *buffer, qstr name,
    const mp_buffer_info_t *other, qstr other_name) {
    if (rnnpool_overlap(self->arena.data, self->run.arena_size, buffer->buf, buffer->len)) {
        raise_shared(MP_QSTR_arena, name);
    }
    if (rnnpool_overlap(self->source.data, self->source.size, buffer->buf, buffer->len)) {
        raise_shared(MP_QSTR_source, name);
    }
    if (other != NULL && rnnpool_overlap(other->buf, other->len, buffer->buf, buffer->len)) {
        raise_shared(other_name, name);
    }
}

void rnnpool_run_begin(rnnpool_model_obj_t *self, const rnnp_frame_t *frame, uint16_t threshold) {
    self->begun = false;
    rnnpool_model_refresh(self, true);
    uint32_t bytes = rnnp_arena_size(&self->model, frame);
    rnnpool_arena_reserve(&self->arena, bytes);
    self->ram = MAX(self->ram, bytes);
    self->run.arena_size = bytes;
    if (rnnpool_overlap(self->arena.data, bytes, self->source.data, self->source.size)) {
        raise_shared(MP_QSTR_arena, MP_QSTR_source);
    }
    take_place(self);

    rnnp_error_t error;
    rnnp_status_t status = rnnp_begin(
        &self->run, &self->model, frame, self->arena.data, self->arena.size, threshold, &error);
    if (status != RNNP_OK) {
        rnnpool_raise(&error);
    }
    self->run.skip_crc = true; // selftest() alone wants it
    find_state(self, frame);
    rnnp_state_t *state = (void *)(self->arena.data + self->state_offset);
    state->stamp = (uint16_t)self->image;
    self->seal = seal(self);
    self->gapless = false;
    self->begun = true;
}

void rnnpool_run_check(rnnpool_model_obj_t *self) {
    if (!self->begun) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("no image: begin() first"));
    }
    rnnpool_model_refresh(self, false);
    if (!rnnpool_arena_acquire(&self->arena) || seal(self) != self->seal || lost_place(self)) {
        self->begun = false;
    }
    if (!self->begun) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("image abandoned: its model or arena was changed"));
    }
}

// Calls body(context), which works on the model's image: an exception abandons the image and goes on.
static void run_guarded(rnnpool_model_obj_t *self, void (*body)(void *), void *context) {
    self->busy = true;
    mp_obj_t error = rnnpool_try(body, context);
    self->busy = false;
    if (error != MP_OBJ_NULL) {
        self->begun = false;
        nlr_raise(error);
    }
}

typedef struct {
    rnnpool_model_obj_t *model;
    const mp_buffer_info_t *row, *out;
    size_t out_bytes;
    bool row_is_late; // output rows are left
    bool made;
} layer_step_t;

static void take_layer_step(void *context) {
    layer_step_t *step = context;
    rnnpool_model_obj_t *self = step->model;
    rnnp_error_t error = { .status = RNNP_OK };
    if (step->row->buf != NULL) {
        rnnp_layer_push(&self->run, self->arena.data, step->row->buf, &error);
    }
    step->row_is_late = error.status != RNNP_OK;
    if (!step->row_is_late) {
        const void *made = rnnp_layer_pull(&self->run, self->arena.data);
        step->made = made != NULL;
        if (made != NULL) {
            memcpy(step->out->buf, made, step->out_bytes);
        }
        self->seal = seal(self);
    }
}

bool rnnpool_run_row(
    rnnpool_model_obj_t *self, const mp_buffer_info_t *row, const mp_buffer_info_t *out, size_t out_bytes) {
    rnnpool_run_check(self);
    if (row->buf != NULL) {
        rnnpool_run_check_apart(self, row, MP_QSTR_row, NULL, 0);
    }
    rnnpool_run_check_apart(self, out, MP_QSTR_out, row->buf != NULL ? row : NULL, MP_QSTR_row);
    layer_step_t step = { self, row, out, out_bytes, false, false };
    run_guarded(self, take_layer_step, &step);
    if (step.row_is_late) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("rows are left: feed(None, out) until False"));
    }
    if (!step.made && self->run.rows_in == self->model.height) {
        self->begun = false; // the map is complete: the next row begins a new one
    }
    rnnpool_handle_events();
    return step.made;
}

void rnnpool_run_begin_scale(rnnpool_model_obj_t *self, uint16_t scale) {
    rnnpool_run_check(self);
    rnnp_error_t error;
    if (rnnp_begin_scale(&self->run, self->arena.data, self->arena.size, scale, &error) != RNNP_OK) {
        rnnpool_raise(&error);
    }
    self->seal = seal(self);
}

typedef struct {
    rnnpool_model_obj_t *model;
    mp_obj_t pixels; // which must have `needed` bytes
    size_t count, needed;
    bool whole; // rows of the upright picture, from a whole frame
} rows_t;

static void push_rows(void *context) {
    const rows_t *rows = context;
    rnnpool_model_obj_t *self = rows->model;
    size_t stride = rnnp_frame_stride(&self->run.frame);
    for (size_t i = 0; i < rows->count; i++) {
        mp_buffer_info_t buffer;
        rnnpool_frame_buffer(rows->pixels, &buffer);
        if (buffer.len < rows->needed) {
            mp_raise_msg_varg(&mp_type_ValueError,
                MP_ERROR_TEXT("pixels shrank during inference: need %u bytes, has %u"), (unsigned int)rows->needed,
                (unsigned int)buffer.len);
        }
        rnnpool_run_check_apart(self, &buffer, MP_QSTR_frame, NULL, 0);
        rnnp_error_t error;
        const uint8_t *bytes = buffer.buf;
        rnnp_status_t status = rows->whole ? rnnp_push_from(&self->run, self->arena.data, bytes, &error)
                                           : rnnp_push(&self->run, self->arena.data, bytes + stride * i, &error);
        if (status != RNNP_OK) {
            rnnpool_raise(&error);
        }
        bool more;
        do {
            more = rnnp_advance(&self->run, self->arena.data);
            self->seal = seal(self);
            rnnpool_handle_events();
            rnnpool_run_check(self);
        } while (more);
    }
}

void rnnpool_run_push(rnnpool_model_obj_t *self, mp_obj_t pixels, size_t count) {
    const rnnp_frame_t *frame = &self->run.frame;
    size_t needed = count == 0 ? 0 : rnnp_frame_stride(frame) * (count - 1) + rnnp_frame_row_bytes(frame);
    rows_t rows = { self, pixels, count, needed, false };
    run_guarded(self, push_rows, &rows);
}

void rnnpool_run_push_frame(rnnpool_model_obj_t *self, mp_obj_t pixels) {
    uint32_t least, most;
    rnnp_frame_bytes(&self->run.frame, &least, &most);
    rows_t rows = { self, pixels, self->run.height, least, true };
    run_guarded(self, push_rows, &rows);
}
