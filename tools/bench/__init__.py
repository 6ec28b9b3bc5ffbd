"""Cycles of the engine on a Cortex-M4, counted on an emulator: `python -m tools.bench --help`."""
