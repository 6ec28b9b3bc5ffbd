"""Charts as SVG, and the page that shows how a training goes."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rnnpool_training import charts, progress

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_values() -> None:
    svg = charts.bars("A & <b>", {"one": {"ours": 10, "theirs": 40}, "two": {"theirs": 0}}, " M")
    bars = [e for e in ElementTree.fromstring(svg).iter(f"{SVG}rect") if e.get("height") == "14"]
    ours, theirs, least = [float(bar.get("width", 0)) for bar in bars]
    assert theirs == pytest.approx(4 * ours, rel=0.01) and least == 1
    assert {"A & <b>", "one", "two", "10.0 M", "40.0 M", "0.0 M"} <= {*texts(svg)}
    assert "prefers-color-scheme: dark" in svg


def test_lines_go_where_their_values_are() -> None:
    svg = charts.lines("Losses", {"loss": [(0, 4.0), (10, 2.0), (20, 1.0)], "box": [(0, 1.0)]}, "views")
    line, one = (e.get("points", "") for e in ElementTree.fromstring(svg).iter(f"{SVG}polyline"))
    (x0, y0), (x1, y1), (x2, y2) = (tuple(map(float, p.split(","))) for p in line.split())
    assert x0 < x1 < x2 and y0 < y1 < y2  # down is larger
    assert (y1 - y0) == pytest.approx(2 * (y2 - y1), rel=0.02)
    assert one.split() == [f"{x0:.1f},{y2:.1f}"]
    assert "views" in texts(svg) and "4" in texts(svg)
    assert "nothing yet" in charts.lines("Losses", {})
    assert charts.lines("flat", {"a": [(1, 0.5), (1, 0.5)]})  # no span to divide by
    assert "9 May" in texts(charts.lines("t", {"a": [(0, 1), (1, 2)]}, marks={0: "9 May", 1: "now"}))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.2, 0.85), (3, 3), (0, 1e6), (-2, 7)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    found = charts.ticks(low, high)
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)
    assert len(found) <= 7 and (high == low or len(found) >= 2)


def test_the_page_of_a_run(tmp_path: Path) -> None:
    lines = ["step,views,seconds,loss,box,norm,lr"]
    lines += [f"{i},{32 * i},{6 * i},{4 / i:.5f},{2 / i:.5f},1,0.01" for i in range(1, 1001)]
    (tmp_path / "log.csv").write_text("\n".join([*lines, "1001,3"]))  # the last one is being written
    page = progress.write(tmp_path, 0.25).read_text()
    assert "25.0 % of the budget, step 1,000, 32,000 views, 300 minutes to go" in page
    assert f'http-equiv="refresh" content="{progress.SECONDS}"' in page
    svg = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(svg) == 1 and {"loss", "box"} <= {*texts(svg[0])} and "norm" not in texts(svg[0])
    (tmp_path / "val.csv").write_text("step,views,elapsed,ap50\n500,16000,3000,0.5\n1000,32000,6000,\n")
    page = progress.write(tmp_path, 1.0).read_text()
    svg = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(svg) == 2 and "AP at IoU 0.5" in texts(svg[1])
    assert "refresh" not in page and "done in 100 minutes" in page
    (tmp_path / "val.csv").write_bytes(b"\xff\xfe")  # not of ours: the training goes on
    assert "Losses" in progress.write(tmp_path, 0.5).read_text()


def test_long_runs_stay_small() -> None:
    found = [{"views": str(i), "loss": str(i % 7)} for i in range(100_000)]
    line = progress.line(found, "loss")
    assert len(line) <= progress.POINTS and line[-1][1] == pytest.approx(3, abs=0.1)
