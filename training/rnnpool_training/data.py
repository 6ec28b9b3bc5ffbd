"""Labelled face images: `labels.jsonl` beside `images/`, decoded once and kept in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    """Read a folder with labels.jsonl (all of it, or an even selection of `limit` pictures)."""
    folder = Path(folder)
    labels = folder / "labels.jsonl"
    if not labels.is_file():
        raise FileNotFoundError(f"{labels} not found: a data folder holds labels.jsonl and images/")
    records = [json.loads(line) for line in labels.read_text().splitlines() if line.strip()]
    if limit and limit < len(records):
        records = [records[i * len(records) // limit] for i in range(limit)]
    samples = []
    for record in records:
        with Image.open(folder / record["file"]) as image:
            pixels = np.asarray(image.convert("L"))
        boxes = np.array(record["boxes"], dtype=np.float32).reshape(-1, 4)
        complete = bool(record.get("complete", True))
        samples.append(Sample(record["file"], pixels, boxes, record.get("source", ""), complete))
    return samples


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
