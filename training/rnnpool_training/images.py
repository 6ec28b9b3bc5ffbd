"""Pictures from files, upright: what a camera that is held as the photographer held his would give."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .errors import InputError
from .reference.formats import MAX_FRAME_SIDE, colour

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
UNREAD = (".heic", ".heif")  # what phones write by default, and Pillow can't read
# All of these come from Pillow, for files that are broken in one way or another.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


def read(path: Path, channels: int, most: int = 0) -> NDArray[np.uint8]:
    """uint8 (H, W, channels), upright by its EXIF orientation, colour to gray as on the device.

    `most`: a picture with a longer side (pixels) is reduced to it first, so that no device limits its size; 0 for none.
    InputError if it can't be read, or a device could not take it.
    """
    if path.suffix.lower() in UNREAD:
        raise InputError(f"{path} can't be read as an image: HEIC is not read, save it as JPEG or PNG")
    try:
        with Image.open(path) as file:
            image: Image.Image = file
            if file.format == "TIFF" and file.info.get("compression") == "raw" and file.getexif().get(0x112, 1) >= 5:
                raise InputError(  # Pillow 13 swaps the sides before it reads the rows: it gives other pixels
                    f"{path} can't be read as an image: an uncompressed TIFF file on its side, save it as PNG"
                )
            deep = image.mode.startswith(("I", "F"))  # Pillow would clip these to 0..255
            if most and max(image.size) > most and not deep:
                file.draft(None, (most, most))  # JPEG files are decoded at a fraction of their size: much faster
                image = ImageOps.exif_transpose(file)
                image = image if image.mode == "L" else image.convert("RGB")
                image.thumbnail((most, most), reducing_gap=3.0)
            if max(image.size) > MAX_FRAME_SIDE:
                raise InputError(f"{path} is {image.width}x{image.height}: frames have up to {MAX_FRAME_SIDE} a side")
            if deep:
                raise InputError(f"{path} has pixels of mode {image.mode}: frames have 8 bits a channel")
            image = ImageOps.exif_transpose(image) if image is file else image
            pixels = np.asarray(image)[:, :, None] if image.mode == "L" else np.asarray(image.convert("RGB"))
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} can't be read as an image: it is not there") from None
    except BROKEN as error:
        raise InputError(f"{path} can't be read as an image: {error}") from None
    return np.ascontiguousarray(colour(pixels, channels))
