"""Depthwise convolutions (docs/arithmetic.md, section 2)."""

import numpy as np

from ..blob.model import Depthwise, Int8, Int32
from .conv import Padding, conv, pad, scaled, windows


def filtered(x: Int8, weight: Int8, bias: Int32, strides: tuple[int, int], padding: Padding, zero_point: int) -> Int32:
    """Accumulators: int8 [h, w, c], weight [kh, kw, c], bias [c] -> int32 [out_h, out_w, c]."""
    taps = windows(pad(x, padding, zero_point), weight.shape[:2], strides)
    acc = np.tile(bias, (*taps.shape[:2], 1)).astype(np.int32)
    for ky in range(weight.shape[0]):
        for kx in range(weight.shape[1]):
            acc += weight[ky, kx].astype(np.int32) * taps[:, :, ky, kx]
    return acc


def depthwise(op: Depthwise, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, c] -> int8 [out_h, out_w, c], or of a projection's outputs. zero_point: the input's."""
    projection = op.projection
    if projection is not None:
        return conv(projection, depthwise(op.filter, x, zero_point), op.filter_zero_point)
    return scaled(op, lambda bias: filtered(x, op.filter_weight, bias, op.strides, op.pads, zero_point))
