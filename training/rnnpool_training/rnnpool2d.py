"""RNNPool as a layer: a drop-in for nn.MaxPool2d (Saha et al. 2020, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fastgrnn import FastGRNNCell, Nonlinearity, Sweep, Weights, last_states, replicate_pad


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _as_they_are(states: Tensor) -> Tensor:
    return states


def _finish(out: Tensor, x: Tensor, stride: Sequence[int], replicate: bool) -> Tensor:
    out = out.permute(0, 3, 1, 2)
    return replicate_pad(out, -(-x.shape[2] // stride[0]), -(-x.shape[3] // stride[1])) if replicate else out


def _maps(x: Tensor, padding: Sequence[int]) -> Tensor:
    top, left, bottom, right = padding if len(padding) == 4 else (*padding, *padding)
    return (F.pad(x, (left, right, top, bottom)) if any(padding) else x).permute(0, 2, 3, 1)


def ceil_padding(size: int, kernel: int, stride: int, padding: int) -> int:
    """Pixels behind the last one with which the last window of nn.MaxPool2d(ceil_mode=True) is a whole one.

    As there, no window begins in the padding behind the map.
    """
    windows = max(-(-(size + 2 * padding - kernel) // stride), 0) + 1
    if (windows - 1) * stride >= size + padding:
        windows -= 1
    return (windows - 1) * stride + kernel - size - padding


def summaries(
    x: Tensor,
    rnn1: Weights,
    rnn2: Weights,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    smooth: bool,
    replicate: bool,
    rounding: Callable[[Tensor], Tensor] = _as_they_are,
) -> Tensor:
    """RNNPool2d.forward by weights (FastGRNNCell.weights).

    `rounding` is applied to what a device keeps as int8: row summaries and last states of RNN2.
    """
    maps = _maps(x, padding)
    (kv, kh), (sv, sh) = kernel, stride
    rows = rounding(last_states(rnn1, smooth, maps, Sweep(2, kh, sh)))  # (N, H, W', hidden1)
    columns = last_states(rnn1, smooth, maps, Sweep(1, kv, sv))  # (N, H', W, hidden1)
    parts = [last_states(rnn2, smooth, rows, Sweep(1, kv, sv, reverse)) for reverse in (False, True)]
    parts += [last_states(rnn2, smooth, columns, Sweep(2, kh, sh, reverse)) for reverse in (False, True)]
    return _finish(rounding(torch.cat(parts, dim=3)), x, stride, replicate)


@torch.library.custom_op("rnnpool::pool", mutates_args=())
def pool(
    x: Tensor,
    w1: Tensor,
    u1: Tensor,
    bias_gate1: Tensor,
    bias_update1: Tensor,
    zeta1: Tensor,
    nu1: Tensor,
    w2: Tensor,
    u2: Tensor,
    bias_gate2: Tensor,
    bias_update2: Tensor,
    zeta2: Tensor,
    nu2: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    smooth: bool,
    replicate: bool,
) -> Tensor:
    """RNNPool2d.forward as one operator of PyTorch, which is what torch.export finds: the loops of the sweeps, and the
    kernels behind ctypes, can't be traced. Weights are those of FastGRNNCell.weights; padding: of both sides, or
    top, left, bottom, right."""
    rnn1, rnn2 = (w1, u1, bias_gate1, bias_update1, zeta1, nu1), (w2, u2, bias_gate2, bias_update2, zeta2, nu2)
    return summaries(x, rnn1, rnn2, kernel, stride, padding, smooth, replicate).contiguous(
        memory_format=torch.channels_last
    )


@pool.register_fake
def _(x: Tensor, w1: Tensor, *rest: Any) -> Tensor:
    w2, (kernel, stride, padding, _, replicate) = rest[5], rest[-5:]
    sizes = [x.shape[2 + i] if replicate else x.shape[2 + i] + padding[i] + padding[i - 2] for i in range(2)]
    sizes = [
        -(-size // stride[i]) if replicate else (size - kernel[i]) // stride[i] + 1 for i, size in enumerate(sizes)
    ]
    return x.new_empty((x.shape[0], 4 * w2.shape[1], *sizes)).contiguous(memory_format=torch.channels_last)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:13])
    ctx.options = inputs[13:]


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    # Once more with gradients: graphs are for export, training calls the layer itself.
    leaves = [t.detach().requires_grad_(need) for t, need in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)]
    with torch.enable_grad():
        out = summaries(leaves[0], tuple(leaves[1:7]), tuple(leaves[7:13]), *ctx.options)
    found = iter(torch.autograd.grad(out, [leaf for leaf in leaves if leaf.requires_grad], grad))
    return *(next(found) if leaf.requires_grad else None for leaf in leaves), *(None for _ in ctx.options)


pool.register_autograd(_backward, setup_context=_keep)


class RNNPool2d(nn.Module):
    """Summarize each patch of a map by two FastGRNN cells: (N, in_channels, H, W) to (N, 4 * hidden2, H', W').

    RNN1 sweeps every row and every column of a patch; RNN2 sweeps the row summaries forward and backward and the
    column summaries forward and backward. Output channels: [rows forward, rows backward, columns forward, columns
    backward].

    A drop-in for a pooling layer: what comes behind `hidden2` are the arguments of nn.MaxPool2d in their order, H' and
    W' are its sizes (`ceil_mode` as well), and a map may come without a batch, (in_channels, H, W). Padding, and what
    `ceil_mode` adds at the bottom and right, is with zeros. Dilation other than 1 and indices there are none.
    With `replicate` the result is padded to (ceil(H / stride), ceil(W / stride)) by repeating its last row and column,
    as the paper's face networks do.

    `nonlinearity`: FastGRNNCell's. "hard" is what devices are fastest at; give it a map of the order of 1 (behind a
    normalization, or ReLU6). "smooth", exported as well, has a gradient everywhere and learns faster where several
    RNNPools follow each other (docs/zoo.md, "Hard or smooth cells").

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
        dilation: int | tuple[int, int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        nonlinearity: Nonlinearity = "hard",
        weighted: bool = True,
        replicate: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        self.stride = self.kernel_size if stride is None else _pair(stride)
        self.padding = _pair(padding)
        self.ceil_mode = ceil_mode
        self.replicate = replicate
        if min(*self.kernel_size, *self.stride) < 1 or min(self.padding) < 0:
            raise ValueError(
                f"kernel_size {self.kernel_size} and stride {self.stride} must be at least 1, padding {self.padding} 0"
            )
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"padding {self.padding} is more than half of kernel_size {self.kernel_size}")
        if _pair(dilation) != (1, 1) or return_indices:
            raise ValueError(f"dilation {dilation}, return_indices {return_indices}: RNNPool has 1 and False only")
        if replicate and (ceil_mode or any(self.padding)):
            raise ValueError("replicate pads the result: it goes with neither padding nor ceil_mode")
        self.rnn1 = FastGRNNCell(in_channels, hidden1, nonlinearity, weighted=weighted)
        self.rnn2 = FastGRNNCell(hidden1, hidden2, nonlinearity, weighted=weighted)

    @property
    def out_channels(self) -> int:
        """Channels of the output: four last states of RNN2."""
        return 4 * self.rnn2.hidden

    def extra_repr(self) -> str:
        """What sets it apart, for print()."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, ceil_mode={self.ceil_mode}"
        )

    def pads(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Rows and columns of zeros around a map: top, left, bottom, right."""
        v, h = self.padding
        if not self.ceil_mode:
            return v, h, v, h
        ends = [
            ceil_padding(size, self.kernel_size[i], self.stride[i], self.padding[i])
            for i, size in enumerate((height, width))
        ]
        return v, h, max(ends[0], 0), max(ends[1], 0)

    def _check(self, x: Tensor) -> Tensor:
        # The map with a batch.
        if x.dim() not in (3, 4) or x.shape[-3] != self.rnn1.inputs:
            inputs = self.rnn1.inputs
            raise ValueError(f"expected (N, {inputs}, H, W) or ({inputs}, H, W), got {tuple(x.shape)}")
        return x if x.dim() == 4 else x[None]

    def forward(self, x: Tensor, rounding: Callable[[Tensor], Tensor] = _as_they_are) -> Tensor:
        """Pool x (N, in_channels, H, W) or (in_channels, H, W); the result is channels-last in memory.

        `rounding` is applied to what a device keeps as int8: row summaries and last states of RNN2.
        """
        maps = self._check(x)
        rnn1, rnn2 = self.rnn1.weights(), self.rnn2.weights()
        pads = self.pads(maps.shape[2], maps.shape[3])
        options = (self.kernel_size, self.stride, pads, self.rnn1.nonlinearity == "smooth", self.replicate)
        if torch.compiler.is_exporting() and rounding is _as_they_are:
            out: Tensor = pool(maps, *rnn1, *rnn2, *options)
        else:
            out = summaries(maps, rnn1, rnn2, *options, rounding)
        return out if x.dim() == 4 else out[0]

    def forward_by_patch(self, x: Tensor) -> Tensor:
        """The definition, patch by patch with nothing shared (slow; what `forward` is tested against)."""
        unbatched = x.dim() == 3
        x = self._check(x)
        maps = _maps(x, self.pads(x.shape[2], x.shape[3]))
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
        out = _finish(torch.stack(result, dim=1), x, self.stride, self.replicate)
        return out[0] if unbatched else out
