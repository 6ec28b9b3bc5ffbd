"""Ranges of a float graph's tensors, measured on pictures: scale and zero point of each int8 tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .graph import Graph, Input, Node, Pointwise, Pool, RNNPool, Upsample
from .integers import Grid

BATCH_SAMPLES = 20_000  # values of a tensor that are looked at in a batch
SAMPLES = 200_000  # and in all
SHRINKS = torch.linspace(0.3, 1.0, 71).tolist()


class Ranges:
    """Scale and zero point of every int8 tensor, and the largest magnitude of each int16 result that was seen."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.grids: dict[int, Grid] = {}
        self.largest: dict[int, float] = {}

    def __getitem__(self, node: Node) -> Grid:
        while isinstance(node, Pool | Upsample):  # which keep their input's
            node = node.inputs[0]
        if isinstance(node, Input):
            return Grid(node.scale, node.zero - 128)
        return Grid(1 / 128, 0) if isinstance(node, RNNPool) else self.grids[id(node)]


def calibrate(graph: Graph, batches: Iterable[Tensor], seed: int = 1) -> Ranges:
    """Ranges with the least squared error on batches of pixels (N, C, H, W), 0..255. InputError."""
    ranges, random = Ranges(graph), torch.Generator().manual_seed(seed)
    samples: dict[int, list[Tensor]] = {}
    own = [n for n in graph.nodes if not isinstance(n, Input | Pool | Upsample | RNNPool)]
    own = [n for n in own if not (graph.wide and graph.is_output(n))]
    wanted = {id(node) for node in own}
    for pixels in batches:
        for node, value in graph.run(pixels):
            if not bool(torch.isfinite(value).all()):
                raise InputError(f"{node.where}: gives values that are not finite")
            if graph.wide and graph.is_output(node):
                ranges.largest[id(node)] = max(ranges.largest.get(id(node), 0.0), float(value.abs().max()))
            elif id(node) in wanted:
                flat = value.flatten()
                few = torch.randint(flat.numel(), (min(flat.numel(), BATCH_SAMPLES),), generator=random)
                # The largest and the smallest one are always among them.
                samples.setdefault(id(node), []).append(torch.cat([flat[few], flat.min()[None], flat.max()[None]]))
    if own and not samples:
        raise InputError("there is no picture to choose ranges on")
    for node in own:
        ranges.grids[id(node)] = _grid(torch.cat(samples[id(node)]), _behind(graph, node), random)
    return ranges


def _behind(graph: Graph, node: Node) -> Pointwise | None:
    # The function that is all that is made of a tensor: an error counts as it is behind it.
    reader = graph.only_reader(node)
    return reader if isinstance(reader, Pointwise) else None


def _grid(values: Tensor, function: Pointwise | None, random: torch.Generator) -> Grid:
    smallest, largest = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if len(values) > SAMPLES:
        values = values[torch.randint(len(values), (SAMPLES,), generator=random)]
    if largest - smallest < 1e-6:
        return Grid(1e-6 if largest == smallest else (largest - smallest) / 255, -128 if smallest == 0 else 127)
    wanted = values if function is None else function.forward(values)
    best = (math.inf, Grid(1.0, 0))
    for shrink in SHRINKS:
        scale = (largest - smallest) * shrink / 255
        zero_point = round(min(max(-128 - smallest * shrink / scale, -128), 127))
        real = (torch.clamp(torch.floor(values / scale + 0.5) + zero_point, -128, 127) - zero_point) * scale
        error = float(((real if function is None else function.forward(real)) - wanted).double().square().mean())
        best = min(best, (error, Grid(scale, zero_point)))
    return Grid(float(np.float32(best[1].scale)), best[1].zero_point)  # as fine-tuning has it
