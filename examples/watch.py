# A loop that watches for faces without using the heap, so that it can run for months: the model, the frame and the
# results are made once. Frames come from a file of raw GRAY8 frames, one after the other, in place of a camera's
# readinto().
#
#     python -m tools.frames pictures/ -o frames.raw
#     build/unix/micropython examples/watch.py frames.raw 320 240 [model]
import sys
from array import array

import rnnpool

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython has no heap to lock
    heap_lock = heap_unlock = int

if len(sys.argv) < 4:
    print("usage: micropython examples/watch.py frames.raw width height [model]")
    sys.exit(2)

FIELDS = 5  # of a result: x, y, width, height, score in 1/32768
MAX_FACES = 8

path, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model = rnnpool.Model(sys.argv[4] if len(sys.argv) > 4 else "face", width=width, height=height)
frame = bytearray(width * height)
faces = array("h", bytes(2 * FIELDS * MAX_FACES))
count = 0  # a new name of a script takes heap, too

with open(path, "rb") as camera:
    while True:
        got = camera.readinto(frame)
        if got != len(frame):
            break
        heap_lock()
        count = model.detect(frame, width=width, height=height, threshold=0.5, out=faces)
        heap_unlock()
        # From here on what your device does: a relay, a servo, a message. (Printing uses the heap.)
        print(count, [tuple(faces[FIELDS * i : FIELDS * i + FIELDS]) for i in range(count)])
if got:
    print("%s ends within a frame: %d bytes, not %d" % (path, got, len(frame)))
