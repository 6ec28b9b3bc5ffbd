"""Models and images of the benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import network
from .compile import ROOT
from .machine import BenchError


def find_models(given: list[str]) -> dict[str, Path]:
    """name -> blob, of NAME=PATH arguments or of models/*.rnnp."""
    models = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not Path(path).is_file():
            raise BenchError(f"--model wants NAME=PATH of a file, given {text!r}")
        models[name] = Path(path)
    if not given:
        models = {path.stem: path for path in sorted((ROOT / "models").glob("*.rnnp"))}
    if not models:
        raise BenchError("there is no models/*.rnnp; give one with --model NAME=PATH")
    return models


def golden_image(shape: network.Shape, seed: int = 1) -> npt.NDArray[np.uint8]:
    """The golden frame of docs/arithmetic.md, section 5: (height, width), or (height, width, 3)."""
    out = np.empty((shape.height, shape.width, shape.channels), np.uint8)
    state = seed
    for y in range(shape.height):
        for x in range(shape.width):
            for channel in range(shape.channels):
                state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
                out[y, x, channel] = ((state >> 26) + (((x >> 3) ^ (y >> 3)) & 15) * 12) & 255
    return out[..., 0] if shape.channels == 1 else out


def load_image(path: str | None, shape: network.Shape) -> tuple[npt.NDArray[np.uint8], str]:
    """An image in the model's size and its name; by default the portrait in matplotlib's sample data."""
    try:
        from PIL import Image

        if path is None:
            import matplotlib

            path = str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
        with Image.open(path) as picture:
            mode = "L" if shape.channels == 1 else "RGB"
            scaled = picture.convert(mode).resize((shape.width, shape.height), Image.Resampling.BILINEAR)
            return np.asarray(scaled, np.uint8), Path(path).name
    except ImportError:
        if path is not None:
            raise BenchError("--image needs pillow (pip)") from None
        return golden_image(shape), "golden frame"
    except OSError as error:
        raise BenchError(f"cannot read the image: {error}") from None
