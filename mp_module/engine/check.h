// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What the loader checks of operators, graph and parameters (SPEC.md), on a blob of untrusted content.
#ifndef RNNP_CHECK_H
#define RNNP_CHECK_H

#include "op.h"
#include "rnnp.h"

// Fills the error and returns its status.
rnnp_status_t rnnp_fail(
    rnnp_error_t *error, rnnp_status_t status, int32_t op, const char *what, uint32_t expected, uint32_t given);

// A check in progress: where errors go and whom they are about.
typedef struct {
    rnnp_error_t *error;
    int32_t op; // -1: the header
} rnnp_check_t;

// A field of the header or of an operator's record, and its range in the records of some kinds.
typedef struct {
    const char *what;
    uint8_t at; // offset in the record
    uint8_t type; // RNNP_FIELD_U8 ...
    uint8_t kinds; // bit k: the range is for kind k (of the header: task k); RNNP_ELSE_ZERO: 0 in all others
    int8_t low;
    int32_t high;
} rnnp_field_t;

enum { RNNP_FIELD_U8, RNNP_FIELD_I8, RNNP_FIELD_U16 };
#define RNNP_ELSE_ZERO (1u) // no kind or task is 0
#define RNNP_ANY_KIND (0xfeu)

// All of these: true if all is well, else the error is filled.

// Fields are within their ranges, in the order of the table.
bool rnnp_check_fields(
    const rnnp_check_t *check, const void *record, uint32_t kind, const rnnp_field_t *fields, uint32_t count);

// low <= value <= high; the error gives the limit that the value breaks.
bool rnnp_check_range(const rnnp_check_t *check, const char *what, int32_t value, int32_t low, int32_t high);

// Bytes are 0; the error gives the first that is not.
bool rnnp_check_zeros(const rnnp_check_t *check, const char *what, const uint8_t *bytes, uint32_t count);

// A section of `size` bytes at `offset` lies after the header and within `total` bytes, and is aligned.
bool rnnp_check_section(const rnnp_check_t *check, const char *what, uint32_t offset, uint32_t size, uint32_t total);

// All operators, their parameters and the graph. Of the model, all fields but name and labels are checked, and the
// operator table lies within the blob.
bool rnnp_check_operators(const rnnp_model_t *model, rnnp_error_t *error);

#endif // RNNP_CHECK_H
