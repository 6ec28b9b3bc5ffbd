"""Any PyTorch network to a blob: the part of `python -m rnnpool_training.export my_model.py:net` that is the command's.

What the file must define, and what of it is read: docs/own_network.md.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from . import files
from .command import names as comma_names
from .compile.fold import Normalization
from .compile.network import Exported, export
from .errors import InputError
from .images import SUFFIXES, read
from .pictures import SPLIT, frame

CALIBRATION, CHECK = 256, 100  # pictures
LONGEST = 1024  # pixels of a side that pictures are reduced to before anything else

ASK = (
    "what the network takes can't be seen in it: give --mean and --std of (pixel / 255 - mean) / std, the numbers it "
    "was trained with. --mean 0 --std 1: pixels / 255. --mean 0.5 --std 0.5: -1..1. "
    "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225: ImageNet's, of torchvision's models"
)


class Source(NamedTuple):
    """FILE.py:NAME."""

    path: Path
    name: str


class Data(NamedTuple):
    """Pictures as the network's input, (N, height, width, channels), and of each the folder that it was in."""

    pixels: NDArray[np.uint8]
    folders: list[str]
    unread: list[str]


def source(text: str) -> Source | None:
    """The file and the name in it, if that is what a text says."""
    path, _, name = text.rpartition(":")
    return Source(Path(path), name) if path.endswith(".py") else None


def load(given: Source) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and all names of its file. The name may be a module, or a function or class that makes one."""
    path, name = given
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    python = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[path.stem] = python
    try:
        spec.loader.exec_module(python)
        names = vars(python)
        if name not in names:
            own = [n for n, v in names.items() if isinstance(v, nn.Module) or getattr(v, "__module__", "") == path.stem]
            raise InputError(f"{path} has no {name!r}{'; it has ' + ', '.join(own) if own else ''}")
        found = names[name]
        if not isinstance(found, nn.Module) and callable(found):
            found = found()
    except InputError:
        raise
    except Exception as error:  # whatever a script can do
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise InputError(f"{path}{where}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(found, nn.Module):
        raise InputError(f"{name} of {path} is a {type(found).__name__}, not an nn.Module")
    return found.float().eval(), names


def input_shape(names: dict[str, Any], size: tuple[int, int] | None, gray: bool) -> tuple[int, int, int]:
    """Height, width and channels of the network's input."""
    example = names.get("example_input")
    if size is None and not isinstance(example, torch.Tensor):
        raise InputError("say the size of the network's input: --size HEIGHTxWIDTH, or example_input in the file")
    if isinstance(example, torch.Tensor) and size is None:
        if example.dim() != 4 or example.shape[1] not in (1, 3):
            raise InputError(f"example_input is {tuple(example.shape)}: (1, 3, H, W) or (1, 1, H, W) is needed")
        return int(example.shape[2]), int(example.shape[3]), int(example.shape[1])
    assert size is not None
    return *size, 1 if gray else 3


def normalization(names: dict[str, Any], mean: str | None, std: str | None) -> Normalization:
    """From the command line, or `mean` and `std` in the file. InputError asks for them."""
    values = []
    for name, text in (("mean", mean), ("std", std)):
        given = names.get(name) if text is None else comma_names(text)
        if given is None:
            raise InputError(ASK)
        try:
            numbers = [float(v) for v in (given if isinstance(given, list | tuple | torch.Tensor) else [given])]
        except (TypeError, ValueError):
            raise InputError(f"{name} must be one number, or one a channel, is {given!r}") from None
        if not np.isfinite(numbers).all():
            raise InputError(f"{name} must be finite, is {given!r}")
        if name == "std" and min(numbers) <= 0:
            raise InputError(f"std must be above 0, is {given!r}")
        values.append(tuple(numbers))
    return Normalization(*values)


def gather(folder: Path, shape: tuple[int, int, int], count: int, seed: int = 1) -> Data:
    """`count` random pictures below a folder, as the device sees them. InputError if there is none."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of pictures")
    found = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file()]
    if not found:
        raise InputError(f"{folder} holds no picture ({' '.join(SUFFIXES)})")
    height, width, channels = shape
    pixels, folders, unread = [], [], []
    for i in np.random.default_rng(seed).permutation(len(found)):
        path = found[i]
        try:
            pixels.append(frame(read(path, channels, LONGEST), height, width))
        except InputError as error:
            unread.append(str(error))
            continue
        parts = path.relative_to(folder).parts
        folders.append(parts[0] if len(parts) > 1 else "")
        if len(pixels) == count:
            break
    if not pixels:
        raise InputError(f"none of the {len(found)} pictures in {folder} can be read: {unread[0]}")
    return Data(np.stack(pixels), folders, unread)


def read_labels(text: str | None) -> list[str] | None:
    """A file with a label a line, or labels with commas between them."""
    if text is None:
        return None
    return Path(text).read_text().splitlines() if Path(text).is_file() else comma_names(text)


def run(given: Source, options: Any) -> None:
    """The command."""
    start = time.monotonic()
    if options.data is None:
        raise InputError("ranges are chosen on pictures: --data FOLDER, of such as the network will see")
    files.check_output(options.out)
    torch.set_num_threads(1)  # sums in one order: the same bytes on every run
    module, names = load(given)
    shape = input_shape(names, options.size, options.gray)
    norm = normalization(names, options.mean, options.std)
    data = gather(options.data, shape, options.pictures + CHECK)
    held = max(len(data.pixels) - CHECK, min(options.pictures, len(data.pixels) // 2))
    labels = read_labels(options.labels)
    classes = [] if "" in data.folders else sorted(p.name for p in options.data.iterdir() if p.is_dir())
    classes = [name for name in classes if not name.startswith(".")]
    if {name.lower() for name in classes} <= SPLIT:
        classes = []
    name = options.name or given.path.stem.encode()[:31].decode(errors="ignore")
    chosen, rest = data.pixels[:held], data.pixels[held:]
    result = export(module, norm, name, chosen, rest, labels, classes, data.folders[held:], options.threshold)
    files.write_bytes(options.out, result.data)
    report(options.out, result, norm, len(data.pixels[:held]), data.unread, time.monotonic() - start)


def report(path: Path, result: Exported, norm: Normalization, chosen: int, unread: list[str], seconds: float) -> None:
    """What came of it, for people."""
    model, check = result.model, result.check
    shape, count = " x ".join(map(str, model.input_shape)), len(model.labels)
    shown = ", ".join(model.labels[:6]) + (", ..." if count > 6 else "")
    mean, std = (", ".join(f"{v:g}" for v in values) for values in norm)
    print(f"{path}: {len(model.ops)} operators, {shape} to {count} labels ({shown})")
    print(f"size            {len(result.data):,} bytes, {result.arena:,} bytes of RAM")
    print(f"input           (pixel / 255 - {mean}) / {std}; done in the network, frames are plain pixels")
    print(f"ranges          chosen on {chosen} pictures{f', {len(unread)} more unread: {unread[0]}' if unread else ''}")
    print(f"same answer     {check.same} of {check.pictures} other pictures ({check.same / check.pictures:.1%})")
    print(
        f"logits          at most {check.worst:.3f} apart, {check.mean:.3f} on average, {check.largest:.3g} the largest"
    )
    if check.right is not None and check.float_right is not None:
        print(f"right           {check.right} of {check.pictures}; in floating point {check.float_right}")
    print("engine          equals the integer reference")
    for note in result.notes:
        print(f"note            {note}")
    print(f"time            {seconds:.0f} s")
