"""TensorFlow Lite's rounding in a blob's terms: its reference kernels' numbers, and cheaper ones with the same results.

TFLite multiplies an accumulator by 31 bits and rounds, then shifts and rounds again (docs/arithmetic.md, section 2).
An operator can do just that. But where nothing goes below the zero point, as with ReLU, the two roundings are one of an
accumulator that is a part of a unit larger. With *fine* biases, of 8 fraction bits, that costs a kernel nothing: for
each channel a bias and a multiplier are looked for that give the same int8 for every accumulator that there can be.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..blob import layout
from ..reference.conv import round_twice

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
INT32_MAX = 2**31 - 1
FINE_ONE = 20  # fraction bits of a constant output as a bias, and of its multiplier
REACH = 40  # biases tried on either side of the one that would be right in real numbers, in 1/256


class Multipliers(NamedTuple):
    """Real factors as TFLite has them: M 2^(exponent - 31), M of 31 bits."""

    multiplier: Longs
    exponent: Longs


def multipliers(factors: Floats) -> Multipliers:
    """QuantizeMultiplier of TFLite."""
    mantissa, exponent = np.frexp(np.asarray(factors, np.float64))
    found, exponent = np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64), exponent.astype(np.int64)
    full = found == 1 << 31
    found, exponent = np.where(full, found >> 1, found), exponent + full
    none = exponent < layout.LEAST_EXPONENT
    return Multipliers(np.where(none, 0, found), np.where(none, 0, exponent))


def fits(m: Multipliers, most: int = layout.MOST_EXPONENT) -> bool:
    """Whether a blob has room for the exponents."""
    return bool((m.exponent <= most).all())


class Channels(NamedTuple):
    """Of an operator's outputs: weights, biases with the input's zero point in them, the accumulators' range."""

    weight: NDArray[np.int8]
    bias: Longs
    low: Longs
    high: Longs


def channels(weight: NDArray[np.int8], bias: Longs, axes: tuple[int, ...]) -> Channels:
    """For inputs of -128..127. axes: of the weights, all but the outputs'."""
    wide = weight.astype(np.int64)
    positive, negative = np.maximum(wide, 0).sum(axes), np.minimum(wide, 0).sum(axes)
    return Channels(weight, bias, bias - 128 * positive + 127 * negative, bias + 127 * positive - 128 * negative)


def requantize(
    weight: NDArray[np.int8], bias: Longs, factors: Floats, clamp: dict[str, Any], axes: tuple[int, ...]
) -> dict[str, Any] | None:
    """Weights, biases, multipliers, and how to round: an operator that gives TFLite's int8, whatever the input.

    None if its numbers have no place in a blob. Outputs that are the same for every input get weights of 0.
    """
    c, m = channels(weight, bias, axes), multipliers(factors)
    largest = np.maximum(np.abs(c.low), np.abs(c.high))
    if not fits(m) or (largest << np.maximum(m.exponent, 0) > INT32_MAX).any():
        return None
    zero_point, limits = clamp["out_zero_point"], (clamp["act_min"], clamp["act_max"])
    low, high = (np.clip(zero_point + round_twice(acc, *m), *limits) - zero_point for acc in (c.low, c.high))
    constant = low == high
    shape = [1] * weight.ndim
    shape[next(a for a in range(weight.ndim) if a not in axes)] = -1
    weight = np.where(constant.reshape(shape), 0, weight).astype(np.int8)
    sums = 128 * np.abs(weight.astype(np.int64)).sum(axes)
    found = fine(c, m, low, high, limits[1] - zero_point) if limits[0] >= zero_point else None
    if found is not None and (np.abs(found[0]) + (sums << layout.FINE_BITS) <= INT32_MAX).all():
        rounding: dict[str, Any] = {"fine": True}
        biases, multiplier = found
    else:
        biases = np.where(constant, low << 11, bias)
        multiplier = np.where(constant, 1 << 30, m.multiplier)  # 2^30 2^(-10 - 31): by 2^11
        exponent = np.where(constant, -10, m.exponent)
        if ((np.abs(biases) + sums) << 1 + np.maximum(exponent, 0) > INT32_MAX).any():
            return None
        rounding = {"exponent": exponent.astype(np.int8)}
    return {
        "weight": weight,
        "bias": biases.astype(np.int32),
        "multiplier": multiplier.astype(np.int32),
        **rounding,
    }


def fine(c: Channels, m: Multipliers, low: Longs, high: Longs, most: int) -> tuple[Longs, Longs] | None:
    """Fine biases and multipliers, or None if a channel has none. Outputs are less the zero point, from 0 on."""
    if (m.exponent > -1).any() or (m.exponent < -22).any():
        constant = low == high
        if ((m.exponent > -1) & ~constant).any() or ((m.exponent < -22) & ~constant).any():
            return None
    biases, found = low << FINE_ONE, np.full(low.shape, 1 << FINE_ONE, np.int64)
    for o in np.flatnonzero(low != high):
        ends = (int(c.low[o]), int(c.high[o]))
        pair = _channel(int(m.multiplier[o]), -int(m.exponent[o]), ends, int(low[o]), int(high[o]), most)
        if pair is None:
            return None
        biases[o], found[o] = (int(c.bias[o]) << layout.FINE_BITS) + pair[0], pair[1]
    return biases, found


def _channel(
    multiplier: int, right: int, ends: tuple[int, int], low: int, high: int, most: int
) -> tuple[int, int] | None:
    # What to add to a fine bias, and the multiplier. The output is at least k from an accumulator on that is known:
    # with the bias that must be so at it, and must not at the one before, for each k.
    steps = np.arange(low + 1, high + 1, dtype=np.int64)
    first = -((-(steps << 31 + right) + (1 << 30 + right) + (1 << 30)) // multiplier)  # ceil
    reached, at = steps, first  # output k is reached at this accumulator ...
    missed, before = steps, first - 1  # ... and missed at this one
    if low > 0:
        reached, at = np.append(reached, low), np.append(at, ends[0])
    if high < most:
        missed, before = np.append(missed, high + 1), np.append(before, ends[1])
    middle = round(2**38 / multiplier)
    more = np.arange(middle - REACH, middle + REACH + 1, dtype=np.int64)[:, None]
    above, below = (at << 8) + more, (before << 8) + more
    least = np.where(above > 0, -((-(reached << 40) + (1 << 39)) // np.maximum(above, 1)), 1 << 31).max(1)
    # From 0 on down nothing is reached.
    largest = np.where(below > 0, -((-(missed << 40) + (1 << 39)) // np.maximum(below, 1)) - 1, INT32_MAX).min(1)
    largest = np.minimum(largest, INT32_MAX)
    room = largest - least
    best = int(room.argmax())
    return None if room[best] < 0 else (int(more[best, 0]), int(least[best] + largest[best]) // 2)


def add(scales: tuple[float, float, float]) -> Multipliers:
    """Of ADD: its inputs' scales and its output's (reference_ops::Add of int8)."""
    one, two, out = scales
    twice = 2 * max(one, two)
    return multipliers(np.array([one / twice, two / twice, twice / ((1 << 20) * out)]))


def as_arrays(m: Multipliers) -> dict[str, Any]:
    """As fields of an operator."""
    return {"multiplier": m.multiplier.astype(np.int32), "exponent": m.exponent.astype(np.int8)}
