"""A network of one's own in twenty lines, for PyTorch on a desktop (docs/own_network.md).

Train it as any other; here its weights are random. `mean` and `std` say what it takes: (pixel / 255 - mean) / std.
"""

from torch import nn

mean, std = 0.5, 0.5


def unit(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    """A convolution, its normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


net = nn.Sequential(
    unit(3, 16, 2), unit(16, 32, 2), unit(32, 32), nn.MaxPool2d(2), unit(32, 64),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 3),
)  # fmt: skip
