"""What a model finds on pictures: rnnpool detect photo.jpg [MORE ...] [--model mine.rnnp] [-o found.png].

By the module `rnnpool`, so to the bit what a board finds in the same frame: the picture, upright, reduced to what a
camera would deliver. Needs no PyTorch, and in an installed wheel no compiler.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import rnnpool
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from . import files
from .command import command, integer, program, real
from .errors import InputError
from .images import read

CAMERA = 640  # pixels of the frame's longer side
KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")  # of pictures that are written
YELLOW = (255, 212, 59)


def find_model(text: str) -> rnnpool.Model:
    """A path, or the name of one of ours."""
    if Path(text).exists() or "/" in text or Path(text).suffix:
        blob = Path(text).read_bytes()
    elif text in rnnpool.builtin_models():
        return rnnpool.Model(text)
    else:
        ours = ", ".join(rnnpool.builtin_models())
        raise InputError(f"there is no model {text!r}: name a .rnnp file, or one of ours ({ours})")
    try:
        return rnnpool.Model(blob)
    except ValueError as error:
        raise InputError(f"{text}: {error}") from None


def look(model: rnnpool.Model, path: Path, side: int, threshold: float | None, iou: float | None) -> dict[str, object]:
    """What it finds, with boxes in pixels of the frame: as JSON has it."""
    pixels = read(path, 3, side)
    height, width = pixels.shape[:2]
    result: dict[str, object] = {"file": str(path), "width": width, "height": height}
    if model.task == "numbers":
        values = model.run(pixels.data, width=width, height=height, format=rnnpool.RGB888)
        numbers = [(value - model.output_zero_point) * model.output_scale for value in values]
        return result | {"numbers": dict(zip(model.labels, numbers, strict=True))}
    if model.task == "classification":
        chances = model.classify(pixels.data, width=width, height=height, format=rnnpool.RGB888)
        return result | {"probabilities": dict(zip(model.labels, chances, strict=True))}
    found = model.detect(pixels.data, width=width, height=height, format=rnnpool.RGB888, threshold=threshold, iou=iou)
    return result | {"detections": [[*box[:4], round(box[4], 4), *box[5:]] for box in found]}


def draw(pixels: NDArray[np.uint8], detections: list[list[float]]) -> Image.Image:
    """The frame with the boxes and their scores."""
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for x, y, w, h, score, *_ in detections:
        pen.rectangle((x, y, x + w, y + h), outline=YELLOW, width=3)
        pen.text((x + 4, y + 4), f"{score:.2f}", fill=YELLOW, stroke_width=2, stroke_fill=(0, 0, 0))
    return image


def lines(result: dict[str, object], labels: tuple[str, ...]) -> list[str]:
    """A result for people. labels: the model's."""
    title = f"{result['file']} as a frame of {result['width']}x{result['height']}:"
    if isinstance(chances := result.get("probabilities"), dict):
        return [title, *(f"    {value:6.3f}  {label}" for label, value in chances.items())]
    if isinstance(numbers := result.get("numbers"), dict):
        return [title, *(f"    {value:.6g}  {label}" for label, value in numbers.items())]
    boxes = result["detections"]
    assert isinstance(boxes, list)
    return [
        f"{title} {len(boxes)} found",
        *(
            f"    {w}x{h} at {x}, {y}: {score:.2f}{f' {labels[label[0]]}' if label else ''}"
            for x, y, w, h, score, *label in boxes
        ),
    ]


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog=program("rnnpool_training.detect"), description=(__doc__ or "").split("\n")[0])
    p.add_argument("pictures", type=Path, nargs="+", help="picture files")
    p.add_argument("--model", default="face", help="a .rnnp file, face or person (default: %(default)s)")
    p.add_argument(
        "--side", type=integer(1, 4096), default=CAMERA, help="the frame's longer side (default: %(default)s)"
    )
    p.add_argument("--threshold", type=real(0, 1), help="least score (default: the model's)")
    p.add_argument(
        "--iou", type=real(0, 1), help="overlap from which the weaker of two boxes goes (default: the model's)"
    )
    p.add_argument("-o", "--out", type=Path, help="one picture: where to write it with its boxes")
    p.add_argument("--json", action="store_true", help="print a JSON object a picture")
    options = p.parse_args(arguments)
    model = find_model(options.model)
    if model.task == "map":
        raise InputError(
            f"{options.model} gives a map, not boxes or classes: Model.run() in Python, or the page (make web)"
        )
    said = [f"--{name}" for name in ("threshold", "iou") if getattr(options, name) is not None]
    if said and model.task != "detection":
        raise InputError(f"{', '.join(said)}: of models that detect; {options.model} gives {model.task}")
    if options.out:
        if len(options.pictures) > 1 or model.task != "detection":
            raise InputError("-o is for one picture and a model that detects")
        if options.out.suffix.lower() not in KINDS:
            raise InputError(f"{options.out}: a picture to write ends in {', '.join(KINDS)}")
        files.check_output(options.out, read=[*options.pictures, options.model])
    broken = []
    for path in options.pictures:
        try:
            result = look(model, path, options.side, options.threshold, options.iou)
        except InputError as error:
            if len(options.pictures) == 1:
                raise
            print(f"detect: {error}", file=sys.stderr)
            broken.append(str(path))
            continue
        print(json.dumps(result) if options.json else "\n".join(lines(result, model.labels)))
        if options.out:
            boxes = result["detections"]
            assert isinstance(boxes, list)
            with files.replacing(options.out) as unfinished:
                draw(read(path, 3, options.side), boxes).save(unfinished)
            print(f"picture: {options.out}")
    if broken:
        raise InputError(f"{len(broken)} of {len(options.pictures)} pictures could not be read: {', '.join(broken)}")


if __name__ == "__main__":
    main()
