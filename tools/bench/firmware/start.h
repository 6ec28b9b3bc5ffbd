// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What a bare Cortex-M4 program needs: start-up and output by semihosting (start.c). The same image runs on the cycle model
// and on QEMU's netduinoplus2.
#ifndef RNNP_BENCH_START_H
#define RNNP_BENCH_START_H

#include <stdint.h>

int main(void);

void print(const char *text);
void print_number(uint32_t value);

// Bytes of stack used so far (the start-up paints it).
uint32_t stack_used(void);

#endif // RNNP_BENCH_START_H
