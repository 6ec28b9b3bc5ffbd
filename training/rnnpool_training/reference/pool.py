"""Pooling by windows (docs/arithmetic.md, section 2)."""

import numpy as np

from ..blob.model import Int8, Pool
from .conv import pad, windows
from .integer import Integers


def rounded_mean(total: Integers, count: Integers | int) -> Integers:
    """The mean of so many values whose sum is given, halves away from zero."""
    return np.asarray(np.sign(total) * ((np.abs(total) + count // 2) // count))


def pool(op: Pool, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, c] -> int8 [out_h, out_w, c]."""
    inside = windows(pad(np.ones((*x.shape[:2], 1), np.int8), op.pads, 0), op.size, op.strides).astype(np.int64)
    taps = windows(pad(x, op.pads, 0), op.size, op.strides).astype(np.int64)
    if op.mean:
        y = rounded_mean((taps * inside).sum((2, 3)), inside.sum((2, 3)))
    else:
        y = np.where(inside == 1, taps, -128).max((2, 3))
    return np.clip(y, op.act_min, op.act_max).astype(np.int8)
