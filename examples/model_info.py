# Shows what a model is and what it costs on this board, and checks that the board computes it right.
#
#     build/unix/micropython examples/model_info.py face
import sys
import time

import rnnpool

try:
    from time import ticks_diff, ticks_ms
except ImportError:  # CPython

    def ticks_ms():
        """As MicroPython's."""
        return round(1000 * time.monotonic())

    def ticks_diff(end, begin):
        """As MicroPython's."""
        return end - begin


if len(sys.argv) < 2:
    print("usage: micropython examples/model_info.py model")
    sys.exit(2)
model = rnnpool.Model(sys.argv[1])
print(model)
print("%-20s %14s %10s %12s" % ("operator", "output", "arena", "mul-adds"))
for kind, (height, width, channels), arena, macs in model.layers():
    print("%-20s %14s %10d %12d" % (kind, "%dx%dx%d" % (width, height, channels), arena, macs))
start = ticks_ms()
right = model.selftest()
print("selftest %s, %d ms" % ("passed" if right else "FAILED", ticks_diff(ticks_ms(), start)))
