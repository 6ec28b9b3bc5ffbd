"""What a network of the zoo costs: parameters, multiply-adds, and peak RAM by the rule that the paper's numbers follow.

Nothing is computed: the network is built and run on PyTorch's meta device, which knows shapes only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..fastgrnn import FastGRNNCell
from ..rnnpool2d import RNNPool2d
from .efficientnet import MBConv
from .entry import Entry
from .layers import InvertedResidual
from .recurrent import CellPool2d, ReNet
from .s3fd import L2Norm

RECURRENT = (RNNPool2d, CellPool2d, ReNet)
NORMALIZATIONS = (nn.BatchNorm2d, L2Norm)


@dataclass(frozen=True)
class Cost:
    """Of one picture. parameters: without normalizations; normalized: with them. Multiply-adds: of convolutions and
    linear layers; of recurrent layers with summaries of rows and columns shared between patches (RNNPool2d.forward),
    and patch by patch (Algorithm 1 to the letter). ram: bytes."""

    parameters: int
    normalized: int
    convolutions: int
    shared: int
    by_patch: int
    ram: int


def _cell(rnn: nn.Module) -> int:
    # Multiply-adds of one step: FastGRNN's gate and update share them.
    if isinstance(rnn, nn.RNNBase):
        gates = 4 if isinstance(rnn, nn.LSTM) else 3
        return gates * rnn.hidden_size * (rnn.input_size + rnn.hidden_size)
    assert isinstance(rnn, FastGRNNCell)
    return rnn.W.numel() + rnn.U.numel()


def _recurrent(module: nn.Module, x: Tensor) -> tuple[int, int]:
    # Multiply-adds, shared and by patch.
    height, width = int(x.shape[2]), int(x.shape[3])
    if isinstance(module, ReNet):
        places = -(-height // module.patch) * -(-width // module.patch)
        once = 2 * places * (_cell(module.columns) + _cell(module.rows))
        return once, once
    if isinstance(module, CellPool2d):
        (kv, kh), (sv, sh) = (module.patch,) * 2, (module.stride,) * 2
    else:
        assert isinstance(module, RNNPool2d)
        top, left, bottom, right = module.pads(height, width)
        height, width = height + top + bottom, width + left + right
        (kv, kh), (sv, sh) = module.kernel_size, module.stride
    down, across = (height - kv) // sv + 1, (width - kh) // sh + 1
    one, two = _cell(module.rnn1), _cell(module.rnn2)
    second = down * across * 2 * (kv + kh) * two
    shared = (height * across * kh + width * down * kv) * one + second
    return shared, down * across * 2 * kv * kh * one + second


def _under(name: str, parents: str) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents.split())


class _Walk:
    # Hooks that add up what runs.
    def __init__(self, model: nn.Module) -> None:
        self.convolutions = self.shared = self.by_patch = self.values = 0
        atomic = " ".join(n for n, m in model.named_modules() if isinstance(m, (InvertedResidual, MBConv)))
        recurrent = " ".join(n for n, m in model.named_modules() if isinstance(m, RECURRENT))
        streamed, summary = str(model.streamed), str(model.summary)
        for name, module in model.named_modules():
            module.register_forward_hook(self.work)
            inside = _under(name, recurrent) and name not in recurrent.split()
            if _under(name, streamed) or inside:
                continue
            if name in summary.split():
                module.register_forward_hook(self.memory(lambda i, o: o))
            elif name in atomic.split():
                module.register_forward_hook(self.memory(lambda i, o: i + o))
            elif not _under(name, f"{summary} {atomic}") and (name in recurrent.split() or not list(module.children())):
                module.register_forward_hook(self.memory(max))

    def work(self, module: nn.Module, inputs: Any, out: Any) -> None:
        if isinstance(module, nn.Conv2d):
            self.convolutions += out[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            self.convolutions += out[0].numel() * module.in_features
        elif isinstance(module, RECURRENT):
            shared, by_patch = _recurrent(module, inputs[0])
            self.shared += shared
            self.by_patch += by_patch

    def memory(self, rule: Callable[[int, int], int]) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, out: Any) -> None:
            if isinstance(out, Tensor) and out.dim() == 4:
                self.values = max(self.values, rule(inputs[0][0].numel(), out[0].numel()))

        return hook


def cost(entry: Entry) -> Cost:
    """Of a network at the paper's size of picture.

    RAM is the largest of: of an inverted residual, its input and output (what is expanded in between goes row by row);
    of any other layer, the larger of the two (one can be written over the other). The stem and what pools its map
    (`streamed` and `summary` of the model) go row by row, too: only the pooled map counts.
    """
    with torch.device("meta"), torch.no_grad():
        model = entry.make().eval()
        walk = _Walk(model)
        model(torch.empty(1, *entry.shape))
    normalized = sum(p.numel() for p in model.parameters())
    extra = sum(p.numel() for m in model.modules() if isinstance(m, NORMALIZATIONS) for p in m.parameters())
    return Cost(
        normalized - extra, normalized, walk.convolutions, walk.shared, walk.by_patch, walk.values * entry.value
    )  # fmt: skip
