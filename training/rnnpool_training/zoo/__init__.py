"""The networks of the RNNPool paper by name: `build("mobilenetv2-rnnpool")` (docs/zoo.md has the table)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from torch import nn

from ..errors import InputError
from .entry import Entry
from .networks import ENTRIES

__all__ = ["ENTRIES", "Entry", "build", "entry", "names"]


def names() -> list[str]:
    """All names, in the table's order."""
    return list(ENTRIES)


def entry(name: str) -> Entry:
    """What is known of a network. InputError for a name that there isn't."""
    if name not in ENTRIES:
        near = get_close_matches(name, ENTRIES, 3, 0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the {len(ENTRIES)} names: {', '.join(ENTRIES)}"
        raise InputError(f"the zoo has no network {name!r}: {hint}")
    return ENTRIES[name]


def build(name: str, **changes: Any) -> nn.Module:
    """A network with random weights, in training mode. InputError for a name that there isn't.

    changes: arguments of its constructor in the place of the zoo's own, such as classes=1000. Input: (N, C, H, W), RGB
    or gray, of which `entry(name).shape` is the paper's size; as torchvision's transforms give it, normalized.
    """
    return entry(name).make(**changes)
