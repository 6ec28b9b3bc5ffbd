"""Convolutions, int8 in; int8 or, for detection heads, int16 out (docs/arithmetic.md, section 2)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob.model import Conv, DetectHead, Int8, Int16, Int32
from .integer import product, sat16


def pad(x: Int8, kernel: int, zero_point: int) -> Int8:
    """int8 [h, w, c] with (kernel - 1) / 2 rows and columns of the zero point on every side."""
    p = (kernel - 1) // 2
    return np.pad(x, ((p, p), (p, p), (0, 0)), constant_values=zero_point)


def windows(x: NDArray[Any], kernel: int, stride: int) -> NDArray[Any]:
    """View of a padded [h, w, c] as [out_h, out_w, kernel, kernel, c]."""
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (0, 1))[::stride, ::stride]
    return view.transpose(0, 1, 3, 4, 2)


def requantize(acc: Int32, multiplier: Int32, zero_point: int, low: int, high: int) -> Int8:
    """int32 [..., o] to int8 [..., o]: one rounding, product in 64 bits, clamped to low..high."""
    y = zero_point + ((acc.astype(np.int64) * multiplier + (1 << 31)) >> 32)
    return np.clip(y, low, high).astype(np.int8)


def accumulate(x: Int8, weight: Int8, bias: Int32, stride: int, zero_point: int) -> Int32:
    """Accumulators of a convolution: int8 [h, w, c], weight [o, k, k, c], bias [o] -> int32 [out_h, out_w, o]."""
    kernel = weight.shape[1]
    taps = windows(pad(x, kernel, zero_point), kernel, stride)
    height, width = taps.shape[:2]
    return bias + product(taps.reshape(height, width, -1), weight.reshape(len(weight), -1))


def conv(op: Conv, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, in] -> int8 [out_h, out_w, out]. zero_point: the input's."""
    acc = accumulate(x, op.weight, op.bias, op.stride, zero_point)
    return requantize(acc, op.multiplier, op.out_zero_point, op.act_min, op.act_max)


def head(op: DetectHead, x: Int8, zero_point: int) -> Int16:
    """int8 [h, w, in] -> int16 [h, w, 5 * anchors] in Q12; multipliers have 24 fraction bits."""
    acc = accumulate(x, op.weight, op.bias, 1, zero_point)
    return sat16((acc.astype(np.int64) * op.multiplier + (1 << 23)) >> 24).astype(np.int16)
