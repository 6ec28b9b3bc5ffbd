"""Generated pictures with face-like shapes and exact labels: for tests and the smoke run, never for a real model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .command import command, integer
from .files import make_folder, new_data_folder, replacing, write_text


def picture(random: np.random.Generator, width: int, height: int) -> tuple[Image.Image, list[list[float]]]:
    """A cluttered gray picture and the boxes [x, y, w, h] of the faces drawn in it."""
    noise = random.integers(0, 256, (height // 16 + 1, width // 16 + 1), dtype=np.uint8)
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = random.uniform(0, width), random.uniform(0, height)
        w, h = random.uniform(5, 60, 2)
        shape = draw.rectangle if random.random() < 0.5 else draw.ellipse
        shape((x, y, x + w, y + h), fill=int(random.integers(256)))
    boxes: list[list[float]] = []
    for _ in range(int(random.integers(0, 4))):
        w = float(np.exp(random.uniform(np.log(14), np.log(min(width, height) / 2))))
        h = w * 1.15
        x, y = random.uniform(0, width - w), random.uniform(0, height - h)
        if any(abs(x - b[0]) < (w + b[2]) / 2 and abs(y - b[1]) < (h + b[3]) / 2 for b in boxes):
            continue
        skin, dark = int(random.integers(140, 240)), int(random.integers(0, 70))
        draw.ellipse((x, y, x + w, y + h), fill=skin)
        for cx, cy, rx, ry in ((0.3, 0.4, 0.09, 0.06), (0.7, 0.4, 0.09, 0.06), (0.5, 0.75, 0.2, 0.05)):
            draw.ellipse((x + (cx - rx) * w, y + (cy - ry) * h, x + (cx + rx) * w, y + (cy + ry) * h), fill=dark)
        boxes.append([round(v, 1) for v in (x, y, w, h)])
    return image.filter(ImageFilter.GaussianBlur(0.6)), boxes


def write_folder(folder: Path, count: int, seed: int) -> None:
    """A data folder as `data.load` reads it: images/ and labels.jsonl."""
    random = np.random.default_rng(seed)
    make_folder(new_data_folder(folder) / "images")
    lines = []
    for i in range(count):
        width, height = ((320, 240), (320, 213), (180, 240))[i % 3]
        image, boxes = picture(random, width, height)
        name = f"images/generated_{i:04d}.png"
        with replacing(folder / name) as path:
            image.save(path)
        lines.append(json.dumps({"file": name, "width": width, "height": height, "boxes": boxes, "source": "generated",
                                 "complete": True}))  # fmt: skip
    write_text(folder / "labels.jsonl", "\n".join(lines) + "\n")


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.generated", description=__doc__)
    p.add_argument("folder", type=Path, help="where to write images/ and labels.jsonl")
    p.add_argument("--count", type=integer(1), default=100, help="pictures (default: %(default)s)")
    p.add_argument("--seed", type=integer(0), default=1)
    options = p.parse_args(arguments)
    write_folder(options.folder, options.count, options.seed)
    print(f"{options.count} drawn pictures in {options.folder}")


if __name__ == "__main__":
    main()
