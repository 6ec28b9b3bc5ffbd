"""Start a detector from a trained one of another shape: fewer expanded channels, smaller heads, no zeta and nu."""

from __future__ import annotations

import torch
from torch import Tensor

from .network import BlockConfig, Detector, InvertedResidual


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
def warm_start(model: Detector, source: Detector) -> None:
    """Take over all that fits of `source`; input, output and hidden sizes must agree.

    Blocks with fewer expanded channels keep the most important ones; a 1x1 head takes the centre of a 3x3 one.
    Raises ValueError with the name and both shapes where a tensor cannot be taken over.
    """
    values = source.state_dict()
    inputs = model.pool.out_channels
    for i, (block, config) in enumerate(zip(source.blocks, model.config.blocks, strict=True)):
        assert isinstance(block, InvertedResidual)
        if config.expanded < source.config.blocks[i].expanded:
            pruned = prune(block, inputs, config)
            values.update({f"blocks.{i}.{name}": value for name, value in pruned.state_dict().items()})
        inputs = config.out
    for name, own in model.state_dict().items():
        value = values[name]
        if value.dim() == 4 and value.shape[2:] == (3, 3) and own.shape[2:] == (1, 1):
            value = value[:, :, 1:2, 1:2]
        if value.shape != own.shape:
            raise ValueError(f"{name}: {tuple(value.shape)} of the checkpoint cannot become {tuple(own.shape)}")
        own.copy_(value)
