"""Each operator alone: the engine equals the reference on random shapes, strides and weights, down to the edges."""

import networks
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnpool_training import reference
from rnnpool_training.blob import Add, Model, Task, write
from rnnpool_training.engine import Engine

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 24)
CHANNELS = st.sampled_from([1, 3])
COUNTS = st.integers(1, 20)
STRIDES = st.sampled_from([1, 2])
KERNELS = st.sampled_from([1, 3])
FLAGS = st.booleans()


def check(net: networks.Builder, source: int) -> Model:
    """Runs a network whose last operator is a result, or is given one, and compares every row. Returns the model."""
    if net.ops[source - 1].kind == 4:
        model = net.model("operator", max_candidates=7)
    else:
        model = net.classifier("operator", 2)
    frame = net.rng.integers(0, 256, model.input_shape, np.uint8)
    run = Engine(write(model)).run(frame if frame.shape[2] == 3 else frame[:, :, 0], taps=True)
    for op, (mine, right) in enumerate(zip(run.outputs(), reference.run_input(model, frame), strict=True)):
        np.testing.assert_array_equal(mine, right, f"operator {op}: {model.ops[op]}")
    return model


@settings(max_examples=60, deadline=None)
@given(SEEDS, SIDES, SIDES, CHANNELS, COUNTS, KERNELS, STRIDES, FLAGS)
@example(1, 1, 1, 1, 1, 3, 2, False)
@example(2, 2, 1, 3, 4, 3, 2, True)
@example(3, 1, 2, 3, 4, 1, 2, True)
def test_conv(
    seed: int, height: int, width: int, channels: int, out: int, kernel: int, stride: int, wild: bool
) -> None:
    net = networks.Builder(np.random.default_rng(seed), height, width, channels, wild)
    check(net, net.conv(0, out, kernel, stride, rounding=networks.random_rounding(net.rng)))


@settings(max_examples=80, deadline=None)
@given(SEEDS, SIDES, SIDES, CHANNELS, st.integers(1, 10), FLAGS)
@example(1, 49, 10, 1, 10, False)
def test_conv_of_any_window(seed: int, height: int, width: int, channels: int, largest: int, wild: bool) -> None:
    net = networks.Builder(np.random.default_rng(seed), height, width, channels, wild)
    size, strides, padding = networks.random_window(net.rng, height, width, largest)
    shift = 0 if wild else int(net.rng.integers(0, 6))
    rounding = networks.random_rounding(net.rng)
    check(net, net.conv(0, int(net.rng.integers(1, 9)), size, strides, True, padding, shift, rounding))


def test_window_as_tall_as_the_map() -> None:
    net = networks.Builder(np.random.default_rng(3), 16, 64, 3)
    check(net, net.conv(0, 5, (16, 64), 1, padding=(0, 0, 0, 0)))
    net = networks.Builder(np.random.default_rng(4), 10, 20, 1)
    check(net, net.conv(0, 3, (16, 30), (7, 3), padding=(8, 20, 15, 29)))


MAP_KINDS = ["depthwise", "pool", "lookup", "upsample", "l2_norm", "join"]


@settings(max_examples=120, deadline=None)
@given(SEEDS, SIDES, SIDES, COUNTS, st.sampled_from(MAP_KINDS), FLAGS)
def test_operators_on_maps(seed: int, height: int, width: int, channels: int, kind: str, wild: bool) -> None:
    net = networks.Builder(np.random.default_rng(seed), height, width, 1, wild)
    source = net.conv(0, channels, 1, 1)
    if kind == "depthwise":
        check(net, networks.random_depthwise(net, source))
    elif kind == "pool":
        check(net, networks.random_pool(net, source))
    elif kind == "lookup":
        check(net, net.lookup(source))
    elif kind == "l2_norm":
        check(net, net.l2_norm(source))
    elif kind == "upsample":
        check(net, net.upsample(source, int(net.rng.integers(2, 9))))
    else:
        check(net, networks.random_join(net, source, [source]))


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 2048), st.sampled_from([-128, 127, 0]), FLAGS)
@example(1, 2048, -128, True)  # the largest sum of squares: 2048 * 255^2
@example(2, 1, 0, False)
def test_l2_norm_of_any_length(seed: int, channels: int, zero_point: int, wild: bool) -> None:
    # A layer that reads a map, so that it can hold what no convolution gives: zeros, and the largest values.
    net = networks.Builder(np.random.default_rng(seed), 2, 5, channels, wild)
    net.zero_point = zero_point
    net.maps[0] = np.full((2, 5, channels), zero_point, np.int8)
    net.l2_norm(0)
    model = Model(
        task=Task.LAYER, name="l2_norm", labels=[""], height=2, width=5, channels=0, ops=net.ops,
        input_zero_point=zero_point, map_channels=channels,
    )  # fmt: skip
    x = net.rng.integers(-128, 128, (2, 5, channels)).astype(np.int8)
    x[0, 0], x[0, 1], x[0, 2] = zero_point, -128, 127
    x[1, 0] = np.where(np.arange(channels) == channels // 2, 1, 0) + min(zero_point, 126)
    np.testing.assert_array_equal(Engine(write(model)).layer(x), reference.run_input(model, x.view(np.uint8))[0])


def test_a_skip_keeps_the_rows_of_the_longer_way() -> None:
    for ways, rows in ((1, 3), (2, 3), (3, 4), (6, 7)):  # its own window takes 3; of each convolution more comes one
        net = networks.Builder(np.random.default_rng(ways), 20, 8, 1)
        first = last = net.conv(0, 4, 1, 1)
        for _ in range(ways):
            last = net.conv(last, 4, 3, 1)
        net.sum([first, last], Add)
        model = check(net, len(net.ops))
        rings = {(r.what, r.op): r.size for r in Engine(write(model)).regions()}
        assert rings["output", first - 1] == rows * 8 * 4


def test_squeeze_and_excitation_keeps_the_whole_map() -> None:
    net = networks.Builder(np.random.default_rng(1), 20, 8, 1)
    first = net.conv(0, 4, 1, 1)
    model = check(net, net.mul(first, net.pool(first)))
    rings = {(r.what, r.op): r.size for r in Engine(write(model)).regions()}
    assert rings["output", first - 1] == 20 * 8 * 4


@settings(max_examples=40, deadline=None)
@given(SEEDS, SIDES, SIDES, CHANNELS, st.integers(1, 8), KERNELS, st.integers(1, 512), FLAGS)
@example(1, 1, 1, 1, 8, 3, 512, True)
def test_head(
    seed: int, height: int, width: int, channels: int, anchors: int, kernel: int, step: int, wild: bool
) -> None:
    net = networks.Builder(np.random.default_rng(seed), height, width, channels, wild)
    stem = net.conv(0, 5, 1, 1)
    sides = [(int(w), int(h)) for w, h in net.rng.integers(1, 32768, (anchors, 2))]
    check(net, net.head(stem, kernel, sides, step))


@settings(max_examples=40, deadline=None)
@given(SEEDS, SIDES, SIDES, st.integers(1, 110), st.sampled_from([(1, False), (1, True), (2, False)]), FLAGS)
@example(1, 1, 1, 2, (1, True), False)
@example(2, 9, 8, 110, (2, False), False)
def test_recomputed_channels(seed: int, height: int, width: int, mid: int, form: tuple[int, bool], wild: bool) -> None:
    stride, residual = form
    for kept in (mid // 8 * 4, 0):
        net = networks.Builder(np.random.default_rng(seed), height, width, 1, wild)
        block = net.block(net.conv(0, 3, 3, 1), 3, mid, stride, residual, mid - kept)
        model = check(net, net.block(block, 4, mid, recompute=mid - kept))  # which wants older rows of the first
        rows = [
            region.size for region in Engine(write(model)).regions() if region.what == "expanded" and region.op == 1
        ]
        assert rows == [2 * ((kept * ((width + 7) // 4 * 4) + 7) // 8 * 8)][: kept > 0]


@settings(max_examples=60, deadline=None)
@given(SEEDS, SIDES, SIDES, COUNTS, COUNTS, COUNTS, st.sampled_from([(1, False), (1, True), (2, False)]), FLAGS)
@example(1, 1, 1, 1, 1, 1, (2, False), False)
@example(2, 1, 1, 1, 1, 1, (1, True), True)
@example(3, 2, 9, 3, 5, 3, (2, False), False)  # even height, one output pixel in the last tile
@example(4, 9, 8, 3, 5, 3, (2, False), False)
@example(5, 4, 3, 2, 7, 2, (1, True), False)  # narrower than a tile
def test_inverted_residual(
    seed: int, height: int, width: int, inputs: int, mid: int, out: int, form: tuple[int, bool], wild: bool
) -> None:
    stride, residual = form
    net = networks.Builder(np.random.default_rng(seed), height, width, 1, wild)
    stem = net.conv(0, inputs, 1, 1)
    check(net, net.block(stem, inputs if residual else out, mid, stride, residual))


@settings(max_examples=80, deadline=None)
@given(
    SEEDS,
    st.tuples(st.integers(1, 32), st.integers(1, 32)),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.integers(1, 32),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(0, 8), st.integers(0, 8)),
    st.tuples(FLAGS, FLAGS),
)
@example(1, (1, 1), (0, 0), 1, (1, 1), (0, 0), (False, False))
@example(2, (8, 8), (0, 0), 4, (16, 16), (1, 1), (False, False))  # one patch
@example(3, (2, 3), (20, 20), 7, (4, 4), (0, 0), (False, True))  # rows and columns between patches
@example(4, (32, 1), (3, 9), 32, (64, 64), (8, 8), (True, False))
@example(5, (5, 6), (0, 13), 1, (3, 5), (8, 0), (True, True))
# All rows of a patch at once: rows that patches share none, one, some; three of them in progress; more at once.
@example(6, (6, 6), (18, 15), 6, (16, 16), (1, 1), (False, False))
@example(7, (6, 6), (19, 15), 5, (16, 16), (0, 0), (False, False))
@example(8, (6, 6), (18, 15), 4, (16, 16), (1, 0), (False, False))
@example(9, (7, 5), (18, 11), 3, (9, 4), (0, 2), (True, False))
@example(10, (12, 9), (24, 40), 2, (4, 6), (0, 0), (False, False))
def test_rnnpool(
    seed: int,
    patch: tuple[int, int],
    extra: tuple[int, int],
    stride: int,
    hidden: tuple[int, int],
    pads: tuple[int, int],
    flags: tuple[bool, bool],
) -> None:
    smooth, wild = flags
    rng = np.random.default_rng(seed)
    net = networks.Builder(rng, patch[0] + extra[0], patch[1] + extra[1], 1, wild)
    stem = net.conv(0, int(rng.integers(1, 6)), 1, 1)
    pool = net.rnnpool(stem, *patch, stride, *hidden, pad_bottom=pads[0], pad_right=pads[1], smooth=smooth)
    # A consumer of three rows, so that the ring holds some of the replicated ones.
    check(net, net.conv(pool, 3, 3, 1))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_largest_weights_and_inputs_do_not_overflow(seed: int) -> None:
    # Sums at the very limit of the loader's rule, in every layer of a chain.
    rng = np.random.default_rng(seed)
    net = networks.Builder(rng, 9, 9, 3, wild=True)
    stem = net.conv(0, 4, 3, 1)
    pool = net.rnnpool(stem, 3, 3, 2, 64, 64, smooth=bool(rng.integers(2)))
    for name, largest in (("w1", 255), ("u1", 32768), ("w2", 32768), ("u2", 32768)):
        weights = getattr(net.ops[pool - 1], name)
        weights[:] = 0
        budget = (2**31 - 1) // largest
        for row in weights:
            signs = rng.choice([-1, 1], row.size)
            row[:] = np.clip(signs * (budget // row.size), -32768, 32767)
    block = net.block(pool, 256, 24, 1, residual=True)
    check(net, block)


@settings(max_examples=40, deadline=None)
@given(SEEDS, SIDES, SIDES, CHANNELS, st.integers(1, 70), FLAGS)
@example(1, 1, 1, 1, 1, True)
@example(2, 1, 24, 3, 70, False)
def test_average_pool_and_dense(seed: int, height: int, width: int, channels: int, out: int, wild: bool) -> None:
    net = networks.Builder(np.random.default_rng(seed), height, width, channels, wild)
    check(net, net.conv(0, out, 1, 1))


def test_dense_layer_on_a_map() -> None:
    for seed, (height, width) in enumerate([(1, 7), (5, 5), (16, 64)]):
        net = networks.Builder(np.random.default_rng(seed), height, width, 3)
        net.dense(net.conv(0, 4, 1, 1), 6)
        model = net.model("map", Task.CLASSIFICATION, labels=list("abcdef"))
        frame = net.rng.integers(0, 256, model.input_shape, np.uint8)
        run = Engine(write(model)).run(frame, taps=True)
        for mine, right in zip(run.outputs(), reference.run_input(model, frame), strict=True):
            np.testing.assert_array_equal(mine, right)


def test_probabilities_of_many_labels() -> None:
    for seed, classes in enumerate((2, 2, 3, 17, 1024)):
        net = networks.Builder(np.random.default_rng(seed), 9, 7, 3, wild=seed == 2)
        net.conv(0, 24, 3, 2)
        model = net.classifier("labels", classes)
        frame = net.rng.integers(0, 256, model.input_shape, np.uint8)
        right = reference.classify(model, frame, 7, 9, reference.Format.RGB888)
        assert Engine(write(model)).classify(frame) == right
        assert len(right) == classes


def test_last_layer_rnnpool_of_many_channels() -> None:
    net = networks.Builder(np.random.default_rng(5), 14, 14, 3)
    wide = net.conv(net.conv(0, 40, 3, 2), 320, 1, 1)
    last = net.rnnpool(wide, 7, 7, 7, 16, 24)
    net.dense(last, 2)
    model = net.model("rnnpool end", Task.CLASSIFICATION, labels=["a", "b"])
    frame = net.rng.integers(0, 256, model.input_shape, np.uint8)
    run = Engine(write(model)).run(frame, taps=True)
    outputs = reference.run_input(model, frame)
    for mine, right in zip(run.outputs(), outputs, strict=True):
        np.testing.assert_array_equal(mine, right)
    assert run.probabilities() == reference.classify_outputs(model, outputs)
