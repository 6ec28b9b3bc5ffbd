"""From a folder of labelled pictures to samples in memory."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import InputError
from ..images import read
from ..streaming import Memory
from . import coco, jsonl, voc, wider, yolo
from .boxes import cut, fit
from .sample import Record, Sample

Item = TypeVar("Item")
KNOWN = (
    "labels.jsonl; YOLO's images/ and labels/; Pascal VOC's Annotations/*.xml and JPEGImages/; a COCO .json file; "
    "WIDER_train or WIDER_val beside wider_face_split/ (docs/training.md)"
)


def load(
    folder: str | Path, limit: int = 0, classes: Sequence[str] | None = None, memory: Memory | None = None
) -> list[Sample]:
    """Read all pictures of a data set, or an even selection of `limit`, with the boxes of `classes` (None: of all).

    What does not fit into `memory` (None: all does) is read when it is used. Colour becomes gray as on the device
    (docs/arithmetic.md, section 1). Says what was read on stderr. InputError, with the line or the picture, for what is
    no label, no picture that a device could take, and for no picture at all.
    """
    folder = Path(folder)
    kind, found = _records(folder)
    found = choose(found, limit)
    if not found:
        raise InputError(f"{folder} ({kind}) holds no labelled picture")
    known = Counter(name for record in found for name in record.classes)
    for name in classes or ():
        if name not in known:
            has = f"the classes {', '.join(sorted(known))}" if known else "no classes"
            raise InputError(f"{folder} ({kind}) has {has}, not {name!r}")
    samples, broken = [], []
    memory = memory or Memory(math.inf)
    before = memory.streamed
    for record in tqdm(found, desc=f"reading {folder}", unit="image", mininterval=5):
        try:
            samples.append(_sample(record, classes, memory))
        except InputError as error:
            broken.append(str(error))
    if broken:
        more = f"; and {len(broken) - 3} more of {len(found)} pictures" if len(broken) > 3 else ""
        raise InputError("; ".join(broken[:3]) + more)
    boxes = sum(len(sample.boxes) for sample in samples)
    known = Counter(name for record in found for name in record.classes)  # published labels lose some in their pictures
    taken = ", ".join(f"{n} {known[n]}" for n in sorted(known) if classes is None or n in classes)
    partly = sum(not sample.complete for sample in samples)
    print(
        f"{folder} ({kind}): {len(samples)} pictures, {boxes or 'no'} boxes" + (f" ({taken})" if taken else "")
        + (f", {partly} pictures not completely labelled" if partly else "")
        + memory.said(before),
        file=sys.stderr,
    )  # fmt: skip
    return samples


def _gray(path: Path) -> NDArray[np.uint8]:
    return read(path, 1)[:, :, 0]


def _sample(record: Record, classes: Sequence[str] | None, memory: Memory) -> Sample:
    try:
        stored, width, height = memory.take(record.path, partial(_gray, record.path))
    except InputError as error:
        raise InputError(f"{record.where}: {error}") from None
    boxes = placed(record, width, height)
    if classes is not None:
        boxes = boxes[np.array([name in classes for name in record.classes], dtype=bool)]
    ignored = fit(record.ignored, width, height, record.where)
    return Sample(record.name, stored, boxes, record.source, record.complete, ignored)


def placed(record: Record, width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The boxes (N, 4) of a record in pixels of its picture, which is `width` x `height` upright. InputError."""
    if record.size not in (None, (width, height)):
        turned = record.size == (height, width)
        why = (
            "; are its sides swapped by an EXIF orientation? Boxes must follow it: turn the picture, and draw anew"
            if turned
            else ""
        )
        raise InputError(
            f"{record.where}: {record.name} is {width}x{height} upright, its label says "
            f"{record.size[0]}x{record.size[1]}{why}"
        )
    if record.published:
        boxes, left = cut(record.boxes, width, height)
        record.boxes = boxes[left]
        record.classes = [name for name, kept in zip(record.classes, left, strict=True) if kept]
        record.complete = record.complete and bool(left.all())
        return record.boxes
    boxes = record.boxes
    if record.relative:
        boxes = boxes * np.array([width, height, width, height], np.float32)
    return fit(boxes, width, height, record.where)


def records(folder: str | Path) -> list[Record]:
    """What the labels of a data set say, without its pictures. InputError if they can't be read or told apart."""
    return _records(Path(folder))[1]


def choose(found: list[Item], limit: int) -> list[Item]:
    """All, or an even selection of `limit`."""
    if limit and limit < len(found):
        return [found[i * len(found) // limit] for i in range(limit)]
    return found


def _records(folder: Path) -> tuple[str, list[Record]]:
    if folder.is_file() and folder.suffix.lower() == ".json":
        return "COCO", list(coco.read(folder).values())
    if folder.is_file() and folder.suffix.lower() == ".txt":
        if given := wider.parts(folder):
            return "WIDER FACE", wider.read(wider.choose(given, folder))
        if voc.is_list(folder):
            return "Pascal VOC", voc.read_list(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder" if folder.exists() else f"{folder}: there is no such folder")
    labels = (folder / jsonl.NAME).is_file()
    pairs = yolo.folders(folder)
    text = pairs is not None and any(pairs[1].rglob("*.txt"))
    xml, files = voc.xml_files(folder), coco.json_files(folder)
    published = wider.parts(folder)
    found = [
        name
        for name, there in (
            (f"labels.jsonl ({jsonl.NAME})", labels),
            (f"YOLO ({pairs[1] if pairs else ''})", text),
            (f"Pascal VOC ({len(xml)} .xml files)", xml),
            (f"COCO ({', '.join(p.name for p in files)})", files),
            (f"WIDER FACE ({', '.join(p.labels.name for p in published)})", published),
        )
        if there
    ]
    if len(found) > 1:
        raise InputError(f"{folder} holds labels of several kinds, keep one: {'; '.join(found)}")
    if labels:
        return "labels.jsonl", jsonl.read(folder)
    if text:
        return "YOLO", yolo.read(folder)
    if xml:
        return "Pascal VOC", voc.read(folder)
    if published:
        return "WIDER FACE", wider.read(wider.choose(published, folder))
    if len(files) > 1:
        raise InputError(f"{folder} holds several COCO files, give one of them: {', '.join(map(str, files))}")
    if files:
        return "COCO", list(coco.read(files[0]).values())
    held = ", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "nothing"
    raise InputError(f"{folder} holds no labels of a kind that is read, but {held}. Read are {KNOWN}")
