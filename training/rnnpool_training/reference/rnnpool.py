"""RNNPool in int16 (docs/arithmetic.md, section 3; Saha et al. 2020, Algorithm 1).

`rnnpool_by_patch` is the definition, one patch after the other. `rnnpool` shares the sweeps of overlapping patches:
W1 x once a pixel, a row summary once for all patches that hold that row and column window, a column summary likewise,
W2 times a summary once for all patches and both directions. Both are equal (tests/host/test_reference_rnnpool.py).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..blob.model import Int8, Int16, RNNPool
from .integer import Integers, product, sat8, sat16
from .tables import sigmoid15, tanh15


@dataclass(frozen=True)
class Cell:
    """One FastGRNN cell; the fields are those of the blob's RNNPOOL."""

    w: Int16  # [hidden, in]
    u: Int16  # [hidden, hidden]
    bz: Int16
    bh: Int16
    shift_w: int
    shift_u: int
    zeta: int
    nu: int
    smooth: bool

    def project(self, v: Integers) -> Integers:
        """wx for inputs v [..., in] (int8 minus its zero point, or Q15): int32 [..., hidden], -32768..32767."""
        return sat16(product(v, self.w) >> self.shift_w)

    def step(self, wx: Integers, h: Integers | None) -> Integers:
        """The next state, Q15 int32 [..., hidden], from wx of the input and the state h (None: the initial zeros)."""
        uh = np.int32(0) if h is None else sat16(product(h, self.u) >> self.shift_u)
        p = sat16(wx + uh)
        if self.smooth:
            z = sigmoid15(sat16(p + self.bz)) >> 2
            g = tanh15(sat16(p + self.bh)) >> 2
        else:
            z = np.clip((p + self.bz) >> 1, 0, 8191)
            g = np.clip(sat16(p + self.bh), -8192, 8191)
        t = (8191 - z) << 2
        zp = np.minimum(((t * self.zeta) >> 15) + self.nu, 32767)
        return sat16((z * (np.int32(0) if h is None else h) + zp * g) >> 13)

    def sweep(self, wx: list[Integers]) -> Integers:
        """The final state of a sequence of inputs given as their wx [..., hidden]."""
        h: Integers | None = None
        for v in wx:
            h = self.step(v, h)
        assert h is not None  # a patch has at least one pixel
        return h


def cells(op: RNNPool) -> tuple[Cell, Cell]:
    """RNN1 and RNN2 of an operator. Biases as int32, so that sums with them don't wrap."""

    def wide(a: Int16) -> NDArray[np.int32]:
        return a.astype(np.int32)

    one = (op.w1, op.u1, wide(op.bz1), wide(op.bh1), op.shift_w1, op.shift_u1, op.zeta1, op.nu1)
    two = (op.w2, op.u2, wide(op.bz2), wide(op.bh2), op.shift_w2, op.shift_u2, op.zeta2, op.nu2)
    return Cell(*one, op.smooth), Cell(*two, op.smooth)  # type: ignore[arg-type]


def byte(states: Integers) -> Integers:
    """Final states, Q15, rounded to int8 of scale 1/128 (as int32)."""
    return sat8((states + 128) >> 8)


def finish(op: RNNPool, states: Integers) -> Int8:
    """Final states, Q15 [n_y, n_x, 4 * h2], as int8 [out_h, out_w, 4 * h2]: rounded, then the edges replicated."""
    return np.pad(byte(states).astype(np.int8), ((0, op.pad_bottom), (0, op.pad_right), (0, 0)), mode="edge")


def patch_summary(op: RNNPool, patch: Int8, zero_point: int) -> Integers:
    """Algorithm 1 for one patch: int8 [r, c, in] -> Q15 [4 * h2]."""
    rnn1, rnn2 = cells(op)
    wx = rnn1.project(patch.astype(np.int32) - zero_point)
    rows = [byte(rnn1.sweep([wx[y, x] for x in range(op.patch_width)])) * 256 for y in range(op.patch_height)]
    columns = [rnn1.sweep([wx[y, x] for y in range(op.patch_height)]) for x in range(op.patch_width)]
    out = []
    for summaries in (rows, columns):
        sequence = [rnn2.project(summary) for summary in summaries]
        out += [rnn2.sweep(sequence), rnn2.sweep(sequence[::-1])]
    return np.concatenate(out)


def rnnpool_by_patch(op: RNNPool, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, in] -> int8 [out_h, out_w, 4 * h2], patch by patch. zero_point: the input's. Slow: the definition."""
    rows, columns, _ = op.out_shape(x.shape)
    return finish(
        op,
        np.stack(
            [
                np.stack(
                    [
                        patch_summary(op, x[i : i + op.patch_height, j : j + op.patch_width], zero_point)
                        for j in range(0, (columns - op.pad_right) * op.stride, op.stride)
                    ]
                )
                for i in range(0, (rows - op.pad_bottom) * op.stride, op.stride)
            ]
        ),
    )


def rnnpool(op: RNNPool, x: Int8, zero_point: int) -> Int8:
    """int8 [h, w, in] -> int8 [out_h, out_w, 4 * h2] with shared sweeps. zero_point: the input's."""
    rnn1, rnn2 = cells(op)
    height, width, _ = op.out_shape(x.shape)
    n_y, n_x = height - op.pad_bottom, width - op.pad_right

    def every(a: Integers, axis: int, t: int, count: int) -> Integers:
        # Element t of each of `count` windows along an axis.
        picked = slice(t, t + (count - 1) * op.stride + 1, op.stride)
        return a[picked] if axis == 0 else a[:, picked]

    wx = rnn1.project(x.astype(np.int32) - zero_point)
    rows = byte(rnn1.sweep([every(wx, 1, t, n_x) for t in range(op.patch_width)])) * 256  # [h, n_x, h1]
    columns = rnn1.sweep([every(wx, 0, t, n_y) for t in range(op.patch_height)])  # [n_y, w, h1]
    states = []
    for summaries, axis, length, count in ((rows, 0, op.patch_height, n_y), (columns, 1, op.patch_width, n_x)):
        projected = rnn2.project(summaries)
        sequence = [every(projected, axis, t, count) for t in range(length)]
        states += [rnn2.sweep(sequence), rnn2.sweep(sequence[::-1])]
    return finish(op, np.concatenate(states, -1))
