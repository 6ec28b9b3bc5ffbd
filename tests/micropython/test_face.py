# The trained model on real pictures equals the integer reference. Skipped until models/face.rnnp is there.

import inputs
import rnnpool

model = rnnpool.Model(inputs.path("face.rnnp"))
print(model.selftest(), model.task, model.input_shape, model.ram <= 81920, model.size <= 81920)
wrong = []
for case in inputs.cases("face"):
    if model.detect(inputs.pixels(case), **inputs.arguments(case)) != inputs.expected(case):
        wrong.append(case["name"])
print(wrong)
# The best detection on the portrait is its one face (a medal or a flag may look like another).
portrait = [case for case in inputs.cases("face") if case["frame"].startswith("portrait_320x240_gray8")][0]
x, y, w, h, score = model.detect(inputs.pixels(portrait))[0]
print(score > 0.9, x < 160 < x + w < 260, y < 80 < y + h < 180)
