"""A detector with fewer channels: python -m rnnpool_training.prune FLOAT.pt --network NAME --data FOLDER -o OUT.

Of each block the most important channels stay (warm_start.py). Its projection is then fitted anew, by least squares on
pictures, to give what the whole block gave: what the channels that went told is for the most part told by others, too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from . import files
from .command import command, integer
from .data import load
from .deploy import normalized, shown
from .detector import load_float, save_float
from .errors import InputError
from .network import NETWORKS, Detector, InvertedResidual
from .warm_start import warm_start

PULL = 1e-5  # towards the weights before, as a part of the channels' mean square: where the pictures leave them open


@torch.no_grad()
def fit(block: InvertedResidual, inputs: list[Tensor], wanted: list[Tensor]) -> tuple[float, float]:
    """Fit a block's projection such that `inputs` (each N, C, H, W) give the outputs `wanted`, as well as it can.

    The part of the variance of `wanted` that it misses, before and after.
    """
    conv, norm = block.project.conv, block.project.norm
    assert norm.running_mean is not None and norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    products: Tensor | float = 0.0
    sums: Tensor | float = 0.0
    before, squares, count = 0.0, 0.0, 0
    mean = torch.cat([y.mean(dim=(0, 2, 3))[None] for y in wanted]).mean(0)[:, None, None]
    old = torch.cat([conv.weight[:, :, 0, 0].T, torch.zeros(1, conv.out_channels)]).double()
    for x, y in zip(inputs, wanted, strict=True):
        before += float(((block(x) - y) ** 2).sum())
        squares += float(((y - mean) ** 2).sum())
        y = y - x if block.residual else y
        y = (y - norm.bias[:, None, None]) / gain[:, None, None] + norm.running_mean[:, None, None]
        a = block.depthwise(block.expand(x)).permute(0, 2, 3, 1).flatten(0, 2).double()
        a = torch.cat([a, torch.ones(len(a), 1)], dim=1)  # the last weight is a bias
        products = products + a.T @ a
        sums = sums + a.T @ y.permute(0, 2, 3, 1).flatten(0, 2).double()
        count += len(a)
    assert isinstance(products, Tensor)
    pull = PULL * products.diagonal().mean() * torch.eye(len(products), dtype=torch.float64)
    weights = torch.linalg.solve(products + pull, sums + pull @ old).float()
    conv.weight[:, :, 0, 0] = weights[:-1].T
    norm.running_mean -= weights[-1]
    after = sum(float(((block(x) - y) ** 2).sum()) for x, y in zip(inputs, wanted, strict=True))
    return before / squares, after / squares


@torch.no_grad()
def prune(source: Detector, model: Detector, pictures: list[Tensor]) -> list[tuple[float, float]]:
    """Start `model` from `source`, and fit each block that has fewer channels; what fit() says of each of those."""
    warm_start(model, source)
    source.eval()
    model.eval()
    old = [source.pool(source.stem(x)) for x in pictures]
    new = [model.pool(model.stem(x)) for x in pictures]
    missed = []
    for i, (before, block) in enumerate(zip(source.blocks, model.blocks, strict=True)):
        assert isinstance(block, InvertedResidual)
        old = [before(x) for x in old]
        if model.config.blocks[i].expanded < source.config.blocks[i].expanded:
            missed.append(fit(block, new, old))
        new = [block(x) for x in new]
    return missed


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.prune", description=(__doc__ or "").split("\n")[0])
    p.add_argument("checkpoint", type=Path, help="float checkpoint of a detector")
    p.add_argument("--network", choices=sorted(NETWORKS), required=True, help="the smaller network of network.py")
    p.add_argument("--data", required=True, nargs="+", help="folders of pictures to fit on: those of its training")
    p.add_argument("--pictures", type=integer(1), default=256, help="so many of them (default: %(default)s)")
    p.add_argument("--seed", type=integer(0), default=1, help="of the choice of the pictures")
    p.add_argument("-o", "--out", type=Path, required=True, help="the float checkpoint to write")
    options = p.parse_args(arguments)
    files.check_output(options.out, read=[options.checkpoint], kind=files.CHECKPOINT)
    torch.set_num_threads(1)  # sums in one order: the same bits on every run
    source, config = load_float(options.checkpoint), NETWORKS[options.network]
    model = Detector(config)
    samples = [sample for folder in options.data for sample in load(folder)]
    chosen = shown(samples, (config.height, config.width), options.pictures, options.seed)
    try:
        missed = prune(source, model, list(normalized(chosen)))
    except ValueError as error:
        raise InputError(f"{options.checkpoint}: {error}") from None
    save_float(options.out, config, model.state_dict())
    said = [{"before": round(before, 5), "after": round(after, 5)} for before, after in missed]
    print(json.dumps({"part of each smaller block's variance that is missed": said, "out": str(options.out)}))


if __name__ == "__main__":
    main()
