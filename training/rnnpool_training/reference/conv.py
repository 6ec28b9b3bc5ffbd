"""Convolutions, int8 in, int8 out (docs/arithmetic.md, section 2), and what other operators share with them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob.model import Conv, Int8, Int16, Int32
from .integer import Integers, product, sat16

Padding = tuple[int, int, int, int]  # top, left, bottom, right


def pad(x: Int8, padding: Padding, value: int) -> Int8:
    """int8 [h, w, c] with rows and columns of a value around it."""
    top, left, bottom, right = padding
    return np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=value)


def windows(x: NDArray[Any], size: tuple[int, int], strides: tuple[int, int]) -> NDArray[Any]:
    """View of a padded [h, w, c] as [out_h, out_w, kh, kw, c]."""
    view = np.lib.stride_tricks.sliding_window_view(x, size, (0, 1))[:: strides[0], :: strides[1]]
    return view.transpose(0, 1, 3, 4, 2)


def requantize(acc: Int32, multiplier: Int32, zero_point: int, low: int, high: int, shift: int = 0) -> Int8:
    """int32 [..., o] to int8 [..., o]: one rounding, product in 64 bits, clamped to low..high."""
    y = zero_point + (((acc.astype(np.int64) << shift) * multiplier + (1 << 31)) >> 32)
    return np.clip(y, low, high).astype(np.int8)


def to_int16(acc: Int32, multiplier: Int32) -> Int16:
    """int32 [..., o] to int16 in Q12; multipliers have 24 fraction bits."""
    return sat16((acc.astype(np.int64) * multiplier + (1 << 23)) >> 24).astype(np.int16)


def accumulate(
    x: Int8, weight: Int8, bias: Int32, strides: tuple[int, int], padding: Padding, zero_point: int
) -> Int32:
    """Accumulators of a convolution: int8 [h, w, c], weight [o, kh, kw, c], bias [o] -> int32 [out_h, out_w, o]."""
    taps = windows(pad(x, padding, zero_point), weight.shape[1:3], strides)
    height, width = taps.shape[:2]
    return bias + product(taps.reshape(height, width, -1), weight.reshape(len(weight), -1))


def conv(op: Conv, x: Int8, zero_point: int) -> Integers:
    """int8 [h, w, in] -> int8 [out_h, out_w, out]. zero_point: the input's."""
    acc = accumulate(x, op.weight, op.bias, op.strides, op.pads, zero_point)
    return requantize(acc, op.multiplier, op.out_zero_point, op.act_min, op.act_max, op.shift)
