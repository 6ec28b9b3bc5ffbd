"""Classifiers from few pictures: probe, tuning, choice and report, and what `classify` refuses or warns of."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from rnnpool_training import blob, classify, classify_report, files  # noqa: E402
from rnnpool_training.classifier import Classifier, configure, load_classifier, warm_start  # noqa: E402
from rnnpool_training.classifier_views import ClassifierViews  # noqa: E402
from rnnpool_training.classify_report import (  # noqa: E402
    Measured,
    confusion_picture,
    mistakes_picture,
    seconds_a_frame,
    what_next,
    wilson,
)
from rnnpool_training.few_shot import Chooser, chooser  # noqa: E402
from rnnpool_training.few_shot.maps import Maps, Policy, Tail  # noqa: E402
from rnnpool_training.few_shot.probe import STRENGTHS, Linear, fit_probes, known  # noqa: E402
from rnnpool_training.few_shot.scores import better, clearly, folds, score  # noqa: E402
from rnnpool_training.pictures import Picture  # noqa: E402
from tools import few_shot as tool  # noqa: E402

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


def test_folders_of_few_pictures_become_a_classifier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the person model's weights: blob, float weights and report, and the network that was chosen is exported."""
    monkeypatch.setattr(chooser, "TUNED", 40)
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
    assert f"What next: about {result['seconds']:.2f} s a frame on a Cortex-M4 at 168 MHz" in report
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
    for option, expected in (
        (["--size", "100"], "multiple of 32"), (["--size", "1000000"], "1024"),
        (["--minutes", "0"], "more than 0"), (["--name", "x" * 40], "1 to 31 bytes of text, not 'xxx"),
        (["--name", "\udcff"], "1 to 31 bytes of text"),
    ):  # fmt: skip
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


def test_pictures_of_val_that_are_trained_on_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And weights of an earlier run in the folder are not those of one that is interrupted before it has some."""
    write_shapes(tmp_path / "x", {"bar": 3, "disc": 3})
    write_shapes(tmp_path / "y", {"bar": 1, "disc": 1})
    (tmp_path / "m.run").mkdir()
    kept = tmp_path / "m.run/float.pt"
    kept.touch()
    os.utime(kept, (1e9, 1e9))

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(classify, "few_shot", stopped)
    shutil.copy(tmp_path / "x/disc/2.png", tmp_path / "y/disc/again.png")
    arguments = [str(tmp_path / "x"), "-o", str(tmp_path / "m.rnnp"), "--val", str(tmp_path / "y"), "--size", "64"]
    with pytest.raises(SystemExit) as stop:
        classify.main(arguments)
    said = capsys.readouterr()
    # The first bar is drawn by the same random numbers in both.
    assert f"2 of the 3 pictures in {tmp_path / 'y'} are trained on, too, such as bar/0.png: what is" in said.out
    assert stop.value.code == 130 and said.err == "classify: stopped\n"


def test_warnings(tmp_path: Path) -> None:
    """Few pictures, uneven classes, copies, pictures in two classes."""
    write_shapes(tmp_path / "x", {"bar": 30, "disc": 4})
    shutil.copy(tmp_path / "x/bar/0.png", tmp_path / "x/bar/copy.png")
    shutil.copy(tmp_path / "x/bar/1.png", tmp_path / "x/disc/wrong.png")
    pictures, notes = classify.without_copies(classify.load_folders(tmp_path / "x", 3))
    assert len(pictures) == 35 and len(notes) == 4
    for note, expected in zip(notes, ("1 picture is there twice and used once, such as bar/0.png = bar/copy.png",
                                      "1 picture is in two classes, such as bar/1.png = disc/", "relied on: disc 5",
                                      "bar has 30 pictures, disc 5"), strict=True):  # fmt: skip
        assert expected in note


def test_many_small_classes_are_one_warning(tmp_path: Path) -> None:
    write_shapes(tmp_path / "x", {f"bar{i:02}": 1 for i in range(30)})
    _, notes = classify.without_copies(classify.load_folders(tmp_path / "x", 3))
    (note,) = notes
    assert note.endswith(
        "relied on: bar00 1, bar01 1, bar02 1, bar03 1, bar04 1, bar05 1, bar06 1, bar07 1 and 22 more"
    )


def test_odd_names_of_files_are_shown_on_one_line(tmp_path: Path) -> None:
    """Line feeds and bytes that are not UTF-8 become escapes: neither terminal, report nor sheet stumbles over them."""
    write_shapes(tmp_path / "x", {"bar": 2, "disc": 2})
    shutil.copy(tmp_path / "x/bar/0.png", tmp_path / "x/bar/b\nb \udcff.png")
    (tmp_path / "x/disc/\udcfe.heic").touch()
    found = classify.load_folders(tmp_path / "x", 3)
    odd = "bar/b\\nb \\udcff.png"
    assert [p.name for p in found.pictures][2] == odd and found.skipped[0][0] == "disc/\\udcfe.heic"
    probabilities = np.tile([0.1, 0.9], (len(found.pictures), 1))
    truth = np.array([p.label for p in found.pictures])
    assert mistakes_picture(Measured(probabilities, truth, found.labels), found.pictures, tmp_path / "m.png") == 3
    _, notes = classify.without_copies(found)
    assert f"such as bar/0.png = {odd}" in "".join(notes).encode().decode()
    with pytest.raises(ValueError, match="is not UTF-8 or has control characters"):
        classify.check_labels(tmp_path, ["b\nb", "c"])


def test_labels_that_a_blob_cannot_hold(tmp_path: Path) -> None:
    classify.check_labels(tmp_path, ["ä" * 100, "b"])
    for labels, expected in ((["x"] * 1025, "1025 classes"), (["x" * 20000, "y" * 20000], "40002 bytes"),
                             (["\udcff", "b"], "not UTF-8")):  # fmt: skip
        with pytest.raises(ValueError, match=expected):
            classify.check_labels(tmp_path, labels)


def task(count: int, labels: int = 2, seed: int = 3) -> tuple[torch.nn.Linear, torch.Tensor, Any]:
    """A start's head, features, and labels as that head says, with its certainty."""
    torch.manual_seed(seed)
    start = torch.nn.Linear(8, labels).requires_grad_(False)
    start.weight *= 6
    features = torch.randn(count, 8)
    return start, features, torch.multinomial(torch.softmax(start(features), 1), 1)[:, 0].numpy()


def test_the_start_knows_its_own_classes_in_any_order() -> None:
    """Its head is taken as it is, whatever the order of the labels; not for classes that it does not know."""
    for labels in (2, 3):
        start, features, truth = task(80, labels)
        same = known(start, features, truth, labels)
        assert same is not None and torch.equal(same.weight.float(), start.weight)
        other = known(start, features, (truth + 1) % labels, labels)
        assert other is not None
        assert (other(features).argmax(1) == (start(features).argmax(1).numpy() + 1) % labels).all()
    start, features, truth = task(80)
    assert known(start, features, np.random.default_rng(1).permutation(truth), 2) is None
    assert known(start, features, truth % 2, 3) is None  # as many classes as labels
    # What is only related to its answers (an offset it does not have) isn't what it knows.
    far = (start(features)[:, 1] - start(features)[:, 0] > 6).long().numpy()
    assert known(start, features, far, 2) is None


def test_the_head_of_the_start_counts_as_some_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it knows the classes, its logits and the probe's, each by its temperature, are added with their weights."""
    monkeypatch.setattr(chooser, "REPEATS", (1, 600))
    start, features, truth = task(90)
    model = SimpleNamespace(config=SimpleNamespace(labels=["a", "b"]))
    pictures = [Picture(str(i), np.zeros((1, 1, 3), np.uint8), int(label)) for i, label in enumerate(truth)]
    maps = maps_of(features[:, None])
    choice = Chooser(model, start, pictures, threads=1, maps=lambda _: maps)
    made: dict[str, Any] = {}

    def outcome(name: str, head: Linear, probe: Linear, found: Any, logits: Any, candidates: Any) -> Any:
        made[name] = head, found, logits
        candidates.append(name)
        return SimpleNamespace(chosen=name, tail=None, candidates=candidates)

    choice._outcome = outcome
    assert choice.run().chosen == chooser.START
    (probe, probe_score, probe_logits), (mix, _, logits) = made["linear probe"], made[chooser.START]
    own = known(start, features, truth, 2)
    part = 30 / 120
    temperatures = score(own(features), truth).temperature, probe_score.temperature

    def expected(first: Any, second: Any) -> Any:
        return part * first / temperatures[0] + (1 - part) * second / temperatures[1]

    assert np.allclose(mix(features), expected(own(features), probe(features)))
    assert np.allclose(logits, expected(own(features), probe_logits))


def test_the_start_stands_unless_it_is_clearly_beaten() -> None:
    """120 pictures by whose chance a probe is a little better do not make it forget thousands."""
    random = np.random.default_rng(4)
    truth = np.arange(120) % 2
    sure = np.stack([1.0 - truth, truth], 1)
    start = score(4 * sure + random.normal(0, 2.0, (120, 2)), truth)
    for noise, expected in ((1.9, False), (0.5, True)):
        probe = score(4 * sure + random.normal(0, noise, (120, 2)), truth)
        assert better(probe, start, chooser.CLEARER) is expected
    assert not better(start, start, chooser.CLEARER) and clearly(np.arange(1.0, 9.0), 2.0)
    assert not clearly(np.array([1.0]), 2.0)  # nothing is known of one picture


def test_a_lower_loss_is_not_enough_to_replace_the_probe() -> None:
    """The balanced accuracy must be higher, too, and clearly; of several the nearest about as good is taken."""
    random = np.random.default_rng(5)
    truth = np.arange(200) % 2
    side = np.stack([1.0 - truth, truth], 1)
    logits = 2 * side + random.normal(0, 1.2, (200, 2))
    wrong = logits.argmax(1) != truth
    surer = np.where(wrong[:, None], 0.2 * logits, 3 * logits)  # of the same classes
    probe, tuned = score(logits, truth), score(surer, truth)
    assert tuned.loss.mean() < probe.loss.mean() and tuned.balanced == probe.balanced
    assert clearly(probe.loss - tuned.loss, 1.0) and not better(tuned, probe, chooser.CLEAR)
    random = np.random.default_rng(9)
    best, good = (score(4 * side + random.normal(0, 1.2, (200, 2)), truth) for _ in range(2))
    assert best.loss.mean() < good.loss.mean()
    assert chooser.take([tuned, tuned], probe, chooser.CLEAR) is None
    assert chooser.take([tuned, good, best], probe, chooser.CLEAR) == 1
    some = score(np.where(wrong[:, None] & (np.arange(200)[:, None] % 2 == 0), side, logits), truth)
    assert better(some, probe, chooser.CLEAR) and chooser.take([some, good], probe, chooser.CLEAR) == 1


def maps_of(features: torch.Tensor) -> Maps:
    return Maps(features, features, features)


def test_classes_count_alike_in_the_probe() -> None:
    """Of 60 and 4 pictures that overlap it does not always name the larger class."""
    torch.manual_seed(4)
    labels = np.array([0] * 60 + [1] * 4)
    features = torch.randn(64, 1, 2) + torch.from_numpy(labels)[:, None, None]
    (probe,) = fit_probes(maps_of(features), labels, 2, [0.1])
    found = probe(features[:, 0]).argmax(1)
    assert (found[labels == 1] == 1).mean() >= 0.5 and (found[labels == 0] == 0).mean() > 0.5


def test_views_that_lie_elsewhere_do_not_move_the_threshold() -> None:
    """Views whose features are all larger teach directions only."""
    torch.manual_seed(5)
    labels = np.arange(60) % 2
    plain = torch.randn(60, 1, 3) + 3 * torch.from_numpy(labels)[:, None, None]
    (probe,) = fit_probes(maps_of(torch.cat([plain, plain + 20], 1)), labels, 2, [0.1])
    (alone,) = fit_probes(maps_of(plain), labels, 2, [0.1])
    assert (probe(plain[:, 0]).argmax(1) == alone(plain[:, 0]).argmax(1)).mean() >= 0.95


def test_the_probe_has_the_strength_of_the_lowest_loss() -> None:
    """In cross-validation, of all strengths; the probe of all pictures has it, too, and is told with the outcome."""
    model, dense = started(["left", "right"])
    pictures = sides(20)
    choice = Chooser(model, dense, pictures, threads=1)
    outcome = choice.run()
    maps = choice.maps(None)
    probes = fit_probes(maps, choice.labels, 2)
    held = np.zeros((len(STRENGTHS), len(choice.folds), 20, 2))
    for repeat, fold in enumerate(choice.folds):
        for k in choice.tried:
            rows = np.flatnonzero(fold != k)
            for i, probe in enumerate(fit_probes(maps.of(rows), choice.labels[rows], 2)):
                held[i, repeat, fold == k] = probe(maps.features[torch.from_numpy(fold == k), 0])
    best = int(np.argmin([score(logits, choice.labels).loss.mean() for logits in held]))
    assert torch.allclose(outcome.probe.weight, probes[best].weight, atol=1e-6)
    # What the report says of them is what the choice was made by: of all repetitions.
    measured = Measured(outcome.logits, choice.labels[outcome.held], ["left", "right"])
    assert len(outcome.logits) == len(choice.folds) == 3
    assert round(measured.balanced()[0], 4) == outcome.candidates[-1]["balanced accuracy"]
    assert all(best == i or not torch.allclose(outcome.probe.weight, p.weight, atol=1e-6) for i, p in enumerate(probes))


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
    assert better(good, base, 1.0) and not better(base, good, 1.0) and not better(base, base, 1.0)
    assert not better(replace(good, right=base.right - 0.1), base, 1.0)
    assert same.temperature > 1 > good.temperature


def sides(count: int) -> list[Picture]:
    """Something bright in the left or in the right half."""
    random = np.random.default_rng(6)
    pictures = []
    for i in range(count):
        pixels = np.full((64, 64, 3), 90, np.uint8)
        x = int(random.integers(2, 12)) + (40 if i % 2 else 0)
        pixels[20:44, x : x + 12] = (250, 240, 20)
        pictures.append(Picture(str(i), pixels, i % 2))
    return pictures


def started(labels: list[str]) -> tuple[Classifier, torch.nn.Linear]:
    source = load_classifier(START)
    model = Classifier(configure(64, False, labels)).eval()
    warm_start(model, source)
    return model, source.dense


def test_mirrors_are_left_out_where_they_mislead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left or right: views that are mirrored are not tuned with; stopped while tuning, the probe is left."""
    monkeypatch.setattr(chooser, "TUNED", 32)
    pictures = sides(32)
    model, dense = started(["left", "right"])
    seen: list[Maps] = []

    def stopped(tail: Tail, maps: Maps, *_: Any) -> Any:
        seen.append(maps)
        raise KeyboardInterrupt

    monkeypatch.setattr(chooser, "tune", stopped)
    asked: dict[str, Maps] = {}
    told: list[str] = []
    safe: list[Tail] = []
    choice = Chooser(model, dense, pictures, steps=5, threads=1, say=told.append, safe=safe.append)
    make = choice.maps

    def counted(policy: Policy | None) -> Maps:
        asked[policy.name if policy else ""] = make(policy)
        return asked[policy.name if policy else ""]

    choice.maps = counted
    outcome = choice.run()
    assert set(asked) == {"", "mirrored", "windows only"}
    rows = np.flatnonzero(choice.folds[0] != 0)
    assert torch.equal(seen[0].maps[:, 1:], asked["windows only"].of(rows).maps)
    assert (outcome.logits.argmax(2) == [p.label for p in pictures]).mean() >= 0.9
    assert outcome.chosen == "linear probe" and told[-1].startswith("stopped") and len(safe) == 1


def test_few_pictures_are_not_tuned_with() -> None:
    model, dense = started(["left", "right"])
    told: list[str] = []
    outcome = Chooser(model, dense, sides(12), threads=1, say=told.append).run()
    assert [c["candidate"] for c in outcome.candidates] == ["linear probe"]
    assert told[-1] == "12 pictures are too few to tune the late layers, that takes 100"
    # Before anything is known: what is going on.
    assert told[:2] == ["pictures through the first layers: 12", "linear probes, for cross-validation: 12"]


def test_progress_is_told_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chooser, "EVERY", -1)
    model, dense = started(["left", "right"])
    told: list[str] = []
    Chooser(model, dense, sides(12), threads=2, say=told.append).run()
    for what in ("pictures through the first layers", "linear probes, for cross-validation"):
        assert [line for line in told if what in line] == [f"{what}: 12", *(f"{what}: {i} of 12" for i in range(1, 12))]


def test_probes_do_without_the_compiler() -> None:
    """Its modules take 5 seconds to import, in which nothing would be heard."""
    code = (
        "import sys, numpy, torch\n"
        "from rnnpool_training.few_shot import maps, probe\n"
        "made = maps.Maps(torch.zeros(2, 1, 1), torch.tensor([[[1.0]], [[-1.0]]]), torch.zeros(2, 1, 1))\n"
        "assert probe.fit_probes(made, numpy.array([0, 1]), 2)[-1].weight[0, 0] > 0\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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
    never = 1 - always.probabilities
    twice = Measured(np.stack([always.probabilities, never, never]), truth, ["up", "right"])
    assert twice.confusion().tolist() == [[20, 40], [pytest.approx(4 / 3), pytest.approx(8 / 3)]]
    values = twice.summary()
    assert (values["images"], values["accuracy"], values["balanced accuracy"]) == (64, 0.3542, 0.5)
    assert values["interval"] == pytest.approx(wilson(64 * 0.35417, 64), abs=1e-4)  # of 64 pictures, not of 192
    assert values["confusion"][1] == [1.3, 2.7] and twice.table()[-1].split() == ["right", "1.3", "2.7", "0.667"]
    assert len(twice.wrong()) == 60  # what two of three say


def test_seconds_of_a_frame_are_those_of_the_person_model_by_multiply_adds() -> None:
    person = json.loads(classify_report.BENCHMARKS.read_text())["models"]["person"]
    own = seconds_a_frame(25_371_440)  # as models/person.md says
    assert own == pytest.approx(person["cycles"] / 168e6)
    assert seconds_a_frame(12_685_720) == pytest.approx(own / 2)


def test_what_next_can_be_pasted() -> None:
    assert "rnnpool.Model('./mine')" in what_next(Path("runs/mine"), 1, 1, None)  # 'mine' would be in the firmware
    assert "mpremote cp 'my runs/mine.rnnp' :mine.rnnp\n" in what_next(Path("my runs/mine.rnnp"), 1, 1, None)


def test_models_of_other_names_have_other_folders() -> None:
    assert [classify.beside(Path("d") / name).name for name in ("x.rnnp", "x.txt")] == ["x.run", "x.txt.run"]


def test_the_sheet_of_mistakes(tmp_path: Path) -> None:
    truth = np.array([0, 1, 1])
    measured = Measured(np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]]), truth, ["a", "b"])
    assert measured.wrong() == [2, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that the font lacks
        confusion_picture(Measured(measured.probabilities, truth, ["日", "本"]), tmp_path / "c.png")
    assert Image.open(tmp_path / "c.png").width > 100
    pictures = [Picture(f"ö/{i}.png", np.full((20, 30, 1), 40 * i, np.uint8), int(truth[i])) for i in range(3)]
    assert mistakes_picture(measured, pictures, tmp_path / "m.png") == 2
    with Image.open(tmp_path / "m.png") as sheet:
        assert sheet.convert("RGB").getpixel((80, 50)) == (80, 80, 80)  # the most certain one is the first


def test_the_table_is_made_from_cells_that_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """tools.few_shot makes the folder of its cache, keeps maps and cells, and makes neither again."""
    monkeypatch.setattr(tool, "TASKS", {"side": lambda _: tool.Task("side", ("left", "right"), sides(12))})
    cache, out = tmp_path / "a/maps", tmp_path / "cells.jsonl"
    arguments = [
        str(tmp_path),
        "--out",
        str(out),
        "--cache",
        str(cache),
        "--size",
        "64",
        "--counts",
        "4",
        "--seeds",
        "1",
    ]
    tool.main([*arguments, "--test", "4"])
    said, cells = capsys.readouterr().out, out.read_text()
    cell = json.loads(cells)
    assert (cell["task"], cell["count"], cell["test"], cell["chosen"]) == ("side", 4, 4, "linear probe")
    assert f"| side | 4 | 1 | 64 | 4 | - | {cell['probe']:.3f} | **{cell['after']:.3f}** |" in said
    monkeypatch.setattr(tool, "make_maps", None)  # not called again
    tool.main([*arguments, "--test", "4"])
    assert out.read_text() == cells and [p.name for p in cache.iterdir()] == ["side-64.pt"]
    out.write_text('{"task": "si')
    with pytest.raises(SystemExit) as stop:
        tool.main(arguments)
    assert stop.value.code == 2 and f"{out}, line 1: no JSON" in capsys.readouterr().err
