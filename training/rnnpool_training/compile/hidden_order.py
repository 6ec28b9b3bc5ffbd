"""Puts the hidden units of RNNPools into an order that the engine is fast with. No result changes.

States are Q15, and a row of U whose magnitudes sum up to less than 2^15 can't make a sum that saturates when it is
doubled, which a shift of 15 asks for. The kernels take two rows at a time and save that where the first of each two is
such a row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob import Conv, Dense, DetectHead, InvertedResidual, Model, RNNPool

Order = NDArray[np.intp]
LIMIT, LARGEST = 1 << 15, 1 << 14  # of a row's sum; of a weight, which must fit int16 when it is doubled


def order_hidden_units(model: Model) -> Model:
    """The model with its hidden units in that order, where there is one and what reads them allows it."""
    ops = list(model.ops)
    for index, op in enumerate(model.ops):
        if not isinstance(op, RNNPool):
            continue
        first, second = _order(op.u1, op.shift_u1), _order(op.u2, op.shift_u2)
        op = replace(op, **_cell(op, 1, first), w2=np.ascontiguousarray(op.w2[:, first]))
        readers = [reader for reader, other in enumerate(model.ops) if index + 1 in other.reads]
        channels = np.concatenate([second + direction * len(second) for direction in range(4)])
        ordered = [_reader(model.ops[reader], channels) for reader in readers]
        if index not in model.results() and None not in ordered:
            op = replace(op, **_cell(op, 2, second))
            for reader, other in zip(readers, ordered, strict=True):
                ops[reader] = other
        ops[index] = op
    return replace(model, ops=ops)


def _order(u: NDArray[np.int16], shift: int) -> Order:
    # Rows that can't saturate at even places, if that is half of them.
    magnitudes = np.abs(u.astype(np.int64))
    small = (magnitudes.sum(1) < LIMIT) & (magnitudes.max(1) < LARGEST)
    hidden = len(u)
    if shift != 15 or hidden % 2 or small.sum() < hidden // 2:
        return np.arange(hidden)
    even = np.flatnonzero(small)[: hidden // 2]
    odd = np.setdiff1d(np.arange(hidden), even)
    return np.stack([even, odd], 1).ravel()


def _cell(op: RNNPool, number: int, order: Order) -> dict[str, Any]:
    names = [f"{name}{number}" for name in ("w", "bz", "bh")]
    ordered = {name: np.ascontiguousarray(getattr(op, name)[order]) for name in names}
    return ordered | {f"u{number}": np.ascontiguousarray(getattr(op, f"u{number}")[np.ix_(order, order)])}


def _reader(op: Any, channels: Order) -> Any:
    # An operator whose input channels are in another order; None if its output would be, too.
    if isinstance(op, Conv | Dense | DetectHead):
        return replace(op, weight=np.ascontiguousarray(op.weight[..., channels]))
    if isinstance(op, InvertedResidual) and op.residual is None:
        return replace(op, expand_weight=np.ascontiguousarray(op.expand_weight[:, channels]))
    return None
