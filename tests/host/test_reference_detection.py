"""Decoding, candidates, suppression and the way back to the frame: against single numbers, and known answers."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training.blob import DetectHead
from rnnpool_training.reference import detection, tables


def make_head(anchors: list[tuple[int, int]], step: int, classes: int = 1) -> DetectHead:
    count = (4 + classes) * len(anchors)
    return DetectHead(
        input=1,
        weight=np.zeros((count, 1, 1, 1), np.int8),
        bias=np.zeros(count, np.int32),
        multiplier=np.zeros(count, np.int32),
        anchors=np.array(anchors, np.uint16),
        step=step,
        classes=classes,
    )


def test_logit_min_is_the_smallest_that_reaches_the_threshold() -> None:
    scores = tables.sigmoid15(np.arange(-32768, 32768))
    for threshold in [
        *range(0, 32768, 37),
        1,
        10,
        11,
        12,
        16384,
        16385,
        int(scores.max()),
        int(scores.max()) + 1,
        32767,
    ]:
        q = detection.logit_min(threshold)
        assert q == 32768 or scores[q + 32768] >= threshold
        assert q == -32768 or (scores[: q + 32768] < threshold).all()
    assert detection.logit_min(16384) == 0
    assert detection.logit_min(0) == -32768
    assert detection.logit_min(32767) == 32768  # the largest score is below it


def test_decode_known_answers() -> None:
    op = make_head([(256, 512)], 8)
    output = np.zeros((2, 3, 5), np.int16)
    logits, boxes, _ = detection.decode(op, output)
    # 16 x 32 pixels around the centres (4, 4), (12, 4), ... in 1/16 pixel.
    assert boxes[0].tolist() == [64 - 128, 64 - 256, 64 + 128, 64 + 256]
    assert boxes[5].tolist() == [320 - 128, 192 - 256, 320 + 128, 192 + 256]
    output[0, 0] = [
        -7,
        4096,
        -2048,
        4096,
        -4096,
    ]  # right by the width, up by half the height; twice as wide, half as high
    logits, boxes, _ = detection.decode(op, output)
    assert logits[0] == -7
    assert boxes[0].tolist() == [64 + 256 - 256, 64 - 256 - 128, 64 + 256 + 256, 64 - 256 + 128]


def test_the_first_of_the_best_classes_is_an_anchors() -> None:
    op = make_head([(256, 256)], 8, classes=3)
    output = np.array([[[5, 9, 9, 4096, 0, 0, 0], [-3, -4, -2, 0, 0, 0, 0]]], np.int16)
    logits, boxes, labels = detection.decode(op, output)
    assert logits.tolist() == [9, -2] and labels.tolist() == [1, 2]
    assert boxes[0].tolist() == [64 + 256 - 128, 64 - 128, 64 + 256 + 128, 64 + 128]


def test_decode_extremes() -> None:
    op = make_head([(1, 1), (32767, 32767)], 512)
    output = np.zeros((1, 2, 10), np.int16)
    output[..., [1, 2, 6, 7]] = 32767
    output[..., [3, 4, 8, 9]] = 32767
    output[0, 1] *= -1
    _, boxes, _ = detection.decode(op, output)
    assert boxes.min() >= -32768 and boxes.max() <= 32767
    assert boxes[1].tolist() == [4096 + 262128 - 262136, 4096 + 262128 - 262136, 32767, 32767]
    assert (boxes[2][2:] - boxes[2][:2]).tolist() == [1, 1]  # a side is at least 1


random_heads = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.integers(1, 5),
        st.lists(st.tuples(*[st.one_of(st.integers(1, 600), st.integers(1, 32767))] * 2), min_size=1, max_size=3),
        st.integers(1, 512),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(
    random_heads,
    st.integers(0, 2**32 - 1),
    st.integers(0, 32767),
    st.integers(0, 32767),
    st.integers(1, 40),
    st.sampled_from([3, 300, 6000, 40000]),
    st.integers(1, 4),
)
def test_candidates_and_suppression(
    shapes: list, seed: int, threshold: int, iou: int, capacity: int, spread: int, classes: int
) -> None:
    rng = np.random.default_rng(seed)
    heads, outputs = [], []
    for height, width, anchors, step in shapes:
        heads.append(make_head(anchors, step, classes))
        values = rng.normal(0, spread, (height, width, (4 + classes) * len(anchors)))  # a small spread: equal logits
        outputs.append(values.clip(-32768, 32767).astype(np.int16))
    logits, boxes, index = detection.candidates(heads, outputs, threshold, capacity)
    found = naive.boxes(heads, outputs)
    want = naive.kept(found, threshold, capacity, iou, classes)
    kept = detection.suppress(boxes, iou, labels=index % classes)
    got = [(int(logits[i]), int(index[i]), boxes[i].tolist()) for i in kept]
    assert got == want
    voted = detection.vote(boxes, logits, kept, index % classes).tolist()
    assert voted == [naive.voted(found, threshold, capacity, b, place, classes) for _, place, b in want]
    assert all(x1 <= x2 and y1 <= y2 for x1, y1, x2, y2 in voted)  # equal if saturated to nothing
    assert len(logits) == min(capacity, sum(naive.sigmoid15(f[0]) >= threshold for f in found))


def test_votes_known_answers() -> None:
    # Scores of 1/2 (weight 65) and nearly 1 (128); the third overlaps the first by 1/3 only, the fourth is elsewhere.
    boxes = np.array([[0, 0, 100, 100], [10, -10, 110, 90], [50, 0, 150, 100], [400, 0, 500, 100]], np.int64)
    logits = np.array([32767, 0, 0, 0])
    assert detection.vote(boxes, logits, [0, 3]).tolist() == [[3, -3, 103, 97], [400, 0, 500, 100]]
    assert detection.vote(boxes, logits, [0], np.array([0, 1, 0, 0])).tolist() == [[0, 0, 100, 100]]
    assert detection.vote(boxes, logits, []).shape == (0, 4)
    # Overlaps of exactly half do not vote; a score of 0 has a weight of 1.
    half = np.array([[0, 0, 100, 100], [0, 0, 100, 50], [0, 0, 100, 52]], np.int64)
    assert detection.vote(half, np.full(3, -32768), [0]).tolist() == [[0, 0, 100, 76]]
    # The largest sums: 512 candidates as far from the first as votes can be.
    far = np.array([[-32768, 0, 32767, 10]] + [[-1, 0, 32767, 10]] * 511, np.int64)
    assert detection.vote(far, np.full(512, 32767), [0]).tolist() == [[-65, 0, 32767, 10]]


def test_suppression_known_answers() -> None:
    boxes = np.array(
        [[0, 0, 100, 100], [0, 0, 100, 50], [50, 0, 150, 100], [100, 0, 200, 100], [0, 0, 100, 100]], np.int64
    )
    # IoU with the first: 1/2, 1/3, 0, 1. "Exceeds the limit" is strict.
    assert detection.suppress(boxes, 16384) == [0, 1, 2, 3]
    assert detection.suppress(boxes, 16383) == [0, 2, 3]
    assert detection.suppress(boxes, 0) == [0, 3]
    assert detection.suppress(boxes, 32767) == [0, 1, 2, 3]
    assert detection.suppress(boxes[:0], 0) == []


def test_pieces_of_a_better_box_go_when_passes_are_merged() -> None:
    # The second lies wholly within the first, the third with 3/4 of its area, which is not more than that.
    boxes = np.array([[0, 0, 160, 160], [100, 100, 150, 150], [100, 10, 180, 20], [100, 10, 179, 20]], np.int64)
    assert detection.suppress(boxes, 32767) == [0, 1, 2, 3]
    assert detection.suppress(boxes, 32767, merged=True) == [0, 2]
    assert detection.suppress(boxes[::-1], 32767, merged=True)[-1] == 3  # the whole is no piece of its pieces


def test_suppression_of_the_largest_boxes_does_not_overflow() -> None:
    full = [-32768, -32768, 32767, 32767]
    assert detection.suppress(np.array([full, full], np.int64), 32767) == [0]
    empty = [32767, 32767, 32767, 32767]
    assert detection.suppress(np.array([empty, empty], np.int64), 0) == [0, 1]  # no area, no overlap


@pytest.mark.parametrize(
    ("raw", "frame", "model", "expected"),
    [
        ((160, 320, 480, 640), (320, 240), (320, 240), (10, 20, 20, 20)),
        ((160, 320, 480, 640), (640, 480), (320, 240), (20, 40, 40, 40)),
        ((-100, -100, 6000, 5000), (320, 240), (320, 240), (0, 0, 320, 240)),
        ((8, 7, 24, 23), (320, 240), (320, 240), (1, 0, 1, 1)),  # a half is rounded up
        ((-160, -160, -16, -16), (320, 240), (320, 240), (0, 0, 0, 0)),
        ((-24, -24, -8, 8), (320, 240), (320, 240), (0, 0, 0, 1)),
        ((2880, 0, 3840, 3840), (240, 320), (320, 240), (240, 0, 0, 320)),  # right of the letterbox
        ((-32768, -32768, 32767, 32767), (4096, 4096), (1, 1), (0, 0, 4096, 4096)),
    ],
)
def test_to_frame(raw: tuple, frame: tuple[int, int], model: tuple[int, int], expected: tuple) -> None:
    assert detection.to_frame(raw, *frame, *model) == expected
