"""Pictures of any folders, as a network's input: what ranges are chosen on, networks compared with, and fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .data import jsonl
from .errors import InputError
from .images import SUFFIXES, read
from .pictures import frame, is_hidden, parts_of_split

LONGEST = 1024  # pixels of a side that pictures are reduced to before anything else


class Data(NamedTuple):
    """Pictures as the network's input, (N, height, width, channels), and what each shows, if known.

    answers: the name of the folder that a picture was in ("" for none), or the number that labels.jsonl has for it.
    """

    pixels: NDArray[np.uint8]
    answers: list[str | int]
    unread: list[str]


def gather(folders: Sequence[Path], shape: tuple[int, int, int], count: int, seed: int = 1) -> Data:
    """`count` random pictures below folders, as the device sees them. InputError if a folder holds none."""
    found: list[tuple[Path, Path]] = []
    numbers: dict[Path, int] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder of pictures")
        files = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file()]
        if not files:
            raise InputError(f"{folder} holds no picture ({' '.join(SUFFIXES)})")
        found += [(path, folder) for path in files]
        if (folder / jsonl.NAME).is_file():
            numbers |= {record.path: record.label for record in jsonl.read(folder) if record.label >= 0}
    height, width, channels = shape
    pixels: list[NDArray[np.uint8]] = []
    answers: list[str | int] = []
    unread: list[str] = []
    for i in np.random.default_rng(seed).permutation(len(found)):
        path, folder = found[i]
        try:
            pixels.append(frame(read(path, channels, LONGEST), height, width))
        except InputError as error:
            unread.append(str(error))
            continue
        parts = path.relative_to(folder).parts
        answers.append(numbers.get(path, parts[0] if len(parts) > 1 else ""))
        if len(pixels) == count:
            break
    if not pixels:
        where = ", ".join(map(str, folders))
        raise InputError(f"none of the {len(found)} pictures in {where} can be read: {unread[0]}")
    return Data(np.stack(pixels), answers, unread)


def class_folders(folders: Sequence[Path], answers: Sequence[str | int]) -> list[str]:
    """Names of the folders in a single one that may be classes: all its pictures are in some, which are no split."""
    if len(folders) > 1 or not all(isinstance(answer, str) and answer for answer in answers):
        return []
    names = sorted(p.name for p in folders[0].iterdir() if p.is_dir() and not is_hidden(p.name))
    return [] if parts_of_split(folders[0], names) else names
