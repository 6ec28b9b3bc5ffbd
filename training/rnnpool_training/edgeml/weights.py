"""The tensors of a foreign PyTorch checkpoint, taken one by one, by name and shape, until none is left."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError

WRAPPERS = ("weight", "model", "state_dict")
MODULE = "module."  # of nn.DataParallel
CELL = ("W", "U", "bias_gate", "bias_update", "zeta", "nu")
# Under these names EdgeML's BaseRNN holds the same cell once more, and once more for the way back.
REPEATS = ("unrollRNN.RNNCell", "unrollRNN.RNNCell_reverse")
COUNTER = "num_batches_tracked"


class Weights:
    """A state dict that is read up: `take` gives a tensor and forgets it, `finish` refuses what nobody took."""

    def __init__(self, path: Path, tensors: dict[str, Tensor]) -> None:
        self.path = path
        self.tensors = dict(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor. InputError if it is not there."""
        if name not in self.tensors:
            raise InputError(f"{self.path} has no {name}; left are {self._held()}")
        return tuple(self.tensors[name].shape)

    def take(self, name: str, *shape: int) -> Tensor:
        """A tensor of this shape, float32. InputError if it is not there, of another shape, or not finite."""
        found = self.shape(name)
        if found != shape:
            raise InputError(f"{self.path}: {name} is {_text(found)}, {_text(shape)} is needed")
        value = self.tensors.pop(name).detach().float()
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{self.path}: {name} holds values that are not finite: its training had failed")
        return value

    def norm(self, name: str, channels: int, into: str) -> dict[str, Tensor]:
        """The four tensors of a batch normalization, named for a state dict."""
        self.tensors.pop(f"{name}.{COUNTER}", None)
        parts = ("weight", "bias", "running_mean", "running_var")
        return {f"{into}.{part}": self.take(f"{name}.{part}", channels) for part in parts}

    def cell(self, name: str, inputs: int, hidden: int, into: str) -> dict[str, Tensor]:
        """A FastGRNN cell, named as FastGRNNCell's state dict. InputError if its repetitions are not the same."""
        shapes = ((inputs, hidden), (hidden, hidden), (1, hidden), (1, hidden), (1, 1), (1, 1))
        result = {}
        for part, shape in zip(CELL, shapes, strict=True):
            value = self.take(f"{name}.cell.{part}", *shape)
            for repeat in REPEATS:
                again = f"{name}.{repeat}.{part}"
                if again in self.tensors and not torch.equal(self.take(again, *shape), value):
                    raise InputError(f"{self.path}: {again} is not {name}.cell.{part}, which one cell has as one")
            wanted = shape if part in ("W", "U") else () if part in ("zeta", "nu") else (hidden,)
            result[f"{into}.{part}"] = value.reshape(wanted)
        return result

    def finish(self) -> None:
        """InputError if a tensor is left: the network is another one."""
        if self.tensors:
            raise InputError(f"{self.path} is of another network: there is no place for {self._held()}")

    def _held(self) -> str:
        first = [f"{name} {_text(tuple(value.shape))}" for name, value in list(self.tensors.items())[:4]]
        more = len(self.tensors) - len(first)
        return (", ".join(first) or "nothing") + (f" and {more} more" if more else "")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def load(path: Path) -> Weights:
    """The tensors of a checkpoint: a state dict, bare or as `weight`, `model` or `state_dict` of a dictionary.

    Only tensors and plain values are read, never code. InputError if it holds anything else, or is none.
    """
    data = path.read_bytes()
    try:
        content: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds
        first = str(error).strip().split("\n")[0][:120]
        raise InputError(f"{path} can't be read as a PyTorch checkpoint of weights alone: {first}") from None
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        held = ", ".join(map(str, list(content)[:6])) if isinstance(content, dict) else type(content).__name__
        ways = ", ".join(WRAPPERS)
        raise InputError(f"{path} holds no state dict, tensors by name, bare or as {ways}, but {held or 'nothing'}")
    names = [str(name) for name in content]
    cut = len(MODULE) if all(name.startswith(MODULE) for name in names) else 0
    return Weights(path, {name[cut:]: value for name, value in zip(names, content.values(), strict=True)})
