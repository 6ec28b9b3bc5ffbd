"""Rules for what takes, repeats, sums or reorders channels: a convolution of one pixel, whose weights are 0 and 1.

Where it is cheap the next convolution does it (fold.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..graph import Conv, Node
from .program import Call
from .values import Value, Values


@dataclass(eq=False, kw_only=True)
class Grouped(Node):
    """A map whose channels are seen as groups, 1xGxCxHxW, which only a channel shuffle may read."""

    order: Tensor  # (groups, channels of one): numbers of the map's channels

    def compute(self, *x: Tensor) -> Tensor:
        """The map."""
        return x[0]


def mixed(call: Call, x: Node, weight: Tensor) -> Conv:
    """Channels that are weighted sums (outputs, inputs) of a map's."""
    return Conv(
        where=call.where, shape=(*x.shape[:2], int(weight.shape[0])), inputs=[x], weight=weight[:, :, None, None],
        bias=torch.zeros(len(weight)), mixes=True,
    )  # fmt: skip


def chosen(call: Call, x: Node, order: Sequence[int]) -> Node:
    """Some of a map's channels, in an order."""
    channels = x.shape[2]
    if list(order) == list(range(channels)):
        return x
    if not len(order) or not all(-channels <= i < channels for i in order):
        raise call.fail(f"channels {list(order)[:8]} of {channels}")
    return mixed(call, x, torch.eye(channels)[list(order)])


def _own_channels(t: Values, call: Call, axis: Any) -> Node:
    # The map, if the axis is that of channels.
    x = t.source(call)
    sizes = call.maps[0].meta["val"].shape
    if int(axis or 0) % len(sizes) != 1 or len(sizes) not in (2, 4) or sizes[1] != x.shape[2]:
        raise call.fail(f"along axis {axis}: 1, the channels, is needed")
    return x


def part(t: Values, call: Call) -> Value:
    """Some channels of a map (`x[:, :8]`, chunk, split, an index, flip), or again: a convolution of 0 and 1."""
    sizes, axis = call.maps[0].meta["val"].shape, call["dim"]
    if tuple(sizes) == call.out:  # all of an axis
        return t.source(call)
    x = _own_channels(t, call, axis)
    return chosen(call, x, range(x.shape[2])[call["start"] : call["end"] : call["step"] or 1])


def parts(t: Values, call: Call) -> Value:
    """The same, as an operation of several results."""
    x = _own_channels(t, call, call["dim"])
    given = call["split_sizes"] if call["split_sizes"] is not None else call["split_size"]
    size = int(given) if not isinstance(given, Sequence) else 0
    counts = list(given) if not size else [min(size, x.shape[2] - i) for i in range(0, x.shape[2], size)]
    starts = [sum(counts[:i]) for i in range(len(counts))]
    return tuple(chosen(call, x, range(start, start + n)) for start, n in zip(starts, counts, strict=True))


def index(t: Values, call: Call) -> Value:
    """The same."""
    given = call["indices"] if call["indices"] is not None else [None, call["index"]]
    numbers = [i for i, value in enumerate(given) if value is not None]
    if numbers != [1] or not isinstance(given[1], Tensor) or given[1].dim() != 1 or given[1].dtype == torch.bool:
        raise call.fail("of other axes than channels, or by numbers that depend on the picture")
    return chosen(call, _own_channels(t, call, 1 if call["dim"] is None else call["dim"]), given[1].tolist())


def flip(t: Values, call: Call) -> Value:
    """The same."""
    axes = list(call["dims"])
    if len(axes) != 1:
        raise call.fail(f"of axes {axes}: 1, the channels, is needed")
    x = _own_channels(t, call, axes[0])
    return chosen(call, x, range(x.shape[2])[::-1])


def repeat(t: Values, call: Call) -> Value:
    """The same."""
    x = _own_channels(t, call, 1)
    if [int(n) for i, n in enumerate(call["repeats"]) if i != 1] != [1] * (len(call.out) - 1):
        raise call.fail(f"by {list(call['repeats'])}: channels can be repeated")
    return chosen(call, x, [*range(x.shape[2])] * int(call["repeats"][1]))


def total(t: Values, call: Call, mean: bool) -> Node:
    """The sum or mean of a map's channels, which must be kept as an axis."""
    x = t.map(call)
    if not call["keepdim"] or call["dtype"] is not None:
        raise call.fail("over channels: keepdim=True is needed")
    return mixed(call, x, torch.full((1, x.shape[2]), 1 / x.shape[2] if mean else 1.0))


def grouped(call: Call, x: Node) -> Node | None:
    """A view of a map's channels as groups, or of groups as channels again; None if it is neither."""
    h, w, c = x.shape
    if isinstance(x, Grouped):
        return chosen(call, x.inputs[0], x.order.reshape(-1).tolist()) if call.out == (1, c, h, w) else None
    if len(call.out) != 5 or call.out[0] != 1 or call.out[3:] != (h, w):
        return None
    return Grouped(where=call.where, shape=x.shape, inputs=[x], order=torch.arange(c).reshape(call.out[1:3]))


def swap(t: Values, call: Call) -> Value:
    """A channel shuffle: groups of channels, transposed."""
    x = t.source(call)
    axes = list(range(len(call.out)))
    if call.name == "transpose":
        one, two = int(call["dim0"]), int(call["dim1"])
        axes[one], axes[two] = axes[two], axes[one]
    else:
        axes = [int(axis) % len(axes) for axis in call["dims"]]
    if not isinstance(x, Grouped) or axes != [0, 2, 1, 3, 4]:
        raise call.fail()
    return Grouped(where=call.where, shape=x.shape, inputs=x.inputs, order=x.order.T)
