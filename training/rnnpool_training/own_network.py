"""A network in a Python file, as export takes it: what the file must define, and what of it is read.

docs/own_network.md says it to users.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from .blob.layout import MAX_SIDE
from .command import name_of
from .command import names as comma_names
from .compile.fold import Normalization
from .compile.network import Network
from .compile.results import BACKGROUND, Boxes, read_anchors
from .errors import InputError

WEIGHTS = "a network of your own is FILE.py:NAME, a Python file that makes it and loads its weights"
ASK = (
    "what the network takes can't be seen in it: give --mean and --std of (pixel / 255 - mean) / std, the numbers it "
    "was trained with. --mean 0 --std 1: pixels / 255. --mean 0 --std 0.00392157: 0..255. "
    "--mean 0.5 --std 0.5: -1..1. "
    "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225: ImageNet's, of torchvision's models"
)


class Source(NamedTuple):
    """FILE.py:NAME."""

    path: Path
    name: str


def source(text: str) -> Source | None:
    """The file and the name in it, if that is what a text says. InputError if it is a network of another kind."""
    path, _, name = text.rpartition(":")
    if text.endswith(".py") or (path.endswith(".py") and not name):
        file = text.removesuffix(":")
        raise InputError(f"{file}: say which network in it, {file}:NAME, an nn.Module or what makes one")
    if text.endswith(".tflite"):
        raise InputError(f"{text}: rnnpool convert takes TFLite files, export takes PyTorch's modules")
    if text.endswith((".onnx", ".keras", ".h5", ".pb")):
        raise InputError(f"{text}: export takes PyTorch's modules; save it as an int8 .tflite for rnnpool convert")
    return Source(Path(path), name) if path.endswith(".py") else None


def module(given: Source) -> tuple[nn.Module, dict[str, Any]]:
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
    except (Exception, SystemExit) as error:  # whatever a script can do
        own_file = str(path.absolute())
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == own_file]
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
        if gray and example.shape[1] != 1:
            raise InputError(f"--gray is for a network of one channel, example_input has {example.shape[1]}")
        return int(example.shape[2]), int(example.shape[3]), int(example.shape[1])
    assert size is not None
    if max(size) > MAX_SIDE:
        raise InputError(f"--size {size[0]}x{size[1]}: a network's input has up to {MAX_SIDE} pixels a side")
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


def boxes(names: dict[str, Any], net: nn.Module, options: Any) -> Boxes | None:
    """What a detector's results are, from the command line, the file, or attributes of the network; None if nothing
    says so. InputError asks for what is missing."""
    given = {name: names.get(name, getattr(net, name, None)) for name in ("anchors", "variances")}
    if options.anchors is not None:
        given["anchors"] = options.anchors
    if options.variances is not None:
        given["variances"] = options.variances
    if given["anchors"] is None:
        return None
    anchors = read_anchors(given["anchors"])
    if given["variances"] is None:
        raise InputError(
            "a detector's variances can't be seen in it: give --variances CENTRE,SIDE, the factors of dx, dy and of "
            "dw, dh (SSD's are 0.1,0.2; 1,1 if there are none)"
        )
    try:
        centre, side = (float(v) for v in given["variances"])
    except (TypeError, ValueError):
        raise InputError(f"variances must be two numbers, of centre and side, is {given['variances']!r}") from None
    if not (0 < centre < 1000 and 0 < side < 1000):
        raise InputError(f"variances must be above 0 and below 1000, is {given['variances']!r}")
    background = options.background or names.get("background", getattr(net, "background", None))
    if background is not None and background not in BACKGROUND:
        raise InputError(f"background must be one of {', '.join(BACKGROUND)}, is {background!r}")
    return Boxes(anchors, (centre, side), options.iou, options.max_candidates, background)


def load(given: Source, options: Any) -> Network:
    """The network with all that the file and the command line say of it. InputError."""
    net, names = module(given)
    shape = input_shape(names, options.size, options.gray)
    norm = normalization(names, options.mean, options.std)
    kind = options.result
    found = boxes(names, net, options) if kind in (None, "boxes") else None
    said = [f"--{name}" for name in ("anchors", "variances", "background") if getattr(options, name) is not None]
    if said and found is None:
        needed = f"not of --result {kind}" if kind else "give --anchors, too"
        raise InputError(f"{', '.join(said)}: of detectors, {needed}")
    name = options.name or name_of(given.path.stem)
    return Network(net, shape, norm, name, options.labels, kind, found)
