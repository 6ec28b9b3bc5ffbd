"""Draws the charts of docs/benchmarks.md from docs/benchmarks.json: python -m tools.bench.charts (measures nothing).

Beside others: MLPerf Tiny's models, ours and the published records of the same core. Beside ourselves: what the
built-in models took earlier, from docs/benchmarks_history.json; --history reads that anew from git.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rnnpool_training import charts
from rnnpool_training.files import write_text

from . import mlperf

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FIGURES, HISTORY = "benchmarks.json", "benchmarks_history.json"
PEERS, EARLIER = "benchmarks_peers.svg", "benchmarks_history.svg"
STEP = 0.01  # a change of fewer cycles than this share is no point of the history
Json = dict[str, Any]


def peers(found: dict[str, dict[str, int]]) -> str:
    """MLPerf Tiny's models: millions of cycles, ours and published."""
    groups = {}
    for name, entry in mlperf.ENTRIES.items():
        made = found[name]
        values = {
            "rnnpool": made["cycles"] / 1e6,
            "rnnpool, slow flash": made["flash_cycles"] / 1e6,
        }
        values |= {
            who: mlperf.CLOCK_HZ / rate / 1e6 for who, rate in zip(mlperf.PUBLISHED, entry.published, strict=True)
        }
        groups[entry.title.partition(",")[0]] = values
    return charts.bars("MLPerf Tiny on a Cortex-M4: million cycles an inference (fewer is better)", groups)


def earlier(history: Sequence[Json], now: Json) -> str:
    """Cycles of the built-in models, from the first figures to those of now."""
    points = [*history, {"date": "now", **{name: model["cycles"] for name, model in now["models"].items()}}]
    series = {
        f"{name}, million cycles": [(float(i), p[name] / 1e6) for i, p in enumerate(points) if name in p]
        for name in now["models"]
    }
    marks = {float(i): short(p["date"]) for i, p in enumerate(points)}
    return charts.lines("A frame on a Cortex-M4, from version to version", series, "", marks)


def short(day: str) -> str:
    """22 Nov, of 2026-11-22."""
    return day if day == "now" else f"{date.fromisoformat(day):%-d %b}"


def read_history() -> list[Json]:
    """Date and cycles by model of each change of the committed figures, from git."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    points: list[Json] = []
    for line in git("log", "--reverse", "--format=%h %as", "--", f"docs/{FIGURES}").splitlines():
        commit, day = line.split()
        models = json.loads(git("show", f"{commit}:docs/{FIGURES}"))["models"]
        cycles = {name: model["cycles"] for name, model in models.items()}
        before = points[-1] if points else {}
        if any(abs(value / before.get(name, 1) - 1) > STEP for name, value in cycles.items()):
            points.append({"date": day, **cycles})
    return points


def draw(data: Json, folder: Path = DOCS) -> list[Path]:
    """Writes the charts of these figures (docs/benchmarks.json's) into a folder; gives their paths."""
    history = json.loads((DOCS / HISTORY).read_text())
    made = {EARLIER: earlier(history, data)} | ({PEERS: peers(data["mlperf"])} if "mlperf" in data else {})
    for name, svg in made.items():
        write_text(folder / name, svg)
    return [folder / name for name in made]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.charts", description=__doc__)
    parser.add_argument("--history", action="store_true", help=f"renew docs/{HISTORY} from git first")
    options = parser.parse_args(arguments)
    if options.history:
        text = ",\n  ".join(json.dumps(point) for point in read_history())
        write_text(DOCS / HISTORY, f"[\n  {text}\n]\n")
    for path in draw(json.loads((DOCS / FIGURES).read_text())):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
