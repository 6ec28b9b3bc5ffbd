"""Sigmoid, tanh and powers of two by table with linear interpolation (docs/arithmetic.md, section 3, "Tables")."""

import math

import numpy as np

from .integer import Integers, sat16

# Halves never occur (tests/host/test_reference_tables.py), so every libm rounds to the same whole numbers.
SIGMOID = np.array([round(2**15 / (1 + math.exp(-i / 16))) for i in range(129)], np.int32)
EXP2 = np.array([round(2**14 * 2 ** (k / 32)) for k in range(33)], np.int32)


def sigmoid15(x: Integers) -> Integers:
    """Sigmoid of x in Q12 (-32768..32767) as Q15, int32 0..32767."""
    x = np.asarray(x, np.int32)
    u = np.minimum(np.abs(x), 32767)
    i, f = u >> 8, u & 255
    s = SIGMOID[i] + (((SIGMOID[i + 1] - SIGMOID[i]) * f + 128) >> 8)
    return np.minimum(np.where(x >= 0, s, 32768 - s), 32767)


def tanh15(x: Integers) -> Integers:
    """tanh of x in Q12 (-32768..32767) as Q15, int32 -32768..32767."""
    return np.clip(2 * sigmoid15(sat16(2 * np.asarray(x, np.int32))) - 32768, -32768, 32767)


def exp2_mantissa(f: Integers) -> Integers:
    """2^f of f in Q12, 0..4095, as Q14: int64 16384..32767."""
    k = np.asarray(f, np.int64) >> 7
    return EXP2[k].astype(np.int64) + (((EXP2[k + 1] - EXP2[k]) * (f & 127) + 64) >> 7)


def exp2_14(t: Integers) -> Integers:
    """2^t of t in Q12, clamped to -4..4, as Q14: int64 1024..262144."""
    t = np.clip(np.asarray(t, np.int64), -16384, 16384)
    i, m = t >> 12, exp2_mantissa(t & 4095)
    return np.where(i >= 0, m << np.maximum(i, 0), m >> np.maximum(-i, 0))
