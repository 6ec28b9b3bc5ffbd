"""Models beside their peers: hand-made detections and scores with known figures."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from rnnpool_training import peers, versus
from rnnpool_training.data import Sample
from rnnpool_training.errors import InputError
from rnnpool_training.pictures import Picture

ROOT = Path(__file__).resolve().parents[2]


def sample(boxes: list[list[float]], complete: bool = True, source: str = "a") -> Sample:
    return Sample("x", np.zeros((240, 320), np.uint8), np.array(boxes, np.float32).reshape(-1, 4), source, complete)


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 5)


BIG, SMALL = [10.0, 10, 40, 40], [100.0, 100, 10, 10]


def test_small_faces_are_neither_found_nor_missed() -> None:
    samples = [sample([BIG, SMALL])]
    detections = [rows([*SMALL, 0.9], [*BIG, 0.8], [200, 200, 20, 20, 0.7])]
    every = versus.match(detections, samples)
    assert every.correct.tolist() == [True, True, False] and every.found.tolist() == pytest.approx([0.8, 0.9])
    large = versus.match(detections, samples, 12)  # the detection on the small face is gone, not wrong
    assert large.correct.tolist() == [True, False] and large.faces.tolist() == [1]
    once = np.ones(1, np.int64)
    assert versus.precision(every, once) == 1.0 and versus.precision(large, once) == 1.0
    assert versus.precision(versus.match([rows([200, 200, 20, 20, 0.95], [*BIG, 0.8])], samples), once) == 0.25


def test_a_face_is_found_once() -> None:
    m = versus.match([rows([*BIG, 0.9], [*BIG, 0.8])], [sample([BIG])])
    assert m.correct.tolist() == [True, False]


def test_recall_at_a_tenth_of_an_alarm_a_picture() -> None:
    # Ten complete pictures: one false alarm is allowed. Detections: 0.9 wrong, 0.8 right, 0.7 wrong, 0.6 right.
    samples = [sample([BIG]) for _ in range(10)]
    detections = [rows([200, 200, 20, 20, 0.9]), rows([*BIG, 0.8]), rows([200, 200, 20, 20, 0.7]), rows([*BIG, 0.6])]
    detections += [rows() for _ in range(6)]
    m = versus.match(detections, samples)
    once, complete = np.ones(10, np.int64), np.ones(10, bool)
    assert 0.7 < versus.threshold(m, once) < 0.8 and versus.recall(m, once, complete) == pytest.approx(0.1)
    # The picture with the second alarm is not completely labelled: its alarm does not count; nine pictures may have 0.
    complete[[0, 2]] = False
    assert versus.recall(m, once, complete) == pytest.approx(0.2)


def test_a_picture_twice_counts_twice() -> None:
    m = versus.match([rows([*BIG, 0.9]), rows()], [sample([BIG]), sample([BIG])])
    assert versus.precision(m, np.array([1, 1])) == 0.5
    assert versus.precision(m, np.array([3, 1])) == 0.75 and versus.precision(m, np.array([0, 2])) == 0


def test_intervals_hold_the_spread_of_a_mean() -> None:
    values = np.tile([0.0, 1.0], 200)
    low, high = versus.interval(lambda t: float((t * values).sum() / t.sum()), 400, 500)
    assert 0.43 < low < 0.47 and 0.53 < high < 0.57  # 0.5 and 1.96 standard errors of 0.025


def test_figures_of_classifiers() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    box = np.array([[0, 0, 10, 10]], np.float32)  # 1 % of the picture
    large = np.array([[0, 0, 80, 80]], np.float32)
    pictures = [Picture("a", pixels, 1, box), Picture("b", pixels, 1, large), Picture("c", pixels, 0),
                Picture("d", pixels, 0), Picture("e", pixels, 0), Picture("f", pixels, 0)]  # fmt: skip
    found = versus.persons(np.array([0.4, 0.9, 0.1, 0.2, 0.6, 0.3]), pictures, 0)
    assert found["accuracy"] == "0.667" and found["balanced accuracy"] == "0.625" and found["AUC"] == "0.875"
    assert found["recall, largest person 0.5% to 2.0% of the picture (1)"] == "0.000"
    assert found["recall, largest person 30.0% to 100.0% of the picture (1)"] == "1.000"


def test_peers_that_can_not_run_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yunet_2026may.onnx").write_bytes(b"")

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(peers.importlib, "import_module", absent)
    found, missing = peers.open_all(tmp_path, peers.FACES)
    assert not found and "opencv-python-headless" in missing[0] and "is not a file" in missing[1]


def test_two_kinds_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(ROOT / "models" / f"{name}.rnnp") for name in ("face", "person")]
    with pytest.raises(SystemExit):
        versus.main([*models, "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "one kind a call" in capsys.readouterr().err


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    from rnnpool_training.generated import write_folder

    write_folder(tmp_path / "data", 6, seed=3)
    versus.main([str(ROOT / "models/face.rnnp"), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"),
                 "--bootstrap", "5"])  # fmt: skip
    table = (tmp_path / "out/table.md").read_text()
    assert table.startswith("| | face |") and "AP, all faces" in table and ".." in table
    assert capsys.readouterr().out == table and (tmp_path / "out/curves.png").stat().st_size > 1000
    both = [str(ROOT / "models" / name) for name in ("face.rnnp", "face.pt")]
    versus.main([*both, "--data", str(tmp_path / "data"), "--out", str(tmp_path / "both"), "--bootstrap", "0"])
    assert (tmp_path / "both/table.md").read_text().startswith(f"| | {both[0]} | {both[1]} |\n")


def test_pictures_without_a_face_are_no_table_of_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from rnnpool_training.generated import write_folder

    data, out = tmp_path / "data", str(tmp_path / "out")
    write_folder(data, 8, seed=3)
    records = [json.loads(line) for line in (data / "labels.jsonl").read_text().splitlines()]
    (data / "labels.jsonl").write_text("".join(json.dumps(r | {"boxes": []}) + "\n" for r in records))
    for words, said in (([], "versus: "), (["--part", "last"], "versus: the half --part last of ")):
        with pytest.raises(SystemExit):
            versus.main([str(ROOT / "models/face.rnnp"), "--data", str(data), "--out", out, *words])
        error = capsys.readouterr().err
        assert f"{said}{data}: " in error and "pictures without a face" in error
    (data / "labels.jsonl").write_text(json.dumps(records[0] | {"label": 1}) + "\n")
    with pytest.raises(SystemExit):
        versus.main([str(ROOT / "models/person.rnnp"), "--data", str(data), "--out", out])
    assert f"versus: {data}: all 1 pictures have the label 1" in capsys.readouterr().err


def test_the_two_halves_of_the_pictures() -> None:
    names = [f"{folder}/{i}.jpg" for folder in ("images", "pictures/images") for i in range(100)]
    pictures = [Sample(n, np.zeros((8, 8), np.uint8), np.zeros((0, 4), np.float32), "a", True) for n in names]
    watch, last = ([s.name for s in versus.part(pictures, which)] for which in ("watch", "last"))
    assert sorted(watch + last) == sorted(names) and 60 < len(watch) < 140
    assert {Path(n).name for n in watch}.isdisjoint(Path(n).name for n in last)  # wherever the folder is linked
    with pytest.raises(InputError, match="--part last: none of the 1 pictures is in that half"):
        versus.part([s for s in pictures if s.name == watch[0]][:1], "last")
