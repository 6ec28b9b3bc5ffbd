"""Hard negatives: pictures without a face on which a model is sure of one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import networks

from rnnpool_training import negatives
from rnnpool_training.blob import save
from rnnpool_training.data import load
from rnnpool_training.errors import InputError
from rnnpool_training.evaluate_classifier import open_classifier
from rnnpool_training.versus import open_detector


def folder(path: Path) -> Path:
    """Pictures a (faces), b and c (none), d (none, but not all is labelled); the gray level is the model's score."""
    path.mkdir()
    lines = []
    for name, level, boxes, complete in (
        ("a", 250, [[4, 4, 20, 20]], True), ("b", 90, [], True), ("c", 200, [], True), ("d", 240, [], False),
        ("e", 60, [], True), ("f", 210, [], True),
    ):  # fmt: skip
        Image.fromarray(np.full((40, 40), level, np.uint8)).save(path / f"{name}.png")
        lines.append(json.dumps({"file": f"{name}.png", "boxes": boxes, "source": "s", "complete": complete}) + "\n")
    (path / "labels.jsonl").write_text("".join(lines))
    return path


def detect(pixels: np.ndarray) -> np.ndarray:
    return np.array([[0, 0, 9, 9, pixels[0, 0] / 255], [9, 9, 9, 9, 0.01]], np.float32)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(negatives, "open_detector", lambda _: detect)
    # The teacher sees a face in f.
    monkeypatch.setattr(negatives, "teacher", lambda _: lambda pixels: np.array([[0, 0, 9, 9, pixels[0, 0] == 210]]))
    return folder(tmp_path / "data")


def test_the_surest_pictures_without_a_face_are_kept(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    negatives.main(["model.rnnp", "--data", str(data), "--teachers", "t", "--out", str(out)])
    said = json.loads(capsys.readouterr().out)
    assert (said["looked at"], said["alarms"], said["with a face after all"], said["kept"]) == (4, 2, 1, 2)
    samples = load(out)
    assert [s.pixels[0, 0] for s in samples] == [200, 90]
    assert all(s.complete and s.source == "hard" and not len(s.boxes) for s in samples)


def test_no_more_than_asked_for(data: Path, tmp_path: Path) -> None:
    negatives.main(["model.rnnp", "--data", str(data), "--count", "1", "--out", str(tmp_path / "out")])
    assert [s.pixels[0, 0] for s in load(tmp_path / "out")] == [210]


def test_nothing_to_find_is_said(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        negatives.main(["model.rnnp", "--data", str(data), "--least", "0.9", "--out", str(tmp_path / "out")])
    assert end.value.code == 2 and "no alarm of 0.9 or more in 4 pictures without a face" in capsys.readouterr().err
    assert not any((tmp_path / "out").iterdir())


def test_labels_that_are_read_are_not_written_over(data: Path, capsys: pytest.CaptureFixture) -> None:
    before = (data / "labels.jsonl").read_bytes()
    with pytest.raises(SystemExit) as end:
        negatives.main(["model.rnnp", "--data", str(data), "--out", str(data)])
    assert end.value.code == 2 and "labels.jsonl: would be written over" in capsys.readouterr().err
    assert (data / "labels.jsonl").read_bytes() == before


def test_a_model_for_another_task_is_refused(tmp_path: Path) -> None:
    net = networks.Builder(np.random.default_rng(2), 24, 32, 3)
    net.conv(0, 4, 3, 2)
    model = net.classifier("numbers", 2)
    save(model, tmp_path / "numbers.rnnp")
    with pytest.raises(InputError, match="is for classification: a detector is needed"):
        open_detector(tmp_path / "numbers.rnnp")
    model.numbers = True
    save(model, tmp_path / "numbers.rnnp")
    for backend in ("engine", "integer"):
        with pytest.raises(InputError, match="gives numbers, no probabilities"):
            open_classifier(tmp_path / "numbers.rnnp", backend)
