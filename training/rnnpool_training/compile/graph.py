"""A network in floating point as the few kinds of node that a blob can hold: what front ends make and `lower` takes.

Tensors are (N, C, H, W) in PyTorch; a vector is a map of one pixel. A node's shape is (height, width, channels), as in
a blob. Each node says what it computes (`forward`), so that the graph itself is what ranges are measured on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError

Shape = tuple[int, int, int]
Padding = tuple[int, int, int, int]  # top, left, bottom, right
Function = Callable[[Tensor], Tensor]
NO_PADDING: Padding = (0, 0, 0, 0)


@dataclass(eq=False, kw_only=True)
class Node:
    """One step of a network. `where`: the module, operation and shape that it comes from, for people."""

    where: str
    shape: Shape
    inputs: list[Node] = field(default_factory=list)
    low: float = -math.inf  # clamp of the output: ReLU is 0, inf
    high: float = math.inf

    clamps = True  # whether the engine's operator clamps its output

    def __deepcopy__(self, memo: object) -> Node:
        """Itself: a description, which copies of a module share."""
        return self

    @property
    def clamped(self) -> bool:
        """Whether the output is."""
        return not (math.isinf(self.low) and math.isinf(self.high))

    def compute(self, *x: Tensor) -> Tensor:
        """The output before the clamp."""
        raise NotImplementedError

    def forward(self, *x: Tensor) -> Tensor:
        """The output."""
        y = self.compute(*x)
        return y.clamp(self.low, self.high) if self.clamped else y


@dataclass(eq=False, kw_only=True)
class Input(Node):
    """The frame: pixels 0..255, as scale * (pixel - zero). Convolutions pad with `zero`."""

    scale: float = 1.0
    zero: int = 0

    clamps = False

    def compute(self, *x: Tensor) -> Tensor:
        """Real values of pixels."""
        return (x[0] - self.zero) * self.scale


@dataclass(eq=False, kw_only=True)
class Filter(Node):
    """What convolutions have in common. Padding is with zeros."""

    weight: Tensor  # (O, I, kh, kw); depthwise (C, 1, kh, kw)
    bias: Tensor  # (O,)
    stride: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING

    groups = 1

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the kernel."""
        return int(self.weight.shape[2]), int(self.weight.shape[3])

    def compute(self, *x: Tensor) -> Tensor:
        """The convolution."""
        return self.apply(x[0], self.weight, self.bias)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution with other weights."""
        top, left, bottom, right = self.padding
        if (top, left) == (bottom, right):
            return F.conv2d(x, weight, bias, self.stride, (top, left), groups=self.groups)
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, self.stride, groups=self.groups)


@dataclass(eq=False, kw_only=True)
class Conv(Filter):
    """A convolution, or a linear layer on a map: a convolution whose kernel is the whole map."""

    mixes: bool = False  # it chooses or sums channels, of one pixel each: no layer of the network's


@dataclass(eq=False, kw_only=True)
class Depthwise(Filter):
    """One kernel a channel."""

    @property
    def groups(self) -> int:  # type: ignore[override]
        """As many as channels."""
        return int(self.weight.shape[0])


@dataclass(eq=False, kw_only=True)
class Affine(Node):
    """A factor and an offset a channel: a normalization that is no part of a convolution (yet)."""

    factor: Tensor  # (C,)
    offset: Tensor  # (C,)

    clamps = False

    def compute(self, *x: Tensor) -> Tensor:
        """The map, scaled and moved."""
        return x[0] * self.factor[:, None, None] + self.offset[:, None, None]


@dataclass(eq=False, kw_only=True)
class Pointwise(Node):
    """A function of each value alone. One that only clamps has no function; a straight line has factor and offset."""

    function: Function | None = None
    line: tuple[float, float] | None = None

    clamps = False

    def compute(self, *x: Tensor) -> Tensor:
        """The function."""
        return x[0] if self.function is None else self.function(x[0])


@dataclass(eq=False, kw_only=True)
class Pool(Node):
    """The largest or the mean value of a window; padding does not count."""

    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    mean: bool

    def compute(self, *x: Tensor) -> Tensor:
        """The pooled map."""
        top, left, bottom, right = self.padding
        sides = (left, right, top, bottom)
        if not self.mean:
            return F.max_pool2d(F.pad(x[0], sides, value=-math.inf), self.window, self.stride)
        sums = F.avg_pool2d(F.pad(x[0], sides), self.window, self.stride, divisor_override=1)
        counts = F.avg_pool2d(F.pad(torch.ones_like(x[0]), sides), self.window, self.stride, divisor_override=1)
        return sums / counts


@dataclass(eq=False, kw_only=True)
class GlobalAverage(Node):
    """The mean of each channel over the whole map."""

    def compute(self, *x: Tensor) -> Tensor:
        """A vector."""
        return x[0].mean((2, 3), keepdim=True)


@dataclass(eq=False, kw_only=True)
class Add(Node):
    """Two maps of one shape, each times a number (a difference: 1 and -1)."""

    factors: tuple[float, float]

    def compute(self, *x: Tensor) -> Tensor:
        """Their sum."""
        return x[0] * self.factors[0] + x[1] * self.factors[1]


@dataclass(eq=False, kw_only=True)
class Concat(Node):
    """The channels of several maps, one map behind the other."""

    def compute(self, *x: Tensor) -> Tensor:
        """One map."""
        return torch.cat(x, 1)


@dataclass(eq=False, kw_only=True)
class Mul(Node):
    """A map times a vector of its channels."""

    def compute(self, *x: Tensor) -> Tensor:
        """The product."""
        return x[0] * x[1]


@dataclass(eq=False, kw_only=True)
class L2Norm(Node):
    """Each pixel's channels divided by their Euclidean length, times a factor a channel. A pixel of zeros stays."""

    factor: Tensor  # (C,)

    def compute(self, *x: Tensor) -> Tensor:
        """The map of vectors of one length."""
        return F.normalize(x[0], dim=1) * self.factor.to(x[0].dtype)[:, None, None]


@dataclass(eq=False, kw_only=True)
class Upsample(Node):
    """Each value `factor` times in both directions."""

    factor: int

    clamps = False

    def compute(self, *x: Tensor) -> Tensor:
        """The larger map."""
        return x[0].repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)


class Cell(NamedTuple):
    """Weights of a FastGRNN cell: W (inputs, hidden), U (hidden, hidden), (hidden,) biases of gate and update, and
    sigmoid(zeta), sigmoid(nu)."""

    w: Tensor
    u: Tensor
    bias_gate: Tensor
    bias_update: Tensor
    zeta: Tensor
    nu: Tensor


@dataclass(eq=False, kw_only=True)
class RNNPool(Node):
    """RNNPool without padding (rnnpool2d.pool)."""

    rnn1: Cell
    rnn2: Cell
    window: tuple[int, int]
    stride: int
    smooth: bool
    replicate: bool  # the last row and column, up to (ceil(H / stride), ceil(W / stride))

    clamps = False

    def compute(self, *x: Tensor) -> Tensor:
        """The pooled map."""
        from ..rnnpool2d import pool

        stride = (self.stride, self.stride)
        return pool(x[0], *self.rnn1, *self.rnn2, self.window, stride, (0, 0), self.smooth, self.replicate)


@dataclass
class Graph:
    """A network from the frame to its results."""

    input: Input
    outputs: list[Node]
    wide: bool = True  # whether results are int16 (logits, boxes), which have no range; a map's values are int8
    nodes: list[Node] = field(default_factory=list)  # each behind its inputs; `tidy` makes it

    def __post_init__(self) -> None:
        self.tidy()

    def __deepcopy__(self, memo: object) -> Graph:
        """Itself: a description, which copies of a module share."""
        return self

    def is_output(self, node: Node) -> bool:
        """Whether a node is a result."""
        return any(output is node for output in self.outputs)

    def only_reader(self, node: Node) -> Node | None:
        """The one node that alone sees a node's output; None if there are others, or if it is a result."""
        readers = self.consumers(node)
        return readers[0] if len(readers) == 1 and not self.is_output(node) else None

    def consumers(self, node: Node) -> list[Node]:
        """The nodes that read one."""
        return [other for other in self.nodes if any(source is node for source in other.inputs)]

    def redirect(self, old: Node, new: Node) -> None:
        """Whoever reads `old` reads `new`."""
        for node in self.nodes:
            if node is not new:
                node.inputs = [new if source is old else source for source in node.inputs]
        self.outputs = [new if output is old else output for output in self.outputs]

    def tidy(self) -> None:
        """Leaves out what the result does not depend on, and puts the rest in order. InputError without the frame."""
        order: list[Node] = []
        seen: set[int] = set()
        stack: list[tuple[Node, bool]] = [(output, False) for output in reversed(self.outputs)]
        while stack:  # not by recursion: networks are deep
            node, done = stack.pop()
            if done:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack += [(source, False) for source in reversed(node.inputs)]
        if id(self.input) not in seen:
            raise InputError(f"{self.outputs[0].where}: the result does not depend on the picture")
        order.remove(self.input)
        self.nodes = [self.input, *order]

    @torch.no_grad()
    def run(self, pixels: Tensor) -> Iterator[tuple[Node, Tensor]]:
        """Each node's output, in order, for pixels (N, C, H, W) of 0..255. Maps are dropped after their last reader."""
        last = {id(source): node for node in self.nodes for source in node.inputs}
        values: dict[int, Tensor] = {id(self.input): self.input.forward(pixels)}
        yield self.input, values[id(self.input)]
        for node in self.nodes[1:]:
            values[id(node)] = node.forward(*(values[id(source)] for source in node.inputs))
            yield node, values[id(node)]
            for source in node.inputs:
                if last[id(source)] is node:
                    values.pop(id(source), None)

    def results(self, pixels: Tensor) -> list[Tensor]:
        """The results (N, C, H, W) for pixels (N, C, H, W)."""
        found = {id(node): value for node, value in self.run(pixels) if self.is_output(node)}
        return [found[id(output)] for output in self.outputs]
