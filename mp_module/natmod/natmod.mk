# rnnpool as a native .mpy, built by MicroPython's own rules (py/dynruntime.mk). The repository's `make natmod ARCH=...` calls it;
# by hand, in a folder of its own with a Makefile that includes this file:
#
#     make ARCH=armv6m MPY_DIR=<MicroPython> PYTHON=<python with pyelftools and ar> RNNPOOL_DIR=<mp_module>
#
# ARCH: x64 armv6m armv7m armv7emsp armv7emdp rv32imc xtensawin (sys.implementation._mpy of a board says which it wants).
# Makes rnnpool.mpy there.

MOD = rnnpool
BUILD = obj

vpath %.c $(RNNPOOL_DIR)
vpath %.h $(RNNPOOL_DIR)
vpath %.py $(RNNPOOL_DIR)
in_module = $(patsubst $(RNNPOOL_DIR)/%,%,$(sort $(wildcard $(addprefix $(RNNPOOL_DIR)/,$(1)))))

# binding.h is no source, but names are looked for in it. The kernels in assembly language only where they can run.
SRC = $(filter-out binding/firmware.c,$(call in_module,binding/*.c)) binding/binding.h $(call in_module,natmod/*.c) \
    natmod/start.py $(call in_module,engine/*.c) \
    $(if $(filter armv7em%,$(ARCH)),$(call in_module,engine/*/*.c),$(filter-out engine/arch/%,$(call in_module,engine/*/*.c)))

CFLAGS_EXTRA += -I$(RNNPOOL_DIR)

# Wide multiplications and divisions of smaller processors.
ifneq ($(filter-out x64,$(ARCH)),)
LINK_RUNTIME = 1
endif

# As in micropython.mk: -O2 for the kernels. The loops of libc.c must not become calls of themselves.
$(BUILD)/engine/arch/%.o $(BUILD)/engine/frame/%.o $(BUILD)/engine/kernels/port%.o: CFLAGS_EXTRA += -O2
$(BUILD)/natmod/libc.o: CFLAGS_EXTRA += -fno-tree-loop-distribute-patterns -fno-builtin

include $(MPY_DIR)/py/dynruntime.mk

# Of the compiler's libraries that alone: libc.c has the rest, and the linker would take both.
ifeq ($(LINK_RUNTIME),1)
MPY_LD_FLAGS := -l$(LIBGCC_PATH)
endif
