"""Rules for what works on each value alone, on two maps value by value, or with a constant a channel."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..graph import Add, Mul, Node, Pointwise
from .layers import affine
from .lengths import normalized
from .program import Call
from .values import Value, Values


def pointwise(t: Values, call: Call) -> Value:
    """Sums and products of maps; and any function of one map's values, however many steps it has."""
    maps = list({id(n): n for n in call.arguments.values() if isinstance(n, Node)}.values())
    if len(maps) > 1:
        common = _common(maps)
        return _two_maps(call) if common is None else _function(call, common)
    x = maps[0]
    tensors = {k: v for k, v in call.arguments.items() if isinstance(v, Tensor) and v.numel() > 1}
    if tensors:
        return _by_channel(call, x, tensors)
    limits = _limits(call)
    if limits is not None:
        return Pointwise(where=call.where, shape=x.shape, inputs=[x], low=limits[0], high=limits[1])
    return _function(call, x.inputs[0] if isinstance(x, Pointwise) and x.function is not None else x)


def _limits(call: Call) -> tuple[float, float] | None:
    """Of an operation that only clamps."""

    def number(name: str, default: float) -> float:
        found = call[name]
        return default if found is None else float(found)

    if call.name == "relu":
        return 0.0, math.inf
    if call.name == "relu6":
        return 0.0, 6.0
    if call.name == "hardtanh":
        return number("min_val", -1.0), number("max_val", 1.0)
    if call.name in ("clamp", "clamp_min", "clamp_max"):
        return number("min", -math.inf), number("max", math.inf)
    return None


def _function(call: Call, base: Node) -> Node:
    """The operation as a function of `base`'s values."""
    target: Any = call.node.target

    def of(value: Any, x: Tensor) -> Any:
        if value is base:
            return x
        if isinstance(value, Pointwise):
            return value.forward(of(value.inputs[0], x))
        return value.detach().to(x.dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

    def evaluate(x: Tensor) -> Tensor:
        found: Tensor = target(*(of(v, x) for v in call.positional), **{k: of(v, x) for k, v in call.named.items()})
        return found

    made = Pointwise(where=call.where, shape=base.shape, inputs=[base], function=evaluate)
    if (
        call.name in ("add", "sub", "mul", "div")
        and isinstance(call["self"], Node) + isinstance(call["other"], Node) == 1
    ):
        x = call["self"] if isinstance(call["self"], Node) else call["other"]
        if (x is base or (isinstance(x, Pointwise) and x.line)) and not (call.name == "div" and x is call["other"]):
            zero, one = (float(evaluate(torch.tensor([v], dtype=torch.float64))) for v in (0.0, 1.0))
            made.line = (one - zero, zero)
    return made


def _two_maps(call: Call) -> Value:
    """A sum, a difference, a product with a vector of channels, or an L2 normalization."""
    one, two = call["self"], call["other"]
    if isinstance(one, Node) and isinstance(two, Node):
        made = normalized(call, one, two) or (normalized(call, two, one) if call.name == "mul" else None)
        if made is not None:
            return made
    if call.name in ("add", "sub") and isinstance(one, Node) and isinstance(two, Node):
        if one.shape != two.shape:
            raise call.fail("two maps of one shape are needed")
        alpha = float(call["alpha"] if call["alpha"] is not None else 1) * (-1 if call.name == "sub" else 1)
        return Add(where=call.where, shape=one.shape, inputs=[one, two], factors=(1.0, alpha))
    if call.name == "mul" and isinstance(one, Node) and isinstance(two, Node):
        if one.shape[:2] == (1, 1) != two.shape[:2]:
            one, two = two, one
        if two.shape != (1, 1, one.shape[2]):
            raise call.fail("a map and a vector of its channels, Cx1x1, are needed")
        return Mul(where=call.where, shape=one.shape, inputs=[one, two])
    raise call.fail("of two maps")


def _by_channel(call: Call, x: Node, tensors: dict[str, Tensor]) -> Value:
    """A sum, product or quotient with a constant a channel."""
    channels = x.shape[2]
    sizes = ((channels, 1, 1), (1, channels, 1, 1)) if len(call.out) == 4 else ((channels,), (1, channels))
    name, value = next(iter(tensors.items()))
    if value.dim() == 4 and value.shape[1] == channels and bool((value == value[:, :, :1, :1]).all()):
        value = value[:1, :, :1, :1]  # expanded to the map
    flat = len(call.out) == 2 and x.shape[:2] != (1, 1)
    if len(tensors) > 1 or call.name not in ("add", "sub", "mul", "div") or tuple(value.shape) not in sizes or flat:
        raise call.fail(f"with a constant of {tuple(value.shape)}: one value a channel, {sizes[0]}, is needed")
    if call["alpha"] not in (None, 1) or call["rounding_mode"] is not None:
        raise call.fail("with alpha or rounding_mode")
    value = value.detach().float().reshape(-1)
    first, ones, zeros = name == "self", torch.ones(channels), torch.zeros(channels)
    if call.name == "add":
        return affine(call, x, ones, value)
    if call.name == "sub":
        return affine(call, x, -ones, value) if first else affine(call, x, ones, -value)
    if call.name == "div":
        if first:
            raise call.fail("of a constant by a map")
        return affine(call, x, 1 / value, zeros)
    return affine(call, x, value, zeros)


def _chain(node: Node) -> list[Node]:
    # A map and those that it is a function of, value by value.
    found = [node]
    while isinstance(found[-1], Pointwise):
        found.append(found[-1].inputs[0])
    return found


def _common(maps: list[Node]) -> Node | None:
    # The nearest map of which all are functions.
    chains = [{id(n) for n in _chain(node)} for node in maps]
    return next((n for n in _chain(maps[0]) if all(id(n) in chain for chain in chains)), None)
