"""WIDER FACE's own evaluation: python -m rnnpool_training.wider_eval --predictions FOLDER --truth FOLDER.

As the set's MATLAB tool defines it (Yang et al. 2016, eval_tools), so that figures stand beside published ones:

- Scores are scaled to 0..1 by the least and the largest score of all pictures.
- A box holds its last pixel too: sides are x2 - x1 + 1 where overlaps are computed.
- A detection belongs to the face, of all that are labelled, that it overlaps most, if the IoU is 0.5 or more. If the
  setting ignores that face, the detection counts neither as right nor as wrong. Otherwise the face is found; a second
  detection of a face is wrong, as is one of no face.
- Precision and recall at 1,000 thresholds, 0.999, 0.998, ..., 0; the area under the interpolated curve. Thresholds
  count in each picture from its best detection to the last that reaches them.
- Easy, medium and hard are three lists of the faces that are not ignored. A picture without any labelled face takes no
  part.
"""

from __future__ import annotations

import argparse
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import files
from .command import command
from .errors import InputError

FLOATS = NDArray[np.float64]
SETTINGS = ("easy", "medium", "hard")
THRESHOLDS = 1000
IOU = 0.5
FEW = 3  # faces: the paper's table 4 has figures of the pictures with no more
GROUND_TRUTH = "wider_face_val.mat"


@dataclass
class Truth:
    """The faces of one picture. name: its folder and file, without suffix; boxes (N, 4) x, y, w, h in pixels; counted
    (N,) of each setting: False for a face that it ignores."""

    name: str
    boxes: FLOATS
    counted: dict[str, NDArray[np.bool_]]


@dataclass
class Curve:
    """Average precision of a setting, and precision and recall (THRESHOLDS,) from the highest threshold down. faces:
    how many are not ignored."""

    ap: float
    precision: FLOATS
    recall: FLOATS
    faces: int


def find_truth(given: Path) -> Path | None:
    """The folder of wider_face_val.mat: the set's root, WIDER_val, a file of labels, or eval_tools/ground_truth."""
    base = given.resolve().parent if given.is_file() else given.resolve()
    for root in (base, base.parent):
        for place in (root, root / "wider_face_split", root / "ground_truth", root / "eval_tools" / "ground_truth"):
            if (place / GROUND_TRUTH).is_file():
                return place
    return None


def _mat(path: Path, *names: str) -> list[Any]:
    try:
        from scipy.io import loadmat  # half a second
    except ModuleNotFoundError:
        raise InputError(f"{path} is read by scipy, which is not here: pip install 'rnnpool[train]'") from None
    try:
        content = loadmat(io.BytesIO(path.read_bytes()))
    except FileNotFoundError:
        raise InputError(f"{path} is not there: the evaluation needs it beside {GROUND_TRUTH}") from None
    except Exception as error:  # of many kinds, for files that are damaged or none
        raise InputError(f"{path} is no MATLAB file that can be read: {error}") from None
    for name in names:
        if name not in content:
            held = ", ".join(key for key in content if key[0] != "_")
            raise InputError(f"{path} has no {name}, but {held or 'nothing'}")
    return [content[name] for name in names]


def _cells(value: Any, where: str) -> list[Any]:
    # A column of cells, as MATLAB writes it.
    array = np.asarray(value)
    if array.dtype != object:
        raise InputError(f"{where} must be cells, is an array of {array.dtype} {array.shape}")
    return list(array.reshape(-1))


def read_truth(folder: Path) -> list[Truth]:
    """The validation set's faces from its four .mat files in a folder. InputError for what is not theirs."""
    path = folder / GROUND_TRUTH
    events, names, boxes = _mat(path, "event_list", "file_list", "face_bbx_list")
    lists = {s: _mat(folder / f"wider_{s}_val.mat", "gt_list")[0] for s in SETTINGS}
    columns = [_cells(value, f"{path}") for value in (events, names, boxes)]
    kept = {s: _cells(value, f"{folder / f'wider_{s}_val.mat'}") for s, value in lists.items()}
    if len({len(column) for column in [*columns, *kept.values()]}) != 1:
        sizes = ", ".join(str(len(column)) for column in [*columns, *kept.values()])
        raise InputError(f"{folder}: the files have different numbers of events: {sizes}")
    found = []
    for i, event in enumerate(columns[0]):
        where = f"{path}, event {i + 1}"
        pictures, faces = (_cells(column[i], where) for column in columns[1:])
        lines = {s: _cells(kept[s][i], f"{s}, event {i + 1}") for s in SETTINGS}
        if any(len(other) != len(pictures) for other in [faces, *lines.values()]):
            raise InputError(f"{where}: the files have different numbers of pictures")
        for j, picture in enumerate(pictures):
            name = f"{_text(event)}/{_text(picture)}"
            rows = np.asarray(faces[j], np.float64).reshape(-1, 4)
            counted = {}
            for s in SETTINGS:
                numbers = np.asarray(lines[s][j]).reshape(-1).astype(np.int64)  # from 1, as MATLAB counts
                if len(numbers) and not (numbers.min() >= 1 and numbers.max() <= len(rows)):
                    raise InputError(f"{name}, {s}: face {numbers.max()} of {len(rows)}")
                counted[s] = np.isin(np.arange(1, len(rows) + 1), numbers)
            found.append(Truth(name, rows, counted))
    return found


def _text(value: Any) -> str:
    return str(np.asarray(value).reshape(-1)[0])


def overlaps(a: FLOATS, b: FLOATS) -> FLOATS:
    """IoU (N, M) of boxes a (N, 4) and b (M, 4), x, y, w, h, whose last pixel is x + w, y + h and belongs to them."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    inside = np.prod(np.maximum(high - low + 1, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] + 1, axis=1) for boxes in (a, b)]
    result: FLOATS = inside / (areas[0][:, None] + areas[1][None] - inside)
    return result


def _picture(found: FLOATS, truth: Truth, counted: NDArray[np.bool_], levels: FLOATS) -> tuple[FLOATS, FLOATS]:
    # Detections that count, and faces found, at each of the levels; `found` is sorted by its scaled scores.
    best = overlaps(found[:, :4], truth.boxes)
    owner = best.argmax(axis=1)
    on_face = best.max(axis=1) >= IOU
    counts = ~(on_face & ~counted[owner])
    new = np.zeros(len(found), bool)
    _, first = np.unique(np.where(on_face & counted[owner], owner, -1), return_index=True)
    new[first] = True
    new &= on_face & counted[owner]
    reached = np.searchsorted(-found[:, 4], -levels, side="right")  # detections with a score of at least each level
    totals = [np.concatenate([[0], np.cumsum(flags)])[reached] for flags in (counts, new)]
    return totals[0], totals[1]


def scaled(detections: dict[str, FLOATS]) -> dict[str, FLOATS]:
    """Detections (N, 5) x, y, w, h, score by picture: best first, scores scaled to 0..1 over all pictures.

    InputError for what is not finite. If all scores are one, they become 1.
    """
    arrays = {name: np.asarray(rows, np.float64).reshape(-1, 5) for name, rows in detections.items()}
    for name, rows in arrays.items():
        if not np.isfinite(rows).all():
            raise InputError(f"{name}: a detection holds a number that is not finite")
    scores = np.concatenate([rows[:, 4] for rows in arrays.values()] or [np.zeros(0)])
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    result = {}
    for name, rows in arrays.items():
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        rows[:, 4] = (rows[:, 4] - low) / (high - low) if high > low else 1.0
        result[name] = rows
    return result


def curve(detections: dict[str, FLOATS], truth: list[Truth], setting: str) -> Curve:
    """The curve of one setting. `detections` by the pictures' names, scaled; pictures without any may be missing."""
    levels = 1 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    proposed, right, faces = np.zeros(THRESHOLDS), np.zeros(THRESHOLDS), 0
    for picture in truth:
        counted = picture.counted[setting]
        faces += int(counted.sum())
        found = detections.get(picture.name)
        if found is None or not len(found) or not len(picture.boxes):
            continue
        one, two = _picture(found, picture, counted, levels)
        proposed, right = proposed + one, right + two
    precision = np.divide(right, proposed, out=np.zeros(THRESHOLDS), where=proposed > 0)
    recall = right / faces if faces else np.zeros(THRESHOLDS)
    return Curve(_area(recall, precision) if faces else math.nan, precision, recall, faces)


def _area(recall: FLOATS, precision: FLOATS) -> float:
    steps = np.diff(np.concatenate([[0.0], recall]))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((steps * best).sum())


def evaluate(detections: dict[str, FLOATS], truth: list[Truth]) -> dict[str, Any]:
    """The summary: average precision of each setting, and of the pictures with at most FEW labelled faces; None where
    no face counts. `detections` (N, 5) x, y, w, h, score by the pictures' names, of any scale. InputError."""
    ready = scaled(detections)
    few = [picture for picture in truth if len(picture.boxes) <= FEW]
    result: dict[str, Any] = {"pictures": len(truth), "pictures_few": len(few)}
    for s in SETTINGS:
        for key, those in ((s, truth), (f"{s}_few", few)):
            value = curve(ready, those, s)
            result[key] = None if math.isnan(value.ap) else round(value.ap, 4)
            result[f"{key}_faces"] = value.faces
    return result


def all_counted(name: str, boxes: NDArray[Any]) -> Truth:
    """Truth of a set that knows no settings, as EdgeML measures SCUT-HEAD: every face counts."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return Truth(name, boxes, {"all": np.ones(len(boxes), bool)})


def key(name: str) -> str:
    """A picture's name as the set's files have it: folder and file without suffix."""
    return str(Path(name).with_suffix(""))


# ---- the tool's files of detections: EVENT/PICTURE.txt with a name, a number, and lines x y w h score ----


def write_predictions(folder: Path, detections: dict[str, FLOATS]) -> None:
    """Detections as the MATLAB tool reads them. OSError."""
    for name, rows in detections.items():
        path = folder / f"{name}.txt"
        files.make_folder(path.parent)
        lines = [" ".join(f"{v:.3f}" for v in row[:4]) + f" {row[4]:.6f}" for row in rows]
        files.write_text(path, "\n".join([name, str(len(rows)), *lines]) + "\n")


def read_predictions(folder: Path) -> dict[str, FLOATS]:
    """What write_predictions wrote, or another detector's tool. InputError with file and line."""
    found = {}
    for path in sorted(folder.glob("*/*.txt")):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        try:
            count = int(lines[1])
            rows = np.array([[float(word) for word in line.split()] for line in lines[2 : 2 + count]], np.float64)
            if rows.size != 5 * count:
                raise ValueError(f"{count} detections, {len(lines) - 2} lines, each of x y w h score")
        except (ValueError, IndexError) as error:
            raise InputError(f"{path} holds no detections: {error}") from None
        found[f"{path.parent.name}/{path.stem}"] = rows.reshape(-1, 5)
    if not found:
        raise InputError(f"{folder} holds no detections: EVENT/PICTURE.txt is looked for")
    return found


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.wider_eval", description=(__doc__ or "").split(":")[0])
    p.add_argument("--predictions", type=Path, required=True, help="EVENT/PICTURE.txt: name, number, x y w h score ...")
    p.add_argument("--truth", type=Path, required=True, help=f"folder of {GROUND_TRUTH} and wider_easy_val.mat, ...")
    options = p.parse_args(arguments)
    place = find_truth(options.truth)
    if place is None:
        raise InputError(f"{options.truth} holds no {GROUND_TRUTH}, nor does eval_tools/ground_truth in it")
    truth = read_truth(place)
    found = read_predictions(options.predictions)
    strange = sorted(found.keys() - {picture.name for picture in truth})
    if strange:
        raise InputError(f"{options.predictions}: {len(strange)} pictures are none of the set's, such as {strange[0]}")
    print(json.dumps({**evaluate(found, truth), "without_detections": len(truth) - len(found)}))


if __name__ == "__main__":
    main()
