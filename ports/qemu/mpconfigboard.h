// This file is part of rnnpool. MIT licence, see LICENSE.
//
// MicroPython's configuration for this board: the port's own, changed to what ports/stm32 has.

#include "mpconfigport.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "QEMU mps2-an386 with an STM32F439's memory"

// Speed and limits as in ports/stm32.
#define MICROPY_OPT_COMPUTED_GOTO (1)
#define MICROPY_OPT_MAP_LOOKUP_CACHE (1)
#define MICROPY_GC_STACK_ENTRY_TYPE uint16_t
#define MICROPY_ALLOC_PATH_MAX (128)
#define MICROPY_EMERGENCY_EXCEPTION_BUF_SIZE (0)
#define MICROPY_SCHEDULER_DEPTH (8)
#define MICROPY_SCHEDULER_STATIC_NODES (1)
#define MICROPY_USE_INTERNAL_ERRNO (1)

// What the port leaves out because it has no clock and no interrupts; this board has both (ticks.c, console.c).
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
void board_wait(void);
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) board_wait()

// The file system of the chip's flash; here in memory, for tests (tests/qemu/ramdisk.py).
#define MICROPY_FATFS_ENABLE_LFN (2)
#define MICROPY_FATFS_LFN_CODE_PAGE 437
#define MICROPY_FATFS_RPATH (2)

// Memory for the models that the module keeps, as on the NUCLEO_F439ZI without network (ports/stm32).
#define RNNPOOL_ARENA_SECTION ".ccm.rnnpool_arena"
#define RNNPOOL_ARENA_BYTES (48 * 1024)

// ROMFS partitions that mount themselves (romfs.c).
#undef MICROPY_VFS_ROM_IOCTL
#define MICROPY_VFS_ROM_IOCTL (1)

// At each start of the interpreter, also after a soft reset.
void board_mp_init(void);
#define MICROPY_PORT_INIT_FUNC board_mp_init()
