# Counts the people in a room by their faces. Only a number leaves the device.
#
# There is no picture on it that could leave: rows go into the model as the camera delivers them, and what comes out are
# the places of faces, which are counted and forgotten. The number is the median of the last frames, so that somebody
# who turns away for a moment still counts.
import sys

import rnnpool

MODEL = "face"  # in the firmware or in ROMFS
WIDTH, HEIGHT, ROWS = 320, 240, 8  # of the camera's frames, GRAY8; rows that it delivers at once
SCORE = 0.5  # from which it is a face
FRAMES = 5  # to smooth over

try:
    camera = open("frames.raw", "rb")
except OSError:
    print("no frames.raw here; on the desktop: python -m tools.frames pictures/ -o frames.raw")
    sys.exit(2)


def next_rows(rows):
    """Fills `rows` and returns True; False if there are no more. Yours asks the camera; here they are in a file."""
    got = camera.readinto(rows)
    if 0 < got < len(rows):
        print("frames.raw ends within a frame: is it of %dx%d, GRAY8?" % (WIDTH, HEIGHT))
    return got == len(rows)


def publish(number):
    """What leaves the device: over the serial line, or your radio. Called when the number has changed."""
    print("people: %d" % number)


def count_faces():
    """Of the next frame; None if there is none."""
    model.begin(width=WIDTH, height=HEIGHT, format=rnnpool.GRAY8, threshold=SCORE)
    while next_rows(rows):
        if model.feed(rows) == 0:  # rows still wanted
            return len(model.result())
    return None


model = rnnpool.Model(MODEL, width=WIDTH, height=HEIGHT)
rows = bytearray(WIDTH * ROWS)
counts = []  # of the last frames
published = None
while True:
    count = count_faces()
    if count is None:
        break
    counts = (counts + [count])[-FRAMES:]
    median = sorted(counts)[len(counts) // 2]
    if median != published:
        published = median
        publish(median)
