"""Evaluate a model: python -m rnnpool_training.evaluate --model FILE --data FOLDER --backend float|integer|engine.

Detectors on boxes, classifiers on labels. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .data import Sample, load
from .errors import InputError
from .evaluate_classifier import evaluate_classifier, load_pictures, open_classifier
from .metrics import DetectorFunction, Evaluation, evaluate

FLOAT = NDArray[np.float32]
LOWEST = 655  # Q15, 0.02: detections below it change no average precision that matters


def float_detector(path: Path) -> tuple[DetectorFunction, float]:
    """A detector and its default threshold from a float or quantized PyTorch checkpoint."""
    import torch

    from .detector import load_float, torch_detector
    from .quantize import load_quantized

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, none of which says more
        raise InputError("no PyTorch checkpoint (a .rnnp blob takes --backend integer or engine)") from error
    model = load_quantized(path) if "quantized" in checkpoint else load_float(path)
    return torch_detector(model, model.config), 0.5


def integer_detector(path: Path) -> tuple[DetectorFunction, float]:
    """A detector and its default threshold from a blob, run by the integer reference."""
    from .blob import load as load_blob
    from .reference import Format, detect

    model = load_blob(path)

    def run(pixels: NDArray[np.uint8]) -> FLOAT:
        height, width = pixels.shape
        found = detect(model, np.ascontiguousarray(pixels), width, height, Format.GRAY8, threshold=LOWEST)
        return as_array([(d.x, d.y, d.w, d.h, d.score) for d in found])

    return run, model.threshold / 32768


def engine_detector(path: Path) -> tuple[DetectorFunction, float]:
    """A detector and its default threshold from a blob, run by the C engine (a shared library through ctypes)."""
    from .blob import load as load_blob
    from .engine import Engine

    engine = Engine(path.read_bytes())

    def run(pixels: NDArray[np.uint8]) -> FLOAT:
        return as_array([(d.x, d.y, d.w, d.h, d.score) for d in engine.detect(np.ascontiguousarray(pixels), LOWEST)])

    return run, load_blob(path).threshold / 32768


def as_array(rows: list[tuple[int, int, int, int, int]]) -> FLOAT:
    """x, y, w, h in pixels and a Q15 score as (N, 5) with a score of 0 to 1."""
    array = np.array(rows, dtype=np.float32).reshape(-1, 5)
    array[:, 4] /= 32768
    return array


BACKENDS: dict[str, Callable[[Path], tuple[DetectorFunction, float]]] = {
    "float": float_detector,
    "integer": integer_detector,
    "engine": engine_detector,
}


def run(
    path: Path, backend: str, samples: list[Sample], threshold: float | None = None
) -> tuple[Evaluation, dict[str, Any]]:
    """Evaluate with a progress bar: the matched detections and the summary at the threshold (None: the model's).

    InputError if the file is no model for this backend.
    """
    try:
        detector, default = BACKENDS[backend](path)
    except ValueError as error:
        raise InputError(f"{path}, backend {backend}: {error}") from error
    result = evaluate(detector, tqdm(samples, unit="image", disable=None))
    return result, {"backend": backend, **result.summary(default if threshold is None else threshold)}


def run_classifier(path: Path, backend: str, data: str, limit: int) -> dict[str, Any] | None:
    """The summary of a classifier; None if the file holds something else. InputError if model or data are unusable."""
    try:
        classifier = open_classifier(path, backend)
    except ValueError as error:
        raise InputError(f"{path}, backend {backend}: {error}") from error
    if classifier is None:
        return None
    pictures = load_pictures(data, classifier.labels, classifier.channels, limit)
    return {"backend": backend, **evaluate_classifier(classifier, pictures)}


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.evaluate", description=__doc__.split("\n")[0])
    p.add_argument("--model", type=Path, required=True, help="a .rnnp blob; float backend: a checkpoint")
    p.add_argument("--data", required=True, help="folder with labels.jsonl and images/, or a folder for each class")
    p.add_argument("--backend", choices=sorted(BACKENDS), default="integer")
    p.add_argument(
        "--threshold", type=float, help="score for precision, recall and false alarms (default: the model's)"
    )
    p.add_argument("--limit", type=int, default=0, help="only so many pictures, evenly chosen")
    p.add_argument("--plots", type=Path, help="folder for the precision-recall curve and a sheet of detections")
    options = p.parse_args(arguments)
    if not options.model.is_file():
        p.error(f"{options.model} is not a file")
    if options.limit < 0:
        p.error(f"--limit must be 0 or more, not {options.limit}")
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        p.error(f"--threshold must be 0..1, not {options.threshold}")
    try:
        classified = run_classifier(options.model, options.backend, options.data, options.limit)
        if classified is not None:
            if options.plots or options.threshold is not None:
                raise InputError(f"{options.model} is a classifier: --plots and --threshold are for detectors")
            print(json.dumps(classified, allow_nan=False))
            return
        samples = load(options.data, options.limit)
        result, summary = run(options.model, options.backend, samples, options.threshold)
    except (InputError, OSError) as error:
        p.exit(1, f"{p.prog}: {error}\n")
    if options.plots:
        from .plots import curve, sheet

        options.plots.mkdir(parents=True, exist_ok=True)
        curve(result, options.plots / f"precision-recall-{options.backend}.png")
        sheet(samples, result, summary["threshold"], options.plots / f"sheet-{options.backend}.png")
    print(json.dumps(summary, allow_nan=False))


if __name__ == "__main__":
    main()
