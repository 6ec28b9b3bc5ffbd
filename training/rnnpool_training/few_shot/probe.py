"""Heads on the features of the start: its own, and linear probes."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .maps import Maps
from .scores import Score, class_weights, score

STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # of the probe's regularization, falling
MOST_ORDERS = 5  # classes up to which every assignment to the labels of the start is tried


@dataclass
class Linear:
    """A linear layer on features, weight (labels, F) and bias (labels,)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> NDArray[np.float64]:
        """(..., F) to logits (..., labels)."""
        result: NDArray[np.float64] = (features.double() @ self.weight.T + self.bias).numpy()
        return result


def _leave_out_compiler() -> None:
    # Methods of optimizers first import torch.compile's modules, 5 seconds of work, to be left alone by them
    # (torch._compile._disable_dynamo). Nothing here is compiled: the methods themselves are what is left alone.
    for method in (*vars(torch.optim.Optimizer).values(), *vars(torch.optim.LBFGS).values()):
        plain = getattr(method, "__wrapped__", None)
        if inspect.isfunction(plain) and not hasattr(plain, "__dynamo_disable"):
            setattr(plain, "__dynamo_disable", plain)


def fit_probes(
    maps: Maps, labels: NDArray[np.int64], classes: int, strengths: Sequence[float] = STRENGTHS
) -> list[Linear]:
    """Multinomial logistic regression with classes weighted alike, on every picture and its views, for each strength.

    Views in other light lie elsewhere than what will be seen, so the mean of each kind of view is moved to that of the
    first one, the pictures as they are. Strengths must fall: each fit begins at the one before.
    """
    _leave_out_compiler()
    each = maps.features.double()
    centre = each.mean(0)
    features = (each - centre + centre[0]).flatten(0, 1)
    mean, std = centre[0], features.std(0).clamp(min=1e-3)
    x = ((features - mean) / std).float()
    y = torch.from_numpy(labels).repeat_interleave(each.shape[1])
    weights = torch.from_numpy(class_weights(labels, classes)).float().repeat_interleave(each.shape[1])
    w = torch.zeros(classes, x.shape[1], requires_grad=True)
    b = torch.zeros(classes, requires_grad=True)
    result = []
    for strength in strengths:
        optimizer = torch.optim.LBFGS(
            [w, b], max_iter=50, line_search_fn="strong_wolfe", tolerance_grad=1e-4, tolerance_change=1e-5
        )

        def closure(optimizer: torch.optim.LBFGS = optimizer, strength: float = strength) -> Tensor:
            optimizer.zero_grad()
            loss = (F.cross_entropy(x @ w.T + b, y, reduction="none") * weights).mean()
            loss = loss + 0.5 * strength * w.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            weight = w.double() / std
            result.append(Linear(weight, b.double() - weight @ mean))
    return result


def mixed(first: Linear, second: Linear, weights: tuple[float, float]) -> Linear:
    """The layer whose logits are the weighted sum of those of two."""
    a, b = weights
    return Linear(a * first.weight + b * second.weight, a * first.bias + b * second.bias)


def known(start: nn.Linear, features: Tensor, labels: NDArray[np.int64], classes: int) -> Linear | None:
    """The start's own head, its labels put in the order that suits the classes, where the classes are what it knows.

    features (N, F) of the pictures as they are. They are what it knows if its probabilities, untouched, say more of
    the classes than chance does, by the standard error: confident mistakes cost it that. Nothing is fitted but
    the order.
    """
    if start.out_features != classes or classes > MOST_ORDERS:
        return None
    best: tuple[Linear, Score] | None = None
    for order in itertools.permutations(range(classes)):
        head = Linear(start.weight.detach()[list(order)].double(), start.bias.detach()[list(order)].double())
        found = score(head(features), labels, 1.0)
        if best is None or found.loss.mean() < best[1].loss.mean():
            best = head, found
    assert best is not None
    gain = math.log(classes) - best[1].loss
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain))
    return best[0] if gain.mean() > error else None
