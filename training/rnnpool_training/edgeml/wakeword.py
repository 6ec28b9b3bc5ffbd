"""EdgeML's Visual_Wakeword networks: MobileNetV2 behind an RNNPool, with an average or another RNNPool at its end.

Its names are those of torchvision's MobileNetV2 (features.N.conv.0.0, ...). What is not in the weights is known of the
network: patches of 6x6 at stride 4, where the blocks halve the map, and the input, (pixel / 255 - mean) / std of
ImageNet.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..classifier import VWW, Classifier, ClassifierConfig
from ..errors import InputError
from ..network import BlockConfig
from .weights import Weights

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # train_visualwakewords.py
STRIDES = tuple(block.stride for block in VWW.blocks)


def matches(weights: Weights) -> bool:
    """Whether a checkpoint names what only these networks have."""
    return "features_init.0.weight" in weights


def read(weights: Weights, size: int, labels: list[str] | None) -> Classifier:
    """The network for pictures of size x size, in evaluation mode. InputError by name and shape."""
    config = _configuration(weights, size, labels)
    state: dict[str, Tensor] = {"stem.conv.weight": weights.take("features_init.0.weight", config.stem, 3, 3, 3)}
    state |= weights.norm("features_init.1", config.stem, "stem.norm")
    state |= weights.cell("rnn_model.cell_rnn", config.stem, config.hidden1, "pool.rnn1")
    state |= weights.cell("rnn_model.cell_bidirrnn", config.hidden1, config.hidden2, "pool.rnn2")
    inputs = 4 * config.hidden2
    for i, block in enumerate(config.blocks):
        name, into = f"features.{i}.conv", f"blocks.{i}"
        state[f"{into}.expand.conv.weight"] = weights.take(f"{name}.0.0.weight", block.expanded, inputs, 1, 1)
        state |= weights.norm(f"{name}.0.1", block.expanded, f"{into}.expand.norm")
        state[f"{into}.depthwise.conv.weight"] = weights.take(f"{name}.1.0.weight", block.expanded, 1, 3, 3)
        state |= weights.norm(f"{name}.1.1", block.expanded, f"{into}.depthwise.norm")
        state[f"{into}.project.conv.weight"] = weights.take(f"{name}.2.weight", block.out, block.expanded, 1, 1)
        state |= weights.norm(f"{name}.3", block.out, f"{into}.project.norm")
        inputs = block.out
    last = f"features.{len(config.blocks)}"
    state["last.conv.weight"] = weights.take(f"{last}.0.weight", config.last, inputs, 1, 1)
    state |= weights.norm(f"{last}.1", config.last, "last.norm")
    features = config.last
    if config.last_pool == "rnnpool":
        state |= weights.cell("rnn_model_end.cell_rnn", config.last, config.last_hidden, "last_pool.rnn1")
        state |= weights.cell("rnn_model_end.cell_bidirrnn", config.last_hidden, config.last_hidden, "last_pool.rnn2")
        features = 4 * config.last_hidden
    dense = _dense(weights)
    state["dense.weight"] = weights.take(f"{dense}.weight", len(config.labels), features)
    state["dense.bias"] = weights.take(f"{dense}.bias", len(config.labels))
    weights.finish()
    model = Classifier(config)
    fold_input(state, "stem.conv.weight", "stem.norm.running_mean")
    model.load_state_dict(state, strict=False)  # but for the counters of batches all is there
    return model.eval()


def _dense(weights: Weights) -> str:
    # Behind a dropout, or alone.
    return "classifier.1" if "classifier.1.weight" in weights else "classifier.0"


def _configuration(weights: Weights, size: int, labels: list[str] | None) -> ClassifierConfig:
    blocks = []
    for i, stride in enumerate(STRIDES):
        name = f"features.{i}.conv"
        blocks.append(BlockConfig(weights.shape(f"{name}.0.0.weight")[0], weights.shape(f"{name}.2.weight")[0], stride))
    last = weights.shape(f"features.{len(STRIDES)}.0.weight")[0]
    end = "rnn_model_end.cell_rnn.cell.U"
    count = weights.shape(f"{_dense(weights)}.weight")[0]
    names = labels or (list(VWW.labels) if count == len(VWW.labels) else [f"class {i}" for i in range(count)])
    if len(names) != count:
        raise InputError(f"{weights.path} has {count} outputs, {len(names)} labels are given")
    if end in weights and size != VWW.height:
        raise InputError(f"{weights.path} ends in an RNNPool of 7x7: --size must be {VWW.height}, not {size}")
    try:
        return replace(
            VWW, name="edgeml-vww", labels=tuple(names), height=size, width=size, blocks=tuple(blocks), last=last,
            stem=weights.shape("features_init.0.weight")[0],
            hidden1=weights.shape("rnn_model.cell_rnn.cell.U")[0],
            hidden2=weights.shape("rnn_model.cell_bidirrnn.cell.U")[0],
            last_pool="rnnpool" if end in weights else "average",
            last_hidden=weights.shape(end)[0] if end in weights else VWW.last_hidden,
            nonlinearity="smooth", weighted=True,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{weights.path}: {error}") from None


def fold_input(
    state: dict[str, Tensor], weight: str, mean: str, offset: tuple[float, ...] = MEAN, unit: tuple[float, ...] = STD
) -> None:
    """Lets the first convolution read pixel / 128 - 1 instead of (pixel / 255 - offset) / unit, in place.

    weight: name of its weights (O, channels, k, k); mean: of the means of the normalization behind it, which take what
    is constant. The frame's edge is padded with the level 128 where the checkpoint's training had `offset`.
    """
    factor = 128 / 255 / torch.tensor(unit, dtype=torch.float64)
    constant = (128 / 255 - torch.tensor(offset, dtype=torch.float64)) / torch.tensor(unit, dtype=torch.float64)
    kernel = state[weight].double()
    state[mean] = (state[mean].double() - (kernel * constant[None, :, None, None]).sum((1, 2, 3))).float()
    state[weight] = (kernel * factor[None, :, None, None]).float()
