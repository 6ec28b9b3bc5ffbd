"""A DEPTHWISE and the 1x1 CONV behind it as one operator: the same bits, one step a row, and no ring between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .blob import Conv, Depthwise, Model, Op, layout
from .blob.operators.base import NARROW, Int32, magnitudes


def fuse(model: Model) -> Model:
    """The model with such pairs as one, but for maps that are kept whole; itself if there is none.

    Arrays are shared with the old one where they do not change.
    """
    pairs: dict[int, Depthwise] = {}  # by the index of the convolution
    for i, op in enumerate(model.ops):
        readers = [k for k, reader in enumerate(model.ops) if i + 1 in reader.reads]
        if isinstance(op, Depthwise) and not op.materialize and len(readers) == 1:
            made = pair(op, model.ops[readers[0]])
            if made is not None:
                pairs[readers[0]] = made
    gone = {model.ops[i].input for i in pairs}
    number = {0: 0}  # of a tensor, in the new model
    ops: list[Op] = []
    for i, op in enumerate(model.ops):
        if i + 1 not in gone:
            op = pairs.get(i, op)
            first, *others = (number[tensor] for tensor in op.reads)
            ops.append(replace(op, input=first, others=tuple(others)))
            number[i + 1] = len(ops)
    return replace(model, ops=ops) if pairs else model


def split(model: Model) -> Model:
    """The model with each such operator as two again; itself if there is none."""
    number = {0: 0}
    ops: list[Op] = []
    for i, op in enumerate(model.ops):
        first, *others = (number[tensor] for tensor in op.reads)
        if isinstance(op, Depthwise) and op.projection is not None:
            ops.append(replace(op.filter, input=first))
            op, first = replace(op.projection, materialize=op.materialize), len(ops)
        ops.append(replace(op, input=first, others=tuple(others)))
        number[i + 1] = len(ops)
    return model if len(ops) == len(model.ops) else replace(model, ops=ops)


def pair(depthwise: Depthwise, conv: Op) -> Depthwise | None:
    """A depthwise layer and the only reader of its output as one operator, or None if that can't be."""
    if depthwise.project_weight is not None or not isinstance(conv, Conv) or conv.window != (1, 1):
        return None
    if conv.strides != (1, 1) or (depthwise.exponent is None) != (conv.exponent is None):
        return None
    if depthwise.shift != conv.shift:
        return None
    if depthwise.fine != conv.fine:  # the other one's biases get fraction bits, too, of 0
        bias = _fine(conv.bias, conv.weight) if depthwise.fine else _fine(depthwise.bias, depthwise.filter_weight.T)
        if bias is None:
            return None
        if depthwise.fine:
            conv = replace(conv, bias=bias)
        else:
            depthwise = replace(depthwise, bias=bias, fine=True)
    return depthwise.projected(conv)


def _fine(bias: Int32, weight: NDArray[np.int8]) -> Int32 | None:
    # Biases of weights [o, ...] with fraction bits, or None if there is no room for them.
    sums = magnitudes(weight).reshape(len(weight), -1).sum(1) * 128 + magnitudes(bias)
    return None if (sums >= NARROW).any() else bias << layout.FINE_BITS
