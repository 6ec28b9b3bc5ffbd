"""MobileNetV2-RNNPool classifiers (Saha et al. 2020, appendix F) and what only training needs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from . import checkpoint
from .fastgrnn import Nonlinearity
from .network import BlockConfig, ConvUnit, InvertedResidual
from .rnnpool2d import RNNPool2d
from .warm_start import prune

LastPool = Literal["average", "rnnpool"]
DENSE_VALUES = 5  # of the auxiliary heads: a logit and the distances to the four sides of the box


@dataclass(frozen=True)
class ClassifierConfig:
    """A classifier: convolution, RNNPool, inverted residuals, 1x1 convolution, pooling, dense layer.

    Height and width (pixels, multiples of 32) are those of the deployed input; with average pooling the same weights
    run at any size. `channels`: 3 (RGB) or 1 (gray). `last`: channels of the 1x1 convolution. `last_pool`: how the
    last map becomes a vector: its average, or an RNNPool over all of it with hidden sizes `last_hidden`.
    """

    name: str
    labels: tuple[str, ...]
    height: int
    width: int
    channels: int
    stem: int
    patch: int
    patch_stride: int
    hidden1: int
    hidden2: int
    blocks: tuple[BlockConfig, ...]
    last: int
    last_pool: LastPool = "average"
    last_hidden: int = 32
    nonlinearity: Nonlinearity = "hard"
    weighted: bool = False

    def __post_init__(self) -> None:
        if self.height % 32 or self.width % 32 or min(self.height, self.width) < 64:
            raise ValueError(f"height and width must be multiples of 32 from 64, not {self.height}x{self.width}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, not {self.channels}")
        if len(self.labels) < 2:
            raise ValueError(f"a classifier needs two labels or more, given {list(self.labels)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> ClassifierConfig:
        """The inverse of to_dict."""
        blocks = tuple(BlockConfig(**{**b, "anchors": tuple(b["anchors"])}) for b in values["blocks"])
        return ClassifierConfig(**{**values, "blocks": blocks, "labels": tuple(values["labels"])})


def _blocks(width: float, stages: Sequence[tuple[int, int, int]], inputs: int, expansion: int = 6) -> list[BlockConfig]:
    # Stages of (channels, repeats, stride of the first); channels times width to the nearest multiple of 8, never
    # more than 10 % below (MobileNetV2's rule).
    result = []
    for channels, repeats, stride in stages:
        wanted = channels * width
        out = max(8, int(wanted + 4) // 8 * 8)
        out += 8 if out < 0.9 * wanted else 0
        for i in range(repeats):
            result.append(BlockConfig(expansion * inputs, out, stride if i == 0 else 1))
            inputs = out
    return result


# The paper's network for Visual Wake Words, at 0.35 of MobileNetV2's width.
VWW = ClassifierConfig(
    name="mobilenetv2-rnnpool-0.35", labels=("no person", "person"), height=224, width=224, channels=3,
    stem=8, patch=6, patch_stride=4, hidden1=8, hidden2=8,
    blocks=tuple(_blocks(0.35, ((64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)), 32)),
    last=192,
)  # fmt: skip


# The same with about 4 instead of 6 times as many expanded channels as inputs, and 2.5 times at the 28x28 map, where a
# channel costs most: multiples of 16, which is what the kernels take at a time.
_EXPANDED = (80, 96, 96, 96, 96, 128, 128, 128, 224, 224, 224)
VWW_SLIM = replace(
    VWW, name="mobilenetv2-rnnpool-0.35-slim",
    blocks=tuple(replace(b, expanded=e) for b, e in zip(VWW.blocks, _EXPANDED, strict=True)),
)  # fmt: skip

# For --network of rnnpool_training.train_classifier; the first one is shipped (docs/training.md compares them).
CLASSIFIERS = {"vww-slim": VWW_SLIM, "vww": VWW}


def configure(
    size: int,
    gray: bool = False,
    labels: Sequence[str] | None = None,
    last_pool: LastPool = "average",
    network: str = "vww-slim",
) -> ClassifierConfig:
    """A network of CLASSIFIERS for a square input of `size` pixels, and perhaps other labels."""
    config = CLASSIFIERS[network]
    labels = config.labels if labels is None else tuple(labels)
    return replace(config, height=size, width=size, channels=1 if gray else 3, labels=labels, last_pool=last_pool)


class Classifier(nn.Module):
    """The float network. Input (N, channels, H, W) is pixel / 128 - 1; output (N, labels) logits."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvUnit(config.channels, config.stem, 3, 2)
        self.pool = RNNPool2d(
            config.stem, config.hidden1, config.hidden2, config.patch, config.patch_stride,
            nonlinearity=config.nonlinearity, weighted=config.weighted, replicate=True,
        )  # fmt: skip
        self.blocks = nn.ModuleList()
        inputs = self.pool.out_channels
        for block in config.blocks:
            self.blocks.append(InvertedResidual(inputs, block))
            inputs = block.out
        self.last = ConvUnit(inputs, config.last, 1)
        features = config.last
        self.last_pool: RNNPool2d | None = None
        if config.last_pool == "rnnpool":
            self.last_pool = RNNPool2d(
                config.last, config.last_hidden, config.last_hidden, (config.height // 32, config.width // 32),
                nonlinearity=config.nonlinearity, weighted=config.weighted,
            )  # fmt: skip
            features = self.last_pool.out_channels
        self.dense = nn.Linear(features, len(config.labels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps of strides 16 (the last one) and 32 that the inverted residuals make of x."""
        x = self.pool(self.stem(x))
        middle = x
        for block, config in zip(self.blocks, self.config.blocks, strict=True):
            if config.stride == 2:
                middle = x
            x = block(x)
        return middle, x

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H / 32, W / 32) of the blocks to the vector (N, F) that the dense layer takes."""
        x = self.last(x)
        return x.mean(dim=(2, 3)) if self.last_pool is None else self.last_pool(x)[:, :, 0, 0]

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, labels)."""
        logits: Tensor = self.dense(self.features(self.maps(x)[1]))
        return logits


class Supervised(nn.Module):
    """A classifier in training: dropout, and two auxiliary heads that say of every cell whether it lies on an object.

    With few labelled images the boxes teach more than the label; the heads are left out of what is exported.
    """

    def __init__(self, model: Classifier, dropout: float, inner: int = 0, frozen: bool = False) -> None:
        """`inner`: width of what a teacher's last layer takes, which the features shall tell; `frozen`: the first
        convolution and RNNPool stay as they are, which saves their share of the time."""
        super().__init__()
        self.model = model
        self.frozen = frozen
        self.project = nn.Linear(model.dense.in_features, inner) if inner else None
        if frozen:
            for part in (model.stem, model.pool):
                part.requires_grad_(False)
        self.dropout = nn.Dropout(dropout)
        strided = [i for i, b in enumerate(model.config.blocks) if b.stride == 2]
        widths = (model.config.blocks[strided[-1] - 1].out, model.config.blocks[-1].out)
        self.heads = nn.ModuleList(nn.Sequential(ConvUnit(w, 64, 1), nn.Conv2d(64, DENSE_VALUES, 1)) for w in widths)

    def train(self, mode: bool = True) -> Supervised:
        """As nn.Module's; the normalization of a frozen part stays as it is."""
        super().train(mode)
        if self.frozen:
            self.model.stem.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Logits (N, labels), the heads' maps (N, 5, H / 16, W / 16), (N, 5, H / 32, W / 32), and what a teacher's last
        layer may take (N, inner)."""
        maps = self.model.maps(x)
        features = self.model.features(maps[1])
        logits = self.model.dense(self.dropout(features))
        inner = self.project(features) if self.project is not None else None
        return logits, [head(m) for head, m in zip(self.heads, maps, strict=True)], inner


@torch.no_grad()
def warm_start(model: Classifier, source: Classifier) -> list[str]:
    """Take over every tensor of `source` that fits; returns the names of those that do not.

    The dense layer fits only if the labels are the same. Blocks with fewer expanded channels keep the most important.
    A gray network takes the sum over the colours of the first convolution, which is what it does to gray pictures.
    """
    values = source.state_dict()
    inputs = model.pool.out_channels
    for i, (block, own, other) in enumerate(
        zip(source.blocks, model.config.blocks, source.config.blocks, strict=False)
    ):
        assert isinstance(block, InvertedResidual)
        if own.expanded < other.expanded and inputs == block.expand.conv.in_channels and own.out == other.out:
            pruned = prune(block, inputs, own).state_dict()
            values.update({f"blocks.{i}.{name}": value for name, value in pruned.items()})
        inputs = own.out
    left = []
    for name, mine in model.state_dict().items():
        value = values.get(name)
        if name == "stem.conv.weight" and value is not None and mine.shape[1] == 1:
            value = value.sum(dim=1, keepdim=True)
        foreign = name.startswith("dense.") and model.config.labels != source.config.labels
        if foreign or value is None or value.shape != mine.shape:
            left.append(name)
        else:
            mine.copy_(value)
    return left


def save_classifier(path: str | Path, model: Classifier) -> None:
    """Write a float checkpoint: only what is needed to run or fine-tune the network."""
    weights = {k: v.clone() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    checkpoint.save(path, {"classifier": model.config.to_dict(), "model": weights})


def load_classifier(path: str | Path) -> Classifier:
    """Read what save_classifier wrote, in evaluation mode. InputError if the file is damaged or something else."""
    _, content = checkpoint.load(path, checkpoint.FLOAT_CLASSIFIER)
    model = Classifier(checkpoint.config(path, ClassifierConfig.from_dict, content["classifier"]))
    checkpoint.fill(path, model, content["model"])
    return model.eval()
