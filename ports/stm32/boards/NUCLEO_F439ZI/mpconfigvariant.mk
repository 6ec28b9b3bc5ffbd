# Without network: no Ethernet, no TLS. 68 KB more heap, and 48 KB of CCM for an arena.

MICROPY_PY_LWIP = 0
MICROPY_PY_SSL = 0
MICROPY_SSL_MBEDTLS = 0

LD_FILES += $(RNNPOOL_BOARD_DIR)/ccm.ld
FROZEN_MANIFEST = boards/manifest.py

# All else of the board (pins.csv, stm32f4xx_hal_conf.h) is upstream's.
override BOARD_DIR := boards/NUCLEO_F439ZI
