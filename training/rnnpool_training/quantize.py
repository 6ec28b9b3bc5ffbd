"""Quantization of trained networks: normalization folded, ranges calibrated, fine-tuned through the rounding.

`QuantizedDetector` and `QuantizedClassifier` compute docs/arithmetic.md in floating point: real = scale * (q -
zero_point) for every int8 tensor, with straight-through gradients. Convolutions are exact up to the float sum; of
RNNPool the input, the row summaries and the output are rounded (its int16 states are finer by eight bits).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from . import checkpoint
from .anchors import VARIANCES
from .classifier import Classifier, ClassifierConfig
from .errors import InputError
from .network import BOX_VALUES, ConvUnit, Detector, InvertedResidual, NetworkConfig
from .rnnpool2d import RNNPool2d

LOGIT_LIMIT = 8.0  # heads are int16 in Q12
# Factors from the network's box values to the blob's: logit as it is, offsets in anchor sizes, log2 of the size ratio.
BOX_FACTORS = (1.0, VARIANCES[0], VARIANCES[0], VARIANCES[1] / math.log(2), VARIANCES[1] / math.log(2))


def round_through(x: Tensor) -> Tensor:
    """floor(x + 1/2), with the gradient of x."""
    return x + (torch.floor(x + 0.5) - x).detach()


def round_states(h: Tensor) -> Tensor:
    """Last states of an RNNPool's cell as int8 of scale 1/128."""
    return torch.clamp(round_through(h * 128), -128, 127) / 128


@dataclass
class Quantized:
    """Integers of one convolution as the blob holds them (weight (O, I, K, K), the caller lays it out)."""

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    scale: NDArray[np.float64]  # of the weights, an output channel each


class Activation(nn.Module):
    """Scale and zero point of an int8 tensor: observes until `settle`, then rounds."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self, relu: bool) -> None:
        super().__init__()
        self.relu = relu
        self.register_buffer("scale", torch.tensor(0.0))
        self.register_buffer("zero_point", torch.tensor(-128.0 if relu else 0.0))
        self.samples: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """x (any shape), rounded to the grid; as it is while observing (scale 0)."""
        if self.scale == 0:
            flat = x.detach().flatten()
            self.samples.append(flat[torch.randint(flat.numel(), (min(flat.numel(), 20000),))])
            return x.clamp(0, 6) if self.relu else x
        q = torch.clamp(round_through(x / self.scale) + self.zero_point, -128, 127)
        return (q - self.zero_point) * self.scale

    def settle(self) -> None:
        """Choose the range with the least squared error on what was observed."""
        values = torch.cat(self.samples)
        self.samples = []
        if self.relu:
            values = values.clamp(0, 6)
        low = 0.0 if self.relu else min(0.0, float(values.min()))
        high = max(float(values.max()), 1e-3)
        best: tuple[float, float, float] | None = None
        for shrink in torch.linspace(0.3, 1.0, 71).tolist():
            scale = (high - low) * shrink / 255
            zero = round(-128 - low * shrink / scale)
            q = torch.clamp(torch.floor(values / scale + 0.5) + zero, -128, 127)
            error = float(((q - zero) * scale - values).square().mean())
            if best is None or error < best[0]:
                best = (error, scale, float(zero))
        assert best is not None
        self.scale.fill_(best[1])
        self.zero_point.fill_(best[2])


class QuantConv(nn.Module):
    """A convolution with batch normalization folded in: int8 weights, one scale an output channel."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())
        self.stride, self.groups = stride, groups
        self.most: Tensor
        self.register_buffer("most", torch.tensor(math.inf))  # largest step of the weights

    @staticmethod
    def fold(unit: ConvUnit) -> QuantConv:
        """From convolution and batch normalization (as in evaluation)."""
        norm = unit.norm
        assert norm.running_var is not None and norm.running_mean is not None
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = unit.conv.weight * factor[:, None, None, None]
        return QuantConv(weight, norm.bias - norm.running_mean * factor, unit.conv.stride[0], unit.conv.groups)

    def weight_scale(self) -> Tensor:
        """(O,) real value of one step of the weights, never more than `most`: larger weights saturate."""
        return torch.minimum(self.weight.detach().abs().amax(dim=(1, 2, 3)).clamp(min=1e-8) / 127, self.most)

    def limit(self, scale: Tensor, unit: Tensor | float, whole: float = 1.0) -> None:
        """Keep multipliers below 2^31, a ratio scale * step / unit below `whole` / 2.

        Only channels that are hardly ever active come near: normalization makes their weights huge.
        """
        self.most.copy_(0.499 * whole * unit / scale)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """x (N, I, H, W), a tensor of scale `scale` (0: nothing is rounded yet)."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if scale != 0:
            step = self.weight_scale()
            weight = (
                torch.clamp(round_through(weight / step[:, None, None, None]), -127, 127) * step[:, None, None, None]
            )
            bias = round_through(bias / (step * scale)) * (step * scale)
        return F.conv2d(x, weight, bias, self.stride, weight.shape[2] // 2, groups=self.groups)

    def integers(self, scale: float, zero_point: int, unit: NDArray[np.float64], bits: int = 32) -> Quantized:
        """The blob's integers. unit: real value of one step of the output, per channel; bits: of the multiplier."""
        step = self.weight_scale().double().numpy()
        weight = np.clip(np.floor(self.weight.detach().double().numpy() / step[:, None, None, None] + 0.5), -127, 127)
        bias = np.floor(self.bias.detach().double().numpy() / (step * scale) + 0.5)
        bias -= zero_point * weight.sum(axis=(1, 2, 3))
        multiplier = np.floor(scale * step / unit * 2.0**bits + 0.5)
        if multiplier.max() >= 2**31 or np.abs(bias).max() >= 2**31:
            raise ValueError(f"multiplier {multiplier.max():.0f} or bias {np.abs(bias).max():.0f} exceeds {2**31 - 1}")
        return Quantized(weight.astype(np.int8), bias.astype(np.int32), multiplier.astype(np.int32), step)


class QuantBlock(nn.Module):
    """Inverted residual; the residual is one more tap of the projection, with an integer weight."""

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        self.expand, self.depthwise, self.project = (
            QuantConv.fold(u) for u in (block.expand, block.depthwise, block.project)
        )
        self.expanded, self.filtered, self.out = Activation(True), Activation(True), Activation(False)
        self.residual = block.residual

    def residual_weight(self, scale: Tensor) -> Tensor:
        """(O,) integers R = round(s_in / (s_dw s_w))."""
        return torch.floor(scale / (self.filtered.scale * self.project.weight_scale()) + 0.5).clamp(max=32767)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """x (N, I, H, W) of scale `scale` to (N, O, H', W') of scale self.out.scale."""
        y = self.expanded(self.expand(x, scale))
        y = self.filtered(self.depthwise(y, self.expanded.scale))
        y = self.project(y, self.filtered.scale)
        if self.residual:
            if self.filtered.scale == 0:
                y = y + x
            else:
                unit = self.filtered.scale * self.project.weight_scale()
                y = y + x * (self.residual_weight(scale) * unit / scale)[:, None, None]
        result: Tensor = self.out(y)
        return result


class QuantTrunk(nn.Module):
    """What all networks begin with, in the arithmetic of the device: convolution, RNNPool, inverted residuals."""

    def __init__(self, stem: ConvUnit, pool: RNNPool2d, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.stem = QuantConv.fold(stem)
        self.stem_out = Activation(True)
        self.pool = pool
        self.pool_scale: Tensor
        self.register_buffer("pool_scale", torch.tensor(1 / 128))
        self.input_scale: Tensor
        self.register_buffer("input_scale", torch.tensor(1 / 128))
        self.blocks = nn.ModuleList(QuantBlock(b) for b in blocks)  # type: ignore[arg-type]
        self.quantizing = False

    def activations(self) -> list[Activation]:
        """Every int8 tensor with a range of its own, in order."""
        return [m for m in self.modules() if isinstance(m, Activation)]

    def pooled(self, pool: RNNPool2d, x: Tensor) -> Tensor:
        """An RNNPool's output; it and the row summaries are on the grid of 1/128 that they have on the device."""
        out: Tensor = pool(x, round_states) if self.quantizing else pool(x)
        return out

    def maps(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The output of each block and its scale (0: nothing is rounded yet), from x (N, channels, H, W)."""
        off = torch.zeros(())
        x = self.stem_out(self.stem(x, self.input_scale if self.quantizing else off))
        x = self.pooled(self.pool, x)
        scale = self.pool_scale if self.quantizing else off
        for block in self.blocks:
            assert isinstance(block, QuantBlock)
            x = block(x, scale)
            scale = block.out.scale
            yield x, scale

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Choose all ranges from batches of typical input, then start to round."""
        self.eval()
        for x in batches:
            self(x)
        for activation in self.activations():
            activation.settle()
        self.limit()
        self.quantizing = True

    def limit(self) -> None:
        """Keep all multipliers in their ranges, now that scales are known."""
        self.stem.limit(self.input_scale, self.stem_out.scale)
        scale = self.pool_scale
        for block in self.blocks:
            assert isinstance(block, QuantBlock)
            block.expand.limit(scale, block.expanded.scale)
            block.depthwise.limit(block.expanded.scale, block.filtered.scale)
            block.project.limit(block.filtered.scale, block.out.scale)
            scale = block.out.scale


class QuantizedDetector(QuantTrunk):
    """A Detector in the arithmetic of the device. Input and output as Detector's."""

    def __init__(self, model: Detector) -> None:
        super().__init__(model.stem, model.pool, model.blocks)
        self.config: NetworkConfig = model.config
        self.heads = nn.ModuleList(
            QuantConv(h.weight, h.bias, 1, 1) if isinstance(h, nn.Conv2d) and h.bias is not None else nn.Identity()
            for h in model.heads
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, anchors, 5)."""
        flat = []
        for (y, scale), head in zip(self.maps(x), self.heads, strict=True):
            if isinstance(head, QuantConv):
                y = head(y, scale)
                flat.append(y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, BOX_VALUES))
        out = torch.cat(flat, dim=1)
        if self.quantizing:
            limit = LOGIT_LIMIT / torch.tensor(BOX_FACTORS)
            out = torch.maximum(torch.minimum(out, limit), -limit)
        return out

    def limit(self) -> None:
        """Those of the heads have 24 bits."""
        super().limit()
        for block, head in zip(self.blocks, self.heads, strict=True):
            if isinstance(head, QuantConv):
                head.limit(block.out.scale, 1 / 4096, 2.0**8)  # type: ignore[union-attr,arg-type]


class QuantizedClassifier(QuantTrunk):
    """A Classifier in the arithmetic of the device. Input and output as Classifier's."""

    def __init__(self, model: Classifier) -> None:
        super().__init__(model.stem, model.pool, model.blocks)
        self.config: ClassifierConfig = model.config
        self.last = QuantConv.fold(model.last)
        self.last_out = Activation(True)
        self.last_pool: RNNPool2d | None = model.last_pool
        self.vector = Activation(False) if model.last_pool is None else None
        self.dense = QuantConv(model.dense.weight[:, :, None, None], model.dense.bias, 1, 1)

    def vector_scale(self) -> Tensor:
        """Real value of one step of the dense layer's input."""
        return self.pool_scale if self.vector is None else self.vector.scale

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, labels)."""
        scale = self.pool_scale
        for x, scale in self.maps(x):  # noqa: B007, B020  # only the last one counts
            pass
        x = self.last_out(self.last(x, scale))
        if self.last_pool is not None:
            x = self.pooled(self.last_pool, x)
        else:
            assert self.vector is not None
            x = self.vector(x.mean(dim=(2, 3), keepdim=True))
        out: Tensor = self.dense(x, self.vector_scale() if self.quantizing else torch.zeros(()))[:, :, 0, 0]
        return out.clamp(-LOGIT_LIMIT, LOGIT_LIMIT) if self.quantizing else out

    def limit(self) -> None:
        """That of the dense layer has 24 bits."""
        super().limit()
        self.last.limit(self.blocks[-1].out.scale, self.last_out.scale)  # type: ignore[union-attr,arg-type]
        self.dense.limit(self.vector_scale(), 1 / 4096, 2.0**8)


def save_quantized(path: str | Path, model: QuantizedDetector | QuantizedClassifier) -> None:
    """Write a calibrated model."""
    kind = "config" if isinstance(model, QuantizedDetector) else "classifier"
    checkpoint.save(path, {kind: model.config.to_dict(), "quantized": model.state_dict()})


def load_any_quantized(path: str | Path) -> QuantizedDetector | QuantizedClassifier:
    """Read what save_quantized wrote, in evaluation mode. InputError if the file is damaged or something else."""
    kind, content = checkpoint.load(path, checkpoint.QUANTIZED_DETECTOR, checkpoint.QUANTIZED_CLASSIFIER)
    model: QuantizedDetector | QuantizedClassifier
    if kind == checkpoint.QUANTIZED_CLASSIFIER:
        model = QuantizedClassifier(
            Classifier(checkpoint.config(path, ClassifierConfig.from_dict, content["classifier"]))
        )
    else:
        model = QuantizedDetector(Detector(checkpoint.config(path, NetworkConfig.from_dict, content["config"])))
    checkpoint.fill(path, model, content["quantized"])
    model.quantizing = True
    return model.eval()


def load_quantized(path: str | Path) -> QuantizedDetector:
    """A detector from what save_quantized wrote. InputError if the file is damaged or something else."""
    model = load_any_quantized(path)
    if not isinstance(model, QuantizedDetector):
        raise InputError(f"{path} is a classifier, not a detector")
    return model
