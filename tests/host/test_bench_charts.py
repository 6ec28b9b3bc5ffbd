"""The charts of the benchmarks: they say what docs/benchmarks.json says."""

import json
import re
from pathlib import Path

import pytest
from load_tool import ROOT

from tools.bench import charts, mlperf

DOCS = ROOT / "docs"
FIGURES = json.loads((DOCS / "benchmarks.json").read_text())


def numbers(svg: str) -> list[float]:
    """Of the bars, in their order."""
    return [float(n) for n in re.findall(r">(\d+\.\d)</text>", svg)]


def test_peers_are_the_table(tmp_path: Path) -> None:
    peers = charts.peers(FIGURES["mlperf"])
    wanted = []
    for name, entry in mlperf.ENTRIES.items():
        made = FIGURES["mlperf"][name]
        wanted += [made["cycles"] / 1e6, made["flash_cycles"] / 1e6]
        wanted += [mlperf.CLOCK_HZ / rate / 1e6 for rate in entry.published]
    assert numbers(peers) == pytest.approx(wanted, abs=0.06)
    paths = charts.draw(FIGURES, tmp_path)
    assert [p.name for p in paths] == [charts.EARLIER, charts.PEERS]
    assert (tmp_path / charts.PEERS).read_text() == peers


def test_committed_charts_are_of_these_figures(tmp_path: Path) -> None:
    """To a tenth: `make bench-renew` draws them anew, and python -m tools.bench.charts without measuring."""
    charts.draw(FIGURES, tmp_path)
    for name in (charts.PEERS, charts.EARLIER):
        committed, now = ((folder / name).read_text() for folder in (DOCS, tmp_path))
        assert re.sub(r"[\d.,]+", "", committed) == re.sub(r"[\d.,]+", "", now), f"{name}: python -m tools.bench.charts"
        assert numbers(committed) == pytest.approx(numbers(now), rel=0.1)
        assert f"]({name})" in (DOCS / "benchmarks.md").read_text().replace("docs/", "")


def test_history_goes_to_now() -> None:
    history = json.loads((DOCS / charts.HISTORY).read_text())
    assert [p["date"] for p in history] == sorted(p["date"] for p in history)
    svg = charts.earlier(history, FIGURES)
    assert "22 Nov" in svg and ">now</text>" in svg
    assert len(re.findall(r'points="([^"]*)"', svg)[0].split()) == len(history) + 1
