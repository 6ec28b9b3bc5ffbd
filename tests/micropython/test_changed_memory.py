# Memory of the script's that changes between calls: blob, arena, frames. An exception or the right answer, and the
# model works again when its memory is put right.

import gc

import inputs
import rnnpool

blob = inputs.read("tiny.rnnp")
case = inputs.cases("tiny")[0]
pixels = inputs.pixels(case)
expected = inputs.expected(case)


def attempt(call, *args, **kwargs):
    try:
        result = call(*args, **kwargs)
        print("right" if result == expected else result)
    except Exception as error:
        print(type(error).__name__)


keep = []


def move(buffer):
    # Makes a bytearray longer with no room behind it: it must go elsewhere.
    keep.clear()
    gc.collect()
    for size in (16, 64, 256, 1024, len(buffer), len(buffer) + 256):
        keep.append(bytearray(size))
    buffer.extend(bytes(256))
    keep.clear()


print("blob")
source = bytearray(blob)
model = rnnpool.Model(source)
attempt(model.detect, pixels)
move(source)
attempt(model.detect, pixels)
print(model.name, model.in_place)
for at in (0, 22, 70, 128, 200, 1000, len(blob) - 20):
    source[at] ^= 0x40
    attempt(model.detect, pixels)
    attempt(model.begin)
    attempt(model.layers)
    source[at] ^= 0x40
    attempt(model.detect, pixels)
source[:] = b""
attempt(model.detect, pixels)
attempt(model.selftest)
attempt(lambda: model.ram)
attempt(lambda: model.name)
source[:] = blob
attempt(model.detect, pixels)
# Another model in the same place.
second = inputs.read("segmented.rnnp")
source[:] = second
print(model.input_shape)
attempt(model.detect, bytes(40 * 32 * 3 + 1))
rgb = {"format": rnnpool.RGB888}
print(model.detect(bytes(40 * 32 * 3), **rgb) == rnnpool.Model(second).detect(bytes(40 * 32 * 3), **rgb))
source[:] = blob
attempt(model.detect, pixels)


def put(buffer, at, data):
    buffer[at : at + len(data)] = data


print("blob, between rows")
for change in (
    lambda: move(source),
    lambda: put(source, 22, b"\x01"),  # header: number of operators
    lambda: put(source, 24, b"\xf0\xff\xff\x7f"),  # header: where they are
    lambda: put(source, 192, b"\xff\xff\xff\xff"),  # an operator's record
    lambda: put(source, 0, second),
):
    source[:] = blob
    model.begin()
    model.feed(pixels[:320])
    change()
    attempt(model.feed, pixels[320:])
    attempt(model.result)
    source[:] = blob
    attempt(model.detect, pixels)

print("arena")
arena = bytearray(model.ram + 7)
model = rnnpool.Model(blob, arena=arena)
attempt(model.detect, pixels)
move(arena)
attempt(model.detect, pixels)
for change in (lambda: move(arena), lambda: put(arena, 0, b"\xff" * 600)):
    model.begin()
    model.feed(pixels[:320])
    change()
    attempt(model.feed, pixels[320:])
    attempt(model.result)
    attempt(model.detect, pixels)
    change()
    attempt(model.result)
arena[:] = bytes(100)
attempt(model.detect, pixels)
arena[:] = b""
attempt(model.detect, pixels)
arena.extend(bytes(model.ram + 7))
attempt(model.detect, pixels)

print("two models, one arena")
arena = bytearray(max(rnnpool.required_ram(blob), rnnpool.required_ram(second)) + 7)
model = rnnpool.Model(blob, arena=arena)
guest = rnnpool.Model(second, arena=arena)
rgb = inputs.cases("segmented")[0]
for _ in range(2):
    attempt(model.detect, pixels)
    print(guest.detect(inputs.pixels(rgb), format=rnnpool.RGB888) == inputs.expected(rgb))
model.begin()
model.feed(pixels[:320])
guest.detect(inputs.pixels(rgb), format=rnnpool.RGB888)
attempt(model.feed, pixels[320:])
attempt(model.detect, pixels)
print(guest.detect(inputs.pixels(rgb), format=rnnpool.RGB888) == inputs.expected(rgb))
attempt(model.result)

print("shared memory")
memory = bytearray(len(blob) + 20000)
memory[: len(blob)] = blob
for at in (0, 8, len(blob) - 1):
    attempt(lambda: rnnpool.Model(memory, arena=memoryview(memory)[at:]).detect(pixels))
arena = bytearray(20000)
arena[10000 : 10000 + len(pixels)] = pixels
model = rnnpool.Model(blob, arena=memoryview(arena)[:10007])
attempt(model.detect, memoryview(arena)[10000 : 10000 + len(pixels)])
attempt(model.detect, memoryview(arena)[1000 : 1000 + len(pixels)])
attempt(model.detect, pixels, out=memoryview(arena)[:640])
attempt(model.detect, pixels)

print("layer")
blob = inputs.read("classifier_01_rnnpool.rnnp")
source = bytearray(blob)
layer = rnnpool.RNNPool(source)
row = bytes(layer.input_shape[1] * layer.input_shape[2])
out = bytearray(layer.output_shape[1] * layer.output_shape[2])
record = int.from_bytes(blob[24:28], "little")
for change in (
    lambda: put(source, 24, b"\xf0\xff\xff\x7f"),
    lambda: put(source, record + 18, b"\0"),  # stride
    lambda: move(source),
):
    for begun in (True, False):
        source[:] = blob
        layer.begin()
        print(layer.feed(row, out) if begun else layer.selftest())
        change()
        try:
            print(layer.feed(row, out))
        except Exception as error:
            print(type(error).__name__)
        source[:] = blob
        print(layer.selftest())
