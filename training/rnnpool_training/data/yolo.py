"""YOLO: images/ and labels/ with a text file for each picture, a line `class x y w h` a box.

x and y are a box's centre; all four are parts of the picture's width and height. Classes are numbers; their names are
in data.yaml or classes.txt. A picture without a text file shows no object.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..images import SUFFIXES
from .lines import lines
from .sample import Record

NAMES = ("classes.txt", "obj.names")


def folders(folder: Path) -> tuple[Path, Path] | None:
    """The folders of pictures and of labels: images/ and labels/ in `folder`; or `folder` is a part of an images/."""
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        return folder / "images", folder / "labels"
    parts = folder.resolve().parts
    if "images" in parts:
        at = len(parts) - 1 - parts[::-1].index("images")
        labels = Path(*parts[:at], "labels", *parts[at + 1 :])
        if labels.is_dir():
            return folder, labels
    return None


def read(folder: Path) -> list[Record]:
    """A record for each picture. InputError with file and line for what is no box."""
    found = folders(folder)
    assert found, "told apart before"
    images, labels = found
    pictures = _below(images, SUFFIXES)
    parts = sorted({p.relative_to(images).parts[0] for p in pictures if len(p.relative_to(images).parts) > 1})
    if parts and not any(p.parent == images for p in pictures) and len(parts) > 1:
        raise InputError(f"{folder} holds the parts {', '.join(parts)}: give one, such as {images / parts[0]}")
    texts = {p.relative_to(labels).with_suffix(""): p for p in _below(labels, (".txt",)) if p.name not in NAMES}
    names = class_names(folder, labels)
    records = []
    stems: dict[Path, Path] = {}
    for picture in pictures:
        name = picture.relative_to(images)
        if (other := stems.setdefault(name.with_suffix(""), picture)) is not picture:
            raise InputError(f"{other} and {picture.name} would share the labels {name.stem}.txt: rename one of them")
        text = texts.pop(name.with_suffix(""), None)
        boxes, classes = _boxes(text, names) if text else ([], [])
        records.append(
            Record(
                str(name), picture, str(text or picture), np.array(boxes, np.float32).reshape(-1, 4), classes,
                relative=True,
            )
        )  # fmt: skip
    if texts:
        first = min(texts.values())
        raise InputError(f"{first} is of no picture in {images} ({len(texts)} label files have no picture)")
    return records


def _below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    # Files of these kinds, in order; macOS leaves hidden ones beside each.
    return sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in suffixes and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )


def _boxes(path: Path, names: dict[int, str]) -> tuple[list[list[float]], list[str]]:
    boxes, classes = [], []
    for line, where in lines(path):
        words = line.split()
        try:
            number = int(words[0])
            values = [float(word) for word in words[1:]]
        except ValueError:
            raise InputError(f"{where}: must be the numbers class x y w h, is {line[:80]!r}") from None
        if len(values) != 4 or number < 0:
            raise InputError(f"{where}: must be the numbers class x y w h, is {line[:80]!r}")
        if not all(math.isfinite(v) and -0.01 <= v <= 1.01 for v in values):
            raise InputError(f"{where}: YOLO's boxes are parts of the picture, 0 to 1, is {line[:80]!r}")
        if names and number not in names:
            raise InputError(f"{where}: class {number}, but there are names of {len(names)} classes only")
        x, y, w, h = values
        boxes.append([x - w / 2, y - h / 2, w, h])
        classes.append(names.get(number, str(number)))
    return boxes, classes


def class_names(folder: Path, labels: Path) -> dict[int, str]:
    """The classes' names by number, of data.yaml or classes.txt beside or above the data; empty if there are none."""
    for place in (folder, *list(folder.resolve().parents)[:2]):
        for path in sorted(place.glob("data.y*ml")):
            return _yaml(path)
    for place in (labels, folder):
        for path in (place / name for name in NAMES):
            if path.is_file():
                found = {i: line.strip() for i, (line, _) in enumerate(lines(path, blank=True))}
                return {i: name for i, name in found.items() if name}
    return {}


def _yaml(path: Path) -> dict[int, str]:
    import yaml

    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        names = values["names"]
        if isinstance(names, list):
            names = dict(enumerate(names))
        return {int(number): str(name) for number, name in names.items()}
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        reason = str(error).replace("\n", " ")
        raise InputError(f"{path} must have names, a list or a mapping of the classes' names: {reason}") from None
