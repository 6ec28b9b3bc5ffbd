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
    wide = type(layer) in (rnnpool.Dense, rnnpool.Head)
    return array("h", bytes(2 * width * channels)) if wide else bytearray(width * channels)


def push(net, rows, crcs, source, row):
    # Pushes a row of what layer `source` - 1 makes (0: the frame) into all that read it, and so on; counts the CRC-32
    # of each one's rows.
    for index, (layer, read) in enumerate(net):
        if read == source:
            out = rows[index]
            more = layer.feed(row, out)
            while more:
                crcs[index] = binascii.crc32(out, crcs[index])
                if type(layer) is rnnpool.Head:
                    look(layer, index, out)
                push(net, rows, crcs, index + 1, out)
                more = layer.feed(None, out)


def look(head, index, values):
    # Decodes a head's row as docs/api.md says and keeps the boxes that have the logit of the best one.
    wanted = entries(name)[index]["logit"]
    y = made.get(index, 0)
    made[index] = y + 1
    i = 0
    for x in range(head.output_shape[1]):
        for width, height in head.anchors:
            logit, dx, dy, tw, th = values[i : i + 5]
            i += 5
            if logit == wanted:
                cx, cy = (x + 0.5) * head.step + width * dx / 4096, (y + 0.5) * head.step + height * dy / 4096
                w, h = width * 2 ** (tw / 4096), height * 2 ** (th / 4096)
                boxes.append((index, cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))


made, boxes = {}, []
for name in ("classifier", "front", "tiny"):
    gc.collect()
    layers = [getattr(rnnpool, e["class"])(inputs.read(e["file"])) for e in entries(name)]
    for layer in layers:
        print(layer.name, layer.input_shape, layer.output_shape, layer.selftest())
    pixels = memoryview(inputs.read(name + "_golden.raw"))
    height, width, channels = layers[0].input_shape
    rows = [out_row(layer) for layer in layers]
    net = [(layer, e["input"]) for layer, e in zip(layers, entries(name))]
    for _ in range(2):  # the second map begins by itself
        crcs = [0] * len(layers)
        for y in range(height):
            push(net, rows, crcs, 0, pixels[y * width * channels : (y + 1) * width * channels])
        print(crcs == [e["crc"] for e in entries(name)])
        made.clear()

# The boxes of tiny's heads.
for index, entry in enumerate(entries("tiny")):
    if entry["class"] == "Head":
        edges = [edge / 16 for edge in entry["edges"]]
        found = [box[1:] for box in boxes if box[0] == index]
        print(any(max(abs(a - b) for a, b in zip(edges, box)) < 0.3 for box in found))

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
attempt(rnnpool.Head, inputs.read("tiny.rnnp"))
attempt(rnnpool.Head, inputs.read(name))
attempt(rnnpool.Model, inputs.read(name))
attempt(rnnpool.Conv2D)
attempt(rnnpool.Conv2D, 5)
attempt(rnnpool.Conv2D, b"x" * 200)
attempt(rnnpool.Conv2D, inputs.read(name), arena=bytearray(100))
attempt(rnnpool.Conv2D, inputs.read(name), width=5)

head = [e["file"] for e in entries("tiny") if e["class"] == "Head"][0]
head = rnnpool.Head(inputs.read(head))
print(len(head.anchors) * 5 == head.output_shape[2], head.step)
attempt(lambda: rnnpool.Conv2D(inputs.read(name)).anchors)
attempt(lambda: setattr(head, "step", 1))
attempt(
    head.feed,
    bytes(head.input_shape[1] * head.input_shape[2]),
    bytearray(2 * head.output_shape[1] * head.output_shape[2] - 1),
)

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
