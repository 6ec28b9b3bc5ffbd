"""Leaving out channels without a use: the results stay, bit for bit."""

from dataclasses import replace

import networks
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training import reference
from rnnpool_training.blob import Conv, Dense, Depthwise, Model, Task, read, write
from rnnpool_training.compile.unused_channels import remove_unused_channels
from rnnpool_training.engine import Engine
from rnnpool_training.projections import fuse, split


def with_idle_channels(model: Model, rng: np.random.Generator, share: float) -> Model:
    """Output channels without weights, and inputs that nobody weighs."""
    ops = []
    for op in model.ops:
        if isinstance(op, Conv):
            weight = op.weight.copy()
            weight[rng.random(len(weight)) < share] = 0
            weight[..., rng.random(weight.shape[-1]) < share / 2] = 0
            op = replace(op, weight=weight)
        elif isinstance(op, Depthwise):
            op = replace(op, filter_weight=op.filter_weight * (rng.random(op.filter_weight.shape[2]) > share / 2))
        elif isinstance(op, Dense):
            op = replace(op, weight=op.weight * (rng.random(op.weight.shape[-1]) > share / 2))
        ops.append(op)
    return replace(model, ops=ops)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([Task.DETECTION, Task.CLASSIFICATION]), st.sampled_from([0.3, 0.9, 1])
)
def test_results_stay_bit_for_bit(seed: int, task: Task, share: float) -> None:
    rng = np.random.default_rng(seed)
    model = with_idle_channels(split(networks.random_network(rng, task)), rng, share)
    smaller, removed = remove_unused_channels(model)
    pixels = rng.integers(0, 256, model.input_shape, np.uint8)
    before, after = reference.run_input(model, pixels), reference.run_input(smaller, pixels)
    for index in model.results():
        np.testing.assert_array_equal(before[index], after[index])
    assert removed == sum(a.shape[2] - b.shape[2] for a, b in zip(before, after, strict=True)) >= 0
    read(write(smaller))  # it is valid
    assert remove_unused_channels(smaller)[1] == 0


def test_a_chain_of_mobilenet_loses_most_channels() -> None:
    net = networks.Builder(np.random.default_rng(1), 12, 12, 3)
    one = net.conv(0, 16, 3, 2, relu=True)
    two = net.depthwise(one, (3, 3), (1, 1), (1, 1, 1, 1))
    net.conv(two, 32, 1, 1, relu=True)
    model = net.classifier("chain", 4)
    stem, last = model.ops[0], model.ops[2]
    assert isinstance(stem, Conv) and isinstance(last, Conv)
    stem.weight[3:] = 0
    stem.bias[3:] = -100000  # at the zero point, which is what the depthwise convolution pads with
    last.weight[5:] = 0
    reference.set_golden(model)
    smaller, removed = remove_unused_channels(model)
    assert [shape[2] for shape in smaller.shapes()] == [4, 4, 8, 8, 4] and removed == 12 + 12 + 24 + 24
    assert Engine(write(smaller)).golden_check()


def test_a_projection_loses_channels_as_the_convolution_that_it_was() -> None:
    net = networks.Builder(np.random.default_rng(1), 12, 12, 3)
    net.separable(net.conv(0, 16, 3, 2, relu=True), 32, (3, 3), (1, 1), (1, 1, 1, 1))
    fused = net.classifier("fused", 4)
    fused.ops[1].project_weight[5:] = 0  # type: ignore[attr-defined]
    fused.ops[1].project_weight[:, 8:] = 0  # type: ignore[attr-defined]
    reference.set_golden(fused)
    smaller, removed = remove_unused_channels(fused)
    assert removed == 8 + 8 + 24 + 24
    assert [shape[2] for shape in fuse(smaller).shapes()] == [8, 8, 8, 4]
    assert Engine(write(fuse(smaller))).golden_check()


def test_nothing_is_left_out_of_what_is_used() -> None:
    model = networks.classifier(3)
    smaller, removed = remove_unused_channels(model)
    assert removed == 0
    assert write(smaller) == write(model)
