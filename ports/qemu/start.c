// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What happens before MicroPython starts: FPU, memory protection, interrupts. Faults end the emulation with a report.

#include <stdint.h>

#include "py/mphal.h"
#include "py/mpprint.h"
#include "py/stackctrl.h"
#include "shared/runtime/pyexec.h"
#include "shared/runtime/semihosting_arm.h"
#include "board.h"

#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08)
#define SCB_SHCSR (*(volatile uint32_t *)0xE000ED24)
#define SCB_CFSR (*(volatile uint32_t *)0xE000ED28)
#define SCB_HFSR (*(volatile uint32_t *)0xE000ED2C)
#define SCB_MMFAR (*(volatile uint32_t *)0xE000ED34)
#define SCB_BFAR (*(volatile uint32_t *)0xE000ED38)
#define SCB_CPACR (*(volatile uint32_t *)0xE000ED88)
#define NVIC_ISER0 (*(volatile uint32_t *)0xE000E100)
#define MPU_CTRL (*(volatile uint32_t *)0xE000ED94)
#define MPU_RNR (*(volatile uint32_t *)0xE000ED98)
#define MPU_RBAR (*(volatile uint32_t *)0xE000ED9C)
#define MPU_RASR (*(volatile uint32_t *)0xE000EDA0)

#define CPACR_CP10_CP11_FULL (0xFu << 20)
#define SHCSR_MEM_BUS_USAGE_FAULT (7u << 16)
#define MPU_CTRL_ENABLE (1u)

#define RASR_SIZE(log2) ((((log2) - 1u) << 1) | 1u) // and the enable bit
#define RASR_WITHOUT_EIGHTHS(mask) ((mask) << 8)
#define RASR_NORMAL (1u << 17)
#define RASR_DEVICE ((1u << 18) | (1u << 16))
#define RASR_NO_ACCESS (0u << 24)
#define RASR_READ_WRITE (3u << 24)
#define RASR_READ_ONLY (6u << 24)
#define RASR_NO_CODE (1u << 28)

enum { REGION_FLASH, REGION_RAM, REGION_CCM, REGION_DATA, REGION_PERIPHERALS, REGION_STACK_GUARD, REGION_DISK };

extern uint8_t _estack, _stack_size, _stack_guard;
void Reset_Handler(void);

static void set_region(uint32_t number, uint32_t start, uint32_t attributes_and_size) {
    MPU_RNR = number;
    MPU_RBAR = start;
    MPU_RASR = attributes_and_size;
}

// No background region: what the chip does not have faults, as on the chip.
static void protect_memory(void) {
    set_region(REGION_FLASH, 0x00000000, RASR_NORMAL | RASR_READ_ONLY | RASR_SIZE(21));
    // RAM_KB of 512 KB, in steps of 64. Code may run there: MicroPython's native emitter writes it to the heap.
    set_region(REGION_RAM, 0x20000000,
        RASR_NORMAL | RASR_READ_WRITE | RASR_WITHOUT_EIGHTHS(0xFFu & 0xFFu << BOARD_RAM_KB / 64) | RASR_SIZE(19));
    set_region(REGION_CCM, 0x20100000, RASR_NORMAL | RASR_READ_WRITE | RASR_NO_CODE | RASR_SIZE(16));
    set_region(REGION_DATA, 0x21000000, RASR_NORMAL | RASR_READ_ONLY | RASR_NO_CODE | RASR_SIZE(24));
    set_region(REGION_DISK, 0x21F00000, RASR_NORMAL | RASR_READ_WRITE | RASR_NO_CODE | RASR_SIZE(20));
    set_region(REGION_PERIPHERALS, 0x40000000, RASR_DEVICE | RASR_READ_WRITE | RASR_NO_CODE | RASR_SIZE(16));
    set_region(REGION_STACK_GUARD, (uint32_t)&_stack_guard, RASR_NORMAL | RASR_NO_ACCESS | RASR_SIZE(10));
    MPU_CTRL = MPU_CTRL_ENABLE;
    __asm volatile("dsb\n isb" ::: "memory");
}

void board_flash_writable(bool writable) {
    set_region(REGION_FLASH, 0x00000000, RASR_NORMAL | (writable ? RASR_READ_WRITE : RASR_READ_ONLY) | RASR_SIZE(21));
    __asm volatile("dsb\n isb" ::: "memory");
}

__attribute__((used)) static void report_fault(const uint32_t *frame, uint32_t number) {
    static const char *const names[] = { "NMI", "HardFault", "MemManage", "BusFault", "UsageFault" };
    mp_printf(&mp_plat_print, "\nFAULT: %s, pc %08x lr %08x, CFSR %08x HFSR %08x MMFAR %08x BFAR %08x\n",
        number >= 2 && number <= 6 ? names[number - 2] : "unexpected exception", (unsigned int)frame[6],
        (unsigned int)frame[5], (unsigned int)SCB_CFSR, (unsigned int)SCB_HFSR, (unsigned int)SCB_MMFAR,
        (unsigned int)SCB_BFAR);
    mp_semihosting_exit(1);
    for (;;) {
    }
}

__attribute__((naked)) static void fault_handler(void) {
    __asm volatile("mrs r0, msp\n mrs r1, ipsr\n b report_fault");
}

#define VECTORS (16 + 10)

// Upstream's table has no interrupts.
__attribute__((aligned(128))) static void (*const vectors[VECTORS])(void) = {
    [0] = (void (*)(void))&_estack,
    [1] = Reset_Handler,
    [2 ... 15] = fault_handler,
    [16 + BOARD_IRQ_UART_RX] = board_uart_rx_irq,
    [16 + 1 ... 16 + 7] = fault_handler,
    [16 + BOARD_IRQ_TIMER] = board_timer_irq,
    [16 + BOARD_IRQ_WAKE] = board_wake_irq,
};

// The first call of the start-up code after .data and .bss are set up; upstream leaves the FPU off.
void __real_mp_semihosting_init(void);
void __wrap_mp_semihosting_init(void) {
    SCB_CPACR |= CPACR_CP10_CP11_FULL;
    __asm volatile("dsb\n isb" ::: "memory");
    SCB_VTOR = (uint32_t)vectors;
    SCB_SHCSR |= SHCSR_MEM_BUS_USAGE_FAULT;
    protect_memory();
    board_timer_init();
    NVIC_ISER0 = 1u << BOARD_IRQ_UART_RX | 1u << BOARD_IRQ_TIMER | 1u << BOARD_IRQ_WAKE;
    __real_mp_semihosting_init();
}

void board_mp_init(void) {
    // As in ports/stm32; upstream's main() sets 10 KB.
    mp_stack_set_limit((mp_uint_t)&_stack_size - 1024);
    if (board_mount_data()) {
        pyexec_file_if_exists("/data/boot.py");
    }
}
