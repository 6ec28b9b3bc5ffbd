"""Recurrent layers that the paper compares RNNPool with: ReNet, and RNNPool with LSTM or GRU cells."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..fastgrnn import replicate_pad


class ReNet(nn.Module):
    """ReNet (Visin et al. 2015): a map's patches of patch x patch pixels, without overlap, are swept up and down each
    column of patches by two GRUs, and what they give left and right along each row by two others.

    (N, inputs, H, W) to (N, 2 * hidden, ceil(H / patch), ceil(W / patch)); zeros fill the last patches. Every output
    depends on the whole map, so the whole map must be there: RNNPool's point.
    """

    def __init__(self, inputs: int, hidden: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.columns = nn.GRU(inputs * patch * patch, hidden, batch_first=True, bidirectional=True)
        self.rows = nn.GRU(2 * hidden, hidden, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """The map of summaries."""
        patches = nn.functional.pixel_unshuffle(
            nn.functional.pad(x, (0, -x.shape[3] % self.patch, 0, -x.shape[2] % self.patch)), self.patch
        )
        n, c, h, w = patches.shape
        columns, _ = self.columns(patches.permute(0, 3, 2, 1).reshape(n * w, h, c))
        rows, _ = self.rows(columns.reshape(n, w, h, -1).transpose(1, 2).reshape(n * h, w, -1))
        out: Tensor = rows.reshape(n, h, w, -1).permute(0, 3, 1, 2)
        return out


class CellPool2d(nn.Module):
    """RNNPool (Algorithm 1) with LSTM or GRU cells instead of FastGRNN's: (N, inputs, H, W) to (N, 4 * hidden,
    ceil(H / stride), ceil(W / stride)), the last row and column repeated as RNNPool2d does with `replicate`."""

    def __init__(self, inputs: int, hidden: int, patch: int, stride: int, cell: Literal["lstm", "gru"]) -> None:
        super().__init__()
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.patch, self.stride, self.hidden = patch, stride, hidden
        self.rnn1 = kind(inputs, hidden)
        self.rnn2 = kind(hidden, hidden)

    def _sweep(self, rnn: nn.Module, x: Tensor, axis: int, reverse: bool = False) -> Tensor:
        # (N, H, W, C) to the last states of all windows along an axis.
        windows = x.unfold(axis, self.patch, self.stride)  # (N, H', W', C, patch)
        steps = windows.permute(4, 0, 1, 2, 3).flatten(1, 3)
        out, _ = rnn(steps.flip(0) if reverse else steps)
        last: Tensor = out[-1].reshape(*windows.shape[:3], self.hidden)
        return last

    def forward(self, x: Tensor) -> Tensor:
        """The pooled map."""
        maps = x.permute(0, 2, 3, 1)
        rows, columns = self._sweep(self.rnn1, maps, 2), self._sweep(self.rnn1, maps, 1)
        parts = [self._sweep(self.rnn2, rows, 1, reverse) for reverse in (False, True)]
        parts += [self._sweep(self.rnn2, columns, 2, reverse) for reverse in (False, True)]
        out = torch.cat(parts, 3).permute(0, 3, 1, 2)
        return replicate_pad(out, -(-x.shape[2] // self.stride), -(-x.shape[3] // self.stride))
