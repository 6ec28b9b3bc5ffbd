// This file is part of rnnpool. MIT licence, see LICENSE.
//
// A native .mpy is linked with no C library: those of its functions that engine, binding and compiler call.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "py/dynruntime.h"

void *memcpy(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memmove(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memset(void *to, int value, size_t n) {
    return mp_fun_table.memset_(to, value, n);
}

int memcmp(const void *a_in, const void *b_in, size_t n) {
    const uint8_t *a = a_in, *b = b_in;
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

void *memchr(const void *in, int value, size_t n) {
    for (const uint8_t *at = in; n != 0; at++, n--) {
        if (*at == (uint8_t)value) {
            return (void *)at;
        }
    }
    return NULL;
}

size_t strlen(const char *text) {
    size_t len = 0;
    while (text[len] != 0) {
        len++;
    }
    return len;
}

int strcmp(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}
