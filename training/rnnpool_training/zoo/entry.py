"""What the zoo knows of a network: how to build it, its input, and what the paper prints of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn


@dataclass(frozen=True)
class Paper:
    """The paper's numbers: parameters and multiply-adds in millions, RAM in its own units, accuracy or MAP (easy,
    medium, hard) in per cent; where they stand."""

    where: str
    parameters: float | None = None
    madds: float | None = None
    ram: str = ""
    accuracy: str = ""


@dataclass(frozen=True)
class Entry:
    """A network of the zoo. shape: channels, height, width of its input; value: bytes of a map's value in the paper's
    RAM (4, or 1 where it speaks of bytes)."""

    name: str
    family: str
    make: Callable[..., nn.Module]
    shape: tuple[int, int, int]
    paper: Paper | None = None
    value: int = 4
    kind: Literal["classifier", "detector"] = "classifier"
