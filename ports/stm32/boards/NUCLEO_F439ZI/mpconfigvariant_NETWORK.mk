# What upstream's firmware has: Ethernet, TLS, the whole file system.

# All else of the board (pins.csv, stm32f4xx_hal_conf.h, manifest.py) is upstream's.
override BOARD_DIR := boards/NUCLEO_F439ZI
