"""Heads of a detector whose logits and boxes are two convolutions, as one."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InputError
from ..graph import Conv


def interleave(logits: Tensor, boxes: Tensor, anchors: int, axis: int) -> Tensor:
    """Along an axis, of each anchor its logits, then its four numbers."""
    parts = zip(logits.chunk(anchors, axis), boxes.chunk(anchors, axis), strict=True)
    return torch.cat([part for pair in parts for part in pair], axis)


def join(logits: Conv, boxes: Conv, anchors: int) -> Conv:
    """One convolution that gives both, of the larger window. InputError if they read different maps."""
    if logits.inputs[0] is not boxes.inputs[0] or logits.stride != boxes.stride:
        raise InputError(
            f"{boxes.where}: a head's logits and boxes must be convolutions of one map with one stride, or one "
            f"convolution; its logits are {logits.where}"
        )
    pads = [max(a, b) for a, b in zip(logits.padding, boxes.padding, strict=True)]
    weights = []
    for conv in (logits, boxes):
        top, left, bottom, right = (wide - own for wide, own in zip(pads, conv.padding, strict=True))
        weights.append(torch.nn.functional.pad(conv.weight, (left, right, top, bottom)))
    if weights[0].shape[2:] != weights[1].shape[2:]:
        raise InputError(f"{boxes.where}: its padding does not make up for its window, beside {logits.where}")
    return Conv(
        where=logits.where, shape=(*logits.shape[:2], logits.shape[2] + boxes.shape[2]), inputs=list(logits.inputs),
        weight=interleave(weights[0], weights[1], anchors, 0), bias=interleave(logits.bias, boxes.bias, anchors, 0),
        stride=logits.stride, padding=(pads[0], pads[1], pads[2], pads[3]),
    )  # fmt: skip
