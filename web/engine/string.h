// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the engine needs of libc: clang for WebAssembly brings none.
#ifndef RNNPOOL_WEB_STRING_H
#define RNNPOOL_WEB_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

#endif // RNNPOOL_WEB_STRING_H
