"""The rounded model beside the integer reference, operator by operator."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnpool_training import reference
from rnnpool_training.blob import Kind
from rnnpool_training.compile.graph import Input
from rnnpool_training.compile.lower import Lowering, lower
from rnnpool_training.compile.results import Result
from rnnpool_training.compile.rounding import Rounded


def agree(rounded: Rounded, result: Result, pixels: NDArray[np.uint8]) -> list[tuple[Kind, float]]:
    """Of each operator, its kind and the share of outputs that are equal, each on the reference's own input.

    AssertionError where one is more than a step off (int16 results: two).
    """
    graph, ranges = rounded.graph, rounded.settle()
    lowering = Lowering(graph, ranges, result)
    lowering.run()
    model = lower(graph, ranges, result, "rounded", ["x"] * result.count(graph))
    outputs = reference.run_input(model, pixels)
    found: list[tuple[Kind, float]] = []
    values: list[Any] = []
    with torch.no_grad():
        for i, node in enumerate(graph.nodes):
            x = [values[source] for source in rounded.sources[i]]
            if isinstance(node, Input):
                x = [torch.from_numpy(pixels).permute(2, 0, 1)[None].float()]
            y = rounded.step(i, node, x)
            op = lowering.number.get(id(node), 0) - 1
            if op >= 0 and i in rounded.results and graph.wide:
                mine = result.wanted([y if k == i else torch.zeros(1, n.shape[2], 1, 1) for k, n in
                                      zip(rounded.results, graph.outputs, strict=True)])  # fmt: skip
                bits = 12 - model.ops[op].shift
                place = rounded.results.index(i)
                difference = np.abs(np.floor(mine[place] * 2.0**bits + 0.5) - outputs[op])
                assert difference.max() <= 2, (model.ops[op].kind, difference.max())
            elif op >= 0:
                grid = ranges[node]
                real = (outputs[op].astype(np.float32) - grid.zero_point) * np.float32(grid.scale)
                mine_q = torch.floor(y / grid.scale + 0.5)[0].permute(1, 2, 0).numpy() + grid.zero_point
                difference = np.abs(mine_q - outputs[op])
                assert difference.max() <= 1, (model.ops[op].kind, difference.max())
                y = torch.from_numpy(real).permute(2, 0, 1)[None]
            if op >= 0:
                found.append((model.ops[op].kind, float((difference == 0).mean())))
            values.append(y)
    return found
