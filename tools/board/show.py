"""Shows frames with their boxes in a window, or writes them to files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from rnnpool_training.errors import reason
from rnnpool_training.files import replacing
from tools.board.frames import opencv
from tools.board.problem import Problem
from tools.board.protocol import Result
from tools.demo import annotate, in_photo

MAX_WINDOW = 960  # pixels across


class Viewer(Protocol):
    """Gets each picture, the frame as it was sent, and what was found in the frame."""

    def show(self, name: str, picture: Image.Image, frame: Image.Image, result: Result) -> bool:
        """Returns False if the user wants no more."""

    def close(self) -> None:
        """At the end."""


def drawn(picture: Image.Image, frame: Image.Image, result: Result) -> Image.Image:
    """The picture in colour with the frame's boxes on it."""
    boxes = [[box.x, box.y, box.w, box.h, box.score] for box in result.boxes]
    return annotate(picture.convert("RGB"), in_photo(boxes, picture, frame))


class Files:
    """Writes NAME.png with the boxes, and boxes.jsonl: one line {"name", "width", "height", "boxes"} a frame, in the
    frame's pixels, as it is done, so that an interruption loses nothing.

    A name that comes again, or is there, gets a number. Raises Problem if one of `sources` lies in the folder, or the
    boxes of another run do: they could be lost.
    """

    def __init__(self, folder: Path, sources: Iterable[str] = ()) -> None:
        for source in map(Path, sources):
            if folder.exists() and source.exists() and folder.samefile(source if source.is_dir() else source.parent):
                raise Problem(
                    f"--out {folder} is where {source} is, whose pictures could be overwritten: choose another"
                )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = folder / "boxes.jsonl"
            if lines.exists() and (not lines.is_file() or lines.stat().st_size):  # empty: of a run without a board
                raise Problem(
                    f"{folder} holds the boxes of another run (boxes.jsonl): choose another folder with --out"
                )
            self._lines = lines.open("a")
        except OSError as error:
            raise Problem(f"{folder} can't be written: {error.strerror}; choose another folder with --out") from None
        self.folder = folder
        self._names: set[str] = set()

    def _new_name(self, name: str) -> str:
        """The name, or with a number if it was there."""
        numbers = itertools.count(2)
        new = name
        while new in self._names or (self.folder / f"{new}.png").exists():
            new = f"{name}_{next(numbers)}"
        self._names.add(new)
        return new

    def show(self, name: str, picture: Image.Image, frame: Image.Image, result: Result) -> bool:
        """Writes a picture and a line."""
        name = self._new_name(name)
        boxes = [[box.x, box.y, box.w, box.h, round(box.score, 4)] for box in result.boxes]
        line = {"name": name, "width": frame.width, "height": frame.height, "boxes": boxes}
        try:
            with replacing(self.folder / f"{name}.png") as path:
                drawn(picture, frame, result).save(path)
            self._lines.write(json.dumps(line) + "\n")
            self._lines.flush()
        except OSError as error:
            raise Problem(
                f"{self.folder / name}.png can't be written: {reason(error)}; what came before is there"
            ) from None
        return True

    def close(self) -> None:
        """Closes boxes.jsonl."""
        with suppress(OSError):  # of a full disk, which was said: what it had no room for is tried again
            self._lines.close()


class OpenCvWindow:
    """A window by OpenCV; q or Esc in it ends the stream."""

    TITLE = "rnnpool"

    def __init__(self, cv2: Any) -> None:
        self._cv2 = cv2

    def show(self, name: str, picture: Image.Image, frame: Image.Image, result: Result) -> bool:
        """Draws a picture."""
        import numpy as np

        image = drawn(picture, frame, result)
        image.thumbnail((MAX_WINDOW, MAX_WINDOW))
        self._cv2.imshow(self.TITLE, np.asarray(image)[..., ::-1])
        return self._cv2.waitKey(1) & 0xFF not in (ord("q"), 27)

    def close(self) -> None:
        """Closes the window."""
        self._cv2.destroyAllWindows()


class PlotWindow:
    """A window by matplotlib; closing it ends the stream."""

    def __init__(self, pyplot: Any) -> None:
        self._pyplot = pyplot
        pyplot.ion()
        self._figure, self._axes = pyplot.subplots(num="rnnpool")
        self._axes.axis("off")

    def show(self, name: str, picture: Image.Image, frame: Image.Image, result: Result) -> bool:
        """Draws a picture."""
        if not self._pyplot.fignum_exists(self._figure.number):
            return False
        self._axes.clear()
        self._axes.axis("off")
        self._axes.set_title(f"{name}: {len(result.boxes)} faces")
        self._axes.imshow(drawn(picture, frame, result))
        self._pyplot.pause(0.001)
        return True

    def close(self) -> None:
        """Closes the window."""
        self._pyplot.close(self._figure)


def window() -> Viewer | None:
    """A window, if this computer has a display and a library that can open one; else None."""
    cv2 = opencv()
    if cv2 is not None:
        try:
            cv2.namedWindow(OpenCvWindow.TITLE, cv2.WINDOW_AUTOSIZE)
            return OpenCvWindow(cv2)
        except cv2.error:  # built without windows, or no display
            pass
    import matplotlib
    from matplotlib import pyplot

    if matplotlib.get_backend().lower() in ("agg", "pdf", "svg", "ps", "cairo", "template"):
        return None
    return PlotWindow(pyplot)
