// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The serial console with a receive interrupt, so that Ctrl-C stops a running script, and with a processor that sleeps
// while it waits for input. The port's own console polls.

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/interrupt_char.h"
#include "uart.h"
#include "board.h"

#define UART_DATA (*(volatile uint32_t *)0x40004000)
#define UART_STATE (*(volatile uint32_t *)0x40004004)
#define UART_CTRL (*(volatile uint32_t *)0x40004008)
#define UART_INTSTATUS (*(volatile uint32_t *)0x4000400C)

#define STATE_RX_FULL (1u << 1)
#define CTRL_TX_RX_ENABLE (3u)
#define CTRL_RX_INTERRUPT (1u << 3)
#define INTSTATUS_RX (1u << 1)

#define RING_SIZE (256u) // power of two

static uint8_t ring[RING_SIZE];
static volatile uint32_t ring_head, ring_tail; // free-running

// Takes what has come. A full ring leaves its byte in the UART, and the emulator then holds the sender back.
static void drain(void) {
    while (UART_STATE & STATE_RX_FULL) {
        if (ring_head - ring_tail == RING_SIZE) {
            UART_CTRL = CTRL_TX_RX_ENABLE;
            return;
        }
        // Cleared before the byte is read: reading may bring in the next one at once.
        UART_INTSTATUS = INTSTATUS_RX;
        int c = (int)(UART_DATA & 0xFF);
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ring[ring_head++ % RING_SIZE] = (uint8_t)c;
        }
    }
    UART_CTRL = CTRL_TX_RX_ENABLE | CTRL_RX_INTERRUPT;
}

void board_uart_rx_irq(void) {
    UART_INTSTATUS = INTSTATUS_RX;
    drain();
}

// Called in a loop by mp_hal_stdin_rx_chr().
int __wrap_uart_rx_chr(void) {
    mp_event_handle_nowait();
    uint32_t irq = board_irq_off();
    drain();
    int c = UART_RX_NO_CHAR;
    if (ring_head != ring_tail) {
        c = ring[ring_tail++ % RING_SIZE];
    } else {
        __asm volatile("wfi" ::: "memory"); // a pending interrupt ends it although interrupts are off
    }
    board_irq_restore(irq);
    return c;
}

uintptr_t __wrap_mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    uint32_t irq = board_irq_off();
    drain();
    if ((poll_flags & MP_STREAM_POLL_RD) && ring_head != ring_tail) {
        ready |= MP_STREAM_POLL_RD;
    }
    board_irq_restore(irq);
    return ready;
}
