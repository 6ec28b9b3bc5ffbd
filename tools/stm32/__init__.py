"""What a firmware for an STM32 board takes and leaves: `python -m tools.stm32 --help`."""
