"""A model as a page: its graph, the arena and the work over time, the cycles of each operator. One HTML file.

What is drawn is what the engine does: the page runs the golden frame through it and notes which rows are made when.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blob import Model, Task, read
from .describe import attributes, parameter_bytes, region_name, shape_text
from .engine import Engine, FrameSize, Region
from .errors import InputError
from .reference import Format

BENCHMARKS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.json"
CLOCK = 168_000_000  # Hz
BOX, GAP = (250, 62), (30, 34)  # of an operator in the graph: width and height; pixels

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #f6f7f9; --card: #fff; --line: #9aa5b1; --soft: #5c6773; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --paper: #14181d; --card: #1d232a; --line: #5c6773; --soft: #9aa5b1; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
section { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; margin: 1rem 0; overflow-x: auto; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0 0 .4rem; } p { margin: .3rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; } dt { color: var(--soft); }
dd { margin: 0; } svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .small { font-size: 10.5px; fill: var(--soft); }
svg .edge { fill: none; stroke: var(--line); stroke-width: 1.6; } svg .card { fill: var(--paper); stroke-width: 2; }
svg .in { fill: #1c2430; } svg .axis { stroke: var(--line); stroke-width: 1; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
td, th { text-align: right; padding: .1rem .8rem .1rem 0; white-space: nowrap; } td.left, th.left { text-align: left; }
td.bar { width: 40%; text-align: left; } td.bar span { display: inline-block; height: .75rem; vertical-align: middle;
  margin-right: .5rem; min-width: 1px; }
"""


@dataclass
class Cycles:
    """Cycles of each operator on a Cortex-M4, and of all with what lies between them."""

    each: list[float]
    total: float
    counted: bool  # else from the same kinds of operators
    unknown: list[str]  # kinds without a figure, which count 0


def find_cycles(model: Model, engine: Engine, path: Path | None) -> Cycles:
    """The figures of this very model in a file of `rnnpool bench`, or an estimate from what is there.

    InputError if a file is given that does not have them.
    """
    known = _read_figures(path or BENCHMARKS)
    kinds = [op.kind.name.lower() for op in model.ops]
    infos = engine.ops()
    sums: dict[str, NDArray[np.float64]] = {}
    for figures in known:
        operators = [o for o in figures["operators"] if o["kind"] != "rest"]
        if [(o["kind"], o["macs"], o["arena"]) for o in operators] == [
            (kind, info.macs, info.arena) for kind, info in zip(kinds, infos, strict=True)
        ]:
            return Cycles([o["cycles"] for o in operators], figures["cycles"], True, [])
        for o in operators:
            sums[o["kind"]] = sums.get(o["kind"], np.zeros(2)) + np.array([o["cycles"], o["macs"]])
    if path is not None:
        raise InputError(f"{path} has no figures of this model: rnnpool bench --model NAME=FILE --json {path}")
    rates = {kind: cycles / macs for kind, (cycles, macs) in sums.items() if macs}
    each = [rates.get(kind, 0.0) * info.macs for kind, info in zip(kinds, infos, strict=True)]
    unknown = sorted({kind for kind in kinds if kind not in rates})
    return Cycles(each, sum(each), False, unknown)


def _read_figures(path: Path) -> list[dict[str, Any]]:
    # Of each model in it: "cycles" and "operators", as tools/bench writes them.
    try:
        return list(json.loads(path.read_text())["models"].values())
    except FileNotFoundError:
        if path == BENCHMARKS:  # no checkout
            return []
        raise
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InputError(f"{path} is no file of figures: rnnpool bench --json writes one") from None


def rows_over_time(engine: Engine) -> NDArray[np.int64]:
    """Rows that each operator has made behind each row of the golden frame: [rows of the frame, operators].

    The last line has what is made when the frame is complete.
    """
    frame = engine.golden_frame()
    height, width, channels = frame.shape
    format = Format.GRAY8 if channels == 1 else Format.RGB888
    run = engine.begin(width, height, format, taps=True)
    made = []
    for row in frame:
        run.push(row)
        made.append([len(rows) for rows in run.rows()])
    return np.array(made, np.int64)


def colour(index: int) -> str:
    """Of an operator; -1: of what is no operator's."""
    return "#868e96" if index < 0 else f"hsl({(index * 47 + 200) % 360} 60% 55%)"


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """A text of an SVG."""
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attribute}>{html.escape(words)}</text>'


def svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    """A picture."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{html.escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def places(model: Model) -> list[tuple[int, int]]:
    """Line and column of the frame and of each operator in the graph: a line further down than all that it reads."""
    depth = [0]
    for op in model.ops:
        depth.append(max(depth[tensor] for tensor in op.reads) + 1)
    taken: dict[int, int] = {}
    found = []
    for line in depth:
        found.append((line, taken.get(line, 0)))
        taken[line] = taken.get(line, 0) + 1
    return found


def graph(model: Model, engine: Engine) -> str:
    """The operators, with what they read."""
    where = places(model)
    lines, columns = (max(place[i] for place in where) + 1 for i in (0, 1))
    box = [(GAP[0] + column * (BOX[0] + GAP[0]), 10 + line * (BOX[1] + GAP[1])) for line, column in where]
    parts = []
    for i, op in enumerate(model.ops):
        x2, y2 = box[i + 1][0] + BOX[0] / 2, box[i + 1][1]
        for tensor in op.reads:
            x1, y1 = box[tensor][0] + BOX[0] / 2, box[tensor][1] + BOX[1]
            # Past a box that is between them: along the left side.
            bend = box[i + 1][0] - 22 if x1 == x2 and where[i + 1][0] - where[tensor][0] > 1 else (x1 + x2) / 2
            middle = (y1 + y2) / 2
            parts.append(
                f'<path class="edge" d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + 24:.0f} {bend:.0f} {y1 + 10:.0f} {bend:.0f} '
                f'{middle:.0f} S{x2:.0f} {y2 - 24:.0f} {x2:.0f} {y2:.0f}"/>'
            )
    shapes = [model.input_shape, *(info.shape for info in engine.ops())]
    for i, (x, y) in enumerate(box):
        name = "frame" if i == 0 else f"{i - 1} {model.ops[i - 1].kind.name.lower()}"
        said = attributes(model.ops[i - 1]) if i else "rows of pixels"
        cut = said if len(said) < 44 else said[:42] + "…"
        parts += [
            f'<g><title>{html.escape(f"{name}: {said}")}</title><rect class="card" x="{x}" y="{y}" width="{BOX[0]}" '
            f'height="{BOX[1]}" rx="7" stroke="{colour(i - 1)}"/>',
            text(x + 10, y + 18, name),
            text(x + BOX[0] - 10, y + 18, shape_text(shapes[i]), anchor="end"),
            text(x + 10, y + 36, cut, "small"),
            text(x + 10, y + 52, f"{parameter_bytes(model.ops[i - 1]):,} bytes of weights" if i else "", "small"),
            "</g>",
        ]
    return svg(GAP[0] + columns * (BOX[0] + GAP[0]), lines * (BOX[1] + GAP[1]), parts, "the graph")


def arena(model: Model, regions: list[Region], size: int, shares: NDArray[np.float64]) -> str:
    """What lies where: offsets upwards, time to the right. shares: of each segment, in the whole time."""
    width, height, left = 980, 460, 70
    edges = np.concatenate([[0], np.cumsum(shares)]) / max(float(shares.sum()), 1e-9) * (width - left)
    parts = []
    for region in regions:
        x, end = left + edges[region.first], left + edges[region.last + 1]
        tall = region.size / size * height
        y = height - (region.offset + region.size) / size * height
        name = region_name(model, region)
        parts.append(
            f'<g><title>{html.escape(f"{name}: {region.size:,} bytes at {region.offset:,}")}</title><rect x="{x:.1f}" '
            f'y="{y:.1f}" width="{max(end - x, 1):.1f}" height="{max(tall, 0.5):.1f}" fill="{colour(region.op)}" '
            'stroke="#1c2430" stroke-width=".5"/>'
        )
        if tall > 13 and end - x > 150:
            words = f"{name}, {region.size:,}"
            parts.append(text(x + 6, y + tall / 2 + 4, words[: int((end - x) / 6.5)], "in"))
        parts.append("</g>")
    for part in range(5):
        parts.append(
            text(
                left - 6, height - part / 4 * height + (10 if part == 4 else 0), f"{size * part // 4:,}", "small", "end"
            )
        )
    for segment, edge in enumerate(edges[:-1]):
        parts.append(
            text(
                left + edge + 2,
                height + 16,
                f"segment {segment}" if shares[segment] > 0.08 * shares.sum() else "",
                "small",
            )
        )
    return svg(width, height + 24, parts, "the arena over time")


def work_by_row(made: NDArray[np.int64], heights: Sequence[int], cycles: Cycles) -> NDArray[np.float64]:
    """Cycles [rows of the frame, operators] that each row of the frame brings: of the rows made then."""
    each = np.array([c / max(h, 1) for c, h in zip(cycles.each, heights, strict=True)])
    return np.asarray(np.diff(made, axis=0, prepend=0) * each, np.float64)


def work(cost: NDArray[np.float64], labels: Sequence[str]) -> str:
    """Cycles of work_by_row(), an operator above the other."""
    width, height, left = 980, 240, 70
    most = max(float(cost.sum(1).max()), 1.0)
    bar = (width - left) / len(cost)
    parts = []
    for i, label in enumerate(labels):
        foot, tall = height - cost[:, :i].sum(1) / most * height, cost[:, i] / most * height
        shape = "".join(
            f"M{left + y * bar:.2f} {foot[y]:.2f}h{bar:.2f}v{-tall[y]:.2f}h{-bar:.2f}z" for y in np.flatnonzero(tall)
        )
        parts.append(f'<path d="{shape}" fill="{colour(i)}"><title>{html.escape(label)}</title></path>')
    for part in range(5):
        parts.append(
            text(
                left - 6,
                height - part / 4 * height + (10 if part == 4 else 0),
                f"{most * part / 4e6:.2f} M",
                "small",
                "end",
            )
        )
    for y in range(0, len(cost), max(1, len(cost) // 8)):
        parts.append(text(left + y * bar, height + 16, f"row {y}", "small"))
    return svg(width, height + 24, parts, "cycles that each row of the frame brings")


def table(model: Model, engine: Engine, cycles: Cycles) -> Iterator[str]:
    """Operators with their cycles as bars."""
    titles = ("", "operator", "output", "weights", "multiply-adds", "arena", "cycles on a Cortex-M4")
    left = (0, 1, 6)
    heads = [f'<th class="{"left" if i in left else "number"}">{title}</th>' for i, title in enumerate(titles)]
    yield f"<table><tr>{''.join(heads)}</tr>"
    most = max([*cycles.each, 1])
    for i, (op, info) in enumerate(zip(model.ops, engine.ops(), strict=True)):
        numbers = (shape_text(info.shape), *(f"{n:,}" for n in (parameter_bytes(op), info.macs, info.arena)))
        unknown = op.kind.name.lower() in cycles.unknown
        said = "not counted" if unknown else f"{'' if cycles.counted else '≈ '}{cycles.each[i]:,.0f}"
        yield (
            f'<tr><td><svg width="12" height="12"><rect width="12" height="12" fill="{colour(i)}"/></svg></td>'
            f'<td class="left">{i} {op.kind.name.lower()}</td>'
            + "".join(f"<td>{number}</td>" for number in numbers)
            + f'<td class="bar"><span style="width:{70 * cycles.each[i] / most:.1f}%;background:{colour(i)}"></span>'
            + f"{said}</td></tr>"
        )
    yield "</table>"


def header(model: Model, blob: bytes, engine: Engine, frame: FrameSize | None, cycles: Cycles) -> Iterator[str]:
    """What belongs to the whole model."""
    how = (
        "counted in a cycle model without wait states"
        if cycles.counted
        else "estimated from the same kinds of operators"
    )
    if cycles.unknown:
        how = f"at least, since {', '.join(cycles.unknown)} is not counted; `rnnpool bench` counts"
    arena_of = f"frames of {frame[0]}x{frame[1]} {frame[2].name}" if frame else "frames of its own size"
    facts = {
        "Task": f"{model.task.name.lower()}: {', '.join(model.labels)}",
        "Input": f"{shape_text(model.input_shape)} (height x width x channels)",
        "Model": f"{len(blob):,} bytes",
        "Arena": f"{engine.arena_size(frame):,} bytes for {arena_of}",
        "Multiply-adds": f"{sum(info.macs for info in engine.ops()):,}",
        "Cortex-M4": f"{cycles.total / 1e6:.1f} M cycles, {cycles.total / CLOCK:.2f} s at 168 MHz ({how})",
        "Golden check": f"0x{model.golden_crc:08x}, "
        + ("right" if engine.golden_check() else "WRONG: the engine gives another"),
    }
    yield "<dl>" + "".join(f"<dt>{key}</dt><dd>{html.escape(value)}</dd>" for key, value in facts.items()) + "</dl>"


def document(blob: bytes, frame: FrameSize | None, bench: Path | None) -> str:
    """The page. BlobError or EngineError (both ValueErrors) for what is no model; see find_cycles."""
    model, engine = read(blob), Engine(blob)
    if model.task == Task.LAYER:
        raise InputError("a single operator has no graph to show: without --html its numbers are printed")
    cycles = find_cycles(model, engine, bench)
    infos = engine.ops()
    regions = engine.regions(frame)
    segments = max(region.last for region in regions) + 1
    shares = np.zeros(segments)
    segment = 0
    for op, cost in zip(model.ops, cycles.each, strict=True):
        shares[segment] += cost
        segment += op.materialize and segment + 1 < segments
    shares = np.maximum(shares, shares.sum() / 50) if shares.sum() else np.ones(segments)
    made = rows_over_time(engine)
    labels = [f"{i} {op.kind.name.lower()}" for i, op in enumerate(model.ops)]
    brought = work_by_row(made, [info.shape[0] for info in infos], cycles)
    most, where = float(brought.sum(1).max()), int(brought.sum(1).argmax())
    part = 100 * most / max(cycles.total, 1)
    name = html.escape(model.name)
    sections = {
        "": "\n".join(header(model, blob, engine, frame, cycles)),
        "Operators": "\n".join(table(model, engine, cycles)),
        "The arena over time": "<p>Offsets in bytes upwards; to the right the time, by the operators' cycles. A region "
        "is a ring of rows, a map that is kept whole, or working memory; regions of different segments overlap.</p>"
        + arena(model, regions, engine.arena_size(frame), shares),
        "Work over time": "<p>Cycles that each row of the frame makes possible, by the output rows of each operator. "
        f"Row {where} brings the most, {most / 1e6:.2f} M cycles, {part:.0f} % of all.</p>" + work(brought, labels),
        "Graph": graph(model, engine),
    }
    body = "\n".join(
        f"<section>{f'<h2>{title}</h2>' if title else ''}{content}</section>" for title, content in sections.items()
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{name}</title><style>{STYLE}</style></head><body><h1>{name}</h1>\n{body}\n</body></html>\n"
    )
