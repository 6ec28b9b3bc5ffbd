"""Channels without a use are left out of a model, which gives the same results, bit for bit, with less work.

Training leaves channels behind that are the same number for every input (all their weights are 0), and channels that
nobody looks at. A constant input of a convolution is a part of its biases; what is left is what some result depends on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blob import Conv, Dense, Depthwise, GlobalAveragePool, Lookup, Model, Op, Pool, Upsample, layout
from ..projections import split
from ..reference import run_operator

MULTIPLE = 4  # of channels that are kept: what kernels like
Flags = NDArray[np.bool_]
# Operators that make each channel of the same channel of their only input.
BY_CHANNEL = (Depthwise, GlobalAveragePool, Lookup, Pool, Upsample)


def remove_unused_channels(model: Model) -> tuple[Model, int]:
    """A model without them, and how many were left out, of all operators together. The given one stays as it is.

    Depthwise layers with a projection become two operators; the planner makes one of them again.
    """
    model = split(model)
    ops = _with_constants_in_biases(model)
    kept = _kept_channels(replace(model, ops=ops))
    before = [shape[2] for shape in model.shapes()]
    for index, op in enumerate(ops):
        inputs, outputs = kept[op.input], kept[index + 1]
        if isinstance(op, Conv):
            ops[index] = replace(
                op,
                weight=op.weight[outputs][..., inputs],
                bias=op.bias[outputs],
                multiplier=op.multiplier[outputs],
                exponent=None if op.exponent is None else op.exponent[outputs],
            )
        elif isinstance(op, Dense):
            ops[index] = replace(op, weight=op.weight[..., inputs])
        elif isinstance(op, Depthwise):
            ops[index] = replace(
                op,
                filter_weight=op.filter_weight[:, :, outputs],
                bias=op.bias[outputs],
                multiplier=op.multiplier[outputs],
                exponent=None if op.exponent is None else op.exponent[outputs],
            )
    removed = sum(count - int(kept[i + 1].sum()) for i, count in enumerate(before))
    return replace(model, ops=ops), removed


def _with_constants_in_biases(model: Model) -> list[Op]:
    # Operators whose weights of constant inputs are 0, and which add them by their biases.
    shapes = [model.input_shape, *model.shapes()]
    # Of each tensor: which channels are constant, and a map that has those, and zeros.
    constant = [np.zeros(shape[2], bool) for shape in shapes]
    maps: list[NDArray[Any]] = [np.zeros(shapes[0], np.int8)]
    ops: list[Op] = []
    for index, op in enumerate(model.ops):
        zero_points = model.in_zero_points(index)
        known = constant[op.input]
        depends = np.ones(shapes[index + 1][2], bool)  # an output on what is not known
        if isinstance(op, Conv | Dense):
            padded = isinstance(op, Conv) and any(op.pads)
            folds = known & (maps[op.input][0, 0] == zero_points[0]) if padded else known
            values = np.where(folds, maps[op.input][0, 0], 0).astype(np.int64)
            sums = op.weight.reshape(len(op.weight), -1, len(known)).astype(np.int64).sum(1)
            weight = np.where(folds, 0, op.weight).astype(np.int8)
            unit = 1 << layout.FINE_BITS if isinstance(op, Conv) and op.fine else 1  # of a bias
            op = replace(op, weight=weight, bias=(op.bias + unit * (sums @ values)).astype(np.int32))
            depends = (weight[..., ~known] != 0).any(tuple(range(1, weight.ndim)))
        elif isinstance(op, BY_CHANNEL):
            depends = ~known
            if isinstance(op, Depthwise):
                depends &= (op.filter_weight != 0).any((0, 1))
        others = [(maps[t], z) for t, z in zip(op.others, zero_points[1:], strict=True)]
        out = run_operator(op, maps[op.input], zero_points[0], *others)
        maps.append(out)
        constant[index + 1] = ~depends & (out == out[0, 0]).all((0, 1)) & (op.result is None)
        ops.append(op)
    return ops


def _kept_channels(model: Model) -> list[Flags]:
    # Of each tensor.
    counts = [model.input_shape[2], *(shape[2] for shape in model.shapes())]
    needed = [np.zeros(count, bool) for count in counts]
    group = list(range(len(counts)))  # tensors with the same channels: the first of them
    for index, op in enumerate(model.ops):
        if isinstance(op, BY_CHANNEL):
            group[index + 1] = group[op.input]
    for tensor in range(len(counts) - 1, -1, -1):
        if tensor == 0:
            needed[tensor][:] = True
            continue
        op = model.ops[tensor - 1]
        if not isinstance(op, (Conv, *BY_CHANNEL)) or tensor - 1 in model.results():
            needed[tensor][:] = True
        if isinstance(op, Conv | Dense):
            needed[op.input] |= (op.weight != 0).any(tuple(range(op.weight.ndim - 1)))
        elif isinstance(op, BY_CHANNEL):
            needed[op.input] |= needed[tensor]
        else:
            for read in op.reads:
                needed[read][:] = True
    wanted = [np.zeros(count, bool) for count in counts]
    for tensor, flags in enumerate(needed):
        wanted[group[tensor]] |= flags
    for flags in wanted:
        _fill(flags)
    return [wanted[first] for first in group]


def _fill(flags: Flags) -> None:
    # Up to a multiple of what kernels like; at least one.
    missing = max(int(flags.sum()), 1)
    missing = -missing % MULTIPLE + missing - int(flags.sum())
    flags[np.flatnonzero(~flags)[:missing]] = True
