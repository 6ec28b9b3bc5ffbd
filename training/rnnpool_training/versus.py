"""Models and their peers on the same pictures: python -m rnnpool_training.versus MODEL.rnnp --data FOLDER --out FOLDER.

Every model sees the same frames, is measured in the same way, and gets intervals from a bootstrap over pictures.
Written are a table (table.md) and curves (curves.png). Detectors and classifiers apart: one kind a call.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from . import blob, files, peers
from .anchors import iou_matrix
from .classification_metrics import area_under_curve, calibration_error
from .command import command, integer
from .data import Sample, load
from .errors import InputError
from .evaluate import engine_detector, float_detector
from .evaluate_classifier import open_classifier
from .metrics import DetectorFunction, average_precision
from .pictures import Picture, load_labelled

FLOAT = NDArray[np.float32]
ALARMS = 0.1  # false alarms a picture at which recall is told
LIKELY = 0.1  # score of a detection from which its calibration counts
LEAST = (0, 12, 16)  # pixels; smaller faces are ignored: neither found nor missed, and no alarm
FACE_SIZES = (0, 12, 16, 24, 32, 48, 64, 96, 1000)  # pixels, geometric mean of the sides
PERSON_SIZES = (0.005, 0.02, 0.05, 0.1, 0.3, 1.01)  # part of the picture that the largest person covers


@dataclass
class Matches:
    """Detections of all pictures, best first, matched to the faces of at least some size at an IoU of 0.5.

    scores, correct, picture (D,): detections, those on ignored faces left out; faces (P,): faces of each picture;
    found (F,): score at which each face was found, -1 never; owner (F,): its picture; sizes (F,).
    """

    scores: FLOAT
    correct: NDArray[np.bool_]
    picture: NDArray[np.int64]
    faces: NDArray[np.int64]
    found: FLOAT
    owner: NDArray[np.int64]
    sizes: FLOAT


def match(detections: list[FLOAT], samples: list[Sample], least: float = 0.0, iou: float = 0.5) -> Matches:
    """Each detection, best first, claims the free face that it overlaps most; on an ignored face it is none."""
    scores, correct, picture, found, owner, sizes = [], [], [], [], [], []
    for number, (rows, sample) in enumerate(zip(detections, samples, strict=True)):
        side = np.sqrt(sample.boxes[:, 2] * sample.boxes[:, 3])
        counted = side >= least
        overlap = iou_matrix(rows[:, :4], sample.boxes) if len(sample.boxes) else np.zeros((len(rows), 1), np.float32)
        free = np.where(counted, 1.0, 0.0) if len(sample.boxes) else np.zeros(1)
        taken = np.full(len(sample.boxes), -1.0, np.float32)
        for row, over in zip(rows, overlap, strict=True):
            best = int((over * free).argmax())
            hit = bool(free[best] and over[best] >= iou)
            if hit:
                free[best], taken[best] = 0.0, row[4]
            elif len(sample.boxes) and (over[~counted] >= iou).any():
                continue
            scores.append(row[4])
            correct.append(hit)
            picture.append(number)
        found.append(taken[counted])
        owner.append(np.full(int(counted.sum()), number))
        sizes.append(side[counted])
    order = np.argsort(-np.array(scores, np.float32), kind="stable")
    return Matches(
        np.array(scores, np.float32)[order], np.array(correct, bool)[order], np.array(picture, np.int64)[order],
        np.array([len(f) for f in found], np.int64), np.concatenate([*found, np.zeros(0, np.float32)]),
        np.concatenate([*owner, np.zeros(0, np.int64)]).astype(np.int64), np.concatenate([*sizes, np.zeros(0)]),
    )  # fmt: skip


def precision(matches: Matches, times: NDArray[np.int64]) -> float:
    """Average precision of pictures that occur `times` (P,): 0 or 1 for a part of them, more in a bootstrap."""
    repeated = np.repeat(matches.correct, times[matches.picture])
    return average_precision(repeated, int((matches.faces * times).sum()))


def threshold(matches: Matches, times: NDArray[np.int64], alarms: float = ALARMS) -> float:
    """The lowest score at which there are no more than `alarms` false alarms a picture."""
    weight = times[matches.picture] * ~matches.correct
    over = np.flatnonzero(np.cumsum(weight) > alarms * max(1, int(times.sum())))
    return float(np.nextafter(matches.scores[over[0]], np.float32(2))) if len(over) else 0.0


def recall(matches: Matches, times: NDArray[np.int64], complete: NDArray[np.bool_]) -> float:
    """Recall at ALARMS false alarms a picture. Alarms are counted where every face is labelled, faces everywhere."""
    weight = times[matches.owner]
    if not weight.sum():
        return float("nan")
    return float((weight * (matches.found >= threshold(matches, times * complete))).sum() / weight.sum())


def interval(
    values: Callable[[NDArray[np.int64]], float], pictures: int, draws: int, seed: int = 1
) -> tuple[float, float]:
    """The middle 95 % of a figure over `draws` bootstrap samples of the pictures."""
    random = np.random.default_rng(seed)
    drawn = [values(np.bincount(random.integers(pictures, size=pictures), minlength=pictures)) for _ in range(draws)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _cell(values: Callable[[NDArray[np.int64]], float], pictures: int, draws: int) -> str:
    text = f"{values(np.ones(pictures, np.int64)):.3f}"
    if draws:
        low, high = interval(values, pictures, draws)
        text += f" ({low:.3f}..{high:.3f})"
    return text


def _table(rows: dict[str, dict[str, str]]) -> str:
    """A markdown table: a line a figure, a column a model."""
    names = list(rows)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    lines += ["| " + label + " | " + " | ".join(rows[n][label] for n in names) + " |" for label in rows[names[0]]]
    return "\n".join(lines) + "\n"


def faces(detections: list[FLOAT], samples: list[Sample], draws: int) -> dict[str, str]:
    """The figures of one detector, by name."""
    count = len(samples)
    complete = np.array([s.complete for s in samples])
    result = {}
    for least in LEAST:
        m = match(detections, samples, least)
        if not len(m.found):
            continue
        label = f"AP, faces from {least} pixels" if least else "AP, all faces"
        result[f"{label} ({len(m.found)})"] = _cell(lambda t, m=m: precision(m, t), count, draws)  # type: ignore[misc]
    m = match(detections, samples)
    sources = np.array([s.source for s in samples])
    for source in sorted(set(sources)):
        part = (sources == source).astype(np.int64)
        if (m.faces * part).sum():
            result[f"AP, {source or 'no source'} ({int((m.faces * part).sum())})"] = _cell(
                lambda t, part=part: precision(m, t * part), count, draws)  # type: ignore[misc]  # fmt: skip
    if complete.any():
        result[f"recall at {ALARMS} false alarms a picture"] = _cell(lambda t: recall(m, t, complete), count, draws)
        sure = complete[m.picture] & (m.scores >= LIKELY)
        error = calibration_error(m.scores[sure].astype(np.float64), m.correct[sure])
        result[f"calibration error, scores from {LIKELY}"] = f"{error:.3f}"
        limit = threshold(m, complete.astype(np.int64))
        result["score there"] = f"{limit:.3f}"
        for low, high in itertools.pairwise(FACE_SIZES):
            these = (m.sizes >= low) & (m.sizes < high)
            if these.any():
                name = f"recall there, {low} to {high} pixels" if high < 1000 else f"recall there, from {low} pixels"
                result[f"{name} ({int(these.sum())})"] = f"{(m.found[these] >= limit).mean():.3f}"
    return result


def persons(scores: NDArray[np.float64], pictures: list[Picture], draws: int) -> dict[str, str]:
    """The figures of one classifier: probabilities (P,) of "person"."""
    truth = np.array([p.label for p in pictures], np.int64)
    right = (scores >= 0.5) == (truth == 1)

    def balanced(times: NDArray[np.int64]) -> float:
        parts = [times * (truth == label) for label in (0, 1)]
        return float(np.mean([(part * right).sum() / part.sum() if part.sum() else np.nan for part in parts]))

    def area(times: NDArray[np.int64]) -> float:
        return area_under_curve(np.repeat(scores, times), np.repeat(truth, times))

    count = len(pictures)
    result = {
        "accuracy": _cell(lambda t: float((t * right).sum() / t.sum()), count, draws),
        "balanced accuracy": _cell(balanced, count, draws), "AUC": _cell(area, count, draws),
        "calibration error": f"{calibration_error(scores, truth == 1):.3f}",
    }  # fmt: skip
    covers = np.array([_largest(p) for p in pictures])
    for low, high in itertools.pairwise(PERSON_SIZES):
        these = (truth == 1) & (covers >= low) & (covers < high)
        if these.any():
            label = f"recall, largest person {low:.1%} to {min(high, 1):.1%} of the picture ({int(these.sum())})"
            result[label] = f"{right[these].mean():.3f}"
    return result


def _largest(picture: Picture) -> float:
    # Part of the picture that its largest box covers; 0 where there is none.
    if picture.boxes is None or not len(picture.boxes):
        return 0.0
    height, width = picture.pixels.shape[:2]
    return float((picture.boxes[:, 2] * picture.boxes[:, 3]).max() / (height * width))


def _face_curves(all_matches: dict[str, Matches], complete: NDArray[np.bool_], out: Path) -> None:
    from .plots import plt

    figure, axes = plt.subplots(figsize=(6, 5))
    for name, m in all_matches.items():
        alarms = np.cumsum(~m.correct & complete[m.picture]) / max(1, int(complete.sum()))
        axes.plot(alarms, np.cumsum(m.correct) / max(1, int(m.faces.sum())), label=name)
    axes.set(xlabel="false alarms a picture", ylabel="recall", xscale="symlog", xlim=(0, 10), ylim=(0, 1))
    axes.set_xscale("symlog", linthresh=0.02)
    _finish(figure, axes, out)


def _person_curves(scores: dict[str, NDArray[np.float64]], truth: NDArray[np.int64], out: Path) -> None:
    from .plots import plt

    figure, axes = plt.subplots(figsize=(6, 5))
    for name, s in scores.items():
        order = np.argsort(-s, kind="stable")
        axes.plot(np.cumsum(truth[order] == 0) / max(1, int((truth == 0).sum())),
                  np.cumsum(truth[order] == 1) / max(1, int((truth == 1).sum())), label=name)  # fmt: skip
    axes.set(xlabel="false alarms, part of the pictures without", ylabel="recall", xlim=(0, 1), ylim=(0, 1))
    _finish(figure, axes, out)


def _finish(figure: Any, axes: Any, out: Path) -> None:
    from .plots import plt

    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    with files.replacing(out) as unfinished:
        figure.savefig(unfinished)
    plt.close(figure)


def compare_faces(detectors: dict[str, DetectorFunction], samples: list[Sample], draws: int, out: Path) -> str:
    """The table of detectors on samples; writes the curves."""
    rows, curves = {}, {}
    for name, detector in detectors.items():
        found = [detector(s.pixels).reshape(-1, 5) for s in tqdm(samples, desc=name, unit="image", disable=None)]
        rows[name], curves[name] = faces(found, samples, draws), match(found, samples)
    _face_curves(curves, np.array([s.complete for s in samples]), out / "curves.png")
    return _table(rows)


def compare_persons(models: dict[str, peers.PersonFunction], pictures: list[Picture], draws: int, out: Path) -> str:
    """The table of classifiers on pictures; writes the curves."""
    found = {
        name: np.array([model(p.pixels) for p in tqdm(pictures, desc=name, unit="image", disable=None)])
        for name, model in models.items()
    }
    _person_curves(found, np.array([p.label for p in pictures], np.int64), out / "curves.png")
    return _table({name: persons(scores, pictures, draws) for name, scores in found.items()})


def _is_detector(path: Path) -> bool:
    if path.suffix == ".pt":
        from . import checkpoint

        kinds = checkpoint.FLOAT_DETECTOR, checkpoint.FLOAT_CLASSIFIER
        return checkpoint.load(path, *kinds)[0] == checkpoint.FLOAT_DETECTOR
    try:
        return blob.load(path).task != blob.Task.CLASSIFICATION
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def open_detector(path: Path) -> DetectorFunction:
    """A detector from a blob, which the engine runs, or a float checkpoint."""
    if path.suffix == ".pt":
        return float_detector(path)[0]
    if (task := blob.load(path).task) != blob.Task.DETECTION:
        raise InputError(f"{path} is for {task.name.lower()}: a detector is needed")
    return engine_detector(path)[0]


def _person(path: Path) -> peers.PersonFunction:
    classifier = open_classifier(path, "float" if path.suffix == ".pt" else "engine")
    if classifier is None or len(classifier.labels) != 2 or classifier.channels != 3:
        raise InputError(f"{path}: pictures with labels are for classifiers of colour pictures with two labels")
    return lambda pixels: float(classifier.run(pixels)[1])


def part(samples: list[Any], which: str) -> list[Any]:
    """Half of labelled pictures, by a hash of their file names: `watch` to steer by, `last` for the last look.

    InputError where that half is empty.
    """
    odd = {"watch": 0, "last": 1}[which]
    kept = [s for s in samples if hashlib.sha256(Path(s.name).name.encode()).digest()[0] % 2 == odd]
    if not kept:
        raise InputError(f"--part {which}: none of the {len(samples)} pictures is in that half")
    return kept


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.versus", description=__doc__.split("\n")[0])
    p.add_argument("models", nargs="+", type=Path, help="detectors, or classifiers with two labels: .rnnp files, "
                   "which the engine runs, and float checkpoints (.pt)")  # fmt: skip
    p.add_argument("--data", required=True, help="folder with labels.jsonl; for classifiers every line has a label")
    p.add_argument("--teachers", type=Path, help="folder with the models of others (docs/training.md names them)")
    p.add_argument("--out", type=Path, required=True, help="folder for table.md and curves.png")
    p.add_argument("--limit", type=integer(0), default=0, help="only so many pictures, evenly chosen")
    p.add_argument("--part", choices=("watch", "last"), help="only this half of the pictures, by a hash of their "
                   "names: steer by the first, look at the second when all is done")  # fmt: skip
    p.add_argument("--bootstrap", type=integer(0, 100000), default=200, help="samples for the intervals; 0: none")
    return p


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    options = parser().parse_args(arguments)
    files.make_folder(options.out)
    kinds = {path: _is_detector(path) for path in options.models}
    if len(set(kinds.values())) != 1:
        raise InputError("detectors and classifiers can't be in one table: one kind a call")
    detection = next(iter(kinds.values()))
    others: dict[str, Any] = {}
    if options.teachers:
        others, missing = peers.open_all(options.teachers, peers.FACES if detection else peers.PERSONS)
        for sentence in missing:
            print(sentence, file=sys.stderr)
    names = {path: path.stem if [p.stem for p in kinds].count(path.stem) == 1 else str(path) for path in kinds}
    if detection:
        own = {names[path]: open_detector(path) for path in kinds}
        samples = load(options.data, options.limit)
        samples = part(samples, options.part) if options.part else samples
        if not any(len(s.boxes) for s in samples):
            half = f"the half --part {options.part} of " if options.part else ""
            raise InputError(f"{half}{options.data}: {len(samples)} pictures without a face, so nothing to be found")
        table = compare_faces({**own, **others}, samples, options.bootstrap, options.out)
    else:
        classifiers = {names[path]: _person(path) for path in kinds}
        pictures = load_labelled(options.data, 3, options.limit)
        if not {p.label for p in pictures} <= {0, 1}:
            raise InputError(f"{options.data}: labels must be 0 and 1")
        pictures = part(pictures, options.part) if options.part else pictures
        if len(labels := {p.label for p in pictures}) < 2:
            half = f"the half --part {options.part} of " if options.part else ""
            raise InputError(f"{half}{options.data}: all {len(pictures)} pictures have the label {labels.pop()}")
        table = compare_persons({**classifiers, **others}, pictures, options.bootstrap, options.out)
    files.write_text(options.out / "table.md", table)
    print(table, end="")


if __name__ == "__main__":
    main()
