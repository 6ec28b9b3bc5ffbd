"""Weights of convolutions as a blob has them: dilation, groups, several filters a channel become zeros among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dilated(weight: NDArray[np.int8], rows: int, columns: int) -> NDArray[np.int8]:
    """[n, h, w, c] with zeros between the weights: every so many rows and columns there is one."""
    n, h, w, c = weight.shape
    spread = np.zeros((n, (h - 1) * rows + 1, (w - 1) * columns + 1, c), np.int8)
    spread[:, ::rows, ::columns] = weight
    return spread


def as_convolution(weight: NDArray[np.int8], channels: int) -> NDArray[np.int8]:
    """Of depthwise filters [h, w, filters], as many for each channel in turn, a convolution's [filters, h, w, c]."""
    filters = weight.shape[2]
    full = np.zeros((filters, *weight.shape[:2], channels), np.int8)
    full[np.arange(filters), :, :, np.arange(filters) // (filters // channels)] = weight.transpose(2, 0, 1)
    return full


def ungrouped(weight: NDArray[np.int8], channels: int) -> NDArray[np.int8]:
    """[n, h, w, channels of a group], an equal part of the n for each group in turn, as [n, h, w, channels]."""
    n, h, w, own = weight.shape
    if own == channels:
        return weight
    groups = channels // own
    full = np.zeros((groups, n // groups, h, w, groups, own), np.int8)
    for group in range(groups):
        full[group, :, :, :, group] = weight.reshape(groups, -1, h, w, own)[group]
    return full.reshape(n, h, w, channels)
