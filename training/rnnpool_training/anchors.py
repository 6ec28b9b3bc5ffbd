"""Anchors, SSD box coding and non-maximum suppression. Numpy only: float, integer and engine results share it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
VARIANCES = (0.1, 0.2)  # centre, size (SSD; RNNPool paper's face networks)


def grid(config: Any, height: int, width: int) -> Array:
    """Anchors (N, 3) of a network on a frame of height x width: centre x, centre y, side, in pixels.

    Centres lie at (index + 0.5) * step. Order: head, row, column, anchor of the head.
    """
    step = 2 * config.patch_stride
    rows, columns = -(-height // step), -(-width // step)
    parts = []
    for block in config.blocks:
        if block.stride != 1:
            step *= block.stride
            rows, columns = -(-rows // block.stride), -(-columns // block.stride)
        if block.anchors:
            y, x, a = np.meshgrid(np.arange(rows), np.arange(columns), np.array(block.anchors), indexing="ij")
            parts.append(np.stack([(x + 0.5) * step, (y + 0.5) * step, a], axis=-1).reshape(-1, 3))
    return np.concatenate(parts).astype(np.float32)


def decode(deltas: Array, anchors: Array) -> Array:
    """Deltas (..., 4) and anchors (..., 3) to boxes (..., 4): x, y, w, h of the top left corner, in pixels."""
    centre = anchors[..., :2] + VARIANCES[0] * deltas[..., :2] * anchors[..., 2:]
    size = anchors[..., 2:] * np.exp(np.clip(VARIANCES[1] * deltas[..., 2:], -4.0, 4.0))
    return np.concatenate([centre - size / 2, size], axis=-1).astype(np.float32)


def iou_matrix(a: Array, b: Array) -> Array:
    """IoU of boxes a (N, 4) with b (M, 4), both x, y, w, h: (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=2)
    union = np.prod(a[:, 2:], axis=1)[:, None] + np.prod(b[:, 2:], axis=1)[None] - overlap
    return (overlap / np.maximum(union, 1e-9)).astype(np.float32)


def non_maximum_suppression(boxes: Array, scores: Array, iou: float, limit: int) -> NDArray[np.intp]:
    """Indices of the boxes kept, best score first: greedy, dropping those above `iou` with a better one."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < limit:
        best = order[0]
        kept.append(int(best))
        order = order[1:]
        if len(order):
            order = order[iou_matrix(boxes[best : best + 1], boxes[order])[0] <= iou]
    return np.array(kept, dtype=np.intp)


def vote(boxes: Array, scores: Array, kept: NDArray[np.intp]) -> Array:
    """The kept ones of boxes (N, 4), each the mean of all that overlap it by more than half, weighted with their
    scores: as the engine has it (reference/detection.py)."""
    if not len(kept):
        return boxes[:0]
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    weights = np.where(iou_matrix(boxes[kept], boxes) > 0.5, scores, 0)
    mean = weights @ corners / weights.sum(axis=1, keepdims=True)
    return np.concatenate([mean[:, :2], mean[:, 2:] - mean[:, :2]], axis=1).astype(boxes.dtype)
