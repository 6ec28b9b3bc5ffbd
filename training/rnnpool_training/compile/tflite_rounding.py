"""TensorFlow Lite's rounding in a blob's terms: its reference kernels' numbers, and cheaper ones with the same results.

TFLite multiplies an accumulator by 31 bits and rounds, then shifts and rounds again (docs/arithmetic.md, section 2).
An operator can do just that. But where nothing goes below the zero point, as with ReLU, the two roundings are one of an
accumulator that is a part of a unit larger. With *fine* biases, of 8 fraction bits, that costs a kernel nothing: for
each channel a bias and a multiplier are looked for that give the same int8 for every accumulator that there can be.
FULLY_CONNECTED rounds once, on both sides of the zero point.
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


def round_single(acc: Longs, m: Multipliers) -> Longs:
    """acc M 2^(exponent - 31), halves upwards, int64: FULLY_CONNECTED."""
    return np.asarray((acc * m.multiplier + (1 << 30 - m.exponent)) >> 31 - m.exponent)


def requantize(
    weight: NDArray[np.int8],
    bias: Longs,
    factors: Floats,
    clamp: dict[str, Any],
    axes: tuple[int, ...],
    single: bool = False,
) -> dict[str, Any] | None:
    """Weights, biases, multipliers, and how to round: an operator that gives TFLite's int8, whatever the input.

    single: of an operator that TFLite rounds once. None if its numbers have no place in a blob. Outputs that are the
    same for every input get weights of 0.
    """
    c, m = channels(weight, bias, axes), multipliers(factors)
    largest = np.maximum(np.abs(c.low), np.abs(c.high))
    if not fits(m) or (largest << np.maximum(m.exponent, 0) > INT32_MAX).any():
        return None
    limits = (clamp["act_min"] - clamp["out_zero_point"], clamp["act_max"] - clamp["out_zero_point"])
    ends = (round_single(acc, m) if single else round_twice(acc, *m) for acc in (c.low, c.high))
    low, high = (np.clip(end, *limits) for end in ends)
    constant = low == high
    shape = [1] * weight.ndim
    shape[next(a for a in range(weight.ndim) if a not in axes)] = -1
    weight = np.where(constant.reshape(shape), 0, weight).astype(np.int8)
    sums = 128 * np.abs(weight.astype(np.int64)).sum(axes)
    found = fine(c, m, (low, high), limits, single) if single or limits[0] >= 0 else None
    if found is not None and (np.abs(found[0]) + (sums << layout.FINE_BITS) <= INT32_MAX).all():
        rounding: dict[str, Any] = {"fine": True}
        biases, multiplier = found
    elif single:
        return None
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


def fine(
    c: Channels, m: Multipliers, outputs: tuple[Longs, Longs], limits: tuple[int, int], single: bool
) -> tuple[Longs, Longs] | None:
    """Fine biases and multipliers, or None if a channel has none.

    outputs: the least and the largest of each channel, limits: of all, less the zero point; from 0 on if not `single`.
    """
    low, high = outputs
    beyond = (m.exponent > -1) | (m.exponent < -22)
    if (beyond & (low != high)).any():
        return None
    biases, found = low << FINE_ONE, np.full(low.shape, 1 << FINE_ONE, np.int64)
    for o in np.flatnonzero(low != high):
        ends, span = (int(c.low[o]), int(c.high[o])), (int(low[o]), int(high[o]))
        pair = _channel(int(m.multiplier[o]), -int(m.exponent[o]), ends, span, limits, single)
        if pair is None:
            return None
        biases[o], found[o] = (int(c.bias[o]) << layout.FINE_BITS) + pair[0], pair[1]
    return biases, found


def _channel(
    multiplier: int, right: int, ends: tuple[int, int], span: tuple[int, int], limits: tuple[int, int], single: bool
) -> tuple[int, int] | None:
    # What to add to a fine bias, and the multiplier. The output is at least k from an accumulator on that is known:
    # with the bias that must be so at it, and must not at the one before, for each k.
    steps = np.arange(span[0] + 1, span[1] + 1, dtype=np.int64)
    first = -((-(steps << 31 + right) + (1 << 30 + right) + (0 if single else 1 << 30)) // multiplier)  # ceil
    reached, at = steps, first  # output k is reached at this accumulator ...
    missed, before = steps, first - 1  # ... and missed at this one
    if span[0] > limits[0]:
        reached, at = np.append(reached, span[0]), np.append(at, ends[0])
    if span[1] < limits[1]:
        missed, before = np.append(missed, span[1] + 1), np.append(before, ends[1])
    middle = 0 if single else round(2**38 / multiplier)
    more = np.arange(middle - REACH, middle + REACH + 1, dtype=np.int64)[:, None]
    # All as unit * multiplier >= bound.
    unit = np.concatenate([(at << 8) + more, -((before << 8) + more)], 1)
    bound = np.append((reached << 40) - (1 << 39), (1 << 39) + 1 - (missed << 40))
    divisor = np.where(unit == 0, 1, unit)
    least = np.where(unit > 0, -(-bound // divisor), np.where((unit == 0) & (bound > 0), 1 << 31, 0)).max(1)
    largest = np.where(unit < 0, bound // divisor, INT32_MAX).min(1)
    least, largest = np.maximum(least, 0), np.minimum(largest, INT32_MAX)
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
