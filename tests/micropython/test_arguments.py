# Wrong types, sizes, formats and values: an exception, and the model goes on.

from array import array

import inputs
import rnnpool

model = rnnpool.Model(inputs.read("tiny.rnnp"))
case = inputs.cases("tiny")[0]
pixels = inputs.pixels(case)


def attempt(*args, **kwargs):
    try:
        model.detect(*args, **kwargs)
        print("no exception")
    except Exception as error:
        print(type(error).__name__)


print("frame")
attempt()
attempt(pixels, pixels)
attempt(None)
attempt(5)
attempt("x" * 768)
attempt([0] * 768)
attempt(array("i", [0] * 192))
attempt(array("f", [0] * 192))
attempt(array("h", [0] * 384))
attempt(array("b", [-1] * 768))  # values of a model's int8 input, say: not 0..255
attempt(object())
attempt(pixels, colour=1)

print("size")
for n in (0, 1, 767, 769, 1535, 1537, 2303, 2305, 3072):
    attempt(bytes(n))
attempt(pixels, width=31)
attempt(pixels, height=23)
attempt(pixels, width=24, height=31)
attempt(pixels, width=-1)
attempt(pixels, width=4097, height=1)
attempt(pixels, width=65536 + 32)
attempt(pixels, height=1 << 100)
attempt(pixels, width=32.0)
attempt(pixels, width="32")
attempt(pixels, width=None)

print("format")
attempt(pixels, format=0)
attempt(pixels, format=4)
attempt(pixels, format=-1)
attempt(pixels, format="GRAY8")
attempt(pixels, format=rnnpool.RGB565)
attempt(bytes(768 * 2), format=rnnpool.GRAY8)
attempt(bytes(768 * 2), format=rnnpool.RGB888)

print("limits")
for name in ("threshold", "iou"):
    for value in (-0.001, 1.001, 2, -1, float("nan"), float("inf"), "0.5", b"", []):
        attempt(pixels, **{name: value})
for value in (-1, 65, 1000, 1.5, "3", None):
    attempt(pixels, max_faces=value)

print("out")
for value in (5, [0] * 10, (0,) * 10, bytes(100), "x" * 100, array("i", [0] * 100), array("f", [0] * 100)):
    attempt(pixels, out=value)
attempt(pixels, out=bytearray(9))
attempt(pixels, out=array("h", [0] * 4))

print("begin")
for kwargs in ({"width": 4097}, {"format": 7}, {"threshold": 2}, {"frame": 1}, {"iou": 0.5}):
    try:
        model.begin(**kwargs)
        print("no exception")
    except Exception as error:
        print(type(error).__name__)

print("classify")
try:
    model.classify(pixels)
except Exception as error:
    print(type(error).__name__)

print("numbers in texts")
large = (1 << 32) + 5  # 5 in the lowest 32 bits
for name in ("width", "height", "format", "max_faces"):
    try:
        model.detect(pixels, **{name: large})
    except OverflowError:  # of a machine with 32 bits
        print(True)
    except ValueError as error:
        print(str(error).endswith("not %d" % large))

try:  # not what the frame would need without gaps
    model.detect(pixels, stride=33)
except ValueError as error:
    print(error)

print("goes on")
print(model.detect(pixels) == inputs.expected(case))
# Values that are right at the edges.
for kwargs in ({"threshold": 0}, {"threshold": 1}, {"threshold": True}, {"iou": 0}, {"iou": 1.0}, {"max_faces": 64}):
    print(len(model.detect(pixels, **kwargs)) >= 0)
print(model.detect(pixels, threshold=1))
# Pixels of any object that holds bytes; words for RGB565.
words = array("H", bytes(768 * 2))
for frame in (bytearray(pixels), memoryview(pixels), array("B", pixels)):
    print(model.detect(frame) == inputs.expected(case))
print(model.detect(words, format=rnnpool.RGB565) == model.detect(bytes(768)))
for kwargs in ({"format": rnnpool.GRAY8}, {}, {"format": rnnpool.RGB888, "height": 16}):
    attempt(array("H", bytes(768)), **kwargs)
model.begin()  # a gray value in each word, as numpy-like code has it: 32 of them are no two rows of 32
try:
    model.feed(array("H", range(32)))
except TypeError as error:
    print(type(error).__name__, error)
print(model.feed(pixels), model.result() == inputs.expected(case))

# Records instead of a list.
expected = [n for box in case["detections"] for n in box]
for out in (array("h", bytes(640)), bytearray(640), memoryview(bytearray(641))[1:], memoryview(array("h", bytes(640)))):
    count = model.detect(pixels, out=out)
    print(count == len(expected) // 5, list(array("h", bytes(out)))[: 5 * count] == expected)
out = array("h", bytes(28))
print(model.detect(pixels, out=out) <= 2)
print(model.detect(pixels, out=bytearray(100), max_faces=3) <= 3)
