"""Convolutions, int8 in, int8 out (docs/arithmetic.md, section 2), and what other operators share with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob import layout
from ..blob.model import Conv, Depthwise, Int8, Int16, Int32
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


def round_once(acc: Integers, multiplier: Integers, shift: int = 0) -> Integers:
    """acc 2^shift M 2^-32, halves upwards, int64: product in 64 bits."""
    return np.asarray(((acc.astype(np.int64) << shift) * multiplier + (1 << 31)) >> 32)


def round_twice(acc: Integers, multiplier: Integers, exponent: Integers) -> Integers:
    """acc M 2^(exponent - 31) as TensorFlow Lite's reference kernels round it, int64: by 31 bits, halves upwards, and,
    if the exponent is below 0, by as many bits again, halves away from zero."""
    exponent = exponent.astype(np.int64)
    t = ((acc.astype(np.int64) << np.maximum(exponent, 0)) * multiplier + (1 << 30)) >> 31
    right = np.maximum(-exponent, 0)
    return np.asarray(np.where(right == 0, t, (t + (1 << np.maximum(right - 1, 0)) - (t < 0)) >> right))


def round_fine(acc: Integers, multiplier: Integers) -> Integers:
    """acc M 2^-40 of accumulators with 8 fraction bits more, halves upwards, int64."""
    return np.asarray((acc.astype(np.int64) * multiplier + (1 << 39)) >> 40)


def requantize(acc: Int32, multiplier: Int32, zero_point: int, low: int, high: int, shift: int = 0) -> Int8:
    """int32 [..., o] to int8 [..., o]: one rounding, clamped to low..high."""
    return np.clip(zero_point + round_once(acc, multiplier, shift), low, high).astype(np.int8)


def scaled(op: Conv | Depthwise, acc: Callable[[Int32], Int32]) -> Int8:
    """int8 outputs of an operator, rounded in its way. acc: accumulators with the given biases."""
    if op.fine:
        y = round_fine((acc(np.zeros_like(op.bias)).astype(np.int64) << layout.FINE_BITS) + op.bias, op.multiplier)
    elif op.exponent is not None:
        y = round_twice(acc(op.bias), op.multiplier, op.exponent)
    else:
        y = round_once(acc(op.bias), op.multiplier, op.shift)
    return np.clip(op.out_zero_point + y, op.act_min, op.act_max).astype(np.int8)


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
    return scaled(op, lambda bias: accumulate(x, op.weight, bias, op.strides, op.pads, zero_point))
