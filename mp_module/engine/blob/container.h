// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What can be said of a blob without its operators: length, checksum, header, name, labels.
#ifndef RNNP_CONTAINER_H
#define RNNP_CONTAINER_H

#include "../rnnp.h"

// True if all is well, and the operator table lies within the blob; else the error is filled.
bool rnnp_container_check(const uint8_t *blob, size_t size, rnnp_error_t *error);

#endif // RNNP_CONTAINER_H
