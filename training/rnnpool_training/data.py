"""Labelled face images: `labels.jsonl` beside `images/`, decoded once and kept in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .images import read
from .reference.frame import Format, letterbox, model_input


@dataclass
class Sample:
    """One picture: gray uint8 (H, W), boxes float32 (N, 4) x, y, w, h in pixels, and where it comes from."""

    name: str
    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    source: str
    complete: bool


def load(folder: str | Path, limit: int = 0) -> list[Sample]:
    """Read a folder with labels.jsonl (all of it, or an even selection of `limit` pictures).

    Colour becomes gray as on the device (docs/arithmetic.md, section 1).
    InputError, with the line or the picture, for what is no label or no picture that a device could take.
    """
    folder = Path(folder)
    return [
        Sample(
            r["file"],
            read(folder / r["file"], 1)[:, :, 0],
            r["boxes"],
            r.get("source", ""),
            bool(r.get("complete", True)),
        )
        for r in records(folder, limit)
    ]


def records(folder: Path, limit: int = 0) -> list[dict[str, Any]]:
    """The lines of labels.jsonl (all, or an even selection of `limit`), checked, with boxes as arrays (N, 4)."""
    labels = folder / "labels.jsonl"
    if not labels.is_file():
        raise FileNotFoundError(f"{labels} not found: a data folder holds labels.jsonl and images/")
    try:
        lines = labels.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{labels} is not UTF-8: {error}") from None
    found = [_record(line, f"{labels}, line {i}") for i, line in enumerate(lines, 1) if line.strip()]
    if limit and limit < len(found):
        found = [found[i * len(found) // limit] for i in range(limit)]
    return found


def _record(line: str, where: str) -> dict[str, Any]:
    # A line of labels.jsonl, checked, with its boxes as an array.
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: no JSON: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("file"), str) or "boxes" not in record:
        raise InputError(f"{where}: must be an object with file and boxes, is {line[:80]}")
    try:
        boxes = np.array(record["boxes"] or np.zeros((0, 4)), dtype=np.float32)
    except (TypeError, ValueError):
        boxes = np.zeros(0, dtype=np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        raise InputError(f"{where}: boxes must be a list of [x, y, w, h] in pixels, is {str(record['boxes'])[:80]}")
    return {**record, "boxes": boxes}


def frame(pixels: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.uint8], float, float]:
    """The picture as the network's frame (height, width), exactly as on the device: docs/arithmetic.md, section 1.

    Scaled to fit with its aspect kept, top left, the rest mid grey. Returns the frame and the horizontal and vertical
    factors by which the picture was scaled.
    """
    h, w = pixels.shape
    shape = (height, width, 1)
    out = model_input(np.ascontiguousarray(pixels), w, h, Format.GRAY8, shape)[:, :, 0]
    dw, dh = letterbox(w, h, width, height)
    return out, dw / w, dh / h
