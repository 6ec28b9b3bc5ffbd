"""RNNPool as a layer: a drop-in for nn.MaxPool2d (Saha et al. 2020, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fastgrnn import FastGRNNCell, Nonlinearity, Sweep, replicate_pad


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _as_they_are(states: Tensor) -> Tensor:
    return states


class RNNPool2d(nn.Module):
    """Summarize each patch of a map by two FastGRNN cells: (N, in_channels, H, W) to (N, 4 * hidden2, H', W').

    RNN1 sweeps every row and every column of a patch; RNN2 sweeps the row summaries forward and backward and the
    column summaries forward and backward. Output channels: [rows forward, rows backward, columns forward, columns
    backward]. H' = floor((H + 2 * padding - kernel) / stride) + 1, as for nn.MaxPool2d (dilation 1, ceil_mode off;
    padding is with zeros). With `replicate` the result is padded to (ceil(H / stride), ceil(W / stride)) by repeating
    its last row and column, as the paper's face networks do.

    A row summary depends on the row and the column window only, so each is computed once for all patches above one
    another (and columns likewise): equal to going patch by patch (`forward_by_patch`) at half the work or less.
    """

    def __init__(
        self,
        in_channels: int,
        hidden1: int,
        hidden2: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        *,
        nonlinearity: Nonlinearity = "hard",
        weighted: bool = True,
        replicate: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        self.stride = self.kernel_size if stride is None else _pair(stride)
        self.padding = _pair(padding)
        self.replicate = replicate
        self.rnn1 = FastGRNNCell(in_channels, hidden1, nonlinearity, weighted=weighted)
        self.rnn2 = FastGRNNCell(hidden1, hidden2, nonlinearity, weighted=weighted)

    @property
    def out_channels(self) -> int:
        """Channels of the output: four last states of RNN2."""
        return 4 * self.rnn2.hidden

    def _padded(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] != self.rnn1.inputs:
            raise ValueError(f"expected (N, {self.rnn1.inputs}, H, W), got {tuple(x.shape)}")
        v, h = self.padding
        return F.pad(x, (h, h, v, v)) if v or h else x

    def _finish(self, out: Tensor, x: Tensor) -> Tensor:
        out = out.permute(0, 3, 1, 2)
        if self.replicate:
            out = replicate_pad(out, -(-x.shape[2] // self.stride[0]), -(-x.shape[3] // self.stride[1]))
        return out

    def forward(self, x: Tensor, rounding: Callable[[Tensor], Tensor] = _as_they_are) -> Tensor:
        """Pool x (N, in_channels, H, W); the result is channels-last in memory.

        `rounding` is applied to what a device keeps as int8: row summaries and last states of RNN2.
        """
        maps = self._padded(x).permute(0, 2, 3, 1)
        (kv, kh), (sv, sh) = self.kernel_size, self.stride
        rows = rounding(self.rnn1(maps, Sweep(2, kh, sh)))  # (N, H, W', hidden1)
        columns = self.rnn1(maps, Sweep(1, kv, sv))  # (N, H', W, hidden1)
        parts = [self.rnn2(rows, Sweep(1, kv, sv, reverse)) for reverse in (False, True)]
        parts += [self.rnn2(columns, Sweep(2, kh, sh, reverse)) for reverse in (False, True)]
        return self._finish(rounding(torch.cat(parts, dim=3)), x)

    def forward_by_patch(self, x: Tensor) -> Tensor:
        """The definition, patch by patch with nothing shared (slow; what `forward` is tested against)."""
        maps = self._padded(x).permute(0, 2, 3, 1)
        (kv, kh), (sv, sh) = self.kernel_size, self.stride

        def last_state(cell: FastGRNNCell, sequence: Tensor) -> Tensor:  # (steps, N, inputs) -> (N, hidden)
            h = sequence.new_zeros((sequence.shape[1], cell.hidden))
            for value in sequence:
                h = cell.step(cell.weights(), value, h)
            return h

        result = []
        for top in range(0, maps.shape[1] - kv + 1, sv):
            line = []
            for left in range(0, maps.shape[2] - kh + 1, sh):
                patch = maps[:, top : top + kv, left : left + kh]
                rows = torch.stack([last_state(self.rnn1, patch[:, i].transpose(0, 1)) for i in range(kv)])
                columns = torch.stack([last_state(self.rnn1, patch[:, :, j].transpose(0, 1)) for j in range(kh)])
                states = [last_state(self.rnn2, s) for s in (rows, rows.flip(0), columns, columns.flip(0))]
                line.append(torch.cat(states, dim=1))
            result.append(torch.stack(line, dim=1))
        return self._finish(torch.stack(result, dim=1), x)
