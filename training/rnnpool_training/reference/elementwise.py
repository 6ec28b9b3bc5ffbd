"""Sums, concatenation, products, tables and L2 normalization (docs/arithmetic.md, section 2)."""

import numpy as np

from ..blob.model import Add, Concat, Int8, L2Norm, Lookup, Mul
from .conv import requantize, round_twice
from .integer import Integers

Input = tuple[Int8, int]  # a map and its zero point
SUM_BITS = 20
INPUT_BITS = 20  # of what TensorFlow Lite makes of an input


def _value(op: Add | Concat, total: Integers) -> Int8:
    # A weighted sum of differences from zero points, rounded once.
    bits = SUM_BITS - op.shift
    y = op.out_zero_point + ((total + (1 << (bits - 1))) >> bits)
    return np.clip(y, op.act_min, op.act_max).astype(np.int8)


def add(op: Add, x: Int8, zero_point: int, other: Input) -> Int8:
    """Two int8 [h, w, c] -> int8 [h, w, c]."""
    one, two = (v.astype(np.int64) - zero for v, zero in ((x, zero_point), other))
    if op.weights is not None:
        return _value(op, one * int(op.weights[0]) + two * int(op.weights[1]))
    assert op.multiplier is not None and op.exponent is not None
    (m1, m2, m), (e1, e2, e) = op.multiplier, op.exponent
    total = round_twice(one << INPUT_BITS, m1, e1) + round_twice(two << INPUT_BITS, m2, e2)
    y = op.out_zero_point + round_twice(total, m, e)
    return np.clip(y, op.act_min, op.act_max).astype(np.int8)


def concat(op: Concat, x: Int8, zero_point: int, *others: Input) -> Int8:
    """int8 [h, w, c], ... -> int8 [h, w, all c]."""
    maps = ((x, zero_point), *others)
    parts = [
        _value(op, (v.astype(np.int64) - zero) * int(weight))
        for (v, zero), weight in zip(maps, op.weights, strict=True)
    ]
    return np.concatenate(parts, 2)


def mul(op: Mul, x: Int8, zero_point: int, vector: Input) -> Int8:
    """int8 [h, w, c] and int8 [1, 1, c] -> int8 [h, w, c]."""
    product = (x.astype(np.int32) - zero_point) * (vector[0].astype(np.int32) - vector[1])
    if op.exponent is not None:
        y = op.out_zero_point + round_twice(product, op.multiplier, op.exponent)
        return np.clip(y, op.act_min, op.act_max).astype(np.int8)
    return requantize(product, op.multiplier, op.out_zero_point, op.act_min, op.act_max, op.shift)


def lookup(op: Lookup, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, c] -> int8 [h, w, c]."""
    return op.table[x.astype(np.int64) + 128]


def l2_norm(op: L2Norm, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, c] -> int8 [h, w, c]."""
    v = x.astype(np.int64) - zero_point
    squares = np.maximum((v * v).sum(2, keepdims=True), 1)
    left = (31 - np.floor(np.log2(squares)).astype(np.int64)) // 2  # exact: whole numbers below 2^27
    length = np.floor(np.sqrt(squares << 2 * left)).astype(np.int64)  # exact: below 2^32
    inverse = ((1 << 30) + length // 2) // length
    ratio = ((v << left) * inverse + (1 << 14)) >> 15
    bits = 30 - op.shift
    y = op.out_zero_point + ((ratio * op.scale.astype(np.int64) + (1 << (bits - 1))) >> bits)
    return np.clip(y, op.act_min, op.act_max).astype(np.int8)
