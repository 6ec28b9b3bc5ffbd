"""Pascal VOC: an XML file for each picture, in Annotations/ or beside it, with boxes as corners.

Corners are numbers of pixels from 1, both included. Objects that are marked difficult are left out, and their picture
counts as not completely labelled. ImageSets/Main/test.txt, as VOC itself and SCUT-HEAD have it, is a part of the
pictures: a name a line, without its suffix.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..errors import InputError
from ..images import SUFFIXES
from .lines import lines
from .sample import Record

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def xml_files(folder: Path) -> list[Path]:
    """The XML files of a folder: of Annotations/, or those in it."""
    place = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    return sorted(p for p in place.glob("*.xml") if not p.name.startswith("."))


def is_list(path: Path) -> bool:
    """Whether it is a list of the pictures of a part: a text file in ImageSets/Main/."""
    return path.resolve().parent.parts[-2:] == ("ImageSets", "Main")


def read_list(path: Path) -> list[Record]:
    """A record for each picture that a list names. InputError for a name without labels, or with two lines."""
    folder = path.resolve().parents[2]
    wanted: dict[str, str] = {}
    for line, where in lines(path):
        name = line.split()[0]
        if name in wanted:
            raise InputError(f"{where}: {name} is already in{wanted[name].rpartition(',')[2]}")
        wanted[name] = where
    there = {xml.stem: xml for xml in xml_files(folder)}
    for name, where in wanted.items():
        if name not in there:
            raise InputError(f"{where}: there are no labels {folder / 'Annotations' / name}.xml")
    return _records(folder, [there[name] for name in wanted])


def read(folder: Path) -> list[Record]:
    """A record for each XML file. InputError with the file for what can't be read."""
    return _records(folder, xml_files(folder))


def _records(folder: Path, files: list[Path]) -> list[Record]:
    pictures: dict[str, list[Path]] = {}
    for place in (folder / "JPEGImages", folder / "images", folder):
        if place.is_dir():
            for path in sorted(place.iterdir()):
                if path.suffix.lower() in SUFFIXES and (
                    path.stem not in pictures or pictures[path.stem][0].parent == place
                ):
                    pictures.setdefault(path.stem, []).append(path)
    found = []
    for path in files:
        if path.stem not in pictures:
            raise InputError(f"{path}: no picture {path.stem}.* in JPEGImages/, in images/ or beside it")
        if len(pictures[path.stem]) > 1:
            both = " and ".join(p.name for p in pictures[path.stem])
            raise InputError(f"{path}: which of {both} it is of can't be known: rename one of them")
        found.append(_record(folder, path, pictures[path.stem][0]))
    return found


def _record(folder: Path, path: Path, picture: Path) -> Record:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeError, LookupError, ValueError) as error:
        raise InputError(f"{path} is no XML: {error}") from None
    if root.tag != "annotation":
        raise InputError(f"{path} is no annotation of Pascal VOC: its root is {root.tag}")
    boxes, classes, complete = [], [], True
    for number, item in enumerate(root.iter("object"), 1):
        where = f"{path}, object {number}"
        name = (item.findtext("name") or "").strip()
        if not name:
            raise InputError(f"{where}: it has no name")
        if (item.findtext("difficult") or "0").strip() not in ("0", "false"):
            complete = False
            continue
        x0, y0, x1, y1 = (_number(item.findtext(f"bndbox/{key}"), key, where) for key in CORNERS)
        if x1 < x0 or y1 < y0:
            raise InputError(f"{where}: its corners are the wrong way round: {x0:g}, {y0:g} and {x1:g}, {y1:g}")
        boxes.append([x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1])
        classes.append(name)
    size = None
    if root.find("size") is not None:
        width, height = (_number(root.findtext(f"size/{key}"), key, str(path)) for key in ("width", "height"))
        size = (int(width), int(height)) if width > 0 and height > 0 else None  # some tools write 0
    return Record(
        str(picture.relative_to(folder)), picture, str(path), np.array(boxes, np.float32).reshape(-1, 4), classes,
        size=size, complete=complete,
    )  # fmt: skip


def _number(text: str | None, what: str, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e9:
        raise InputError(f"{where}: {what} must be a number, is {text!r}")
    return value
