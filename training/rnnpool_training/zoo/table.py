"""The zoo's table: what each network costs beside the paper's numbers. `rnnpool zoo`, docs/zoo.md, docs/zoo.json."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import files
from ..command import command, program
from ..errors import InputError
from . import ENTRIES, Entry, entry
from .measure import cost
from .page import ENGINE, HEAD, NOTES

DOCS = Path(__file__).resolve().parents[3] / "docs"
NUMBERS, PAGE = DOCS / "zoo.json", DOCS / "zoo.md"
Costs = dict[str, dict[str, int]]
CYCLES = 0.01  # that they may differ from what is stored


def measured(chosen: Iterable[Entry] | None = None) -> Costs:
    """The costs of networks (None: of all), computed anew."""
    return {e.name: asdict(cost(e)) for e in (ENTRIES.values() if chosen is None else chosen)}


def stored() -> Any:
    """What docs/zoo.json holds. InputError outside of a checkout."""
    if not NUMBERS.exists():
        raise InputError(f"{NUMBERS} is not there: this works in a checkout of the repository")
    return json.loads(NUMBERS.read_text())


def _size(ram: int) -> str:
    return f"{ram / 2**20:.2f} MB" if ram >= 2**18 or not ram else f"{ram / 2**10:.1f} KB"


def _millions(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _ratio(own: float, paper: float | None) -> str:
    return "" if paper is None else f"{own / paper:.3f}"


def rows(costs: Costs) -> list[list[str]]:
    """Cells of the table, by network."""
    found = []
    for name, c in costs.items():
        e = ENTRIES[name]
        paper = e.paper
        shared = (c["convolutions"] + c["shared"]) / 1e6
        by_patch = (c["convolutions"] + c["by_patch"]) / 1e6
        cells = [f"`{name}`", "x".join(map(str, (*e.shape[1:], e.shape[0])))]
        cells += [f"{c['parameters']:,}", f"{c['normalized']:,}"]
        cells += ["" if paper is None or paper.parameters is None else f"{paper.parameters:g} M"]
        cells += [_ratio(c["parameters"] / 1e6, paper.parameters if paper else None)]
        cells += [_millions(c["convolutions"] / 1e6), _millions(shared), _millions(by_patch)]
        cells += ["" if paper is None or paper.madds is None else f"{paper.madds:g}"]
        cells += [_ratio(shared, paper.madds if paper else None)]
        cells += [
            _size(c["ram"]),
            paper.ram if paper else "",
            paper.accuracy if paper else "",
            paper.where if paper else "",
        ]
        found.append(cells)
    return found


TITLES = (
    "network", "input", "parameters", "with norm.", "paper", "ratio", "conv, M", "shared, M", "by patch, M", "paper, M",
    "ratio", "RAM", "paper", "accuracy", "where",
)  # fmt: skip


def markdown(costs: Costs) -> str:
    """Tables, one a family."""
    lines = []
    cells = dict(zip(costs, rows(costs), strict=True))
    for family in dict.fromkeys(ENTRIES[name].family for name in costs):
        lines += ["", f"### {family}", "", f"| {' | '.join(TITLES)} |"]
        lines.append(f"|{'|'.join('---' if t in ('network', 'input', 'where') else '--:' for t in TITLES)}|")
        lines += [f"| {' | '.join(row)} |" for name, row in cells.items() if ENTRIES[name].family == family]
    return "\n".join(lines)


def page(numbers: Any) -> str:
    """docs/zoo.md, of what docs/zoo.json holds."""
    return (
        f"{HEAD}\n## The table\n{markdown(numbers['networks'])}\n{NOTES}{ENGINE}\n{engine_table(numbers['engine'])}\n"
    )


def engine_table(sizes: Costs) -> str:
    """Rows of the networks in the engine."""
    lines = ["| network | operators | blob | arena | cycles, M |", "|---|--:|--:|--:|--:|"]
    for title, s in sizes.items():
        counted = f"{s['cycles'] / 1e6:.2f}" if "cycles" in s else ""
        lines.append(f"| {title} | {s['operators']} | {s['blob']:,} | {s['arena']:,} | {counted} |")
    return "\n".join(lines)


def _columns(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)


def differences(fresh: Any, old: Any) -> list[str]:
    """What differs from the stored numbers, a sentence each."""
    found = [f"{name}: not in {NUMBERS.name}" for name in fresh if name not in old]
    found += [f"{name}: no longer in the zoo" for name in old if name not in fresh]
    for name in (n for n in fresh if n in old):
        found += [
            f"{name}: {k} {v:,}, stored {old[name].get(k)}"
            for k, v in fresh[name].items()
            if not _agree(k, v, old[name].get(k))
        ]
    return found


def _agree(what: str, fresh: int, stored: int | None) -> bool:
    # Cycles change with any kernel: as `make bench-check` holds them.
    return stored == fresh or (what == "cycles" and stored is not None and abs(fresh - stored) <= CYCLES * stored)


def engine(names: list[str], check: bool, write: bool, out: Path | None, counted: bool = False) -> None:
    """Runs networks in the engine; compares their sizes with the stored ones, stores them, or writes the blobs.

    counted: cycles on a Cortex-M4, too.
    """
    from .engine import ROWS, cycles, run, sizes

    wrong_names = [n for n in names if n not in ROWS]
    if wrong_names:
        raise InputError(f"the engine has no row {wrong_names[0]!r}: there are {', '.join(ROWS)}")
    if out:
        files.make_folder(out)
    found = {}
    for title in names or ROWS:
        exported = run(ROWS[title])
        found[title] = sizes(exported)
        if counted:
            found[title]["cycles"] = cycles(exported, DOCS.parent / "build" / "zoo")
        if out:
            name = title.replace(", ", "-").replace(" ", "-")
            files.write_bytes(out / f"{name}.rnnp", exported.data)
        print(f"{title}: " + ", ".join(f"{value:,} {what}" for what, value in found[title].items()), flush=True)
    numbers = stored()
    if write:
        whole = {t: {**numbers["engine"].get(t, {}), **found.get(t, {})} for t in ROWS}
        numbers["engine"] = {title: row for title, row in whole.items() if row}
        files.write_text(NUMBERS, json.dumps(numbers, indent=1) + "\n")
        files.write_text(PAGE, page(numbers))
    if check:
        wrong = differences(found, {t: s for t, s in numbers["engine"].items() if t in found})
        if wrong:
            raise InputError("; ".join(wrong))
        print(f"all {len(found)} as stored in {NUMBERS}")


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(
        prog=program("rnnpool_training.zoo.table"), description="The networks of the RNNPool paper, and what they cost."
    )
    p.add_argument("names", nargs="*", metavar="NAME", help="only these networks")
    p.add_argument("--check", action="store_true", help="compute everything anew and compare it with docs/zoo.json")
    p.add_argument("--engine", action="store_true", help="export and run what the engine runs: minutes")
    p.add_argument("--cycles", action="store_true", help="with --engine: count cycles on a Cortex-M4, too")
    p.add_argument("-o", "--out", type=Path, help="with --engine: a folder for the blobs, of random weights")
    p.add_argument("--write", action="store_true", help="write docs/zoo.json and docs/zoo.md (with --engine: its part)")
    options = p.parse_args(arguments)
    if options.write and (options.check or (options.names and not options.engine)):
        raise InputError("--write goes with neither names nor --check")
    if (options.out or options.cycles) and not options.engine:
        raise InputError("--out and --cycles are of --engine")
    if options.engine:
        engine(options.names, options.check, options.write, options.out, options.cycles)
        return
    chosen = [entry(name) for name in options.names] or None
    if options.write:
        numbers = {"engine": {}, **(stored() if NUMBERS.exists() else {}), "networks": measured()}
        files.write_text(NUMBERS, json.dumps(numbers, indent=1) + "\n")
        files.write_text(PAGE, page(numbers))
        print(f"{len(numbers['networks'])} networks in {NUMBERS} and {PAGE}")
        return
    old = stored()["networks"] if options.check or (NUMBERS.exists() and not chosen) else {}
    costs = measured(chosen) if options.check or not old else old
    print(_columns([list(TITLES), *rows(costs)]))
    if options.check:
        wrong = differences(costs, {n: c for n, c in old.items() if chosen is None or n in costs})
        if wrong:
            raise InputError("; ".join(wrong))
        print(f"all {len(costs)} as stored in {NUMBERS}")


if __name__ == "__main__":
    main()
