"""Integers of a blob's operators from real numbers: what all front ends share (docs/arithmetic.md, section 2).

A front end brings int8 weights, scales and zero points; here they become biases, multipliers, shifts and clamps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..blob import Add, Concat, Dense, GlobalAveragePool, L2Norm, Lookup, Mul, layout
from ..errors import InputError

Floats = NDArray[np.float64]
LARGEST_LOGIT = 8.0  # of Q12
LARGEST_FACTOR = 0.499  # from a unit of an accumulator to a step of the output, without a shift
LARGEST_HEAD = 0.499 * 2.0**8  # factor of a head: multipliers have 24 bits and are below 2^31
LARGEST_RATIO = 32767  # scale of an L2 normalization
CONSTANT_BITS = 12  # fraction bits of a constant output


class Grid(NamedTuple):
    """An int8 tensor's values: real = scale * (q - zero_point)."""

    scale: float
    zero_point: int

    def real(self) -> Floats:
        """Of all int8 values, -128 first."""
        return np.asarray((np.arange(-128, 128) - self.zero_point) * self.scale, np.float64)

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return self.scale * max(127 - self.zero_point, 128 + self.zero_point)

    def clamp(self, low: float, high: float) -> dict[str, Any]:
        """Zero point and clamp of an operator whose output has this grid; limits may be infinite."""
        limits = [
            int(np.clip(v if math.isinf(v) else self.zero_point + np.floor(v / self.scale + 0.5), -128, 127))
            for v in (low, high)
        ]
        return {"out_zero_point": self.zero_point, "act_min": limits[0], "act_max": limits[1]}


def multipliers(factors: Floats, bits: int, most_shift: int, where: str) -> tuple[NDArray[np.int32], int]:
    """Factors as `round(2^(bits - shift) factor)` below 2^31, with the smallest shift that does it. InputError."""
    for shift in range(most_shift + 1):
        found = np.floor(factors * 2.0 ** (bits - shift) + 0.5)
        if found.max() < 2**31:
            return found.astype(np.int32), shift
    raise InputError(f"{where}: a factor of {factors.max():g} is too large")


def int32(values: NDArray[np.int64], where: str) -> NDArray[np.int32]:
    """Biases that must fit. InputError."""
    if np.abs(values).max() >= 2**31:
        raise InputError(f"{where}: a bias of {int(values[np.abs(values).argmax()])} with the input's zero point in it")
    return values.astype(np.int32)


def requantize(
    weight: NDArray[np.int8], bias: NDArray[np.int64], factors: Floats, axes: tuple[int, ...], where: str
) -> dict[str, Any]:
    """Weights, biases, multipliers and shift of an operator with int8 outputs.

    bias: with the input's zero point in it; factors: from a unit of the accumulator to a step of the output, a channel
    each; axes: of the weights, all but the outputs'. Channels whose weights can't move the output by 1/64 are constant:
    a large bias would cost the multiplier bits of its own.
    """
    quiet = factors * np.abs(weight.astype(np.int64)).sum(axes) * 255 < 1 / 64
    constant = np.round(bias * factors * 2.0**CONSTANT_BITS)
    bias = np.where(quiet, np.clip(constant, -(1 << 30), 1 << 30), bias).astype(np.int64)
    keep = ~quiet.reshape(-1, *[1] * len(axes)) if 0 not in axes else ~quiet
    found, shift = multipliers(np.where(quiet, 2.0**-CONSTANT_BITS, factors), 32, layout.MAX_SHIFT, where)
    return {
        "weight": np.where(keep, weight, 0).astype(np.int8),
        "bias": int32(bias, where),
        "multiplier": found,
        "shift": shift,
    }


def logits(
    weight: NDArray[np.int8], bias: NDArray[np.int64], factors: Floats, largest: float, source: int, where: str
) -> Dense:
    """A classifier's last layer. weight: [out, h, w, in]; factors: from a unit of the accumulator to a real number;
    largest: magnitude that a logit may have. InputError."""
    shift = max(0, math.ceil(math.log2(max(largest, 1e-9) / LARGEST_LOGIT)))
    while shift < layout.MAX_DENSE_SHIFT and np.round(factors * 2.0 ** (24 + 12 - shift)).max() >= 2**31:
        shift += 1
    if shift > layout.MAX_DENSE_SHIFT:
        most = LARGEST_LOGIT * 2**layout.MAX_DENSE_SHIFT
        raise InputError(f"{where}: logits up to {largest:g}, {most:g} is the most")
    multiplier = np.round(factors * 2.0 ** (24 + 12 - shift))
    if multiplier.max() >= 2**31:
        raise InputError(f"{where}: a factor of {factors.max():g} is too large")
    return Dense(
        input=source,
        weight=weight.reshape(len(weight), -1) if weight.shape[1:3] == (1, 1) else weight,
        bias=int32(bias, where),
        multiplier=multiplier.astype(np.int32),
        shift=shift,
    )


SumKind = TypeVar("SumKind", Add, Concat)


def weighted(
    kind: type[SumKind], sources: Sequence[int], factors: Floats, clamp: dict[str, Any], where: str
) -> SumKind:
    """ADD, CONCAT. factors: from a step of each input to one of the output. InputError."""
    shift = max(0, math.ceil(np.log2((np.abs(factors).max() + 2**-20) / 4)))
    if len(sources) > layout.MAX_INPUTS:
        raise InputError(f"{where}: {len(sources)} inputs, {layout.MAX_INPUTS} is the most: join some of them first")
    if shift > layout.MAX_SHIFT:
        raise InputError(f"{where}: a factor of {np.abs(factors).max():g} is too large")
    weights = np.round(factors * 2.0 ** (20 - shift)).astype(np.int32)
    return kind(input=sources[0], others=tuple(sources[1:]), weights=weights, shift=shift, **clamp)


def product(sources: tuple[int, int], factor: float, clamp: dict[str, Any], where: str) -> Mul:
    """MUL of a map and a vector. factor: from a product of steps to a step of the output. InputError."""
    found, shift = multipliers(np.array([factor]), 32, Mul.max_shift, where)
    return Mul(input=sources[0], others=sources[1:], multiplier=found, shift=shift, **clamp)


def l2_norm(source: int, factors: Floats, clamp: dict[str, Any], where: str) -> L2Norm:
    """L2_NORM. factors: from a ratio of 1 to steps of the output, a channel each. InputError."""
    largest = np.abs(factors).max()
    shift = max(0, math.ceil(math.log2(max(largest, 2.0**-15) * 2.0**15 / LARGEST_RATIO)))
    if shift > layout.MAX_SHIFT:
        raise InputError(f"{where}: {largest:g} steps of the output for a length of 1")
    scale = np.floor(factors * 2.0 ** (15 - shift) + 0.5).astype(np.int16)
    return L2Norm(input=source, scale=scale, shift=shift, **clamp)


def average(source: int, factor: float, size: tuple[int, int], clamp: dict[str, Any], where: str) -> GlobalAveragePool:
    """GLOBAL_AVERAGE_POOL. factor: from a step of the input to one of the output."""
    found, _ = multipliers(np.array([factor / (size[0] * size[1])]), 24, 0, where)
    return GlobalAveragePool(input=source, multiplier=found, **clamp)


def lookup(source: int, function: Callable[[Floats], NDArray[Any]], x: Grid, out: Grid) -> Lookup:
    """LOOKUP of a function of real numbers."""
    y = out.zero_point + np.floor(function(x.real()) / out.scale + 0.5)
    return Lookup(input=source, table=np.clip(y, -128, 127).astype(np.int8), out_zero_point=out.zero_point)
