"""Frames that tools/camera_recall.py makes are what their formats and views say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rnnpool_training.data import Sample
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format
from rnnpool_training.reference.formats import expand, stored_rows
from tools import camera_recall

ROOT = Path(__file__).resolve().parents[2]
GRAY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)


UNDONE = [c for c in camera_recall.CONDITIONS if c.option]


@pytest.mark.parametrize("condition", UNDONE, ids=lambda c: f"{c.name} {c.option}")
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


@pytest.mark.parametrize("angle", [20, -20])
def test_boxes_of_a_tilted_picture_hold_what_they_held(angle: int) -> None:
    pytest.importorskip("torch")
    image = Image.new("L", (200, 160))
    ImageDraw.Draw(image).ellipse((60, 20, 99, 79), fill=255)
    ImageDraw.Draw(image).ellipse((-30, 140, 9, 159), fill=255)  # leaves the picture at one of the angles
    boxes = np.array([[60, 20, 40, 60], [0, 140, 10, 20]], np.float32)
    made = camera_recall.tilted(Sample("", np.array(image), boxes, "", True), angle)
    assert made.pixels.shape == (160, 200) and made.pixels[0, 0] == 128
    x, y, w, h = made.boxes[0]
    rows, columns = np.nonzero((made.pixels > 140)[:120, 20:])
    seen = columns.min() + 20, rows.min(), columns.max() + 21, rows.max() + 1
    assert np.allclose(seen, (x, y, x + w, y + h), atol=2)
    assert abs(y - 20) > 3 and (made.boxes[:, :2] >= 0).all()  # the sky has moved
    assert (made.boxes[:, 2:] > 1).all() and (made.boxes[:, :2] + made.boxes[:, 2:] <= [200, 160]).all()


def test_kinds_of_frames_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        camera_recall.main(["--model", str(ROOT / "models/face.rnnp"), "--data", "none", "--only", "upside"])
    assert "--only upside: frames are RGB565, high byte first, YUYV, " in capsys.readouterr().err


def test_colours_of_a_classifier() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    for pack, format in ((camera_recall.colour_words, Format.RGB565_BE), (camera_recall.swapped, Format.BGR888)):
        pixels = expand(stored_rows(pack(rgb), 6, 4, format), format, 3)
        assert np.abs(pixels.astype(int) - rgb).max() <= 8


def test_the_option_finds_the_face_that_is_lost_without_it() -> None:
    from matplotlib import cbook
    from PIL import ImageOps

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        gray = np.asarray(ImageOps.fit(Image.open(file).convert("L"), (200, 240)))
    engine = Engine((ROOT / "models" / "face.rnnp").read_bytes())
    samples = [Sample("", gray, np.array([[66, 52, 74, 83]], np.float32), "", True)]
    (turned,) = (c for c in camera_recall.CONDITIONS if c.option == "rotate=90")
    assert camera_recall.measure(engine, samples, turned, False)["recall"] == 0
    assert camera_recall.measure(engine, samples, turned, True)["recall"] == 1


def test_the_largest_face_becomes_as_large_as_asked() -> None:
    pixels = np.full((300, 400), 20, np.uint8)
    pixels[40:100, 300:360] = 220
    boxes = np.array([[10, 10, 20, 20], [300, 40, 60, 60]], np.float32)
    sample = Sample("x", pixels, boxes, "s", True)
    made = camera_recall.enlarged(sample, 120)
    assert made is not None and made.pixels.shape == (240, 320) and not made.complete
    np.testing.assert_allclose(made.boxes, [[100, 60, 120, 120]])
    inside = np.zeros((240, 320), bool)
    inside[60:180, 100:220] = True
    assert (made.pixels[inside] > 100).mean() > 0.97 and (made.pixels[~inside] < 140).all()
    assert (made.pixels[:, 305:] == 128).all()  # beyond the picture
    assert camera_recall.enlarged(replace(sample, boxes=boxes[:1]), 120) is None
