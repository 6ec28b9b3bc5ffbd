"""Frames of any size and format reach the network as the reference's resampling says; wrong calls are refused."""

import networks
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnpool_training import engine as engine_module
from rnnpool_training import reference
from rnnpool_training.blob import Conv, Dense, DetectHead, GlobalAveragePool, Model, Task, write
from rnnpool_training.engine import Engine, EngineError
from rnnpool_training.reference import Format, Light, View, measure_light
from rnnpool_training.reference.frame import model_input, sign

SIDES = st.integers(1, 70)
ROWS = [format for format in Format if format != Format.YUV420]  # that come row by row


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
@given(st.integers(0, 2**32 - 1), SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]), st.sampled_from(ROWS))
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
    frame_width += frame_width % 2 if format.in_pairs else 0
    pixels = rng.integers(0, 256, (frame_height, frame_width * format.bytes_per_pixel), np.uint8)
    if rng.random() < 0.3:
        pixels[:] = rng.choice([0, 255])  # extremes must stay what they are
    run = engine.begin(frame_width, frame_height, format, taps=True)
    for row in pixels:
        run.push(row)
    right = model_input(pixels.tobytes(), frame_width, frame_height, format, (height, width, channels))
    np.testing.assert_array_equal(run.outputs()[0], sign(right))


def random_view(rng: np.random.Generator, width: int, height: int, format: Format) -> View:
    """Any part of a frame, any way round, with or without a gap between rows."""
    x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
    roi = (x, y, int(rng.integers(1, width - x + 1)), int(rng.integers(1, height - y + 1)))
    return View(
        stride=int(rng.choice([0, width * format.bytes_per_pixel + rng.integers(0, 9)])),
        roi=roi if rng.random() < 0.5 else None,
        rotate=int(rng.choice([0, 90, 180, 270])),
        mirror=bool(rng.random() < 0.5),
        scale=int(rng.choice([256, 128, rng.integers(1, 257)])),
    )


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32 - 1), SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 3]), st.sampled_from(Format))
def test_whole_frames_in_any_view_equal_the_reference(
    seed: int, height: int, width: int, frame_height: int, frame_width: int, channels: int, format: Format
) -> None:
    rng = np.random.default_rng(seed)
    channels = 1 if format == Format.YUV420 else channels
    engine = Engine(write(mirror(height, width, channels)))
    frame_width += frame_width % 2 if format.in_pairs else 0
    view = random_view(rng, frame_width, frame_height, format)
    size = view.stride * frame_height + 2 * ((view.stride + 1) // 2) * ((frame_height + 1) // 2)
    pixels = rng.integers(0, 256, size if view.stride else format.frame_bytes(frame_width, frame_height), np.uint8)
    if view.stride:  # the gap behind the last row may be there or not
        least = view.stride * (frame_height - 1) + frame_width * format.bytes_per_pixel
        pixels = pixels[: least if rng.random() < 0.5 else view.stride * frame_height]
    light = [None, Light(int(rng.integers(1, 2049)), int(rng.integers(-65280, 65281)))][int(rng.integers(2))]
    measure = bool(rng.random() < 0.3)
    run = engine.run_bytes(pixels, frame_width, frame_height, format, 0, view, light, measure, taps=True)
    if measure:
        light = measure_light(pixels, frame_width, frame_height, format, view)
        assert run.measured == light
    right = model_input(pixels, frame_width, frame_height, format, (height, width, channels), view, light)
    np.testing.assert_array_equal(run.outputs()[0], sign(right))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SIDES, SIDES, st.sampled_from([1, 3]), st.sampled_from(ROWS), st.booleans())
def test_streamed_rows_with_mirror_and_light(
    seed: int, height: int, width: int, channels: int, format: Format, mirrored: bool
) -> None:
    rng = np.random.default_rng(seed)
    width += width % 2 if format.in_pairs else 0
    engine = Engine(write(mirror(20, 30, channels)))
    pixels = rng.integers(0, 256, (height, width * format.bytes_per_pixel), np.uint8)
    view, light = View(mirror=mirrored, scale=int(rng.integers(1, 257))), Light(300, -2000)
    run = engine.begin(width, height, format, taps=True, view=view, light=light, measure=True)
    for row in pixels:
        run.push(row)
    right = model_input(pixels.tobytes(), width, height, format, (20, 30, channels), view, light)
    np.testing.assert_array_equal(run.outputs()[0], sign(right))
    assert run.measured == measure_light(pixels.tobytes(), width, height, format, view)  # for the next one


def test_streamed_rows_are_neither_turned_nor_cut() -> None:
    engine = Engine(write(mirror(8, 8, 1)))
    for view, what in ((View(rotate=180), "rotate"), (View(roi=(1, 1, 2, 2)), "roi")):
        run = engine.begin(8, 8, Format.GRAY8, view=view)
        with pytest.raises(EngineError, match=f"argument error: {what}: expected 0"):
            run.push(np.zeros(8, np.uint8))


@pytest.mark.parametrize(
    ("view", "what", "expected", "given"),
    [
        (View(rotate=45), "rotate", 0, 45),
        (View(rotate=360), "rotate", 270, 360),
        (View(roi=(0, 0, 9, 1)), "roi width", 8, 9),
        (View(roi=(0, 0, 0, 1)), "roi width", 1, 0),
        (View(roi=(0, 0, 1, 7)), "roi height", 6, 7),
        (View(roi=(1, 0, 8, 1)), "roi x", 0, 1),
        (View(roi=(0, 6, 1, 1)), "roi y", 5, 6),
        (View(stride=7), "stride", 8, 7),
        (View(stride=65537), "stride", 65536, 65537),
        (View(scale=257), "scale", 256, 257),
    ],
)
def test_views_out_of_range_are_refused(view: View, what: str, expected: int, given: int) -> None:
    engine = Engine(write(mirror(8, 8, 1)))
    assert engine.arena_size((8, 6, Format.GRAY8), view) == 0
    with pytest.raises(EngineError) as caught:
        engine.begin(8, 6, Format.GRAY8, view=view, arena=engine_module.aligned(4096))
    error = caught.value
    assert (error.status, error.what, error.expected, error.given) == ("argument", what, expected, given)


def test_formats_that_do_not_fit_are_refused() -> None:
    gray, colour = Engine(write(mirror(8, 8, 1))), Engine(write(mirror(8, 8, 3)))
    arena = engine_module.aligned(8192)
    with pytest.raises(EngineError, match="argument error: odd width: expected 0, given 1"):
        gray.begin(7, 8, Format.UYVY, arena=arena)
    with pytest.raises(EngineError, match="argument error: channels: expected 1, given 3"):
        colour.begin(8, 8, Format.YUV420, arena=arena)
    for light, what in ((Light(2049, 0), "gain"), (Light(1, 2**20 + 1), "bias"), (Light(1, -(2**20) - 1), "bias")):
        with pytest.raises(EngineError, match=f"argument error: {what}"):
            gray.begin(8, 8, Format.GRAY8, arena=arena, light=light)


@pytest.mark.parametrize("divisor", [2, 3, 255, 256, 257, 1000, 2047, 2048, 4093, 4094, 4095, 4096])
def test_divisions_by_multiplication_are_exact(divisor: int) -> None:
    # What resample.c says of its quotients, for every numerator that occurs.
    t = np.arange(255 * divisor + divisor // 2 + 1, dtype=np.uint64)
    reciprocal = np.uint64((2**32 - 1) // divisor + 1)
    assert ((t * reciprocal >> np.uint64(32)) == t // np.uint64(divisor)).all()


def test_every_reciprocal_is_near_enough() -> None:
    for divisor in range(2, 4097):
        reciprocal = (2**32 - 1) // divisor + 1
        assert (255 * divisor + divisor // 2) * (reciprocal * divisor - 2**32) < 2**32


@pytest.mark.parametrize(
    ("frame_width", "frame_height", "format"),
    [
        (4096, 3, Format.RGB888),
        (3, 4096, Format.GRAY8),
        (4096, 16, Format.RGB565),
        (4096, 5, Format.UYVY),
        (2900, 7, Format.BGR888),
    ],
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


@pytest.mark.parametrize("format", [0, 1, 6, 15, 24])
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


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_boxes_come_back_in_the_stored_frame(rotate: int, mirrored: bool) -> None:
    model = networks.face_m4(2)
    engine = Engine(write(model))
    rng = np.random.default_rng(rotate)
    stored = rng.integers(0, 256, (200, 150), np.uint8)
    view = View(roi=(11, 7, 97, 120), rotate=rotate, mirror=mirrored, scale=200)
    run = engine.run_bytes(stored, 150, 200, Format.GRAY8, 9000, view)
    right = reference.detect(model, stored, 150, 200, Format.GRAY8, threshold=9000, view=view)
    found = run.detections()
    assert found == right and len(found) > 2
    # In the upright picture by itself they are where the view says.
    upright = view.upright(stored)
    height, width = upright.shape
    alone = engine.run_bytes(upright, width, height, Format.GRAY8, 9000, View(scale=200)).detections()
    boxes = [view.stored_box(d.x, d.y, d.x + d.w, d.y + d.h, 150, 200) for d in alone]
    assert [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes] == [d[:4] for d in found]
    assert all(d.x >= 11 and d.x + d.w <= 108 and d.y >= 7 and d.y + d.h <= 127 for d in found)


@pytest.mark.parametrize("scales", [(256, 128), (128, 256), (256, 170, 90)])
def test_passes_at_several_scales_are_suppressed_together(scales: tuple[int, ...]) -> None:
    model = networks.face_m4(3)
    engine = Engine(write(model))
    frame = np.random.default_rng(1).integers(0, 256, (180, 260), np.uint8)
    for measure in (False, True):
        light = measure_light(frame, 260, 180, Format.GRAY8) if measure else None
        run = engine.run_bytes(frame, 260, 180, Format.GRAY8, 9000, scales=scales, measure=measure)
        right = reference.detect(
            model, frame, 260, 180, Format.GRAY8, threshold=9000, scales=scales, light=light, iou=3000
        )
        assert run.detections(3000) == right and len(right) > 3
    run.state.done = False
    with pytest.raises(EngineError, match="state error"):
        run.begin_scale(100)


def test_a_pass_that_can_not_begin_leaves_the_run_complete() -> None:
    model = networks.face_m4(3)
    engine = Engine(write(model))
    frame = np.zeros(model.input_shape[:2], np.uint8)
    run = engine.run(frame, threshold=9000)
    found = run.detections()
    with pytest.raises(EngineError, match="arena error"):
        run.begin_scale(128)  # more memory, for sums of rows
    with pytest.raises(EngineError, match="argument error: scale: expected 256, given 257"):
        run.begin_scale(257)
    assert run.done and run.detections() == found


def test_boxes_are_a_sixteenth_of_a_pixel_at_least() -> None:
    model = networks.tiny(1)
    for op in model.ops:
        if isinstance(op, DetectHead):
            op.anchors[:] = 1  # 1/16 pixel
            op.bias[3::5] = op.bias[4::5] = -(2**28)  # and a hundredth of that
    width, height = 16 * model.width, 16 * model.height  # where 1/16 pixel of the model is one of the frame
    pixels = np.random.default_rng(5).integers(0, 256, (height, width), np.uint8)
    right = reference.detect(model, pixels.tobytes(), width, height, Format.GRAY8, 1000)
    assert right and all(d.raw[2] - d.raw[0] == 1 and d.raw[3] - d.raw[1] == 1 for d in right)
    assert Engine(write(model)).detect(pixels, 1000) == right
