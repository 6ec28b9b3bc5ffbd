// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The markers of mark.h where no cycle model sees them: instructions, by the clock of an emulator that gives each one the
// same time (qemu -icount shift=0: a nanosecond).
#include "mark.h"
#include "start.h"

#define SYSTICK_CTRL (*(volatile uint32_t *)0xE000E010)
#define SYSTICK_LOAD (*(volatile uint32_t *)0xE000E014)
#define SYSTICK_VAL (*(volatile uint32_t *)0xE000E018)
#define SYSTICK_BITS (24)

static uint64_t spent[COUNT_SEGMENTS]; // ticks
static uint32_t open_segments[16], depth, before;

// Ticks since the last call: of BENCH_TICK instructions each. They must not be more than the counter has room for.
static uint32_t elapsed(void) {
#if defined(__riscv)
    uint32_t now;
    __asm__ volatile("csrr %0, mcycle" : "=r"(now));
    uint32_t ticks = now - before;
#else
    SYSTICK_LOAD = (1u << SYSTICK_BITS) - 1;
    SYSTICK_CTRL = 5; // on, the processor's clock
    uint32_t now = SYSTICK_VAL, ticks = (before - now) & ((1u << SYSTICK_BITS) - 1);
#endif
    before = now;
    return ticks;
}

void mark_enter(uint32_t segment) {
    spent[open_segments[depth]] += elapsed();
    open_segments[++depth] = segment;
}

void mark_leave(void) {
    spent[open_segments[depth--]] += elapsed();
}

uint64_t mark_instructions(uint32_t segment) {
    return spent[segment] * BENCH_TICK;
}
