"""Pixel formats of cameras (docs/arithmetic.md, section 1): bytes to gray or to R, G, B."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
FrameBytes = bytes | bytearray | memoryview | Pixels

MAX_FRAME_SIDE = 4096


class Format(IntEnum):
    """Pixel formats of a frame, numbered as in rnnp_format_t; no number is one of MicroPython's framebuf (0..6)."""

    GRAY8 = 16
    RGB565 = 17  # low byte first
    RGB565_BE = 18  # high byte first, as most sensors deliver it
    RGB888 = 19  # R, G, B in memory
    BGR888 = 20  # B, G, R in memory
    YUYV = 21  # Y U Y V for two pixels
    UYVY = 22  # U Y V Y
    YUV420 = 23  # whole frames: the Y plane, then the chroma in any order (I420, NV12, NV21)

    @property
    def bytes_per_pixel(self) -> int:
        """1, 2 or 3; of YUV420 those of its Y plane."""
        return {Format.GRAY8: 1, Format.YUV420: 1, Format.RGB888: 3, Format.BGR888: 3}.get(self, 2)

    @property
    def in_pairs(self) -> bool:
        """Two pixels share their colour, so a row has an even number of them."""
        return self in (Format.YUYV, Format.UYVY)

    def frame_bytes(self, width: int, height: int) -> int:
        """Bytes of a whole frame without gaps between its rows."""
        chroma = 2 * ((width + 1) // 2) * ((height + 1) // 2) if self == Format.YUV420 else 0
        return width * height * self.bytes_per_pixel + chroma


def luma(r: NDArray[np.int32], g: NDArray[np.int32], b: NDArray[np.int32]) -> Pixels:
    """Gray of colours 0..255."""
    return ((77 * r + 150 * g + 29 * b + 128) >> 8).astype(np.uint8)


def colour(pixels: Pixels, channels: int) -> Pixels:
    """uint8 [h, w, 1 or 3] as uint8 [h, w, channels]: luma for a 1-channel model, R = G = B for a 3-channel one."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, 2)
    return luma(*(pixels[:, :, i].astype(np.int32) for i in range(3)))[:, :, None]


def rgb_of_yuv(y: Pixels, u: Pixels, v: Pixels) -> Pixels:
    """Full-range BT.601, as cameras and JPEG have it: uint8 [..] each as uint8 [.., 3]."""
    y_, u_, v_ = (a.astype(np.int32) - shift for a, shift in ((y, 0), (u, 128), (v, 128)))
    r = y_ + ((359 * v_ + 128) >> 8)
    g = y_ - ((88 * u_ + 183 * v_ + 128) >> 8)
    b = y_ + ((454 * u_ + 128) >> 8)
    return np.clip(np.stack([r, g, b], -1), 0, 255).astype(np.uint8)


def stored_rows(frame: FrameBytes, width: int, height: int, format: Format, stride: int = 0) -> Pixels:
    """The frame's bytes as uint8 [height, width * bytes per pixel], of YUV420 its Y plane.

    stride: bytes from row to row; 0: no gap. ValueError if the sides are not in 1..4096, the width is odd where pixels
    come in pairs, or the bytes are not the frame's. With a stride the gap behind the last row may be there or not.
    """
    if not (1 <= width <= MAX_FRAME_SIDE and 1 <= height <= MAX_FRAME_SIDE):
        raise ValueError(f"frame sides must be 1..{MAX_FRAME_SIDE}, given {width}x{height}")
    if format.in_pairs and width % 2:
        raise ValueError(f"{format.name} has an even width, given {width}x{height}")
    row = width * format.bytes_per_pixel
    if stride and stride < row:
        raise ValueError(f"a {format.name} row of {width} pixels has {row} bytes, stride is {stride}")
    data = np.frombuffer(frame, np.uint8)
    most = format.frame_bytes(width, height)
    least = most
    if stride:
        chroma = 2 * ((stride + 1) // 2) * ((height + 1) // 2) if format == Format.YUV420 else 0
        least, most = stride * (height - 1) + row, stride * height + chroma
    if not least <= data.size <= most:
        raise ValueError(f"a {width}x{height} {format.name} frame has {least} bytes, given {data.size}")
    step = stride or row
    return np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)


def expand(rows: Pixels, format: Format, channels: int) -> Pixels:
    """Rows of bytes [h, w * bytes per pixel] as uint8 [h, w, channels], channels 1 (gray) or 3 (R, G, B).

    ValueError for the colours of YUV420, which lie in planes whose order its name does not tell.
    """
    height = rows.shape[0]
    if format == Format.YUV420 and channels == 3:
        raise ValueError("YUV420 gives gray only: I420, NV12 and NV21 differ in their colours")
    if format in (Format.GRAY8, Format.YUV420):
        return colour(np.ascontiguousarray(rows)[:, :, None], channels)
    if format.in_pairs:
        quads = rows.reshape(height, -1, 4)
        first = 0 if format == Format.YUYV else 1  # of Y; U and V are at the other places
        y = quads[:, :, first::2].reshape(height, -1)
        if channels == 1:
            return y[:, :, None]
        u, v = (np.repeat(quads[:, :, (1 - first) + 2 * i], 2, 1) for i in range(2))
        return rgb_of_yuv(y, u, v)
    if format in (Format.RGB888, Format.BGR888):
        pixels = rows.reshape(height, -1, 3)
        return colour(pixels if format == Format.RGB888 else pixels[:, :, ::-1], channels)
    pairs = rows.reshape(height, -1, 2).astype(np.uint16)
    low, high = (0, 1) if format == Format.RGB565 else (1, 0)
    word = pairs[:, :, low] | pairs[:, :, high] << 8
    r5, g6, b5 = word >> 11, word >> 5 & 63, word & 31
    return colour(np.stack([r5 << 3 | r5 >> 2, g6 << 2 | g6 >> 4, b5 << 3 | b5 >> 2], -1).astype(np.uint8), channels)
