"""Start a detector from a trained one of another shape: other expanded channels, heads elsewhere, no zeta and nu."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import BOX_VALUES, BlockConfig, Detector, InvertedResidual


def _important(block: InvertedResidual, count: int) -> Tensor:
    """(count,) expanded channels that reach the output of a trained block with the largest weight, in order."""
    norm = block.depthwise.norm
    # After ReLU6, a normalized channel's size is about |gain| + max(0, shift).
    size = norm.weight.abs() + norm.bias.clamp(min=0)
    reach = block.project.conv.weight[:, :, 0, 0].norm(dim=0) * size
    return torch.argsort(reach, descending=True)[:count].sort().values


@torch.no_grad()
def prune(block: InvertedResidual, inputs: int, config: BlockConfig) -> InvertedResidual:
    """A trained block on `inputs` channels, of whose expanded channels the most important `config.expanded` stay."""
    keep = _important(block, config.expanded)
    result = InvertedResidual(inputs, config)
    values = {}
    for name, value in block.state_dict().items():
        unit = name.split(".", 1)[0]
        if value.dim() == 0 or (unit == "project" and not name.endswith("conv.weight")):
            values[name] = value
        else:
            values[name] = value[:, keep] if unit == "project" else value[keep]
    result.load_state_dict(values)
    return result


@torch.no_grad()
def widen(block: InvertedResidual, inputs: int, config: BlockConfig) -> InvertedResidual:
    """A trained block on `inputs` channels with `config.expanded` expanded ones: the new ones, of random weights, reach
    the output with weight 0, so that it stays what it was."""
    result = InvertedResidual(inputs, config)
    result.project.conv.weight.zero_()
    values = result.state_dict()
    for name, value in block.state_dict().items():
        if name == "project.conv.weight":
            values[name][:, : value.shape[1]] = value
        elif value.dim() == 0 or name.startswith("project."):
            values[name] = value
        else:
            values[name][: len(value)] = value
    result.load_state_dict(values)
    return result


def _heads(model: Detector) -> dict[float, tuple[int, int]]:
    # Where each anchor is: number of the head, place in it.
    return {side: (h, i) for h, b in enumerate(model.config.blocks) for i, side in enumerate(b.anchors)}


@torch.no_grad()
def _move_heads(model: Detector, source: Detector) -> dict[str, Tensor]:
    """Weights of the heads of `model` from those of the same anchors in `source`, which may be on other blocks."""
    values: dict[str, Tensor] = {}
    places = _heads(source)
    for number, (block, head) in enumerate(zip(model.config.blocks, model.heads, strict=True)):
        if not isinstance(head, nn.Conv2d):
            continue
        weights, biases = [], []
        for side in block.anchors:
            if side not in places:
                raise ValueError(f"an anchor of {side:g} pixels, which the checkpoint lacks")
            other, i = places[side]
            old = source.heads[other]
            assert isinstance(old, nn.Conv2d) and old.bias is not None
            rows = slice(i * BOX_VALUES, (i + 1) * BOX_VALUES)
            weight = old.weight[rows]
            weight = weight[:, :, 1:2, 1:2] if weight.shape[2] == 3 and block.head == 1 else weight
            if weight.shape[1:] != head.weight.shape[1:]:
                shapes = f"{tuple(weight.shape[1:])} of the checkpoint cannot become {tuple(head.weight.shape[1:])}"
                raise ValueError(f"heads.{number}.weight, the anchor of {side:g} pixels: {shapes}")
            weights.append(weight)
            biases.append(old.bias[rows])
        values[f"heads.{number}.weight"], values[f"heads.{number}.bias"] = torch.cat(weights), torch.cat(biases)
    return values


@torch.no_grad()
def warm_start(model: Detector, source: Detector) -> None:
    """Take over all that fits of `source`; input, output and hidden sizes must agree.

    Blocks with fewer expanded channels keep the most important ones, those with more begin with the same output. Heads
    are taken over by their anchors, also from another block with as many channels; a 1x1 head takes the centre of a
    3x3 one. Raises ValueError with the name and both shapes where a tensor cannot be taken over.
    """
    old, new = len(source.blocks), len(model.config.blocks)
    if old != new:
        raise ValueError(f"{old} blocks of the checkpoint cannot become {new}: choose a network with as many")
    values = source.state_dict()
    inputs = model.pool.out_channels
    for i, (block, config) in enumerate(zip(source.blocks, model.config.blocks, strict=True)):
        assert isinstance(block, InvertedResidual)
        before = source.config.blocks[i].expanded
        if config.expanded != before and config.out == source.config.blocks[i].out:
            fitted = (prune if config.expanded < before else widen)(block, inputs, config)
            values.update({f"blocks.{i}.{name}": value for name, value in fitted.state_dict().items()})
        inputs = config.out
    values.update(_move_heads(model, source))
    for name, own in model.state_dict().items():
        value = values[name]
        if value.shape != own.shape:
            raise ValueError(f"{name}: {tuple(value.shape)} of the checkpoint cannot become {tuple(own.shape)}")
        own.copy_(value)
