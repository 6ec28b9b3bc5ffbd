// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Markers that the cycle model (probe.c) sees: hint opcodes that Arm left free, no-operations on any Cortex-M4.
// Segment 0 is not measured, 1 is the run outside operators, 2 + i operator i.
#ifndef RNNP_BENCH_MARK_H
#define RNNP_BENCH_MARK_H

#include <stdint.h>

#define MARK_NONE (0)
#define MARK_RUN (1)
#define MARK_OP(op) (2 + (op))

#define COUNT_SEGMENTS (130)

#if defined(BENCH_TICK)

// Without the cycle model (count.c).
void mark_enter(uint32_t segment);
void mark_leave(void);
uint64_t mark_instructions(uint32_t segment);

static inline void mark_event(void) {
}

#else

static inline void mark_enter(uint32_t segment) {
    register uint32_t r0 __asm__("r0") = segment;
    __asm__ volatile(".inst.w 0xf3af8020" : : "r"(r0) : "memory");
}

static inline void mark_leave(void) {
    __asm__ volatile(".inst.w 0xf3af8021" : : : "memory");
}

// A point where the caller can look after other things: the longest time between two is measured.
static inline void mark_event(void) {
    __asm__ volatile(".inst.w 0xf3af8022" : : : "memory");
}

#endif

// What the engine's scheduler (run.c) calls around each step of an operator.
#define RNNP_TRACE_ENTER(op) mark_enter(MARK_OP(op))
#define RNNP_TRACE_LEAVE() mark_leave()

#endif // RNNP_BENCH_MARK_H
