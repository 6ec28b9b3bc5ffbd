// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Time, from a 25 MHz timer that counts down and interrupts when it wraps. Under QEMU's -icount it counts instructions
// (README.md), so time.ticks_cpu() is the raw count.

#include "py/mphal.h"
#include "py/runtime.h"
#include "board.h"

#define TIMER_CTRL (*(volatile uint32_t *)0x40000000)
#define TIMER_VALUE (*(volatile uint32_t *)0x40000004)
#define TIMER_RELOAD (*(volatile uint32_t *)0x40000008)
#define TIMER_INT (*(volatile uint32_t *)0x4000000C)

// The second timer, for board_wait().
#define WAKE_CTRL (*(volatile uint32_t *)0x40001000)
#define WAKE_VALUE (*(volatile uint32_t *)0x40001004)
#define WAKE_RELOAD (*(volatile uint32_t *)0x40001008)
#define WAKE_INT (*(volatile uint32_t *)0x4000100C)

#define CTRL_ENABLE_AND_INTERRUPT (1u | 1u << 3)
#define TICKS_PER_US (25u)
#define WAIT_MS (5u)

static volatile uint32_t wraps;

void board_timer_init(void) {
    TIMER_RELOAD = 0xFFFFFFFF;
    TIMER_VALUE = 0xFFFFFFFF;
    TIMER_CTRL = CTRL_ENABLE_AND_INTERRUPT;
}

void board_timer_irq(void) {
    TIMER_INT = 1;
    ++wraps;
}

void board_wake_irq(void) {
    WAKE_INT = 1;
}

// What is waited for may have come just before the processor sleeps, and nothing else interrupts: there is no clock tick.
void board_wait(void) {
    WAKE_RELOAD = WAIT_MS * 1000 * TICKS_PER_US;
    WAKE_VALUE = WAIT_MS * 1000 * TICKS_PER_US;
    WAKE_CTRL = CTRL_ENABLE_AND_INTERRUPT;
    __asm volatile("wfi" ::: "memory");
    WAKE_CTRL = 0;
}

static uint64_t ticks(void) {
    uint32_t irq = board_irq_off();
    uint32_t high = wraps;
    uint32_t low = 0xFFFFFFFF - TIMER_VALUE;
    if (TIMER_INT & 1) {
        // It wrapped, just now or a moment ago, and the interrupt has not been served.
        ++high;
        low = 0xFFFFFFFF - TIMER_VALUE;
    }
    board_irq_restore(irq);
    return (uint64_t)high << 32 | low;
}

// The port's own timer, after MicroPython 1.25: another interrupt.
void __wrap_ticks_init(void);
void __wrap_ticks_init(void) {
}

mp_uint_t __wrap_mp_hal_ticks_cpu(void) {
    return (mp_uint_t)ticks();
}

mp_uint_t __wrap_mp_hal_ticks_us(void) {
    return (mp_uint_t)(ticks() / TICKS_PER_US);
}

mp_uint_t __wrap_mp_hal_ticks_ms(void) {
    return (mp_uint_t)(ticks() / (1000 * TICKS_PER_US));
}

void __wrap_mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = ticks() + (uint64_t)us * TICKS_PER_US;
    while (ticks() < end) {
    }
}

void __wrap_mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = ticks() + (uint64_t)ms * 1000 * TICKS_PER_US;
    while (ticks() < end) {
        mp_event_handle_nowait();
    }
}
