"""What traced nodes stand for while a program is translated: nodes of the graph, constants, plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx
from torch.nn import functional as F

from ..graph import Node, Padding, Shape
from .program import Call

Value = Node | Tensor | Any  # of a traced node: a node of the graph, a constant, or a plain value


class Values:
    """Values of a program's nodes, and remarks, for people."""

    def __init__(self) -> None:
        self.values: dict[fx.Node, Value] = {}
        self.notes: list[str] = []

    def value(self, argument: Any) -> Any:
        """An argument with nodes' values in place of nodes."""
        values: Callable[[fx.Node], Any] = self.values.__getitem__
        found: Any = fx.map_arg(argument, values)
        return found

    def source(self, call: Call, name: str = "input") -> Node:
        """The map that an operation reads."""
        found = call["self"] if name == "input" and "self" in call.arguments else call[name]
        if not isinstance(found, Node):
            raise call.fail(f"{name} is no map that depends on the picture")
        return found

    def constant(self, call: Call, name: str) -> Tensor | None:
        """A weight: a parameter, buffer or what is computed of them alone; None if it is left out."""
        found = call[name]
        if found is not None and not isinstance(found, Tensor):
            raise call.fail(f"{name} depends on the picture")
        return None if found is None else found.detach().float()

    def map(self, call: Call, name: str = "input") -> Node:
        """A map of which rows and columns are still known."""
        node = self.source(call, name)
        traced = next(n for n in call.maps if self.values[n] is node)
        h, w, c = node.shape
        if tuple(traced.meta["val"].shape) != (1, c, h, w) and (h, w) != (1, 1):
            raise call.fail(f"on a flattened map of {c}x{h}x{w}")
        return node

    def shape(self, call: Call) -> Shape:
        """Height, width, channels of the result: a vector is a map of one pixel."""
        out = call.out
        if len(out) == 4 and out[0] == 1:
            return out[2], out[3], out[1]
        if len(out) == 2 and out[0] == 1:
            return 1, 1, out[1]
        raise call.fail(f"a result of shape {out}, 1xCxHxW is needed")


@dataclass(eq=False, kw_only=True)
class Softmax(Node):
    """Probabilities of channels, which the engine makes of a classifier's logits itself. log: their logarithms."""

    log: bool

    def compute(self, *x: Tensor) -> Tensor:
        """The probabilities."""
        return x[0].log_softmax(1) if self.log else x[0].softmax(1)


@dataclass(eq=False, kw_only=True)
class Pad(Node):
    """Zeros around a map, before the operator behind it takes them over."""

    padding: Padding

    def compute(self, *x: Tensor) -> Tensor:
        """The larger map."""
        top, left, bottom, right = self.padding
        return F.pad(x[0], (left, right, top, bottom))
