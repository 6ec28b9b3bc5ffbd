"""A FastGRNN cell in the integers of RNNPOOL (docs/arithmetic.md, section 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .graph import Cell

HARD_BITS, SMOOTH_BITS = 13, 12  # fraction bits of the pre-activations


def _fixed(matrix: NDArray[np.float64], factor: float, most: int) -> tuple[NDArray[np.int16], int]:
    """int16 weights round(matrix * factor * 2^shift), (hidden, inputs), with the largest safe shift up to 16.

    Safe: weights fit, and sums of a row with inputs up to `most` stay below 2^31.
    """
    for shift in range(16, -1, -1):
        values = np.floor(matrix.T * factor * 2.0**shift + 0.5)
        if np.abs(values).max() <= 32767 and np.abs(values).sum(axis=1).max() * most < 2**31:
            return np.ascontiguousarray(values.astype(np.int16)), shift
    raise InputError(f"an RNN matrix with values up to {np.abs(matrix).max():.3g} fits no int16 format")


def cell(weights: Cell, number: int, smooth: bool, input_scale: float, most: int) -> dict[str, Any]:
    """Fields of RNNPool for one cell. input_scale: real value of one step of its input; most: its largest magnitude in
    steps. InputError."""
    bits = SMOOTH_BITS if smooth else HARD_BITS
    w, u, bias_gate, bias_update, zeta, nu = (t.detach().double().numpy() for t in weights)
    w_int, shift_w = _fixed(w, input_scale * 2.0**bits, most)
    u_int, shift_u = _fixed(u, 2.0 ** (bits - 15), 32768)
    # The shifts of W x and U h truncate: one unit more in the biases makes up for their two half units.
    offset = 0.0 if smooth else 1.0  # hard: the gate is (x + 1) / 2
    gate = np.floor((bias_gate + offset) * 2.0**bits + 0.5) + 1
    update = np.floor(bias_update * 2.0**bits + 0.5) + 1
    for name, values in (("gate", gate), ("update", update)):
        if np.abs(values).max() > 32767:
            raise InputError(f"a {name} bias of RNN{number} is {values.max() / 2**bits:.3f}: outside int16")
    return {
        f"w{number}": w_int, f"u{number}": u_int, f"bz{number}": gate.astype(np.int16),
        f"bh{number}": update.astype(np.int16),
        f"shift_w{number}": shift_w, f"shift_u{number}": shift_u,
        f"zeta{number}": min(32768, round(float(zeta) * 2**15)), f"nu{number}": min(32767, round(float(nu) * 2**15)),
    }  # fmt: skip
