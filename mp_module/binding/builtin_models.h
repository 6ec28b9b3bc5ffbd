// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The models that are built into the firmware. mp_module/embed_models.py writes the C file that defines them, from the
// names in RNNPOOL_MODELS (micropython.mk, micropython.cmake).
#ifndef RNNP_BUILTIN_MODELS_H
#define RNNP_BUILTIN_MODELS_H

#include <stdint.h>

typedef struct {
    const char *name; // of the file in models/ without its suffix, e.g. "face"; NUL-terminated, static
    const uint8_t *data; // the blob, at a multiple of 16; constant, in flash on a microcontroller
    uint32_t size; // bytes of the blob
} rnnp_builtin_model_t;

// In the order of RNNPOOL_MODELS; rnnp_builtin_models_len may be 0 (then the array must not be read).
// The blobs are files like any other: check them with rnnp_model_init().
extern const rnnp_builtin_model_t rnnp_builtin_models[];
extern const uint32_t rnnp_builtin_models_len;

#endif // RNNP_BUILTIN_MODELS_H
