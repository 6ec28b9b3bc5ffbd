"""Frames that tools/camera_recall.py makes are what their formats and views say."""

from pathlib import Path

import numpy as np
import pytest

from rnnpool_training.data import Sample
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format
from rnnpool_training.reference.formats import expand, stored_rows
from tools import camera_recall

ROOT = Path(__file__).resolve().parents[2]
GRAY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)


@pytest.mark.parametrize("condition", camera_recall.CONDITIONS, ids=lambda c: f"{c.name} {c.option}")
def test_frames_are_what_the_option_undoes(condition: camera_recall.Condition) -> None:
    boxes = np.array([[3, 5, 10, 8]], np.float32)
    (made,) = camera_recall.stored([Sample("", GRAY, boxes, "", True)], condition)
    height, width = made.pixels.shape
    rows = stored_rows(condition.pack(made.pixels), width, height, condition.format)
    back = condition.view.upright(expand(rows, condition.format, 1)[:, :, 0])
    wanted = condition.light(GRAY)
    assert np.abs(back.astype(int) - wanted).max() <= (8 if condition.format == Format.RGB565_BE else 0)
    x, y, w, h = (int(v) for v in made.boxes[0])
    part = condition.view.upright(made.pixels[y : y + h, x : x + w])
    np.testing.assert_array_equal(part, wanted[5:13, 3:13])


def test_colours_of_a_classifier() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    for pack, format in ((camera_recall.colour_words, Format.RGB565_BE), (camera_recall.swapped, Format.BGR888)):
        pixels = expand(stored_rows(pack(rgb), 6, 4, format), format, 3)
        assert np.abs(pixels.astype(int) - rgb).max() <= 8


def test_the_option_finds_the_face_that_is_lost_without_it() -> None:
    from matplotlib import cbook
    from PIL import Image, ImageOps

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        gray = np.asarray(ImageOps.fit(Image.open(file).convert("L"), (200, 240)))
    engine = Engine((ROOT / "models" / "face.rnnp").read_bytes())
    samples = [Sample("", gray, np.array([[66, 52, 74, 83]], np.float32), "", True)]
    (turned,) = (c for c in camera_recall.CONDITIONS if c.option == "rotate=90")
    assert camera_recall.measure(engine, samples, turned, False)["recall"] == 0
    assert camera_recall.measure(engine, samples, turned, True)["recall"] == 1
