"""Data sets larger than memory: what is kept, what is decoded ahead, and that views do not depend on it."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from rnnpool_training.augment import Views
from rnnpool_training.classifier_views import ClassifierViews
from rnnpool_training.data import load
from rnnpool_training.errors import InputError
from rnnpool_training.generated import write_folder
from rnnpool_training.images import read, upright_size
from rnnpool_training.pictures import Picture, load_folders
from rnnpool_training.streaming import AHEAD, GIB, Ahead, Memory


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streaming")
    write_folder(folder, 6, seed=5)
    return folder


def test_pictures_are_kept_as_far_as_they_fit(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = load(data)
    assert "--memory" not in capsys.readouterr().err and not any(callable(s.stored) for s in everything)
    some = load(data, memory=Memory((everything[0].pixels.nbytes + 1) / GIB))
    assert ", 4 of them do not fit into --memory and are read when they are used\n" in capsys.readouterr().err
    assert [callable(s.stored) for s in some] == [False, False, True, True, True, True]
    for a, b in zip(everything, some, strict=True):
        assert (a.pixels == b.pixels).all() and (a.boxes == b.boxes).all()


def test_views_of_streamed_pictures_are_the_same(data: Path) -> None:
    kept, streamed = load(data), load(data, memory=Memory(0))
    views = [Views(s, 3, (240, 320), workers=w) for s, w in ((kept, 0), (streamed, 0), (streamed, 2))]
    batches = [[v.batch(3, 64, 64)[0] for _ in range(6)] for v in views]
    for other in batches[1:]:
        assert all((a == b).all() for a, b in zip(batches[0], other, strict=True))
    assert views[2].pictures.pool is not None and len(views[2].pictures.pending) < 6
    pixels = [s.pixels[:, :, None] for s in kept]
    kinds = (pixels, [lambda p=p: p for p in pixels])
    pictures = [
        [Picture(s.name, p, i % 2, s.boxes) for i, (s, p) in enumerate(zip(kept, k, strict=True))] for k in kinds
    ]
    own = [ClassifierViews(p, 3, 1, workers=2) for p in pictures]
    first, second = (each.batch(12, 64, 64) for each in own)
    assert own[0].ahead.pool is None and own[1].ahead.pool is not None
    assert (first.pixels == second.pixels).all() and (first.labels == second.labels).all()


def test_workers_decode_ahead_but_not_far() -> None:
    done: list[int] = []
    names: set[str] = set()

    def decode(number: int) -> np.ndarray:
        names.add(threading.current_thread().name)
        done.append(number)
        return np.full((2, 2), number, np.uint8)

    pictures = [lambda i=i: decode(i) for i in range(100)]
    ahead = Ahead(pictures, 2)
    order = list(range(100))
    while order:
        ahead.want(order)
        assert len(ahead.pending) <= AHEAD
        number = order.pop()
        assert ahead[number][0, 0] == number
    assert sorted(done) == list(range(100)) and not ahead.pending  # each once
    assert all(name.startswith("decode") for name in names)


def test_sizes_by_the_header_are_those_of_the_pixels(tmp_path: Path) -> None:
    image = Image.new("RGB", (30, 20))
    for orientation in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[0x112] = orientation
        image.save(tmp_path / "a.jpg", exif=exif)
        height, width, _ = read(tmp_path / "a.jpg", 3).shape
        assert upright_size(tmp_path / "a.jpg") == (width, height) == ((20, 30) if orientation > 5 else (30, 20))
    Image.new("I;16", (4, 4)).save(tmp_path / "deep.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, words in (("deep.png", "mode I"), ("broken.png", "can't be read"), ("none.png", "it is not there")):
        for function in (upright_size, lambda path: read(path, 1)):
            with pytest.raises(InputError, match=words):
                function(tmp_path / name)


def test_class_folders_beyond_memory_are_opened_only(tmp_path: Path) -> None:
    """By their header; a file that is none is listed all the same, and pixels are those of decoding at once."""
    for i, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for k in range(2):
            Image.new("RGB", (8, 6), (90 * i, 60 * k, 7)).save(tmp_path / name / f"{k}.png")
    (tmp_path / "dog" / "2.png").write_bytes(b"no picture")
    whole, streamed = load_folders(tmp_path, 3), load_folders(tmp_path, 3, memory=Memory(0))
    assert all(callable(picture.stored) for picture in streamed.pictures)
    assert not any(callable(picture.stored) for picture in whole.pictures)
    assert [name for name, _ in streamed.skipped] == ["dog/2.png"] == [name for name, _ in whole.skipped]
    for one, two in zip(whole.pictures, streamed.pictures, strict=True):
        assert (one.name, one.label) == (two.name, two.label)
        np.testing.assert_array_equal(one.pixels, two.pixels)


def test_a_streamed_picture_that_is_gone_is_named(data: Path, tmp_path: Path) -> None:
    for path in data.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(data)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(data)).write_bytes(path.read_bytes())
    samples = load(tmp_path, memory=Memory(0))
    gone = next((tmp_path / "images").iterdir())
    gone.unlink()
    views = Views(samples, 3, (240, 320), workers=2)
    with pytest.raises(InputError, match=f"{gone.name} can't be read as an image: it is not there"):
        for _ in range(6):
            views.view(64, 64, False)
