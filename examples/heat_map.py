# Where is it? Centres of what a map model sees in one raw frame: for each channel the cells above a value, those that
# touch each other taken together.
#
#     micropython heat_map.py MODEL.rnnp FRAME.raw WIDTH HEIGHT [VALUE]
import sys

import rnnpool


def centres(heat, shape, channel, least):
    """Yields (row, column, cells, largest value) of each patch of cells that have at least `least`."""
    height, width, channels = shape
    waiting = {i for i in range(height * width) if heat[i * channels + channel] >= least}
    while waiting:
        patch, rows, columns, largest = [waiting.pop()], 0, 0, -128
        for cell in patch:  # which grows
            row, column = divmod(cell, width)
            rows, columns = rows + row, columns + column
            largest = max(largest, heat[cell * channels + channel])
            for y, x in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if 0 <= y < height and 0 <= x < width and y * width + x in waiting:
                    waiting.remove(y * width + x)
                    patch.append(y * width + x)
        yield rows / len(patch), columns / len(patch), len(patch), largest


if len(sys.argv) < 5:
    print("usage: micropython examples/heat_map.py model.rnnp frame.raw width height [value]")
    sys.exit(2)
model = rnnpool.Model(sys.argv[1])
if model.task != "map":
    print("%s is for %s, it makes no map" % (model.name, model.task))
    sys.exit(1)
with open(sys.argv[2], "rb") as file:
    frame = file.read()
width, height = int(sys.argv[3]), int(sys.argv[4])
heat = model.run(frame, width=width, height=height)
scale, zero = model.output_scale, model.output_zero_point
least = round(float(sys.argv[5] if len(sys.argv) > 5 else 0.5) / scale) + zero
rows, columns, _ = model.output_shape
# The frame fills the model's input from the top left, its aspect kept: pixels of the frame to one of the input.
step = max(width / model.input_shape[1], height / model.input_shape[0])
for channel, label in enumerate(model.labels):
    for row, column, cells, largest in centres(heat, model.output_shape, channel, least):
        x = (column + 0.5) * model.input_shape[1] / columns * step
        y = (row + 0.5) * model.input_shape[0] / rows * step
        print("%s at (%d, %d): %d cells, up to %.2f" % (label, x, y, cells, scale * (largest - zero)))
