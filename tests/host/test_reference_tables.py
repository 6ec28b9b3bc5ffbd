"""Tables of the reference against the true functions, and against the engine's own tables."""

import math
import re
from decimal import Decimal, getcontext
from pathlib import Path

import naive
import numpy as np

from rnnpool_training.reference import tables

ENGINE = Path(__file__).parents[2] / "mp_module" / "engine"
ALL16 = np.arange(-32768, 32768)


def test_tables_are_rounded_right_and_far_from_halves() -> None:
    # In 50 digits; were a value near a half, the C library's exp could round it to the other side elsewhere.
    getcontext().prec = 50
    sigmoid = [Decimal(2**15) / (1 + (Decimal(-i) / 16).exp()) for i in range(129)]
    exp2 = [Decimal(2**14) * Decimal(2) ** (Decimal(k) / 32) for k in range(33)]
    for exact, table in ((sigmoid, tables.SIGMOID), (exp2, tables.EXP2)):
        for value, entry in zip(exact, table, strict=True):
            assert entry == int(value.to_integral_value())
            assert abs(value % 1 - Decimal("0.5")) > Decimal("0.0001") or value % 1 == 0
    assert tables.SIGMOID[0] == 16384


def test_engine_has_the_same_tables() -> None:
    text = (ENGINE / "kernels" / "tables.c").read_text()
    for name, table in (("rnnp_sigmoid_table", tables.SIGMOID), ("rnnp_exp2_table", tables.EXP2)):
        found = re.search(rf"{name}\[\w+\] = \{{([^}}]*)\}}", text)
        assert found, name
        assert [int(v) for v in found[1].replace(",", " ").split()] == table.tolist()


def test_sigmoid_is_near_the_true_one() -> None:
    y = tables.sigmoid15(ALL16)
    true = 2**15 / (1 + np.exp(-ALL16 / 4096))
    assert np.abs(y - true).max() < 4  # 1.2e-4
    assert y.min() >= 0 and y.max() <= 32767


def test_sigmoid_never_falls_and_is_symmetric() -> None:
    y = tables.sigmoid15(ALL16)
    assert (np.diff(y) >= 0).all()
    assert (y[1:] + y[1:][::-1] == 32768).all()  # x = -32768 has no partner
    assert tables.sigmoid15(np.array(0)) == 16384


def test_tanh_is_near_the_true_one() -> None:
    y = tables.tanh15(ALL16)
    assert np.abs(y - 2**15 * np.tanh(ALL16 / 4096)).max() < 24  # saturated input: sigmoid of 8 is not 1
    inner = np.abs(ALL16) < 12288
    assert np.abs(y - 2**15 * np.tanh(ALL16 / 4096))[inner].max() < 8
    assert (np.diff(y) >= 0).all()


def test_exp2_is_near_the_true_one() -> None:
    y = tables.exp2_14(ALL16)
    true = 2.0**14 * 2 ** (np.clip(ALL16, -16384, 16384) / 4096)
    assert (np.abs(y - true) / true).max() < 1e-3
    assert (np.diff(y) >= 0).all()
    for whole in range(-4, 5):
        assert tables.exp2_14(np.array(whole << 12)) == 2 ** (14 + whole)


def test_vectorised_equals_naive_everywhere() -> None:
    for x in range(-32768, 32768, 7):
        assert tables.sigmoid15(np.array(x)) == naive.sigmoid15(x)
    samples = [-32768, -16385, -16384, -12289, -4097, -4096, -1, 0, 1, 127, 128, 4095, 16383, 16384, 32767]
    for x in [*samples, *range(-32768, 32768, 101)]:
        assert tables.tanh15(np.array(x)) == naive.tanh15(x)
        assert tables.exp2_14(np.array(x)) == naive.exp2_14(x)


def test_sigmoid_of_one() -> None:
    assert abs(tables.sigmoid15(np.array(4096)) / 2**15 - 1 / (1 + math.exp(-1))) < 1e-4
