"""Fine-tuning of any traced network through the rounding: it learns to give what it gives in floating point.

No labels are needed: the network itself is the teacher (distillation), on the pictures that its ranges were chosen on.
A classifier's labels may be a second one: the cross entropy with them is added.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from .calibrate import Ranges
from .graph import Graph
from .rounding import Rounded

BATCH = 8
HELD = 4  # one picture in so many is not learned from, but says whether it helped
RATE = 1e-4  # a step at most, in parts of the mean magnitude of a tensor (a step of int8 is some 0.02 of it)
LABELLED_RATE = 3e-4  # labels ask for more than to make up for the rounding
TEACHER = 0.1  # weight of the error beside the cross entropy with labels

Pictures = NDArray[np.uint8]
Chosen = NDArray[np.int64]


class Held(NamedTuple):
    """How a network does on pictures that were not learned from."""

    error: float  # of what it gives, in parts of the variance
    entropy: float = 0.0  # cross entropy with the labels
    right: int = 0

    def better(self, other: Held, labels: bool) -> bool:
        """Whether this is the one to take."""
        return self.entropy < other.entropy if labels else self.error < other.error


class Tuned(NamedTuple):
    """Ranges, with the graph's weights fine-tuned; and how the network did before and after."""

    ranges: Ranges
    before: Held
    after: Held
    kept: bool  # whether the new weights are better
    labelled: int  # pictures that were not learned from and whose labels are known

    def said(self) -> str:
        """For people, behind what was done."""
        before, after = self.before, self.after
        stayed = "" if self.kept else ", so the weights stay as they were"
        error = f"the error on pictures that it did not learn from is {after.error:.3g}, {before.error:.3g} before"
        if not self.labelled:
            return f": {error}{stayed}"
        return (
            f" from labels: on {self.labelled} pictures that it did not learn from {after.right} right, {before.right} "
            f"before; cross entropy {after.entropy:.3g}, {before.entropy:.3g} before{stayed}"
        )


@dataclass
class Lesson:
    """What is learned from: pictures, what the network gives for them in floating point, and labels, if there are any.

    spread: the variance of each result, of which errors are parts.
    """

    graph: Graph
    pictures: Pictures
    truth: NDArray[np.int64] | None
    spread: list[float]

    def pixels(self, chosen: Chosen) -> Tensor:
        """(N, C, H, W) of 0..255."""
        return torch.from_numpy(self.pictures[chosen]).permute(0, 3, 1, 2).float()

    def loss(self, model: Rounded, chosen: Chosen) -> tuple[Tensor, Tensor, int]:
        """The error, the cross entropy with the labels (0 without any), and how many answers are right."""
        pixels = self.pixels(chosen)
        mine, wanted = model(pixels), self.graph.results(pixels)
        parts = [(a - b).square().mean() / v for a, b, v in zip(mine, wanted, self.spread, strict=True)]
        error = torch.stack(parts).mean()
        if self.truth is None:
            return error, torch.zeros(()), 0
        logits, truth = mine[0].flatten(1), torch.from_numpy(self.truth[chosen])
        return error, F.cross_entropy(logits, truth), int((logits.argmax(1) == truth).sum())

    @torch.no_grad()
    def measure(self, model: Rounded, chosen: Chosen) -> Held:
        """How a model does on pictures."""
        error, entropy, right = 0.0, 0.0, 0
        for start in range(0, len(chosen), BATCH):
            some = chosen[start : start + BATCH]
            e, c, r = self.loss(model, some)
            error, entropy, right = error + float(e) * len(some), entropy + float(c) * len(some), right + r
        return Held(error / len(chosen), entropy / len(chosen), right)


def finetune(
    graph: Graph,
    ranges: Ranges,
    pictures: Pictures,
    steps: int,
    seed: int = 1,
    truth: NDArray[np.int64] | None = None,
) -> Tuned:
    """Fine-tunes a graph's weights on pictures (N, height, width, channels); if they are no better they stay.

    The error is the mean of squared differences to the floating point results, in parts of each result's variance.
    truth: of each picture the number of its label; the cross entropy is added, and says what is better.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(pictures))
    count = max(len(order) // HELD, 1)
    held, learned = order[:count], order[count:] if len(order) > 1 else order
    model = Rounded(graph, ranges)
    lesson = Lesson(graph, pictures, truth, [])
    lesson.spread = [max(float(torch.cat(v).var()), 1e-12) for v in zip(*_results(lesson, held), strict=True)]
    before = lesson.measure(model, held)
    best = copy.deepcopy(model)
    labels = truth is not None
    optimizer = torch.optim.Adam(_groups(model, LABELLED_RATE if labels else RATE), lr=RATE)
    for step in tqdm(range(steps), desc="fine-tuning", unit="step", mininterval=5):
        for group in optimizer.param_groups:
            group["lr"] = group["most"] * min(1, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / steps))
        chosen = np.sort(random.choice(learned, min(BATCH, len(learned)), replace=False))
        error, entropy, _ = lesson.loss(model, chosen)
        optimizer.zero_grad()
        (TEACHER * error + entropy if labels else error).backward()
        optimizer.step()
    after = lesson.measure(model, held)
    kept = after.better(before, labels)
    return Tuned((model if kept else best).settle(), before, after, kept, len(held) if labels else 0)


def _groups(model: Rounded, rate: float) -> list[dict[str, object]]:
    # Adam's steps have the rate's size, and tensors differ in theirs: a picture's scale is in the first convolution's.
    return [{"params": [p], "most": rate * max(float(p.detach().abs().mean()), 1e-8)} for p in model.parameters()]


def _results(lesson: Lesson, chosen: Chosen) -> list[list[Tensor]]:
    starts = range(0, len(chosen), BATCH)
    return [[y.flatten() for y in lesson.graph.results(lesson.pixels(chosen[s : s + BATCH]))] for s in starts]
