"""The mean of the weights of runs that began at the same one: python -m rnnpool_training.average A.pt B.pt -o MEAN.pt.

A detector that went on learning from new pictures gains on those and loses some of the old ones; the mean with where it
started keeps most of both (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). The statistics of the
normalizations, which no mean is right for, are measured anew on pictures that it was trained on.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from . import checkpoint, files
from .classifier import Classifier, load_classifier, save_classifier
from .command import command
from .data import load
from .deploy import normalized, shown
from .detector import load_float, save_float
from .errors import InputError
from .network import Detector
from .normalization import PICTURES, renew_statistics
from .pictures import load_labelled
from .streaming import DEFAULT, Memory

LARGEST = 3.999  # sum of a row of U: 2^31 / (2^15 * 2^14), less what rounding may add


def mean(paths: list[Path], shares: list[float]) -> Detector | Classifier:
    """The model of float checkpoints with `shares` of each one's weights. InputError if they are of other networks."""
    kind = checkpoint.load(paths[0], checkpoint.FLOAT_DETECTOR, checkpoint.FLOAT_CLASSIFIER)[0]
    models: list[Any] = [(load_float if kind == checkpoint.FLOAT_DETECTOR else load_classifier)(p) for p in paths]
    for path, model in zip(paths, models, strict=True):
        if replace(model.config, name="") != replace(models[0].config, name=""):
            raise InputError(f"{path} is of another network than {paths[0]}: weights of one network have a mean")
    values = [model.state_dict() for model in models]
    total = sum(shares)
    models[0].load_state_dict({
        name: sum(v[name].double() * (share / total) for v, share in zip(values, shares, strict=True)).to(first.dtype)
        for name, first in values[0].items()
    })  # fmt: skip
    result: Detector | Classifier = models[0]
    return result


@torch.no_grad()
def bound(model: Detector | Classifier) -> None:
    """Scale rows of recurrent weights that are just (up to a tenth) too large for the shift of 16 (compile/cells.py).

    With a shift of 15 the kernels of a Cortex-M4 take 0.3 % longer over a whole face network.
    """
    for name, weights in model.named_parameters():
        if name.endswith(".U"):
            sums = weights.abs().sum(dim=0)  # of what comes into each hidden value
            if LARGEST < float(sums.max()) <= 1.1 * LARGEST:
                weights.mul_((LARGEST / sums).clamp(max=1))


def numbers(text: str) -> list[float]:
    """A type for argparse: positive numbers with commas between them."""
    try:
        values = [float(one) for one in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(0 < v < float("inf") for v in values):
        raise argparse.ArgumentTypeError(f"must be positive numbers with commas between them, not {text}")
    return values


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.average", description=(__doc__ or "").split("\n")[0])
    p.add_argument("checkpoints", nargs="+", type=Path, help="float checkpoints of one network")
    p.add_argument("--shares", type=numbers, help="of each one in the mean, as 1,2 (default: all alike)")
    p.add_argument("--data", required=True, nargs="+", help="folders of pictures that they were trained on")
    p.add_argument("--seed", type=int, default=1, help="of the choice of the pictures")
    p.add_argument("-o", "--out", type=Path, required=True, help="the float checkpoint to write")
    options = p.parse_args(arguments)
    shares = options.shares or [1.0] * len(options.checkpoints)
    if len(shares) != len(options.checkpoints):
        p.error(f"--shares has {len(shares)} numbers for {len(options.checkpoints)} checkpoints")
    files.check_output(options.out, read=options.checkpoints, kind=files.CHECKPOINT)
    torch.set_num_threads(1)  # sums in one order: the same bytes on every run
    model, memory = mean(options.checkpoints, shares), Memory(DEFAULT)
    bound(model)
    if isinstance(model, Detector):
        samples = [s for folder in options.data for s in load(folder, memory=memory)]
        size = (model.config.height, model.config.width)
        renew_statistics(model, normalized(shown(samples, size, PICTURES, options.seed)))
        save_float(options.out, model.config, model.state_dict())
        return
    channels, size = model.config.channels, (model.config.height, model.config.width)
    pictures = [s for folder in options.data for s in load_labelled(folder, channels, memory=memory)]
    renew_statistics(model, normalized(shown(pictures, size, PICTURES, options.seed)))
    save_classifier(options.out, model)


if __name__ == "__main__":
    main()
