"""Networks of one's own for the tests of export, and pictures for them."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rnnpool_training.compile.fold import Normalization

PLAIN = Normalization((0.5,), (0.5,))


def pictures(count: int, height: int, width: int, channels: int, seed: int = 1) -> Any:
    """Smooth noise: what networks of random weights tell apart."""
    torch.manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4)
    x = (
        F.interpolate(coarse, size=(height, width), mode="bilinear") * 220
        + torch.rand(count, channels, height, width) * 35
    )
    return x.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def lively(module: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """Random weights with lively statistics: normalizations have seen some pictures, logits differ."""
    torch.manual_seed(5)
    module.train()
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.5, 0.5)
    x = torch.from_numpy(pictures(16, *shape, seed=3)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        for _ in range(10):
            module(x)
    return module.eval()


class Net(nn.Module):
    """A first convolution, what is tested, the mean, a linear layer."""

    def __init__(self, *inner: nn.Module, channels: int = 8, features: int = 8, inputs: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(inputs, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.inner = nn.Sequential(*inner)
        self.classifier = nn.Linear(features, 4)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.inner(self.stem(x)).mean((2, 3)))


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any, *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Any) -> Any:
        return self.function(x, *self.parts)


def conv(i: int, o: int, k: Any = 1, s: int = 1, p: Any = 0, g: int = 1, act: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(i, o, k, s, p, groups=g, bias=False), nn.BatchNorm2d(o), act or nn.ReLU6(inplace=True)
    )


def block(i: int, mid: int, o: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(conv(i, mid), conv(mid, mid, 3, stride, 1, mid), conv(mid, o, act=nn.Identity()))
