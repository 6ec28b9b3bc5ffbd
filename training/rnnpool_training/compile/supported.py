"""What the front ends translate, as the table in docs/own_network.md: python -m rnnpool_training.compile.supported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import from_tflite, from_torch
from .from_torch.pointwise import pointwise


def _rows(table: Mapping[str, Callable[..., Any]]) -> list[str]:
    # A row a rule: the names that lead to it, and the first sentence about it.
    names: dict[Callable[..., Any], list[str]] = {}
    for name, rule in table.items():
        names.setdefault(rule, []).append(name)
    return [f"| {', '.join(f'`{name}`' for name in own)} | {_sentence(rule)} |" for rule, own in names.items()]


def _sentence(rule: Callable[..., Any]) -> str:
    return " ".join((rule.__doc__ or "").strip().split("\n\n")[0].split())


def table() -> str:
    """Markdown."""
    rules = {n: rule for n, rule in from_torch.TABLE.items() if rule is not pointwise}
    torch_rows = _rows({n: rule for n, rule in rules.items() if n[0] != "_"})
    instead = [f"| `{name}` | {what} |" for name, what in from_torch.INSTEAD.items() if "native" not in name]
    return "\n".join([
        "| PyTorch | what it is |", "|---|---|", *torch_rows,
        "| `add`, `sub`, `mul`, `div` | with numbers, with a constant a channel; sum and difference of two maps; "
        "product of a map and a vector of its channels |",
        "| all that works on each value alone | ReLU, ReLU6, hardtanh, clamp in the operator before it; others, "
        "however many steps they have, as a table of 256 values |",
        "", "| not supported | use instead |", "|---|---|", *instead,
        "", "| TFLite | what it is |", "|---|---|", *_rows(from_tflite.TABLE),
    ])  # fmt: skip


if __name__ == "__main__":
    print(table())
