# Ctrl-C during inference: a KeyboardInterrupt at the latest after the row that is being computed, and the model works
# afterwards. The signal is sent by a shell, so this is for the unix port; on a board it is tried over the serial line.

import inputs

try:
    from os import system
except ImportError:
    inputs.skip("no shell to send Ctrl-C")
import time

import rnnpool

case = inputs.cases("face_m4")[0]
pixels = inputs.pixels(case)
model = rnnpool.Model(inputs.read("face_m4.rnnp"))
expected = inputs.expected(case)
start = time.ticks_ms()
print(model.detect(pixels) == expected)
one = time.ticks_diff(time.ticks_ms(), start)


def interrupt_soon(delay_ms):
    # $PPID of the shell is this process.
    system("pid=$PPID; (sleep {}; kill -INT $pid) >/dev/null 2>&1 &".format(delay_ms / 1000))


def images():
    while True:
        model.detect(pixels)


def streams():
    while True:
        model.begin()
        for at in range(0, len(pixels), 320):
            model.feed(pixels[at : at + 320])
        model.result()


def tests():
    while True:
        model.selftest()


for work in (images, streams, tests):
    for i in (0, 3):
        interrupt_soon(one * (5 + i) / 4)
        start = time.ticks_ms()
        try:
            work()
        except KeyboardInterrupt:
            print("KeyboardInterrupt", time.ticks_diff(time.ticks_ms(), start) < 2000 + 20 * one)
        print(model.detect(pixels) == expected)

# An image that was interrupted is gone; it does not go on with rows missing.
try:
    interrupt_soon(one)
    images()
except KeyboardInterrupt:
    pass
try:
    print("interrupted" if model.result() == expected else "wrong")
except RuntimeError:
    print("interrupted")
