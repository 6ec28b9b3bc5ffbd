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

#define CTRL_ENABLE_AND_INTERRUPT (1u | 1u << 3)
#define TICKS_PER_US (25u)

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

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)ticks();
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)(ticks() / TICKS_PER_US);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(ticks() / (1000 * TICKS_PER_US));
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = ticks() + (uint64_t)us * TICKS_PER_US;
    while (ticks() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = ticks() + (uint64_t)ms * 1000 * TICKS_PER_US;
    while (ticks() < end) {
        mp_event_handle_nowait();
    }
}
