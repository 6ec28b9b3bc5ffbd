# Rows fed as they come give what the whole frame gives, however they are cut into calls.

import inputs
import rnnpool


def feed(model, pixels, row, rows, sizes):
    # Feeds chunks of `sizes` rows in turn; checks what feed() says.
    at, i = 0, 0
    while at < rows:
        n = min(sizes[i % len(sizes)], rows - at)
        if model.feed(pixels[at * row : (at + n) * row]) != rows - at - n:
            print("wrong number of rows wanted")
        at += n
        i += 1


for name in ("tiny", "segmented"):
    model = rnnpool.Model(inputs.read(name + ".rnnp"))
    for case in inputs.cases(name):
        if case["format"] == rnnpool.YUV420:
            continue  # for whole frames
        pixels = memoryview(inputs.pixels(case))
        rows = case["height"]
        row = len(pixels) // rows
        begin = inputs.arguments(case)
        limits = {"iou": begin.pop("iou")} if "iou" in begin else {}
        for sizes in ((1,), (1, 2, 3), (7,), (0, 5, 1), (4096,)):
            model.begin(**begin)
            feed(model, pixels, row, rows, sizes)
            if model.result(**limits) != inputs.expected(case):
                print("wrong:", case["name"], sizes)
    print(name)

# result() can be asked again, and after detect().
case = inputs.cases("tiny")[0]
other = inputs.cases("tiny")[1]
model = rnnpool.Model(inputs.read("tiny.rnnp"))
first = model.detect(inputs.pixels(case))
print(
    model.result() == first,
    first[: len(model.result(max_faces=2))] == model.result(max_faces=2),
    model.result() == first,
)

# Wrong order of calls, too much, or not a whole number of rows.
pixels = inputs.pixels(case)


def attempt(what, *args, **kwargs):
    try:
        print(what(*args, **kwargs))
    except Exception as error:
        print(type(error).__name__)


model = rnnpool.Model(inputs.read("tiny.rnnp"))
attempt(model.feed, pixels)
attempt(model.result)
model.begin()
attempt(model.result)
attempt(model.feed, bytes(31))
attempt(model.feed, bytes(33))
attempt(model.feed, bytes(32 * 25))
attempt(model.feed, b"")
attempt(model.feed, pixels[:32])
attempt(model.feed, pixels)
attempt(model.feed, "x" * 32)
attempt(model.feed, 32)
# None of these cost a row.
attempt(model.feed, pixels[32:])
print(model.result() == first)
attempt(model.feed, pixels[:32])
attempt(model.feed, b"")
# A new begin() or detect() abandons the image.
model.begin()
model.feed(pixels[:320])
model.begin()
attempt(model.feed, pixels)
print(model.result() == first)
model.begin()
model.feed(pixels[:320])
print(model.detect(pixels) == first)
attempt(model.feed, pixels[:32])
model.begin()
model.feed(pixels[:320])
print(model.selftest())
attempt(model.feed, pixels[:32])
attempt(model.result)
