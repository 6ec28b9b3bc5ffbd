// This file is part of rnnpool. MIT licence, see LICENSE.
#ifndef RNNPOOL_QEMU_BOARD_H
#define RNNPOOL_QEMU_BOARD_H

#include <stdbool.h>
#include <stdint.h>

// Interrupt numbers of the mps2-an386.
#define BOARD_IRQ_UART_RX (0)
#define BOARD_IRQ_TIMER (8)
#define BOARD_IRQ_WAKE (9)

// Interrupts off, and back as they were.
static inline uint32_t board_irq_off(void) {
    uint32_t state;
    __asm volatile("mrs %0, primask\n cpsid i" : "=r"(state) : : "memory");
    return state;
}
static inline void board_irq_restore(uint32_t state) {
    __asm volatile("msr primask, %0" : : "r"(state) : "memory");
}

// start.c: flash is read-only unless a script writes a ROMFS partition.
void board_flash_writable(bool writable);

// console.c
void board_uart_rx_irq(void);

// ticks.c
void board_timer_init(void);
void board_timer_irq(void);
void board_wake_irq(void);
// Lets the processor sleep until an interrupt, but no longer than some milliseconds.
void board_wait(void);

// romfs.c: mounts the emulator's data image at /data, if there is one; returns whether.
bool board_mount_data(void);

#endif // RNNPOOL_QEMU_BOARD_H
