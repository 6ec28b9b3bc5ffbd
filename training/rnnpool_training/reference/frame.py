"""From a camera's frame to the model's input (docs/arithmetic.md, section 1)."""

import numpy as np
from numpy.typing import NDArray

from .formats import Format, FrameBytes, Pixels, expand, stored_rows
from .geometry import WHOLE, View, letterbox
from .light import Light, adjust, measure
from .resampling import resample

GREY = 128  # of the input outside the letterbox


def upright(frame: FrameBytes, width: int, height: int, format: Format, channels: int, view: View = WHOLE) -> Pixels:
    """The upright picture, uint8 [h, w, channels]. ValueError if the frame or the view is wrong."""
    return view.upright(expand(stored_rows(frame, width, height, format, view.stride), format, channels))


def measure_light(frame: FrameBytes, width: int, height: int, format: Format, view: View = WHOLE) -> Light:
    """What gain="auto" gives a whole frame, or the frame after this one. ValueError as in `upright`."""
    return measure(upright(frame, width, height, format, 1, view)[:, :, 0])


def model_input(
    frame: FrameBytes,
    width: int,
    height: int,
    format: Format,
    shape: tuple[int, int, int],
    view: View = WHOLE,
    light: Light | None = None,
) -> Pixels:
    """The whole of section 1 but the sign: uint8 `shape` = [in_height, in_width, channels] of the model.

    ValueError as in `upright`.
    """
    pixels = upright(frame, width, height, format, shape[2], view)
    if light is not None:
        pixels = adjust(pixels, light)
    dw, dh = letterbox(pixels.shape[1], pixels.shape[0], shape[1], shape[0], view.scale)
    out = np.full(shape, GREY, np.uint8)
    out[:dh, :dw] = resample(pixels, dw, dh)
    return out


def sign(pixels: Pixels) -> NDArray[np.int8]:
    """u ^ 0x80 as int8: scale 1/128, zero point 0."""
    return (pixels ^ np.uint8(0x80)).view(np.int8)
