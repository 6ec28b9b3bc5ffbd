"""What the zoo's networks share: convolutions with normalization, inverted residuals, separable convolutions.

Names of parameters are torchvision's where it has the network, so its weights fit the layers that are the same.
"""

from __future__ import annotations

from torch import Tensor, nn


def multiple(channels: float, of: int = 8) -> int:
    """Channels of a narrower network: the nearest multiple, and no more than a tenth less (MobileNetV2's rule)."""
    near = max(of, int(channels + of / 2) // of * of)
    return near + of if near < 0.9 * channels else near


def unit(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU6,
) -> nn.Sequential:
    """A convolution that pads with zeros, its normalization, and an activation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([] if activation is None else [activation()]))


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 convolution and a 1x1 convolution, each with normalization and activation (MobileNet)."""
    return nn.Sequential(unit(inputs, inputs, 3, stride, inputs), unit(inputs, outputs, 1))


class InvertedResidual(nn.Module):
    """Expansion (none if it is 1), depthwise 3x3, linear projection; the input is added where shapes are equal."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = inputs * expansion
        expand = [unit(inputs, mid, 1)] if expansion > 1 else []
        project = [nn.Conv2d(mid, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*expand, unit(mid, mid, 3, stride, mid), *project)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return x + self.conv(x) if self.residual else self.conv(x)


Stage = tuple[
    int, int, int, int
]  # expansion, channels, blocks, stride of the first: (t, c, n, s) of the paper's tables


def stages(inputs: int, table: list[Stage], width: float = 1.0) -> tuple[list[list[nn.Module]], int]:
    """Inverted residuals of a table, a list for each of its rows, and the channels of the last."""
    rows = []
    for expansion, channels, count, stride in table:
        outputs = channels if width == 1.0 else multiple(channels * width)
        row: list[nn.Module] = []
        for i in range(count):
            row.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
            inputs = outputs
        rows.append(row)
    return rows, inputs


def initialize(module: nn.Module) -> None:
    """Weights to begin with: He's for convolutions, small ones for linear layers, neutral normalizations."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.01)
            nn.init.zeros_(m.bias)
