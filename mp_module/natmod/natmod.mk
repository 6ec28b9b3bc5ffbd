# rnnpool as a native .mpy, built by MicroPython's own rules (py/dynruntime.mk). The repository's `make natmod ARCH=...` calls it;
# by hand, in a folder of its own with a Makefile that includes this file:
#
#     make ARCH=armv6m MPY_DIR=<MicroPython> PYTHON=<python with pyelftools and ar> RNNPOOL_DIR=<mp_module>
#
# ARCH: x64 armv6m armv7m armv7emsp armv7emdp rv32imc xtensawin (sys.implementation._mpy of a board says which it wants).
# RNNPOOL_WITHOUT: what no model needs, left out: kinds of operator and other names of engine/left_out.h, e.g. "RNNPOOL TFLITE"; auto:
# all that none of RNNPOOL_MODELS needs (names of files in models/, or paths of .rnnp files). A model that does is then refused.
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

CFLAGS_EXTRA += -I$(RNNPOOL_DIR) -ffunction-sections -fdata-sections

# MicroPython's linker takes every section of every object, and code of a .mpy lies on the heap. So it gets one object, of what
# can be reached from the entry (override: dynruntime.mk would add all others).
OBJECTS := $(addprefix $(BUILD)/,$(patsubst %.c,%.o,$(filter %.c,$(SRC))))
override SRC_O := $(BUILD)/rnnpool.o

# Wide multiplications and divisions of smaller processors.
ifneq ($(filter-out x64,$(ARCH)),)
LINK_RUNTIME = 1
endif

RNNPOOL_EMBED := $(RNNPOOL_DIR)/embed_models.py
include $(RNNPOOL_DIR)/left_out.mk
ifneq ($(filter CHECKS,$(RNNPOOL_LEFT_OUT)),)
$(error rnnpool: RNNPOOL_WITHOUT=CHECKS is for firmware with built-in models; a native module has none)
endif
$(BUILD)/engine/%.o: CFLAGS_EXTRA += $(RNNPOOL_LEFT_OUT:%=-DRNNP_WITH_%=0)

# As in micropython.mk: -O2 for the kernels. The loops of libc.c must not become calls of themselves.
$(BUILD)/engine/arch/%.o $(BUILD)/engine/frame/%.o $(BUILD)/engine/kernels/port%.o: CFLAGS_EXTRA += -O2
$(BUILD)/natmod/libc.o: CFLAGS_EXTRA += -fno-tree-loop-distribute-patterns -fno-builtin

include $(MPY_DIR)/py/dynruntime.mk

# What was compiled with another list is compiled again.
LEFT_OUT_LIST := $(BUILD)/left_out.txt
$(shell mkdir -p $(BUILD); echo "$(RNNPOOL_LEFT_OUT)" | cmp -s - $(LEFT_OUT_LIST) || echo "$(RNNPOOL_LEFT_OUT)" > $(LEFT_OUT_LIST))
$(OBJECTS): $(LEFT_OUT_LIST)

OBJECT_DIRS := $(filter-out $(BUILD_DIRS),$(sort $(dir $(OBJECTS))))
$(OBJECTS): | $(OBJECT_DIRS)
$(OBJECT_DIRS):
	$(Q)$(MKDIR) -p $@

$(SRC_O): $(OBJECTS)
	$(ECHO) "LD $@"
	$(Q)$(CROSS)ld $(if $(filter rv32%,$(ARCH)),-melf32lriscv) -r --gc-sections --entry=mpy_init -o $@ $^

# Of the compiler's libraries that alone: libc.c has the rest, and the linker would take both.
ifeq ($(LINK_RUNTIME),1)
MPY_LD_FLAGS := -l$(LIBGCC_PATH)
endif
