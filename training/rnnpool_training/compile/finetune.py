"""Fine-tuning of any traced network through the rounding: it learns to give what it gives in floating point.

No labels are needed: the network itself is the teacher (distillation), on the pictures that its ranges were chosen on.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from .calibrate import Ranges
from .graph import Graph
from .rounding import Rounded

BATCH = 8
HELD = 4  # one picture in so many is not learned from, but says whether it helped
RATE = 1e-4  # a step at most, in parts of the mean magnitude of a tensor (a step of int8 is some 0.02 of it)


class Tuned(NamedTuple):
    """Ranges, with the graph's weights fine-tuned; and the error on pictures that were not learned from."""

    ranges: Ranges
    before: float
    after: float
    kept: bool  # whether the new weights are better


def finetune(graph: Graph, ranges: Ranges, pictures: NDArray[np.uint8], steps: int, seed: int = 1) -> Tuned:
    """Fine-tunes a graph's weights on pictures (N, height, width, channels); if they are no better they stay.

    The error is the mean of squared differences to the floating point results, in parts of each result's variance.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(pictures))
    count = max(len(order) // HELD, 1)
    held, learned = order[:count], order[count:] if len(order) > 1 else order
    model = Rounded(graph, ranges)
    spread = [max(float(torch.cat(v).var()), 1e-12) for v in zip(*_results(graph, pictures, held), strict=True)]
    before = _error(model, graph, pictures, held, spread)
    best = copy.deepcopy(model)
    optimizer = torch.optim.Adam(_groups(model), lr=RATE)
    for step in tqdm(range(steps), desc="fine-tuning", unit="step", mininterval=5):
        for group in optimizer.param_groups:
            group["lr"] = group["most"] * min(1, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / steps))
        pixels = _batch(pictures, random.choice(learned, min(BATCH, len(learned)), replace=False))
        loss = _difference(model(pixels), graph.results(pixels), spread)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = _error(model, graph, pictures, held, spread)
    kept = after < before
    return Tuned((model if kept else best).settle(), before, after, kept)


def _groups(model: Rounded) -> list[dict[str, object]]:
    # Adam's steps have the rate's size, and tensors differ in theirs: a picture's scale is in the first convolution's.
    return [{"params": [p], "most": RATE * max(float(p.detach().abs().mean()), 1e-8)} for p in model.parameters()]


def _batch(pictures: NDArray[np.uint8], chosen: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(pictures[np.sort(chosen)]).permute(0, 3, 1, 2).float()


def _results(graph: Graph, pictures: NDArray[np.uint8], chosen: NDArray[np.int64]) -> list[list[Tensor]]:
    starts = range(0, len(chosen), BATCH)
    return [[y.flatten() for y in graph.results(_batch(pictures, chosen[s : s + BATCH]))] for s in starts]


def _difference(mine: list[Tensor], wanted: list[Tensor], spread: list[float]) -> Tensor:
    parts = [(a - b).square().mean() / v for a, b, v in zip(mine, wanted, spread, strict=True)]
    return torch.stack(parts).mean()


@torch.no_grad()
def _error(
    model: Rounded, graph: Graph, pictures: NDArray[np.uint8], chosen: NDArray[np.int64], spread: list[float]
) -> float:
    parts = []
    for start in range(0, len(chosen), BATCH):
        pixels = _batch(pictures, chosen[start : start + BATCH])
        parts.append(float(_difference(model(pixels), graph.results(pixels), spread)) * len(pixels))
    return sum(parts) / len(chosen)
