"""From a float classifier to a .rnnp blob: python -m rnnpool_training.export_classifier FLOAT.pt --data TRAIN -o OUT.

Folds normalization, chooses the ranges on pictures of the training set, plans the arena. Needs a C compiler.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import files
from .blob import Model, write
from .classifier import Classifier, load_classifier
from .command import command, real
from .engine import Engine
from .errors import InputError
from .export import build_classifier
from .normalization import PICTURES, renew_statistics
from .pictures import Picture, frame, load_labelled
from .planner import plan
from .quantize import QuantizedClassifier

CALIBRATION = 256  # pictures


def batches(pictures: list[Picture], size: tuple[int, int], count: int, seed: int) -> Iterator[torch.Tensor]:
    """Batches (8, C, height, width) of `count` random whole pictures, as the device sees them."""
    chosen = np.random.default_rng(seed).permutation(len(pictures))[:count]
    for start in tqdm(range(0, len(chosen), 8), desc="measuring ranges", unit="batch", mininterval=5):
        pixels = np.stack([frame(pictures[i].pixels, *size) for i in chosen[start : start + 8]])
        yield torch.from_numpy(pixels).permute(0, 3, 1, 2).float().sub_(128).div_(128)


def quantize(
    model: Classifier, pictures: list[Picture], count: int = CALIBRATION, seed: int = 1
) -> QuantizedClassifier:
    """The model with its ranges chosen on `count` random pictures; the same pictures give the same ranges."""
    torch.manual_seed(seed)
    result = QuantizedClassifier(model)
    result.calibrate(batches(pictures, (model.config.height, model.config.width), count, seed))
    return result


def export(model: Classifier, pictures: list[Picture], name: str, threshold: float = 0.5, seed: int = 1) -> Model:
    """The blob's model: quantized, with its golden check and the maps to keep whole."""
    return plan(build_classifier(quantize(model, pictures, seed=seed), threshold, name))


def export_at(
    model: Classifier, size: int, pictures: list[Picture], name: str, threshold: float = 0.5, seed: int = 1
) -> Model:
    """As export, for a square input of `size` pixels; at another than the model's own the statistics are renewed.

    Changes the model. InputError if its last layer is an RNNPool, which fits maps of one size only.
    """
    if size != model.config.height:
        if model.config.last_pool == "rnnpool":
            raise InputError(f"a last RNNPool is for maps of one size: --size must be {model.config.height}")
        model.config = replace(model.config, height=size, width=size)
        renew_statistics(model, batches(pictures, (size, size), PICTURES, seed))
    return export(model, pictures, name, threshold, seed)


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.export_classifier", description=__doc__)
    p.add_argument("checkpoint", help="float checkpoint of rnnpool_training.train_classifier")
    p.add_argument("--data", required=True, nargs="+", help="data folders that it was trained on")
    p.add_argument("-o", "--out", type=Path, required=True, help="the blob to write")
    p.add_argument("--size", type=int, help="side of the input in pixels (default: that of the checkpoint); "
                   "at another one the statistics of the normalizations are measured anew")  # fmt: skip
    p.add_argument("--name", default="", help="name in the blob (default: the network's)")
    p.add_argument("--threshold", type=real(0, 1), default=0.5, help="probability that counts as a yes")
    p.add_argument("--seed", type=int, default=1)
    options = p.parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order: the same bytes on every run
    files.check_output(options.out)
    model = load_classifier(options.checkpoint)
    pictures = [p for folder in options.data for p in load_labelled(folder, model.config.channels)]
    try:
        size = options.size or model.config.height
        data = write(export_at(model, size, pictures, options.name, options.threshold, options.seed))
    except ValueError as error:  # of a size, a name or a threshold
        raise InputError(f"{options.checkpoint}: {error}") from None
    files.write_bytes(options.out, data)
    print(json.dumps({"blob": str(options.out), "bytes": len(data), "arena": Engine(data).arena_size(),
                      "sha256": hashlib.sha256(data).hexdigest()}))  # fmt: skip


if __name__ == "__main__":
    main()
