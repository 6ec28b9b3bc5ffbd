"""A firmware's memory as text for a terminal, and whether it keeps the limits of ports/stm32/limits.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from .budget import FRAME, NO_FLASH, NO_RAM, ROWS, SPARE_BYTES, START_BYTES, Budget
from .models import Model
from .problem import FirmwareError

LIMITS = Path(__file__).resolve().parents[2] / "ports" / "stm32" / "limits.toml"
ORDER = [NO_FLASH, NO_RAM, ROWS, FRAME]


@dataclass(frozen=True)
class Limits:
    """What a firmware must keep: at most so much text, at least so much heap, and how each model must fit."""

    text: int | None
    heap: int | None
    models: dict[str, str]


def read_limits(name: str, path: Path = LIMITS) -> Limits:
    """The limits of a board, named as its build folder (BOARD or BOARD-VARIANT); none if the file has none."""
    entry = tomllib.loads(path.read_text()).get(name, {})
    limits = Limits(entry.get("text"), entry.get("heap"), entry.get("models", {}))
    unknown = sorted(set(entry) - {"text", "heap", "models"})
    if unknown or not all(verdict in ORDER for verdict in limits.models.values()):
        raise FirmwareError(f"{path}: {name} has {unknown or limits.models}; a model's limit is one of {ORDER}")
    return limits


def broken(budget: Budget, models: list[Model], linked: list[str], limits: Limits) -> list[str]:
    """One sentence for each limit that a firmware does not keep.

    Beside the limits of its board: a model that is linked in must find memory for its arena when a script begins.
    """
    found = []
    if limits.text is not None and budget.text > limits.text:
        found.append(f"text: {budget.text:,} bytes without models, the limit is {limits.text:,}")
    if limits.heap is not None and budget.heap < limits.heap:
        found.append(f"heap: {budget.heap:,} bytes, the limit is {limits.heap:,}")
    known = {model.name: model for model in models}
    wanted = {**dict.fromkeys(linked, ROWS), **limits.models}
    for name, least in wanted.items():
        if name not in known:
            found.append(f"{name}: there is no such model to check")
            continue
        model = known[name]
        verdict = budget.verdict(model)
        if ORDER.index(verdict) >= ORDER.index(least):
            continue
        if verdict == NO_FLASH:
            left = max(budget.flash, budget.romfs)
            found.append(f"{name}: {model.size:,} bytes do not fit the flash, which has {left:,} left")
            continue
        need, what = (model.arena, "arena") if least == ROWS else (model.arena + model.frame, "arena and a frame")
        found.append(
            f"{name}: its {what} of {need:,} bytes can not be allocated at boot with {SPARE_BYTES:,} to spare: the "
            f"heap has {budget.usable_heap:,} for a script, the board's own arena {budget.arena:,}"
        )
    return found


def lines(name: str, budget: Budget, models: list[Model]) -> list[str]:
    """The memory map, the sums, and what fits."""
    out = [f"{name}: text {budget.text:,}, models {budget.models:,}, data {budget.data:,}, bss {budget.bss:,}, "]
    out[0] += f"heap {budget.heap:,}" + (f", arena {budget.arena:,}" if budget.arena else "")
    rows = [["region", "address", "bytes", "used", "free", ""]]
    for span in budget.spans:
        rows.append([span.name, f"{span.start:#010x}", f"{span.size:,}", f"{span.used:,}", f"{span.free:,}", span.what])
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    for row in rows:
        cells = [
            cell.ljust(width) if i in (0, 5) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        out.append("  " + "  ".join(cells).rstrip())
    tables = f"the collector's tables and {START_BYTES:,} for its start"
    out.append(f"  Of the heap a script has {budget.usable_heap:,} bytes, after {tables}.")
    for model in models:
        where = "the board's memory" if model.arena <= budget.arena else "the heap"
        verdict = budget.verdict(model)
        text = f"  {model.name}: {verdict}; arena of {model.arena:,} bytes in {where}"
        if verdict in (FRAME, ROWS):
            left = budget.heap_left(model) - (model.frame if verdict == FRAME else 0)
            text += f", then {left:,} of the heap are left" + (
                f" beside a frame of {model.frame:,}" if verdict == FRAME else ""
            )
        out.append(text)
    return out
