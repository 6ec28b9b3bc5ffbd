"""Charts as SVG, without a drawing library: bars in groups, and lines. Read as well on light as on dark.

Each picture brings its own ground and colours and follows the reader's setting (prefers-color-scheme), so it can stand
in a page, in a document on a forge, or by itself.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH = 760
LEFT, RIGHT = 170, 20  # of the drawing, pixels
HUES = 5  # colours that there are

STYLE = """
svg { font: 12px system-ui, sans-serif; } text { fill: #1c2430; } .ground { fill: #fff; } .grid { stroke: #d8dde4; }
.title { font-size: 15px; font-weight: 600; } .soft { fill: #5c6773; } .line { fill: none; stroke-width: 2; }
.c0 { fill: #0b7285; stroke: #0b7285; } .c1 { fill: #66b2c4; stroke: #66b2c4; } .c2 { fill: #e8590c; stroke: #e8590c; }
.c3 { fill: #868e96; stroke: #868e96; } .c4 { fill: #9c36b5; stroke: #9c36b5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eaef; } .ground { fill: #1d232a; } .grid { stroke: #343c46; } .soft { fill: #9aa5b1; }
  .c0 { fill: #3bc9db; stroke: #3bc9db; } .c1 { fill: #1f7a8c; stroke: #1f7a8c; }
  .c2 { fill: #ff922b; stroke: #ff922b; } .c3 { fill: #868e96; stroke: #868e96; }
  .c4 { fill: #da77f2; stroke: #da77f2; }
}
.line { fill: none; } .bar { stroke: none; }
"""


def _svg(title: str, height: float, parts: Sequence[str], width: float = WIDTH) -> str:
    name = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{name}">\n<style>{STYLE}</style>\n'
        f'<rect class="ground" width="{width:g}" height="{height:g}" rx="8"/>\n'
        f'<text class="title" x="16" y="26">{name}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _legend(names: Sequence[str], y: float) -> list[str]:
    parts, x = [], 16.0
    for i, name in enumerate(names):
        parts.append(f'<rect class="bar c{i % HUES}" x="{x:g}" y="{y - 9:g}" width="10" height="10" rx="2"/>')
        parts.append(f'<text x="{x + 15:g}" y="{y:g}">{html.escape(name)}</text>')
        x += 15 + 6.4 * len(name) + 14
    return parts


def bars(title: str, groups: Mapping[str, Mapping[str, float]], unit: str = "") -> str:
    """Horizontal bars: a group a name, in it a bar a series, all to one scale. Values: 0 or more."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    most = max((v for group in groups.values() for v in group.values()), default=0) or 1
    parts = _legend(names, 48)
    y = 66.0
    room = WIDTH - LEFT - RIGHT - 60
    for group, values in groups.items():
        middle = y + 9 * len(values)
        parts.append(f'<text x="{LEFT - 10}" y="{middle + 4:g}" text-anchor="end">{html.escape(group)}</text>')
        for name, value in values.items():
            long = max(1, room * value / most)
            parts.append(
                f'<rect class="bar c{names.index(name) % HUES}" x="{LEFT}" y="{y:g}" width="{long:.1f}" height="14"/>'
                f'<text x="{LEFT + long + 5:.1f}" y="{y + 11:g}">{value:.1f}{html.escape(unit)}</text>'
            )
            y += 18
        y += 12
    return _svg(title, y + 4, parts)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about so many."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= next(k for k in (1, 2, 5, 10) if span / (step * k) <= count)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


Points = Sequence[tuple[float, float]]


def lines(title: str, series: Mapping[str, Points], x_label: str = "", marks: Mapping[float, str] | None = None) -> str:
    """A line a series, of (x, y) with finite numbers; marks: names of places on the x axis instead of numbers."""
    points = [p for line in series.values() for p in line]
    if not points:
        return _svg(title, 60, ['<text class="soft" x="16" y="48">nothing yet</text>'])
    left, top, bottom, right = 64.0, 62.0, 260.0, WIDTH - 20.0
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0, y1 = min(y for _, y in points), max(y for _, y in points)
    y0 = 0.0 if 0 <= y0 < 0.6 * y1 else y0
    wide, high = (x1 - x0) or 1.0, (y1 - y0) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (right - left) * (x - x0) / wide, bottom - (bottom - top) * (y - y0) / high

    parts = _legend(list(series), 48)
    for value in ticks(y0, y1):
        _, y = place(x0, value)
        parts.append(f'<line class="grid" x1="{left:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="soft" x="{left - 8:g}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value, name in (marks or {v: f"{v:,.0f}" for v in ticks(x0, x1)}).items():
        x, _ = place(value, y0)
        parts.append(
            f'<text class="soft" x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle">{html.escape(name)}</text>'
        )
    parts.append(
        f'<text class="soft" x="{right:g}" y="{bottom + 36:g}" text-anchor="end">{html.escape(x_label)}</text>'
    )
    for i, (name, line) in enumerate(series.items()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in line))
        parts.append(
            f'<polyline class="line c{i % HUES}" points="{path}"><title>{html.escape(name)}</title></polyline>'
        )
        if line:
            x, y = place(*line[-1])
            parts.append(f'<circle class="bar c{i % HUES}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
            parts.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="end">{line[-1][1]:.4g}</text>')
    return _svg(title, bottom + 46, parts)
