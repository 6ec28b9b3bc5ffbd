"""S3FD's parts (Zhang et al. 2017) that the paper's face networks end with: L2 normalization, heads with a max-out
background, anchors and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..anchors import VARIANCES
from ..loss import Targets, match
from .layers import unit

NEGATIVES = 3  # for one positive
THRESHOLD, LOW, WANTED = 0.35, 0.1, 6  # of the matching: IoU of the first stage, of the second, anchors a face
BACKGROUNDS = 3  # of the first head: the largest counts


class Faces(NamedTuple):
    """What a detector gives: scores (N, A, 2) of background and face, before the softmax; box deltas (N, A, 4)."""

    scores: Tensor
    deltas: Tensor


class L2Norm(nn.Module):
    """Each pixel's channels divided by their Euclidean length, times a learned factor a channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        return F.normalize(x, dim=1) * self.weight[:, None, None]


class Head(nn.Module):
    """Scores and box deltas of one square anchor at each pixel of a map: two convolutions.

    backgrounds: of more than one, the largest is the background's score (max-out): the smallest anchors are so many
    that most false alarms are theirs. before: 2 if the map has twice the detail, and is first reduced by a convolution
    (RNNPool-Face-Quant). reduced: outputs of such a convolution of scores, and of another of deltas, behind the
    normalization, as in the authors' code.
    """

    def __init__(
        self,
        channels: int,
        backgrounds: int = 1,
        scale: float | None = None,
        kernel: int = 3,
        before: int = 1,
        reduced: int = 0,
    ) -> None:
        super().__init__()
        self.reduce = unit(channels, channels, 3, 2) if before == 2 and not reduced else nn.Identity()
        self.norm = nn.Identity() if scale is None else L2Norm(channels, scale)
        own = before == 2 and reduced
        self.reduce_scores = unit(channels, reduced, 3, 2) if own else nn.Identity()
        self.reduce_deltas = unit(channels, reduced, 3, 2) if own else nn.Identity()
        self.scores = nn.Conv2d(reduced if own else channels, backgrounds + 1, kernel, padding=kernel // 2)
        self.deltas = nn.Conv2d(reduced if own else channels, 4, kernel, padding=kernel // 2)
        self.backgrounds = backgrounds

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to scores (N, 2, H, W) and deltas (N, 4, H, W)."""
        x = self.norm(self.reduce(x))
        scores: Tensor = self.scores(self.reduce_scores(x))
        if self.backgrounds > 1:
            background = scores[:, :1]
            for i in range(1, self.backgrounds):
                background = torch.maximum(background, scores[:, i : i + 1])
            scores = torch.cat([background, scores[:, self.backgrounds :]], 1)
        return scores, self.deltas(self.reduce_deltas(x))


def flat(maps: Sequence[tuple[Tensor, Tensor]]) -> Faces:
    """All heads' maps as lists of anchors: by head, row, column."""
    scores, deltas = zip(*maps, strict=True)
    return Faces(*(torch.cat([m.flatten(2).transpose(1, 2) for m in part], 1) for part in (scores, deltas)))


@dataclass(frozen=True)
class Anchors:
    """Sides of the square anchors in pixels, one a head, and the steps between their centres."""

    sides: tuple[int, ...]
    steps: tuple[int, ...]

    def grid(self, height: int, width: int) -> Tensor:
        """Anchors (A, 3) of a picture: centre x, centre y, side, in pixels. Centres are (index + 0.5) * step."""
        parts = []
        for side, step in zip(self.sides, self.steps, strict=True):
            y, x = torch.meshgrid(torch.arange(-(-height // step)), torch.arange(-(-width // step)), indexing="ij")
            centre = [(v.flatten() + 0.5) * step for v in (x, y)]
            parts.append(torch.stack([*centre, torch.full_like(centre[0], side)], 1))
        return torch.cat(parts)


VGA = Anchors((16, 32, 64, 128, 256, 512), (4, 8, 16, 32, 64, 128))
QVGA = Anchors((8, 16, 32, 48), (8, 8, 16, 16))


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (N, 4) as corners x0, y0, x1, y1 to the deltas that decode to them, of anchors (N, 3)."""
    side = anchors[:, 2:]
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2 - anchors[:, :2]) / (VARIANCES[0] * side)
    size = torch.log((boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3) / side) / VARIANCES[1]
    return torch.cat([centre, size], 1)


def loss(output: Faces, anchors: Tensor, targets: Targets) -> Tensor:
    """Softmax cross entropy of faces and of three times as many of the hardest backgrounds, and smooth L1 of the
    deltas, both over the number of matched anchors. A picture without faces counts its three hardest backgrounds."""
    index, ignored, _ = match(anchors, targets, THRESHOLD, LOW, WANTED)
    positive = index >= 0
    entropy = F.cross_entropy(output.scores.flatten(0, 1), positive.long().flatten(), reduction="none")
    entropy = entropy.view(positive.shape)
    wanted = (positive.sum(1).clamp(min=1) * NEGATIVES).clamp(max=positive.shape[1])
    candidates = entropy.detach().masked_fill(positive | ignored, -1.0)
    order = candidates.argsort(dim=1, descending=True).argsort(dim=1)
    negative = (order < wanted[:, None]) & (candidates >= 0)
    batch, a = torch.nonzero(positive, as_tuple=True)
    goal = encode(targets.boxes[index[batch, a]], anchors[a])
    boxes = F.smooth_l1_loss(output.deltas[batch, a], goal, reduction="sum")
    total: Tensor = (entropy[positive | negative].sum() + boxes) / max(1, int(positive.sum()))
    return total
