"""Evaluate a model: python -m rnnpool_training.evaluate --model FILE --data FOLDER --backend float|integer|engine.

Detectors on boxes, classifiers on labels. Prints a table; with --json one JSON object.
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

from .blob import BlobError
from .command import command, integer, names, program, real
from .data import Sample, load
from .errors import InputError
from .evaluate_classifier import evaluate_classifier, load_pictures, open_classifier
from .files import make_folder
from .metrics import DetectorFunction, Evaluation, evaluate

FLOAT = NDArray[np.float32]
LOWEST = 655  # Q15, 0.02: detections below it change no average precision that matters


def float_detector(path: Path) -> tuple[DetectorFunction, float]:
    """A detector and its default threshold from a float or quantized PyTorch checkpoint."""
    from . import checkpoint
    from .detector import load_float, torch_detector
    from .quantize import load_quantized

    kind, _ = checkpoint.load(path, checkpoint.FLOAT_DETECTOR, checkpoint.QUANTIZED_DETECTOR)
    model = load_quantized(path) if kind == checkpoint.QUANTIZED_DETECTOR else load_float(path)
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
    except (InputError, BlobError):
        raise
    except ValueError as error:
        raise InputError(f"{path}, backend {backend}: {error}") from error
    result = evaluate(detector, tqdm(samples, desc=f"evaluating {path.name}", unit="image", mininterval=5))
    return result, {"backend": backend, **result.summary(default if threshold is None else threshold)}


def run_classifier(path: Path, backend: str, data: str, limit: int) -> dict[str, Any] | None:
    """The summary of a classifier; None if the file holds something else. InputError if model or data are unusable."""
    try:
        classifier = open_classifier(path, backend)
    except (InputError, BlobError):
        raise
    except ValueError as error:
        raise InputError(f"{path}, backend {backend}: {error}") from error
    if classifier is None:
        return None
    pictures = load_pictures(data, classifier.labels, classifier.channels, limit)
    return {"backend": backend, **evaluate_classifier(classifier, pictures)}


def table(values: dict[str, Any], model: Path) -> str:
    """What was measured, for people."""

    def said(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"
        return "not known" if value is None else f"{value:,}" if isinstance(value, int) else str(value)

    rows = [("model", f"{model} ({values['backend']})")]
    for key, name in (
        ("images", "pictures"),
        ("boxes", "labelled boxes"),
        ("ap50", "average precision (IoU 0.5)"),
        ("ap50_complete", "  on completely labelled pictures"),
        ("accuracy", "accuracy"),
        ("auc", "area under the ROC curve"),
    ):
        if key in values:
            rows.append((name, said(values[key])))
    if "threshold" in values:
        rows.append((f"at a threshold of {said(values['threshold'])}", ""))
        rows += [("  precision", said(values["precision"])), ("  recall", said(values["recall"]))]
        rows.append(("  false detections a picture", said(values["false_per_image_complete"])))
    for size, (count, recall) in values.get("recall_by_size", {}).items():
        rows.append((f"  recall of {size} pixels", f"{said(recall)} of {said(count)}"))
    seconds = values["seconds"]
    rows.append(("seconds", f"{said(seconds)} ({1000 * seconds / max(1, values['images']):.1f} ms a picture)"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}".rstrip() for name, value in rows)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog=program("rnnpool_training.evaluate"), description=__doc__.split("\n")[0])
    p.add_argument("--model", type=Path, required=True, help="a .rnnp blob; float backend: a checkpoint")
    p.add_argument("--data", required=True, help="folder of labelled pictures, or a folder for each class")
    p.add_argument("--backend", choices=sorted(BACKENDS), default="integer")
    p.add_argument("--classes", type=names, help="only boxes of these classes, as face,head (default: of all)")
    p.add_argument(
        "--threshold", type=real(0, 1), help="score for precision, recall and false alarms (default: the model's)"
    )
    p.add_argument("--limit", type=integer(0), default=0, help="only so many pictures, evenly chosen")
    p.add_argument("--plots", type=Path, help="folder for the precision-recall curve and a sheet of detections")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = p.parse_args(arguments)
    if not options.model.is_file():
        p.error(f"{options.model} is not a file")

    def show(values: dict[str, Any]) -> None:
        print(json.dumps(values, allow_nan=False) if options.json else table(values, options.model))

    classified = run_classifier(options.model, options.backend, options.data, options.limit)
    if classified is not None:
        if options.plots or options.threshold is not None or options.classes:
            raise InputError(f"{options.model} is a classifier: --plots, --threshold and --classes are for detectors")
        show(classified)
        return
    if options.plots:
        make_folder(options.plots)
    samples = load(options.data, options.limit, options.classes)
    result, summary = run(options.model, options.backend, samples, options.threshold)
    if options.plots:
        from .plots import curve, sheet

        curve(result, options.plots / f"precision-recall-{options.backend}.png")
        sheet(samples, result, summary["threshold"], options.plots / f"sheet-{options.backend}.png")
    show(summary)


if __name__ == "__main__":
    main()
