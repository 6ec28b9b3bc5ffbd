"""What a network's results are: a class a kind, which says how they end in a blob and how they are compared.

Classes (logits of labels), Numbers (regression), Map (heat maps, segmentation) and Boxes (detectors).
"""

from __future__ import annotations

from ...errors import InputError
from ..from_torch import Translated
from .base import Check, Result
from .boxes import BACKGROUND, Boxes, read_anchors
from .maps import Map
from .vectors import Classes, Numbers

KINDS = ("classes", "numbers", "map", "boxes")

__all__ = ["BACKGROUND", "KINDS", "Boxes", "Check", "Classes", "Map", "Numbers", "Result", "choose", "read_anchors"]


def choose(translated: Translated, kind: str | None = None, boxes: Boxes | None = None) -> Result:
    """What the results of a traced network are. kind: of KINDS, None for what can be seen. InputError asks or refuses.

    boxes: of a detector, which can't be seen.
    """
    outputs = translated.graph.outputs
    if kind in (None, "boxes") and boxes is not None:
        return boxes
    if kind == "boxes" or len(outputs) > 1:
        shapes = ", ".join("x".join(map(str, (c, h, w))) for h, w, c in (node.shape for node in outputs))
        raise InputError(
            f"the network gives {len(outputs)} results ({shapes}): of a detector say the anchors of each map, "
            "`anchors` and `variances` in the file or --anchors and --variances (docs/own_network.md); all else has one"
        )
    height, width, channels = outputs[0].shape
    if kind == "map" or (kind is None and height * width > 1):
        return Map()
    if height * width > 1:
        raise InputError(f"{outputs[0].where}: the result is a map of {channels}x{height}x{width}, not {kind}")
    if kind == "numbers":
        return Numbers()
    if kind is None and channels == 1 and translated.last != "sigmoid":
        raise InputError(
            f"{outputs[0].where}: the network has a single output: if it is a number (regression), say --result "
            "numbers; a yes or no ends with nn.Sigmoid(), which tells them apart"
        )
    return Classes()
