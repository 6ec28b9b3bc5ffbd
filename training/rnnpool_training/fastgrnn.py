"""FastGRNN cell (Kusupati et al. 2018) and its sweeps over a map (RNNPool paper, Algorithm 1)."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .kernels import sweep_library

Nonlinearity = Literal["hard", "smooth"]
# W (inputs, hidden), U (hidden, hidden), b_z, b_h (hidden,), sigmoid(zeta), sigmoid(nu)
Weights = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Sweep:
    """Which windows of a map are swept: `kernel` steps along `axis` (1: down the columns, 2: along the rows)."""

    axis: Literal[1, 2]
    kernel: int
    stride: int
    reverse: bool = False

    def windows(self, length: int) -> int:
        """Number of windows along an axis of `length` pixels."""
        if length < self.kernel:
            raise ValueError(f"a map of {length} pixels along axis {self.axis} has no window of {self.kernel}")
        return (length - self.kernel) // self.stride + 1


class FastGRNNCell(nn.Module):
    """h' = z h + (sigmoid(zeta) (1 - z) + sigmoid(nu)) g, with z = gate(a + b_z), g = update(a + b_h), a = x W + h U.

    `hard`: gate(v) = clamp((v + 1) / 2, 0, 1), update(v) = clamp(v, -1, 1), the deployed arithmetic;
    `smooth`: the logistic function and tanh. W has shape (inputs, hidden), U (hidden, hidden). States stay in [-1, 1].
    Without `weighted`, h' = z h + (1 - z) g: what zeta and nu tend to, and a quarter cheaper on the device.
    """

    def __init__(self, inputs: int, hidden: int, nonlinearity: Nonlinearity = "hard", *, weighted: bool = True) -> None:
        super().__init__()
        if nonlinearity not in ("hard", "smooth"):
            raise ValueError(f"nonlinearity must be 'hard' or 'smooth', not {nonlinearity!r}")
        self.inputs, self.hidden, self.nonlinearity = inputs, hidden, nonlinearity
        self.W = nn.Parameter(torch.randn(inputs, hidden) * (0.6 / math.sqrt(inputs)))
        self.U = nn.Parameter(nn.init.orthogonal_(torch.empty(hidden, hidden)) * 0.5)
        # A gate open by about two thirds lets the first pixels of an 8-step sweep still count at its end.
        self.bias_gate = nn.Parameter(torch.empty(hidden).uniform_(-0.1, 0.8))
        self.bias_update = nn.Parameter(torch.zeros(hidden))
        self.weighted = weighted
        if weighted:
            self.zeta = nn.Parameter(torch.tensor(3.0))
            self.nu = nn.Parameter(torch.tensor(-4.0))

    def weights(self) -> Weights:
        """W, U, b_z, b_h, sigmoid(zeta), sigmoid(nu): overridden where they are quantized."""
        zeta, nu = (
            (torch.sigmoid(self.zeta), torch.sigmoid(self.nu)) if self.weighted else (torch.ones(()), torch.zeros(()))
        )
        return self.W, self.U, self.bias_gate, self.bias_update, zeta, nu

    def step(self, weights: Weights, x: Tensor, h: Tensor) -> Tensor:
        """One step: x (..., inputs) and h (..., hidden) to the next state (..., hidden)."""
        return step(weights, self.nonlinearity == "smooth", x, h)

    def forward(self, x: Tensor, sweep: Sweep) -> Tensor:
        """Last states of all sweeps over x (N, H, W, inputs): (N, H', W', hidden), windows along the swept axis."""
        return last_states(self.weights(), self.nonlinearity == "smooth", x, sweep)

    def sweep_reference(self, x: Tensor, sweep: Sweep) -> Tensor:
        """The same in plain PyTorch operations, one step at a time."""
        return _plain_sweep(self.weights(), self.nonlinearity == "smooth", x, sweep)


def step(weights: Weights, smooth: bool, x: Tensor, h: Tensor) -> Tensor:
    """One step of a cell: x (..., inputs) and h (..., hidden) to the next state (..., hidden)."""
    w, u, bias_gate, bias_update, zeta, nu = weights
    a = x @ w + h @ u
    if smooth:
        z, g = torch.sigmoid(a + bias_gate), torch.tanh(a + bias_update)
    else:
        z = torch.clamp((a + bias_gate + 1) * 0.5, 0, 1)
        g = torch.clamp(a + bias_update, -1, 1)
    return torch.clamp(z * h + (zeta * (1 - z) + nu) * g, -1, 1)


def last_states(weights: Weights, smooth: bool, x: Tensor, sweep: Sweep) -> Tensor:
    """As FastGRNNCell.forward, of a cell that is given by its weights (FastGRNNCell.weights)."""
    if not smooth and x.dtype == torch.float32 and x.device.type == "cpu" and _supported(x, weights):
        return _KernelSweep.apply(x, *weights, sweep)
    return _plain_sweep(weights, smooth, x, sweep)


def _plain_sweep(weights: Weights, smooth: bool, x: Tensor, sweep: Sweep) -> Tensor:
    windows = x.unfold(sweep.axis, sweep.kernel, sweep.stride)  # (N, H', W', inputs, kernel)
    steps = range(sweep.kernel - 1, -1, -1) if sweep.reverse else range(sweep.kernel)
    h = x.new_zeros((*windows.shape[:3], weights[1].shape[0]))
    for t in steps:
        h = step(weights, smooth, windows[..., t], h)
    return h


class _Geometry(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            *("batch", "p", "q", "steps", "inputs", "hidden"),
            *("xb", "xp", "xq", "xt", "ob", "op", "oq", "threads"),
        )
    )


def _supported(x: Tensor, weights: Weights) -> bool:
    return sweep_library() is not None and weights[1].shape[0] in (8, 16, 32) and weights[0].shape[0] <= 32


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


class _KernelSweep(torch.autograd.Function):
    """FastGRNNCell.forward by the C++ kernels; the backward pass recomputes the states."""

    @staticmethod
    def _geometry(x: Tensor, hidden: int, sweep: Sweep) -> tuple[_Geometry, tuple[int, int, int, int], int]:
        n, height, width, inputs = x.shape
        length = x.shape[sweep.axis]
        windows = sweep.windows(length)
        pixel = width * inputs if sweep.axis == 1 else inputs
        shape = (n, windows, width, hidden) if sweep.axis == 1 else (n, height, windows, hidden)
        start = pixel * (sweep.kernel - 1) if sweep.reverse else 0
        geometry = _Geometry(
            n, shape[1], shape[2], sweep.kernel, inputs, hidden,
            height * width * inputs,
            width * inputs * (sweep.stride if sweep.axis == 1 else 1),
            inputs * (sweep.stride if sweep.axis == 2 else 1),
            -pixel if sweep.reverse else pixel,
            shape[1] * shape[2] * hidden, shape[2] * hidden, hidden, torch.get_num_threads(),
        )  # fmt: skip
        return geometry, shape, start

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w: Tensor, u: Tensor, bz: Tensor, bh: Tensor, zeta: Tensor, nu: Tensor, sweep: Sweep
    ) -> Tensor:
        x, w, u, bz, bh = (t.contiguous() for t in (x, w, u, bz, bh))
        geometry, shape, start = _KernelSweep._geometry(x, u.shape[0], sweep)
        out = x.new_empty(shape)
        library = sweep_library()
        assert library is not None
        status = library.fastgrnn_forward(
            ctypes.byref(geometry), ctypes.c_void_p(x.data_ptr() + 4 * start), *map(_pointer, (w, u, bz, bh)),
            ctypes.c_float(zeta.item()), ctypes.c_float(nu.item()), _pointer(out),
        )  # fmt: skip
        if status != 0:
            raise RuntimeError(f"the sweep kernel refused shape {tuple(x.shape)} with {sweep}")
        ctx.save_for_backward(x, w, u, bz, bh, zeta, nu)
        ctx.sweep = sweep
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, w, u, bz, bh, zeta, nu = ctx.saved_tensors
        grad = grads[0].contiguous()
        geometry, _, start = _KernelSweep._geometry(x, u.shape[0], ctx.sweep)
        dx = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        dw, du, dbz, dbh, scalars = (torch.zeros_like(t) for t in (w, u, bz, bh, torch.empty(2)))
        library = sweep_library()
        assert library is not None
        library.fastgrnn_backward(
            ctypes.byref(geometry), ctypes.c_void_p(x.data_ptr() + 4 * start), *map(_pointer, (w, u, bz, bh)),
            ctypes.c_float(zeta.item()), ctypes.c_float(nu.item()), _pointer(grad),
            ctypes.c_void_p(None if dx is None else dx.data_ptr() + 4 * start),
            *map(_pointer, (dw, du, dbz, dbh, scalars)),
        )  # fmt: skip
        return dx, dw, du, dbz, dbh, scalars[0].clone(), scalars[1].clone(), None


def replicate_pad(x: Tensor, height: int, width: int) -> Tensor:
    """Pad x (N, C, H, W) at the bottom and right to (height, width) by repeating its last row and column."""
    pad = (0, width - x.shape[3], 0, height - x.shape[2])
    if min(pad) < 0:
        raise ValueError(f"a map of {x.shape[2]}x{x.shape[3]} cannot be padded to {height}x{width}")
    return F.pad(x, pad, mode="replicate") if max(pad) else x
