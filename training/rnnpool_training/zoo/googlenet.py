"""GoogLeNet (Szegedy et al. 2015) with its auxiliary classifiers, and with RNNPool for its first layers.

The paper says what RNNPool stands for by its parameters only: 3a stays and reads the 128 channels, 3b is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import initialize
from .pooling import Pooling


class Outputs(NamedTuple):
    """Logits of the network and of its two auxiliary classifiers, which count 0.3 each in the loss: in training."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


class Unit(nn.Module):
    """Convolution, normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """The map."""
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches whose maps are put behind each other. widths: 1x1; 3x3 reduced, 3x3; "5x5" reduced, "5x5" (which is
    3x3, as in torchvision's weights); behind the pooling."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, reduced3, three, reduced5, five, pooled = widths
        self.branch1 = Unit(inputs, one, 1)
        self.branch2 = nn.Sequential(Unit(inputs, reduced3, 1), Unit(reduced3, three, 3))
        self.branch3 = nn.Sequential(Unit(inputs, reduced5, 1), Unit(reduced5, five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Unit(inputs, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The map."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    """A classifier on a map in the middle."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.conv = Unit(inputs, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = torch.flatten(self.conv(F.adaptive_avg_pool2d(x, (4, 4))), 1)
        logits: Tensor = self.fc2(F.dropout(F.relu(self.fc1(x)), 0.7, self.training))
        return logits


class GoogLeNet(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, classes); in training to Outputs. first: RNNPool for what is before 3a."""

    def __init__(self, classes: int = 10, first: Pooling | None = None, pooled: int = 128) -> None:
        super().__init__()
        self.conv1 = Unit(3, 64, 7, 2)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True) if first is None else first.make(64, pooled)
        self.middle = first is None
        if first is None:
            self.conv2, self.conv3 = Unit(64, 64, 1), Unit(64, 192, 3)
            self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
            self.inception3b = Inception(256, (128, 128, 192, 32, 96, 64))
        self.inception3a = Inception(192 if first is None else pooled, (64, 96, 128, 16, 32, 32))
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception4a = Inception(480 if first is None else 256, (192, 96, 208, 16, 48, 64))
        self.inception4b = Inception(512, (160, 112, 224, 24, 64, 64))
        self.inception4c = Inception(512, (128, 128, 256, 24, 64, 64))
        self.inception4d = Inception(512, (112, 144, 288, 32, 64, 64))
        self.inception4e = Inception(528, (256, 160, 320, 32, 128, 128))
        self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.inception5a = Inception(832, (256, 160, 320, 32, 128, 128))
        self.inception5b = Inception(832, (384, 192, 384, 48, 128, 128))
        self.aux1, self.aux2 = Auxiliary(512, classes), Auxiliary(528, classes)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, classes)
        self.streamed, self.summary = ("conv1", "maxpool1") if first else ("", "")
        initialize(self)

    def forward(self, x: Tensor) -> Tensor | Outputs:
        """Logits, or in training all three of them."""
        x = self.maxpool1(self.conv1(x))
        if self.middle:
            x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.inception3a(x)
        if self.middle:
            x = self.inception3b(x)
        x = self.inception4a(self.maxpool3(x))
        aux1 = self.aux1(x) if self.training else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if self.training else None
        x = self.inception5b(self.inception5a(self.maxpool4(self.inception4e(x))))
        logits: Tensor = self.fc(self.dropout(x.mean((2, 3))))
        return logits if aux1 is None or aux2 is None else Outputs(logits, aux2, aux1)
