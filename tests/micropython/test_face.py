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
# The portrait has one face, and the model finds it.
portrait = [case for case in inputs.cases("face") if case["frame"].startswith("portrait_320x240_gray8")][0]
print(len(model.detect(inputs.pixels(portrait))))
