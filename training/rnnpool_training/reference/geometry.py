"""Which part of a stored picture is looked at, and which way round (docs/arithmetic.md, section 1)."""

from dataclasses import dataclass

import numpy as np

from .formats import Pixels

SCALE_ONE = 256


@dataclass(frozen=True)
class View:
    """How a model looks at a stored picture. What comes of it is the *upright* picture.

    stride  bytes from one stored row to the next, 0: no gap
    roi     (x, y, w, h), in stored pixels; None: all
    rotate  0, 90, 180, 270: degrees clockwise by which the stored picture must be turned to be upright
    mirror  the stored picture is mirrored left-right (undone before it is turned)
    scale   1..256, in 1/256: of the size that fits the model's input
    """

    stride: int = 0
    roi: tuple[int, int, int, int] | None = None
    rotate: int = 0
    mirror: bool = False
    scale: int = SCALE_ONE

    def window(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The roi, or the whole picture. ValueError if it reaches out of it, or another field is out of range."""
        x, y, w, h = self.roi or (0, 0, width, height)
        if not (x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= width and y + h <= height):
            raise ValueError(f"roi {(x, y, w, h)} is not within a {width}x{height} frame")
        if self.rotate not in (0, 90, 180, 270):
            raise ValueError(f"rotate must be 0, 90, 180 or 270, given {self.rotate}")
        if not 1 <= self.scale <= SCALE_ONE:
            raise ValueError(f"scale must be 1..{SCALE_ONE} of {SCALE_ONE}, given {self.scale}: roi magnifies")
        return x, y, w, h

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        _, _, w, h = self.window(width, height)
        return (h, w) if self.rotate in (90, 270) else (w, h)

    def upright(self, pixels: Pixels) -> Pixels:
        """The upright picture of stored pixels [h, w, ...]."""
        x, y, w, h = self.window(pixels.shape[1], pixels.shape[0])
        part = pixels[y : y + h, x : x + w]
        part = part[:, ::-1] if self.mirror else part
        return np.ascontiguousarray(np.rot90(part, -self.rotate // 90))

    def stored_box(self, x1: int, y1: int, x2: int, y2: int, width: int, height: int) -> tuple[int, int, int, int]:
        """Edges in the upright picture as edges in the stored one."""
        x, y, w, h = self.window(width, height)
        if self.rotate == 90:
            x1, y1, x2, y2 = y1, h - x2, y2, h - x1
        elif self.rotate == 180:
            x1, y1, x2, y2 = w - x2, h - y2, w - x1, h - y1
        elif self.rotate == 270:
            x1, y1, x2, y2 = w - y2, x1, w - y1, x2
        if self.mirror:
            x1, x2 = w - x2, w - x1
        return x + x1, y + y1, x + x2, y + y2


WHOLE = View()


def letterbox(width: int, height: int, in_width: int, in_height: int, scale: int = SCALE_ONE) -> tuple[int, int]:
    """Size (dw, dh) that a width x height picture is scaled to within the model's in_width x in_height input."""
    if width * in_height >= height * in_width:
        dw, dh = in_width, max(1, (2 * height * in_width + width) // (2 * width))
    else:
        dw, dh = max(1, (2 * width * in_height + height) // (2 * height)), in_height
    dw, dh = min(dw, in_width), min(dh, in_height)
    return max(1, (dw * scale + 128) >> 8), max(1, (dh * scale + 128) >> 8)
