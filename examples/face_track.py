# Follows faces from frame to frame. The picture is never in memory as a whole: rows go into the model as they come.
#
# A face continues the track that it overlaps most (intersection over union) and keeps its number; others get a new one.
# A track outlives a few frames without its face.
import sys

import rnnpool

MODEL = "face"  # in the firmware or in ROMFS
WIDTH, HEIGHT, ROWS = 320, 240, 8  # of the camera's frames, GRAY8; rows that it delivers at once
SCORE = 0.5  # from which it is a face
OVERLAP = 0.2  # least IoU of a face with itself, a frame later; less for slow boards and fast people
MISSES = 2  # frames that a track lives without a face

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


def next_faces():
    """The boxes (x, y, width, height, score) in the next frame, best first; None if there is none."""
    model.begin(width=WIDTH, height=HEIGHT, format=rnnpool.GRAY8, threshold=SCORE)
    while next_rows(rows):
        if model.feed(rows) == 0:  # rows still wanted
            return model.result()
    return None


def iou(a, b):
    """Intersection over union of two boxes, 0..1."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


class Tracker:
    """Numbers for faces."""

    def __init__(self):
        self.tracks = {}  # number: [box, frames without it]
        self.next = 1

    def update(self, boxes):
        """Takes the boxes of a frame; returns them by their numbers."""
        pairs = [(iou(t[0], box), n, i) for n, t in self.tracks.items() for i, box in enumerate(boxes)]
        found = {}
        for overlap, number, i in sorted(pairs, reverse=True):
            if overlap >= OVERLAP and number not in found and boxes[i] not in found.values():
                found[number] = boxes[i]
        for box in boxes:
            if box not in found.values():
                found[self.next] = box
                self.next += 1
        for number, track in list(self.tracks.items()):
            if number not in found:
                track[1] += 1
                if track[1] > MISSES:
                    del self.tracks[number]
        for number, box in found.items():
            self.tracks[number] = [box, 0]
        return found


model = rnnpool.Model(MODEL, width=WIDTH, height=HEIGHT)
rows = bytearray(WIDTH * ROWS)
tracker = Tracker()
frame = 0
while True:
    boxes = next_faces()
    if boxes is None:
        break
    for number, (x, y, w, h, _) in sorted(tracker.update(boxes).items()):
        print("frame %d: face %d at %d,%d, %dx%d" % (frame, number, x, y, w, h))
    frame += 1
