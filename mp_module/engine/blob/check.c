// This file is part of rnnpool. MIT licence, see LICENSE.
#include "check.h"

#include "../numeric.h"

rnnp_status_t rnnp_fail(
    rnnp_error_t *error, rnnp_status_t status, int32_t op, const char *what, uint32_t expected, uint32_t given) {
    error->status = status;
    error->op = (int16_t)op;
    error->what = what;
    error->expected = expected;
    error->given = given;
    return status;
}

void rnnp_no_error(rnnp_error_t *error) {
    rnnp_fail(error, RNNP_OK, -1, "", 0, 0);
}

rnnp_status_t rnnp_bad_argument(rnnp_error_t *error, const char *what, uint32_t expected, uint32_t given) {
    return rnnp_fail(error, RNNP_ERROR_ARGUMENT, -1, what, expected, given);
}

rnnp_status_t rnnp_bad_state(rnnp_error_t *error, const char *what, uint32_t expected, uint32_t given) {
    return rnnp_fail(error, RNNP_ERROR_STATE, -1, what, expected, given);
}

bool rnnp_report(const rnnp_check_t *check, rnnp_status_t status, const char *what, uint32_t expected, uint32_t given) {
    if (check->error->status == RNNP_OK) {
        rnnp_fail(check->error, status, check->op, what, expected, given);
    }
    return false;
}

bool rnnp_bad(const rnnp_check_t *check, const char *what, uint32_t expected, uint32_t given) {
    return rnnp_report(check, check->status, what, expected, given);
}

bool rnnp_left_out(const rnnp_check_t *check, const char *name) {
    return rnnp_report(check, RNNP_ERROR_UNSUPPORTED, name, 0, 1);
}

bool rnnp_check_range(const rnnp_check_t *check, const char *what, int32_t value, int32_t low, int32_t high) {
    if (value < low || value > high) {
        rnnp_bad(check, what, (uint32_t)(value < low ? low : high), (uint32_t)value);
    }
    return rnnp_is_well(check);
}

bool rnnp_check_equal(const rnnp_check_t *check, const char *what, int32_t value, int32_t expected) {
    return rnnp_check_range(check, what, value, expected, expected);
}

bool rnnp_check_fields(const rnnp_check_t *check, const void *record, const rnnp_field_t *fields, uint32_t count) {
    for (const rnnp_field_t *f = fields; count > 0; count--, f++) {
        const uint8_t *at = (const uint8_t *)record + f->at;
        int32_t value = f->wide ? *(const uint16_t *)(const void *)at : *at;
        bool negative = f->low < 0;
        rnnp_check_range(
            check, f->what, negative ? (int8_t)value : value, f->low, negative ? (int16_t)f->high : f->high);
    }
    return rnnp_is_well(check);
}

bool rnnp_check_zeros(const rnnp_check_t *check, const char *what, const uint8_t *bytes, uint32_t count) {
    for (; count > 0; count--) {
        rnnp_check_equal(check, what, *bytes++, 0);
    }
    return rnnp_is_well(check);
}

bool rnnp_check_section(const rnnp_check_t *check, const char *what, uint32_t offset, uint32_t size, uint32_t total) {
    if (offset % RNNP_SECTION_ALIGNMENT != 0) {
        rnnp_bad(check, what, RNNP_SECTION_ALIGNMENT, offset);
    } else if (offset < RNNP_HEADER_SIZE) {
        rnnp_bad(check, what, RNNP_HEADER_SIZE, offset);
    } else if (offset > total || size > total - offset) {
        rnnp_bad(check, what, size < total ? total - size : 0, offset);
    }
    return rnnp_is_well(check);
}
