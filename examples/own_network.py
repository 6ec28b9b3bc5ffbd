# A network that a script puts together out of single operators, row by row: no map but a row of each is ever in memory.
#
# On the desktop, from a model of one's own or one of ours:
#
#     python -m rnnpool_training.layers models/face.rnnp --out layers
#
# Then copy the folder to the board, beside this file (or make a ROMFS image of it: tools/make_romfs.py), and choose the
# operators: here the front end of the face network, which turns 320x240 pixels into a map of 40x30 cells with 64
# values each, the same bytes as inside rnnpool.Model. What is done with those is up to you; here it is printed where
# the picture is busiest.
import binascii
import sys

import rnnpool

FOLDER = "layers"
OPERATORS = ((rnnpool.Conv2D, "00_conv.rnnp"), (rnnpool.RNNPool, "01_rnnpool.rnnp"))


class Chain:
    """Operators one behind the other. done(y, row) is called with each row of the last one's map."""

    def __init__(self, layers, done):
        self.layers = layers
        self.done = done
        self.rows = [bytearray(layer.output_shape[1] * layer.output_shape[2]) for layer in layers]
        self.made = 0

    def push(self, row, index=0):
        """Takes a row; operators before `index` have done their part."""
        if index == len(self.layers):
            self.done(self.made, row)
            self.made += 1
            return
        layer, out = self.layers[index], self.rows[index]
        more = layer.feed(row, out)
        while more:
            self.push(out, index + 1)
            more = layer.feed(None, out)


def busy(y, row):
    """Keeps the cell whose values are furthest from 0 in the sum."""
    global best, crc
    crc = binascii.crc32(row, crc)
    for x in range(width):
        total = 0
        for value in row[x * channels : (x + 1) * channels]:
            total += value if value < 128 else 256 - value  # bytes of int8 numbers
        if total > best[0]:
            best = (total, x, y)


try:
    layers = [kind(FOLDER + "/" + name) for kind, name in OPERATORS]
except OSError:
    print("no operators in %s/ here; on the desktop:" % FOLDER)
    print("python -m rnnpool_training.layers models/face.rnnp --out %s" % FOLDER)
    sys.exit(2)
for layer in layers:
    print(layer)
_, width, channels = layers[-1].output_shape
best = (-1, 0, 0)
crc = 0
chain = Chain(layers, busy)
in_height, in_width, _ = layers[0].input_shape
pixels = bytearray(in_width)
for y in range(in_height):
    for x in range(in_width):  # a camera's row; here: gray with a chess board in it
        board = 160 <= x < 224 and 64 <= y < 128
        pixels[x] = 255 * ((x >> 3 ^ y >> 3) & 1) if board else 128
    chain.push(pixels)
print("%d rows of %d cells, CRC-32 %08x; the busiest is %d, %d" % (chain.made, width, crc, best[1], best[2]))
