"""A strong classifier of others as the teacher of ours: soft labels, also for pictures that nobody labelled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import peers
from .errors import InputError
from .pictures import Picture

FLOAT = NDArray[np.float64]
LEAST = 1 / 512  # probability: half a step of an int8 output; a float one is as sure as that at most
PICTURES = 2000  # labelled ones are enough to calibrate by


class Teacher:
    """The probability of the second label by a .tflite classifier of two labels (peers.tflite).

    Such networks are too sure of themselves on pictures that are new to them: `calibrate` fits the probability to
    labelled pictures (Platt scaling: a slope and an offset of the logit). With `inner` it also says what its last
    layer takes, each number less its mean on those pictures and divided by its deviation there.
    """

    def __init__(self, path: str | Path, inner: bool = False) -> None:
        """InputError if the file can't be read or run, or is no classifier of two labels for RGB pictures."""
        self.slope, self.offset = 1.0, 0.0
        self.vectors: list[NDArray[np.float32]] = []
        self.mean: NDArray[np.float32] | float = 0.0
        self.deviation: NDArray[np.float32] | float = 1.0
        if not Path(path).is_file():
            raise InputError(f"--teacher {path} is not a file")
        try:
            self.score = peers.tflite(Path(path), self.vectors) if inner else peers.tflite(Path(path))
            self.logit(Image.new("RGB", (8, 8)))
            self.width = len(self.vectors.pop()) if inner else 0  # of what its last layer takes
        except ImportError:
            raise InputError(
                f"--teacher {path} needs the package ai-edge-litert (pip install 'rnnpool[peers]')"
            ) from None
        except (ValueError, RuntimeError, IndexError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"--teacher {path} is no .tflite classifier of RGB pictures, two labels: {reason}"
            ) from None

    def logit(self, image: Image.Image) -> float:
        """As the network says it, of an image of any size."""
        score = min(max(self.score(np.asarray(image.convert("RGB"))), LEAST), 1 - LEAST)
        return math.log(score / (1 - score))

    def __call__(self, image: Image.Image) -> float:
        """The calibrated probability, 0 to 1, of an image of any size."""
        return 1 / (1 + math.exp(-(self.slope * self.logit(image) + self.offset)))

    def tell(self, image: Image.Image) -> tuple[float, NDArray[np.float32] | None]:
        """The probability, and, of a teacher with `inner`, what its last layer takes, (width,)."""
        probability = self(image)
        vector = (self.vectors.pop() - self.mean) / self.deviation if self.width else None
        return probability, vector

    def calibrate(self, pictures: Sequence[Picture]) -> float:
        """Fit slope and offset to (an even selection of) labelled pictures; returns the teacher's accuracy on them.

        InputError if pictures of one of the labels 0 and 1 are missing.
        """
        labelled = [p for p in pictures if p.label >= 0]
        chosen = labelled[:: max(1, len(labelled) // PICTURES)]
        truth = np.array([p.label for p in chosen])
        if set(truth.tolist()) != {0, 1}:
            raise InputError(f"a teacher says 0 or 1: the labels of the pictures are {sorted(set(truth.tolist()))}")
        logits = np.array([self.logit(Image.fromarray(p.pixels.squeeze())) for p in chosen])
        if self.width:
            vectors = np.stack(self.vectors)
            self.mean, self.deviation = vectors.mean(axis=0), vectors.std(axis=0).clip(min=1e-3)
            self.vectors.clear()
        self.slope, self.offset = fit_logistic(logits, truth.astype(float))
        return float(((self.slope * logits + self.offset > 0) == (truth == 1)).mean())


def fit_logistic(x: FLOAT, truth: FLOAT) -> tuple[float, float]:
    """Slope (0 to 4) and offset of the most likely probability 1 / (1 + exp(-(slope * x + offset))) of `truth` (N,)."""
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([0.5, 0.0])
    ridge = np.diag([1e-3, 1e-3]) * len(x)  # keeps the fit finite where the labels are separable
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (p - truth) + ridge @ weights
        step = np.linalg.solve(design.T @ (design * (p * (1 - p))[:, None]) + ridge, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return float(np.clip(weights[0], 0.0, 4.0)), float(weights[1])
