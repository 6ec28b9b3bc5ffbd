// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A loaded model: the object that every call takes. What the type Model says of itself is in model_type.c, a single layer in
// layer.c.

#include <string.h>

#include "engine/blob/record.h"

#include "binding/binding.h"

// Raises ValueError if the source is a layer of another kind than the object's, or one for a Model.
static void check_layer(const rnnpool_model_obj_t *self) {
    bool is_layer = self->model.task == RNNP_TASK_LAYER;
    if (self->layer == RNNPOOL_NO_LAYER) {
        if (is_layer) {
            mp_raise_ValueError(MP_ERROR_TEXT("source is a single layer, no model"));
        }
        return;
    }
    rnnp_op_info_t info;
    rnnp_model_op_info(&self->model, 0, &info);
    if (!is_layer || info.kind != (rnnp_kind_t)self->layer) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("source is no %q layer (kind %d)"), self->base.type->name,
            (int)info.kind);
    }
}

void rnnpool_model_refresh(rnnpool_model_obj_t *self, bool recheck) {
    bool same = rnnpool_source_acquire(&self->source);
    if (self->valid && same && !(recheck && self->source.writable)) {
        return;
    }
    rnnpool_check_stack();
    bool begun = self->begun && self->valid && same;
    self->valid = false;
    self->begun = false;
    rnnp_error_t error;
    if (rnnp_model_init(&self->model, self->source.data, self->source.size, &error) != RNNP_OK) {
        rnnpool_raise_blob(&error, self->source.data, self->source.size);
    }
    check_layer(self);
    self->ops_offset = (uint32_t)((const uint8_t *)rnnp_op(&self->model, 0) - self->model.blob);
    self->begun = begun;
    self->valid = true;
}

mp_obj_t rnnpool_model_new(const mp_obj_type_t *type, int layer, const rnnpool_source_t *source, mp_obj_t arena,
    mp_int_t width, mp_int_t height) {
    rnnpool_model_obj_t *self = mp_obj_malloc(rnnpool_model_obj_t, type);
    memset((uint8_t *)self + sizeof(self->base), 0, sizeof(*self) - sizeof(self->base));
    self->layer = (int8_t)layer;
    self->source = *source;
    rnnpool_model_refresh(self, true);
    rnnpool_arena_init(&self->arena, arena);
    self->ram = rnnpool_frame_arena_size(&self->model, width, height);
    rnnpool_arena_reserve(&self->arena, self->ram);
    return MP_OBJ_FROM_PTR(self);
}

mp_obj_t rnnpool_new_shape(uint32_t height, uint32_t width, uint32_t channels) {
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT((mp_int_t)height),
        MP_OBJ_NEW_SMALL_INT((mp_int_t)width),
        MP_OBJ_NEW_SMALL_INT((mp_int_t)channels),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
