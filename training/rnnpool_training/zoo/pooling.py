"""What can stand where RNNPool stands: operators from (N, inputs, H, W) to (N, outputs, ceil(H / stride), ...).

Table 2 of the paper compares them in one place of a network. Sizes that the paper doesn't print follow from its
multiply-adds: the strided convolution has RNNPool's patch as its window, ReNet has patches of stride x stride and GRUs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..fastgrnn import Nonlinearity
from ..rnnpool2d import RNNPool2d
from .recurrent import CellPool2d, ReNet

Operator = Literal["rnnpool", "average", "max", "strided", "renet", "lstm", "gru"]


@dataclass(frozen=True)
class Pooling:
    """An operator with its patch and stride. `lstm`, `gru`: RNNPool with these cells (table 18)."""

    operator: Operator
    patch: int
    stride: int
    nonlinearity: Nonlinearity = "smooth"

    def make(self, inputs: int, outputs: int) -> nn.Module:
        """The layer."""
        around = (self.patch - self.stride + 1) // 2
        if self.operator in ("rnnpool", "lstm", "gru", "renet") and outputs % 4:
            raise ValueError(f"{outputs} outputs of {self.operator}: a multiple of 4 is needed")
        if self.operator == "rnnpool":
            return RNNPool2d(
                inputs, outputs // 4, outputs // 4, self.patch, self.stride, nonlinearity=self.nonlinearity,
                weighted=False, replicate=True,
            )  # fmt: skip
        if self.operator in ("lstm", "gru"):
            return CellPool2d(inputs, outputs // 4, self.patch, self.stride, self.operator)
        if self.operator == "renet":
            return ReNet(inputs, outputs // 2, self.stride)
        if self.operator == "strided":
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, self.patch, self.stride, around, bias=False), nn.BatchNorm2d(outputs),
                nn.ReLU6(),
            )  # fmt: skip
        pool = (
            nn.MaxPool2d(self.patch, self.stride, around)
            if self.operator == "max"
            else nn.AvgPool2d(self.patch, self.stride, around, count_include_pad=False)
        )
        return nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6())


def whole(channels: int, size: int, hidden: int | None = None, nonlinearity: Nonlinearity = "smooth") -> RNNPool2d:
    """RNNPool over a whole map of size x size, in place of the average before a classifier: a quarter of the
    channels is its hidden size, so the vector is as long as the average's (the paper's last layer)."""
    hidden = channels // 4 if hidden is None else hidden
    return RNNPool2d(channels, hidden, hidden, size, nonlinearity=nonlinearity, weighted=False)
