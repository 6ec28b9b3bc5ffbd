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
static struct {
    const uint8_t *data;
    size_t size;
    uint32_t image;
} places[NUM_PLACES];
static uint32_t num_images;

static void take_place(rnnpool_model_obj_t *self) {
    self->image = ++num_images;
    if (self->arena.memory.owner == MP_OBJ_NULL) {
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < NUM_PLACES; i++) {
        if (places[i].data == self->arena.data) {
            at = i;
            break;
        }
        at = places[i].image < places[at].image ? i : at;
    }
    places[at].data = self->arena.data;
    places[at].size = self->run.arena_size;
    places[at].image = self->image;
}

// Whether another image was begun in the model's arena, or over its blob, since its own was.
static bool lost_place(const rnnpool_model_obj_t *self) {
    if (self->image == num_images) {
        return false;
    }
    for (size_t i = 0; i < NUM_PLACES; i++) {
        const uint8_t *data = places[i].data;
        size_t size = places[i].size;
        if (places[i].image > self->image &&
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

static void abandon(void *self_in);

bool rnnpool_run_row(
    rnnpool_model_obj_t *self, const mp_buffer_info_t *row, const mp_buffer_info_t *out, size_t out_bytes) {
    rnnpool_run_check(self);
    if (row->buf != NULL) {
        rnnpool_run_check_apart(self, row, MP_QSTR_row, NULL, 0);
    }
    rnnpool_run_check_apart(self, out, MP_QSTR_out, row->buf != NULL ? row : NULL, MP_QSTR_row);
    MP_DEFINE_NLR_JUMP_CALLBACK_FUNCTION_1(interrupted, abandon, self);
    nlr_push_jump_callback(&interrupted.callback, mp_call_function_1_from_nlr_jump_callback);
    self->busy = true;
    rnnp_error_t error = { .status = RNNP_OK };
    if (row->buf != NULL) {
        rnnp_layer_push(&self->run, self->arena.data, row->buf, &error);
    }
    const void *made = NULL;
    if (error.status == RNNP_OK) {
        made = rnnp_layer_pull(&self->run, self->arena.data);
        if (made != NULL) {
            memcpy(out->buf, made, out_bytes);
        }
        self->seal = seal(self);
    }
    self->busy = false;
    nlr_pop_jump_callback(false);
    if (error.status != RNNP_OK) {
        mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("rows are left: feed(None, out) until False"));
    }
    if (made == NULL && self->run.rows_in == self->model.height) {
        self->begun = false; // the map is complete: the next row begins a new one
    }
    mp_event_handle_nowait();
    return made != NULL;
}

static void abandon(void *self_in) {
    rnnpool_model_obj_t *self = self_in;
    self->begun = false;
    self->busy = false;
}

void rnnpool_run_begin_scale(rnnpool_model_obj_t *self, uint16_t scale) {
    rnnpool_run_check(self);
    rnnp_error_t error;
    if (rnnp_begin_scale(&self->run, self->arena.data, self->arena.size, scale, &error) != RNNP_OK) {
        rnnpool_raise(&error);
    }
    self->seal = seal(self);
}

// Pushes rows of `pixels`, which must have `needed` bytes.
static void push(rnnpool_model_obj_t *self, mp_obj_t pixels, size_t count, size_t needed, bool whole) {
    // In some ports Ctrl-C jumps out of anywhere, even of the engine.
    MP_DEFINE_NLR_JUMP_CALLBACK_FUNCTION_1(interrupted, abandon, self);
    nlr_push_jump_callback(&interrupted.callback, mp_call_function_1_from_nlr_jump_callback);
    self->busy = true;
    size_t stride = rnnp_frame_stride(&self->run.frame);
    for (size_t i = 0; i < count; i++) {
        mp_buffer_info_t buffer;
        rnnpool_frame_buffer(pixels, &buffer);
        if (buffer.len < needed) {
            mp_raise_msg_varg(&mp_type_ValueError,
                MP_ERROR_TEXT("pixels shrank during inference: need %u bytes, has %u"), (unsigned int)needed,
                (unsigned int)buffer.len);
        }
        rnnpool_run_check_apart(self, &buffer, MP_QSTR_frame, NULL, 0);
        rnnp_error_t error;
        const uint8_t *bytes = buffer.buf;
        rnnp_status_t status = whole ? rnnp_push_from(&self->run, self->arena.data, bytes, &error)
                                     : rnnp_push(&self->run, self->arena.data, bytes + stride * i, &error);
        if (status != RNNP_OK) {
            rnnpool_raise(&error);
        }
        bool more;
        do {
            more = rnnp_advance(&self->run, self->arena.data);
            self->seal = seal(self);
            mp_event_handle_nowait();
            rnnpool_run_check(self);
        } while (more);
    }
    self->busy = false;
    nlr_pop_jump_callback(false);
}

void rnnpool_run_push(rnnpool_model_obj_t *self, mp_obj_t pixels, size_t count) {
    const rnnp_frame_t *frame = &self->run.frame;
    size_t needed = count == 0 ? 0 : rnnp_frame_stride(frame) * (count - 1) + rnnp_frame_row_bytes(frame);
    push(self, pixels, count, needed, false);
}

void rnnpool_run_push_frame(rnnpool_model_obj_t *self, mp_obj_t pixels) {
    uint32_t least, most;
    rnnp_frame_bytes(&self->run.frame, &least, &most);
    push(self, pixels, self->run.height, least, true);
}
