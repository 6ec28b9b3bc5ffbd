"""Pictures to send: files, folders, videos, a webcam; made small enough and turned into the bytes of a frame."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from rnnpool_training.errors import InputError
from rnnpool_training.images import UNREAD, upright
from rnnpool_training.reference import Format
from tools.board.problem import Problem

# The numbers of rnnpool.GRAY8 ... by name, of the formats that are made here.
MADE = (Format.GRAY8, Format.RGB565, Format.RGB565_BE, Format.RGB888, Format.BGR888)
FORMATS = {format.name.lower(): int(format) for format in MADE}
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".ppm", ".gif", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Picture:
    """One picture before it is made small; name is for messages and files."""

    name: str
    image: Image.Image


@dataclass(frozen=True)
class Frame:
    """Rows from the top, without padding; format is one of FORMATS' numbers."""

    width: int
    height: int
    format: int
    pixels: bytes


def load(path: Path) -> Image.Image:
    """Returns an upright picture of 8 bits a channel; raises Problem."""
    try:
        return upright(path)
    except InputError as error:
        raise Problem(str(error)) from None


def shrink(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture made smaller, never larger, so that it fits width x height; its aspect is kept."""
    small = image.copy()
    small.thumbnail((width, height), Image.Resampling.BOX)
    return small


def encode(image: Image.Image, format: int) -> Frame:
    """The bytes of a frame; gray is ITU-R 601's, as Pillow makes it."""
    rgb = np.asarray(image.convert("RGB"))
    if format == Format.GRAY8:
        pixels = image.convert("L").tobytes()
    elif format in (Format.RGB565, Format.RGB565_BE):
        red, green, blue = (rgb[..., c].astype(np.uint16) for c in range(3))
        words = red >> 3 << 11 | green >> 2 << 5 | blue >> 3
        pixels = words.astype("<u2" if format == Format.RGB565 else ">u2").tobytes()
    else:
        pixels = rgb[..., :: 1 if format == Format.RGB888 else -1].tobytes()
    return Frame(image.width, image.height, format, pixels)


def opencv() -> ModuleType | None:
    """The module cv2, if it is installed."""
    try:
        import cv2
    except ImportError:
        return None
    module: ModuleType = cv2
    return module


def _from_camera(source: str | int, name: str) -> Iterator[Picture]:
    cv2 = opencv()
    if cv2 is None:
        raise Problem(f"{name} needs OpenCV: `pip install opencv-python`")
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            raise Problem(f"{name} can't be opened: OpenCV knows no such camera or video format")
        for number in itertools.count():
            there, pixels = capture.read()
            if not there:
                if number == 0:
                    raise Problem(f"{name} gives no picture: it is empty, or another program uses it")
                return
            yield Picture(f"{Path(name).stem}-{number:06}", Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))
    finally:
        capture.release()


def find(sources: Iterable[str]) -> tuple[Iterator[Picture], int | None]:
    """Returns the pictures of all sources and their number, None if it is not known beforehand.

    A source is a picture, a folder of them (sorted by name), a video, or `webcam`, `webcam:1`. Raises Problem at once
    for one that is not there.
    """
    streams: list[Iterator[Picture]] = []
    count: int | None = 0
    for source in sources:
        path = Path(source)
        if source == "webcam" or source.startswith("webcam:"):
            number = source.partition(":")[2] or "0"
            if not number.isdigit():
                raise Problem(f"{source!r} is no camera: webcam, or webcam:1 for the second one")
            if opencv() is None:
                raise Problem(f"{source} needs OpenCV: `pip install opencv-python`")
            streams.append(_from_camera(int(number), f"webcam{number}"))
            count = None
        elif path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
            if not files:
                raise Problem(f"the folder {path} has no pictures ({', '.join(PICTURES)})")
            stems = Counter(file.stem for file in files)
            streams.append(Picture(file.stem if stems[file.stem] == 1 else file.name, load(file)) for file in files)
            count = count + len(files) if count is not None else None
        elif not path.is_file():
            raise Problem(f"there is no file or folder {path}")
        elif path.suffix.lower() in (*PICTURES, *UNREAD):
            streams.append(Picture(file.stem, load(file)) for file in [path])
            count = count + 1 if count is not None else None
        else:
            if opencv() is None:
                raise Problem(
                    f"{path} is no picture ({', '.join(PICTURES)}), and a video needs OpenCV: `pip install "
                    "opencv-python`"
                )
            streams.append(_from_camera(str(path), path.name))
            count = None
    return itertools.chain.from_iterable(streams), count
