"""Brightness and contrast of a frame (docs/arithmetic.md, section 1)."""

from typing import NamedTuple

import numpy as np

from .formats import Pixels

MAX_GAIN = 2048  # 8
SAMPLE_STEP = 4  # of the pixels and rows that are measured


class Light(NamedTuple):
    """What every value is multiplied by, Q8, and then added to it, Q8."""

    gain: int
    bias: int


def adjust(pixels: Pixels, light: Light) -> Pixels:
    """uint8 values with gain and bias, saturated."""
    return np.clip((pixels.astype(np.int32) * light.gain + light.bias + 128) >> 8, 0, 255).astype(np.uint8)


def measure(gray: Pixels) -> Light:
    """The light that stretches the 1 % and 99 % of an upright gray picture [h, w] to 10 and 245, within MAX_GAIN."""
    histogram = np.bincount(gray[::SAMPLE_STEP, ::SAMPLE_STEP].reshape(-1), minlength=256)
    total = int(histogram.sum())
    below = 100 * np.cumsum(histogram) > total
    above = 100 * np.cumsum(histogram[::-1]) > total
    low, high = int(np.argmax(below)), 255 - int(np.argmax(above))
    spread = max(high - low, 1)
    gain = min((235 * 256 + spread // 2) // spread, MAX_GAIN)
    return Light(gain, 255 * 128 - (gain * (low + high) >> 1))
