"""MUL, ADD and SUB of a map and a constant: what a rescaling of pixels, or a normalization that was not folded, leaves.

With a single number it is a table; with one a channel a depthwise convolution of one pixel. Both give the nearest int8
values to the real numbers, which are at most a step from TFLite's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..blob import Depthwise, Op
from . import integers
from .integers import Floats
from .tflite_file import Operator

if TYPE_CHECKING:
    from .from_tflite import Lowering

UNIT = 127  # magnitude of the weights


def with_constant(lowering: Lowering, op: Operator) -> Op | None:
    """The operator of a map and a constant; None if both inputs are maps. TFLiteError."""
    constants = [i for i in (0, 1) if lowering.tensor(op.inputs[i]).data is not None]
    if len(constants) != 1:
        return None
    which = 1 - constants[0]
    value, x, out = (lowering.tensor(t) for t in (op.inputs[constants[0]], op.inputs[which], op.outputs[0]))
    channels = lowering.shape(x)[2]
    if value.data is None or value.dtype not in (np.int8, np.uint8):
        raise lowering.fail(op, f"input {constants[0]} must be a constant int8")
    if value.data.size != 1 and (value.data.size != channels or value.shape[-1] != channels):
        raise lowering.fail(op, f"a constant of the shape {value.shape}: one number, or one a channel, is needed")
    if value.data.size > 1 and lowering.made_shape(op.inputs[which])[2] != channels:
        raise lowering.fail(op, "a constant a value of a flattened map; one a channel, before it, is possible")
    zero_point = value.zero_point + (128 if value.dtype == np.uint8 else 0)
    numbers = (value.data.reshape(-1).astype(np.float64) - zero_point) * value.scale
    factor, offset = _line(op.kind, numbers, which)
    source, clamp = lowering.source(op, which), lowering.clamp(op)
    if numbers.size > 1:
        return _by_channel(source, factor, offset, (x.scale, x.zero_point, out.scale), clamp, lowering.where(op))

    def function(v: Floats) -> NDArray[Any]:
        low, high = ((clamp[limit] - out.zero_point) * out.scale for limit in ("act_min", "act_max"))
        return np.clip(v * factor[0] + offset[0], low, high)

    return integers.lookup(source, function, x.grid, out.grid)


def _line(kind: str, numbers: Floats, which: int) -> tuple[Floats, Floats]:
    # factor * x + offset; which: the map's place.
    if kind == "MUL":
        return numbers, np.zeros_like(numbers)
    ones = np.ones_like(numbers)
    if kind == "ADD":
        return ones, numbers
    return (ones, -numbers) if which == 0 else (-ones, numbers)


def _by_channel(
    source: int, factor: Floats, offset: Floats, grid: tuple[float, int, float], clamp: dict[str, Any], where: str
) -> Op:
    scale, zero_point, out_scale = grid
    weight = (UNIT * np.sign(factor)).astype(np.int8)[None, None]
    unit = np.where(factor == 0, 1, np.abs(factor)) * scale / UNIT  # of the accumulator
    bias = np.round(offset / unit).astype(np.int64) - zero_point * weight[0, 0].astype(np.int64)
    found = integers.requantize(weight, bias, unit / out_scale, (0, 1), where)
    filters = found.pop("weight")
    return Depthwise(input=source, filter_weight=filters, stride=(1, 1), padding=(0, 0, 0, 0), **found, **clamp)
