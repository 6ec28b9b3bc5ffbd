"""What frames of other sizes and formats than the model's own cost beside the network, on the cycle model.

python -m tools.bench.frames          # a table for all of models/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnpool_training.reference import Format

from . import network

SIZES = ((320, 240), (640, 480))
FORMATS = (Format.GRAY8, Format.RGB565_BE, Format.RGB888, Format.YUYV)  # one of each way of unpacking
ROWS = 8  # that are repeated


def noise(width: int, height: int, format: Format) -> np.ndarray:
    """A frame whose values do not matter for its cost."""
    return np.random.default_rng(1).integers(0, 256, (height, width, format.bytes_per_pixel)).astype(np.uint8)


def measure(blob: Path, build: Path, sizes: Sequence[tuple[int, int]] = SIZES) -> dict[str, int]:
    """Cycles beyond those of a frame of the model's own size, by "WIDTHxHEIGHT FORMAT"."""
    shape = network.read_shape(blob.read_bytes())
    own = (shape.height, shape.width) if shape.channels == 1 else (shape.height, shape.width, 3)
    at_rest = _rest(network.run(blob, np.zeros(own, np.uint8), build))
    found = {}
    for width, height in sizes:
        for format in FORMATS:
            made = network.run(blob, noise(width, ROWS, format), build, format=int(format), height=height)
            found[f"{width}x{height} {format.name}"] = _rest(made) - at_rest
    return found


def _rest(result: network.Result) -> int:
    # What is no operator's: the frame, and what is the same for all frames of a model.
    return result.operators[-1].counts.cycles


def main() -> None:
    """Prints the table."""
    for blob in sorted((network.ROOT / "models").glob("*.rnnp")):
        for name, cycles in measure(blob, network.ROOT / "build" / "bench" / f"{blob.stem}-frames").items():
            print(f"{blob.stem:8} {name:20} {cycles / 1e6:7.2f} M cycles")


if __name__ == "__main__":
    main()
