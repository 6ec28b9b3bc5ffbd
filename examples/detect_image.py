# Finds the faces in a picture file (binary PGM or PPM, as written by most picture programs), in MicroPython:
#
#     build/unix/micropython examples/detect_image.py photo.ppm
#
# Prints one JSON object: the faces as [x, y, width, height, score] in the picture's pixels, best first, the time of one
# detection and the memory that it worked in.
import gc
import json
import sys
import time

import rnnpool

try:
    from time import ticks_diff, ticks_us
except ImportError:  # CPython

    def ticks_us():
        """As MicroPython's."""
        return round(1e6 * time.monotonic())

    def ticks_diff(end, begin):
        """As MicroPython's."""
        return end - begin


if len(sys.argv) < 2:
    print("usage: micropython examples/detect_image.py photo.ppm")
    sys.exit(2)

FORMATS = {b"P5": rnnpool.GRAY8, b"P6": rnnpool.RGB888}


def read_picture(path):
    """Returns (width, height, format, pixels) of a file "P5 <width> <height> 255 <pixels>"; "#" starts a comment."""
    with open(path, "rb") as file:
        fields = []
        while len(fields) < 4:
            line = file.readline()
            if not line:
                raise ValueError("%s: the header ends after %d of 4 fields" % (path, len(fields)))
            fields += line.split(b"#")[0].split()
        if fields[0] not in FORMATS or fields[3] != b"255" or len(fields) != 4:
            raise ValueError("%s: no binary PGM or PPM of 8 bits: %s" % (path, fields))
        width, height, format = int(fields[1]), int(fields[2]), FORMATS[fields[0]]
        pixels = bytearray(width * height * (3 if format == rnnpool.RGB888 else 1))
        got = file.readinto(pixels)
        if got != len(pixels):
            raise ValueError("%s: %d bytes of pixels, %d expected" % (path, got, len(pixels)))
        return width, height, format, pixels


width, height, format, pixels = read_picture(sys.argv[1])
frame = {"width": width, "height": height, "format": format}
gc.collect()
before = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
rnnpool.detect_faces(pixels, **frame)  # the first call loads the model
gc.collect()
if hasattr(gc, "mem_alloc"):
    kept = gc.mem_alloc() - before  # the model's object and its arena; the model itself stays in flash
else:  # CPython does not say: the arena alone
    kept = rnnpool.required_ram("face", width=width, height=height)
start = ticks_us()
faces = rnnpool.detect_faces(pixels, **frame)
microseconds = ticks_diff(ticks_us(), start)
print(json.dumps({"faces": faces, "microseconds": microseconds, "ram": kept}))
