"""WIDER FACE as it is published: WIDER_train/images, WIDER_val/images, and wider_face_split/ with the labels.

wider_face_train_bbx_gt.txt has, for each picture, its name, the number of its faces, and a line a face: x, y, w, h in
pixels from 0, and six flags (Yang et al. 2016, readme.txt of wider_face_split.zip). A picture without a face has the
number 0 and a line of zeros. Faces that are marked invalid, or have no area, are left out, and their picture counts as
not completely labelled.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .boxes import number
from .lines import lines
from .sample import Record

NAME = re.compile(r"wider_face_(\w+)_bbx_gt\.txt")
SPLIT = "wider_face_split"
# Of each flag the largest value: blur 0 clear, 1 normal, 2 heavy; expression 1 exaggerated; illumination 1 extreme;
# occlusion 0 none, 1 partial, 2 heavy; pose 1 atypical.
FLAGS = {"blur": 2, "expression": 1, "illumination": 1, "invalid": 1, "occlusion": 2, "pose": 1}


class Part(NamedTuple):
    """A part of the set: "train" or "val", its labels, and the folder that its pictures' names begin in."""

    name: str
    labels: Path
    images: Path


class Faces(NamedTuple):
    """The faces of one picture: boxes (N, 4) x, y, w, h in pixels; flags (N,) of each name in FLAGS."""

    name: str
    where: str
    boxes: NDArray[np.float32]
    flags: dict[str, NDArray[np.int8]]


def parts(given: Path) -> list[Part]:
    """The parts that are meant by the root of the set, by WIDER_train or WIDER_val in it, or by a file of labels."""
    if given.is_file():
        found = NAME.fullmatch(given.name)
        root = given.parent.parent if given.parent.name == SPLIT else given.parent
        return [Part(found[1], given, _images(root, found[1]))] if found else []
    one = re.fullmatch(r"WIDER_(\w+)", given.resolve().name)
    root = given.resolve().parent if one else given
    places = [given, root / SPLIT, root] if one else [given / SPLIT, given]
    result: dict[str, Part] = {}
    for place in places:
        for path in sorted(place.glob("wider_face_*_bbx_gt.txt")):
            name = NAME.fullmatch(path.name)
            if name and (one is None or name[1] == one[1]):
                result.setdefault(name[1], Part(name[1], path, _images(root, name[1])))
    return list(result.values())


def _images(root: Path, part: str) -> Path:
    return root / f"WIDER_{part}" / "images"


def choose(found: list[Part], given: Path) -> Part:
    """The one part. InputError if there are several: none is guessed; or if its pictures aren't there."""
    if len(found) > 1:
        names = ", ".join(part.name for part in found)
        raise InputError(f"{given} holds the parts {names}: give one, such as {found[-1].images.parent}")
    if not found[0].images.is_dir():
        raise InputError(f"{found[0].labels}: its pictures are looked for in {found[0].images}, which is not there")
    return found[0]


def faces(path: Path) -> list[Faces]:
    """What a file of labels says of each picture, all faces. InputError with file and line."""
    rows = lines(path)
    result, at = [], 0
    seen: dict[str, str] = {}
    while at < len(rows):
        name, where = rows[at][0].strip(), rows[at][1]
        if not name.lower().endswith((".jpg", ".jpeg", ".png")):
            raise InputError(f"{where}: must be the name of a picture, is {name[:80]!r}")
        if name in seen:
            raise InputError(f"{where}: {name} is already in{seen[name].rpartition(',')[2]}")
        seen[name] = where
        text = rows[at + 1][0].strip() if at + 1 < len(rows) else ""
        if not text.isdecimal():
            raise InputError(f"{where}: the line behind {name} must be the number of its faces, is {text[:80]!r}")
        count, at = int(text), at + 2
        if count == 0 and at < len(rows) and not rows[at][0].strip().lower().endswith((".jpg", ".jpeg", ".png")):
            at += 1  # the line of zeros
        if at + count > len(rows):
            raise InputError(f"{where}: {name} has {count} faces, the file ends after {len(rows) - at} of them")
        values = [_face(line, place) for line, place in rows[at : at + count]]
        table = np.array(values, np.float64).reshape(-1, 4 + len(FLAGS))
        flags = {flag: table[:, 4 + i].astype(np.int8) for i, flag in enumerate(FLAGS)}
        result.append(Faces(name, where, table[:, :4].astype(np.float32), flags))
        at += count
    return result


def _face(line: str, where: str) -> list[float]:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        values = []
    if len(values) != 4 + len(FLAGS) or not all(number(v) for v in values):
        raise InputError(f"{where}: must be x y w h {' '.join(FLAGS)}, ten numbers, is {line[:80]!r}")
    for (flag, largest), value in zip(FLAGS.items(), values[4:], strict=True):
        if value not in range(largest + 1):
            raise InputError(f"{where}: {flag} must be 0 to {largest}, is {value:g}")
    return values


def read(part: Part) -> list[Record]:
    """A record a picture, with the faces that are valid and have an area, all of the class "face"."""
    found = []
    for picture in faces(part.labels):
        valid = (picture.flags["invalid"] == 0) & (picture.boxes[:, 2:] > 0).all(axis=1)
        found.append(
            Record(
                picture.name, part.images / picture.name, picture.where, picture.boxes[valid],
                ["face"] * int(valid.sum()), complete=bool(valid.all()), published=True,
            )
        )  # fmt: skip
    return found
