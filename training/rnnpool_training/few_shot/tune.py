"""The late layers, tuned from a head on their features on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from .maps import Maps, Tail
from .probe import Linear

BATCH = 32


@dataclass(frozen=True)
class Recipe:
    """How the tail is tuned. `rate`: of the last layers; each block before has `decay` times that of the next one."""

    steps: int = 200
    rate: float = 6e-3
    decay: float = 0.7
    mix: float = 0.2  # parameter of mixup's beta distribution, 0 for none
    smoothing: float = 0.05
    average: float = 0.98


def tune(
    tail: Tail, maps: Maps, labels: NDArray[np.int64], classes: int, recipe: Recipe, seed: int,
    stop: Callable[[], bool] = lambda: False,
) -> Tail:  # fmt: skip
    """A tuned copy of a tail that ends in a probe: averaged weights. Ends early when `stop` says so."""
    random = np.random.default_rng(seed)
    tail = copy.deepcopy(tail)
    average = copy.deepcopy(tail)
    layers: list[nn.Module] = [*tail.blocks, tail.last]
    groups = []
    for depth, layer in enumerate(reversed(layers)):
        groups.append({"params": list(layer.parameters()), "rate": recipe.rate * recipe.decay**depth})
    groups.append({"params": list(tail.dense.parameters()), "rate": recipe.rate})
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.01)
    by_class = [np.flatnonzero(labels == c) for c in range(classes)]
    by_class = [those for those in by_class if len(those)]
    count = maps.maps.shape[1]
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels), classes).float()
    targets = targets * (1 - recipe.smoothing) + recipe.smoothing / classes
    for step in range(recipe.steps):
        if stop():
            break
        warm = min(1.0, (step + 1) / (1 + recipe.steps // 10))
        factor = warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        rows = np.concatenate([random.choice(those, -(-BATCH // len(by_class))) for those in by_class])
        random.shuffle(rows)
        chosen = torch.from_numpy(rows)
        x = maps.maps[chosen, torch.from_numpy(random.integers(count, size=len(rows)))].float()
        y = targets[chosen]
        if recipe.mix:
            part = float(random.beta(recipe.mix, recipe.mix))
            order = torch.from_numpy(random.permutation(len(rows)))
            x, y = part * x + (1 - part) * x[order], part * y + (1 - part) * y[order]
        optimizer.zero_grad()
        loss = F.cross_entropy(tail(x.contiguous(memory_format=torch.channels_last)), y)
        loss.backward()
        nn.utils.clip_grad_norm_(tail.parameters(), 4.0)
        optimizer.step()
        keep = min(recipe.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, new in zip(average.parameters(), tail.parameters(), strict=True):
                mine.lerp_(new, 1 - keep)
    return average


@torch.no_grad()
def blended(start: Tail, tuned: Tail, part: float) -> Tail:
    """`part` of the way from one tail to the other."""
    result = copy.deepcopy(start)
    for mine, new in zip(result.parameters(), tuned.parameters(), strict=True):
        mine.lerp_(new, part)
    return result


def with_head(tail: Tail, head: Linear) -> Tail:
    """A copy of a tail with another dense layer."""
    result = copy.deepcopy(tail)
    weight = head.weight.float()
    result.dense = nn.Linear(weight.shape[1], weight.shape[0])
    result.dense.weight = nn.Parameter(weight.clone())
    result.dense.bias = nn.Parameter(head.bias.float())
    return result


@torch.no_grad()
def cooled(tail: Tail, temperature: float) -> Tail:
    """A copy whose logits are divided by a temperature, so that its probabilities are those of cross-validation.

    Their mean over the labels is taken away, which changes no probability: on the device logits end at +-8.
    """
    result = copy.deepcopy(tail)
    for values in (result.dense.weight, result.dense.bias):
        values.sub_(values.mean(0)).div_(temperature)
    return result


@torch.no_grad()
def logits_of(tail: Tail, maps: Maps) -> NDArray[np.float64]:
    """(N, labels) of the first views: the pictures as they are."""
    parts = [tail(part.float().contiguous(memory_format=torch.channels_last)) for part in maps.maps[:, 0].split(64)]
    return torch.cat(parts).double().numpy()
