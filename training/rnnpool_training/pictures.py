"""Labelled pictures for classifiers: `labels.jsonl`, or folders named after classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .data import InputError, records
from .reference.frame import MAX_FRAME_SIDE, Format, colour, model_input

PERSON_AREA = 0.005  # Visual Wake Words (Chowdhery et al. 2019): a person's box covers this part of the picture
IN_MEMORY = 20_000  # pictures; a decoded one of 256x192 takes 147 KB
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")


@dataclass
class Picture:
    """One picture: uint8 (H, W, 3 or 1), its class, and where boxes are known, those (N, 4) of objects x, y, w, h.

    `stored`: the pixels, or a function that reads them, for sets that do not fit into memory. `boxes` is None where
    nobody drew any; `complete`: every object has its box.
    """

    name: str
    stored: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]]
    label: int
    boxes: NDArray[np.float32] | None = None
    complete: bool = False
    source: str = ""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 3 or 1)."""
        return self.stored() if callable(self.stored) else self.stored


def read(path: Path, channels: int) -> NDArray[np.uint8]:
    """uint8 (H, W, channels), colour to gray as on the device. InputError if a device could not take it."""
    try:
        with Image.open(path) as image:
            if max(image.size) > MAX_FRAME_SIDE:
                raise InputError(f"{path} is {image.width}x{image.height}: frames have up to {MAX_FRAME_SIDE} a side")
            if image.mode.startswith(("I", "F")):  # Pillow would clip these to 0..255
                raise InputError(f"{path} has pixels of mode {image.mode}: frames have 8 bits a channel")
            pixels = np.asarray(image)[:, :, None] if image.mode == "L" else np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # all of these from Pillow
        raise InputError(f"{path} can't be read as an image: {error}") from None
    return np.ascontiguousarray(colour(pixels, channels))


def frame(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The picture as a network's input (height, width, C), exactly as on the device."""
    h, w, channels = pixels.shape
    format = Format.GRAY8 if channels == 1 else Format.RGB888
    return model_input(np.ascontiguousarray(pixels), w, h, format, (height, width, channels))


def load_labelled(folder: str | Path, channels: int, limit: int = 0) -> list[Picture]:
    """Read a folder with labels.jsonl whose lines have `label` (0, 1, ...), with `boxes` if there are any.

    Of more than IN_MEMORY pictures, each is read when it is used.
    """
    folder = Path(folder)
    result = []
    lines = records(folder, limit)
    for r in lines:
        if not isinstance(r.get("label"), int) or r["label"] < 0:
            raise InputError(f"{folder / 'labels.jsonl'}: {r['file']} has no label 0, 1, ...")
        result.append(
            Picture(r["file"], _stored(folder / r["file"], channels, len(lines)), r["label"], r["boxes"],
                    bool(r.get("complete", True)), r.get("source", ""))
        )  # fmt: skip
    return result


def load_folders(folder: str | Path, channels: int) -> tuple[list[Picture], list[str]]:
    """Read a folder with a folder of pictures for each class, and the classes' names, in the order of the alphabet."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise InputError(f"{folder} must hold a folder of pictures for each of two or more classes, has {names}")
    files = [
        (path, label)
        for label, name in enumerate(names)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    for label, name in enumerate(names):
        if not any(number == label for _, number in files):
            raise InputError(f"{folder / name} holds no picture ({', '.join(SUFFIXES)})")
    return [Picture(str(p.relative_to(folder)), _stored(p, channels, len(files)), n) for p, n in files], names


def _stored(path: Path, channels: int, count: int) -> NDArray[np.uint8] | Callable[[], NDArray[np.uint8]]:
    return read(path, channels) if count <= IN_MEMORY else partial(read, path, channels)


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
