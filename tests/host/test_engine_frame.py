"""Frames of any size and format reach the network as the reference's resampling says; wrong calls are refused."""

import networks
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnpool_training import engine as engine_module
from rnnpool_training import reference
from rnnpool_training.blob import Conv, Dense, GlobalAveragePool, Model, Task, write
from rnnpool_training.engine import Engine, EngineError
from rnnpool_training.reference import Format
from rnnpool_training.reference.frame import model_input, sign

SIDES = st.integers(1, 70)


def mirror(height: int, width: int, channels: int) -> Model:
    """A network whose first operator's output is its input."""
    op = Conv(
        input=0,
        weight=np.full((channels, 1, 1, channels), 0, np.int8),
        bias=np.zeros(channels, np.int32),
        multiplier=np.full(channels, 2**26, np.int32),
    )
    op.weight[range(channels), 0, 0, range(channels)] = 64  # 64 * 2^26 = 2^32
    pool = GlobalAveragePool(input=1, multiplier=np.ones(1, np.int32))
    nothing = np.zeros(2, np.int32)
    dense = Dense(input=2, weight=np.zeros((2, channels), np.int8), bias=nothing, multiplier=nothing)
    return Model(
        task=Task.CLASSIFICATION,
        name="mirror",
        labels=["nothing", "no thing"],
        height=height,
        width=width,
        channels=channels,
        ops=[op, pool, dense],
    )


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32 - 1), SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]), st.sampled_from(Format))
@example(1, 1, 1, 1, 1, 1, Format.GRAY8)
@example(2, 64, 64, 1, 1, 3, Format.RGB565)
@example(3, 1, 1, 64, 64, 3, Format.RGB888)
@example(4, 1, 2, 1, 1, 1, Format.RGB565)  # one axis shrinks, the other stays
@example(5, 48, 64, 64, 48, 1, Format.RGB888)
def test_input_equals_reference(
    seed: int, height: int, width: int, frame_height: int, frame_width: int, channels: int, format: Format
) -> None:
    rng = np.random.default_rng(seed)
    engine = Engine(write(mirror(height, width, channels)))
    pixels = rng.integers(0, 256, (frame_height, frame_width * format.bytes_per_pixel), np.uint8)
    if rng.random() < 0.3:
        pixels[:] = rng.choice([0, 255])  # extremes must stay what they are
    run = engine.begin(frame_width, frame_height, format, taps=True)
    for row in pixels:
        run.push(row)
    right = model_input(pixels.tobytes(), frame_width, frame_height, format, (height, width, channels))
    np.testing.assert_array_equal(run.outputs()[0], sign(right))


@pytest.mark.parametrize(
    ("frame_width", "frame_height", "format"),
    [(4096, 3, Format.RGB888), (3, 4096, Format.GRAY8), (4096, 16, Format.RGB565)],
)
def test_largest_frames(frame_width: int, frame_height: int, format: Format) -> None:
    for shape in ((2048, 2, 3), (2, 2048, 1), (17, 19, 3)):
        engine = Engine(write(mirror(*shape)))
        pixels = np.full((frame_height, frame_width * format.bytes_per_pixel), 255, np.uint8)
        run = engine.begin(frame_width, frame_height, format, taps=True)
        for row in pixels:
            run.push(row)
        right = model_input(pixels.tobytes(), frame_width, frame_height, format, shape)
        np.testing.assert_array_equal(run.outputs()[0], sign(right))


def test_a_frame_of_the_models_size_needs_no_resampling_memory() -> None:
    engine = Engine(write(mirror(48, 64, 1)))
    own = engine.arena_size()
    assert engine.arena_size((64, 48, Format.RGB565)) == own
    assert engine.arena_size((128, 96, Format.GRAY8)) == own + 4 * 64
    assert engine.arena_size((32, 24, Format.GRAY8)) == own + 2 * 64


@pytest.mark.parametrize("side", [0, 4097])
def test_frames_out_of_range_are_refused(side: int) -> None:
    engine = Engine(write(mirror(8, 8, 1)))
    for frame, what in (((side, 8), "width"), ((8, side), "height")):
        assert engine.arena_size((*frame, Format.GRAY8)) == 0
        assert engine.regions((*frame, Format.GRAY8)) == []
        with pytest.raises(EngineError) as caught:
            engine.begin(*frame, Format.GRAY8)
        error = caught.value
        assert (error.status, error.what, error.given) == ("argument", what, side)
        assert error.expected == (1 if side == 0 else 4096)


@pytest.mark.parametrize("format", [0, 4])
def test_unknown_formats_are_refused(format: int) -> None:
    loaded = Engine(write(mirror(8, 8, 1)))
    frame, error, arena = engine_module._Frame(8, 8, format), engine_module._Error(), engine_module.aligned(4096)
    begin = loaded.library.rnnp_begin
    assert begin(engine_module._Run(), loaded.model, frame, arena.ctypes.data, arena.size, 0, error) != 0
    assert (engine_module.STATUS[error.status], error.what, error.given) == ("argument", b"format", format)
    assert loaded.library.rnnp_arena_size(loaded.model, frame) == 0


def test_wrong_order_of_calls_is_refused() -> None:
    model = networks.tiny(1)
    engine = Engine(write(model))
    frame = np.zeros(model.input_shape[:2], np.uint8)
    run = engine.begin(model.width, model.height, Format.GRAY8)
    for row in frame:
        with pytest.raises(EngineError, match="state error: rows: expected 24"):
            run.detections()
        run.push(row)
    with pytest.raises(EngineError, match="state error: rows: expected 24, given 25"):
        run.push(frame[0])
    run.detections()


def test_arguments_out_of_range_are_refused() -> None:
    engine = Engine(write(networks.tiny(1)))
    frame = np.zeros((24, 32), np.uint8)
    with pytest.raises(EngineError, match="argument error: threshold: expected 32767, given 32768"):
        engine.run(frame, threshold=32768)
    run = engine.run(frame)
    for arguments, message in (
        ((32768, 1), "argument error: iou: expected 32767, given 32768"),
        ((0, 0), "argument error: max: expected 1, given 0"),
        ((0, 513), "argument error: max: expected 512, given 513"),
    ):
        with pytest.raises(EngineError, match=message):
            run.detections(*arguments)
    classifier = Engine(write(mirror(8, 8, 1)))
    complete = classifier.run(np.zeros((8, 8), np.uint8))
    with pytest.raises(EngineError, match="argument error: task: expected 1, given 2"):
        complete.detections()
    assert complete.probabilities() == [16384, 16384]
    with pytest.raises(EngineError, match="argument error: task: expected 2, given 1"):
        run.probabilities()
    with pytest.raises(EngineError, match="state error: rows: expected 8, given 0"):
        classifier.begin(8, 8, Format.GRAY8).probabilities()


def test_detections_may_be_asked_for_again() -> None:
    model = networks.face_m4(2)
    engine = Engine(write(model))
    frame = np.random.default_rng(2).integers(0, 256, model.input_shape[:2], np.uint8)
    run = engine.run(frame, threshold=8000)
    outputs = reference.run_input(model, frame[:, :, None])
    seen = set()
    for iou, most in ((0, 512), (9830, 512), (32767, 512), (9830, 3), (9830, 512), (0, 1)):
        right = reference.detect_outputs(model, outputs, model.width, model.height, 8000, iou, most)
        assert run.detections(iou, most) == right
        seen.add(len(right))
    assert len(seen) > 2, "the limits must matter here"
