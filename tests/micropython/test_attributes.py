# What a model says about itself, and that names are those of typings/rnnpool.pyi.

import inputs
import rnnpool

formats = ("GRAY8", "RGB565", "RGB565_BE", "RGB888", "BGR888", "YUYV", "UYVY", "YUV420")
print([getattr(rnnpool, name) for name in formats], isinstance(rnnpool.__version__, str))
model = rnnpool.Model(inputs.read("tiny.rnnp"))
print(model.task, model.name, model.labels, model.input_shape, model.size, model.in_place)
print(model.ram > 0, model.ram == rnnpool.required_ram(inputs.read("tiny.rnnp")))

layers = model.layers()
print([(kind, shape) for kind, shape, _, _ in layers])
print(all(arena > 0 and macs > 0 for _, _, arena, macs in layers), sum(layer[3] for layer in layers) == model.macs)
text = str(model)
print(model.name in text, str(model.ram) in text, repr(model) == text)

for name in ("ram", "name", "detect", "anything"):
    for change in (lambda: setattr(model, name, 1), lambda: delattr(model, name)):
        try:
            change()
            print("changed", name)
        except AttributeError:
            pass
try:
    model.anything
except AttributeError:
    print("AttributeError")

# Names that exist but are not described, and the other way round. `__class__` and the like are MicroPython's.
described = inputs.names()
layer = rnnpool.RNNPool(inputs.read("front_01_rnnpool.rnnp"))
heat = rnnpool.Model(inputs.read("heat_map.rnnp"))  # has all attributes; a detector has no output_shape
for what, names in (("rnnpool", dir(rnnpool)), ("Model", dir(heat)), ("RNNPool", dir(layer))):
    names = {name for name in names if not name.startswith("__") or name == "__version__"}
    print(what, sorted(names - set(described[what])), sorted(set(described[what]) - names))


# A class of one's own can build on Model.
class Detector(rnnpool.Model):
    def count(self, frame):
        return len(self.detect(frame))


case = inputs.cases("tiny")[0]
detector = Detector(inputs.read("tiny.rnnp"))
print(detector.count(inputs.pixels(case)) == len(case["detections"]), detector.input_shape)
try:
    rnnpool.Model.detect(5, inputs.pixels(case))
except TypeError:
    print("TypeError")
