"""Means and variances of the normalizations, measured anew: training's are of other views, sizes or weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

PICTURES = 512  # whole ones are enough


@torch.no_grad()
def renew_statistics(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measure those of all batch normalizations as the plain mean over batches (N, C, H, W) of the model's input."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    for x in batches:
        model(x)
    model.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
