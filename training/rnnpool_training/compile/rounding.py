"""A float graph in the arithmetic of the device: weights, activations and biases rounded, with gradients all the same.

docs/arithmetic.md in floating point: real = scale * (q - zero_point) for every int8 tensor, with straight-through
gradients. Convolutions are exact up to the float sum; of RNNPool the input, the row summaries and the output are
rounded (its int16 states are finer by eight bits).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import rnnpool2d
from . import blocks
from .calibrate import Ranges
from .graph import Add, Cell, Filter, Graph, Input, Node, Pool, RNNPool, Upsample
from .integers import LARGEST_FACTOR, Grid

LEAST_WEIGHT = 1e-8  # of the largest one of a channel: all are 0
CELL = ("w", "u", "bias_gate", "bias_update")  # of a cell, what is trained


def round_through(x: Tensor) -> Tensor:
    """floor(x + 1/2), with the gradient of x."""
    return x + (torch.floor(x + 0.5) - x).detach()


def round_states(h: Tensor) -> Tensor:
    """Last states of an RNNPool's cell as int8 of scale 1/128."""
    return torch.clamp(round_through(h * 128), -128, 127) / 128


def weight_scales(weight: Tensor, most: Any = None) -> Tensor:
    """(O,) real value of one step of weights (O, I, kh, kw), in single precision; never above `most`."""
    scales = weight.detach().float().abs().amax((1, 2, 3)).clamp(min=LEAST_WEIGHT) / 127
    return scales if most is None else torch.minimum(scales, torch.as_tensor(most).float())


class Rounded(nn.Module):
    """A graph with ranges; its weights are this module's parameters, and those of the graph only after `settle`."""

    scales: Tensor
    zero_points: Tensor
    largest: Tensor

    def __init__(self, graph: Graph, ranges: Ranges | None = None) -> None:
        """ranges: None if a state dict brings them."""
        super().__init__()
        self.graph = graph
        number = {id(node): i for i, node in enumerate(graph.nodes)}
        self.sources = [[number[id(source)] for source in node.inputs] for node in graph.nodes]
        self.results = [number[id(output)] for output in graph.outputs]
        found = blocks.find(graph)
        self.limited = {number[id(n)] for b in found for n in (b.expand, b.depthwise, b.project)}
        self.sums = {number[id(b.total)]: (number[id(b.project)], number[id(b.depthwise)]) for b in found if b.total}
        self.exact = {number[id(b.project)]: number[id(b.total)] for b in found if b.total}
        self.weights = nn.ModuleDict()
        grids = []
        for i, node in enumerate(graph.nodes):
            if isinstance(node, Filter):
                self.weights[str(i)] = _parameters(weight=node.weight, bias=node.bias)
            elif isinstance(node, RNNPool):
                cells = ((1, node.rnn1), (2, node.rnn2))
                self.weights[str(i)] = _parameters(**{f"{n}{k}": getattr(c, n) for k, c in cells for n in CELL})
            wide = graph.wide and graph.is_output(node)
            grids.append(Grid(1.0, 0) if ranges is None or wide else ranges[node])
        self.register_buffer("scales", torch.tensor([grid.scale for grid in grids]))
        self.register_buffer("zero_points", torch.tensor([float(grid.zero_point) for grid in grids]))
        seen = {} if ranges is None else ranges.largest
        self.register_buffer("largest", torch.tensor([seen.get(id(output), 0.0) for output in graph.outputs]))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """The results (N, C, H, W) for pixels (N, C, H, W) of 0..255, of any size that the network takes."""
        values: list[Tensor] = []
        for i, node in enumerate(self.graph.nodes):
            x = [pixels] if isinstance(node, Input) else [values[source] for source in self.sources[i]]
            values.append(self.step(i, node, x))
        return [values[i] for i in self.results]

    def settle(self) -> Ranges:
        """Gives the graph these weights; returns the ranges, for lowering."""
        ranges = Ranges(self.graph)
        for i, node in enumerate(self.graph.nodes):
            own = {name: value.detach().clone() for name, value in self._own(i).items()}
            if isinstance(node, Filter):
                node.weight, node.bias = own["weight"], own["bias"]
            elif isinstance(node, RNNPool):
                node.rnn1, node.rnn2 = (self._cell(i, k, c) for k, c in ((1, node.rnn1), (2, node.rnn2)))
            ranges.grids[id(node)] = Grid(float(self.scales[i].double()), int(self.zero_points[i]))
        for output, largest in zip(self.graph.outputs, self.largest.tolist(), strict=True):
            ranges.largest[id(output)] = largest
        return ranges

    def _own(self, i: int) -> dict[str, Tensor]:
        return dict(self.weights[str(i)].items()) if str(i) in self.weights else {}  # type: ignore[operator]

    def _cell(self, i: int, which: int, cell: Cell) -> Cell:
        own = self._own(i)
        return cell._replace(**{name: own[f"{name}{which}"].detach().clone() for name in CELL})

    def step(self, i: int, node: Node, x: list[Tensor]) -> Tensor:
        """The output of node i of the graph, on its grid, for its inputs."""
        if isinstance(node, Input | Upsample) or (isinstance(node, Pool) and not node.mean):
            return node.forward(*x)
        if isinstance(node, RNNPool):
            return self._rnnpool(i, node, x[0])
        if isinstance(node, Filter):
            y = self._filter(i, node, x[0])
        elif i in self.sums:
            y = self._sum(i, node, x)
        else:
            y = node.compute(*x)
        if i in self.exact or (self.graph.wide and i in self.results):
            return y
        y = y.clamp(node.low, node.high) if node.clamped else y
        q = torch.clamp(round_through(y / self.scales[i]) + self.zero_points[i], -128, 127)
        return (q - self.zero_points[i]) * self.scales[i]

    def weight_scale(self, i: int) -> Tensor:
        """(O,) real value of one step of the weights of node i."""
        most = None
        if i in self.limited:
            most = LARGEST_FACTOR * self.scales[self.exact.get(i, i)] / self.scales[self.sources[i][0]]
        return weight_scales(self._own(i)["weight"], most)

    def _filter(self, i: int, node: Filter, x: Tensor) -> Tensor:
        own, step = self._own(i), self.weight_scale(i)
        weight = torch.clamp(round_through(own["weight"] / step[:, None, None, None]), -127, 127)
        unit = step * self.scales[self.sources[i][0]]
        return node.apply(x, weight * step[:, None, None, None], round_through(own["bias"] / unit) * unit)

    def _sum(self, i: int, node: Node, x: list[Tensor]) -> Tensor:
        # The input is one more tap of the projection, with an integer weight.
        assert isinstance(node, Add)
        project, depthwise = self.sums[i]
        first = self.sources[i][0] == project
        y, other = x if first else (x[1], x[0])
        scale = self.scales[self.sources[i][1 if first else 0]]
        unit = self.scales[depthwise] * self.weight_scale(project)
        residual = torch.floor(scale / unit + 0.5).clamp(max=32767)
        return y + other * (residual * unit / scale)[:, None, None]

    def _rnnpool(self, i: int, node: RNNPool, x: Tensor) -> Tensor:
        own = self._own(i)
        rnn1, rnn2 = (
            cell._replace(**{name: own[f"{name}{k}"] for name in CELL}) for k, cell in ((1, node.rnn1), (2, node.rnn2))
        )
        stride = (node.stride, node.stride)
        return rnnpool2d.summaries(
            x, rnn1, rnn2, node.window, stride, (0, 0), node.smooth, node.replicate, round_states
        )


def _parameters(**values: Tensor) -> nn.ParameterDict:
    return nn.ParameterDict({name: nn.Parameter(value.detach().clone().float()) for name, value in values.items()})
