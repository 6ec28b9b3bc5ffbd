"""Whole networks: the engine, as a library and in all its builds, equals the integer reference bit for bit."""

from dataclasses import replace

import engine_runner
import networks
import numpy as np
import pytest
from engine_runner import Case
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnpool_training import reference
from rnnpool_training.blob import DetectHead, Model, Task, golden_frame, result_crc, write
from rnnpool_training.engine import Engine, aligned
from rnnpool_training.reference import Format, detection

SEEDS = st.integers(0, 2**32 - 1)
TASKS = st.sampled_from(Task)
FRAMES = (Task.DETECTION, Task.CLASSIFICATION, Task.MAP)  # tasks that take frames of any size


def random_case(rng: np.random.Generator, model: Model) -> Case:
    """A frame of noise or of blocks, of the model's size and channels or any other, and random thresholds."""
    height, width, channels = model.input_shape
    if model.task not in FRAMES:
        rows = rng.integers(0, 256, height * width * channels, np.uint8)
        return Case(write(model), rows.tobytes(), width, height, Format.GRAY8)
    format = Format.GRAY8 if channels == 1 else Format.RGB888
    if rng.random() < 0.5:
        height, width = (int(n) for n in rng.integers(1, 60, 2))
        format = Format(rng.choice([16, 17, 18, 19, 20]))  # those of any width
    size = height * width * format.bytes_per_pixel
    pixels = rng.integers(0, 256, size, np.uint8)
    if rng.random() < 0.5:
        pixels = np.repeat(pixels[: -(-size // 16)], 16)[:size]
    threshold = int(rng.choice([0, 1, 3000, 16384, 30000, 32767]))
    iou = int(rng.choice([0, 9830, 32767]))
    most = int(rng.choice([1, 4, 512]))
    return Case(write(model), pixels.tobytes(), width, height, format, threshold, iou, most)


def expected(model: Model, case: Case) -> tuple[list[NDArray[np.integer]], list[reference.Detection] | list[int]]:
    """What the reference says of a case: outputs, and detections or probabilities."""
    if model.task not in FRAMES:
        rows = np.frombuffer(case.pixels, np.uint8).reshape(model.input_shape)
        return reference.run_input(model, rows), []
    outputs = reference.run(model, case.pixels, case.width, case.height, case.format)
    if model.task == Task.CLASSIFICATION:
        return outputs, reference.classify_outputs(model, outputs)
    if model.task == Task.MAP:
        return outputs, []
    found = reference.detect_outputs(
        model, outputs, case.width, case.height, case.threshold, case.iou, case.max_detections
    )
    return outputs, found


@settings(max_examples=150, deadline=None)
@given(SEEDS, TASKS)
def test_random_network_equals_reference(seed: int, task: Task) -> None:
    rng = np.random.default_rng(seed)
    model = networks.random_network(rng, task)
    case = random_case(rng, model)
    outputs, results = expected(model, case)
    if task not in FRAMES:
        rows = np.frombuffer(case.pixels, np.uint8).reshape(model.input_shape)
        np.testing.assert_array_equal(Engine(case.blob).layer(rows), outputs[0], f"{model.ops[0]}")
        return
    run = Engine(case.blob).begin(case.width, case.height, case.format, case.threshold, taps=True)
    for row in np.frombuffer(case.pixels, np.uint8).reshape(case.height, -1):
        assert not run.done
        run.push(row)
    assert run.done
    for op, (mine, right) in enumerate(zip(run.outputs(), outputs, strict=True)):
        np.testing.assert_array_equal(mine, right, f"operator {op}: {model.ops[op]}")
    assert run.crc() == result_crc(model, outputs)
    if task == Task.DETECTION:
        assert run.detections(case.iou, case.max_detections) == results
        return
    np.testing.assert_array_equal(run.raw(), reference.raw_outputs(model, outputs))
    if task == Task.CLASSIFICATION:
        assert run.probabilities() == results


def test_boxes_outside_the_frame_take_no_place() -> None:
    # Of a narrow frame the letterbox leaves much of the input beside it, where boxes are found but not reported.
    model = networks.tiny(1)
    pixels = np.random.default_rng(3).integers(0, 256, 6 * 24, np.uint8)
    outputs = reference.run(model, pixels.tobytes(), 6, 24, Format.GRAY8)
    heads = [op for op in model.ops if isinstance(op, DetectHead)]
    _, boxes, _ = detection.candidates(heads, [outputs[i] for i in model.results()], 0, model.max_candidates)
    sizes = [detection.to_frame(boxes[i].tolist(), 6, 24, 32, 24)[2:] for i in detection.suppress(boxes, 32767)]
    outside = [i for i, (w, h) in enumerate(sizes) if w == 0 or h == 0]

    everything = reference.detect_outputs(model, outputs, 6, 24, threshold=0, iou=32767)
    assert outside and outside[0] < len(everything) == len(sizes) - len(outside)
    for most in range(1, len(everything) + 1):
        assert reference.detect_outputs(model, outputs, 6, 24, 0, 32767, most) == everything[:most]
        assert Engine(write(model)).detect(pixels.reshape(24, 6), 0, 32767, most) == everything[:most]


@pytest.fixture(scope="module")
def cases() -> list[tuple[Model, Case, list[NDArray[np.integer]], list[reference.Detection] | list[int]]]:
    rng = np.random.default_rng(8)
    models = [networks.NETWORKS[name](7) for name in networks.NETWORKS]
    models += [networks.random_network(rng, task) for task in Task for _ in range(40)]
    return [(model, case, *expected(model, case)) for model in models for case in [random_case(rng, model)]]


@pytest.mark.parametrize("build", engine_runner.BUILDS)
def test_all_builds_equal_reference(build: str, cases: list) -> None:
    answers = engine_runner.run(engine_runner.build(build), [case for _, case, _, _ in cases])
    for (model, case, outputs, results), answer in zip(cases, answers, strict=True):
        assert answer.status == 0
        for op, right in enumerate(outputs):
            np.testing.assert_array_equal(answer.output(op, right), right, f"operator {op}: {model.ops[op]}")
        assert answer.crc == result_crc(model, outputs)
        assert (answer.detections or answer.probabilities) == results
        # Offsets, never pointers: the same arena everywhere.
        frame = (case.width, case.height, case.format) if model.task in FRAMES else None
        assert answer.arena_size == Engine(case.blob).arena_size(frame)


@pytest.mark.parametrize("name", networks.NETWORKS)
@pytest.mark.parametrize("seed", [1, 2])
def test_golden_check(name: str, seed: int) -> None:
    model = networks.NETWORKS[name](seed)
    engine = Engine(write(model))
    np.testing.assert_array_equal(engine.golden_frame(), golden_frame(model))
    assert engine.golden_check()
    wrong = replace(model, golden_crc=model.golden_crc ^ 1)
    assert not Engine(write(wrong)).golden_check()


def test_results_do_not_depend_on_what_the_arena_held() -> None:
    model = networks.segmented(4)
    engine = Engine(write(model))
    frame = np.random.default_rng(5).integers(0, 256, model.input_shape, np.uint8)
    right = engine.run(frame, 2000)
    arena = aligned(right.arena.size)
    for fill in (0, 255, 0xA5):
        arena[:] = fill
        run = engine.begin(model.width, model.height, Format.RGB888, 2000, arena)
        for row in frame:
            run.push(row)
        assert run.crc() == right.crc()
        assert run.detections() == right.detections()


def test_arena_may_move_between_rows() -> None:
    model = networks.segmented(6)
    engine = Engine(write(model))
    frame = np.random.default_rng(6).integers(0, 256, model.input_shape, np.uint8)
    right = engine.run(frame, 2000)
    run = engine.begin(model.width, model.height, Format.RGB888, 2000)
    for row in frame:
        moved = aligned(run.arena.size)
        moved[:] = run.arena
        run.arena[:] = 0xEE
        run.arena = moved
        run.push(row)
    assert run.crc() == right.crc()
    assert run.detections() == right.detections()
