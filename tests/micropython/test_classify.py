# Probabilities equal what the integer reference predicts, whole or in rows; wrong calls are refused.

import gc
from array import array

import inputs
import micropython
import rnnpool

blob = inputs.read("classifier.rnnp")
model = rnnpool.Model(blob)
print(model.task, model.labels, model.input_shape, [layer[0] for layer in model.layers()])
print(model.ram == rnnpool.required_ram(blob), model.selftest())

for case in inputs.cases("classifier"):
    given = inputs.arguments(case)
    pixels = inputs.pixels(case)
    right = inputs.expected(case)
    if model.classify(pixels, **given) != right or model.result() != right:
        print("wrong:", case["name"])
    row = len(pixels) // case["height"]
    for rows in (1, 3, 4096):
        model.begin(**given)
        for at in range(0, len(pixels), rows * row):
            wanted = model.feed(memoryview(pixels)[at : at + rows * row])
        if wanted != 0 or model.result() != right:
            print("wrong in rows:", case["name"], rows)
    del given["format"]
    try:
        if model.classify(pixels, **given) != right or case["format"] != rnnpool.GRAY8:
            print("wrong without format:", case["name"])
    except ValueError:  # RGB888 or BGR888, RGB565 or YUV: to be said
        pass

RGB = rnnpool.RGB888
case = inputs.cases("classifier")[0]
pixels, right = inputs.pixels(case), inputs.expected(case)
print(len(right), all(isinstance(p, float) and 0 <= p < 1 for p in right), abs(sum(right) - 1) < 0.001)


def attempt(what, *args, **kwargs):
    try:
        print(what(*args, **kwargs))
    except Exception as error:
        print(type(error).__name__)


print("arguments")
attempt(model.classify)
attempt(model.classify, pixels)
attempt(model.begin)
attempt(model.classify, pixels, pixels)
attempt(model.classify, b"")
attempt(model.classify, pixels[:-1], format=RGB)
attempt(model.classify, "x" * len(pixels))
attempt(model.classify, pixels, width=47, format=RGB)
attempt(model.classify, pixels, format=9)
attempt(model.classify, pixels, format=RGB, threshold=0.5)
attempt(model.detect, pixels)
attempt(model.begin, format=RGB, threshold=0.5)
attempt(model.begin, format=RGB, scale=0.5)
model.classify(pixels, format=RGB)
attempt(model.result, iou=0.5)
attempt(model.result, max_faces=2)
attempt(model.feed, pixels[:144])
model.begin(format=RGB)
attempt(model.result)
attempt(rnnpool.Model(inputs.read("tiny.rnnp")).classify, bytes(768))

print("out")
for out in (5, bytes(6), "x" * 6, array("i", [0] * 3), array("h", [0] * 2), bytearray(5)):
    attempt(model.classify, pixels, format=RGB, out=out)
values = list(case["probabilities"])
for out in (array("h", bytes(6)), bytearray(6), memoryview(bytearray(9))[1:]):
    print(model.classify(pixels, format=RGB, out=out) == 3, list(array("h", bytes(out)[:6])) == values)
    print(model.result(out=out) == 3, list(array("h", bytes(out)[:6])) == values)

# Nothing is allocated with `out`.
out = array("h", bytes(6))
row = len(pixels) // case["height"]
rows = [memoryview(pixels)[i : i + row] for i in range(0, len(pixels), row)]
micropython.heap_lock()
model.classify(pixels, format=RGB, out=out)
micropython.heap_unlock()
print(list(out) == values)
out = array("h", bytes(6))
micropython.heap_lock()
model.begin(format=RGB)
for r in rows:
    model.feed(r)
model.result(out=out)
micropython.heap_unlock()
print(list(out) == values)

# A detector and a classifier take turns in one arena; so do the collector and they.
arena = bytearray(7 + max(rnnpool.required_ram(inputs.read(name)) for name in ("tiny.rnnp", "classifier.rnnp")))
one = rnnpool.Model(inputs.read("tiny.rnnp"), arena=arena)
other = rnnpool.Model(blob, arena=arena)
face = inputs.cases("tiny")[0]
for _ in range(2):
    gc.collect()
    print(one.detect(inputs.pixels(face)) == inputs.expected(face), other.classify(pixels, format=RGB) == right)
