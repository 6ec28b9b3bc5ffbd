"""Training views for classifiers: random windows of pictures, labelled anew from their boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .light import Light
from .pictures import PERSON_AREA, Picture
from .reference.frame import GREY
from .reference.geometry import letterbox
from .streaming import Ahead
from .teacher import Teacher

FLOAT = NDArray[np.float32]
CELL = 16  # pixels of the finer of the auxiliary heads' maps
GRAYED = 0.1  # part of the colour views that lose their colour
TINT = 0.25  # logarithm of the most by which a channel is multiplied: white balance
POOL = 4096  # views of a size that are kept for replay
ERASED = 0.25  # part of the views with a rectangle missing


@dataclass
class Part:
    """Views and what is known of them.

    pixels (N, C, H, W), u / 128 - 1 on whole levels; labels (N,); weights (N,), 0 where the label is doubtful; cover
    (N, H / 16, W / 16): part of a cell on objects; sides (N, 4, H / 16, W / 16): distances from a cell's centre to
    the box around it, in frames; known (N, H / 16, W / 16): 1 where cover is known; soft (N,): a teacher's
    probability of label 1, None without a teacher; inner (N, F): what the teacher's last layer takes, or None.
    """

    pixels: Tensor
    labels: Tensor
    weights: Tensor
    cover: Tensor
    sides: Tensor
    known: Tensor
    soft: Tensor | None = None
    inner: Tensor | None = None


class View(NamedTuple):
    """One view: pixels uint8 (height, width, C), and what Part says of it."""

    pixels: NDArray[np.uint8]
    label: float
    weight: float
    cover: FLOAT
    sides: FLOAT
    known: FLOAT
    soft: float | None
    inner: FLOAT | None = None


def visible(boxes: FLOAT, window: tuple[float, float, float, float]) -> tuple[FLOAT, FLOAT]:
    """Boxes (N, 4) x, y, w, h cut to a window x, y, w, h, in its coordinates, and the part of each that is left."""
    x, y, w, h = window
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) - np.array([x, y, x, y])
    cut = np.clip(corners, 0, np.array([w, h, w, h])).astype(np.float32)
    cut[:, 2:] -= cut[:, :2]
    left = cut[:, 2] * cut[:, 3] / np.maximum(boxes[:, 2] * boxes[:, 3], 1e-6)
    return cut, left.astype(np.float32)


def presence(boxes: FLOAT, window: tuple[float, float, float, float]) -> float | None:
    """Whether a window of a picture shows an object by the rule of Visual Wake Words: 1, 0, or None where doubtful.

    Doubtful: only a small part of an object, or an object near the limit of size.
    """
    cut, left = visible(boxes, window)
    area = cut[:, 2] * cut[:, 3] / (window[2] * window[3])
    if ((area >= PERSON_AREA) & ((left >= 0.4) | (area >= 0.1))).any():
        return 1.0
    return 0.0 if not (area >= 0.5 * PERSON_AREA).any() else None


class ClassifierViews:
    """An endless source of batches of random views of pictures."""

    def __init__(
        self, pictures: list[Picture], seed: int, channels: int, whole: float = 0.35,
        flips: bool = True, light: bool = True, balanced: bool = False,
        plain: float = 0.0, teacher: Teacher | None = None, unlabelled: float = 0.0,
        workers: int = 0, gray: float = 0.0, replay: int = 1, mixed: float = 0.0,
    ) -> None:  # fmt: skip
        """`whole`: part of the views that show all of their picture.

        `flips`: half of them are mirrored; `light`: colours, contrast and brightness vary; `balanced`: pictures of
        small classes come as often as those of the largest; `plain`: part of the views with neither other light nor a
        rectangle missing; `teacher`: gives soft labels; `unlabelled`: part of the views that are of pictures without a
        label (those with a label below 0), if there are any; `workers`: threads that decode pictures not in memory;
        `gray`: part of the views without colour, whatever else changes; `replay`: how many batches a view comes in,
        on average (making views and asking a teacher take longer than the network's step does); `mixed`: part of the
        views that show another view through themselves, of which only the teacher says what they are.
        """
        self.pictures = pictures
        self.ahead = Ahead([p.stored for p in pictures], workers)
        self.plain, self.teacher, self.unlabelled = plain, teacher, unlabelled
        self.channels, self.whole, self.gray = channels, whole, gray
        self.replay, self.mixed = replay, mixed
        self.pools: dict[tuple[int, int], list[View]] = {}
        self.flips, self.light, self.balanced = flips, light, balanced
        self.random = np.random.default_rng(seed)
        self.camera = Light(self.random)
        self.order: list[int] = []

    def _window(self, width: int, height: int) -> tuple[float, float, float, float]:
        random = self.random
        area = math.exp(random.uniform(math.log(0.2), 0.0)) * width * height
        aspect = width / height * math.exp(random.uniform(-0.35, 0.35))
        w, h = min(width, math.sqrt(area * aspect)), min(height, math.sqrt(area / aspect))
        return random.uniform(0, width - w), random.uniform(0, height - h), w, h

    def _choose(
        self, picture: Picture, width: int, height: int
    ) -> tuple[tuple[float, float, float, float], float, float]:
        """A window of a picture of width x height, its label and the label's weight."""
        everything = (0.0, 0.0, float(width), float(height))
        if self.random.random() < self.whole:
            return everything, picture.label, 1.0
        if picture.label < 0:  # the teacher says what the window shows
            return self._window(width, height), picture.label, 1.0
        if picture.boxes is None:  # what a window shows is only known to be likely the same
            x, y, w, h = self._window(width, height)
            grow = self.random.uniform(0.5, 1.0)  # of the way to the whole picture
            window = (x * (1 - grow), y * (1 - grow), w + (width - w) * grow, h + (height - h) * grow)
            return window, picture.label, 1.0
        for _ in range(4):
            window = self._window(width, height)
            label = presence(picture.boxes, window)
            if label == 0.0 and not picture.complete:
                label = None if picture.label else 0.0
            if label is not None:
                return window, label, 1.0
        return everything, picture.label, 1.0

    def _next_order(self) -> list[int]:
        labels = np.array([p.label for p in self.pictures])
        chosen = np.flatnonzero(labels >= 0)
        if self.balanced and len(chosen):
            classes = [np.flatnonzero(labels == label) for label in np.unique(labels[chosen])]
            most = max(map(len, classes))
            each = [self.random.permutation(np.resize(self.random.permutation(those), most)) for those in classes]
            chosen = np.concatenate(each)
        others = np.flatnonzero(labels < 0)
        if len(others):
            count = round(len(chosen) * self.unlabelled / (1 - self.unlabelled))
            chosen = np.concatenate([chosen, np.resize(self.random.permutation(others), count)])
        return list(self.random.permutation(chosen))

    def view(self, height: int, width: int, index: int | None = None) -> View:
        """A view of height x width pixels of a picture or the next.

        All labelled pictures come once, in random order, before the first comes again.
        """
        if not self.order:
            self.order = self._next_order()
        if index is None:
            self.ahead.want(self.order)
            index = self.order.pop()
        picture, pixels = self.pictures[index], self.ahead[index]
        image = Image.fromarray(pixels[:, :, 0] if self.channels == 1 else pixels)
        (x, y, w, h), label, weight = self._choose(picture, image.width, image.height)
        dw, dh = letterbox(max(1, round(w)), max(1, round(h)), width, height)
        piece = image.resize((dw, dh), Image.Resampling.BILINEAR, box=(x, y, x + w, y + h))
        mixed = self.mixed > 0 and self.random.random() < self.mixed
        if mixed:
            piece = self._mix(piece)
            label = -1.0
        boxes = np.zeros((0, 4), np.float32)
        if picture.boxes is not None and not mixed:
            boxes, left = visible(picture.boxes, (x, y, w, h))
            boxes = boxes[left > 0] * np.array([dw / w, dh / h, dw / w, dh / h], np.float32)
        if self.flips and self.random.random() < 0.5:
            piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            boxes[:, 0] = dw - boxes[:, 0] - boxes[:, 2]
        soft, inner = self.teacher.tell(piece) if self.teacher else (None, None)  # of what is there, not how it is lit
        if self.gray > 0 and self.random.random() < self.gray:
            piece = piece.convert("L").convert(piece.mode)
        plain = self.plain > 0 and self.random.random() < self.plain
        out = np.full((height, width, self.channels), GREY, np.uint8)
        lit = self._light(piece) if self.light and not plain else np.asarray(piece)
        out[:dh, :dw] = lit.reshape(dh, dw, self.channels)
        if not plain:
            self._erase(out)
        cover, sides = dense_targets(boxes, height, width)
        complete = picture.boxes is not None and picture.complete and not mixed
        known = np.ones_like(cover) if complete else (cover > 0.99).astype(np.float32)
        if label < 0:
            label, weight = 0.0, 0.0
        return View(out, label, weight, cover, sides, known, soft, inner)

    def _mix(self, piece: Image.Image) -> Image.Image:
        """A view through which a window of any other picture is seen, of any strength.

        A student that matches its teacher there, too, where no picture lies, learns more from few pictures
        (Beyer et al. 2022, "function matching").
        """
        pixels = self.ahead[int(self.random.integers(len(self.pictures)))]
        other = Image.fromarray(pixels[:, :, 0] if self.channels == 1 else pixels)
        x, y, w, h = self._window(other.width, other.height)
        other = other.resize(piece.size, Image.Resampling.BILINEAR, box=(x, y, x + w, y + h))
        return Image.blend(piece, other, self.random.uniform())

    def _light(self, piece: Image.Image) -> NDArray[np.uint8]:
        """Saturation and tint, sometimes gray; then other light, lens and sensor (Light)."""
        random = self.random
        if self.channels == 3 and random.random() < 0.8:
            keep = 0.0 if random.random() < GRAYED / 0.8 else math.exp(random.uniform(-0.7, 0.4))
            luma = np.array([0.299, 0.587, 0.114])
            matrix = keep * np.eye(3) + (1 - keep) * luma[None, :]
            matrix = np.exp(random.uniform(-TINT, TINT, 3))[:, None] * matrix
            piece = piece.convert("RGB", tuple(np.concatenate([matrix, np.zeros((3, 1))], 1).ravel().tolist()))
        return self.camera(piece)

    def _erase(self, out: NDArray[np.uint8]) -> None:
        random = self.random
        if random.random() >= ERASED:
            return
        height, width = out.shape[:2]
        area = math.exp(random.uniform(math.log(0.02), math.log(0.15))) * height * width
        ratio = math.exp(random.uniform(-0.8, 0.8))
        h, w = min(height, int(math.sqrt(area * ratio)) + 1), min(width, int(math.sqrt(area / ratio)) + 1)
        top, left = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
        out[top : top + h, left : left + w] = random.integers(0, 256, out.shape[2])

    def batch(self, count: int, height: int, width: int) -> Part:
        """`count` views of (height, width) pixels."""
        views = self._replayed(count, height, width)
        pixels = torch.from_numpy(np.stack([v.pixels for v in views])).permute(0, 3, 1, 2).float().sub_(128).div_(128)
        maps = zip(*((v.cover, v.sides, v.known) for v in views), strict=True)
        cover, sides, known = (torch.from_numpy(np.stack(each)) for each in maps)
        labels = torch.tensor([int(v.label) for v in views])
        soft = torch.tensor([v.soft for v in views]) if self.teacher else None
        told = [v.inner for v in views if v.inner is not None]
        inner = torch.from_numpy(np.stack(told)) if told else None
        return Part(pixels, labels, torch.tensor([v.weight for v in views]), cover, sides, known, soft, inner)

    def _replayed(self, count: int, height: int, width: int) -> list[View]:
        """New views, and of earlier ones of this size so many that each comes `replay` times on average."""
        if self.replay == 1:
            return [self.view(height, width) for _ in range(count)]
        pool = self.pools.setdefault((height, width), [])
        new = max(1, round(count / self.replay), count - len(pool))
        kept = [pool[i] for i in self.random.permutation(len(pool))[: count - new]]
        views = [self.view(height, width) for _ in range(new)]
        for view in views:
            if len(pool) < POOL:
                pool.append(view)
            else:
                pool[int(self.random.integers(POOL))] = view
        return views + kept


def _overlap(low: FLOAT, high: FLOAT, cells: int) -> FLOAT:
    """(N, cells): part of each cell of a line that lies between low and high (N,), in pixels."""
    start = np.arange(cells, dtype=np.float32) * CELL
    return np.clip(np.minimum(high[:, None], start + CELL) - np.maximum(low[:, None], start), 0, CELL) / CELL


def dense_targets(boxes: FLOAT, height: int, width: int) -> tuple[FLOAT, FLOAT]:
    """cover and sides of Part for boxes (N, 4) in pixels of the view; where boxes overlap, the smallest counts."""
    rows, columns = height // CELL, width // CELL
    cover, sides = np.zeros((rows, columns), np.float32), np.zeros((4, rows, columns), np.float32)
    if not len(boxes):
        return cover, sides
    x0, y0, x1, y1 = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    covers = _overlap(y0, y1, rows)[:, :, None] * _overlap(x0, x1, columns)[:, None, :]
    cover = covers.max(axis=0)
    x, y = (np.arange(columns, dtype=np.float32) + 0.5) * CELL, (np.arange(rows, dtype=np.float32) + 0.5) * CELL
    for i in np.argsort(-boxes[:, 2] * boxes[:, 3]):
        inside = covers[i] > 0.5
        distances = (
            (x[None, :] - x0[i]) / width, (y[:, None] - y0[i]) / height,
            (x1[i] - x[None, :]) / width, (y1[i] - y[:, None]) / height,
        )  # fmt: skip
        for side, distance in zip(sides, distances, strict=True):
            side[inside] = np.broadcast_to(distance, inside.shape)[inside]
    return cover, sides
