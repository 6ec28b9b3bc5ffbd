"""MobileNetV2 (Sandler et al. 2018) at 0.35 of its width, with the parameters' names of torchvision's.

With torchvision, `net = torchvision.models.mobilenet_v2(width_mult=0.35)` is the same network; its weights fit here.
"""

import torch
from torch import nn

mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def unit(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution, its normalization, ReLU6."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class Block(nn.Module):
    """Expansion, depthwise convolution, projection; the input is added where the shapes are equal."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = inputs * expansion
        expand = [unit(inputs, mid, 1)] if expansion > 1 else []
        project = [nn.Conv2d(mid, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*expand, unit(mid, mid, 3, stride, mid), *project)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, classes)."""

    def __init__(self, classes: int = 1000, width: float = 1.0, last: int = 1280) -> None:
        super().__init__()

        def multiple(channels: float) -> int:  # of 8, and no more than a tenth less
            near = max(8, int(channels + 4) // 8 * 8)
            return near + 8 if near < 0.9 * channels else near

        inputs = multiple(32 * width)
        layers = [unit(3, inputs, 3, 2)]
        for expansion, channels, count, stride in STAGES:
            for i in range(count):
                outputs = multiple(channels * width)
                layers.append(Block(inputs, outputs, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.features = nn.Sequential(*layers, unit(inputs, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.classifier(self.features(x).mean((2, 3)))
        return y


def net() -> nn.Module:
    """Called by the export. Load your weights here."""
    torch.manual_seed(1)
    return MobileNetV2(classes=3, width=0.35)
