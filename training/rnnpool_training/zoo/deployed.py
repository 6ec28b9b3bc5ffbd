"""The paper's face detectors as exports take them: a map a head, of a logit and four box deltas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..anchors import VARIANCES
from ..compile.fold import Normalization
from ..compile.network import Network
from ..compile.results import Boxes, read_anchors
from .faces import FaceDetector
from .s3fd import Head


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
        self.before = nn.Sequential(head.reduce, head.norm)
        weight, bias = _difference(head.scores, 1, 0)
        self.conv = _copy(
            head.scores, torch.cat([weight, head.deltas.weight]), torch.cat([bias, head.deltas.bias])
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 5, H, W)."""
        out: Tensor = self.conv(self.before(x))
        return out


class MaxOutHead(nn.Module):
    """The same of a head with several backgrounds: the logit is the least of the face's score less each of them.

    min(a, b) is a - relu(a - b): sums and convolutions, which the engine has.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.before = nn.Sequential(head.reduce, head.norm)
        self.reduce_scores, self.reduce_deltas = head.reduce_scores, head.reduce_deltas
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
        x = self.before(x)
        scores = self.reduce_scores(x)
        logit = self.first(scores) - torch.relu(self.second(scores))
        for other in self.others:
            logit = logit - torch.relu(logit - other(scores))
        return torch.cat([logit, self.deltas(self.reduce_deltas(x))], 1)


class Deployed(nn.Module):
    """A detector for `rnnpool export`: pictures (1, C, H, W) to a map (1, 5, H', W') a head; sigmoid(logit) is the
    face's probability after the softmax. It shares the detector's weights but the heads'."""

    def __init__(self, detector: FaceDetector) -> None:
        super().__init__()
        self.detector = detector
        heads = [head for head in detector.heads if isinstance(head, Head)]
        self.heads = nn.ModuleList(LogitHead(h) if h.backgrounds == 1 else MaxOutHead(h) for h in heads)
        self.anchors = [[float(side)] for side in detector.anchors.sides]
        self.variances = VARIANCES

    def forward(self, x: Tensor) -> list[Tensor]:
        """The heads' maps."""
        return self.detector.maps(x, self.heads)


NMS_IOU = 0.3  # the paper's


def network(detector: FaceDetector, shape: tuple[int, int, int], normalization: Normalization, name: str) -> Network:
    """What `rnnpool export` takes. shape: height, width, channels of the pictures."""
    model = Deployed(detector).eval()
    boxes = Boxes(read_anchors(model.anchors), model.variances, NMS_IOU)
    return Network(model, shape, normalization, name, labels=["face"], boxes=boxes)
