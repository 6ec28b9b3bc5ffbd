# A Cortex-M4F with the memory of an STM32F439, on QEMU's mps2-an386 machine, for MicroPython's ports/qemu:
# BOARD_DIR=<this folder> BOARD=RNNPOOL_M4. README.md says what differs from upstream's boards, and why.

QEMU_ARCH = arm
QEMU_MACHINE = mps2-an386

CFLAGS += -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard -fsingle-precision-constant
CFLAGS += -DQEMU_SOC_MPS2
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M4F"'
# The port has no board header, and its own configuration defines some options without a guard.
CFLAGS += -I$(BOARD_DIR) -DMP_CONFIGFILE='<mpconfigboard.h>'

LDSCRIPT = $(BOARD_DIR)/stm32f439.ld

# The port links with the compiler or, after MicroPython 1.25, with the linker itself, which takes its options as they are.
BOARD_WL = $(if $(findstring $$(LD) $$(LDFLAGS),$(file <Makefile)),,-Wl$(BOARD_COMMA))
BOARD_COMMA = ,

# The places where this board steps into the port's own code (see the functions named __wrap_...). The port has had some of
# them only after 1.25.
BOARD_WRAPS = mp_semihosting_init uart_rx_chr mp_hal_stdio_poll ticks_init mp_vfs_rom_ioctl
BOARD_WRAPS += mp_hal_ticks_cpu mp_hal_ticks_us mp_hal_ticks_ms mp_hal_delay_us mp_hal_delay_ms
LDFLAGS += $(BOARD_WRAPS:%=$(BOARD_WL)--wrap=%)

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
SRC_C += start.c console.c ticks.c romfs.c probe.c shared/timeutils/timeutils.c
vpath %.c $(BOARD_DIR)

# The garbage-collected heap of a NUCLEO_F439ZI build without network (../shared/references.md, section 1, of the project).
# RAM_KB=320 is 128 KB more than the chip has, all for the heap: a native .mpy lies there with its code, and the tests are large.
RAM_KB ?= 192
MICROPY_HEAP_SIZE = $(shell echo $$((166368 + ($(RAM_KB) - 192) * 1024)))
CFLAGS += -DBOARD_RAM_KB=$(RAM_KB)
LDFLAGS += $(BOARD_WL)--defsym=_ram_kb=$(RAM_KB)

# For a file system in memory (tests/qemu/ramdisk.py); the chip's is FAT, too.
MICROPY_VFS_FAT = 1

# No frozen Python: mpy-cross and micropython-lib are not needed.
FROZEN_MANIFEST ?=
MPY_CROSS_FLAGS += -march=armv7emsp
