"""Labelled pictures for classifiers: `labels.jsonl`, folders named after classes, or COCO's annotations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .data import InputError, records
from .reference.frame import MAX_FRAME_SIDE, Format, colour, model_input

PERSON_AREA = 0.005  # Visual Wake Words (Chowdhery et al. 2019): a person's box covers this part of the picture
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")


@dataclass
class Picture:
    """One picture: uint8 (H, W, 3 or 1), its class, and where boxes are known, those (N, 4) of objects x, y, w, h.

    `boxes` is None where nobody drew any; `complete`: every object has its box.
    """

    name: str
    pixels: NDArray[np.uint8]
    label: int
    boxes: NDArray[np.float32] | None = None
    complete: bool = False
    source: str = ""


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
    """Read a folder with labels.jsonl whose lines have `label` (0, 1, ...), with `boxes` if there are any."""
    folder = Path(folder)
    result = []
    for r in records(folder, limit):
        if not isinstance(r.get("label"), int) or r["label"] < 0:
            raise InputError(f"{folder / 'labels.jsonl'}: {r['file']} has no label 0, 1, ...")
        result.append(
            Picture(r["file"], read(folder / r["file"], channels), r["label"], r["boxes"],
                    bool(r.get("complete", True)), r.get("source", ""))
        )  # fmt: skip
    return result
