#!/usr/bin/env python3
"""Finds the faces on a photo with the rnnpool module in MicroPython's unix port; writes a picture with the boxes.

The photo is made as small as a maker's camera would deliver it (it fits 320x240, gray), examples/photo.py runs on it in
MicroPython, and the boxes are drawn into the photo. Without a photo: the portrait that matplotlib ships as sample data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import matplotlib.cbook
from PIL import Image, ImageDraw, ImageOps

CAMERA = (320, 240)  # width, height
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "photo.py"
TIMEOUT_SECONDS = 120


class DemoError(Exception):
    """The demo can't go on; the text is one sentence for the user."""


def load(path: Path) -> Image.Image:
    """Returns a photo as an upright RGB image; raises DemoError if the file is none."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise DemoError(f"{path} can't be read as an image: {error}") from None


def as_camera_frame(photo: Image.Image) -> Image.Image:
    """Returns the photo in gray, made smaller (never larger) so that it fits CAMERA with its aspect kept."""
    frame = photo.convert("L")
    frame.thumbnail(CAMERA, Image.Resampling.BOX)
    return frame


def detect(micropython: Path, frame: Path) -> dict:
    """Runs examples/photo.py on a PGM file and returns the object that it prints."""
    command = [str(micropython), str(EXAMPLE), str(frame)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except OSError as error:
        raise DemoError(f"{micropython} can't be run: {error} (`make unix` builds it)") from None
    except subprocess.TimeoutExpired:
        raise DemoError(f"{micropython} gave no result in {TIMEOUT_SECONDS} seconds") from None
    if done.returncode != 0:
        raise DemoError(f"{EXAMPLE.name} failed in {micropython}:\n{done.stdout}{done.stderr}".rstrip())
    return json.loads(done.stdout)


def annotate(photo: Image.Image, faces: list[list[float]], scale: float) -> Image.Image:
    """Returns a copy of the photo with the boxes, whose unit is `scale` pixels of the photo, and their scores."""
    picture = photo.copy()
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 300))
    for x, y, w, h, score in faces:
        left, top = x * scale, y * scale
        draw.rectangle((left, top, left + w * scale, top + h * scale), outline="lime", width=line)
        draw.text((left + 2 * line, top + line), f"{score:.2f}", fill="lime", font_size=max(10, 6 * line))
    return picture


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", help="the photo; without it matplotlib's grace_hopper.jpg")
    parser.add_argument("--micropython", type=Path, required=True, help="the binary that `make unix` builds")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the pictures")
    arguments = parser.parse_args()
    try:
        path = arguments.image or Path(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
        photo = load(path)
        frame = as_camera_frame(photo)
        arguments.output_dir.mkdir(parents=True, exist_ok=True)
        frame_path = arguments.output_dir / f"{path.stem}.pgm"
        frame.save(frame_path)
        result = detect(arguments.micropython, frame_path)
        output = arguments.output_dir / f"{path.stem}-faces.png"
        annotate(photo, result["faces"], photo.width / frame.width).save(output)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"Photo:  {path} ({photo.width}x{photo.height}, seen as {frame.width}x{frame.height} gray)")
    print(f"Faces:  {len(result['faces'])}")
    for x, y, w, h, score in result["faces"]:
        print(f"        x {x:4}  y {y:4}  width {w:3}  height {h:3}  score {score:.3f}")
    print(f"RAM:    {result['ram']:,} bytes of MicroPython's heap (beside the frame's {frame.width * frame.height:,})")
    print(f"Time:   {result['microseconds'] / 1000:.1f} ms on this computer")
    print(f"Boxes:  {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
