"""Training views: random crops, sizes, flips, turns, light and covered faces, from samples in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .data import Sample
from .light import Light
from .loss import Targets
from .streaming import Ahead

FLOAT = NDArray[np.float32]
MOSAICS = 0.4  # part of the crops that are made of four
SMALLEST = 6.0  # pixels; smaller faces are neither learned nor punished
LARGEST = 0.92  # of the shorter side of a view: 220 pixels in a whole frame
CLOSE = 0.35  # part of the whole frames that are close-ups: crops around a face
TURNED, TURN = 0.35, 30.0  # part of the views that are turned, and the most degrees
COVERED = 0.2  # part of the views where faces are covered in part


@dataclass
class View:
    """Gray levels (height, width), boxes (N, 4) as corners, kinds (N,): 1 face, 2 ignore; whether all are labelled."""

    pixels: NDArray[np.uint8]
    boxes: FLOAT
    kinds: NDArray[np.int64]
    complete: bool


def place(boxes: FLOAT, left: float, top: float, scale: float, angle: float, shape: tuple[int, int]) -> FLOAT:
    """Boxes (N, 4) x, y, w, h of a picture as corners (N, 4) in a view of `shape` (height, width).

    The view begins at left, top of the picture, is scaled, and turned counterclockwise by `angle` degrees about its
    middle. A face is taken for an ellipse: its turned box is that around the turned ellipse.
    """
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    half = boxes[:, 2:] * (scale / 2)
    x = (boxes[:, 0] - left) * scale + half[:, 0] - shape[1] / 2
    y = (boxes[:, 1] - top) * scale + half[:, 1] - shape[0] / 2
    x, y = x * cosine + y * sine + shape[1] / 2, y * cosine - x * sine + shape[0] / 2
    w = np.hypot(half[:, 0] * cosine, half[:, 1] * sine)
    h = np.hypot(half[:, 0] * sine, half[:, 1] * cosine)
    return np.stack([x - w, y - h, x + w, y + h], axis=1).astype(np.float32)


class Views:
    """An endless source of batches of random views.

    `frame` is the deployed height and width: pictures are scaled to fit it (letterbox), views vary around that scale.
    Sources of pictures are drawn by `shares` (source name to weight; unnamed sources count by their size). `workers`
    threads decode the pictures that are not in memory. A `plain` part of the views keeps the light that they were
    taken in, and covers no face.
    """

    def __init__(
        self, samples: list[Sample], seed: int, frame: tuple[int, int], shares: dict[str, float] | None = None,
        workers: int = 0, plain: float = 0.0,
    ) -> None:  # fmt: skip
        self.height, self.width = frame
        self.plain = plain
        self.samples = samples
        self.random = np.random.default_rng(seed)
        self.light = Light(self.random)
        names = sorted({s.source for s in samples})
        groups = {n: [i for i, s in enumerate(samples) if s.source == n] for n in names}
        weights = np.array([(shares or {}).get(n, len(groups[n]) / len(samples)) for n in names])
        self.groups = [groups[n] for n in names]
        self.weights = weights / weights.sum()
        self.pictures = Ahead([s.stored for s in samples], workers)
        self.order: list[list[int]] = [[] for _ in names]

    def _next(self) -> int:
        group = int(self.random.choice(len(self.groups), p=self.weights))
        if not self.order[group]:  # every picture of a source once before any twice
            self.order[group] = list(self.random.permutation(self.groups[group]))
        self.pictures.want(self.order[group])
        return self.order[group].pop()

    def _scale(self, boxes: FLOAT, longest: int, fit: float, native: float, side: int) -> tuple[float, FLOAT | None]:
        """Zoom for a view and the face it is about: near the deployed scale `fit`, or faces spread evenly in log size.

        The longest side of the picture never becomes smaller than two thirds of `side`, that of the view.
        """
        random = self.random
        least = 0.67 * side / longest
        if not len(boxes):
            return max(least, float(np.exp(random.uniform(math.log(0.5), math.log(1.6))))), None
        box = boxes[random.integers(len(boxes))]
        size = max(3.0, math.sqrt(float(box[2] * box[3])))
        if random.random() < native:
            scale = fit * float(np.exp(random.uniform(math.log(0.75), math.log(1.35))))
        else:
            scale = float(np.exp(random.uniform(math.log(0.045 * side), math.log(LARGEST * side)))) / size
        return float(np.clip(scale, min(1.0, least), max(2.5, 1.3 * fit))), box

    def _window(self, boxes: FLOAT, width: int, height: int, shape: tuple[int, int]) -> tuple[float, float, float]:
        """Left, top (pixels of a picture of width x height) and scale of a view of `shape` around one of its faces."""
        random = self.random
        fit = min(self.height / height, self.width / width)
        native = 0.5 if self.height // 2 < shape[0] < self.height else 0.2
        scale, box = self._scale(boxes, max(width, height), fit, native, min(shape))
        w, h = shape[1] / scale, shape[0] / scale
        if box is None:
            left, top = random.uniform(min(0, width - w), max(0, width - w)), random.uniform(
                min(0, height - h), max(0, height - h))  # fmt: skip
        else:
            left = box[0] + box[2] / 2 - w * random.uniform(0.1, 0.9)
            top = box[1] + box[3] / 2 - h * random.uniform(0.1, 0.9)
            if random.random() < 0.8:  # mostly within the picture, or with the picture within
                left = float(np.clip(left, min(0, width - w), max(0, width - w)))
                top = float(np.clip(top, min(0, height - h), max(0, height - h)))
        return left, top, scale

    def view(self, height: int, width: int, whole: bool) -> View:
        """A view of a random picture: a crop, or (`whole`) all of the picture as the device sees it, or a close-up."""
        random = self.random
        number = self._next()
        sample, image = self.samples[number], Image.fromarray(self.pictures[number])
        boxes, faces = np.concatenate([sample.boxes, sample.ignored]), len(sample.boxes)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            boxes[:, 0] = image.width - boxes[:, 0] - boxes[:, 2]
        if whole and random.random() >= CLOSE:
            left = top = 0.0
            fit = min(self.height / image.height, self.width / image.width)
            scale = fit * (float(np.exp(random.uniform(math.log(0.75), 0.0))) if random.random() < 0.5 else 1.0)
        else:
            left, top, scale = self._window(boxes[:faces], image.width, image.height, (height, width))
        angle = random.uniform(-TURN, TURN) if random.random() < TURNED else 0.0
        plain = self.plain > 0 and random.random() < self.plain
        out = self._pixels(image, left, top, scale, angle, (height, width), not plain)
        corners = place(boxes, left, top, scale, angle, (height, width))
        if not plain and random.random() < COVERED:
            self._cover(out, corners)
        return View(out, *self._kinds(corners, faces, height, width), sample.complete)

    def _pixels(
        self, image: Image.Image, left: float, top: float, scale: float, angle: float, shape: tuple[int, int],
        lit: bool = True,
    ) -> NDArray[np.uint8]:  # fmt: skip
        """A window of an image, `lit` in other light, turned counterclockwise by `angle` degrees about its middle."""
        height, width = shape
        sine, cosine = abs(math.sin(math.radians(angle))), math.cos(math.radians(angle))
        # What the turned window sees beyond its upright sides.
        mx = max(0, math.ceil((width * cosine + height * sine - width) / 2)) if angle else 0
        my = max(0, math.ceil((width * sine + height * cosine - height) / 2)) if angle else 0
        left, top, width, height = left - mx / scale, top - my / scale, width + 2 * mx, height + 2 * my
        x0, y0 = max(0.0, left), max(0.0, top)
        x1, y1 = min(image.width, left + width / scale), min(image.height, top + height / scale)
        out = np.full((height, width), 128, dtype=np.uint8)
        if x1 - x0 >= 1 and y1 - y0 >= 1:
            px, py = round((x0 - left) * scale), round((y0 - top) * scale)
            pw = max(1, min(width - px, round((x1 - x0) * scale)))
            ph = max(1, min(height - py, round((y1 - y0) * scale)))
            piece = image.resize((pw, ph), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
            out[py : py + ph, px : px + pw] = self.light(piece) if lit else np.asarray(piece)
        if angle:
            turned = Image.fromarray(out).rotate(angle, Image.Resampling.BILINEAR, fillcolor=128)
            out = np.array(turned)[my : my + shape[0], mx : mx + shape[1]]
        return out

    def _cover(self, out: NDArray[np.uint8], corners: FLOAT) -> None:
        """Cover the lower part, or a side, of each face that is large enough, as masks, hands and cups do."""
        random = self.random
        height, width = out.shape
        for x0, y0, x1, y1 in corners[(corners[:, 2:] - corners[:, :2]).min(axis=1) >= 14]:
            if random.random() < 0.5:
                continue
            w, h = x1 - x0, y1 - y0
            if random.random() < 0.75:
                y0, y1 = y0 + h * random.uniform(0.45, 0.7), y1 + h * random.uniform(-0.05, 0.2)
                x0, x1 = x0 + w * random.uniform(-0.1, 0.15), x1 + w * random.uniform(-0.15, 0.1)
            elif random.random() < 0.5:
                x1 = x0 + w * random.uniform(0.2, 0.45)
            else:
                x0 = x1 - w * random.uniform(0.2, 0.45)
            left, top = max(0, round(x0)), max(0, round(y0))
            right, bottom = min(width, round(x1)), min(height, round(y1))
            if right > left and bottom > top:
                slope = np.linspace(-1, 1, bottom - top, dtype=np.float32)[:, None] * random.uniform(-30, 30)
                patch = random.uniform(10, 245) + slope + self.light.noise((bottom - top, right - left), 4.0)
                out[top:bottom, left:right] = np.clip(patch, 0, 255).astype(np.uint8)

    @staticmethod
    def _kinds(corners: FLOAT, faces: int, height: int, width: int) -> tuple[FLOAT, NDArray[np.int64]]:
        """Corners, first those of `faces`, then ignored ones, cut to the view, and their kinds (View); hardly visible
        ones are dropped."""
        clipped = np.clip(corners, 0, np.array([width, height, width, height])).astype(np.float32)
        area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
        seen = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1) / np.maximum(area, 1e-6)
        kinds = np.where((seen > 0.6) & (area >= SMALLEST**2) & (np.arange(len(area)) < faces), 1, 2)
        keep = seen > 0.1
        return clipped[keep], kinds[keep]

    def mosaic(self, height: int, width: int) -> View:
        """Four views of half the size in one: more small faces and more pictures for the same work."""
        h, w = height // 2, width // 2
        parts = [self.view(h, w, False) for _ in range(4)]
        shifts = [(0, 0), (w, 0), (0, h), (w, h)]
        pixels = np.block([[parts[0].pixels, parts[1].pixels], [parts[2].pixels, parts[3].pixels]])
        boxes = [p.boxes + np.array([x, y, x, y], dtype=np.float32) for p, (x, y) in zip(parts, shifts, strict=True)]
        kinds = np.concatenate([p.kinds for p in parts])
        return View(pixels, np.concatenate(boxes), kinds, all(p.complete for p in parts))

    def batch(self, count: int, height: int, width: int, whole: bool = False) -> tuple[Tensor, Targets]:
        """A batch: pixels (count, 1, height, width) as gray / 128 - 1 on whole gray levels, and its targets."""
        views = [
            self.mosaic(height, width)
            if not whole and self.random.random() < MOSAICS
            else self.view(height, width, whole)
            for _ in range(count)
        ]
        pixels = torch.from_numpy(np.stack([v.pixels for v in views]))[:, None].float().sub_(128).div_(128)
        boxes = torch.from_numpy(np.concatenate([v.boxes for v in views]).astype(np.float32))
        face = torch.from_numpy(np.concatenate([v.kinds for v in views]) == 1)
        return pixels, Targets(boxes, face, [len(v.boxes) for v in views], torch.tensor([v.complete for v in views]))
