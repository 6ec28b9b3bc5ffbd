"""Labelled pictures for classifiers: `labels.jsonl`, or folders named after classes."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from . import files, streaming
from .data import jsonl
from .data.load import choose, placed
from .errors import InputError, printable, reason
from .images import BROKEN, SUFFIXES, read
from .reference.formats import Format
from .reference.frame import model_input
from .streaming import Memory, Stored

PERSON_AREA = 0.005  # Visual Wake Words (Chowdhery et al. 2019): a person's box covers this part of the picture
UNLABELLED_SIDE = 400  # pixels
# Names of parts of a data set, not of classes: also Train, training_set, test-images, val2017.
SPLIT = re.compile(
    r"(train|training|val|valid|validation|test|testing|dev)([ _-]?(set|data|images|\d{4}))?", re.IGNORECASE
)


@dataclass
class Picture:
    """One picture: uint8 (H, W, 3 or 1), its class, and where boxes are known, those (N, 4) of objects x, y, w, h.

    `label`: -1 where it is unknown. `stored`: the pixels, or a function that reads them, for sets that do not fit
    into memory. `boxes` is None where nobody drew any; `complete`: every object has its box.
    """

    name: str
    stored: Stored
    label: int
    boxes: NDArray[np.float32] | None = None
    complete: bool = False
    source: str = ""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3 or 1)."""
        return streaming.pixels(self.stored)


def frame(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The picture as a network's input (height, width, C), exactly as on the device."""
    h, w, channels = pixels.shape
    format = Format.GRAY8 if channels == 1 else Format.RGB888
    return model_input(np.ascontiguousarray(pixels), w, h, format, (height, width, channels))


def load_labelled(folder: str | Path, channels: int, limit: int = 0, memory: Memory | None = None) -> list[Picture]:
    """Read a folder with labels.jsonl whose lines have `label` (0, 1, ...), with `boxes` if there are any.

    What does not fit into `memory` is read when it is used, with None what exceeds streaming.DEFAULT.
    """
    folder = Path(folder)
    lines = choose(jsonl.read(folder), limit)
    if not lines:
        raise InputError(f"{folder / jsonl.NAME} holds no line")
    result = []
    memory = memory or Memory(streaming.DEFAULT)
    before = memory.streamed
    for r in tqdm(lines, desc=f"reading {folder}", unit="image", mininterval=5):
        if r.label < 0:
            raise InputError(f"{r.where}: {r.name} has no label 0, 1, ...")
        stored, width, height = memory.take(r.path, partial(read, r.path, channels))
        result.append(Picture(r.name, stored, r.label, placed(r, width, height), r.complete, r.source))
    if memory.streamed > before:
        tqdm.write(f"{folder}: {len(lines)} pictures{memory.said(before)}", file=sys.stderr)
    return result


def load_unlabelled(folder: str | Path, channels: int, limit: int = 0) -> list[Picture]:
    """All pictures in a folder and those below it, or an even selection of `limit`, with the label -1.

    They are read, and reduced to UNLABELLED_SIDE, when they are used. What is no picture is left out and said on
    stderr. InputError if there is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    named = [path for path in _files(folder) if path.suffix.lower() in SUFFIXES]
    good = []
    for path in tqdm(choose(named, limit), desc=f"looking through {folder}", unit="image", mininterval=5):
        try:
            with Image.open(path):  # reads the header alone
                good.append(path)
        except BROKEN as error:
            tqdm.write(f"{path} is left out: {reason(error)}", file=sys.stderr)
    if not good:
        raise InputError(f"{folder} holds no picture ({' '.join(SUFFIXES)})")
    return [
        Picture(printable(str(p.relative_to(folder))), partial(read, p, channels, UNLABELLED_SIDE), -1) for p in good
    ]


class Folders(NamedTuple):
    """What load_folders found: pictures, the classes' names, and the files that were left out, each with the reason."""

    pictures: list[Picture]
    labels: list[str]
    skipped: list[tuple[str, str]]


def load_folders(folder: str | Path, channels: int, most: int = 0, memory: Memory | None = None) -> Folders:
    """Read a folder with a folder of pictures for each class; classes are in the order of the alphabet.

    `most`: pictures with a longer side (pixels) are reduced to it, 0 for none. Hidden files and __MACOSX are passed
    over; what can't be read is left out and listed. What does not fit into `memory` is opened only (its header says
    whether it is a picture) and decoded when it is used. InputError if there are no classes, if there are parts of a
    split instead, or if nothing of a class is left.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    seen = sorted(p for p in folder.iterdir() if not is_hidden(p.name))
    runs = [p.name for p in seen if (p / files.LOCK).is_file()]
    loose = [p.name for p in seen if p.is_file() and p.suffix.lower() in SUFFIXES]
    names = [p.name for p in seen if p.is_dir() and p.name not in runs]
    parts = parts_of_split(folder, names)
    if len(parts) > 1:
        train = next((n for n in parts if n.lower().startswith("train")), parts[0])
        other = next(n for n in parts if n != train)
        raise InputError(
            f"{folder} holds {', '.join(parts)}: parts of a split, not classes. "
            f"Give {folder / train} as the folder and --val {folder / other}"
        )
    if len(names) < 2:
        has = f"has {', '.join(map(printable, names)) or 'none'}" + (
            f"; it holds {len(loose)} pictures itself: is {folder.resolve().parent} meant?" if loose else ""
        )
        raise InputError(f"{folder} must hold a folder of pictures for each of two or more classes, {has}")
    pictures: list[Picture] = []
    skipped = [(printable(name), "in no class's folder") for name in loose]
    skipped += [(printable(name), "the report of a run, no class") for name in runs]
    memory = memory or Memory(streaming.DEFAULT)
    for path, label in [(path, label) for label, name in enumerate(names) for path in _files(folder / name)]:
        name = printable(str(path.relative_to(folder)))
        if path.suffix.lower() not in SUFFIXES:
            skipped.append((name, f"no picture of a kind that is read ({' '.join(SUFFIXES)})"))
            continue
        try:
            stored, _, _ = memory.take(path, partial(read, path, channels, most))
        except InputError as error:
            skipped.append((name, str(error).removeprefix(f"{path} ")))
            continue
        pictures.append(Picture(name, stored, label))
    for label, name in enumerate(names):
        if not any(picture.label == label for picture in pictures):
            why = [f"{file} {reason}" for file, reason in skipped if Path(file).parts[0] == printable(name)]
            said = f"; {len(why)} files can't be read: {'; '.join(why[:3])}" if why else f" ({', '.join(SUFFIXES)})"
            raise InputError(f"{folder / name} holds no picture{said}")
    return Folders(pictures, names, skipped)


def load_sets(
    folders: Sequence[str | Path], channels: int, limit: int = 0, memory: Memory | None = None
) -> tuple[list[str] | None, list[list[Picture]]]:
    """Read several folders of one kind: all with labels.jsonl, or all with a folder of pictures for each class.

    The classes' names where folders have them, and the pictures of each folder (`limit`: at most so many of each, 0 for
    all). Files that are left out are said on stderr. InputError if the folders are of two kinds or have other classes.
    """
    memory = memory or Memory(streaming.DEFAULT)
    listed = [folder for folder in folders if (Path(folder) / jsonl.NAME).is_file()]
    if len(listed) == len(folders) or not any(_has_folders(folder) for folder in folders if folder not in listed):
        return None, [load_labelled(folder, channels, limit, memory) for folder in folders]
    if listed:
        other = next(folder for folder in folders if folder not in listed)
        raise InputError(
            f"{listed[0]} has {jsonl.NAME}, {other} a folder for each class: whether label 0 of the one is the first "
            "class of the other can't be known"
        )
    labels: list[str] = []
    sets = []
    for folder in folders:
        found = load_folders(folder, channels, memory=memory)
        if labels and found.labels != labels:
            raise InputError(f"{folder} has the classes {found.labels}, {folders[0]} {labels}")
        labels = found.labels
        for name, why in found.skipped:
            tqdm.write(f"{Path(folder) / name} is left out: {why}", file=sys.stderr)
        sets.append(choose(found.pictures, limit))
    return labels, sets


def _has_folders(folder: str | Path) -> bool:
    # Of classes, rather than images/ alone or nothing.
    names = [p.name for p in Path(folder).iterdir() if p.is_dir()] if Path(folder).is_dir() else []
    return bool({name for name in names if not is_hidden(name)} - {"images", "labels"})


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is the system's, not the user's: macOS zips a folder __MACOSX as well."""
    return name.startswith(".") or name == "__MACOSX"


def parts_of_split(folder: Path, names: list[str]) -> list[str]:
    """Which of the folders in `folder` (`names`: of all) are parts of a split rather than classes.

    All, if all have names of such; or two and more with such names if they hold folders in turn, so that the others are
    something else (notes, pictures without a class). A class may be a train.
    """
    parts = [name for name in names if SPLIT.fullmatch(name)]
    nested = all(any(p.is_dir() and not is_hidden(p.name) for p in (folder / name).iterdir()) for name in parts)
    return parts if len(parts) == len(names) or (len(parts) > 1 and nested) else []


def _files(folder: Path) -> list[Path]:
    # All files below a folder in order, without hidden ones and those in hidden folders.
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(is_hidden(part) for part in path.relative_to(folder).parts)
    ]


def split(pictures: list[Picture], part: float, seed: int) -> tuple[list[Picture], list[Picture]]:
    """Two lists: the second has about `part` of each class, at least one picture, drawn at random.

    InputError if a class has a single picture.
    """
    random = np.random.default_rng(seed)
    first, second = [], []
    for label in sorted({p.label for p in pictures}):
        those = [p for p in pictures if p.label == label]
        if len(those) < 2:
            raise InputError(f"a class needs two pictures or more: the only one of its class is {those[0].name}")
        held = set(random.permutation(len(those))[: max(1, round(part * len(those)))].tolist())
        first += [p for i, p in enumerate(those) if i not in held]
        second += [p for i, p in enumerate(those) if i in held]
    return first, second
