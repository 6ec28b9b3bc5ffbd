"""Detectors that the paper compares its own with: EagleEye, and MobileNetV2 with SSDLite's heads.

The paper prints neither network; these are built by what their own papers describe, with widths that come near the
parameters and multiply-adds of its table 4 and 5. They are for comparison of cost and accuracy, not for weights of
others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .faces import FaceDetector
from .layers import InvertedResidual, initialize, separable, stages, unit
from .mobilenet import V2
from .s3fd import VGA, Anchors, Faces, flat

SSD = Anchors((24, 48, 96, 144, 192, 256), (16, 32, 64, 128, 256, 512))


class Preserving(nn.Module):
    """Information-preserving activation: ReLU of the map and of its negative, one behind the other."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 2 C, H, W)."""
        return torch.cat([x.relu(), (-x).relu()], 1)


def eagleeye() -> FaceDetector:
    """640x480 RGB (Zhao et al. 2019): downsampling convolutions at once, then depthwise and 1x1 convolutions."""
    front = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), Preserving(), separable(8, 16, 2),
    )  # fmt: skip
    plan = [(16, 16, 1, 2), (16, 32, 2, 2), (32, 64, 2, 3), (64, 96, 2, 3), (96, 160, 2, 2), (160, 256, 2, 2)]
    parts: list[nn.Module] = []
    for inputs, outputs, stride, count in plan:
        row = [separable(inputs, outputs, stride), *(separable(outputs, outputs) for _ in range(count - 1))]
        parts.append(nn.Sequential(*row))
    return FaceDetector(
        [front, *parts], [16, *(p[1] for p in plan)], [0, *[1] * len(plan)], 1, VGA, normalized=False
    )  # fmt: skip


class SSDLite(nn.Module):
    """Pictures (N, 3, H, W) to Faces: MobileNetV2, heads of depthwise and 1x1 convolutions on the expanded map of
    stride 16, the last map, and four more (Sandler et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        rows, _ = stages(32, V2)
        blocks = [block for row in rows for block in row]
        middle = next(i for i, block in enumerate(blocks) if block is rows[5][0])
        self.front = nn.Sequential(unit(3, 32, 3, 2), *blocks[:middle])
        split = blocks[middle]
        assert isinstance(split, InvertedResidual)
        self.expand, self.rest = split.conv[0], split.conv[1:]
        self.back = nn.Sequential(*blocks[middle + 1 :], unit(320, 1280, 1))
        self.extra = nn.ModuleList()
        widths, inputs = [576, 1280], 1280
        for outputs in (512, 256, 256, 128):
            mid = outputs // 2
            self.extra.append(
                nn.Sequential(unit(inputs, mid, 1), unit(mid, mid, 3, 2, mid), unit(mid, outputs, 1))
            )  # fmt: skip
            inputs = outputs
            widths.append(outputs)
        self.scores, self.deltas = (
            nn.ModuleList(nn.Sequential(unit(w, w, 3, 1, w), nn.Conv2d(w, values, 1)) for w in widths)
            for values in (2, 4)
        )
        self.anchors = SSD
        self.streamed, self.summary = "", ""
        initialize(self)

    def maps(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Scores (N, 2, H', W') and deltas (N, 4, H', W') of each head."""
        middle: Tensor = self.expand(self.front(x))
        found: list[Tensor] = [middle, self.back(self.rest(middle))]
        for part in self.extra:
            found.append(part(found[-1]))
        pairs = zip(self.scores, self.deltas, found, strict=True)
        return [(scores(m), deltas(m)) for scores, deltas, m in pairs]

    def forward(self, x: Tensor) -> Faces:
        """Scores (N, A, 2) and deltas (N, A, 4)."""
        return flat(self.maps(x))
