"""Small classification tasks made from labelled pictures of persons and faces, for tools.few_shot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rnnpool_training.pictures import Picture, read

MOST = 256  # pixels of a side of a picture


@dataclass
class Task:
    """A name, the classes, and all pictures that there are."""

    name: str
    labels: tuple[str, ...]
    pictures: list[Picture]

    def draw(self, count: int, seed: int, most_test: int = 500) -> tuple[list[Picture], list[Picture]]:
        """`count` pictures of each class to train on, and others to test on, as many of each class if they suffice."""
        random = np.random.default_rng(seed)
        train: list[Picture] = []
        test: list[Picture] = []
        for label in range(len(self.labels)):
            those = [p for p in self.pictures if p.label == label]
            order = random.permutation(len(those))
            train += [those[i] for i in order[:count]]
            test += [those[i] for i in order[count:]][: most_test // len(self.labels)]
        return train, test


def _records(data: Path, *parts: str) -> list[dict[str, Any]]:
    found = []
    for part in parts:
        for line in (data / part / "labels.jsonl").read_text().splitlines():
            record = json.loads(line)
            found.append({**record, "path": data / part / record["file"]})
    return found


def _small(pixels: NDArray[np.uint8], box: tuple[float, float, float, float] | None = None) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    if box is not None:
        x, y, w, h = box
        image = image.crop((round(x), round(y), round(x + w), round(y + h)))
    image.thumbnail((MOST, MOST))
    return np.asarray(image)


def _picture(record: dict[str, Any], label: int, box: tuple[float, float, float, float] | None = None) -> Picture:
    return Picture(record["file"], _small(read(record["path"], 3), box), label)


def person(data: Path) -> Task:
    """Is a person in the picture: persons/val, which the start was not trained on."""
    return Task("person", ("no person", "person"), [_picture(r, r["label"]) for r in _records(data, "persons/val")])


def mask(data: Path) -> Task:
    """Faces with a mask or another thing before them (MAFA), and without (WIDER FACE), with some of what is around."""
    pictures: list[Picture] = []
    for r in _records(data, "faces_wild/train", "faces_wild/val"):
        boxes = [b for b in r["boxes"] if min(b[2:]) >= 40]
        if boxes:
            x, y, w, h = max(boxes, key=lambda b: b[2] * b[3])
            grown = (max(0, x - 0.3 * w), max(0, y - 0.3 * h), min(1.6 * w, r["width"]), min(1.6 * h, r["height"]))
            grown = (*grown[:2], min(grown[2], r["width"] - grown[0]), min(grown[3], r["height"] - grown[1]))
            pictures.append(_picture(r, int(r["source"] == "mafa"), grown))
    return Task("mask", ("bare", "masked"), pictures)


def distance(data: Path) -> Task:
    """Nobody, somebody far away, somebody near: by the height of the largest face."""
    pictures = [_picture(r, 2) for r in _records(data, "persons/val") if r["label"] == 0]
    for r in _records(data, "faces_wild/train", "faces_wild/val"):
        if r["source"] == "wider_train" and r["boxes"]:
            part = max(b[3] for b in r["boxes"]) / r["height"]
            if part > 0.38 or 0.05 < part < 0.16:
                pictures.append(_picture(r, 1 if part > 0.38 else 0))
    return Task("distance", ("far", "near", "nobody"), pictures)


def company(data: Path) -> Task:
    """One face or three and more (WIDER FACE)."""
    pictures: list[Picture] = []
    for r in _records(data, "faces_wild/train", "faces_wild/val"):
        if r["source"] == "wider_train" and len(r["boxes"]) != 2 and r["boxes"]:
            pictures.append(_picture(r, int(len(r["boxes"]) > 2)))
    return Task("company", ("alone", "group"), pictures)


def light(data: Path) -> Task:
    """Lamps on or off: real pictures, half of them exposed as at night, with the noise of a sensor."""
    random = np.random.default_rng(7)
    pictures: list[Picture] = []
    for i, r in enumerate(_records(data, "persons/val", "faces_wild/val")):
        picture = _picture(r, i % 2)
        dark = i % 2 == 0
        linear = (picture.pixels / 255.0) ** 2.2
        linear *= np.exp(random.uniform(np.log(0.06), np.log(0.5)) if dark else random.uniform(np.log(0.3), 0.2))
        linear += random.normal(0, 0.006 if dark else 0.002, linear.shape)
        picture.stored = np.clip(255 * np.clip(linear, 0, 1) ** (1 / 2.2) + 0.5, 0, 255).astype(np.uint8)
        pictures.append(picture)
    return Task("light", ("off", "on"), pictures)


def side(data: Path) -> Task:
    """A face in the left or in the right part of the picture (a window of one with a single face): mirrors mislead."""
    random = np.random.default_rng(8)
    pictures: list[Picture] = []
    for r in _records(data, "faces_wild/train", "faces_wild/val"):
        if r["source"] != "wider_train" or len(r["boxes"]) != 1:
            continue
        x, _, w, _ = r["boxes"][0]
        width, middle = r["width"], x + w / 2
        wanted = min(width, max(2.5 * w, 0.6 * width))
        label = len(pictures) % 2
        left = middle - wanted * (random.uniform(0.22, 0.38) if label == 0 else random.uniform(0.62, 0.78))
        left = min(max(0.0, left), width - wanted)
        place = (middle - left) / wanted
        if place < 0.42 or place > 0.58:
            pictures.append(_picture(r, int(place > 0.5), (left, 0, wanted, r["height"])))
    return Task("side", ("left", "right"), pictures)


TASKS: dict[str, Callable[[Path], Task]] = {f.__name__: f for f in (person, mask, distance, company, light, side)}
