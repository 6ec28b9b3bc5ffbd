# Upstream's NUCLEO_WB55 with room for a model: BOARD_DIR=<this folder>. ../../README.md.
# MicroPython's ports/stm32 is the current folder here.

# All else of the board is upstream's.
override BOARD_DIR := boards/NUCLEO_WB55
include $(BOARD_DIR)/mpconfigboard.mk

# Of the 256 KB that the file system has, code takes the first 128. Above both is the firmware of the radio.
RNNPOOL_FLASH_LD := $(BUILD)/rnnpool_wb55.ld
$(shell mkdir -p $(BUILD) && sed -e '/FLASH (rx)/s/512K/640K/' \
    -e '/FLASH_FS/s/0x08080000, LENGTH = 256K/0x080a0000, LENGTH = 128K/' boards/stm32wb55xg.ld > $(RNNPOOL_FLASH_LD))
ifneq ($(shell grep -c -e '0x08000000, LENGTH = 640K' -e '0x080a0000, LENGTH = 128K' $(RNNPOOL_FLASH_LD)),2)
$(error rnnpool: boards/stm32wb55xg.ld of this MicroPython is another than ports/stm32/boards/NUCLEO_WB55 expects)
endif
LD_FILES := $(patsubst boards/stm32wb55xg.ld,$(RNNPOOL_FLASH_LD),$(LD_FILES))
