"""MobileNetV1 and V2, and what the paper makes of them: RNNPool first, last or both, other operators in its place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..fastgrnn import Nonlinearity
from .layers import Stage, initialize, multiple, separable, stages, unit
from .pooling import Pooling, whole

# Sandler et al. 2018, table 2; RNNPool stands for the first three rows and gives 28x28 maps (paper, table 10).
V2: list[Stage] = [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2),
    (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
]  # fmt: skip
FIRST = Pooling("rnnpool", 6, 4)


class MobileNetV2(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, classes).

    first: the operators that stand for all before the 28x28 maps, each giving `pooled` channels; none: the plain
    network. replaced: rows of the table that they stand for. last_hidden: hidden
    size of the RNNPool that stands for the last average (maps of `side` x `side`: 7 of pictures of 224).
    """

    def __init__(
        self,
        classes: int = 10,
        width: float = 1.0,
        last: int = 1280,
        stem: int | None = None,
        first: tuple[Pooling, ...] = (),
        pooled: int = 64,
        replaced: int = 3,
        last_hidden: int | None = None,
        nonlinearity: Nonlinearity = "smooth",
        side: int = 7,
    ) -> None:
        super().__init__()
        inputs = multiple(32 * width) if stem is None else stem
        front: list[nn.Module] = [unit(3, inputs, 3, 2)]
        for pooling in first:
            front.append(pooling.make(inputs, pooled))
            inputs = pooled
        rows, inputs = stages(inputs, V2[replaced:] if first else V2, width)
        blocks = [block for row in rows for block in row]
        self.features = nn.Sequential(*front, *blocks, unit(inputs, last, 1))
        self.last_pool = None if last_hidden is None else whole(last, side, last_hidden, nonlinearity)
        vector = last if last_hidden is None else 4 * last_hidden
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(vector, classes))
        end = f"features.{len(self.features) - 1}"  # its map is averaged as it is made
        self.streamed, self.summary = (f"features.0 {end}", "features.1") if first else (end, "")
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.features(x)
        x = x.mean((2, 3)) if self.last_pool is None else torch.flatten(self.last_pool(x), 1)
        logits: Tensor = self.classifier(x)
        return logits


def visual_wake_words(first: bool = False, last_rnnpool: bool = False, last: int = 320, **more: object) -> MobileNetV2:
    """MobileNetV2 at 0.35 of its width for two classes; the stem has 8 channels and cells are hard with RNNPool, as in
    the paper's appendix F and EdgeML's example; the last RNNPool has hidden sizes of a quarter of `last`."""
    pooling = Pooling(str(more.pop("operator", "rnnpool")), 6, 4, "hard")  # type: ignore[arg-type]
    return MobileNetV2(
        2, 0.35, last, stem=8 if first else None, first=(pooling,) if first else (), pooled=32,
        last_hidden=last // 4 if last_rnnpool else None, nonlinearity="hard", **more,  # type: ignore[arg-type]
    )  # fmt: skip


class MobileNetV1(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, classes) (Howard et al. 2017).

    first: the operator that stands for all from the second convolution to the 28x28 maps, giving 64 channels (the paper
    doesn't print this network: 64 channels and its multiply-adds, 417 M and with ReNet 487 M, go together).
    """

    def __init__(self, classes: int = 1000, first: Pooling | None = None) -> None:
        super().__init__()
        front: list[nn.Module] = [unit(3, 32, 3, 2)]
        table = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
        inputs = 32
        if first is not None:
            front.append(first.make(32, 64))
            inputs, table = 64, table[4:]
        blocks = []
        for outputs, stride in table:
            blocks.append(separable(inputs, outputs, stride))
            inputs = outputs
        self.features = nn.Sequential(*front, *blocks)
        self.classifier = nn.Linear(inputs, classes)
        self.streamed, self.summary = ("features.0", "features.1") if first else ("", "")
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits
