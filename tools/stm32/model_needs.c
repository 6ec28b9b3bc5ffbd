// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Prints one line for each blob given: width, height, channels, bytes of the blob, bytes of arena, name. On the computer:
// the arena's size is the same everywhere.

#include <stdio.h>
#include <stdlib.h>

#include "engine/rnnp.h"

// Returns the file's bytes at a multiple of RNNP_ALIGNMENT, NULL if they can't be read.
static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        return NULL;
    }
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *memory = malloc(*size + RNNP_ALIGNMENT);
    if (memory == NULL) {
        return NULL;
    }
    uint8_t *bytes = memory + (-(uintptr_t)memory % RNNP_ALIGNMENT);
    return fread(bytes, 1, *size, file) == *size ? bytes : NULL;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        size_t size;
        const uint8_t *blob = read_file(argv[i], &size);
        if (blob == NULL) {
            fprintf(stderr, "%s can't be read\n", argv[i]);
            return 1;
        }
        rnnp_model_t model;
        rnnp_error_t error;
        if (rnnp_model_init(&model, blob, size, &error) != RNNP_OK) {
            fprintf(stderr, "%s is no usable model: %s, expected %u, given %u\n", argv[i], error.what,
                (unsigned int)error.expected, (unsigned int)error.given);
            return 1;
        }
        printf("%u %u %u %u %u %s\n", (unsigned int)model.width, (unsigned int)model.height,
            (unsigned int)model.channels, (unsigned int)model.size, (unsigned int)rnnp_arena_size(&model, NULL),
            model.name);
    }
    return 0;
}
