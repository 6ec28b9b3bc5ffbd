#!/usr/bin/env python3
"""Finds the faces on a photo with the rnnpool module in MicroPython's unix port; writes a picture with the boxes.

The photo is made as small as a camera would deliver it (RGB888 that fits 640x480). examples/detect_image.py runs on it
in MicroPython, where the module itself scales it to the gray 320x240 that the model sees. Without a photo: the portrait
that matplotlib ships as sample data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.cbook
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from rnnpool_training import interrupts
from rnnpool_training.errors import InputError, printable, reason, sentence
from rnnpool_training.files import replacing
from rnnpool_training.images import upright
from rnnpool_training.reference import Format
from rnnpool_training.reference.frame import model_input

CAMERA = (640, 480)  # width, height
MODEL = (320, 240)  # of the model's input
CLOCK = 168_000_000  # Hz
BENCHMARKS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.json"
SHEET_WIDTH, SHEET_HEIGHT = 960, 720  # the photo is shown at the size that fits
GREEN = (0, 255, 0)
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "detect_image.py"
TIMEOUT_SECONDS = 120


class DemoError(Exception):
    """The demo can't go on; the text is one sentence for the user."""


def load(path: Path) -> Image.Image:
    """Returns a photo as an upright RGB image; raises DemoError if the file is none."""
    try:
        return upright(path).convert("RGB")
    except InputError as error:
        raise DemoError(str(error)) from None


def as_camera_frame(photo: Image.Image) -> Image.Image:
    """Returns the photo made smaller (never larger) so that it fits CAMERA with its aspect kept."""
    frame = photo.copy()
    frame.thumbnail(CAMERA, Image.Resampling.BOX)
    return frame


def detect(micropython: Path, frame: Path) -> dict[str, Any]:
    """Runs examples/detect_image.py on a PPM file and returns the object that it prints."""
    command = [str(micropython), str(EXAMPLE), str(frame)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except OSError as error:
        raise DemoError(f"{micropython} can't be run: {reason(error)} (`make unix` builds it)") from None
    except subprocess.TimeoutExpired:
        raise DemoError(f"{micropython} gave no result in {TIMEOUT_SECONDS} seconds") from None
    if done.returncode != 0:
        raise DemoError(f"{EXAMPLE.name} failed in {micropython}:\n{done.stdout}{done.stderr}".rstrip())
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise DemoError(f"{micropython} printed no JSON object: {done.stdout[:200]!r}") from None
    return result


def in_photo(faces: list[list[float]], photo: Image.Image, frame: Image.Image) -> list[list[float]]:
    """Boxes [x, y, w, h, score] of the frame in the photo's pixels."""
    across, down = photo.width / frame.width, photo.height / frame.height
    return [[x * across, y * down, w * across, h * down, score] for x, y, w, h, score in faces]


def font(size: float) -> ImageFont.FreeTypeFont:
    """A font of so many pixels: the one that matplotlib ships, which every installation has."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), max(8, round(size)))


def annotate(photo: Image.Image, faces: list[list[float]]) -> Image.Image:
    """Returns a copy of the photo with the boxes, and the scores beside them: above, or below if there is no room."""
    picture = photo.copy()
    draw = ImageDraw.Draw(picture)
    line = max(1, round(max(picture.size) / 300))
    letters = font(max(picture.size) / 40)
    for x, y, w, h, score in faces:
        draw.rectangle((x, y, x + w, y + h), outline=GREEN, width=line)
        left, top, right, bottom = draw.textbbox((0, 0), f" {score:.2f} ", font=letters)
        width, height = right - left, bottom - top + 2 * line
        place_x = min(max(0, x), max(0, picture.width - width))
        place_y = y - height if y >= height else min(y + h + line, max(0, picture.height - height))
        draw.rectangle((place_x, place_y, place_x + width, place_y + height - 1), fill="black")
        draw.text((place_x - left, place_y - top + line), f" {score:.2f} ", fill="white", font=letters)
    return picture


def seen(frame: Image.Image, size: tuple[int, int]) -> Image.Image:
    """What the model sees of a frame: gray, scaled to fit width x height at the top left, as on the device."""
    shape = (size[1], size[0], 1)
    pixels = np.asarray(frame.convert("RGB")).tobytes()
    return Image.fromarray(model_input(pixels, *frame.size, Format.RGB888, shape)[:, :, 0])


def on_a_board(benchmarks: Path = BENCHMARKS) -> str:
    """What a board would need, by the committed benchmark."""
    figures = json.loads(benchmarks.read_text())["models"]["face"]
    seconds = figures["cycles"] / CLOCK
    clock = f"{CLOCK / 1e6:.0f} MHz"
    return f"On a Cortex-M4 at {clock}: {seconds:.2f} s, {figures['arena']:,} bytes of RAM (docs/benchmarks.md)"


def sheet(
    photo: Image.Image, faces: list[list[float]], small: Image.Image, size: tuple[int, int], text: list[str]
) -> Image.Image:
    """The photo with its boxes at a size for a screen, what the model sees (`small`) beside it, and text below."""
    scale = min(SHEET_HEIGHT / photo.height, SHEET_WIDTH / photo.width)
    shown = photo.resize((max(1, round(photo.width * scale)), max(1, round(photo.height * scale))))
    left = annotate(shown, [[x * scale, y * scale, w * scale, h * scale, score] for x, y, w, h, score in faces])
    right = small.convert("RGB").resize(size)
    letters, gap = font(20), 16
    lines = [*text, "right: all that the model sees of it"]
    width = max(left.width + right.width + gap, *(round(letters.getlength(line)) + gap for line in lines))
    picture = Image.new("RGB", (width + 2 * gap, max(left.height, right.height) + 28 * len(lines) + 3 * gap), "white")
    picture.paste(left, (gap, gap))
    picture.paste(right, (left.width + 2 * gap, gap))
    draw = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        draw.text((gap, picture.height - gap - 28 * (len(lines) - i)), line, fill="black", font=letters)
    return picture


def report(faces: list[list[float]]) -> list[str]:
    """Lines of a table of the faces, in the photo's pixels."""
    if not faces:
        return ["Faces:  none"]
    lines = [f"Faces:  {len(faces)} (in the photo's pixels)", "           x      y  width height  score"]
    return lines + ["        {:4.0f}   {:4.0f}   {:4.0f}   {:4.0f}  {:.3f}".format(*face) for face in faces]


@interrupts.said
def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", help="the photo; without it matplotlib's grace_hopper.jpg")
    parser.add_argument("--micropython", type=Path, required=True, help="the binary that `make unix` builds")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the pictures")
    arguments = parser.parse_args()
    try:
        path = arguments.image or Path(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
        name = printable(path.name)  # of UTF-8, which MicroPython opens
        photo = load(path)
        frame = as_camera_frame(photo)
        arguments.output_dir.mkdir(parents=True, exist_ok=True)
        frame_path = arguments.output_dir / f"{name}.ppm"  # with its suffix: a.jpg and a.png are two photos
        with replacing(frame_path) as unfinished:
            frame.save(unfinished)
        result = detect(arguments.micropython, frame_path)
        faces = in_photo(result["faces"], photo, frame)
        output = arguments.output_dir / f"{name}-faces.png"
        board = on_a_board()
        found = f"{len(faces)} face{'' if len(faces) == 1 else 's'} in {name}"
        with replacing(output) as unfinished:
            sheet(photo, faces, seen(frame, MODEL), MODEL, [found, board]).save(unfinished)
    except (DemoError, OSError) as error:
        print(f"demo: {sentence(error)}", file=sys.stderr)
        return 1
    print(
        f"Photo:  {printable(str(path))} ({photo.width}x{photo.height}, given as {frame.width}x{frame.height} RGB888)"
    )
    print("\n".join(report(faces)))
    print(
        f"RAM:    {result['ram']:,} bytes of MicroPython's heap (beside the frame's {3 * frame.width * frame.height:,})"
    )
    print(f"Time:   {result['microseconds'] / 1000:.1f} ms on this computer")
    print(f"Board:  {board}")
    print(f"Boxes:  {printable(str(output))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
