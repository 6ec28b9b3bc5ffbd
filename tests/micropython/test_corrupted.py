# Each byte of the header and of each operator's record, set to several values: refused as damaged, and with the
# checksum put right either refused for the field or a valid model that runs. Nothing else may happen.

import binascii

import inputs
import rnnpool

HEADER, RECORD, CHECKSUM = 128, 64, 12
blob = bytearray(inputs.read("tiny.rnnp"))
ops = int.from_bytes(blob[24:28], "little")
num_ops = int.from_bytes(blob[22:24], "little")
pixels = bytes(32 * 24)
frame = inputs.pixels(inputs.cases("tiny")[0])


def outcome(data):
    # Name of the exception; "ok" if the model was taken and ran.
    try:
        model = rnnpool.Model(data)
        if model.task == "detection":
            height, width, channels = model.input_shape
            model.selftest()
            model.detect(frame, width=32, height=24)
        model.layers(), model.labels, str(model)
        return "ok"
    except (ValueError, MemoryError) as error:
        return type(error).__name__


def sign(data):
    data[CHECKSUM : CHECKSUM + 4] = binascii.crc32(memoryview(data)[16:]).to_bytes(4, "little")


print(outcome(blob))
damaged = set()
signed = {}
for at in list(range(HEADER)) + list(range(ops, ops + num_ops * RECORD)):
    right = blob[at]
    for value in (0, 1, right ^ 1, right ^ 0x10, 0x7F, 0x80, 0xFF):
        if value == right:
            continue
        blob[at] = value
        damaged.add(outcome(blob))
        if not CHECKSUM <= at < CHECKSUM + 4:
            sign(blob)
            result = outcome(blob)
            signed[result] = signed.get(result, 0) + 1
        blob[at] = right
        sign(blob)
print(damaged)
# Most fields have few valid values.
print(signed["ValueError"] > 1000, 0 < signed["ok"] < 800, signed.get("MemoryError", 0) < 100)

# Whole fields of 4 bytes with values that overflow sums and products.
results = set()
for at in list(range(8, HEADER, 4)) + list(range(ops, ops + num_ops * RECORD, 4)):
    right = bytes(blob[at : at + 4])
    for value in (0xFFFFFFFF, 0xFFFFFFF0, 0x80000000, 0x7FFFFFFF, len(blob), len(blob) - 16):
        blob[at : at + 4] = value.to_bytes(4, "little")
        if at != CHECKSUM:
            sign(blob)
        results.add(outcome(blob))
    blob[at : at + 4] = right
    sign(blob)
print("ValueError" in results, outcome(blob))
