"""Evaluate a model: python -m rnnpool_training.evaluate --model FILE --data FOLDER --backend float|integer|engine.

Detectors on boxes, classifiers on labels. Prints a table; with --json one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import wider_eval
from .blob import BlobError
from .command import command, integer, names, program, real
from .data import Sample, load, wider
from .errors import InputError
from .evaluate_classifier import OpenClassifier, evaluate_classifier, load_pictures, open_classifier
from .files import make_folder
from .metrics import DetectorFunction, Evaluation, evaluate

FLOAT = NDArray[np.float32]
LOWEST = 655  # Q15, 0.02: detections below it change no average precision that matters


def float_detector(path: Path) -> tuple[DetectorFunction, float]:
    """A detector and its default threshold from a float or quantized PyTorch checkpoint."""
    from . import checkpoint
    from .deploy import load_quantized
    from .detector import load_float, torch_detector

    kind, _ = checkpoint.load(path, checkpoint.FLOAT_DETECTOR, checkpoint.QUANTIZED_DETECTOR, checkpoint.ZOO)
    if kind == checkpoint.ZOO:
        from .zoo import saved

        return saved.detector(saved.load(path)), 0.5
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


def as_classifier(path: Path, backend: str) -> OpenClassifier | None:
    """open_classifier, with an InputError if the file can't be used."""
    try:
        return open_classifier(path, backend)
    except (InputError, BlobError):
        raise
    except ValueError as error:
        raise InputError(f"{path}, backend {backend}: {error}") from error


def run_classifier(classifier: OpenClassifier, backend: str, data: str, limit: int) -> dict[str, Any]:
    """The summary of a classifier. InputError if the data are unusable."""
    pictures = load_pictures(data, classifier.labels, classifier.channels, limit)
    return {"backend": backend, **evaluate_classifier(classifier, pictures)}


def official(result: Evaluation, samples: list[Sample], data: Path, predictions: Path | None) -> dict[str, Any]:
    """WIDER FACE's own figures, if `data` is its validation part, as the summary's "wider"; {} otherwise.

    predictions: a folder for the detections as the set's tool reads them. InputError, OSError.
    """
    given = wider.parts(data)
    if not given:
        if predictions:
            raise InputError(f"{data} is not WIDER FACE: --predictions writes the files of that set's tool")
        return {}
    named = zip(samples, result.detections, strict=True)
    found = {wider_eval.key(sample.name): rows.astype(np.float64) for sample, rows in named}
    if predictions:
        wider_eval.write_predictions(predictions, found)
    place = wider_eval.find_truth(data)
    if wider.choose(given, data).name != "val":
        return {}
    if place is None:
        sentence = f"{data}: no {wider_eval.GROUND_TRUTH} of eval_tools/ground_truth: no official evaluation"
        print(sentence, file=sys.stderr)
        return {}
    truth = {picture.name: picture for picture in wider_eval.read_truth(place)}
    strange = sorted(found.keys() - truth.keys())
    if strange:
        raise InputError(f"{place}: {len(strange)} of the pictures are not in it, such as {strange[0]}")
    return {"wider": {**wider_eval.evaluate(found, [truth[name] for name in found]), "of_pictures": len(truth)}}


def by_wider_rule(result: Evaluation, samples: list[Sample]) -> dict[str, Any]:
    """Average precision by WIDER FACE's rule with every face counted, as EdgeML measures SCUT-HEAD."""
    found = wider_eval.scaled({str(i): rows.astype(np.float64) for i, rows in enumerate(result.detections)})
    truth = [wider_eval.all_counted(str(i), sample.boxes) for i, sample in enumerate(samples)]
    return {"ap50_wider_rule": round(wider_eval.curve(found, truth, "all").ap, 4) if result.boxes else None}


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
        ("ap50_wider_rule", "  by WIDER FACE's rule, 1,000 thresholds"),
        ("accuracy", "accuracy"),
        ("auc", "area under the ROC curve"),
    ):
        if key in values:
            rows.append((name, said(values[key])))
    if official := values.get("wider"):
        rows.append((f"WIDER FACE, {official['pictures']} of {official['of_pictures']} pictures", ""))
        for name in wider_eval.SETTINGS:
            few = f"{said(official[f'{name}_few'])} where at most {wider_eval.FEW} faces are"
            rows.append((f"  {name}, {official[f'{name}_faces']} faces", f"{said(official[name])}; {few}"))
    if "threshold" in values:
        rows.append((f"at a threshold of {said(values['threshold'])}", ""))
        rows += [("  precision", said(values["precision"])), ("  recall", said(values["recall"]))]
        rows.append(("  false detections a picture", said(values["false_per_image_complete"])))
        rows.append(("  faces counted wrong a picture", said(values["count_error_complete"])))
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
    p.add_argument(
        "--predictions", type=Path, help="WIDER FACE: folder for the detections as the set's tool reads them"
    )
    p.add_argument("--wider-rule", action="store_true", help="also average precision by WIDER FACE's rule, which the "
                   "paper's figures of SCUT-HEAD follow")  # fmt: skip
    p.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = p.parse_args(arguments)
    if not options.model.is_file():
        p.error(f"{options.model} is not a file")

    def show(values: dict[str, Any]) -> None:
        print(json.dumps(values, allow_nan=False) if options.json else table(values, options.model))

    classifier = as_classifier(options.model, options.backend)
    if classifier is not None:
        if any(
            (options.plots, options.threshold is not None, options.classes, options.predictions, options.wider_rule)
        ):
            raise InputError(
                f"{options.model} is a classifier: --plots, --threshold, --classes, --predictions and --wider-rule are "
                "for detectors"
            )
        show(run_classifier(classifier, options.backend, options.data, options.limit))
        return
    for folder in (options.plots, options.predictions):
        if folder:
            make_folder(folder)
    samples = load(options.data, options.limit, options.classes)
    result, summary = run(options.model, options.backend, samples, options.threshold)
    if options.plots:
        from .plots import curve, sheet

        curve(result, options.plots / f"precision-recall-{options.backend}.png")
        sheet(samples, result, summary["threshold"], options.plots / f"sheet-{options.backend}.png")
    summary |= official(result, samples, Path(options.data), options.predictions)
    if options.wider_rule:
        summary |= by_wider_rule(result, samples)
    show(summary)


if __name__ == "__main__":
    main()
