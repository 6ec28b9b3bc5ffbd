"""Learning from a teacher: its calibration, what it sees, and pictures that nobody labelled."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from rnnpool_training import peers, train_classifier  # noqa: E402
from rnnpool_training.classifier import Classifier, Supervised, configure  # noqa: E402
from rnnpool_training.classifier_views import ClassifierViews  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402
from rnnpool_training.generated import write_folder  # noqa: E402
from rnnpool_training.pictures import Picture, load_unlabelled  # noqa: E402
from rnnpool_training.teacher import Teacher, fit_logistic  # noqa: E402


def brightness(pixels: np.ndarray) -> float:
    """A teacher's score: bright pictures have the label 1."""
    return float(pixels.mean() / 255)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for a teacher, which the peers run by `brightness`."""
    path = tmp_path / "teacher.tflite"
    path.write_bytes(b"TFL3")
    monkeypatch.setattr(peers, "tflite", lambda _: brightness)
    return path


def pictures(count: int, label: int = -1) -> list[Picture]:
    """Pictures of one level each, from dark to bright; `label` for all of them, or 1 for those above the middle."""
    levels = np.linspace(20, 235, count).astype(np.uint8)
    return [
        Picture(str(v), np.full((60, 80, 3), v, np.uint8), int(v > 127) if label < 0 else label - 2) for v in levels
    ]


def test_a_logistic_fit_finds_slope_and_offset() -> None:
    x = np.linspace(-6, 6, 4001)
    slope, offset = fit_logistic(x, 1 / (1 + np.exp(-(0.6 * x + 0.3))))  # the truth as its own expectation
    assert slope == pytest.approx(0.6, abs=0.02) and offset == pytest.approx(0.3, abs=0.02)
    assert all(map(math.isfinite, fit_logistic(x, (x > 0).astype(float))))
    assert fit_logistic(x, (x < 0).astype(float))[0] == 0  # a teacher that is wrong says nothing, not the opposite


def test_a_teacher_is_calibrated_by_labels(file: Path) -> None:
    teacher = Teacher(file)
    image = Image.new("RGB", (10, 10), (204, 204, 204))
    assert teacher(image) == pytest.approx(0.8)
    assert Teacher(file)(Image.new("L", (10, 10), 204)) == pytest.approx(0.8)  # gray networks' views, too
    assert teacher.calibrate(pictures(100)) > 0.97
    assert teacher.slope > 2 and teacher(image) > 0.95  # it was not sure enough
    with pytest.raises(InputError, match=r"a teacher says 0 or 1: the labels of the pictures are \[1\]"):
        teacher.calibrate(pictures(4, label=3))
    assert 0 < teacher(Image.new("RGB", (4, 4))) < 0.01  # a score of 0 has a finite logit


def test_teachers_that_can_not_teach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"--teacher .*none.tflite is not a file"):
        Teacher(tmp_path / "none.tflite")
    path = tmp_path / "some.tflite"
    path.write_bytes(b"no model")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        with pytest.raises(InputError, match=r"needs the package ai-edge-litert \(pip install 'rnnpool\[peers\]'\)"):
            Teacher(path)
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(InputError, match=r"is no .tflite classifier of RGB pictures, two labels: "):
        Teacher(path)


def test_the_teacher_sees_the_window_before_the_light(file: Path) -> None:
    views = ClassifierViews(pictures(20), 5, 3, whole=0.5, teacher=Teacher(file))
    changed = 0
    for index in range(20):
        view = views.view(64, 64, index)
        level = int(views.pictures[index].pixels[0, 0, 0])
        assert view.soft == pytest.approx(level / 255, abs=0.005)
        changed += abs(float(view.pixels[:40].mean()) - level) > 2
    assert changed > 10  # the network sees other light
    plain = ClassifierViews(pictures(20), 5, 3, plain=1.0, teacher=Teacher(file))
    for index in range(20):
        view = plain.view(64, 64, index)
        kept = view.pixels[view.pixels != 128]
        assert (kept == plain.pictures[index].pixels[0, 0, 0]).all()


def test_of_two_pictures_in_one_only_the_teacher_says_what_they_show(file: Path) -> None:
    views = ClassifierViews(pictures(20), 5, 3, whole=1.0, plain=1.0, teacher=Teacher(file), mixed=0.5)
    between = 0
    for index in range(20):
        view, level = views.view(64, 64, index), float(views.pictures[index].pixels[0, 0, 0])
        seen = float(view.pixels[view.pixels != 128].mean())
        assert view.soft == pytest.approx(seen / 255, abs=0.006)  # of the blend, not of the picture
        if view.weight:
            assert seen == pytest.approx(level)
        else:
            between += abs(seen - level) > 2
            assert not view.known.any() and not view.cover.any()
    assert 4 <= between <= 16


def test_unlabelled_pictures_are_a_part_of_the_views(file: Path) -> None:
    known, unknown = pictures(30), pictures(50, label=1)
    views = ClassifierViews(known + unknown, 5, 3, teacher=Teacher(file), unlabelled=0.25)
    order = views._next_order()
    assert len(order) == 40 and sorted(i for i in order if i < 30) == list(range(30))  # 30 is three quarters of 40
    again = views._next_order()
    assert {i for i in order if i >= 30} != {i for i in again if i >= 30}
    part = views.batch(64, 64, 64)
    assert part.soft is not None and part.soft.shape == (64,)
    assert 8 <= int((part.weights == 0).sum()) <= 24 and part.labels.min() == 0
    assert (part.known[part.weights == 0] == 0).all()  # nobody drew boxes, which says nothing


def test_the_loss_is_the_sum_of_what_labels_and_teacher_say(file: Path, tmp_path: Path) -> None:
    options = train_classifier.parser().parse_args(
        ["--data", "x", "--out", str(tmp_path / "run"), "--teacher", str(file), "--distil", "3", "--dropout", "0"]
    )
    known, unknown = pictures(16), pictures(16, label=1)
    torch.manual_seed(1)
    model = Supervised(Classifier(configure(64)), 0.0)
    trainer = train_classifier.ClassifierTrainer(options, model, known + unknown, [], Teacher(file))
    views = trainer.views()
    part = views.batch(16, 64, 64)
    model.eval()
    total, values, count = trainer.loss(part)
    assert part.soft is not None and count == 16 and 0 < int((part.weights == 0).sum()) < 16
    logs = torch.log_softmax(model(part.pixels)[0], 1)
    soft = -(part.soft * logs[:, 1] + (1 - part.soft) * logs[:, 0]).mean()
    assert values["distil"] == pytest.approx(soft.item(), rel=1e-4)
    assert total.item() == pytest.approx(values["label"] + values["dense"] + 3 * soft.item(), rel=1e-4)
    labelled = part.weights > 0
    right = (logs.argmax(1) == part.labels)[labelled].float().mean()
    assert values["right"] == pytest.approx(right.item())
    part.labels[~labelled] = 1  # what stands there for an unknown label does not count
    assert trainer.loss(part)[0].item() == pytest.approx(total.item(), rel=1e-4)


def both(pixels: np.ndarray, seen: list[np.ndarray]) -> float:
    """A teacher's score, and what its last layer takes: mean and deviation of the pixels."""
    seen.append(np.array([pixels.mean(), 3.0, pixels[:, :, 0].std()], np.float32))
    return brightness(pixels)


def test_what_the_last_layer_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "teacher.tflite"
    path.write_bytes(b"TFL3")
    monkeypatch.setattr(peers, "tflite", lambda _, seen: lambda pixels: both(pixels, seen))
    teacher = Teacher(path, inner=True)
    assert teacher.width == 3
    known = pictures(101)
    teacher.calibrate(known)
    told = [teacher.tell(Image.fromarray(p.pixels))[1] for p in known]
    vectors = np.stack([v for v in told if v is not None])
    assert vectors.shape == (101, 3)
    assert vectors[:, 0].mean() == pytest.approx(0, abs=1e-4) and vectors[:, 0].std() == pytest.approx(1, abs=1e-4)
    assert np.abs(vectors[:, 1:]).max() < 1e-3  # what never changes says nothing, and divides by nothing
    assert teacher.vectors == []

    arguments = [
        "--data",
        "x",
        "--out",
        str(tmp_path / "run"),
        "--teacher",
        str(path),
        "--inner",
        "2",
        "--dropout",
        "0",
    ]
    options = train_classifier.parser().parse_args(arguments)
    torch.manual_seed(1)
    model = Supervised(Classifier(configure(64)), 0.0, teacher.width).eval()
    trainer = train_classifier.ClassifierTrainer(options, model, known, [], teacher)
    part = trainer.views().batch(8, 64, 64)
    total, values, _ = trainer.loss(part)
    assert part.inner is not None and part.inner.shape == (8, 3)
    apart = (model(part.pixels)[2] - part.inner).square().mean()
    assert values["inner"] == pytest.approx(apart.item(), rel=1e-4)
    others = values["label"] + values["dense"] + values["distil"]
    assert total.item() == pytest.approx(others + 2 * apart.item(), rel=1e-4)


@pytest.mark.parametrize("name", ["vww_96_int8", "kws_ref_model"])
def test_the_last_layer_of_a_tflite_file(name: str) -> None:
    """The last layer's own weights make the answer of what it takes."""
    folder = os.environ.get("MLPERF_TINY")
    if not folder:
        pytest.skip("MLPERF_TINY does not point to a folder with MLPerf Tiny's .tflite files")
    pytest.importorskip("ai_edge_litert")
    path = Path(folder) / f"{name}.tflite"
    if name != "vww_96_int8":
        with pytest.raises(InputError, match=r"is no .tflite classifier of RGB pictures, two labels"):
            Teacher(path, inner=True)
        return
    seen: list[np.ndarray] = []
    score = peers.tflite(path, seen)
    pixels = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    found = score(pixels)
    assert len(seen) == 1 and seen[0].shape == (256,) and seen[0].dtype == np.float32
    assert found == pytest.approx(peers.tflite(path)(pixels), abs=0.02)  # another delegate, another rounding
    assert seen[0].min() >= 0 and 0 < seen[0].max() <= 6  # averages of ReLU6


def test_pictures_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    Image.new("RGB", (900, 300), (9, 8, 7)).save(tmp_path / "in" / "deep" / "a.png")
    (tmp_path / "in" / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "in" / "labels.jsonl").write_text("not read")
    found = load_unlabelled(tmp_path / "in", 3)
    assert [(p.name, p.label, p.boxes) for p in found] == [(str(Path("deep/a.png")), -1, None)]
    assert callable(found[0].stored) and found[0].pixels.shape == (133, 400, 3)
    assert "b.jpg is left out" in capsys.readouterr().err
    (tmp_path / "in" / "deep" / "a.png").unlink()
    with pytest.raises(InputError, match="holds no picture"):
        load_unlabelled(tmp_path / "in", 3)
    with pytest.raises(InputError, match="is not a folder"):
        load_unlabelled(tmp_path / "none", 3)


def test_command(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "data", 6, seed=3)
    lines = [json.loads(line) for line in (tmp_path / "data/labels.jsonl").read_text().splitlines()]
    text = "\n".join(json.dumps({**line, "label": i % 2}) for i, line in enumerate(lines))
    (tmp_path / "data/labels.jsonl").write_text(text)
    write_folder(tmp_path / "more", 4, seed=4)
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--size", "64", "--sizes", "fixed",
                 "--steps", "2", "--batch", "4", "--threads", "1", "--unlabelled", str(tmp_path / "more")]  # fmt: skip
    with pytest.raises(SystemExit):
        train_classifier.main(arguments)
    assert "--unlabelled needs a --teacher" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train_classifier.main([*arguments[:-2], "--inner", "1"])
    assert "--inner 1 needs a --teacher" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train_classifier.main([*arguments[:-2], "--mixed", "0.5"])
    assert "--mixed 0.5 needs a --teacher" in capsys.readouterr().err
    train_classifier.main([*arguments, "--teacher", str(file), "--distil", "2"])
    assert "% right on the labelled pictures" in capsys.readouterr().err
    assert "distil" in (tmp_path / "run/log.csv").read_text().splitlines()[0]
    assert (tmp_path / "run/float.pt").exists()
