"""Training views: random crops, sizes, flips and light, from samples in memory."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .data import Sample
from .loss import Targets

FLOAT = NDArray[np.float32]
MOSAICS = 0.4  # part of the crops that are made of four
SMALLEST = 6.0  # pixels; smaller faces are neither learned nor punished


class Views:
    """An endless source of batches of random views.

    `frame` is the deployed height and width: pictures are scaled to fit it (letterbox), views vary around that scale.
    Sources of pictures are drawn by `shares` (source name to weight; unnamed sources count by their size).
    """

    def __init__(
        self, samples: list[Sample], seed: int, frame: tuple[int, int], shares: dict[str, float] | None = None
    ) -> None:
        self.height, self.width = frame
        self.samples = samples
        self.random = np.random.default_rng(seed)
        names = sorted({s.source for s in samples})
        groups = {n: [i for i, s in enumerate(samples) if s.source == n] for n in names}
        weights = np.array([(shares or {}).get(n, len(groups[n]) / len(samples)) for n in names])
        self.groups = [groups[n] for n in names]
        self.weights = weights / weights.sum()
        self.images = [Image.fromarray(s.pixels) for s in samples]
        self.order: list[list[int]] = [[] for _ in names]

    def _next(self) -> int:
        group = int(self.random.choice(len(self.groups), p=self.weights))
        if not self.order[group]:  # every picture of a source once before any twice
            self.order[group] = list(self.random.permutation(self.groups[group]))
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
            scale = float(np.exp(random.uniform(math.log(0.045 * side), math.log(0.88 * side)))) / size
        return float(np.clip(scale, min(1.0, least), max(2.0, 1.3 * fit))), box

    def view(self, height: int, width: int, whole: bool) -> tuple[FLOAT, FLOAT, NDArray[np.int64], bool]:
        """Gray levels (height, width), boxes (N, 4) as corners, their kinds (1 face, 2 ignore), whether complete."""
        random = self.random
        number = self._next()
        sample, image = self.samples[number], self.images[number]
        boxes = sample.boxes
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            boxes = boxes.copy()
            boxes[:, 0] = image.width - boxes[:, 0] - boxes[:, 2]
        fit = min(self.height / image.height, self.width / image.width)
        if whole:
            left = top = 0.0
            scale = fit * (float(np.exp(random.uniform(math.log(0.75), 0.0))) if random.random() < 0.5 else 1.0)
        else:
            native = 0.5 if height > self.height // 2 else 0.2
            scale, box = self._scale(boxes, max(image.size), fit, native, min(height, width))
            w, h = width / scale, height / scale  # the window in the picture's pixels
            if box is None:
                left, top = random.uniform(min(0, image.width - w), max(0, image.width - w)), random.uniform(
                    min(0, image.height - h), max(0, image.height - h))  # fmt: skip
            else:
                left = box[0] + box[2] / 2 - w * random.uniform(0.1, 0.9)
                top = box[1] + box[3] / 2 - h * random.uniform(0.1, 0.9)
                if random.random() < 0.8:  # mostly within the picture, or with the picture within
                    left = float(np.clip(left, min(0, image.width - w), max(0, image.width - w)))
                    top = float(np.clip(top, min(0, image.height - h), max(0, image.height - h)))
        x0, y0 = max(0.0, left), max(0.0, top)
        x1, y1 = min(image.width, left + width / scale), min(image.height, top + height / scale)
        out = np.full((height, width), 128.0, dtype=np.float32)
        if x1 - x0 >= 1 and y1 - y0 >= 1:
            px, py = round((x0 - left) * scale), round((y0 - top) * scale)
            pw = max(1, min(width - px, round((x1 - x0) * scale)))
            ph = max(1, min(height - py, round((y1 - y0) * scale)))
            piece = image.resize((pw, ph), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
            out[py : py + ph, px : px + pw] = self._light(np.asarray(piece, dtype=np.float32))
        boxes, kinds = self._boxes(boxes, left, top, scale, height, width)
        return out, boxes, kinds, sample.complete

    @staticmethod
    def _boxes(
        boxes: FLOAT, left: float, top: float, scale: float, height: int, width: int
    ) -> tuple[FLOAT, NDArray[np.int64]]:
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        corners = (corners - np.array([left, top, left, top])) * scale
        clipped = np.clip(corners, 0, np.array([width, height, width, height])).astype(np.float32)
        area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
        seen = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1) / np.maximum(area, 1e-6)
        kinds = np.where((seen > 0.6) & (area >= SMALLEST**2), 1, 2)
        keep = seen > 0.1
        return clipped[keep], kinds[keep]

    def _light(self, piece: FLOAT) -> FLOAT:
        """Contrast, brightness, gamma, slight blur or noise on a piece of picture (never on the gray around it)."""
        random = self.random
        if random.random() < 0.7:
            gain = float(np.exp(random.uniform(-0.35, 0.35)))
            mean = float(piece.mean())
            piece = (piece - mean) * gain + mean + random.uniform(-35, 35)
            np.clip(piece, 0, 255, out=piece)
            if random.random() < 0.5:
                table = 255.0 * (np.arange(256, dtype=np.float32) / 255.0) ** float(np.exp(random.uniform(-0.5, 0.5)))
                piece = table[piece.astype(np.uint8)]
        if random.random() < 0.15:
            piece = np.clip(piece + random.normal(0, random.uniform(1, 8), piece.shape).astype(np.float32), 0, 255)
        if random.random() < 0.08 and min(piece.shape) > 2:
            piece = piece.copy()
            piece[1:-1, 1:-1] = (piece[:-2, 1:-1] + piece[2:, 1:-1] + piece[1:-1, :-2] + piece[1:-1, 2:]) / 4
        return piece

    def mosaic(self, height: int, width: int) -> tuple[FLOAT, FLOAT, NDArray[np.int64], bool]:
        """Four views of half the size in one: more small faces and more pictures for the same work."""
        h, w = height // 2, width // 2
        parts = [self.view(h, w, False) for _ in range(4)]
        shifts = [(0, 0), (w, 0), (0, h), (w, h)]
        pixels = np.block([[parts[0][0], parts[1][0]], [parts[2][0], parts[3][0]]])
        boxes = [p[1] + np.array([x, y, x, y], dtype=np.float32) for p, (x, y) in zip(parts, shifts, strict=True)]
        return pixels, np.concatenate(boxes), np.concatenate([p[2] for p in parts]), all(p[3] for p in parts)

    def batch(self, count: int, height: int, width: int, whole: bool = False) -> tuple[Tensor, Targets]:
        """A batch: pixels (count, 1, height, width) as gray / 128 - 1 on whole gray levels, and its targets."""
        views = [
            self.mosaic(height, width)
            if not whole and self.random.random() < MOSAICS
            else self.view(height, width, whole)
            for _ in range(count)
        ]
        pixels = torch.from_numpy(np.stack([v[0] for v in views]))[:, None].round_().sub_(128).div_(128)
        boxes = torch.from_numpy(np.concatenate([v[1] for v in views]).astype(np.float32))
        face = torch.from_numpy(np.concatenate([v[2] for v in views]) == 1)
        return pixels, Targets(boxes, face, [len(v[1]) for v in views], torch.tensor([v[3] for v in views]))
