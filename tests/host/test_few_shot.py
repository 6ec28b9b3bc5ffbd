"""Classifiers from few pictures: probe, tuning, choice and report, and what `classify` refuses or warns of."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from rnnpool_training import blob, classify, few_shot, files  # noqa: E402
from rnnpool_training.classifier import Classifier, configure, load_classifier, warm_start  # noqa: E402
from rnnpool_training.classifier_views import ClassifierViews  # noqa: E402
from rnnpool_training.classify_report import Measured, mistakes_picture, wilson  # noqa: E402
from rnnpool_training.few_shot import Chooser, Linear, Maps, Tail, better, fit_probes, folds, score  # noqa: E402
from rnnpool_training.pictures import Picture  # noqa: E402

START = Path(__file__).resolve().parents[2] / "models" / "person.pt"


def shape(kind: str, random: Any) -> Any:
    """A disc on a reddish or a bar on a bluish ground."""
    ground = random.integers(0, 60, 3) + ((120, 0, 0) if kind == "disc" else (0, 20, 120))
    pixels = np.full((48, 64, 3), ground, np.uint8)
    y, x = np.mgrid[:48, :64]
    cy, cx = random.integers(16, 32), random.integers(18, 46)
    inside = (y - cy) ** 2 + (x - cx) ** 2 < 150 if kind == "disc" else (abs(y - cy) < 4) & (abs(x - cx) < 17)
    pixels[inside] = random.integers(150, 256, 3)
    return pixels


def write_shapes(folder: Path, counts: dict[str, int]) -> None:
    random = np.random.default_rng(1)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(shape("disc" if "disc" in name else "bar", random)).save(folder / name / f"{i}.png")


def last(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


def test_folders_of_few_pictures_become_a_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the person model's weights: blob, float weights and report, and the network that was chosen is exported."""
    write_shapes(tmp_path / "shapes", {"bar": 20, "disc": 20})
    out = tmp_path / "mine.rnnp"
    arguments = [str(tmp_path / "shapes"), "-o", str(out), "--size", "64", "--steps", "12", "--threads", "1"]
    classify.main(arguments)
    said = capsys.readouterr().out
    result = last(said)
    assert blob.load(out).labels == ["bar", "disc"] and result["bytes"] == out.stat().st_size
    assert result["trained on"] == 40 and result["float"]["images"] == 40 and "cross-validation" in result["measured"]
    assert result["float"]["balanced accuracy"] >= 0.8 and result["float"]["balanced interval"][1] <= 1
    assert result["candidates"][0]["candidate"] == "linear probe" and len(result["candidates"]) == 5
    engine = result["engine"]
    assert engine["images"] == 40 and engine["agree"] >= 34 and engine["equals the reference"]
    run = tmp_path / "mine.run"
    assert json.loads((run / "report.json").read_text()) == result
    assert Image.open(run / "confusion.png").width > 100 and Image.open(run / "mistakes.png").width > 100
    assert load_classifier(run / "float.pt").config.labels == ("bar", "disc")
    report = (run / "report.txt").read_text()
    assert "is / taken for" in report and "rnnpool.Model('mine.rnnp')" in report and report in said
    with pytest.raises(SystemExit):  # nothing is written over unasked
        classify.main(arguments)
    assert "exists: name another file, or say --replace" in capsys.readouterr().err


def test_bad_outputs_are_said_before_anything_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shapes(tmp_path / "x", {"bar": 2, "disc": 2})
    for out, expected in ((tmp_path / "no/mine.rnnp", "there is no such folder"), (tmp_path, "is a folder")):
        with pytest.raises(SystemExit) as stop:
            classify.main([str(tmp_path / "x"), "-o", str(out)])
        said = capsys.readouterr()
        assert stop.value.code == 2 and expected in said.err and "reading" not in said.out
    for option, expected in ((["--size", "100"], "multiple of 32"), (["--minutes", "0"], "more than 0")):
        with pytest.raises(SystemExit):
            classify.main([str(tmp_path / "x"), "-o", str(tmp_path / "mine.rnnp"), *option])
        assert expected in capsys.readouterr().err


def test_a_full_disk_at_the_end_keeps_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The blob that can't be written where it should is in the run's folder."""
    write_shapes(tmp_path / "x", {"bar": 6, "disc": 6})
    written = files.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path == tmp_path / "m.rnnp":
            raise OSError(28, "No space left on device")
        return written(path, data)

    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(SystemExit) as stop:
        classify.main([str(tmp_path / "x"), "-o", str(tmp_path / "m.rnnp"), "--size", "64", "--steps", "2",
                       "--threads", "1"])  # fmt: skip
    kept = tmp_path / "m.run/m.kept.rnnp"
    assert stop.value.code == 2 and f"No space left on device; the model is in {kept}" in capsys.readouterr().err
    assert blob.load(kept).labels == ["bar", "disc"] and not (tmp_path / "m.rnnp").exists()


def test_warnings(tmp_path: Path) -> None:
    """Few pictures, uneven classes, copies, pictures in two classes."""
    write_shapes(tmp_path / "x", {"bar": 30, "disc": 4})
    shutil.copy(tmp_path / "x/bar/0.png", tmp_path / "x/bar/copy.png")
    shutil.copy(tmp_path / "x/bar/1.png", tmp_path / "x/disc/wrong.png")
    pictures, notes = classify.without_copies(classify.load_folders(tmp_path / "x", 3))
    assert len(pictures) == 35 and len(notes) == 4
    for note, expected in zip(notes, ("1 pictures are there twice and are used once, such as bar/0.png = bar/copy.png",
                                      "in two classes, such as bar/1.png = disc/wrong.png", "disc has 5 pictures",
                                      "bar has 30 pictures, disc 5"), strict=True):  # fmt: skip
        assert expected in note


def test_labels_that_a_blob_cannot_hold(tmp_path: Path) -> None:
    classify.check_labels(tmp_path, ["ä" * 100, "b"])
    for labels, expected in ((["x"] * 1025, "1025 classes"), (["x" * 20000, "y" * 20000], "40002 bytes"),
                             (["\udcff", "b"], "not UTF-8")):  # fmt: skip
        with pytest.raises(ValueError, match=expected):
            classify.check_labels(tmp_path, labels)


def test_the_probe_takes_over_what_the_start_knows() -> None:
    """With features that say nothing, the start's own answer is found among them, whatever the labels are called."""
    torch.manual_seed(3)
    start = torch.nn.Linear(8, 2).requires_grad_(False)
    features = torch.randn(60, 1, 8)
    labels = start(features)[:, 0].argmax(1).numpy()
    maps = Maps(torch.zeros(60, 1, 1, 1, 1), features[:20], start(features[:20]))
    (probe,) = fit_probes(maps, start, labels[:20], 2, [(1.0, False)])
    with torch.no_grad():
        assert (probe(features[20:, 0]).argmax(1).numpy() == labels[20:]).mean() >= 0.9
    assert isinstance(probe, Linear) and probe.weight.shape == (2, 8)


def test_classes_count_alike_in_the_probe() -> None:
    """Of 60 and 4 pictures that overlap it does not always name the larger class."""
    torch.manual_seed(4)
    labels = np.array([0] * 60 + [1] * 4)
    features = torch.randn(64, 1, 2) + torch.from_numpy(labels)[:, None, None]
    start = torch.nn.Linear(2, 2).requires_grad_(False)
    (probe,) = fit_probes(Maps(features, features, start(features)), start, labels, 2, [(0.1, True)])
    with torch.no_grad():
        found = probe(features[:, 0]).argmax(1).numpy()
    assert (found[labels == 1] == 1).mean() >= 0.5 and (found[labels == 0] == 0).mean() > 0.5


def test_folds_spread_every_class() -> None:
    labels = np.array([0] * 11 + [1] * 5)
    fold = folds(labels, 4, 1)
    for label, count in ((0, 11), (1, 5)):
        each = np.bincount(fold[labels == label], minlength=4)
        assert each.sum() == count and each.max() - each.min() <= 1
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 1


def test_only_what_is_clearly_better_replaces_the_probe() -> None:
    random = np.random.default_rng(5)
    labels = np.arange(40) % 2
    sure = np.stack([1.0 - labels, labels], 1) * 3
    base = score(sure + random.normal(0, 3, (40, 2)), labels)
    good, same = score(sure, labels), score(sure + random.normal(0, 3, (40, 2)), labels)
    assert better(good, base) and not better(base, good) and not better(base, base)
    assert not better(replace(good, balanced=base.balanced - 0.1), base)
    assert same.temperature > 1 > good.temperature


def test_mirrors_are_left_out_where_they_mislead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left or right: views that are mirrored are not chosen; stopped, the probe is left."""
    random = np.random.default_rng(6)
    pictures = []
    for i in range(32):
        pixels = np.full((64, 64, 3), 90, np.uint8)
        x = int(random.integers(2, 12)) + (40 if i % 2 else 0)
        pixels[20:44, x : x + 12] = (250, 240, 20)
        pictures.append(Picture(str(i), pixels, i % 2))
    source = load_classifier(START)
    model = Classifier(configure(64, False, ["left", "right"])).eval()
    warm_start(model, source)

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(few_shot, "tune", stopped)
    told: list[str] = []
    safe: list[Tail] = []
    outcome = Chooser(model, source.dense, pictures, steps=5, threads=1, say=told.append, safe=safe.append).run()
    assert any(text.startswith("linear probe") and "mirrored" not in text for text in told)
    assert (outcome.logits.argmax(1) == [p.label for p in pictures]).mean() >= 0.9
    assert outcome.chosen == "linear probe" and "stopped" in told[-1] and len(safe) == 1


def test_views_of_small_classes_come_as_often() -> None:
    pictures = [Picture(str(i), np.zeros((8, 8, 3), np.uint8), int(i >= 20)) for i in range(24)]
    views = ClassifierViews(pictures, 1, 3, balanced=True)
    assert np.bincount([int(views.view(32, 32)[1]) for _ in range(80)]).tolist() == [40, 40]


def test_report() -> None:
    assert wilson(0, 0) == (0.0, 1.0) and wilson(12, 13) == pytest.approx((0.667, 0.986), abs=1e-3)
    truth = np.array([0] * 60 + [1] * 4)
    always = Measured(np.tile([0.9, 0.1], (64, 1)), truth, ["up", "right"])
    values = always.summary()
    assert values["accuracy"] == 0.9375 and values["balanced accuracy"] == 0.5 and values["recall"]["right"] == 0
    low, high = values["balanced interval"]
    assert low < 0.5 < high and always.text("held back").startswith("balanced accuracy 0.500")
    assert always.table()[-1].split() == ["right", "4", "0", "0.000"] and len(always.wrong()) == 4


def test_the_sheet_of_mistakes(tmp_path: Path) -> None:
    truth = np.array([0, 1, 1])
    measured = Measured(np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]]), truth, ["a", "b"])
    assert measured.wrong() == [2, 0]
    pictures = [Picture(f"ö/{i}.png", np.full((20, 30, 1), 40 * i, np.uint8), int(truth[i])) for i in range(3)]
    assert mistakes_picture(measured, pictures, tmp_path / "m.png") == 2
    with Image.open(tmp_path / "m.png") as sheet:
        assert sheet.convert("RGB").getpixel((80, 50)) == (80, 80, 80)  # the most certain one is the first
