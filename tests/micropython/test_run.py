# Model.run(): what the last operator gives, a map or logits, equal to the reference; what it refuses.

from array import array

import inputs
import rnnpool

for name in ("heat_map", "classifier"):
    model = rnnpool.Model(inputs.read(name + ".rnnp"))
    print(model.task, model.output_shape, model.output_zero_point, model.selftest())
    for case in inputs.cases(name):
        if "raw" not in case:
            continue
        pixels = inputs.pixels(case)
        given = {"width": case["width"], "height": case["height"], "format": case["format"]}
        right = array("b" if name == "heat_map" else "h", case["raw"])
        found = model.run(pixels, **given)
        kind = type(found) is array and found == right
        out = array("b" if name == "heat_map" else "h", bytes(len(right) * (1 if name == "heat_map" else 2)))
        taken = model.run(pixels, out=out, **given) == len(right) and out == right
        raw = bytearray(len(right) * (1 if name == "heat_map" else 2) + 3)
        model.run(pixels, out=raw, **given)
        same = raw[:-3] == bytes(right) and raw[-3:] == bytes(3)
        model.begin(**given)
        model.feed(pixels)
        fed = name != "heat_map" or model.result() == right
        print(kind, taken, same, fed)
scale = rnnpool.Model(inputs.read("heat_map.rnnp")).output_scale
print(abs(scale - inputs.cases("heat_map")[0]["scale"]) < 1e-7)
print(rnnpool.Model(inputs.read("classifier.rnnp")).output_scale == 1 / 4096)
print([layer[0] for layer in rnnpool.Model(inputs.read("others.rnnp")).layers()])


def attempt(what, *args, **kwargs):
    try:
        what(*args, **kwargs)
        print("no error")
    except Exception as error:
        print(type(error).__name__)


heat, boxes = rnnpool.Model(inputs.read("heat_map.rnnp")), rnnpool.Model(inputs.read("tiny.rnnp"))
height, width, _ = heat.input_shape
frame = bytes(width * height)
attempt(boxes.run, bytes(32 * 24))
attempt(getattr, boxes, "output_scale")
attempt(getattr, boxes, "output_shape")
attempt(heat.detect, frame)
attempt(heat.classify, frame)
attempt(heat.run, frame, out=bytearray(5))
attempt(heat.run, frame, out=array("h", bytes(2000)))
attempt(heat.run, frame, out=bytes(2000))
attempt(heat.run, frame, scale=0.5)
attempt(heat.run, frame[:-1])
both = bytearray(2000)
attempt(heat.run, memoryview(both)[: width * height], out=both)
heat.begin()
attempt(heat.result)
attempt(heat.result, iou=0.5)
heat.feed(frame)
attempt(heat.result, out=bytearray(5))
print(heat.result() == heat.run(frame))
