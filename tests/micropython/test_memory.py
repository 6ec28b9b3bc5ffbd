# Too little memory is a MemoryError that says how much is needed and how much there is, and the interpreter goes on.

import gc

import inputs
import micropython
import rnnpool
import uctypes

blob = inputs.read("tiny.rnnp")
case = inputs.cases("tiny")[0]
pixels = inputs.pixels(case)
best = inputs.expected(case)[0]
needed = rnnpool.required_ram(blob)


def numbers(error):
    # The numbers in an exception's text, None if the firmware has no texts.
    if not error.args:
        return None
    digits = "".join(c if c.isdigit() else " " for c in error.args[0])
    return [int(word) for word in digits.split()]


def attempt(make):
    # The numbers of the MemoryError.
    try:
        make()
        print("no exception")
    except MemoryError as error:
        return numbers(error)


# The caller's arena: one byte less than needed at an aligned address.
for size in (0, 1, 7, 8, 100, needed - 1):
    said = attempt(lambda: rnnpool.Model(blob, arena=bytearray(size)))
    print(said is None or said[0] == needed and said[1] <= size)
for skip in range(8):
    memory = bytearray(needed + 16)
    model = rnnpool.Model(blob, arena=memoryview(memory)[skip : skip + needed + 7])
    if model.detect(pixels) != inputs.expected(case):
        print("wrong with arena at", skip)

# As many bytes as are needed, but not at a multiple of 8: what the alignment takes is missing.
memory = bytearray(needed + 16)
for skip in range(1, 8):
    said = attempt(lambda: rnnpool.Model(blob, arena=memoryview(memory)[skip : skip + needed]))
    if said is not None and said != [needed, needed - 8 + skip]:
        print("wrong numbers", said)

# A frame that needs more than the arena has; the model goes on with those that fit.
large = inputs.cases("tiny")[9]
model = rnnpool.Model(blob, arena=bytearray(needed + 7))
more = rnnpool.required_ram(blob, width=large["width"], height=large["height"])
print(more > needed)
said = attempt(lambda: model.detect(inputs.pixels(large), **inputs.arguments(large)))
print(said is None or (said[0] > needed and needed <= said[1] <= needed + 7))
print(model.detect(pixels) == inputs.expected(case))
# An arena on the heap grows, once.
model = rnnpool.Model(blob)
print(
    model.detect(inputs.pixels(large), **inputs.arguments(large)) == inputs.expected(large), needed < model.ram <= more
)
model = rnnpool.Model(blob, width=large["width"], height=large["height"])
print(model.ram == more)
model = rnnpool.Model(blob, arena=bytearray(more + 7))
print(model.detect(inputs.pixels(large), **inputs.arguments(large)) == inputs.expected(large))

# 4096x2 needs the most of all frames, as typings/rnnpool.pyi says: for programs that do not know what comes.
most = rnnpool.required_ram(blob, width=4096, height=2)
sides = (1, 2, 7, 23, 24, 25, 31, 32, 33, 64, 640, 4095, 4096)
print(max(rnnpool.required_ram(blob, width=width, height=height) for width in sides for height in sides) == most)

# The heap is full but for some holes, which the exception's text needs but which are too small for the arena.
path = inputs.path("tiny.rnnp")


def fill():
    # All of the heap, as a chain of blocks.
    chain = None
    gc.collect()
    try:
        while True:
            chain = [chain, bytearray(needed // 4)]
    except MemoryError:
        return chain


block = caught = error = i = made = refused = None  # a new name needs memory too
hog = fill()
block = hog
for i in range(10):
    block[1] = None
    block = block[0][0]
try:
    rnnpool.Model(blob)
except MemoryError as error:  # noqa: F811
    caught = error
hog = block = None
gc.collect()
said = numbers(caught)
print(said is None or (said[0] == needed and 0 < said[2] < needed and said[1] >= said[2]))

# With the heap filled and given back bit by bit, a model is made or it is a MemoryError, and then all is well.
hog = fill()
while hog:
    hog = hog[0]
    try:
        made = rnnpool.Model(path).detect(pixels, max_faces=4)[0] == best and made is not False
    except MemoryError:
        refused = True
print(made, refused)
print(rnnpool.Model(blob).detect(pixels) == inputs.expected(case))

# The heap is locked.
model = rnnpool.Model(blob)
micropython.heap_lock()
try:
    rnnpool.Model(blob)
    refused = False
except MemoryError:
    refused = True
try:
    model.detect(pixels)
    full = False
except MemoryError:
    full = True
micropython.heap_unlock()
print(refused, full, model.detect(pixels) == inputs.expected(case))

# All options of frames: what is required is enough, and a byte less is not.
for given in (
    {},
    {"gain": "auto"},
    {"scale": 0.5},
    {"scale": (1, 0.5), "gain": "auto"},
    {"rotate": 90},
    {"roi": (3, 2, 9, 5)},
):
    ram = rnnpool.required_ram(blob, width=32, height=24, **given)
    model = rnnpool.Model(blob, arena=bytearray(ram + 7))
    model.detect(bytes(32 * 24), width=32, height=24, **given)
    print(model.ram == ram)
    arena = bytearray(ram + 7)
    shift = -uctypes.addressof(arena) % 8  # an aligned arena of exactly so many bytes, less one
    try:
        rnnpool.Model(blob, arena=memoryview(arena)[shift : shift + ram - 1]).detect(
            bytes(32 * 24), width=32, height=24, **given
        )
        print("too small an arena is taken")
    except MemoryError:
        print("refused")
print(
    rnnpool.required_ram(blob, width=32, height=24, format=rnnpool.RGB565, stride=64)
    == rnnpool.required_ram(blob, width=32, height=24)
)
for given in ({"gain": 9}, {"roi": (0, 0, 33, 1)}, {"scale": 2}, {"rotate": 5}, {"format": 1}, {"stride": -1}):
    try:
        print(rnnpool.required_ram(blob, width=32, height=24, **given))
    except ValueError:
        print("refused")
