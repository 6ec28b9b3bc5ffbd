"""CIFAR-10 by one pooling operator: python -m rnnpool_training.paper.cifar10 --data cifar-10-batches-bin --out FOLDER.

The operator turns the picture of 32x32 into 128 values at once, a dense layer into 10 classes (Saha et al. 2020,
appendix C.2: RNNPool 70.63 %, a convolution 53.13, the average 26.53, the maximum 20.04). The data are the set's binary
or Python version (Krizhevsky 2009). The paper says nothing of the training: here AdamW, a cosine learning rate, and
pictures as they are, mirrored ones with --mirror.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import files
from ..command import command, integer, real
from ..errors import InputError
from .single_pool import Operator, SinglePool, accuracy, train

SIDE, CHANNELS, CLASSES, HIDDEN = 32, 3, 10, 32
RECORD = 1 + CHANNELS * SIDE * SIDE  # bytes: a class, then the red, green and blue rows
TRAIN, TEST = [f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]


class Arrays(pickle.Unpickler):
    """Reads arrays and plain values, nothing that runs code."""

    NAMES = ("_reconstruct", "ndarray", "dtype", "encode")
    MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "_codecs")

    def find_class(self, module: str, name: str) -> Any:
        """What an array is made of. UnpicklingError for all else."""
        if module in self.MODULES and name in self.NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _pickled(path: Path) -> NDArray[np.uint8]:
    # Records of a file of the Python version: a dictionary of data (N, 3072) and labels. InputError.
    try:
        with path.open("rb") as file:
            held = Arrays(file, encoding="bytes").load()
        data, labels = np.asarray(held[b"data"]), np.asarray(held[b"labels"])
    except Exception as error:  # of many kinds, in a file that is none
        raise InputError(f"{path} can't be read as CIFAR-10's Python version: {error!r}"[:300]) from None
    if data.dtype != np.uint8 or data.shape != (len(labels), RECORD - 1) or labels.shape != (len(data),):
        raise InputError(
            f"{path} holds data of {data.shape} and labels of {labels.shape}, Nx{RECORD - 1} bytes and N are needed"
        )
    if not len(data) or labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < 256:
        raise InputError(f"{path}: labels must be 0 to {CLASSES - 1}, are {labels[:4].tolist()}")
    return np.concatenate([labels.astype(np.uint8)[:, None], data], 1)


def load(folder: Path, names: list[str]) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, 32, 32) of -1 to 1 and classes (N,) of some files. InputError for what is none of the set's.

    Of the binary version (data_batch_1.bin, ...), or, without it, of the Python version (data_batch_1, ...).
    """
    found = []
    for path in (folder / name for name in names):
        if not path.is_file() and path.with_suffix("").is_file():
            found.append(_pickled(path.with_suffix("")))
            continue
        if not path.is_file():
            raise InputError(f"{path} is not there: the folder of CIFAR-10's binary version holds {', '.join(names)}")
        data = np.fromfile(path, np.uint8)
        if not len(data) or len(data) % RECORD:
            raise InputError(f"{path} has {len(data)} bytes, a multiple of {RECORD} is needed: a class and a picture")
        found.append(data.reshape(-1, RECORD))
    rows = np.concatenate(found)
    if rows[:, 0].max() >= CLASSES:
        raise InputError(f"{folder}: a picture is of class {rows[:, 0].max()}, CIFAR-10 has {CLASSES}")
    pixels = torch.from_numpy(rows[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE).copy())
    return pixels.float().sub_(128).div_(128), torch.from_numpy(rows[:, 0].astype(np.int64))


def mirror(x: Tensor, chance: torch.Generator) -> Tensor:
    """Half of the pictures, left and right changed."""
    turned = torch.rand(len(x), generator=chance) < 0.5
    return torch.where(turned[:, None, None, None], x.flip(3), x)


def fit(operator: Operator, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one operator: its accuracy on the training and the test pictures, parameters, seconds of CPU time."""
    (x, y), (x_test, y_test) = load(options.data, TRAIN), load(options.data, TEST)
    torch.manual_seed(seed)
    net = SinglePool(operator, CHANNELS, SIDE, HIDDEN, HIDDEN, CLASSES)
    before = time.process_time()
    steps = max(1, options.epochs * len(x) // options.batch)
    train(net, x, y, steps, options.batch, options.lr, seed, mirror if options.mirror else None)
    return {
        "operator": operator, "seed": seed, "epochs": options.epochs, "batch": options.batch, "lr": options.lr,
        "mirror": options.mirror, "train": accuracy(net, x, y), "test": accuracy(net, x_test, y_test),
        "parameters": sum(p.numel() for p in net.parameters()), "cpu_seconds": round(time.process_time() - before),
    }  # fmt: skip


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    operators = list(get_args(Operator))
    p = argparse.ArgumentParser(
        prog="python -m rnnpool_training.paper.cifar10", description=(__doc__ or "").split(":")[0]
    )
    p.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder of data_batch_1.bin to 5 and test_batch.bin, or of these names without .bin",
    )
    p.add_argument("--out", type=Path, required=True, help="folder for results.jsonl")
    p.add_argument("--operators", nargs="+", choices=operators, default=operators)
    p.add_argument("--seed", type=integer(0), default=1)
    p.add_argument("--epochs", type=integer(1), default=100)
    p.add_argument("--batch", type=integer(1), default=128)
    p.add_argument("--lr", type=real(0, above=True), default=5e-3)
    p.add_argument("--mirror", action="store_true", help="learn from mirrored pictures, too")
    p.add_argument("--threads", type=integer(1, 256), default=1, help="1: the same results on every run")
    options = p.parse_args(arguments)
    torch.set_num_threads(options.threads)
    results = files.make_folder(options.out) / "results.jsonl"
    found = results.read_text() if results.exists() else ""
    for operator in options.operators:
        line = json.dumps(fit(operator, options.seed, options))
        found += line + "\n"
        files.write_text(results, found)
        print(line, flush=True)


if __name__ == "__main__":
    main()
