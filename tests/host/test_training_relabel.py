"""Labels as a teacher sees them, and faces that are neither learned nor punished."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rnnpool_training.data import Sample, load

pytest.importorskip("torch")

from rnnpool_training.augment import Views
from rnnpool_training.relabel import judge, main
from rnnpool_training.train import HARD, SHARES, WILD, shares

BOXES = np.array([[10, 10, 20, 20], [50, 10, 20, 20]], np.float32)
# The first face for sure, the second hardly, another for sure, another perhaps, and one that is nothing.
FOUND = np.array(
    [[11, 10, 20, 20, 0.9], [50, 11, 20, 20, 0.1],
     [100, 50, 20, 20, 0.8], [10, 60, 20, 20, 0.6], [50, 60, 20, 20, 0.3]],
    np.float32,
)  # fmt: skip


def sample(complete: bool) -> Sample:
    return Sample("x", np.full((96, 128), 90, np.uint8), BOXES, "s", complete)


@pytest.mark.parametrize(("complete", "learned", "ignored"), [(False, [0, 2], [1, 3]), (True, [0], [1, 2, 3])])
def test_the_teacher_judges(complete: bool, learned: list[int], ignored: list[int]) -> None:
    known = np.stack([BOXES[0], BOXES[1], FOUND[2, :4], FOUND[3, :4]])
    faces, others = judge(sample(complete), FOUND)
    np.testing.assert_array_equal(faces, known[learned])
    np.testing.assert_array_equal(others, known[ignored])


def test_nothing_found_and_nothing_labelled() -> None:
    faces, others = judge(sample(True), FOUND[:0])
    assert len(faces) == 0
    np.testing.assert_array_equal(others, BOXES)
    empty = Sample("x", np.zeros((96, 128), np.uint8), BOXES[:0], "s", False)
    assert [len(boxes) for boxes in judge(empty, FOUND[:0])] == [0, 0]
    assert [len(boxes) for boxes in judge(empty, FOUND)] == [2, 1]


def test_ignored_faces_are_read_and_are_no_faces_of_a_view(tmp_path: Path) -> None:
    Image.fromarray(np.full((240, 320), 90, np.uint8)).save(tmp_path / "a.png")
    line = {"file": "a.png", "boxes": [[40, 40, 50, 60]], "ignored": [[150, 200, 160, 20]], "complete": True}
    (tmp_path / "labels.jsonl").write_text(json.dumps(line) + "\n")
    (read,) = load(tmp_path)
    np.testing.assert_array_equal(read.ignored, [[150, 200, 160, 20]])
    views = Views([read], 1, (240, 320), plain=1.0)
    kinds = set()
    for _ in range(40):
        view = views.view(240, 320, True)
        for box, kind in zip(view.boxes, view.kinds, strict=True):
            wide = (box[2] - box[0]) / (box[3] - box[1]) > 1.6
            kinds.add((int(kind), bool(wide)))
    assert {(1, False), (2, True)} <= kinds and (1, True) not in kinds


def test_plain_views_keep_their_light() -> None:
    seen: list[set[int]] = [set(), set()]
    for plain in (0, 1):
        views = Views([sample(True)], 2, (240, 320), plain=float(plain))
        for _ in range(20):
            seen[plain] |= set(np.unique(views.view(240, 320, True).pixels).tolist())
    assert all(90 <= level <= 128 for level in seen[1])  # the picture, the margin, and between them where it is turned
    assert min(seen[0]) < 60


def test_shares_of_the_wild_sources() -> None:
    for part in (0.0, 0.3, 1.0):
        for hard in (0.0, 0.2):
            found = shares(part, hard)
            assert sum(found.values()) == pytest.approx(1)
            assert found[HARD] == hard
            assert sum(found[name] for name in WILD) == pytest.approx(part * (1 - hard))
    assert shares(0.46, 0.0) == pytest.approx({HARD: 0.0, **SHARES})


def test_a_part_of_the_views_is_of_hard_negatives() -> None:
    samples = [sample(True), Sample("n", np.full((96, 128), 200, np.uint8), BOXES[:0], HARD, True)]
    views = Views(samples, 3, (240, 320), {"s": 0.8, **shares(0.5, 0.2)}, plain=1.0)
    empty = sum(not len(views.view(240, 320, True).boxes) for _ in range(400))
    assert 50 < empty < 110  # 80 are expected


def test_without_a_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--teachers", str(tmp_path), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "holds no yunet_2026may.onnx" in capsys.readouterr().err
