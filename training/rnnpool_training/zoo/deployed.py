"""The paper's face detectors as exports take them: a map a head, of a logit and four box deltas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..anchors import VARIANCES
from ..errors import InputError
from .faces import FaceDetector
from .s3fd import Head, L2Norm


def _copy(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    # A convolution of the same window with other outputs.
    made = nn.Conv2d(conv.in_channels, len(weight), conv.kernel_size, padding=conv.padding)  # type: ignore[arg-type]
    made.weight, made.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
    return made


def _difference(conv: nn.Conv2d, one: int, other: int) -> tuple[Tensor, Tensor]:
    # Weights and bias of a score less another.
    assert conv.bias is not None
    weight, bias = conv.weight[one] - conv.weight[other], conv.bias[one] - conv.bias[other]
    return weight[None], bias[None]


class LogitHead(nn.Module):
    """A head whose softmax over background and face is the sigmoid of one logit: the face's score less the
    background's, which is one convolution together with the deltas."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        assert head.deltas.bias is not None
        self.reduce = head.reduce
        weight, bias = _difference(head.scores, 1, 0)
        self.conv = _copy(
            head.scores, torch.cat([weight, head.deltas.weight]), torch.cat([bias, head.deltas.bias])
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 5, H, W)."""
        out: Tensor = self.conv(self.reduce(x))
        return out


class MaxOutHead(nn.Module):
    """The same of a head with several backgrounds: the logit is the least of the face's score less each of them.

    min(a, b) is a - relu(a - b): sums and convolutions, which the engine has.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.reduce = head.reduce
        face = head.backgrounds
        self.first = _copy(head.scores, *_difference(head.scores, face, 0))
        # The face's score less the second background's is less than that by their difference.
        self.second = _copy(head.scores, *_difference(head.scores, 1, 0))
        self.others = nn.ModuleList(
            _copy(head.scores, *_difference(head.scores, face, i)) for i in range(2, head.backgrounds)
        )
        self.deltas = head.deltas

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 5, H, W)."""
        x = self.reduce(x)
        logit = self.first(x) - torch.relu(self.second(x))
        for other in self.others:
            logit = logit - torch.relu(logit - other(x))
        return torch.cat([logit, self.deltas(x)], 1)


class Deployed(nn.Module):
    """A detector for `rnnpool export`: pictures (1, C, H, W) to a map (1, 5, H', W') a head; sigmoid(logit) is the
    face's probability after the softmax. It shares the detector's weights but the heads'.

    InputError for one with L2 normalizations: the engine has no operator that divides each pixel's channels by their
    length (its products are of a map and one vector of channels, or a table of each value alone).
    """

    def __init__(self, detector: FaceDetector) -> None:
        super().__init__()
        if any(isinstance(m, L2Norm) for m in detector.modules()):
            raise InputError(
                "its heads read maps through L2 normalizations, for which the engine has no operator: build it with "
                "normalized=False"
            )
        self.parts, self.read = detector.parts, detector.read
        heads = [head for head in detector.heads if isinstance(head, Head)]
        self.heads = nn.ModuleList(LogitHead(h) if h.backgrounds == 1 else MaxOutHead(h) for h in heads)
        self.anchors = [[float(side)] for side in detector.anchors.sides]
        self.variances = VARIANCES

    def forward(self, x: Tensor) -> list[Tensor]:
        """The heads' maps."""
        found = []
        for i, part in enumerate(self.parts):
            x = part(x)
            if i in self.read:
                found.append(self.heads[self.read.index(i)](x))
        return found
