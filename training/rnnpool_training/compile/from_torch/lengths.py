"""Rules for L2 normalization: a map divided by the length of each pixel's channels, however that is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from ..graph import L2Norm, Node, Pointwise
from . import channels
from .program import Call, operation
from .values import Value, Values

LENGTHS = (0.1, 1.0, 10.0, 100.0)  # that a divisor is tried with
TOLERANCE = 1e-3  # relative: what is added to a length so that it is not 0 is less


@dataclass(eq=False, kw_only=True)
class Length(Node):
    """The Euclidean length of each pixel's channels, which only a division may read."""

    def compute(self, *x: Tensor) -> Tensor:
        """A map of one channel."""
        return torch.linalg.vector_norm(x[0], dim=1, keepdim=True)


def length(t: Values, call: Call) -> Value:
    """F.normalize, or a map divided by its own length: L2 normalization over channels."""
    if float(call["ord"] if call["ord"] is not None else 2) != 2:
        raise call.fail(f"of order {call['ord']}: 2 is needed")
    return _length(t, call, t.map(call), call["dim"])


def squares(t: Values, call: Call) -> Value:
    """The same with the length written out: the root of the sum of squares over channels. A sum of channels."""
    made = call.maps[0]  # the square
    arguments: tuple[Any, ...] = made.args
    if operation(made) == "pow":
        square = float(arguments[1]) == 2.0
    else:
        square = operation(made) == "mul" and arguments[0] is arguments[1]
    if not square and [int(a) % 4 for a in call["dim"] or ()] == [1] and len(call.out) == 4:
        return channels.total(t, call, mean=False)
    if not square:
        raise call.fail("of something else than squares or channels")
    assert isinstance(arguments[0], fx.Node)
    x = t.values[arguments[0]]
    assert isinstance(x, Node)
    found = _length(t, call, x, call["dim"])
    return Pointwise(where=call.where, shape=found.shape, inputs=[found], function=torch.square)


def _length(t: Values, call: Call, x: Node, axes: Any) -> Length:
    given = [axes] if isinstance(axes, int) else list(axes or ())
    if [int(a) % len(call.out) for a in given] != [1]:
        raise call.fail(f"along axes {given}: 1, the channels, is needed, with keepdim=True")
    return Length(where=call.where, shape=t.shape(call), inputs=[x])


def expand(t: Values, call: Call) -> Value:
    """A length for all channels of its pixel, or a single channel several times."""
    x = t.source(call)
    if x.shape[2] == 1 and call.out[0] == 1 and call.out[2:] == x.shape[:2] and not isinstance(_base(x), Length):
        return channels.chosen(call, x, [0] * call.out[1])
    if not isinstance(_base(x), Length):
        raise call.fail()
    return x


def normalized(call: Call, x: Node, by: Node) -> L2Norm | None:
    """A quotient or product of a map and what was made of a length; None if it is no length. InputError."""
    found = _base(by)
    if not isinstance(found, Length) or isinstance(_base(x), Length):
        return None
    lengths = torch.tensor(LENGTHS, dtype=torch.float64)
    made = by.forward(lengths) if isinstance(by, Pointwise) else lengths
    wanted = lengths if call.name == "div" else 1 / lengths
    least = float(made.min())
    if found.inputs[0] is x and call.name == "div" and least > LENGTHS[0] and torch.equal(made, lengths.clamp(least)):
        raise call.fail(f"of a map and its length, of at least eps = {least:g}: at most {LENGTHS[0]:g} is supported")
    if found.inputs[0] is not x or call.name not in ("div", "mul") or not torch.allclose(made, wanted, TOLERANCE, 0):
        raise call.fail("of a map and a length: a map divided by its own length is needed")
    return L2Norm(where=call.where, shape=x.shape, inputs=[x], factor=torch.ones(x.shape[2], dtype=torch.float64))


def _base(node: Node) -> Node:
    # What a node is a function of, value by value.
    while isinstance(node, Pointwise):
        node = node.inputs[0]
    return node
