# Detections equal what the integer reference predicts: frames of many sizes, in all formats, with several limits.

# ruff: noqa: E402
arena = bytearray(72000)  # first of all, while a small heap is in one piece

import binascii
from array import array

import inputs
import rnnpool

for name in ("face_m4", "tiny", "segmented", "classes"):
    model = rnnpool.Model(inputs.read(name + ".rnnp"), arena=arena)
    wrong = []
    found = 0
    for case in inputs.cases(name):
        result = model.detect(inputs.pixels(case), **inputs.arguments(case))
        found += len(result)
        if result != inputs.expected(case):
            wrong.append((case["name"], result, inputs.expected(case)))
    print(name, found > 0, wrong, model.selftest())

# Best first; a score is a float, the rest small integers within the frame.
case = inputs.cases("tiny")[0]
model = rnnpool.Model(inputs.read("tiny.rnnp"))
results = model.detect(inputs.pixels(case))
scores = [score for x, y, w, h, score in results]
print(scores == sorted(scores, reverse=True), all(isinstance(s, float) and 0 <= s < 1 for s in scores))
print(all(0 <= x < x + w <= 32 and 0 <= y < y + h <= 24 for x, y, w, h, _ in results))

# Of a model with several classes the number of the class is a sixth item, in records, too.
several = rnnpool.Model(inputs.read("classes.rnnp"), arena=arena)
for case in inputs.cases("classes"):
    out = array("h", bytes(12 * 64))
    count = several.detect(inputs.pixels(case), out=out, **inputs.arguments(case))
    if [list(out[6 * i : 6 * i + 6]) for i in range(count)] != case["detections"]:
        print("wrong records:", case["name"])
print(len({box[5] for case in inputs.cases("classes") for box in inputs.expected(case)}) > 1, several.labels)
try:
    several.detect(inputs.pixels(case), out=bytearray(11), **inputs.arguments(case))
except ValueError:
    print("no room")

# The format follows from the length where only one has it; else it must be said.
for case in inputs.cases("tiny"):
    given = inputs.arguments(case)
    del given["format"]
    try:
        right = model.detect(inputs.pixels(case), **given) == inputs.expected(case)
    except ValueError:
        right = case["format"] != rnnpool.GRAY8
    if not right:
        print("wrong without format:", case["name"])
case = inputs.cases("tiny")[0]

# max_faces cuts the list (and then boxes that lie outside the frame are dropped).
few = model.detect(inputs.pixels(case), max_faces=3, **inputs.arguments(case))
print(len(few) <= 3, few == inputs.expected(case)[: len(few)])

# The self-test fails if the board computes something else than the model's author did.
blob = bytearray(inputs.read("tiny.rnnp"))
blob[48] ^= 1  # the expected value
blob[12:16] = binascii.crc32(memoryview(blob)[16:]).to_bytes(4, "little")
print(rnnpool.Model(blob).selftest())
