"""Scaling of pictures in integers (docs/arithmetic.md, section 1)."""

import numpy as np
from numpy.typing import NDArray

from .formats import Pixels


def resample_rows(pixels: Pixels, size: int) -> Pixels:
    """uint8 [n, ...] as uint8 [size, ...]: area mean to shrink, linear to grow, along the first axis."""
    n, m = pixels.shape[0], size
    if m == n:
        return pixels
    if m < n:
        total = np.tensordot(_overlaps(n, m).astype(np.float64), pixels.astype(np.float64), 1)
        return ((total.astype(np.int64) + n // 2) // n).astype(np.uint8)
    p = np.clip((2 * np.arange(m) + 1) * n - m, 0, 2 * m * (n - 1))
    i = p // (2 * m)
    f = (p - 2 * m * i).reshape(-1, *[1] * (pixels.ndim - 1))
    source = pixels.astype(np.int32)
    return (((2 * m - f) * source[i] + f * source[np.minimum(i + 1, n - 1)] + m) // (2 * m)).astype(np.uint8)


def _overlaps(n: int, m: int) -> NDArray[np.int64]:
    # o[j, i]: how much of source i, units [i m, (i + 1) m), lies in destination j, units [j n, (j + 1) n).
    # A row sums to n, so a total is at most 255 * 4096: exact in float64.
    i, j = np.arange(n)[None, :], np.arange(m)[:, None]
    return np.maximum(0, np.minimum((i + 1) * m, (j + 1) * n) - np.maximum(i * m, j * n))


def resample(pixels: Pixels, width: int, height: int) -> Pixels:
    """uint8 [h, w, c] as uint8 [height, width, c]: columns first, rounded to bytes, then rows."""
    narrow = resample_rows(pixels.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return resample_rows(narrow, height)
