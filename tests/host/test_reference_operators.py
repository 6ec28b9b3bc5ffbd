"""Convolutions, heads, inverted residuals and RNNPool of the reference against loops over single numbers."""

import dataclasses

import naive
import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training.blob import (
    Add,
    Concat,
    Conv,
    Dense,
    Depthwise,
    DetectHead,
    GlobalAveragePool,
    InvertedResidual,
    L2Norm,
    Lookup,
    Mul,
    Pool,
    RNNPool,
    Upsample,
)
from rnnpool_training.reference import run_operator
from rnnpool_training.reference.classification import probabilities
from rnnpool_training.reference.conv import requantize
from rnnpool_training.reference.integer import sat8
from rnnpool_training.reference.rnnpool import Cell, patch_summary, rnnpool, rnnpool_by_patch

INT32_MAX = 2**31 - 1
NAIVE = {
    Conv: naive.conv,
    DetectHead: naive.head,
    InvertedResidual: naive.inverted_residual,
    RNNPool: naive.rnnpool,
    GlobalAveragePool: naive.global_average_pool,
    Dense: naive.dense,
    Depthwise: naive.depthwise,
    Pool: naive.pool,
    Add: naive.add,
    Concat: naive.concat,
    Mul: naive.mul,
    Lookup: naive.lookup,
    Upsample: naive.upsample,
    L2Norm: naive.l2_norm,
}
seeds = st.integers(0, 2**32 - 1)


def builder(seed: int, wild: bool, channels: int, low: int = 1) -> networks.Builder:
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(low, 8, 2))
    net = networks.Builder(rng, height, width, channels, wild)
    net.maps[0] = rng.integers(-128, 128, (height, width, channels)).astype(np.int8)
    if rng.random() < 0.2:  # the largest sums
        net.maps[0][:] = rng.choice([-128, 127])
    return net


def check_last(net: networks.Builder) -> None:
    """The last operator of a network on the outputs of those before it."""
    op = net.ops[-1]
    first, *others = ((net.maps[t], net.zero_point if t == 0 else net.ops[t - 1].out_zero_point) for t in op.reads)
    want = NAIVE[type(op)](op, *first, *others)  # type: ignore[operator]
    assert net.maps[-1].dtype == want.dtype
    np.testing.assert_array_equal(net.maps[-1], want)
    assert want.shape == op.out_shape(*(net.maps[t].shape for t in op.reads))


def check(net: networks.Builder, zero_point: int) -> None:
    op, x = net.ops[-1], net.maps[0]
    got = run_operator(op, x, zero_point)
    want = NAIVE[type(op)](op, x, zero_point)  # type: ignore[operator]
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    assert got.shape == op.out_shape(x.shape)


@settings(max_examples=80, deadline=None)
@given(
    seeds, st.booleans(), st.integers(1, 5), st.sampled_from([1, 3]), st.sampled_from([1, 2]), st.integers(-128, 127)
)
def test_conv(seed: int, wild: bool, channels: int, kernel: int, stride: int, zero_point: int) -> None:
    net = builder(seed, wild, channels)
    rounding = networks.random_rounding(net.rng)
    net.conv(0, int(net.rng.integers(1, 5)), kernel, stride, relu=bool(net.rng.integers(2)), rounding=rounding)
    check(net, zero_point)


@settings(max_examples=80, deadline=None)
@given(seeds, st.booleans(), st.integers(1, 4), st.sampled_from(["depthwise", "pool", "lookup", "upsample", "l2_norm"]))
def test_operators_on_a_map(seed: int, wild: bool, channels: int, kind: str) -> None:
    net = builder(seed, wild, 1)
    source = net.conv(0, channels, 1, 1)
    if kind == "depthwise":
        networks.random_depthwise(net, source)
    elif kind == "pool":
        networks.random_pool(net, source)
    elif kind == "lookup":
        net.lookup(source)
    elif kind == "l2_norm":
        net.l2_norm(source)
    else:
        net.upsample(source, int(net.rng.integers(2, 9)))
    check_last(net)


@settings(max_examples=80, deadline=None)
@given(seeds, st.booleans(), st.integers(1, 4))
def test_operators_on_several_maps(seed: int, wild: bool, channels: int) -> None:
    net = builder(seed, wild, 1)
    source = net.conv(0, channels, 1, 1)
    other = net.conv(source, channels, 1, 1)
    networks.random_join(net, other, [source, other])
    check_last(net)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans(), st.integers(1, 3), st.integers(1, 6), st.integers(-128, 127))
def test_conv_of_any_window(seed: int, wild: bool, channels: int, largest: int, zero_point: int) -> None:
    net = builder(seed, wild, channels)
    size, strides, padding = networks.random_window(net.rng, *net.maps[0].shape[:2], largest)
    shift = 0 if wild else int(net.rng.integers(0, 6))
    rounding = networks.random_rounding(net.rng)
    net.conv(0, int(net.rng.integers(1, 4)), size, strides, bool(net.rng.integers(2)), padding, shift, rounding)
    check(net, zero_point)


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans(), st.integers(1, 5), st.sampled_from([1, 3]), st.integers(-128, 127))
def test_head(seed: int, wild: bool, channels: int, kernel: int, zero_point: int) -> None:
    net = builder(seed, wild, channels)
    net.head(0, kernel, [(100, 100)], 8)
    check(net, zero_point)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans(), st.integers(1, 5), st.booleans(), st.sampled_from([1, 2]), st.integers(-128, 127))
def test_inverted_residual(seed: int, wild: bool, channels: int, residual: bool, stride: int, zero_point: int) -> None:
    net = builder(seed, wild, channels)
    out = channels if residual else int(net.rng.integers(1, 5))
    net.block(0, out, int(net.rng.integers(1, 6)), 1 if residual else stride, residual)
    check(net, zero_point)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans(), st.booleans(), st.integers(1, 4), st.integers(-128, 127))
def test_rnnpool(seed: int, wild: bool, smooth: bool, channels: int, zero_point: int) -> None:
    net = builder(seed, wild, channels)
    random_rnnpool(net, smooth)
    check(net, zero_point)


@settings(max_examples=100, deadline=None)
@given(seeds, st.booleans(), st.booleans(), st.integers(1, 6), st.integers(-128, 127))
def test_shared_sweeps_equal_patch_by_patch(
    seed: int, wild: bool, smooth: bool, channels: int, zero_point: int
) -> None:
    net = builder(seed, wild, channels, low=2)
    random_rnnpool(net, smooth)
    op = net.ops[-1]
    assert isinstance(op, RNNPool)
    np.testing.assert_array_equal(rnnpool(op, net.maps[0], zero_point), rnnpool_by_patch(op, net.maps[0], zero_point))


def test_shared_sweeps_equal_single_patches_at_the_papers_size() -> None:
    net = networks.Builder(np.random.default_rng(1), 120, 160, 4)
    net.rnnpool(0, 8, 8, 4, 16, 16, pad_bottom=1, pad_right=1)
    op, x = net.ops[0], net.maps[0]
    assert isinstance(op, RNNPool)
    shared = rnnpool(op, x, 0)
    assert shared.shape == (30, 40, 64)
    places = [(0, 0), (28, 38), (0, 38), (28, 0), *zip(*net.rng.integers(0, 29, (2, 30)), strict=True)]
    for i, j in places:
        patch = x[4 * i : 4 * i + 8, 4 * j : 4 * j + 8]
        np.testing.assert_array_equal(shared[i, j], sat8((patch_summary(op, patch, 0) + 128) >> 8))
    np.testing.assert_array_equal(shared[29], shared[28])
    np.testing.assert_array_equal(shared[:, 39], shared[:, 38])


def random_rnnpool(net: networks.Builder, smooth: bool) -> None:
    height, width = net.maps[0].shape[:2]
    net.rnnpool(
        0,
        int(net.rng.integers(1, height + 1)),
        int(net.rng.integers(1, width + 1)),
        int(net.rng.integers(1, 5)),
        int(net.rng.integers(1, 5)),
        int(net.rng.integers(1, 5)),
        pad_bottom=int(net.rng.integers(0, 3)),
        pad_right=int(net.rng.integers(0, 3)),
        smooth=smooth,
    )


def test_requantize_extremes() -> None:
    acc = np.array([[INT32_MAX, -INT32_MAX, 1, -1, 0]], np.int32)
    big = np.full(5, INT32_MAX, np.int32)
    assert requantize(acc, big, 0, -128, 127).tolist() == [[127, -128, 0, 0, 0]]
    assert requantize(acc, big, -128, -128, 127).tolist() == [[127, -128, -128, -128, -128]]
    # Exactly a half is rounded up, just below it down.
    half = np.array([1 << 30], np.int32)
    for value, expected in ((2, 1), (6, 2), (-2, 0), (-6, -1), (1, 0), (3, 1), (-1, 0), (-3, -1)):
        assert requantize(np.array([value], np.int32), half, 0, -128, 127).item() == expected


def test_largest_accumulators_are_exact() -> None:
    # 2^31 - 1 to the unit, with more terms than float32 could hold.
    channels = 1024
    weight = np.full((2, 3, 3, channels), 127, np.int8)
    weight[1] *= -1
    x = np.full((3, 3, channels), -128, np.int8)
    rest = INT32_MAX - 9 * channels * 127 * 128
    bias = np.array([-rest, rest], np.int32)
    for shift in (0, 1, 2):
        bias[0] += shift
        acc = networks.accumulate(x, weight, bias, (1, 1), (1, 1, 1, 1), -128)
        assert acc[1, 1].tolist() == [-INT32_MAX + sum(range(shift + 1)), INT32_MAX]


def cell(size: int = 1, **values: object) -> Cell:
    zeros = np.zeros((size, size), np.int16)
    bias = np.zeros(size, np.int32)
    default = Cell(zeros, zeros, bias, bias, 0, 0, 32768, 0, False)
    return dataclasses.replace(default, **values)  # type: ignore[arg-type]


def states(c: Cell, wx: int, steps: int) -> list[int]:
    h = None
    found = []
    for _ in range(steps):
        h = c.step(np.array([wx], np.int32), h)
        found.append(int(h[0]))
    return found


def test_cell_known_answers_hard() -> None:
    # Gate: z = clamp((p + bz) / 2) in Q13. With bz = 8192 (the 1 of (x + 1) / 2) and p = 0: z = 1/2, g = 0.
    one = np.array([8192], np.int32)
    assert states(cell(bz=one), 0, 3) == [0, 0, 0]
    # p = 1: z = 8191 (1), g = 8191 (1): h' = z h + (1 - z) g, and 1 - z is 0: nothing ever comes in.
    assert states(cell(bz=one), 8192, 2) == [0, 0]
    # p = 1/2, bz = -1/2 + 1: z = (4096 + 4096) / 2 = 4096 (1/2), g = 4096 (1/2); t = 4095 << 2.
    # h = (4095 * 4) * 4096 >> 13 = 8190, then 4096 * 8190 + 16380 * 4096 >> 13 = 12285, then 14332.
    half = np.array([4096], np.int32)
    assert states(cell(bz=half), 4096, 3) == [8190, 12285, 14332]
    # The gate closed (z = 0): h' = zeta' g with zeta = 1/2 and nu = 1/4.
    closed = np.array([-32768], np.int32)
    assert states(cell(bz=closed, zeta=16384, nu=8192), 8191, 1) == [(16382 + 8192) * 8191 >> 13]


def test_cell_saturates() -> None:
    low, high = np.array([-32768], np.int32), np.array([32767], np.int32)
    # z = 0, g = 1 (8191), zp = 32767: never above 32767.
    assert states(cell(bz=low, nu=32767), 32767, 2) == [32763, 32763]
    # z = 1 (8191), nu = 1: h grows by zp g each step until it saturates; g = -1 below.
    assert states(cell(bz=high, nu=32767), 32767, 3)[-1] == 32767
    assert states(cell(bz=high, bh=low, nu=32767), 0, 3)[-1] == -32768
    # wx and uh saturate one by one, then their sum.
    full = np.full((2, 2), 32767, np.int16)
    both = cell(2, w=full, u=full)
    assert both.project(np.array([32767, 1], np.int32)).tolist() == [32767, 32767]
    assert both.project(np.array([-32768, -1], np.int32)).tolist() == [-32768, -32768]


def test_cell_known_answers_smooth() -> None:
    # z = sigmoid(0) = 1/2 -> 4096, g = tanh(1) = 0.76159: h = (8191 - 4096) * 4 * g >> 13.
    h = states(cell(smooth=True, bh=np.array([4096], np.int32)), 0, 1)[0]
    assert h == pytest.approx(0.5 * np.tanh(1) * 2**15, abs=8)


@pytest.mark.parametrize("smooth", [False, True])
def test_rnnpool_means_what_the_paper_says(smooth: bool) -> None:
    # The same network in real numbers, from the integers' meaning: scales, formats and gates of section 3.
    net = networks.Builder(np.random.default_rng(5), 10, 12, 3)
    net.rnnpool(0, 6, 5, 2, 8, 6, smooth=smooth)
    op = net.ops[0]
    assert isinstance(op, RNNPool)
    one = 2.0**12 if smooth else 2.0**13
    x = net.maps[0].astype(np.float64)

    def gate(a: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a)) if smooth else np.clip((a + 1) / 2, 0, 1)

    def update(a: np.ndarray) -> np.ndarray:
        return np.tanh(a) if smooth else np.clip(a, -1, 1)

    def matrix(w: np.ndarray, shift: int, input_one: float) -> np.ndarray:
        return w.astype(np.float64) * input_one / 2.0**shift / one

    def run(vs, w, u, bz, bh, zeta, nu):
        h = np.zeros(len(u))
        for v in vs:
            a = w @ v + u @ h
            z = gate(a + bz / one - (0 if smooth else 1))
            h = z * h + (zeta / 2**15 * (1 - z) + nu / 2**15) * update(a + bh / one)
        return h

    rnn1 = (matrix(op.w1, op.shift_w1, 1), matrix(op.u1, op.shift_u1, 2**15), op.bz1, op.bh1, op.zeta1, op.nu1)
    rnn2 = (matrix(op.w2, op.shift_w2, 2**15), matrix(op.u2, op.shift_u2, 2**15), op.bz2, op.bh2, op.zeta2, op.nu2)
    got = rnnpool(op, net.maps[0], 0) / 128
    assert np.abs(got).max() > 0.1
    for i in range(got.shape[0]):
        for j in range(got.shape[1]):
            patch = x[2 * i : 2 * i + 6, 2 * j : 2 * j + 5]
            rows = [run(row, *rnn1) for row in patch]
            columns = [run(patch[:, c], *rnn1) for c in range(5)]
            want = np.concatenate([run(s, *rnn2) for s in (rows, rows[::-1], columns, columns[::-1])])
            np.testing.assert_allclose(got[i, j], want, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans(), st.integers(1, 9), st.integers(-128, 127))
def test_global_average_pool(seed: int, wild: bool, channels: int, zero_point: int) -> None:
    net = builder(seed, wild, channels)
    net.pool(0, networks.random_rounding(net.rng))
    check(net, zero_point)


def test_average_is_the_mean() -> None:
    # Scales alike: the mean in the input's own unit, halves up.
    x = np.array([[1, -3], [2, -4], [4, -4]], np.int8)[:, None, :]
    op = GlobalAveragePool(input=0, multiplier=np.array([round(2**24 / 3)], np.int32), out_zero_point=5)
    assert run_operator(op, x, 2).tolist() == [[[2 - 2 + 5 + 0, -4 - 2 + 5]]]


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans(), st.integers(1, 40), st.integers(2, 10))
def test_dense(seed: int, wild: bool, channels: int, classes: int) -> None:
    net = builder(seed, wild, channels)
    net.maps[0] = net.maps[0][:1, :1]
    net.dense(0, classes)
    check(net, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(-32768, 32767), st.sampled_from([-32768, 0, 32767])), min_size=2, max_size=256))
def test_probabilities(logits: list[int]) -> None:
    found = probabilities(np.array(logits))
    assert found.tolist() == naive.probabilities(logits)
    exact = np.exp(np.array(logits) / 4096 - max(logits) / 4096)
    assert np.abs(found / 32768 - exact / exact.sum()).max() < 2e-4
    assert (np.diff(found[np.argsort(logits, kind="stable")]) >= 0).all()
