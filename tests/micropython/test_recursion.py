# Calls near Python's limit of recursion: what does not fit on the C stack is a RuntimeError, and then all goes on.

import inputs
import rnnpool

blob = inputs.read("tiny.rnnp")
case = inputs.cases("tiny")[0]
pixels = inputs.pixels(case)
expected = inputs.expected(case)
model = rnnpool.Model(blob)
layer = rnnpool.Conv2D(inputs.read("tiny_00_conv.rnnp"))
classifier = rnnpool.Model(inputs.read("classifier.rnnp"))
gray = next(c for c in inputs.cases("classifier") if c["format"] == rnnpool.GRAY8)  # of the model's own size
picture = inputs.pixels(gray)
chances = classifier.classify(picture)
row = bytes(layer.input_shape[1] * layer.input_shape[2])
out = bytearray(layer.output_shape[1] * layer.output_shape[2])
records = bytearray(640)


def dive(depth, call):
    return call() if depth == 0 else dive(depth - 1, call)


def stream():
    model.begin()
    model.feed(pixels)
    return model.result() == expected


def limit():
    # Calls of dive() that fit.
    low, high = 1, 100000
    while low < high:
        middle = (low + high + 1) // 2
        try:
            dive(middle, int)
            low = middle
        except RuntimeError:
            high = middle - 1
    return low


deepest = limit()
for name, call in (
    ("detect", lambda: model.detect(pixels) == expected),
    ("out", lambda: model.detect(pixels, out=records) == len(expected)),
    ("classify", lambda: classifier.classify(picture) == chances),
    ("stream", stream),
    ("selftest", model.selftest),
    ("Model", lambda: rnnpool.Model(blob).ram == model.ram),
    ("ram", lambda: rnnpool.required_ram(blob) == model.ram),
    ("layer", lambda: layer.feed(row, out) in (True, False)),
    ("layer selftest", layer.selftest),
):
    said = []
    for depth in list(range(deepest - 40, deepest)) + [0]:
        try:
            said.append(dive(depth, call))
        except RuntimeError:
            said.append(None)
            layer.begin()
    # Right up to some depth, then refused.
    print(name, said.count(False), said[0], said[39], said[40])
