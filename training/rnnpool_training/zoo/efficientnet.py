"""EfficientNet-B0 (Tan and Le 2019), and with RNNPool in place of its first three stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import initialize, unit
from .pooling import Pooling

# expansion, kernel, stride, channels, blocks
B0 = [
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
]  # fmt: skip
DROP = 0.2  # of the last block in training, and of the classifier


class SqueezeExcitation(nn.Module):
    """Channels times factors that their averages give."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same shape."""
        factors = self.fc2(nn.functional.silu(self.fc1(nn.functional.adaptive_avg_pool2d(x, 1))))
        return x * torch.sigmoid(factors)


class MBConv(nn.Module):
    """An inverted residual with squeeze and excitation. In training a residual is left out of some pictures."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int, drop: float) -> None:
        super().__init__()
        mid = inputs * expansion
        expand = [unit(inputs, mid, 1, activation=nn.SiLU)] if expansion > 1 else []
        self.block = nn.Sequential(
            *expand, unit(mid, mid, kernel, stride, mid, nn.SiLU), SqueezeExcitation(mid, max(1, inputs // 4)),
            unit(mid, outputs, 1, activation=None),
        )  # fmt: skip
        self.residual = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.block(x)
        if not self.residual:
            return y
        if self.training and self.drop:
            keep = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            y = y * keep / (1 - self.drop)
        return x + y


class EfficientNetB0(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, classes). first: RNNPool for what comes before the 28x28 maps."""

    def __init__(self, classes: int = 10, first: Pooling | None = None, pooled: int = 64) -> None:
        super().__init__()
        front: list[nn.Module] = [unit(3, 32, 3, 2, activation=nn.SiLU)]
        inputs = 32
        if first is not None:
            front.append(first.make(32, pooled))
            inputs = pooled
        table = B0 if first is None else B0[3:]
        total = sum(count for *_, count in table)
        done = 0
        for expansion, kernel, stride, outputs, count in table:
            row = []
            for i in range(count):
                row.append(MBConv(inputs, outputs, expansion, kernel, stride if i == 0 else 1, DROP * done / total))
                inputs, done = outputs, done + 1
            front.append(nn.Sequential(*row))
        self.features = nn.Sequential(*front, unit(inputs, 1280, 1, activation=nn.SiLU))
        self.classifier = nn.Sequential(nn.Dropout(DROP), nn.Linear(1280, classes))
        end = f"features.{len(self.features) - 1}"  # its map is averaged as it is made
        self.streamed, self.summary = (f"features.0 {end}", "features.1") if first else (end, "")
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits
