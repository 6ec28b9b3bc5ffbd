"""Average precision, matching, loss, boxes: against results worked out by hand and plain loops."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training.data import Sample, load
from rnnpool_training.errors import InputError

torch = pytest.importorskip("torch")

from rnnpool_training.anchors import decode, grid, iou_matrix, non_maximum_suppression  # noqa: E402
from rnnpool_training.generated import write_folder  # noqa: E402
from rnnpool_training.loss import Targets, detection_loss, generalized_iou, match  # noqa: E402
from rnnpool_training.metrics import average_precision, evaluate  # noqa: E402
from rnnpool_training.network import FACE_M4, Detector  # noqa: E402


def sample(boxes: list[list[float]], complete: bool = True) -> Sample:
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return Sample("x", np.zeros((240, 320), np.uint8), array, "test", complete)


def test_average_precision_by_hand() -> None:
    # Precision 1, 1/2, 2/3, 2/4 at recall 1/3, 1/3, 2/3, 2/3; interpolated: 1 up to 1/3, 2/3 up to 2/3, then 0.
    assert average_precision(np.array([True, False, True, False]), 3) == pytest.approx(1 / 3 + 2 / 9)
    assert average_precision(np.array([True, True]), 2) == 1.0
    assert average_precision(np.array([], dtype=bool), 2) == 0.0


def test_evaluation_counts() -> None:
    faces = [sample([[10, 10, 20, 20], [100, 100, 40, 40]]), sample([], complete=True), sample([[0, 0, 10, 10]], False)]
    answers = [
        [[10, 10, 20, 20, 0.9], [11, 11, 20, 20, 0.8], [100, 100, 40, 19, 0.7]],  # hit, double, IoU below 0.5
        [[5, 5, 9, 9, 0.6]],  # false alarm on a complete picture
        [[0, 0, 10, 10, 0.4], [50, 50, 10, 10, 0.95]],  # below the threshold; false, but not on a complete picture
    ]
    queue = iter(answers)
    result = evaluate(lambda pixels: np.array(next(queue), dtype=np.float32), faces)
    summary = result.summary(0.5)
    assert (summary["images"], summary["boxes"]) == (3, 3)
    assert summary["precision"] == pytest.approx(1 / 5, abs=1e-4)
    assert summary["recall"] == pytest.approx(1 / 3, abs=1e-4)
    assert summary["false_per_image_complete"] == pytest.approx(3 / 2, abs=1e-4)
    # 3 detections of 2 faces, 1 of none; the third picture is not completely labelled. At 0.85: 1 of 2, 0 of none.
    assert summary["count_error_complete"] == 1
    assert result.count_error(0.85) == 0.5
    assert evaluate(lambda _: np.zeros((0, 5)), [sample([], False)]).count_error(0.5) is None
    assert summary["recall_by_size"] == {"8-12": [1, 0.0], "16-24": [1, 1.0], "32-48": [1, 0.0]}
    # In order of score: false, hit, false, false, false, hit: precision 1/2, then 2/6, each over a third of the recall.
    assert summary["ap50"] == pytest.approx((1 / 2 + 2 / 6) / 3, abs=1e-4)


def test_a_face_is_found_once() -> None:
    result = evaluate(lambda _: np.array([[0, 0, 10, 10, s] for s in (0.9, 0.8)]), [sample([[0, 0, 10, 10]])])
    assert result.correct.tolist() == [True, False]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 20)] * 2), min_size=1, max_size=6))
def test_iou_by_pixels(boxes: list[tuple[int, ...]]) -> None:
    masks = []
    for x, y, w, h in boxes:
        mask = np.zeros((60, 60), bool)
        mask[y : y + h, x : x + w] = True
        masks.append(mask)
    array = np.array(boxes, dtype=np.float32)
    expected = [[(a & b).sum() / (a | b).sum() for b in masks] for a in masks]
    assert np.allclose(iou_matrix(array, array), expected, atol=1e-6)


def test_suppression() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 10, 10], [30, 30, 5, 5], [0, 0, 10, 9]], dtype=np.float32)
    scores = np.array([0.5, 0.9, 0.1, 0.8], dtype=np.float32)
    assert non_maximum_suppression(boxes, scores, 0.4, 10).tolist() == [1, 2]
    assert non_maximum_suppression(boxes, scores, 0.4, 1).tolist() == [1]


def test_grid_matches_the_network() -> None:
    model = Detector(FACE_M4).eval()
    for height, width in ((240, 320), (192, 192), (136, 97)):
        anchors = grid(FACE_M4, height, width)
        with torch.no_grad():
            assert model(torch.zeros(1, 1, height, width)).shape == (1, len(anchors), 5)
    assert grid(FACE_M4, 240, 320)[:3].tolist() == [[4, 4, 10], [4, 4, 16], [12, 4, 10]]


def test_decode_by_hand() -> None:
    box = decode(np.array([[1.0, -2.0, 0.0, 5 * np.log(2)]]), np.array([[100.0, 50.0, 20.0]]))
    assert box[0].tolist() == pytest.approx([92.0, 26.0, 20.0, 40.0], abs=1e-4)


def targets(boxes: list[list[float]], counts: list[int], face: list[bool], complete: list[bool]) -> Targets:
    return Targets(torch.tensor(boxes).reshape(-1, 4), torch.tensor(face), counts, torch.tensor(complete))


def test_matching() -> None:
    anchors = torch.from_numpy(grid(FACE_M4, 96, 96))
    boxes = [[40.0, 40, 64, 64], [3.0, 3, 9, 10], [10.0, 50, 26, 66], [70.0, 70, 90, 95]]
    t = targets(boxes, [2, 0, 2], [True, True, True, False], [True] * 3)
    index, ignored, near = match(anchors, t)
    assert index.shape == ignored.shape == near.shape == (3, len(anchors))
    assert set(index[0].tolist()) == {-1, 0, 1} and set(index[1].tolist()) == {-1} and set(index[2].tolist()) == {-1, 2}
    corners = np.concatenate([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, 2:], anchors[:, 2:]], axis=1)
    xywh = np.array(boxes)
    xywh[:, 2:] -= xywh[:, :2]
    iou = torch.from_numpy(iou_matrix(corners.astype(np.float32), xywh.astype(np.float32)))
    for face, view in ((0, 0), (1, 0), (2, 2)):
        assert index[view, iou[:, face].argmax()] == face  # its best anchor, however small the overlap
    assert (index[0][iou[:, 0] >= 0.4] == 0).all()
    assert ignored[2][iou[:, 3] > 0.2].all() and not ignored[1].any()
    assert not (ignored & (index >= 0)).any()


def test_giou_by_hand() -> None:
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])
    iou, giou = generalized_iou(a, b)
    assert iou.item() == pytest.approx(1 / 3) and giou.item() == pytest.approx(1 / 3)
    iou, giou = generalized_iou(a, torch.tensor([[4.0, 0, 6, 2]]))
    assert iou.item() == 0 and giou.item() == pytest.approx(-1 / 3)


def test_loss_spares_confident_detections_in_incomplete_pictures() -> None:
    anchors = torch.from_numpy(grid(FACE_M4, 96, 96))
    output = torch.zeros(1, len(anchors), 5)
    output[..., 0] = -6
    output[0, -1, 0] = 4  # a confident detection far from the only label
    box = [[3.0, 3.0, 13.0, 15.0]]
    whole = detection_loss(output, anchors, targets(box, [1], [True], [True]))[1]["class"]
    partial = detection_loss(output, anchors, targets(box, [1], [True], [False]))[1]["class"]
    assert partial < whole


def test_boxes_count_as_often_as_is_said() -> None:
    anchors = torch.from_numpy(grid(FACE_M4, 96, 96))
    output = torch.zeros(1, len(anchors), 5)
    face = targets([[3.0, 3.0, 13.0, 15.0]], [1], [True], [True])
    once, parts = detection_loss(output, anchors, face)
    thrice, _ = detection_loss(output, anchors, face, 3.0)
    assert parts["box"] > 0.1 and (thrice - once).item() == pytest.approx(2 * parts["box"], rel=1e-5)


def test_loss_without_any_face() -> None:
    anchors = torch.from_numpy(grid(FACE_M4, 96, 96))
    output = torch.zeros(2, len(anchors), 5, requires_grad=True)
    loss, _ = detection_loss(output, anchors, targets([], [0, 0], [], [True, True]))
    loss.backward()
    assert torch.isfinite(loss) and output.grad is not None and torch.isfinite(output.grad).all()


def test_loader(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.jsonl"):
        load(tmp_path)
    write_folder(tmp_path, 6, seed=1)
    samples = load(tmp_path)
    records: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [s.pixels.shape for s in samples] == [(r["height"], r["width"]) for r in records]
    for s, r in zip(samples, records, strict=True):
        assert np.allclose(s.boxes, np.array(r["boxes"]).reshape(-1, 4), atol=1e-4)
    assert [s.name for s in load(tmp_path, 3)] == [records[i]["file"] for i in (0, 2, 4)]
