"""Data sets larger than memory: pictures are decoded when they are used, by threads ahead of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .images import upright_size

PIXELS = NDArray[np.uint8]
Stored = PIXELS | Callable[[], PIXELS]  # pixels, or what reads them
GIB = 1 << 30
DEFAULT = 4.0  # GiB
AHEAD = 24  # pictures of each order to come that are being decoded


class Memory:
    """What is left of a number of GiB for decoded pictures: those that come first are kept.

    Views draw the pictures in ever new orders, so no other choice of what to keep would be found there more often.
    """

    def __init__(self, gigabytes: float) -> None:
        self.left = gigabytes * GIB
        self.streamed = 0  # pictures that were not kept

    def said(self, before: int = 0) -> str:
        """For a message: how many pictures beyond `before` were not kept, or nothing."""
        count = self.streamed - before
        return f", {count} of them do not fit into --memory and are read when they are used" if count else ""

    def take(self, path: Path, read: Callable[[], PIXELS]) -> tuple[Stored, int, int]:
        """The pixels that `read` reads from a file, or `read` itself; and width and height. InputError."""
        if self.left > 0:
            kept = read()
            return self.keep(kept, read), kept.shape[1], kept.shape[0]
        self.streamed += 1
        return read, *upright_size(path)

    def keep(self, pixels: PIXELS, read: Callable[[], PIXELS]) -> Stored:
        """Pixels that were read, or what reads them again."""
        if self.left > 0:
            self.left -= pixels.nbytes
            return pixels
        self.streamed += 1
        return read


def pixels(stored: Stored) -> PIXELS:
    """The pixels of a picture, read if need be."""
    return stored() if callable(stored) else stored


class Ahead:
    """Pixels of pictures by number, those that are wanted soon decoded meanwhile by `workers` threads (0: by none)."""

    def __init__(self, pictures: Sequence[Stored], workers: int) -> None:
        self.pictures, self.workers = pictures, workers
        self.pending: dict[int, Future[PIXELS]] = {}
        self.pool: ThreadPoolExecutor | None = None

    def want(self, order: Sequence[int]) -> None:
        """Begin to decode the last AHEAD of an order that is taken from its end."""
        if not self.workers:
            return
        for number in reversed(order[-AHEAD:]):
            picture = self.pictures[number]
            if callable(picture) and number not in self.pending:
                if self.pool is None:
                    self.pool = ThreadPoolExecutor(self.workers, "decode")
                self.pending[number] = self.pool.submit(picture)

    def __getitem__(self, number: int) -> PIXELS:
        """Of a picture; waits for the thread that decodes it, or reads it here. InputError if it can't be read."""
        future = self.pending.pop(number, None)
        return pixels(self.pictures[number]) if future is None else future.result()
