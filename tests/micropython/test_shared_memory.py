# Buffers that overlap, and arenas that two models share: an exception or the right answer.

import gc
from array import array

import inputs
import rnnpool


def attempt(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return type(error).__name__


tiny = inputs.read("tiny.rnnp")
case = inputs.cases("tiny")[0]
pixels = inputs.pixels(case)
expected = inputs.expected(case)
row = len(pixels) // case["height"]
rgb = next(c for c in inputs.cases("classifier") if c["format"] == rnnpool.GRAY8)  # of the model's own size
picture = inputs.pixels(rgb)
chances = rnnpool.Model(inputs.read("classifier.rnnp")).classify(picture)

print("out in the blob")
source = bytearray(tiny)
model = rnnpool.Model(source)
for at in (0, 128, len(tiny) - 20):
    out = memoryview(source)[at:]
    print(attempt(model.detect, pixels, out=out), attempt(model.detect, pixels) == expected)
    print(attempt(model.result, out=out), model.result() == expected)
print(source == tiny)
source = bytearray(inputs.read("classifier.rnnp"))
model = rnnpool.Model(source)
print(attempt(model.classify, picture, out=memoryview(source)[200:]), model.classify(picture) == chances)
print(attempt(model.result, out=memoryview(source)[200:]), model.result() == chances)
source = bytearray(inputs.read("classifier_01_rnnpool.rnnp"))
layer = rnnpool.RNNPool(source)
blob = bytes(source)
line = bytes(layer.input_shape[1] * layer.input_shape[2])
for at in (0, 64, 128, 192):
    print(attempt(layer.feed, line, memoryview(source)[at:]), source == blob, layer.feed(line, bytearray(1000)))
print(attempt(layer.feed, memoryview(source)[: len(line)], bytearray(1000)))

print("out in the frame or row")
frame = bytearray(pixels)
model = rnnpool.Model(tiny)
print(attempt(model.detect, frame, out=memoryview(frame)[100:]), attempt(model.detect, frame, out=frame))
frame = bytearray(picture)
model = rnnpool.Model(inputs.read("classifier.rnnp"))
print(attempt(model.classify, frame, out=frame), model.classify(frame) == chances)
both = bytearray(2000)
layer.begin()
print(attempt(layer.feed, memoryview(both)[: len(line)], memoryview(both)[len(line) - 1 :]))
print(layer.feed(memoryview(both)[: len(line)], memoryview(both)[len(line) :]))

print("out in the arena")
memory = bytearray(model.ram + 1007)
model = rnnpool.Model(inputs.read("classifier.rnnp"), arena=memory)
for at in (0, model.ram - 8):
    print(attempt(model.classify, picture, out=memoryview(memory)[at : at + 8]), model.classify(picture) == chances)
print(attempt(model.classify, picture, out=memoryview(memory)[model.ram + 8 :]), model.result() == chances)

print("items")
head = rnnpool.Head(inputs.read("tiny_03_head.rnnp"))
line = bytes(head.input_shape[1] * head.input_shape[2])
row_of_layer = bytes(layer.input_shape[1] * layer.input_shape[2])
layer.begin()
for kind in "fiIHhb":
    print(attempt(head.feed, line, array(kind, bytes(800))), attempt(layer.feed, row_of_layer, array(kind, bytes(800))))

print("two models, one arena, the same rows")
memory = bytearray(max(rnnpool.required_ram(tiny), rnnpool.required_ram(inputs.read("segmented.rnnp"))) + 2007)
first = rnnpool.Model(tiny, arena=memory)
for guest_memory in (memory, memoryview(memory), memoryview(memory)[1000:], memoryview(memory)[:-1000]):
    second = rnnpool.Model(tiny, arena=guest_memory)
    for rows in (0, 1, 12, 24):
        first.begin()
        first.feed(pixels[: rows * row])
        second.begin()
        second.feed(bytes(rows * row))
        print(attempt(first.feed, pixels[rows * row :]), attempt(first.result), end=" ")
        second.feed(bytes(len(pixels) - rows * row))
        print(second.result() == first.detect(bytes(len(pixels))), attempt(second.result))

# Many models, an arena each, do not disturb one another.
parts = [rnnpool.Model(tiny, arena=bytearray(rnnpool.required_ram(tiny) + 7)) for _ in range(12)]
for part in parts:
    part.begin()
    part.feed(pixels[: 5 * row])
answers = [attempt(part.feed, pixels[5 * row :]) for part in parts]
print(answers == [0] * 12, all(part.result() == expected for part in parts))
# Nor do they let one of them forget that another took its arena.
parts.append(rnnpool.Model(tiny, arena=memory))
first.begin()
first.feed(pixels[: 5 * row])
for part in reversed(parts):
    part.begin()
    part.feed(bytes(5 * row))
print(attempt(first.feed, pixels[5 * row :]))

# A blob in another model's arena.
first = second = model = memory = guest_memory = part = parts = None
gc.collect()
memory = bytearray(1024 + max(len(tiny), rnnpool.required_ram(tiny)))
memory[1024 : 1024 + len(tiny)] = tiny
inner = rnnpool.Model(memoryview(memory)[1024 : 1024 + len(tiny)])
inner.begin()
inner.feed(pixels[:row])
outer = rnnpool.Model(tiny, arena=memoryview(memory)[256:])
outer.begin()
print(attempt(inner.feed, pixels[row:]))
