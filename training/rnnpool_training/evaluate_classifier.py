"""Classifiers on labelled pictures, with any backend; `evaluate` is the command."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import blob
from .classification_metrics import summary
from .errors import InputError
from .pictures import Picture, frame, load_folders, load_labelled

# From uint8 (H, W, channels) of any size to the probability of each label.
ClassifierFunction = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


@dataclass(frozen=True)
class OpenClassifier:
    """A classifier that is ready to run."""

    run: ClassifierFunction
    labels: list[str]
    channels: int  # 1 or 3, of the pictures it takes


def open_float(path: Path) -> OpenClassifier | None:
    """The classifier in a float PyTorch checkpoint; None if it is a detector."""
    import torch

    from . import checkpoint
    from .classifier import load_classifier

    detectors = (checkpoint.FLOAT_DETECTOR, checkpoint.QUANTIZED_DETECTOR, checkpoint.ZOO)
    if checkpoint.load(path, checkpoint.FLOAT_CLASSIFIER, *detectors)[0] in detectors:
        return None
    model = load_classifier(path)
    config = model.config

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        x = torch.from_numpy(frame(pixels, config.height, config.width)).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            result: NDArray[np.float64] = torch.softmax(model(x.sub(128).div(128)).double(), 1)[0].numpy()
        return result

    return OpenClassifier(run, list(config.labels), config.channels)


def open_blob(path: Path, backend: str) -> OpenClassifier | None:
    """The classifier in a blob, run by the integer reference or by the C engine; None if it is something else."""
    model = blob.load(path)
    if model.task != blob.Task.CLASSIFICATION:
        return None
    if model.numbers:
        raise InputError(f"{path} gives numbers, no probabilities: there is no right label")
    if backend == "engine":
        from .engine import Engine

        engine = Engine(path.read_bytes())

        def run(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
            return (
                np.array(engine.classify(np.ascontiguousarray(pixels[:, :, 0] if model.channels == 1 else pixels)))
                / 32768
            )
    else:
        from .reference import Format, classify

        def run(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
            height, width, channels = pixels.shape
            format = Format.GRAY8 if channels == 1 else Format.RGB888
            return np.array(classify(model, np.ascontiguousarray(pixels), width, height, format)) / 32768

    return OpenClassifier(run, model.labels, model.channels)


def open_classifier(path: Path, backend: str) -> OpenClassifier | None:
    """The classifier in a file; None if it holds something else. ValueError if it can't be read."""
    return open_float(path) if backend == "float" else open_blob(path, backend)


def load_pictures(data: str | Path, labels: list[str], channels: int, limit: int = 0) -> list[Picture]:
    """Pictures with labels: of a folder with labels.jsonl, or with a folder for each class, named as the labels.

    InputError if a label is none of the classifier's.
    """
    data = Path(data)
    if (data / "labels.jsonl").exists():
        pictures = load_labelled(data, channels, limit)
    else:
        pictures, names, skipped = load_folders(data, channels)
        if skipped:
            tqdm.write(f"{len(skipped)} files left out, the first: {' '.join(skipped[0])}", file=sys.stderr)
        if not set(names) <= set(labels):
            raise InputError(
                f"{data} holds folders {', '.join(names)}; the classifier has the labels {', '.join(labels)}"
            )
        for picture in pictures:
            picture.label = labels.index(names[picture.label])
        step = max(1, len(pictures) // limit) if limit else 1
        pictures = pictures[::step][: limit or None]
    for picture in pictures:
        if picture.label >= len(labels):
            raise InputError(f"{picture.name} has label {picture.label}, the classifier has {len(labels)} labels")
    return pictures


def evaluate_classifier(classifier: OpenClassifier, pictures: list[Picture]) -> dict[str, Any]:
    """images, accuracy, auc (two labels; None if there is but one in the pictures) and seconds."""
    if not pictures:
        raise InputError("there is no picture to evaluate")
    begun = time.monotonic()
    found = [classifier.run(picture.pixels) for picture in tqdm(pictures, unit="image", mininterval=5)]
    seconds = time.monotonic() - begun
    truth = np.array([picture.label for picture in pictures], np.int64)
    probabilities = np.array(found, np.float64).reshape(-1, len(classifier.labels))
    values = summary(probabilities, truth)
    result = {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in values.items()}
    return {**result, "seconds": round(seconds, 1)}
