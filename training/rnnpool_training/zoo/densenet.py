"""DenseNet121 (Huang et al. 2017), and RNNPool in its pooling layers.

The paper's network has RNNPool in place of the first pooling, D1, T1 and D2; T2 and what is behind it stay.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fastgrnn import Nonlinearity
from ..rnnpool2d import RNNPool2d
from .layers import initialize
from .pooling import Pooling, whole

GROWTH, BOTTLENECK = 32, 128
SIZES = (6, 12, 24, 16)  # layers of D1 .. D4


class DenseLayer(nn.Module):
    """A bottleneck and a 3x3 convolution, whose 32 maps are put behind those that it read."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, BOTTLENECK, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK)
        self.conv2 = nn.Conv2d(BOTTLENECK, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, inputs + 32, H, W)."""
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(y)))], 1)


def block(inputs: int, layers: int) -> nn.Sequential:
    """A dense block, with torchvision's names."""
    made = nn.Sequential()
    for i in range(layers):
        made.add_module(f"denselayer{i + 1}", DenseLayer(inputs + GROWTH * i))
    return made


def transition(inputs: int, outputs: int, pool: nn.Module) -> nn.Sequential:
    """Normalization, 1x1 convolution, pooling to half the size."""
    made = nn.Sequential()
    parts = {"norm": nn.BatchNorm2d(inputs), "relu": nn.ReLU(), "conv": nn.Conv2d(inputs, outputs, 1, bias=False)}
    for name, part in {**parts, "pool": pool}.items():
        made.add_module(name, part)
    return made


class DenseNet121(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, classes).

    first: the operator for the first pooling, D1, T1 and D2, which gives `pooled` channels. later: RNNPool as pooling
    of T2, T3 (patches of 4, stride 2, a quarter of the channels) and of the last map. less: layers that D3 and D4 lack.
    """

    def __init__(
        self,
        classes: int = 10,
        first: Pooling | None = None,
        pooled: int = 192,
        later: bool = False,
        last: bool = False,
        less: tuple[int, int] = (0, 0),
        nonlinearity: Nonlinearity = "smooth",
        side: int = 7,
    ) -> None:
        super().__init__()

        def half(channels: int) -> nn.Module:
            if not later:
                return nn.AvgPool2d(2)
            return RNNPool2d(
                channels, channels // 4, channels // 4, 4, 2, 1, nonlinearity=nonlinearity, weighted=False
            )  # fmt: skip

        self.features = nn.Sequential()
        add = self.features.add_module
        add("conv0", nn.Conv2d(3, 64, 7, 2, 3, bias=False))
        add("norm0", nn.BatchNorm2d(64))
        add("relu0", nn.ReLU())
        if first is None:
            add("pool0", nn.MaxPool2d(3, 2, 1))
            add("denseblock1", block(64, SIZES[0]))
            add("transition1", transition(256, 128, nn.AvgPool2d(2)))
            add("denseblock2", block(128, SIZES[1]))
            inputs = 512
        else:
            add("pool0", first.make(64, pooled))
            inputs = pooled
        add("transition2", transition(inputs, 256, half(256)))
        inputs = 256 + GROWTH * (SIZES[2] - less[0])
        add("denseblock3", block(256, SIZES[2] - less[0]))
        add("transition3", transition(inputs, inputs // 2, half(inputs // 2)))
        inputs //= 2
        add("denseblock4", block(inputs, SIZES[3] - less[1]))
        inputs += GROWTH * (SIZES[3] - less[1])
        add("norm5", nn.BatchNorm2d(inputs))
        self.last_pool = whole(inputs, side, nonlinearity=nonlinearity) if last or later else None
        self.classifier = nn.Linear(inputs // 4 * 4 if last or later else inputs, classes)
        front = "features.conv0 features.norm0 features.relu0"
        self.streamed, self.summary = (front, "features.pool0") if first else ("", "")
        if first and later:  # from RNNPool to RNNPool
            t2 = "features.transition2"
            self.streamed, self.summary = f"{front} features.pool0 {t2}.norm {t2}.relu {t2}.conv", f"{t2}.pool"
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = F.relu(self.features(x))
        x = x.mean((2, 3)) if self.last_pool is None else torch.flatten(self.last_pool(x), 1)
        logits: Tensor = self.classifier(x)
        return logits
