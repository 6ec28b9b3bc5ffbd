# Frames as cameras store them: padded, cut, turned, mirrored, dark, of other formats. Boxes are in the pixels of those.

import framebuf
import inputs
import rnnpool

W, H = 32, 24
case = inputs.cases("tiny")[0]
upright = bytes(inputs.pixels(case))
model = rnnpool.Model(inputs.read("tiny.rnnp"), width=64, height=64)
LOW = 1000 / 32768
plain = model.detect(upright, threshold=LOW)
print(len(plain) > 3)


def stored(at, width, height):
    """A picture whose pixel (x, y) is pixel at(x, y) of the upright one."""
    out = bytearray(width * height)
    for y in range(height):
        for x in range(width):
            i, j = at(x, y)
            out[y * width + x] = upright[j * W + i]
    return bytes(out)


# The stored picture for each turn that makes it upright, and where a box of the upright one lies in it.
views = {
    0: (stored(lambda x, y: (x, y), W, H), W, H, lambda x, y, w, h: (x, y, w, h)),
    90: (stored(lambda x, y: (W - 1 - y, x), H, W), H, W, lambda x, y, w, h: (y, W - x - w, h, w)),
    180: (stored(lambda x, y: (W - 1 - x, H - 1 - y), W, H), W, H, lambda x, y, w, h: (W - x - w, H - y - h, w, h)),
    270: (stored(lambda x, y: (y, H - 1 - x), H, W), H, W, lambda x, y, w, h: (H - y - h, x, h, w)),
}
for rotate, (pixels, width, height, place) in sorted(views.items()):
    right = [place(*box[:4]) + box[4:] for box in plain]
    given = {"width": width, "height": height, "threshold": LOW}
    print(rotate, model.detect(pixels, rotate=rotate, **given) == right)
    mirrored = bytearray(len(pixels))
    for y in range(height):
        for x in range(width):
            mirrored[y * width + x] = pixels[y * width + width - 1 - x]
    right = [(width - x - w, y, w, h, score) for x, y, w, h, score in right]
    print(rotate, model.detect(mirrored, rotate=rotate, mirror=True, **given) == right)
    if rotate == 0:
        model.begin(mirror=True, threshold=LOW)
        model.feed(mirrored)
        print(model.result() == right)

# A window of a larger frame, whose rows have gaps between them.
large = bytearray(b"\xaa" * (50 * 40))
for y in range(H):
    large[50 * (y + 7) + 9 : 50 * (y + 7) + 9 + W] = upright[W * y : W * y + W]
moved = [(x + 9, y + 7, w, h, score) for x, y, w, h, score in plain]
print(model.detect(large, width=45, height=40, stride=50, roi=(9, 7, W, H), threshold=LOW) == moved)
print(model.detect(memoryview(large)[:-5], width=45, height=40, stride=50, roi=(9, 7, W, H), threshold=LOW) == moved)
model.begin(stride=50, threshold=LOW)
for y in range(H):
    model.feed(memoryview(large)[50 * (y + 7) + 9 : 50 * (y + 8) + 9])
print(model.result() == plain)


# Rows whose gap is left out, which then can't come first.
def feed(*cuts):
    model.begin(stride=50, threshold=LOW)
    window = memoryview(large)[50 * 7 + 9 : 50 * (H + 7) + 9]
    for i in range(len(cuts) - 1):
        model.feed(window[cuts[i] : cuts[i + 1]])
    return model.result() == plain


print(feed(0, 50 * 3, 50 * (H - 1) + W))
try:
    print(feed(0, 50 * 3 + W, 50 * (H - 1) + W))
except ValueError as error:
    print(error)
model.begin(stride=50, threshold=LOW)
for y in range(H):
    model.feed(memoryview(large)[50 * (y + 7) + 9 : 50 * (y + 7) + 9 + W])
    model.feed(b"")
print(model.result() == plain)

# Darker pictures with the gain that makes up for it; scales; automatic light changes no good picture much.
dark = bytes(v // 2 for v in upright)
even = bytes(v // 2 * 2 for v in upright)
print(model.detect(dark, gain=2, threshold=LOW) == model.detect(even, threshold=LOW))
print(model.detect(bytes(v + 20 for v in dark), gain=2, offset=-40, threshold=LOW) == model.detect(even, threshold=LOW))
auto = model.detect(dark, gain="auto", threshold=LOW)
fresh = rnnpool.Model(inputs.read("tiny.rnnp"))
for right in (model.detect(dark, threshold=LOW), auto):  # rows take the light of the image before: first there is none
    fresh.begin(gain="auto", threshold=LOW)
    fresh.feed(dark)
    print(fresh.result() == right)
# An image without it in between changes nothing.
fresh.detect(bytes(W * H))
fresh.begin(gain="auto", threshold=LOW)
fresh.feed(dark)
print(fresh.result() == auto)
half = model.detect(upright, scale=0.5, threshold=LOW)
both = model.detect(upright, scale=(1, 0.5), threshold=LOW, iou=1.0, max_faces=64)
scores = [box[4] for box in both]  # coordinates may be rounded otherwise by a pixel
print(len(half) > 0, half != plain, all(box[4] in scores for box in half[:3]))
print(model.detect(upright, scale=(1,), threshold=LOW) == plain)


def attempt(what, *args, **kwargs):
    try:
        what(*args, **kwargs)
        print("answers")  # not what: scores have other digits where floats are single
    except Exception as error:
        print(type(error).__name__, "framebuf" in str(error), "JPEG" in str(error))


print("refused")
for name in ("RGB565", "GS8", "MONO_HLSB", "GS4_HMSB"):
    attempt(model.detect, upright, format=getattr(framebuf, name))
    attempt(model.begin, format=getattr(framebuf, name))
attempt(model.detect, upright + upright)  # RGB565 or its like
attempt(model.detect, upright * 3)
attempt(model.detect, b"\xff\xd8\xff\xe0" + bytes(996))

# Files that have a frame's length, by chance: not taken for pixels unless their format is said.
SIZE = W * H
bmp = b"BM" + SIZE.to_bytes(4, "little")


def ico(pictures):
    return bytes((0, 0, 1, 0, pictures, 0)) + bytes(12) + (6 + 16 * pictures).to_bytes(4, "little")


for start in (
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", bmp, b"P5\n32 24\n", b"RIFF\0\0\0\0WEBP",
    b"II*\0", b"MM\0*", b"\0\0\0\x18ftypheic", b"BM", b"\xff\xd8", b"\x80\x02", b"\x08\x08\x12",
    b"P4 32 24\n", b"P6\r\n# by hand\r\n", b"P7\nWIDTH 32\n", b"\0\0\0\x0cjP  ", b"\xffO\xffQ", b"\0\0\0\x0cJXL ",
    b"qoif\0\0", b"\x1f\x8b\x08\0", b"8BPS\0\x01", b"%PDF-1.7", b"\x1aE\xdf\xa3", ico(1), ico(3),
    b"P5", b"P5\t\x80", b"P8\n3", b"PP\n3", b"\x1f\x8b", b"\0\0\1\0\1\0" + bytes(20), b"\0\0\1\0",
):  # fmt: skip
    said = []
    for more in (SIZE, SIZE + SIZE // 2):  # GRAY8, YUV420
        whole = start + bytes(more - len(start))
        for given in ({}, {"format": rnnpool.GRAY8 if more == SIZE else rnnpool.YUV420}):
            try:
                model.detect(whole, **given)
                said.append("taken")
            except ValueError as error:
                said.append(str(error))
    for given in ({}, {"format": rnnpool.GRAY8}):
        model.begin(**given)
        try:
            model.feed(start + bytes(W - len(start)))
            said.append("taken")
        except ValueError as error:
            said.append(str(error))
    print(said)
model.begin()
model.feed(bytes(W))
print(model.feed(b"\xff\xd8\xff\xe0" + bytes(W - 4)))  # not the first row
attempt(rnnpool.Model, b"\xff\xd8\xff\xe0" + bytes(996))
attempt(model.detect, bytes(31 * 24 * 2), width=31, format=rnnpool.YUYV)
for given in (
    {"rotate": 45}, {"rotate": -90}, {"stride": 31}, {"stride": -1}, {"stride": 1 << 20},
    {"roi": (0, 0, 33, 1)},
    {"roi": (0, 0, 0, 1)}, {"roi": (-1, 0, 3, 1)}, {"roi": (1, 2)}, {"roi": 5}, {"gain": 0}, {"gain": 9},
    {"gain": "high"},
    {"gain": float("nan")}, {"offset": 1000}, {"gain": "auto", "offset": 1}, {"scale": 0}, {"scale": 1.5},
    {"scale": ()},
    {"scale": (1,) * 5}, {"scale": "x"}, {"mirror": True, "rotate": 91}, {"format": 99}, {"format": rnnpool.YUV420},
):  # fmt: skip
    attempt(model.detect, upright, **given)
colour = rnnpool.Model(inputs.read("classifier.rnnp"))
attempt(colour.classify, bytes(48 * 40 * 3 // 2), format=rnnpool.YUV420)
attempt(colour.classify, bytes(48 * 40 * 3 // 2))
attempt(colour.begin)
attempt(colour.begin, format=rnnpool.YUYV, width=47)
attempt(model.detect, bytes(W * H + W * H // 2), stride=48)  # gray with gaps, or planes
attempt(model.detect, bytes(3 * W * H), stride=3 * W)  # gray, words or triples, with gaps or without
attempt(model.detect, bytes(2 * W * H), stride=2 * W)
attempt(model.detect, bytes(W * H * 3 // 2 + 1))
attempt(model.detect, b"RIFF" + bytes(100))
attempt(model.detect, b"\x89PNG" + bytes(100), format=rnnpool.GRAY8)
for kind in (
    b"GIF89a",
    b"BM",
    b"PK\x03\x04",
    b"abcdTFL3",
    b"\x08\x07\x12\x07pytorch",
    b"\x08\x07\x99",
    b"\x80\x02",
    b"",
):
    attempt(rnnpool.Model, kind + bytes(200))
    attempt(rnnpool.required_ram, kind + bytes(200))
for given in (
    {"width": 4097}, {"height": -1}, {"roi": (0, 0, 4, 25)}, {"roi": (0, -1, 4, 4)}, {"roi": (30, 20, 3, 5)},
    {"roi": (0, 0, 4, 0)}, {"roi": (0, 0, 4, "x")}, {"roi": [0, 0, 4, 4]}, {"format": "GRAY8"}, {"format": 7},
    {"gain": -1}, {"gain": 0.001}, {"gain": ()}, {"offset": -1000}, {"scale": [1, 0.5]}, {"scale": (0.5, "x")},
    {"scale": (0.5, 2)}, {"stride": 33, "format": rnnpool.RGB565}, {"iou": 2}, {"threshold": -1},
):  # fmt: skip
    attempt(model.detect, upright, **given)
attempt(model.begin, rotate=180)
attempt(model.begin, roi=(0, 0, 4, 4))
attempt(model.begin, scale=(1, 0.5))
attempt(model.begin, format=rnnpool.YUV420)
print(model.detect(upright, threshold=LOW) == plain)
