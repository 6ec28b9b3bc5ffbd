"""The golden check: a generated frame and the checksum of its results (docs/arithmetic.md, section 5)."""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .model import Model

# Takes a model and its input (uint8 [height, width, channels]) and gives every operator's output (int8; results int16).
Runner = Callable[[Model, NDArray[np.uint8]], Sequence[NDArray[np.integer]]]


def golden_frame(model: Model) -> NDArray[np.uint8]:
    """The golden frame in the model's input size: uint8 [height, width, channels], before the sign flip."""
    count = model.height * model.width * model.input_shape[2]
    state = model.golden_seed
    noise = np.empty(count, np.uint8)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        noise[i] = state >> 26
    y, x = np.mgrid[: model.height, : model.width]
    blocks = (((x >> 3) ^ (y >> 3)) & 15) * 12
    frame = noise.reshape(model.input_shape) + blocks[:, :, None]
    return (frame & 255).astype(np.uint8)


def result_crc(model: Model, outputs: Sequence[NDArray[np.integer]]) -> int:
    """CRC-32 of the CRC-32s of the result operators' outputs. outputs: one array an operator."""
    crcs = b""
    for i in model.results():
        little = outputs[i].astype(outputs[i].dtype.newbyteorder("<"))
        crcs += zlib.crc32(little.tobytes()).to_bytes(4, "little")
    return zlib.crc32(crcs)


def golden_crc(model: Model, runner: Runner) -> int:
    """The value for Model.golden_crc, computed by `runner` (rnnpool_training.reference.run_input)."""
    return result_crc(model, runner(model, golden_frame(model)))
