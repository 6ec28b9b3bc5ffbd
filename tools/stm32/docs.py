"""docs/stm32_memory.*: sizes of linked firmware (json), and what they mean for the shipped models (md, png)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from . import elf
from .budget import FRAME, NO_FLASH, NO_RAM, ROWS, SPARE_BYTES, START_BYTES, Budget, Span, measure
from .models import ROOT, Model
from .problem import FirmwareError

RECORD = ROOT / "docs" / "stm32_memory.json"
KIB = 1024
MEMORIES = {"flash": 0x08000000, "CCM": 0x10000000, "RAM": 0x20000000}  # of the STM32F4
SCALE = (192 * KIB, 2048 * KIB)  # of the picture's two parts, for an STM32F439
COLOURS = {"taken": "lightgray", "files": "khaki", "arena": "tab:orange", "frame": "skyblue", "free": "white"}
MEANING = {
    FRAME: "the arena and a whole frame of the model's own size fit",
    ROWS: "the arena fits, a whole frame beside it does not: rows are fed as they come (`begin`, `feed`, `result`)",
    NO_RAM: "the arena does not fit",
    NO_FLASH: "the model fits neither the flash for code nor a ROMFS partition",
}


def version(folder: Path) -> str:
    """MicroPython's version in a build folder. Raises FirmwareError if it has none."""
    header = folder / "genhdr" / "mpversion.h"
    found = re.search(r'MICROPY_GIT_TAG "(\S+)"', header.read_text()) if header.is_file() else None
    if found is None:
        raise FirmwareError(f"{header} tells no version: build with make BOARD=NAME firmware")
    return found.group(1)


def record(folders: list[Path], path: Path = RECORD) -> None:
    """Writes what the firmware in these build folders takes; what the file says of others stays."""
    data: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for folder in folders:
        budget = measure(elf.read(folder / "firmware.elf"))
        data[folder.name] = {"micropython": version(folder), "compiler": elf.compiler(), **budget.to_json()}
    path.write_text(json.dumps(dict(sorted(data.items())), indent=1) + "\n")


def read(path: Path = RECORD) -> dict[str, Budget]:
    """The budgets of the recorded firmware, by name."""
    skipped = ("micropython", "compiler")
    data = json.loads(path.read_text())
    return {
        name: Budget.from_json({key: value for key, value in entry.items() if key not in skipped})
        for name, entry in data.items()
    }


def made_with(path: Path = RECORD) -> list[str]:
    """Which MicroPython and compiler the recorded firmware was made with, one sentence each."""
    made: dict[tuple[str, str], list[str]] = {}
    for name, entry in json.loads(path.read_text()).items():
        made.setdefault((entry["micropython"], entry["compiler"]), []).append(name)
    if len(made) == 1:
        ((micropython, compiler),) = made
        return [f"MicroPython {micropython}, `{compiler}`"]
    return [f"{', '.join(names)}: MicroPython {tag}, `{compiler}`" for (tag, compiler), names in made.items()]


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    sides = ["---" if i == 0 else "--:" for i in range(len(titles))]
    return [f"| {' | '.join(cells)} |" for cells in [titles, sides, *rows]]


def _cell(budget: Budget, model: Model) -> str:
    verdict = budget.verdict(model)
    if verdict == NO_FLASH:
        return f"{verdict}, {model.size - max(budget.flash, budget.romfs):,} short"
    if verdict == NO_RAM:
        return f"{verdict}, {model.row + SPARE_BYTES - budget.heap_left(model):,} short"
    left = budget.heap_left(model) - (model.frame if verdict == FRAME else 0)
    return f"{verdict}, {left:,} left"


def _merged(spans: list[Span]) -> list[list[str]]:
    return [[span.name, f"`{span.start:#010x}`", f"{span.size:,}", f"{span.used:,}", span.what] for span in spans]


def document(firmware: dict[str, Budget], models: list[Model], made_with: list[str]) -> str:
    """docs/stm32_memory.md."""
    lines = ["# Memory of STM32 boards", ""]
    lines += ["Written by `make stm32-docs` from the sizes of linked firmware in `stm32_memory.json`; do not edit.", ""]
    lines += [f"{text}." for text in made_with]
    lines += ["", "![RAM and flash of the NUCLEO_F439ZI](stm32_memory.png)", "", "## Sizes, in bytes", ""]
    lines += ["Text is code and constants in flash, without models; flash left is what models can be linked into."]
    lines += ["BSS is all RAM that is taken from the start, without .data and the C stack of 16 KB.", ""]
    titles = ["firmware", "text", "data", "bss", "heap", "CCM for an arena", "flash left", "ROMFS"]
    rows = []
    for name, budget in firmware.items():
        numbers = [budget.text, budget.data, budget.bss, budget.heap, budget.arena, budget.flash, budget.romfs]
        rows.append([name, *(f"{number:,}" if number else "-" for number in numbers)])
    lines += _table(titles, rows)
    lines += ["", "## What fits", ""]
    lines += [f"- *{verdict}*: {text}" for verdict, text in MEANING.items()]
    lines += ["", f"*Left* is what remains of the heap then, after the collector's tables and {START_BYTES:,} bytes"]
    lines += ["for what MicroPython and a script have made by the time. A verdict wants"]
    lines += [f"{SPARE_BYTES:,} bytes of it.", ""]
    titles = ["", *(model.name for model in models)]
    rows = [["model, bytes", *(f"{model.size:,}" for model in models)]]
    rows += [["arena, bytes", *(f"{model.arena:,}" for model in models)]]
    rows += [["a whole frame, bytes", *(f"{model.frame:,}" for model in models)]]
    rows += [[name, *(_cell(budget, model) for model in models)] for name, budget in firmware.items()]
    lines += _table(titles, rows)
    for name, budget in firmware.items():
        lines += ["", f"## {name}", ""]
        lines += _table(["region", "address", "bytes", "used", ""], _merged(budget.spans))
    return "\n".join(lines) + "\n"


def _pieces(span: Span, budget: Budget, model: Model) -> list[tuple[str, int, str]]:
    """What lies in a span, from its start: text, bytes, colour."""
    if span.what == "heap":
        pieces = [("start", span.size - budget.usable_heap, COLOURS["taken"])]
        left = budget.usable_heap
        wanted = (
            [("frame", model.frame)]
            if model.arena <= budget.arena
            else [("arena", model.arena), ("frame", model.frame)]
        )
        for what, size in wanted:
            if size <= left:
                pieces.append((f"{model.name}: {what}", size, COLOURS[what]))
                left -= size
        return [*pieces, ("free heap", left, COLOURS["free"])]
    if span.what == "arena of a model":
        used = model.arena if model.arena <= span.size else 0
        return [(f"{model.name}: arena", used, COLOURS["arena"]), ("for an arena", span.size - used, COLOURS["free"])]
    if span.used:
        kind = "files" if "file system" in span.what else "taken"
        text = {"file system's write cache": "file cache", "file system": "files"}.get(span.what, span.what)
        return [(text, span.used, COLOURS[kind]), ("free", span.free, COLOURS["free"])]
    return [(span.what, span.size, COLOURS["free"])]


def draw(firmware: dict[str, Budget], model: Model, path: Path) -> None:
    """One bar for each memory of each firmware, true to scale, with an arena and a frame of `model` in the heap."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 1, figsize=(11, 2 + 0.9 * 3 * len(firmware)), height_ratios=[2, 1])
    for axis, memories in zip(axes, (("RAM", "CCM"), ("flash",)), strict=True):
        names = [(name, memory) for name in firmware for memory in memories]
        for row, (name, memory) in enumerate(names):
            budget = firmware[name]
            base = MEMORIES[memory]
            for span in budget.spans:
                if span.start >> 24 != base >> 24:
                    continue
                at = span.start - base
                for text, size, colour in _pieces(span, budget, model):
                    bar = axis.barh(row, size / KIB, left=at / KIB, color=colour, edgecolor="black", linewidth=0.5)
                    at += size
                    if size > 0.045 * SCALE[axis is axes[1]]:
                        axis.bar_label(bar, [f"{text}\n{size / KIB:.0f} KB"], label_type="center", fontsize=6.5)
        axis.set_yticks(range(len(names)), [f"{name}\n{memory}" for name, memory in names], fontsize=8)
        axis.set_xlim(0, SCALE[axis is axes[1]] / KIB)
        axis.invert_yaxis()
        axis.set_xlabel("KB")
    axes[0].set_title(f"{model.name}, whole frame of {model.frame:,} bytes, where it fits", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
