# Finds faces in a picture that is never in memory as a whole: rows go to the model as they come, here from a file
# (binary PGM), on a board from a camera. All the memory is one row and the model's arena.
#
#     build/unix/micropython examples/stream_rows.py picture.pgm [model]
import sys

import rnnpool

if len(sys.argv) < 2:
    print("usage: micropython examples/stream_rows.py picture.pgm [model]")
    sys.exit(2)


def read_header(file):
    """Returns (width, height) of "P5 <width> <height> 255" and leaves the file at the first pixel."""
    fields = []
    while len(fields) < 4:
        line = file.readline()
        if not line:
            raise ValueError("the header ends after %d of 4 fields" % len(fields))
        fields += line.split(b"#")[0].split()
    if fields[0] != b"P5" or fields[3] != b"255" or len(fields) != 4:
        raise ValueError("no binary PGM of 8 bits: %s" % fields)
    return int(fields[1]), int(fields[2])


model_path = sys.argv[2] if len(sys.argv) > 2 else "face"
with open(sys.argv[1], "rb") as file:
    width, height = read_header(file)
    needed = rnnpool.required_ram(model_path, width=width, height=height)
    print("%d bytes of arena for frames of %dx%d" % (needed, width, height))
    model = rnnpool.Model(model_path, width=width, height=height)
    row = bytearray(width)
    model.begin(width=width, height=height, format=rnnpool.GRAY8)
    wanted = height
    while wanted:
        if file.readinto(row) != width:
            raise ValueError("the picture ends %d rows early" % wanted)
        wanted = model.feed(row)

for x, y, w, h, score in model.result():
    print("%d,%d %dx%d %.2f" % (x, y, w, h, score))
