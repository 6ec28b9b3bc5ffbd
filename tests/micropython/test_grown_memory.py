# Memoryviews whose bytearray grows: an exception or the right answer, and no other object is touched.

import gc

import inputs
import micropython
import rnnpool

if inputs.NATIVE:
    inputs.skip("a native .mpy can't find out what a memoryview is a view of")


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
gray = next(c for c in inputs.cases("classifier") if c["format"] == rnnpool.GRAY8)  # of the model's own size
picture = inputs.pixels(gray)
memory = None


def neighbours():
    # Objects of all sizes that take the place of what a bytearray leaves.
    made = [bytearray(b"\x5a" * size) for size in (20, 100, 500, 2000, len(memory))]
    made += [bytearray(b"\x5a" * size) for size in (30, 1000, 3000)]
    return made


def untouched(objects):
    return all(item == b"\x5a" * len(item) for item in objects)


def grow(buffer):
    keep = bytearray(16)
    buffer.extend(bytes(4000))
    return keep


needed = rnnpool.required_ram(tiny)
wrong = damaged = 0
for i in range(100):
    memory = model = others = None
    gc.collect()
    memory = bytearray(needed + 27)
    wall = bytearray(2000)
    model = rnnpool.Model(tiny, arena=memoryview(memory)[i % 20 :])
    begun = i % 3
    if begun:
        model.begin()
        model.feed(pixels[: begun * row])
    grow(memory)
    others = neighbours()
    if begun:
        answer = attempt(model.feed, pixels[begun * row :])
        wrong += answer not in (0, "RuntimeError") or (answer == 0 and model.result() != expected)
    for _ in range(2):
        wrong += model.detect(pixels) != expected
    damaged += not untouched(others)
print(wrong, damaged)

# The blob.
wrong = 0
for i in range(30):
    source = model = others = None
    gc.collect()
    source = bytearray(b"1234" * 2 * (i % 3) + tiny)
    model = rnnpool.Model(memoryview(source)[8 * (i % 3) :])
    model.begin()
    model.feed(pixels[:row])
    grow(source)
    others = neighbours()
    answer = attempt(model.feed, pixels[row:])
    wrong += answer not in (0, "RuntimeError") or (answer == 0 and model.result() != expected)
    wrong += model.detect(pixels) != expected
print(wrong)

# `out`, when a callback makes the bytearray grow; and one that it makes smaller.
wrong = damaged = 0
model = rnnpool.Model(tiny)
classifier = rnnpool.Model(inputs.read("classifier.rnnp"))


def on_event(call):
    state = [10]

    def scheduled(_):
        if attempt(model.begin) == "RuntimeError" or attempt(classifier.begin, format=rnnpool.GRAY8) == "RuntimeError":
            call()
        elif state[0]:
            state[0] -= 1
            micropython.schedule(scheduled, 0)

    micropython.schedule(scheduled, 0)


others = []


def grow_out():
    grow(buffer)
    others.extend(neighbours())


for i in range(20):
    for use, frame, size in ((model.detect, pixels, 1000), (classifier.classify, picture, 6)):
        memory = buffer = bytearray(size)
        others.clear()
        on_event(grow_out)
        wrong += attempt(use, frame, out=memoryview(buffer)) not in (len(expected), 3)
        damaged += not untouched(others) or not others
print(wrong, damaged)


def shrink_out():
    buffer[:] = b"1234"


for use, frame in ((model.detect, pixels), (classifier.classify, picture)):
    for size in (10, 1000):
        buffer = bytearray(size)
        on_event(shrink_out)
        print(attempt(use, frame, out=buffer), buffer)
gc.collect()
