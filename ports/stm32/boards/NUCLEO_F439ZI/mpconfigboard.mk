# Upstream's NUCLEO_F439ZI with models in flash: BOARD_DIR=<this folder> [BOARD_VARIANT=NETWORK]. ../../README.md.
# MicroPython's ports/stm32 is the current folder here.

include boards/NUCLEO_F439ZI/mpconfigboard.mk

RNNPOOL_BOARD_DIR := $(abspath $(BOARD_DIR))

# Found before upstream's mpconfigboard.h, which it includes.
CFLAGS += -I$(RNNPOOL_BOARD_DIR)
QSTR_GLOBAL_DEPENDENCIES += $(RNNPOOL_BOARD_DIR)/mpconfigboard.h

LD_FILES += $(RNNPOOL_BOARD_DIR)/romfs.ld
