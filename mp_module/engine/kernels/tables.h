// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Functions by table with linear interpolation (docs/arithmetic.md, sections 3 and 4).
#ifndef RNNP_TABLES_H
#define RNNP_TABLES_H

#include <stdint.h>

#define RNNP_SIGMOID_ENTRIES (129)
#define RNNP_EXP2_ENTRIES (33)

extern const uint16_t rnnp_sigmoid_table[RNNP_SIGMOID_ENTRIES]; // round(2^15 / (1 + exp(-i / 16)))
extern const uint16_t rnnp_exp2_table[RNNP_EXP2_ENTRIES]; // round(2^14 * 2^(i / 32))

// 1 / (1 + exp(-x)) in Q15, 0..32767, never falling. x in Q12, any.
int32_t rnnp_sigmoid15(int32_t x);

// tanh(x) in Q15, -32768..32767. x in Q12, -32768..32767.
int32_t rnnp_tanh15(int32_t x);

// 2^f in Q14, 16384..32767. f in Q12, 0..4095.
int32_t rnnp_exp2_mantissa(int32_t f);

// 2^t in Q14, for t in Q12, clamped to -4..4: 2^10..2^18.
int32_t rnnp_exp2_14(int32_t t);

#endif // RNNP_TABLES_H
