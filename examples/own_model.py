# A classifier of your own: is the shelf empty or stocked, the part assembled or not, is there a dog or a vehicle ahead?
#
# 1. Take pictures with the camera, light and place that will be used, twenty to two hundred for each class, and put
#    them into a folder for each class: shelf/empty/, shelf/stocked/.
# 2. On the desktop (make venv sets it up), a few minutes:
#
#        rnnpool classify shelf -o mine.rnnp
#
#    says at the end how often it is right, shows which pictures it got wrong, and how much memory the model needs
#    (docs/classify.md).
# 3. Copy mine.rnnp to the board, beside this file: mpremote cp mine.rnnp : (used in place, without a copy
#    in RAM, if it is in ROMFS: docs/api.md).
import sys

import rnnpool

MODEL = "mine.rnnp"
WIDTH, HEIGHT = 160, 120  # of the camera's frames, RGB565

try:
    camera = open("frames.raw", "rb")
except OSError:
    print("no frames.raw here; on the desktop:")
    print("python -m tools.frames pictures/ -o frames.raw --size 160x120 --format rgb565")
    sys.exit(2)


def next_frame(frame):
    """Fills `frame` and returns True; False if there are no more. Yours asks the camera; here they are in a file."""
    got = camera.readinto(frame)
    if 0 < got < len(frame):
        print("frames.raw ends within a frame: is it of %dx%d, RGB565?" % (WIDTH, HEIGHT))
    return got == len(frame)


try:
    model = rnnpool.Model(MODEL, width=WIDTH, height=HEIGHT)
except OSError:
    print("no %s here; on the desktop: rnnpool classify shelf -o %s" % (MODEL, MODEL))
    sys.exit(2)
frame = bytearray(2 * WIDTH * HEIGHT)
while next_frame(frame):
    chances = model.classify(frame, width=WIDTH, height=HEIGHT, format=rnnpool.RGB565)
    best = chances.index(max(chances))
    print("%s (%s)" % (model.labels[best], ", ".join("%s %.2f" % pair for pair in zip(model.labels, chances))))
