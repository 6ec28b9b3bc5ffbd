"""What MicroPython adds to modules that CPython has."""

import gc
import time

for name, function in {"mem_alloc": lambda: 0, "mem_free": lambda: 1 << 30}.items():
    setattr(gc, name, function)
for name, function in {
    "ticks_ms": lambda: time.monotonic_ns() // 1_000_000,
    "ticks_us": lambda: time.monotonic_ns() // 1_000,
    "ticks_diff": lambda end, start: end - start,
}.items():
    setattr(time, name, function)
