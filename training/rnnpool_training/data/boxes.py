"""Boxes that can be right: numbers, with an area, within the picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

FLOAT = NDArray[np.float32]
# A box may end this far outside of the picture, and is clipped: rounding, and labels of 1 more than the last pixel.
MOST_OUTSIDE, MOST_PART = 2.0, 0.02  # pixels, part of the box's longer side


def boxes(values: Any, where: str) -> FLOAT:
    """A list of four numbers a box as an array (N, 4). InputError, with `where`, if it is something else."""
    if not isinstance(values, list):
        raise InputError(f"{where}: boxes must be a list of [x, y, w, h] in pixels, is {shown(values)}")
    for value in values:
        if not isinstance(value, list) or len(value) != 4 or not all(number(v) for v in value):
            raise InputError(f"{where}: boxes must be a list of [x, y, w, h] in pixels, holds {shown(value)}")
    return np.array(values, dtype=np.float32).reshape(-1, 4)


def number(value: Any) -> bool:
    """Whether it is a number that a float32 can hold; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def shown(value: Any) -> str:
    """Any value as text for a message."""
    return repr(value)[:80]


def fit(found: FLOAT, width: int, height: int, where: str) -> FLOAT:
    """Boxes (N, 4) x, y, w, h, clipped to the picture. InputError if one is none, or lies too far outside."""
    size = np.array([width, height], np.float32)
    low, high = found[:, :2], found[:, :2] + found[:, 2:]
    outside = np.maximum(-low, high - size).max(axis=1, initial=0)
    limit = np.maximum(MOST_OUTSIDE, MOST_PART * found[:, 2:].max(axis=1, initial=0))
    for i, (x, y, w, h) in enumerate(found.tolist()):
        box = f"{where}: box [{x:g}, {y:g}, {w:g}, {h:g}]"
        if w <= 0 or h <= 0:
            raise InputError(f"{box} has no area: boxes are x, y, w, h with w and h above 0")
        if max(x, y, w, h) <= 1:
            raise InputError(f"{box} is smaller than a pixel: boxes are in pixels, not parts of the picture as in YOLO")
        if outside[i] > limit[i]:
            corners = w <= width + 1 and h <= height + 1 and w > x >= 0 and h > y >= 0
            hint = ". Are these corners? Write [x, y, x2 - x1, y2 - y1]" if corners else ""
            raise InputError(
                f"{box} ends {outside[i]:.1f} pixels outside of the picture of {width}x{height} (upright){hint}"
            )
    clipped = np.concatenate([np.maximum(low, 0), np.minimum(high, size)], axis=1)
    clipped[:, 2:] -= clipped[:, :2]
    for box, left in zip(found, clipped, strict=True):
        if min(left[2:]) <= 0:
            raise InputError(f"{where}: box {box.tolist()} lies outside of the picture of {width}x{height} (upright)")
    return clipped.astype(np.float32)


def cut(found: FLOAT, width: int, height: int) -> tuple[FLOAT, NDArray[np.bool_]]:
    """Boxes (N, 4) x, y, w, h, cut at the picture's edges; and of which of them (N,) a pixel or more is left."""
    size = np.array([width, height], np.float32)
    low = np.clip(found[:, :2], 0, size)
    sides = np.clip(found[:, :2] + found[:, 2:], 0, size) - low
    return np.concatenate([low, sides], axis=1).astype(np.float32), (sides >= 1).all(axis=1)
