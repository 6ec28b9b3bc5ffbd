"""RNNPools' hidden units in the order that the engine is fast with: the same results, small rows where they belong."""

from dataclasses import replace
from typing import Any

import networks
import numpy as np
import pytest

from rnnpool_training.blob import Model, RNNPool, result_crc, write
from rnnpool_training.compile.hidden_order import LIMIT, order_hidden_units
from rnnpool_training.engine import Engine
from rnnpool_training.reference import run_input


def small_rows(u: Any) -> Any:
    return np.abs(u.astype(np.int64)).sum(1) < LIMIT


def with_rows(model: Model, index: int, small: int, rng: np.random.Generator) -> Model:
    """The model with a shift of 15 in both cells, and so many rows of both U that can't saturate."""
    op = model.ops[index]
    assert isinstance(op, RNNPool)
    arrays = {}
    for name in ("u1", "u2"):
        u = rng.integers(-4000, 4001, (16, 16))
        u = u * 40000 // np.abs(u).sum(1, keepdims=True)  # magnitudes of some 40,000
        u[rng.permutation(16)[:small]] //= 2
        arrays[name] = u.astype(np.int16)
    ops = list(model.ops)
    ops[index] = replace(op, shift_u1=15, shift_u2=15, smooth=False, **arrays)
    return replace(model, ops=ops)


def crc_of(model: Model, rng: np.random.Generator) -> int:
    """Of the engine and the reference with the same image."""
    image = rng.integers(0, 256, model.input_shape, np.uint8)
    run = Engine(write(model)).run(image[..., 0])
    crc = result_crc(model, run_input(model, image))
    assert run.crc() == crc
    return crc


@pytest.mark.parametrize("small", [7, 8, 13])
@pytest.mark.parametrize("reader", ["conv", "block", "residual"])
def test_results_stay(small: int, reader: str) -> None:
    net = networks.Builder(np.random.default_rng(small), 26, 22, 1)
    pool = net.rnnpool(net.conv(0, 4, 1, 1), 6, 6, 4, 16, 16)
    if reader == "conv":
        net.conv(pool, 8, 3, 1)
    elif reader == "block":
        net.block(pool, 8, 12, 1)
    else:
        net.block(pool, 64, 12, 1, residual=True)
    model = with_rows(net.classifier("pool", 2), pool - 1, small, np.random.default_rng(small))
    ordered = order_hidden_units(model)
    assert crc_of(ordered, np.random.default_rng(1)) == crc_of(model, np.random.default_rng(1))
    before, after = model.ops[pool - 1], ordered.ops[pool - 1]
    assert isinstance(before, RNNPool) and isinstance(after, RNNPool)
    assert small_rows(before.u1).sum() == small and not small_rows(before.u1)[::2].all()
    assert small_rows(after.u1)[::2].all() == (small >= 8)
    # The order of RNN2 is that of the output channels.
    assert small_rows(after.u2)[::2].all() == (small >= 8 and reader in ("conv", "block"))
