// This file is part of rnnpool. MIT licence, see LICENSE.
#include "start.h"

#define CPACR (*(volatile uint32_t *)0xE000ED88)
#define PAINT (0xA5A5A5A5u)
#define SEMIHOSTING_WRITE0 (0x04)
#define SEMIHOSTING_EXIT (0x20)
#define EXIT_APPLICATION (0x20026u)

extern uint32_t _data_start, _data_end, _data_load, _bss_start, _bss_end, _stack_low, _stack_high;

static void semihosting(uint32_t operation, const void *argument) {
#if defined(__riscv)
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n.option norvc\n" // the three words are known by their sizes
                     ".balign 16\n"
                     "slli zero, zero, 0x1f\nebreak\nsrai zero, zero, 7\n"
                     ".option pop"
        : "+r"(a0)
        : "r"(a1)
        : "memory");
#else
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
#endif
}

void print(const char *text) {
    semihosting(SEMIHOSTING_WRITE0, text);
}

void print_number(uint32_t value) {
    char text[11];
    char *at = &text[10];
    *at = 0;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    print(at);
}

uint32_t stack_used(void) {
    const uint32_t *at = &_stack_low;
    while (*at == PAINT) {
        at++;
    }
    return (uint32_t)((const char *)&_stack_high - (const char *)at);
}

__attribute__((noreturn)) static void leave(uint32_t code) {
    const uint32_t block[2] = { EXIT_APPLICATION, code };
    semihosting(SEMIHOSTING_EXIT, block);
    for (;;) {
    }
}

__attribute__((noreturn, used)) static void reset(void) {
#if defined(__ARM_FP)
    CPACR |= 0xFu << 20; // FPU on
    __asm__ volatile("dsb\n isb");
#endif
    const uint32_t *from = &_data_load;
    for (volatile uint32_t *to = &_data_start; to < &_data_end;) {
        *to++ = *from++;
    }
    for (volatile uint32_t *to = &_bss_start; to < &_bss_end;) {
        *to++ = 0;
    }
    uint32_t *stack;
#if defined(__riscv)
    __asm__ volatile("mv %0, sp" : "=r"(stack));
#else
    __asm__ volatile("mov %0, sp" : "=r"(stack));
#endif
    for (volatile uint32_t *to = &_stack_low; to < stack - 16;) {
        *to++ = PAINT;
    }
    leave((uint32_t)main());
}

__attribute__((noreturn, used)) static void fault(void) {
    print("fault\n");
    leave(254);
}

#if defined(__riscv)

__attribute__((naked, aligned(4), used)) static void trap(void) {
    __asm__("j fault");
}

// The first instructions.
__attribute__((section(".vectors"), naked, used)) static void entry(void) {
    __asm__("la sp, _stack_high\n"
            "la t0, trap\n"
            "csrw mtvec, t0\n"
            "j reset");
}

#else

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &_stack_high,
    (const void *)reset,
    (const void *)fault,
    (const void *)fault,
    (const void *)fault,
    (const void *)fault,
    (const void *)fault,
};

#endif
