"""ResNet18 (He et al. 2016), and with RNNPool in place of its pooling and first two stages."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import initialize
from .pooling import Pooling


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the input, which is projected where the shapes differ."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            None
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, classes). first: RNNPool for the pooling, layer1 and layer2."""

    def __init__(self, classes: int = 10, first: Pooling | None = None, pooled: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if first is None else first.make(64, pooled)
        plan = [("layer1", 64, 1), ("layer2", 128, 2), ("layer3", 256, 2), ("layer4", 512, 2)]
        inputs = 64 if first is None else pooled
        for name, outputs, stride in plan if first is None else plan[2:]:
            self.add_module(name, nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)))
            inputs = outputs
        self.names = [name for name, *_ in (plan if first is None else plan[2:])]
        self.fc = nn.Linear(512, classes)
        self.streamed, self.summary = ("conv1 bn1 relu", "maxpool") if first else ("", "")
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.names:
            x = self.get_submodule(name)(x)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits
