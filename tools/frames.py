#!/usr/bin/env python3
"""Writes pictures as raw frames, as a camera would deliver them: what the examples and the README read.

    python -m tools.frames -o frame.raw                                    # matplotlib's portrait, 320x240, GRAY8
    python -m tools.frames photo.jpg --size 160x120 --format rgb565 -o frame.raw
    python -m tools.frames pictures/ -o frames.raw                         # one after the other, for examples/watch.py

Each picture is turned upright and made smaller so that it fits the size, at the top left; the rest is mid grey.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib.cbook
from PIL import Image

from rnnpool_training import interrupts
from rnnpool_training.errors import sentence
from rnnpool_training.files import check_output, replacing
from tools.board import frames
from tools.board.__main__ import size_of
from tools.board.problem import Problem


def framed(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture within a frame of exactly this size."""
    small = frames.shrink(image.convert("RGB"), *size)
    whole = Image.new("RGB", size, (128, 128, 128))
    whole.paste(small, (0, 0))
    return whole


@interrupts.said
def main(words: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.frames", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", help="pictures or folders of them (default: matplotlib's portrait)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--size", type=size_of, default=(320, 240), help="WIDTHxHEIGHT of the frames (320x240)")
    parser.add_argument("--format", choices=sorted(frames.FORMATS), default="gray8", help="(default: %(default)s)")
    arguments = parser.parse_args(words)
    portrait = str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    try:
        pictures, _ = frames.find(arguments.pictures or [portrait])
        given = [Path(source) for source in arguments.pictures]
        files = [file for path in given for file in (path.iterdir() if path.is_dir() else [path])]
        check_output(arguments.output, read=files)
        if arguments.output.suffix.lower() in frames.PICTURES:
            raise Problem(f"{arguments.output} is the name of a picture, and bare pixels are written: say frame.raw")
        count = 0
        with replacing(arguments.output) as path, path.open("wb") as file:
            for picture in pictures:
                image = framed(picture.image, arguments.size)
                file.write(frames.encode(image, frames.FORMATS[arguments.format]).pixels)
                count += 1
    except (Problem, OSError) as error:
        print(f"frames: {sentence(error)}", file=sys.stderr)
        return 1
    width, height = arguments.size
    print(f"{arguments.output}: {count} frame{'' if count == 1 else 's'} of {width}x{height}, {arguments.format}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
