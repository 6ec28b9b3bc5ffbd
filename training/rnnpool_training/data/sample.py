"""What a data set is read into: records first, then samples with their pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..reference.formats import Format
from ..reference.frame import model_input
from ..reference.geometry import letterbox
from ..streaming import Stored, pixels


def _none() -> NDArray[np.float32]:
    return np.zeros((0, 4), np.float32)


@dataclass
class Record:
    """What the labels say of one picture.

    where     file and line of the label, for messages
    boxes     float32 (N, 4) x, y, w, h in pixels; `relative`: in parts of the picture's width and height
    classes   the class of each box; empty where the format knows none
    size      width and height that the labels give, or None
    label     class of the whole picture, -1 where none is given
    complete  every object has its box
    published the labels of a public set, that nobody will mend: a box is cut at the picture's edge, however far it
              reaches beyond; what lies outside is left out, and the picture counts as not completely labelled
    ignored   float32 (M, 4), as boxes: objects that are neither to be found nor false alarms, in training
    """

    name: str
    path: Path
    where: str
    boxes: NDArray[np.float32]
    classes: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None
    relative: bool = False
    source: str = ""
    complete: bool = True
    label: int = -1
    published: bool = False
    ignored: NDArray[np.float32] = field(default_factory=_none)


@dataclass
class Sample:
    """One picture: gray uint8 (H, W), boxes float32 (N, 4) x, y, w, h in pixels, and where it comes from.

    `stored`: the pixels, or a function that reads them, for sets that do not fit into memory. `ignored`: as of Record.
    """

    name: str
    stored: Stored
    boxes: NDArray[np.float32]
    source: str
    complete: bool
    ignored: NDArray[np.float32] = field(default_factory=_none)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (H, W)."""
        return pixels(self.stored)


def frame(pixels: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.uint8], float, float]:
    """The picture as the network's frame (height, width), exactly as on the device: docs/arithmetic.md, section 1.

    Scaled to fit with its aspect kept, top left, the rest mid grey. Returns the frame and the horizontal and vertical
    factors by which the picture was scaled.
    """
    h, w = pixels.shape
    shape = (height, width, 1)
    out = model_input(np.ascontiguousarray(pixels), w, h, Format.GRAY8, shape)[:, :, 0]
    dw, dh = letterbox(w, h, width, height)
    return out, dw / w, dh / h
