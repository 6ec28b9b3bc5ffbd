"""Training views of detectors: boxes stay on the faces, light spans what cameras deliver."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rnnpool_training.data import Sample, load
from rnnpool_training.light import Light

torch = pytest.importorskip("torch")

from rnnpool_training.augment import Views, place  # noqa: E402
from rnnpool_training.generated import write_folder  # noqa: E402


def test_views(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, seed=3)
    views = Views(load(tmp_path), 1, (240, 320))
    for height, width, whole in ((192, 192, False), (240, 320, True), (64, 128, False)):
        x, t = views.batch(8, height, width, whole)
        assert x.shape == (8, 1, height, width) and x.min() >= -1 and x.max() < 1
        assert torch.equal(x * 128, (x * 128).round())
        assert sum(t.counts) == len(t.boxes) == len(t.face) and len(t.counts) == 8
        assert (t.boxes[:, :2] >= 0).all() and (t.boxes[:, 2] <= width).all() and (t.boxes[:, 3] <= height).all()
        assert (t.boxes[:, 2:] > t.boxes[:, :2]).all()


def ellipse(centre: tuple[float, float], half: tuple[float, float]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A bright ellipse on a dark picture of 320x240, and its box x, y, w, h."""
    y, x = np.mgrid[:240, :320]
    inside = ((x + 0.5 - centre[0]) / half[0]) ** 2 + ((y + 0.5 - centre[1]) / half[1]) ** 2 <= 1
    box = [centre[0] - half[0], centre[1] - half[1], 2 * half[0], 2 * half[1]]
    return np.where(inside, 220, 30).astype(np.uint8), np.array([box], np.float32)


def around(bright: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The corners around what is set."""
    y, x = np.nonzero(bright)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float64)


@pytest.mark.parametrize("angle", [0.0, -30.0, 17.0])
def test_boxes_turn_with_the_picture(angle: float) -> None:
    pixels, boxes = ellipse((110, 90), (25, 40))
    views = Views([Sample("x", pixels, boxes, "s", True)], 5, (240, 320))
    views.light = np.asarray  # type: ignore[assignment]
    for left, top, scale in ((0.0, 0.0, 1.0), (30.0, -20.0, 1.3), (-40.0, 10.0, 0.6)):
        seen = views._pixels(Image.fromarray(pixels), left, top, scale, angle, (200, 260))
        assert seen.shape == (200, 260)
        corners = place(boxes, left, top, scale, angle, (200, 260))[0]
        assert np.abs(around(seen > 165) - np.clip(corners, 0, [260, 200, 260, 200])).max() < 2


def test_views_keep_boxes_on_the_faces() -> None:
    """Crops, whole frames and close-ups, flipped and turned: what a box holds is the bright ellipse."""
    pixels, boxes = ellipse((80, 120), (30, 42))
    views = Views([Sample("x", pixels, boxes, "s", True)], 5, (240, 320))
    views.light = np.asarray  # type: ignore[assignment]
    views._cover = lambda out, corners: None  # type: ignore[method-assign]
    tall = []
    for i in range(120):
        view = views.view(*((192, 192, False) if i % 2 else (240, 320, True)))
        for box, kind in zip(view.boxes, view.kinds, strict=True):
            tall.append(box[3] - box[1])
            if kind == 1:
                assert np.abs(around(view.pixels > 165) - box).max() < 3
    assert len(tall) > 100 and max(tall) > 150 and min(tall) < 35


def test_covered_faces_keep_their_boxes() -> None:
    pixels, boxes = ellipse((160, 120), (50, 60))
    views = Views([Sample("x", pixels, boxes, "s", True)], 5, (240, 320))
    changed = []
    for _ in range(40):
        out = pixels.copy()
        views._cover(out, place(boxes, 0, 0, 1, 0, (240, 320)))
        changed.append(out != pixels)
        # A good part of the face stays: half of it and more.
        assert (changed[-1] & (pixels > 165)).sum() < 0.6 * (pixels > 165).sum()
    assert 8 < sum(bool(c.any()) for c in changed) < 32


def test_light_spans_what_cameras_deliver() -> None:
    light = Light(np.random.default_rng(1))
    flat = np.full((48, 64), 100, np.uint8)
    seen = [light(Image.fromarray(flat)) for _ in range(300)]
    means = np.array([s.mean() for s in seen])
    assert all(s.shape == (48, 64) and s.dtype == np.uint8 for s in seen)
    assert means.min() < 35 and means.max() > 180 and 70 < np.median(means) < 130
    spread = np.array([s.std() for s in seen])
    assert 0.05 < (spread > 0.5).mean() < 0.35 and 5 < spread.max() < 18  # noise, in some
    assert light(Image.fromarray(np.dstack([flat] * 3))).shape == (48, 64, 3)
    assert np.isclose(light.noise((1200, 1200), 3.0).std(), 3.0, rtol=0.01)  # larger than the strip
