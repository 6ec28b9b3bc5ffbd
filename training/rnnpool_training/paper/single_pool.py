"""One pooling operator over a whole picture and one dense layer: what tables 7 and CIFAR-10 of the paper compare.

An operator turns a picture into one vector of 4 * hidden2 values: RNNPool; a convolution whose kernel is the picture;
or the largest or mean value of each channel and a 1x1 convolution (Saha et al. 2020, appendix C).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fastgrnn import FastGRNNCell, Nonlinearity
from ..kernels import sweep_library
from ..rnnpool2d import RNNPool2d

Operator = Literal["rnnpool", "convolution", "max", "average"]
Augment = Callable[[Tensor, torch.Generator], Tensor]
KERNELS = (8, 16, 32)  # hidden sizes that fastgrnn.py has a kernel for
CHUNK = 256  # pictures that are evaluated at a time


class WholePool(RNNPool2d):
    """RNNPool2d whose patch is the whole square map: the same values by two loops instead of six.

    Rows and columns are one batch for RNN1, the four sweeps of RNN2 another; what does not depend on the state is
    computed for all pixels at once. On a CPU the time goes into calls of small operations, so it is a fifth. Hard cells
    of the sizes that there is a kernel for are left to that.
    """

    def __init__(self, in_channels: int, hidden1: int, hidden2: int, side: int, cells: Nonlinearity) -> None:
        super().__init__(in_channels, hidden1, hidden2, side, nonlinearity=cells)
        sizes = hidden1 in KERNELS and hidden2 in KERNELS and in_channels <= max(KERNELS)
        self.kernel = cells == "hard" and sizes and sweep_library() is not None

    def forward(self, x: Tensor, rounding: object = None) -> Tensor:
        """(N, in_channels, side, side) to (N, 4 * hidden2, 1, 1)."""
        count, _, side, _ = x.shape
        if (side, side) != self.kernel_size or x.shape[3] != side:
            raise ValueError(f"expected (N, C, {self.kernel_size[0]}, {self.kernel_size[1]}), got {tuple(x.shape)}")
        if self.kernel:
            return super().forward(x)
        across, down = x.permute(3, 0, 2, 1), x.permute(2, 0, 3, 1)  # (step, N, line, C)
        lines = _last(self.rnn1, torch.stack([across, down], 1).flatten(1, 3)).reshape(2, count, side, -1)
        rows, columns = lines.permute(0, 2, 1, 3)  # (line, N, hidden1)
        sweeps = torch.stack([rows, rows.flip(0), columns, columns.flip(0)], 1).flatten(1, 2)
        return _last(self.rnn2, sweeps).reshape(4, count, -1).permute(1, 0, 2).reshape(count, -1, 1, 1)


def _last(cell: FastGRNNCell, sequence: Tensor) -> Tensor:
    # (steps, sequences, inputs) to the last states (sequences, hidden).
    w, u, bias_gate, bias_update, zeta, nu = cell.weights()
    h = sequence.new_zeros((sequence.shape[1], cell.hidden))
    for a in sequence @ w:
        a = torch.addmm(a, h, u)
        if cell.nonlinearity == "smooth":
            z, g = torch.sigmoid(a + bias_gate), torch.tanh(a + bias_update)
        else:
            z, g = ((a + bias_gate + 1) / 2).clamp(0, 1), (a + bias_update).clamp(-1, 1)
        h = torch.clamp(z * h + (zeta * (1 - z) + nu) * g, -1, 1)
    return h


class SinglePool(nn.Module):
    """Pictures (N, channels, side, side) to logits (N, outputs).

    `stem`: 8 convolutions of 3x3 at stride 2 before the operator, which then sees side / 2.
    """

    def __init__(
        self,
        operator: Operator,
        channels: int,
        side: int,
        hidden1: int,
        hidden2: int,
        outputs: int,
        stem: bool = False,
        cells: Nonlinearity = "hard",
    ) -> None:
        super().__init__()
        self.stem: nn.Module = nn.Identity()
        if stem:
            self.stem = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            channels, side = 8, side // 2
        features = 4 * hidden2
        if operator == "rnnpool":
            pool = WholePool(channels, hidden1, hidden2, side, cells)
            for cell in (pool.rnn1, pool.rnn2):
                _remember(cell, side)
            self.pool: nn.Module = pool
        elif operator == "convolution":
            self.pool = nn.Sequential(nn.Conv2d(channels, features, side, bias=False), nn.BatchNorm2d(features))
            self.pool.append(nn.ReLU())
        else:
            to_one = nn.AdaptiveMaxPool2d(1) if operator == "max" else nn.AdaptiveAvgPool2d(1)
            self.pool = nn.Sequential(to_one, nn.Conv2d(channels, features, 1, bias=False), nn.BatchNorm2d(features))
            self.pool.append(nn.ReLU())
        self.dense = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, side, side) to (N, outputs)."""
        logits: Tensor = self.dense(self.pool(self.stem(x)).flatten(1))
        return logits


@torch.no_grad()
def _remember(cell: FastGRNNCell, steps: int) -> None:
    # A gate that keeps a part of 1 - 1/T forgets in T steps (chrono initialization, Tallec and Ollivier 2018): T goes
    # from 2 steps to all of the sweep, so that the first pixels still count at its end.
    times = torch.empty(cell.hidden).uniform_(math.log(2), math.log(max(steps, 3))).exp()
    cell.bias_gate.copy_(1 - 2 / times if cell.nonlinearity == "hard" else (times - 1).log())


def train(
    net: SinglePool,
    x: Tensor,
    y: Tensor,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    augment: Augment | None = None,
) -> None:
    """AdamW with a cosine learning rate on pictures x (N, C, H, W) and classes y (N,), or labels y (N, L) of 0 and 1.

    With one thread the same seed gives the same weights.
    """
    chance = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    net.train()
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < batch:
            order = torch.randperm(len(x), generator=chance)
        chosen, order = order[:batch], order[batch:]
        pictures = augment(x[chosen], chance) if augment else x[chosen]
        optimizer.zero_grad(set_to_none=True)
        _loss(net(pictures), y[chosen]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    net.eval()


def _loss(logits: Tensor, y: Tensor) -> Tensor:
    if y.dim() == 1:
        return F.cross_entropy(logits, y)
    return F.binary_cross_entropy_with_logits(logits, y)


@torch.no_grad()
def accuracy(net: SinglePool, x: Tensor, y: Tensor) -> float:
    """Part of the classes, or of all the labels, that are right."""
    right = 0
    for start in range(0, len(x), CHUNK):
        logits, wanted = net(x[start : start + CHUNK]), y[start : start + CHUNK]
        answers = logits.argmax(1) if y.dim() == 1 else (logits > 0).to(wanted.dtype)
        right += int((answers == wanted).sum())
    return right / y.numel()
