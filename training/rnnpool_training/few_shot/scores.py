"""Cross-validation: parts, how well they were told apart, and what is clearly better."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def folds(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """(N,): the fold, 0 to count - 1, of each picture, every class spread evenly."""
    random = np.random.default_rng(seed)
    result = np.zeros(len(labels), np.int64)
    offset = 0
    for label in np.unique(labels):
        those = random.permutation(np.flatnonzero(labels == label))
        result[those] = (np.arange(len(those)) + offset) % count
        offset += len(those)
    return result


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """(N,): each class has the same sum; the mean is 1."""
    counts = np.bincount(labels, minlength=classes)
    result: NDArray[np.float64] = len(labels) / (np.maximum(counts, 1) * max(1, (counts > 0).sum()))[labels]
    return result


@dataclass(frozen=True)
class Score:
    """How well held-back pictures were told apart, with classes weighted alike.

    loss and right (N,): cross entropy of each picture after division of the logits by `temperature`, and whether its
    class had the largest logit, each times its class's weight.
    """

    loss: NDArray[np.float64]
    right: NDArray[np.float64]
    temperature: float

    @property
    def balanced(self) -> float:
        """Balanced accuracy."""
        return float(self.right.mean())


def score(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float = 0.0) -> Score:
    """Logits (N, labels), or (R, N, labels) of R repetitions, against the truth (N,).

    `temperature` 0: the one that suits them best.
    """
    weights = class_weights(labels, logits.shape[-1])
    best: Score | None = None
    each = logits.reshape(-1, len(labels), logits.shape[-1])
    right = (each.argmax(2) == labels).mean(0) * weights
    for divisor in (temperature,) if temperature else np.exp(np.linspace(-1.4, 1.4, 29)):
        scaled = each / divisor
        scaled = scaled - scaled.max(2, keepdims=True)
        loss = np.log(np.exp(scaled).sum(2)) - scaled[:, np.arange(len(labels)), labels]
        loss = loss.mean(0) * weights
        if best is None or loss.mean() < best.loss.mean():
            best = Score(loss, right, float(divisor))
    assert best is not None
    return best


def clearly(gain: NDArray[np.float64], errors: float) -> bool:
    """Whether the mean gain (N,), picture by picture, is more than so many of its standard errors."""
    error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    return bool(gain.mean() > errors * error)


def better(new: Score, old: Score, errors: float) -> bool:
    """Whether the loss is lower by a standard error, and the balanced accuracy higher by more than `errors` of them.

    Standard errors are of the difference, picture by picture. Both are asked: longer tuning lowers the loss of
    pictures that it does not tell apart better, and few pictures are told apart better by chance.
    """
    return clearly(old.loss - new.loss, 1.0) and clearly(new.right - old.right, errors)
