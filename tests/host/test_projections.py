"""A depthwise layer and the 1x1 convolution behind it as one operator: the same bits in less memory."""

from dataclasses import replace

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training import planner, reference
from rnnpool_training.blob import Conv, Depthwise, Kind, Model, Task, read, write
from rnnpool_training.engine import Engine
from rnnpool_training.projections import fuse, pair, split

CHAIN = [Kind.CONV, *[Kind.DEPTHWISE] * 3, Kind.GLOBAL_AVERAGE_POOL, Kind.DENSE]


def chain(seed: int, rounding: str = networks.ONCE) -> Model:
    """A MobileNet: three pairs, which round in one way."""
    net = networks.Builder(np.random.default_rng(seed), 20, 24, 3)
    last = net.conv(0, 8, 3, 2, relu=True, rounding=rounding)
    for stride, out in ((1, 12), (2, 16), (1, 20)):
        last = net.depthwise(last, (3, 3), (stride, stride), (1, 1, 1, 1), rounding=rounding)
        last = net.conv(last, out, 1, 1, relu=True, rounding=rounding)
    return net.classifier("chain", 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([Task.DETECTION, Task.CLASSIFICATION, Task.MAP]))
def test_results_stay_bit_for_bit(seed: int, task: Task) -> None:
    rng = np.random.default_rng(seed)
    model = networks.random_network(rng, task)
    pairs = split(model)
    fused = fuse(pairs)
    assert all(op.project_weight is None for op in pairs.ops if isinstance(op, Depthwise))
    assert len(fused.ops) <= len(model.ops)  # all that were one are so again
    pixels = rng.integers(0, 256, model.input_shape, np.uint8)
    right = reference.run_input(model, pixels)
    engine = Engine(write(fused))
    found = engine.run(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], taps=True).outputs()
    assert engine.arena_size() <= Engine(write(pairs)).arena_size()
    for one, same, other in zip(model.results(), pairs.results(), fused.results(), strict=True):
        np.testing.assert_array_equal(right[one], reference.run_input(pairs, pixels)[same])
        np.testing.assert_array_equal(right[one], found[other])


@pytest.mark.parametrize("rounding", networks.ROUNDINGS)
def test_a_chain_takes_less(rounding: str) -> None:
    model = chain(1, rounding)
    fused = fuse(model)
    assert [op.kind for op in fused.ops] == CHAIN
    assert fuse(fused) is fused and write(fuse(split(fused))) == write(fused)
    assert write(split(fused)) == write(model)
    engine = Engine(write(fused))
    assert engine.golden_check()
    assert engine.arena_size() < Engine(write(model)).arena_size()
    assert sum(op.macs for op in engine.ops()) == sum(op.macs for op in Engine(write(model)).ops())


def test_whole_numbers_become_fine_beside_fine_ones() -> None:
    once, fine = chain(2), chain(2, networks.FINE)
    for first, second in ((once, fine), (fine, once)):
        depthwise, conv = first.ops[1], second.ops[2]
        assert isinstance(depthwise, Depthwise) and isinstance(conv, Conv) and depthwise.fine != conv.fine
        made = pair(depthwise, conv)
        assert made is not None and made.fine
        x = np.random.default_rng(3).integers(-128, 128, (7, 9, 8)).astype(np.int8)
        between = reference.run_operator(depthwise, x, -3)
        np.testing.assert_array_equal(
            reference.run_operator(made, x, -3), reference.run_operator(conv, between, depthwise.out_zero_point)
        )
        whole = depthwise if not depthwise.fine else conv
        whole.bias[0] = 1 << 23  # has no room for fraction bits
        assert pair(depthwise, conv) is None


def test_what_stays_two() -> None:
    model = chain(4)
    depthwise, conv = model.ops[1:3]
    assert isinstance(depthwise, Depthwise) and isinstance(conv, Conv)
    assert pair(depthwise, replace(conv, stride=2)) is None
    assert pair(depthwise, replace(conv, padding=(0, 0, 0, 0), weight=np.ones((4, 1, 2, 8), np.int8))) is None
    assert pair(depthwise, replace(conv, shift=1)) is None
    assert pair(depthwise, replace(conv, exponent=np.zeros(12, np.int8))) is None
    assert pair(depthwise, depthwise) is None
    net = networks.Builder(np.random.default_rng(5), 8, 8, 1)
    both = net.depthwise(net.conv(0, 4, 3, 1), (3, 3), (1, 1), (1, 1, 1, 1))
    net.sum([net.conv(both, 4, 1, 1), both], networks.Add)
    read_twice = net.classifier("twice", 2)
    assert fuse(read_twice) is read_twice


def test_a_map_that_is_kept_whole_stays_between_two_operators() -> None:
    model = planner.with_plan(chain(6), (3,))
    fused = fuse(model)
    kinds = [op.kind for op in fused.ops]
    assert kinds == [Kind.CONV, Kind.DEPTHWISE, Kind.DEPTHWISE, Kind.CONV, *CHAIN[3:]]
    assert [op.materialize for op in fused.ops].index(True) == 2
    assert Engine(write(fused)).golden_check()
    last = fuse(planner.with_plan(chain(6), (4,)))  # of the projection itself
    assert [op.materialize for op in last.ops].index(True) == 2 and len(last.ops) == len(CHAIN)


def test_the_planner_fuses() -> None:
    planned = planner.plan(chain(7))
    assert read(write(planned)).ops[1].own_flags() & 64
    best = min(planner.Planner(m).best().arena for m in (chain(7), fuse(chain(7))))
    assert Engine(write(planned)).arena_size() <= best
    within = planner.plan(chain(7), ram=best)  # which the pairs would not do with
    assert write(within) == write(planned)
