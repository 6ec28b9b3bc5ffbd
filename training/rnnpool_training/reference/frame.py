"""From a camera's frame to the model's input (docs/arithmetic.md, section 1)."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

MAX_FRAME_SIDE = 4096
GREY = 128  # of the input outside the letterbox


class Format(IntEnum):
    """Pixel formats of a frame, numbered as in rnnp_format_t."""

    GRAY8 = 1
    RGB565 = 2
    RGB888 = 3

    @property
    def bytes_per_pixel(self) -> int:
        """1, 2 or 3."""
        return int(self)


def expand(frame: bytes | bytearray | memoryview | Pixels, width: int, height: int, format: Format) -> Pixels:
    """The frame's bytes as uint8 [height, width, 1] (GRAY8) or [height, width, 3].

    ValueError if the sides are not in 1..4096 or the number of bytes is not width * height * bytes per pixel.
    """
    if not (1 <= width <= MAX_FRAME_SIDE and 1 <= height <= MAX_FRAME_SIDE):
        raise ValueError(f"frame sides must be 1..{MAX_FRAME_SIDE}, given {width}x{height}")
    data = np.frombuffer(frame, np.uint8)
    needed = width * height * format.bytes_per_pixel
    if data.size != needed:
        raise ValueError(f"a {width}x{height} {format.name} frame has {needed} bytes, given {data.size}")
    if format != Format.RGB565:
        return data.reshape(height, width, format.bytes_per_pixel)
    word = data.view("<u2").astype(np.uint16).reshape(height, width)
    r5, g6, b5 = word >> 11, word >> 5 & 63, word & 31
    return np.stack([r5 << 3 | r5 >> 2, g6 << 2 | g6 >> 4, b5 << 3 | b5 >> 2], -1).astype(np.uint8)


def colour(pixels: Pixels, channels: int) -> Pixels:
    """uint8 [h, w, 1 or 3] as uint8 [h, w, channels]: luma for a 1-channel model, R = G = B for a 3-channel one."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, 2)
    r, g, b = (pixels[:, :, [i]].astype(np.int32) for i in range(3))
    return ((77 * r + 150 * g + 29 * b + 128) >> 8).astype(np.uint8)


def letterbox(width: int, height: int, in_width: int, in_height: int) -> tuple[int, int]:
    """Size (dw, dh) that a width x height frame is scaled to within the model's in_width x in_height input."""
    if width * in_height >= height * in_width:
        dw, dh = in_width, max(1, (2 * height * in_width + width) // (2 * width))
    else:
        dw, dh = max(1, (2 * width * in_height + height) // (2 * height)), in_height
    return min(dw, in_width), min(dh, in_height)


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


def model_input(
    frame: bytes | bytearray | memoryview | Pixels, width: int, height: int, format: Format, shape: tuple[int, int, int]
) -> Pixels:
    """The whole of section 1 but the sign: uint8 `shape` = [in_height, in_width, channels] of the model.

    ValueError as in `expand`.
    """
    pixels = colour(expand(frame, width, height, format), shape[2])
    dw, dh = letterbox(width, height, shape[1], shape[0])
    out = np.full(shape, GREY, np.uint8)
    out[:dh, :dw] = resample(pixels, dw, dh)
    return out


def sign(pixels: Pixels) -> NDArray[np.int8]:
    """u ^ 0x80 as int8: scale 1/128, zero point 0."""
    return (pixels ^ np.uint8(0x80)).view(np.int8)
