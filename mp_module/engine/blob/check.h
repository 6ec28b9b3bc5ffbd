// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What a loader's checks (SPEC.md) are made of, for blobs of untrusted content.
#ifndef RNNP_CHECK_H
#define RNNP_CHECK_H

#include <stddef.h>

#include "../rnnp.h"
#include "record.h"

// Fills the error and returns its status.
rnnp_status_t rnnp_fail(
    rnnp_error_t *error, rnnp_status_t status, int32_t op, const char *what, uint32_t expected, uint32_t given);

void rnnp_no_error(rnnp_error_t *error);

// Of RNNP_ERROR_ARGUMENT and RNNP_ERROR_STATE, which belong to no operator.
rnnp_status_t rnnp_bad_argument(rnnp_error_t *error, const char *what, uint32_t expected, uint32_t given);
rnnp_status_t rnnp_bad_state(rnnp_error_t *error, const char *what, uint32_t expected, uint32_t given);

// A check in progress: where errors go, whom they are about, and their status.
typedef struct {
    rnnp_error_t *error;
    int32_t op; // -1: the header, or of no blob
    rnnp_status_t status; // of what is not well
} rnnp_check_t;

// A field of a record, and its range. Below 0, it is an int8; else unsigned.
typedef struct {
    const char *what;
    uint8_t at : 7; // offset in the record
    uint8_t wide : 1; // two bytes
    int8_t low;
    uint16_t high;
} rnnp_field_t;

#define RNNP_FIELD(record, name, low, high) \
    { #name, offsetof(record, name), sizeof(((record *)0)->name) == 2, low, (uint16_t)(high) }

#define RNNP_FIELDS(fields) (sizeof(fields) / sizeof((fields)[0]))

// All of these: true if all is well so far. The first thing that is not fills the error, and what is found behind it is
// ignored: so checks may follow each other like statements, as long as none needs to be spared what another one found.

// Never well: an error of any status.
bool rnnp_report(const rnnp_check_t *check, rnnp_status_t status, const char *what, uint32_t expected, uint32_t given);

// Never well: a field, what it should be and what it is.
bool rnnp_bad(const rnnp_check_t *check, const char *what, uint32_t expected, uint32_t given);

// Never well, either: what the blob needs is left out of this firmware (left_out.h).
bool rnnp_left_out(const rnnp_check_t *check, const char *name);

static inline bool rnnp_is_well(const rnnp_check_t *check) {
    return check->error->status == RNNP_OK;
}

// Fields are within their ranges, in the order of the table.
bool rnnp_check_fields(const rnnp_check_t *check, const void *record, const rnnp_field_t *fields, uint32_t count);

// low <= value <= high; the error gives the limit that the value breaks.
bool rnnp_check_range(const rnnp_check_t *check, const char *what, int32_t value, int32_t low, int32_t high);

bool rnnp_check_equal(const rnnp_check_t *check, const char *what, int32_t value, int32_t expected);

// Bytes are 0; the error gives the first that is not.
bool rnnp_check_zeros(const rnnp_check_t *check, const char *what, const uint8_t *bytes, uint32_t count);

// A section of `size` bytes at `offset` lies after the header and within `total` bytes, and is aligned.
bool rnnp_check_section(const rnnp_check_t *check, const char *what, uint32_t offset, uint32_t size, uint32_t total);

#endif // RNNP_CHECK_H
