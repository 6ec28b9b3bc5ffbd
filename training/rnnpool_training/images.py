"""Pictures from files, upright: what a camera that is held as the photographer held his would give."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .errors import InputError, reason
from .reference.formats import MAX_FRAME_SIDE, colour

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
DEEP = ("I", "F")  # Pillow's modes that it would clip to 0..255
UNREAD = (".heic", ".heif")  # what phones write by default, and Pillow can't read
# All of these come from Pillow, for files that are broken in one way or another.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
# Pillow warns of panoramas, which are read all the same; from twice its limit on it raises.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The opened file. InputError, here and in the block, if it can't be read or has other pixels than frames have."""
    if path.suffix.lower() in UNREAD:
        raise InputError(f"{path} can't be read as an image: HEIC is not read, save it as JPEG or PNG")
    try:
        with Image.open(path) as file:
            if file.format == "TIFF" and file.info.get("compression") == "raw" and file.getexif().get(0x112, 1) >= 5:
                raise InputError(  # Pillow 13 swaps the sides before it reads the rows: it gives other pixels
                    f"{path} can't be read as an image: an uncompressed TIFF file on its side, save it as PNG"
                )
            yield file
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} can't be read as an image: it is not there") from None
    except IsADirectoryError:
        raise InputError(f"{path} can't be read as an image: it is a folder, name the pictures in it") from None
    except BROKEN as error:
        raise InputError(f"{path} can't be read as an image: {reason(error)}") from None


def _check_depth(path: Path, image: Image.Image) -> None:
    if image.mode.startswith(DEEP):
        raise InputError(f"{path} has pixels of mode {image.mode}: frames have 8 bits a channel")


def _check(path: Path, image: Image.Image) -> None:
    if max(image.size) > MAX_FRAME_SIDE:
        raise InputError(f"{path} is {image.width}x{image.height}: frames have up to {MAX_FRAME_SIDE} a side")
    _check_depth(path, image)


def upright(path: Path) -> Image.Image:
    """A picture of any size, upright by its EXIF orientation, of mode L or RGB. InputError if it can't be read."""
    with _opened(path) as file:
        _check_depth(path, file)
        image = ImageOps.exif_transpose(file)
        return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of what `read` gives, by the header alone. InputError as far as that says that it can't."""
    with _opened(path) as file:
        _check(path, file)
        turned = file.getexif().get(0x112, 1) >= 5  # EXIF's orientations on a side
        return (file.height, file.width) if turned else file.size


def read(path: Path, channels: int, most: int = 0) -> NDArray[np.uint8]:
    """uint8 (H, W, channels), upright by its EXIF orientation, colour to gray as on the device.

    `most`: a picture with a longer side (pixels) is reduced to it first, so that no device limits its size; 0 for none.
    InputError if it can't be read, or a device could not take it.
    """
    with _opened(path) as file:
        image = file
        if most and max(image.size) > most and not image.mode.startswith(DEEP):
            file.draft(None, (most, most))  # JPEG files are decoded at a fraction of their size: much faster
            image = ImageOps.exif_transpose(file)
            image = image if image.mode == "L" else image.convert("RGB")
            image.thumbnail((most, most), reducing_gap=3.0)
        _check(path, image)
        image = ImageOps.exif_transpose(image) if image is file else image
        pixels = np.asarray(image)[:, :, None] if image.mode == "L" else np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(colour(pixels, channels))
