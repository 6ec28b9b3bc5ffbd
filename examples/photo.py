# Finds the faces in a grayscale picture file (binary PGM, as written by most picture programs), in MicroPython:
#
#     build/unix/micropython examples/photo.py photo.pgm
#
# Prints one JSON object: the faces as [x, y, width, height, score] in the picture's pixels, best first, the time of one
# detection and the memory that it worked in.
import gc
import json
import sys
import time

import rnnpool


def read_pgm(path):
    """Returns (width, height, pixels) of a file "P5 <width> <height> 255 <pixels>"; "#" starts a comment."""
    with open(path, "rb") as file:
        fields = []
        while len(fields) < 4:
            line = file.readline()
            if not line:
                raise ValueError("%s: the header ends after %d of 4 fields" % (path, len(fields)))
            fields += line.split(b"#")[0].split()
        if fields[0] != b"P5" or fields[3] != b"255" or len(fields) != 4:
            raise ValueError("%s: no binary PGM of 8 bits: %s" % (path, fields))
        width, height = int(fields[1]), int(fields[2])
        pixels = bytearray(width * height)
        got = file.readinto(pixels)
        if got != len(pixels):
            raise ValueError("%s: %d pixels, %d expected" % (path, got, len(pixels)))
        return width, height, pixels


width, height, pixels = read_pgm(sys.argv[1])
frame = {"width": width, "height": height, "format": rnnpool.GRAY8}
gc.collect()
before = gc.mem_alloc()
rnnpool.detect_faces(pixels, **frame)  # the first call loads the model
gc.collect()
kept = gc.mem_alloc() - before  # the model's object and its arena; the model itself stays in flash
start = time.ticks_us()
faces = rnnpool.detect_faces(pixels, **frame)
microseconds = time.ticks_diff(time.ticks_us(), start)
print(json.dumps({"faces": faces, "microseconds": microseconds, "ram": kept}))
