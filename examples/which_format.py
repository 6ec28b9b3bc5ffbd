# Which format does this camera deliver, and which way round? Takes one raw frame with a face in it, the larger the
# better, and tries everything that fits its length: what finds the face with the highest score is it.
#
#     micropython which_format.py FRAME.raw WIDTH HEIGHT [MODEL]
import sys

import rnnpool

NAMES = ("GRAY8", "RGB565", "RGB565_BE", "RGB888", "BGR888", "YUYV", "UYVY", "YUV420")


def step(frame, first):
    """How much the bytes first, first + 4, ... differ from one to the next, on average."""
    steps = [abs(frame[i] - frame[i + 4]) for i in range(first, len(frame) - 4, 100)]
    return sum(steps) / max(1, len(steps))


def swapped(frame, width, box):
    """Whether three-byte pixels must be BGR: a face has more red than blue."""
    x, y, w, h = box
    first = third = 0
    for row in range(y + h // 4, y + 3 * h // 4):
        for column in range(x + w // 4, x + 3 * w // 4):
            at = 3 * (row * width + column)
            first += frame[at]
            third += frame[at + 2]
    return third > first


def tries(model, frame, width, height):
    """Yields (score, box, format, rotate, mirror) of the best face for each way that is possible."""
    # The high byte of RGB565 passes for Y, and the reverse. The other byte tells: colour differences are smooth, low
    # bytes of RGB565 jump from pixel to pixel.
    smooth = [max(step(frame, first), step(frame, first + 2)) < 10 for first in (0, 1)]
    doubtful = {"YUYV": not smooth[1], "RGB565_BE": smooth[1], "UYVY": not smooth[0], "RGB565": smooth[0]}
    for name in NAMES:
        if doubtful.get(name):
            continue
        for rotate in (0, 90, 180, 270):
            for mirror in (False, True):
                options = {"format": getattr(rnnpool, name), "rotate": rotate, "mirror": mirror}
                try:
                    found = model.detect(frame, width=width, height=height, gain="auto", max_faces=1, **options)
                except ValueError as error:  # its length does not fit, or it has no such colours
                    reasons.append(error)
                    break
                fitting.add(name)
                for *box, score in found:
                    if name not in ("RGB888", "BGR888") or (name == "BGR888") == swapped(frame, width, box):
                        yield score, tuple(box), name, rotate, mirror


if len(sys.argv) < 4:
    print("usage: micropython examples/which_format.py frame.raw width height [model]")
    sys.exit(2)
path, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "rb") as file:
    frame = file.read()
fitting, reasons = set(), []
model = rnnpool.Model(sys.argv[4] if len(sys.argv) > 4 else "face")
# A face is a face in a mirror, too: what needs no mirror comes first.
found = sorted(tries(model, frame, width, height), key=lambda way: 0.1 * way[4] - way[0])
if not fitting:  # no format has so many bytes, or this is a JPEG, say
    print(reasons[-1])
    sys.exit(1)
for score, box, name, rotate, mirror in found[:4]:
    print("%.2f format=rnnpool.%s, rotate=%d, mirror=%s  %s" % (score, name, rotate, mirror, box))
print("the first is most likely it" if found else "no face found: more light, a larger face, another width?")
