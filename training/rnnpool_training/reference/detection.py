"""From heads to boxes in the frame (docs/arithmetic.md, section 4)."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..blob.model import DetectHead, Int16
from .geometry import WHOLE, View, letterbox
from .integer import Integers, sat16
from .tables import exp2_14, sigmoid15


class Detection(NamedTuple):
    """One box, as rnnp_detection_t has it."""

    x: int  # frame pixels
    y: int
    w: int
    h: int
    score: int  # Q15
    raw: tuple[int, int, int, int]  # x1, y1, x2, y2 in 1/16 pixel of the model's input, unclipped
    anchor: int
    label: int = 0  # number of the class


@functools.cache
def logit_min(threshold: int) -> int:
    """The smallest logit (Q12) with a score of at least `threshold` (Q15); 32768, which none is, if there is none."""
    scores = sigmoid15(np.arange(-32768, 32768))
    reached = np.flatnonzero(scores >= threshold)
    return int(reached[0]) - 32768 if reached.size else 32768


def decode(op: DetectHead, output: Int16) -> tuple[Integers, Integers, Integers]:
    """A head's output int16 [h, w, (classes + 4) * anchors] as logits int64 [h * w * anchors] (Q12) of the best class,
    of equal ones the first, boxes int64 [.., 4] (Q4), and the classes' numbers.

    Boxes are x1, y1, x2, y2 in 1/16 pixel of the model's input, saturated to 16 bits, not clipped.
    """
    height, width, _ = output.shape
    count = len(op.anchors)
    values = output.reshape(height, width, count, op.classes + 4).astype(np.int64)
    label = values[..., : op.classes].argmax(-1)
    logit = values[..., : op.classes].max(-1)
    dx, dy, tw, th = (values[..., op.classes + i] for i in range(4))
    iy, ix, _ = np.mgrid[:height, :width, :count]
    aw, ah = op.anchors.astype(np.int64).T

    def side(i: Integers, size: Integers, offset: Integers, log_scale: Integers) -> tuple[Integers, Integers]:
        centre = (2 * i + 1) * op.step * 8 + ((size * offset + 2048) >> 12)
        length = np.maximum(1, (size * exp2_14(log_scale) + 8192) >> 14)
        first = centre - (length >> 1)
        return sat16(first), sat16(first + length)

    x1, x2 = side(ix, aw, dx, tw)
    y1, y2 = side(iy, ah, dy, th)
    return logit.reshape(-1), np.stack([x1, y1, x2, y2], -1).reshape(-1, 4), label.reshape(-1)


def candidates(
    heads: Sequence[DetectHead], outputs: Sequence[Int16], threshold: int, max_candidates: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The best `max_candidates` anchors that reach the threshold (Q15), best first: logits, boxes [n, 4], places.

    A place is the anchor's index times the number of classes, plus the class.
    """
    decoded = [decode(op, output) for op, output in zip(heads, outputs, strict=True)]
    logits = np.concatenate([d[0] for d in decoded])
    boxes = np.concatenate([d[1] for d in decoded])
    labels = np.concatenate([d[2] for d in decoded])
    index = np.flatnonzero(logits >= logit_min(threshold))
    index = index[np.argsort(-logits[index], kind="stable")][:max_candidates]
    return logits[index], boxes[index], index * heads[0].classes + labels[index]


def suppress(
    boxes: NDArray[np.int64], iou: int, merged: bool = False, labels: NDArray[np.int64] | None = None
) -> list[int]:
    """Indices of the boxes [n, 4] (x1, y1, x2, y2; best first) that non-maximum suppression keeps. iou: limit, Q15.

    labels: of their classes; those of other classes do not matter to a box. merged: they are of several passes, and
    those of which a better one covers 3/4 are pieces of it.
    """
    kept: list[int] = []
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        area = (x2 - x1) * (y2 - y1)
        for k in kept:
            if labels is not None and labels[k] != labels[i]:
                continue
            kx1, ky1, kx2, ky2 = boxes[k].tolist()
            inter = max(0, min(x2, kx2) - max(x1, kx1)) * max(0, min(y2, ky2) - max(y1, ky1))
            piece = merged and inter * 4 > area * 3
            if piece or inter * 32768 > iou * (area + (kx2 - kx1) * (ky2 - ky1) - inter):
                break
        else:
            kept.append(i)
    return kept


def vote(
    boxes: NDArray[np.int64], logits: NDArray[np.int64], kept: Sequence[int], labels: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The kept boxes [k, 4], each the mean of all candidates' [n, 4] that overlap it by more than half (of its class),
    itself among them, weighted with their scores (Gidaris and Komodakis 2015, "box voting")."""
    result = []
    for i in kept:
        low, high = np.maximum(boxes[:, :2], boxes[i, :2]), np.minimum(boxes[:, 2:], boxes[i, 2:])
        inter = np.maximum(high - low, 0).prod(axis=1)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        those = 3 * inter > area + area[i]
        those[i] = True  # also if it was saturated to nothing
        if labels is not None:
            those &= labels == labels[i]
        weight = (sigmoid15(logits[those]) >> 8) + 1
        total = weight.sum()
        moved = (weight[:, None] * (boxes[those] - boxes[i])).sum(axis=0)
        result.append(boxes[i] + (moved + total // 2) // total)
    return np.array(result, np.int64).reshape(-1, 4)


def rescale(boxes: NDArray[np.int64], size: tuple[int, int], new_size: tuple[int, int]) -> NDArray[np.int64]:
    """Boxes [n, 4] of an input that a picture filled as `size` (dw, dh), for one that it fills as `new_size`."""
    old, new = np.array([*size, *size]), np.array([*new_size, *new_size])
    return sat16((boxes * new + old // 2) // old)


def to_frame(
    raw: Sequence[int], width: int, height: int, in_width: int, in_height: int, view: View = WHOLE
) -> tuple[int, int, int, int]:
    """A box in 1/16 pixel of the model's input as (x, y, w, h) in pixels of the width x height frame, clipped."""
    up_width, up_height = view.size(width, height)
    dw, dh = letterbox(up_width, up_height, in_width, in_height, view.scale)
    x1, x2 = (min(max((x * up_width + 8 * dw) // (16 * dw), 0), up_width) for x in (raw[0], raw[2]))
    y1, y2 = (min(max((y * up_height + 8 * dh) // (16 * dh), 0), up_height) for y in (raw[1], raw[3]))
    x1, y1, x2, y2 = view.stored_box(x1, y1, x2, y2, width, height)
    return x1, y1, x2 - x1, y2 - y1
