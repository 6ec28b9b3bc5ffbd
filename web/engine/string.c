// This file is part of rnnpool. MIT licence, see LICENSE.
//
// By instructions of WebAssembly (bulk memory operations, in every browser that has its SIMD) where there are any.
#include "string.h"

#ifdef __wasm_bulk_memory__

void *memcpy(void *to, const void *from, size_t bytes) {
    return __builtin_memcpy(to, from, bytes);
}

void *memmove(void *to, const void *from, size_t bytes) {
    return __builtin_memmove(to, from, bytes);
}

void *memset(void *to, int value, size_t bytes) {
    return __builtin_memset(to, value, bytes);
}

#else

// volatile: else the compiler finds that this is memcpy, and calls it.
void *memcpy(void *to, const void *from, size_t bytes) {
    volatile char *a = to;
    const char *b = from;
    for (; bytes > 0; bytes--) {
        *a++ = *b++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
    volatile char *a = to;
    const char *b = from;
    if (a <= b) {
        return memcpy(to, from, bytes);
    }
    while (bytes-- > 0) {
        a[bytes] = b[bytes];
    }
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    volatile char *a = to;
    for (; bytes > 0; bytes--) {
        *a++ = (char)value;
    }
    return to;
}

#endif
