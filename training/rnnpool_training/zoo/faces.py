"""The paper's face detectors (tables 11 to 15): RNNPool-Face-A, B, C, Quant, QVGA-monochrome and M4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..fastgrnn import Nonlinearity
from .layers import Stage, initialize, separable, stages, unit
from .pooling import Pooling
from .s3fd import BACKGROUNDS, QVGA, VGA, Anchors, Faces, Head, flat

SCALES = (10.0, 8.0, 5.0)  # of the L2 normalizations before the first three heads
PATCH, STRIDE = 8, 4


class FaceDetector(nn.Module):
    """Pictures (N, C, H, W) to Faces; `maps` gives each head's maps.

    parts: the network in pieces; heads: of each piece whether a head reads its output (2: it is reduced first).
    streamed: the first pieces, whose maps are never whole (measure.py). normalized: S3FD's L2 normalization before the
    first three heads; without it the heads read the maps as they are. kernels: of the heads (all 3). reduced: outputs
    of the first head's own reductions, as the authors' code has them (s3fd.Head).
    """

    def __init__(
        self,
        parts: Sequence[nn.Module],
        channels: Sequence[int],
        heads: Sequence[int],
        streamed: int,
        anchors: Anchors,
        normalized: bool = True,
        kernels: Sequence[int] = (),
        reduced: int = 0,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.read = tuple(i for i, kind in enumerate(heads) if kind)
        self.anchors = anchors
        self.heads = nn.ModuleList()
        for n, i in enumerate(self.read):
            scale = SCALES[n] if normalized and n < len(SCALES) else None
            kernel = kernels[n] if kernels else 3
            self.heads.append(Head(channels[i], BACKGROUNDS if n == 0 else 1, scale, kernel, heads[i], reduced))
        # The first pieces up to RNNPool, and what reduces a map in front of it.
        self.streamed = " ".join(f"parts.{i}" for i in range(streamed - 1))
        reductions = []
        if 2 in heads:
            names = ("reduce", "reduce_scores", "reduce_deltas")
            reductions = [f"heads.0.{n}" for n in names if not isinstance(getattr(self.heads[0], n), nn.Identity)]
        self.summary = " ".join([f"parts.{streamed - 1}"] * (streamed > 0) + reductions)
        initialize(self)

    def maps(self, x: Tensor, heads: nn.ModuleList | None = None) -> list[Any]:
        """What each head makes of its map: scores (N, 2, H', W') and deltas (N, 4, H', W'). heads: others."""
        found = []
        for i, part in enumerate(self.parts):
            x = part(x)
            if i in self.read:
                found.append((heads or self.heads)[self.read.index(i)](x))
        return found

    def forward(self, x: Tensor) -> Faces:
        """Scores (N, A, 2) and deltas (N, A, 4)."""
        return flat(self.maps(x))


def _with_stages(
    front: list[nn.Module], widths: list[int], heads: list[int], table: list[Stage], streamed: int, anchors: Anchors,
    normalized: bool, **own: Any,
) -> FaceDetector:  # fmt: skip
    # A head behind each row of the table that is behind the first ones, for which heads speak.
    rows, _ = stages(widths[-1], table)
    parts = [*front, *(nn.Sequential(*row) for row in rows)]
    channels = [*widths, *(c for _, c, _, _ in table)]
    return FaceDetector(
        parts, channels, [*heads, *[1] * (len(parts) - len(heads))], streamed, anchors, normalized, **own
    )  # fmt: skip


def _pool(inputs: int, outputs: int, nonlinearity: Nonlinearity) -> nn.Module:
    return Pooling("rnnpool", PATCH, STRIDE, nonlinearity).make(inputs, outputs)


def face_c(nonlinearity: Nonlinearity = "smooth", normalized: bool = True, authors: bool = False) -> FaceDetector:
    """640x480 RGB, for the most accuracy (table 11): RNNPool on pixels.

    authors: as their code has it, whose first block does not expand and whose heads are 5x5, 1x1 and 3x3.
    """
    pool, table = (
        [_pool(3, 64, nonlinearity)],
        [(6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 2), (6, 160, 2, 2), (6, 320, 1, 2)],
    )
    if authors:
        first = [(1, 24, 1, 1), (6, 24, 1, 1)]
        return _with_stages(pool, [64], [0, 0], [*first, *table], 1, VGA, normalized, kernels=(5, 5, 5, 1, 1, 3))
    return _with_stages(pool, [64], [0], [(6, 24, 2, 1), *table], 1, VGA, normalized)


def face_b(nonlinearity: Nonlinearity = "smooth", normalized: bool = True) -> FaceDetector:
    """640x480 RGB (table 12)."""
    front = [
        _pool(3, 24, nonlinearity),
        nn.Sequential(*(unit(24, 24, 3) for _ in range(4))),
        nn.Sequential(unit(24, 96, 3, 2), unit(96, 32, 1)),
    ]
    table = [(6, 32, 3, 1), (6, 64, 3, 2), (6, 128, 2, 2), (6, 160, 1, 2), (6, 320, 1, 2)]
    return _with_stages(front, [24, 24, 32], [0, 1, 0], table, 1, VGA, normalized)


def face_a(nonlinearity: Nonlinearity = "smooth", normalized: bool = True) -> FaceDetector:
    """640x480 RGB, for the least work (table 13)."""
    front = [
        _pool(3, 16, nonlinearity), nn.Sequential(*(separable(16, 16) for _ in range(4))), separable(16, 16, 2),
    ]  # fmt: skip
    table = [(1, 16, 3, 1), (1, 24, 3, 2), (1, 32, 2, 2), (2, 128, 1, 2), (2, 160, 1, 2)]
    return _with_stages(front, [16, 16, 16], [0, 1, 0], table, 1, VGA, normalized)


def face_quant(nonlinearity: Nonlinearity = "hard", normalized: bool = True, authors: bool = False) -> FaceDetector:
    """640x480 RGB in bytes (table 14): the first head reads the 320x240 map in front of RNNPool.

    authors: as their code has it, where scores and boxes of that head have a reduction to 8 channels each.
    """
    front = [nn.Sequential(unit(3, 4, 3, 2), unit(4, 4, 3)), _pool(4, 32, nonlinearity)]
    table = [(2, 16, 4, 1), (2, 24, 4, 2), (2, 32, 2, 2), (2, 64, 1, 2), (2, 96, 1, 2)]
    return _with_stages(front, [4, 32], [2, 0], table, 2, VGA, normalized, reduced=8 if authors else 0)


def face_qvga(nonlinearity: Nonlinearity = "hard", normalized: bool = True) -> FaceDetector:
    """320x240 gray (the authors' QVGA-monochrome)."""
    table = [(2, 32, 4, 1), (2, 32, 4, 1), (2, 96, 3, 2), (2, 128, 3, 1)]
    return _with_stages([unit(1, 4, 3, 2), _pool(4, 64, nonlinearity)], [4, 64], [0, 0], table, 2, QVGA, normalized)


def face_m4(nonlinearity: Nonlinearity = "hard", normalized: bool = True) -> FaceDetector:
    """320x240 gray for a Cortex-M4 (table 15)."""
    table = [(2, 32, 1, 1), (2, 32, 1, 1), (2, 64, 1, 2), (2, 64, 1, 1)]
    return _with_stages([unit(1, 4, 3, 2), _pool(4, 64, nonlinearity)], [4, 64], [0, 0], table, 2, QVGA, normalized)
