"""Whole networks in the reference."""

import time
import zlib

import networks
import numpy as np
import pytest

from rnnpool_training import blob, reference
from rnnpool_training.blob import DetectHead, Task
from rnnpool_training.reference import Detection, Format


def golden(model: blob.Model) -> bytes:
    return blob.golden_frame(model).tobytes()


def test_golden_frame_known_answer() -> None:
    # Section 5 by hand, for the first pixels of a seed of 1.
    model = networks.tiny(1)
    model.golden_seed = 1
    state, first = 1, []
    for _ in range(12):
        state = (state * 1664525 + 1013904223) % 2**32
        first.append(state >> 26)
    pixels = blob.golden_frame(model)
    assert pixels.shape == (24, 32, 1) and pixels.dtype == np.uint8
    assert pixels[0, :8, 0].tolist() == first[:8]
    assert pixels[0, 8:12, 0].tolist() == [v + 12 for v in first[8:]]
    assert pixels.min() < 64 and len(np.unique(pixels)) > 50


@pytest.mark.parametrize("make", networks.NETWORKS.values(), ids=networks.NETWORKS)
def test_networks_are_lively(make) -> None:
    # Otherwise a wrong engine could pass its tests.
    model = make(1)
    for op, output in zip(model.ops, reference.run_input(model, blob.golden_frame(model)), strict=True):
        if output.shape[:2] == (1, 1):
            assert len(np.unique(output)) > min(output.size, 50) // 2
            continue
        assert len(np.unique(output)) > 50
        spread = output.reshape(-1, output.shape[-1]).std(0) / (128 if output.dtype == np.int8 else 32768)
        assert spread.min() > 0.005, op.kind
    if model.task == Task.MAP:  # its last operator's output was looked at
        return
    frame = golden(model)
    format = Format.GRAY8 if model.channels == 1 else Format.RGB888
    if model.task == Task.CLASSIFICATION:
        chances = reference.classify(model, frame, model.width, model.height, format)
        assert len(chances) == len(model.labels) and abs(sum(chances) - 32768) <= len(chances)
        assert max(chances) < 32000, "a wrong bit must show"
        return
    found = reference.detect(model, frame, model.width, model.height, format)
    assert len(found) >= 3
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


def test_golden_crc_is_over_the_results_and_notices_one_bit() -> None:
    model = networks.tiny(2)
    outputs = reference.run_input(model, blob.golden_frame(model))
    crcs = [zlib.crc32(outputs[i].astype("<i2").tobytes()) for i in (3, 5)]
    assert [i for i, op in enumerate(model.ops) if isinstance(op, DetectHead)] == [3, 5]
    assert model.golden_crc == zlib.crc32(b"".join(crc.to_bytes(4, "little") for crc in crcs))
    assert reference.golden_check(model)
    model.ops[5].bias[0] += 100000  # type: ignore[union-attr]
    assert not reference.golden_check(model)


def test_classifier_has_its_dense_layer_as_result() -> None:
    model = networks.random_network(np.random.default_rng(7), Task.CLASSIFICATION)
    assert model.results() == [len(model.ops) - 1]
    assert reference.golden_check(blob.read(blob.write(model)))
    frame = golden(model)
    format = Format.GRAY8 if model.channels == 1 else Format.RGB888
    with pytest.raises(ValueError, match="for classification, not for detection"):
        reference.detect(model, frame, model.width, model.height, format)
    assert len(reference.classify(model, frame, model.width, model.height, format)) == len(model.labels)
    detector = networks.tiny(1)
    with pytest.raises(ValueError, match="for detection, not for classification"):
        reference.classify(detector, golden(detector), 32, 24, Format.GRAY8)


def test_detections_are_in_frame_pixels() -> None:
    # A frame of twice the size whose pixels are pairs gives the same input, and boxes of twice the size.
    model = networks.tiny(1)
    pixels = blob.golden_frame(model)
    small = reference.detect(model, pixels.tobytes(), 32, 24, Format.GRAY8, threshold=8000)
    double = np.repeat(np.repeat(pixels, 2, 0), 2, 1)
    large = reference.detect(model, double.tobytes(), 64, 48, Format.GRAY8, threshold=8000)
    assert [(d.score, d.raw, d.anchor) for d in small] == [(d.score, d.raw, d.anchor) for d in large]
    assert len(small) > 5
    for d, e in zip(small, large, strict=True):
        assert all(abs(2 * a - b) <= 2 for a, b in zip(d[:4], e[:4], strict=True))
        assert d.x >= 0 and d.y >= 0 and d.w >= 1 and d.h >= 1 and d.x + d.w <= 32 and d.y + d.h <= 24


def test_thresholds_and_limits() -> None:
    model = networks.tiny(1)

    def found(**limits: int) -> list[Detection]:
        return reference.detect(model, golden(model), 32, 24, Format.GRAY8, **limits)

    everything = found(threshold=0, iou=32767)
    assert found(threshold=32767) == []
    assert all(d.score >= 20000 for d in found(threshold=20000, iou=32767))
    assert found(threshold=0, iou=32767, max_detections=2) == everything[:2]
    assert len(found(threshold=0, iou=0)) < len(everything)
    assert found() == found(threshold=model.threshold, iou=model.iou)


def test_input_of_another_shape_is_refused() -> None:
    model = networks.tiny(1)
    with pytest.raises(ValueError, match=r"\(24, 32, 1\).*\(24, 31, 1\)"):
        reference.run_input(model, np.zeros((24, 31, 1), np.uint8))
    with pytest.raises(ValueError, match="int8"):
        reference.run_input(model, np.zeros((24, 32, 1), np.int8))  # type: ignore[arg-type]


def test_face_network_takes_well_under_half_a_second() -> None:
    model = networks.face_m4(1)
    pixels = blob.golden_frame(model)
    best = 1e9
    for _ in range(3):
        start = time.perf_counter()
        reference.run_input(model, pixels)
        best = min(best, time.perf_counter() - start)
    assert best < 0.5
