# No heap use during inference, and no address that the collector could take away.

import gc
from array import array

import inputs
import micropython
import rnnpool

for name in ("tiny", "segmented", "face_m4"):
    case = inputs.cases(name)[0]
    pixels = inputs.pixels(case)
    row = len(pixels) // case["height"]
    rows = [memoryview(pixels)[i : i + row] for i in range(0, len(pixels), row)]
    expected = [n for box in case["detections"] for n in box]
    model = rnnpool.Model(inputs.read(name + ".rnnp"))
    out = array("h", bytes(64 * 10))

    micropython.heap_lock()
    count = model.detect(pixels, format=case["format"], threshold=0.5, out=out)
    micropython.heap_unlock()
    print(name, list(out[: 5 * count]) == expected)

    out = array("h", bytes(64 * 10))
    micropython.heap_lock()
    model.begin(format=case["format"], threshold=0.5)
    for r in rows:
        model.feed(r)
    count = model.result(out=out)
    micropython.heap_unlock()
    print(name, list(out[: 5 * count]) == expected)

    # The same by count.
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(3):
        model.detect(pixels, format=case["format"], out=out)
    print(gc.mem_alloc() - before < 200)

# The collector between any two calls, with nothing but the model to keep its memory.
case = inputs.cases("tiny")[0]
pixels = inputs.pixels(case)


def clutter():
    # What was freed is overwritten.
    gc.collect()
    for n in (8, 40, 200, 1000, 4000, 12000):
        try:
            bytearray(b"\xa5" * n)
        except MemoryError:  # beside a native .mpy, which lies in the heap itself, there may be no piece of this size
            break
    gc.collect()


for source in (
    lambda: inputs.read("tiny.rnnp"),
    lambda: bytearray(inputs.read("tiny.rnnp")),
    lambda: memoryview(bytearray(b"1234567" + inputs.read("tiny.rnnp")))[7:],
):
    for arena in (lambda: None, lambda: bytearray(20000)):
        clutter()
        model = rnnpool.Model(source(), arena=arena())
        clutter()
        model.begin()
        for i in range(0, len(pixels), 32):
            clutter()
            model.feed(pixels[i : i + 32])
        clutter()
        print(model.result() == inputs.expected(case))
        clutter()
        print(model.detect(pixels) == inputs.expected(case), model.selftest())
