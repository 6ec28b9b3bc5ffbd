# Upstream's NUCLEO_F446RE with room for a model: BOARD_DIR=<this folder>. ../../README.md.
# MicroPython's ports/stm32 is the current folder here.

RNNPOOL_FLASH_LD := $(abspath $(BOARD_DIR)/../f4_512k.ld)

# All else of the board is upstream's.
override BOARD_DIR := boards/NUCLEO_F446RE
include $(BOARD_DIR)/mpconfigboard.mk

LD_FILES = $(RNNPOOL_FLASH_LD) boards/common_ifs.ld
TEXT1_ADDR = 0x08010000
