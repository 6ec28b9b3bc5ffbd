# Single operators, chained by a script, give the bytes that the whole model has between its operators.

import binascii
import gc
import json
from array import array

import inputs
import micropython
import rnnpool


def entries(name):
    with open(inputs.path(name + "_layers.json")) as file:
        return json.load(file)


def out_row(layer):
    height, width, channels = layer.output_shape
    dense = type(layer) is rnnpool.Dense
    return array("h", bytes(2 * width * channels)) if dense else bytearray(width * channels)


def chain(layers, rows, crcs, index, row):
    # Pushes a row through layers[index:], counting the CRC-32 of each one's rows.
    if index == len(layers):
        return
    layer, out = layers[index], rows[index]
    more = layer.feed(row, out)
    while more:
        crcs[index] = binascii.crc32(out, crcs[index])
        chain(layers, rows, crcs, index + 1, out)
        more = layer.feed(None, out)


for name in ("classifier", "front"):
    gc.collect()
    layers = [getattr(rnnpool, e["class"])(inputs.read(e["file"])) for e in entries(name)]
    for layer in layers:
        print(layer.name, layer.input_shape, layer.output_shape, layer.selftest())
    pixels = memoryview(inputs.read(name + "_golden.raw"))
    height, width, channels = layers[0].input_shape
    rows = [out_row(layer) for layer in layers]
    for _ in range(2):  # the second map begins by itself
        crcs = [0] * len(layers)
        for y in range(height):
            chain(layers, rows, crcs, 0, pixels[y * width * channels : (y + 1) * width * channels])
        print(crcs == [e["crc"] for e in entries(name)])

# Nothing is allocated.
name = entries("front")[0]["file"]
layer = rnnpool.Conv2D(inputs.read(name))
row, out = bytes(320), out_row(layer)
layer.feed(row, out)
layer.begin()
micropython.heap_lock()
made = 0
for _ in range(240):
    more = layer.feed(row, out)
    while more:
        made += 1
        more = layer.feed(None, out)
micropython.heap_unlock()
print(made, layer.feed(None, out))
print(str(layer) == "<Conv2D 'face_m4 1 0' 240x320x1 to 120x160x4, ram %d>" % layer.ram)


def attempt(what, *args, **kwargs):
    try:
        print(what(*args, **kwargs))
    except Exception as error:
        print(type(error).__name__)


print("made of")
attempt(rnnpool.RNNPool, inputs.read(name))
attempt(rnnpool.Conv2D, inputs.read("tiny.rnnp"))
attempt(rnnpool.Model, inputs.read(name))
attempt(rnnpool.Conv2D)
attempt(rnnpool.Conv2D, 5)
attempt(rnnpool.Conv2D, b"x" * 200)
attempt(rnnpool.Conv2D, inputs.read(name), arena=bytearray(100))
attempt(rnnpool.Conv2D, inputs.read(name), width=5)

print("feed")
layer = rnnpool.Conv2D(inputs.read(name))
attempt(layer.feed, row)
attempt(layer.feed, row[:-1], out)
attempt(layer.feed, row + b"x", out)
attempt(layer.feed, "x" * 320, out)
attempt(layer.feed, array("h", bytes(320)), out)
attempt(layer.feed, 5, out)
attempt(layer.feed, row, out[:-1])
attempt(layer.feed, row, bytes(out))
attempt(layer.feed, row, None)
attempt(layer.feed, None, out)
attempt(lambda: layer.anything)
attempt(lambda: layer.task)
attempt(lambda: setattr(layer, "name", "x"))
arena = bytearray(rnnpool.required_ram(inputs.read(name)) + 7)
layer = rnnpool.Conv2D(inputs.read(name), arena=arena)
attempt(layer.feed, memoryview(arena)[:320], out)
attempt(layer.feed, row, arena)
# The arena is overwritten while a map is on its way.
attempt(layer.feed, row, out)
for i in range(len(arena)):
    arena[i] = 0xA5
attempt(layer.feed, row, out)
layer.begin()
attempt(layer.feed, row, out)

# Rows that wait: the last row of the input makes two.
block = rnnpool.MBConv(inputs.read(entries("classifier")[3]["file"]))
height, width, channels = block.input_shape
row, out = bytes(width * channels), out_row(block)
print([block.feed(row, out) for _ in range(height)])
attempt(block.feed, row, out)
print(block.feed(None, out), block.feed(None, out), block.feed(None, out))
print([block.feed(row, out) for _ in range(height)])
block.begin()
print([block.feed(row, out) for _ in range(height)])
