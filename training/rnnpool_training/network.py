"""RNNPool detection networks as one general description: stem, RNNPool, inverted residuals, heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from .fastgrnn import Nonlinearity
from .rnnpool2d import RNNPool2d

BOX_VALUES = 5  # a logit and four box deltas for each anchor


@dataclass(frozen=True)
class BlockConfig:
    """One inverted residual: 1x1 expansion to `expanded` channels, depthwise 3x3, 1x1 linear projection to `out`.

    `anchors`: sides in pixels of the square anchors of the head on the block's output (none: no head), which is a
    convolution with a kernel of `head` (1 or 3).
    """

    expanded: int
    out: int
    stride: int = 1
    anchors: tuple[float, ...] = ()
    head: int = 3


@dataclass(frozen=True)
class NetworkConfig:
    """A detector. Height and width are those of the deployed frame; training crops may have any size.

    `weighted`: the RNN cells learn zeta and nu (FastGRNNCell).
    """

    name: str
    height: int
    width: int
    stem: int
    patch: int
    patch_stride: int
    hidden1: int
    hidden2: int
    blocks: tuple[BlockConfig, ...] = field(default=())
    nonlinearity: Nonlinearity = "hard"
    weighted: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> NetworkConfig:
        """The inverse of to_dict."""
        blocks = tuple(BlockConfig(**{**b, "anchors": tuple(b["anchors"])}) for b in values["blocks"])
        return NetworkConfig(**{**values, "blocks": blocks})


# RNNPool-Face-M4 (paper, table 15) with anchors of 10 to 125 pixels, two of them at the stride-8 heads; a fifth, cheap
# block at stride 32 so that the largest faces are seen whole; and, for fewer cycles and less RAM: 96 instead of 128
# expanded channels in the first block, patches of 6x6 instead of 8x8, zeta = 1 and nu = 0.
FACE_M4 = NetworkConfig(
    name="rnnpool-face-m4", height=240, width=320, stem=4, patch=6, patch_stride=4, hidden1=16, hidden2=16,
    weighted=False,
    blocks=(
        BlockConfig(96, 32, 1, (10.0, 16.0)),
        BlockConfig(64, 32, 1, (24.0, 36.0)),
        BlockConfig(64, 64, 2, (54.0,)),
        BlockConfig(128, 64, 1, (80.0,)),
        BlockConfig(64, 64, 2, (125.0,)),
    ),
)  # fmt: skip


_SHAPE = (96, 64, 64, 128, 64)


def _variant(name: str, heads: tuple[int, ...], expanded: tuple[int, ...] = _SHAPE, **changes: Any) -> NetworkConfig:
    blocks = tuple(
        replace(b, head=h, expanded=e) for b, h, e in zip(FACE_M4.blocks, heads, expanded, strict=True)
    )  # fmt: skip
    return replace(FACE_M4, name=name, blocks=blocks, **changes)


# All heads of a map on the last block of it, whose features are deeper and see more around a face, for no more cycles;
# what a head less takes pays for 80 instead of 64 expanded channels in the second block.
FACE_M4_LATE = replace(
    FACE_M4, name="face-m4-late",
    blocks=(
        BlockConfig(96, 32, 1),
        BlockConfig(80, 32, 1, (10.0, 16.0, 24.0, 36.0)),
        BlockConfig(64, 64, 2),
        BlockConfig(128, 64, 1, (54.0, 80.0)),
        BlockConfig(64, 64, 2, (125.0,)),
    ),
)  # fmt: skip

# The same without the least important channels of the widest block, for fewer bytes and cycles (prune.py).
FACE_M4_PRUNED = replace(
    FACE_M4_LATE, name="face-m4-pruned",
    blocks=tuple(
        replace(b, expanded=e) for b, e in zip(FACE_M4_LATE.blocks, (96, 80, 64, 112, 64), strict=True)
    ),
)  # fmt: skip

# For --network of rnnpool_training.train: what is shipped, and what was tried (docs/training.md has the table).
NETWORKS = {
    "face-m4": FACE_M4,
    "face-m4-late": FACE_M4_LATE,
    "face-m4-pruned": FACE_M4_PRUNED,
    "face-m4-8x8": _variant("face-m4-8x8", (3,) * 5, patch=8, weighted=True),
    "face-m4-8x8-1x1": _variant("face-m4-8x8-1x1", (1,) * 5, patch=8),
    "face-m4-8x8-slim": _variant("face-m4-8x8-slim", (1,) * 5, (64, 64, 64, 96, 64), patch=8),
    "face-m4-coarse-1x1": _variant("face-m4-coarse-1x1", (3, 3, 1, 1, 1)),
}


class ConvUnit(nn.Module):
    """Convolution, batch normalization and, unless linear, ReLU6; 3x3 convolutions are padded with real 0."""

    def __init__(self, inputs: int, out: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, out, H', W')."""
        x = self.norm(self.conv(x))
        return nn.functional.relu6(x) if self.relu else x


class InvertedResidual(nn.Module):
    """Expansion, depthwise 3x3 and linear projection (MobileNetV2), with a residual where the shapes allow one."""

    def __init__(self, inputs: int, config: BlockConfig) -> None:
        super().__init__()
        self.expand = ConvUnit(inputs, config.expanded, 1)
        self.depthwise = ConvUnit(config.expanded, config.expanded, 3, config.stride, groups=config.expanded)
        self.project = ConvUnit(config.expanded, config.out, 1, relu=False)
        self.residual = config.stride == 1 and inputs == config.out

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Detector(nn.Module):
    """The float network. Input (N, 1, H, W) is gray / 128 - 1; output (N, anchors, 5): logit, dx, dy, dw, dh.

    Anchors are numbered by head, row, column, anchor of the head (`anchors.grid`).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvUnit(1, config.stem, 3, 2)
        self.pool = RNNPool2d(
            config.stem, config.hidden1, config.hidden2, config.patch, config.patch_stride,
            nonlinearity=config.nonlinearity, weighted=config.weighted, replicate=True,
        )  # fmt: skip
        self.blocks = nn.ModuleList()
        self.heads = nn.ModuleList()
        inputs = self.pool.out_channels
        for block in config.blocks:
            self.blocks.append(InvertedResidual(inputs, block))
            inputs = block.out
            kernel = block.head
            self.heads.append(
                nn.Conv2d(inputs, BOX_VALUES * len(block.anchors), kernel, padding=kernel // 2)
                if block.anchors
                else nn.Identity()
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for head in self.heads:
            if isinstance(head, nn.Conv2d):
                nn.init.normal_(head.weight, std=0.01)
                assert head.bias is not None
                nn.init.zeros_(head.bias)
                with torch.no_grad():
                    head.bias[::BOX_VALUES] = -4.0  # a face is rare: start near a probability of 0.02

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Raw head outputs (N, 5 * anchors of the head, H, W), first head first."""
        x = self.pool(self.stem(x))
        for block, config, head in zip(self.blocks, self.config.blocks, self.heads, strict=True):
            x = block(x)
            if config.anchors:
                yield head(x)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, anchors, 5)."""
        flat = [m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, BOX_VALUES) for m in self.maps(x)]
        return torch.cat(flat, dim=1)
