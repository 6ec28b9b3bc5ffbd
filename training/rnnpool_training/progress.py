"""How a training goes, while it goes: OUT/progress.html, which a browser reloads by itself."""

from __future__ import annotations

import contextlib
import csv
import html
import math
from pathlib import Path

from . import charts
from .errors import InputError
from .files import write_text

SECONDS = 10  # between two pages, and between two looks of the browser
POINTS = 400  # of a line: the mean of so many stretches of the run
NOT_LOSSES = ("step", "views", "seconds", "norm", "lr", "right")
MEASURES = {
    "ap50": "AP at IoU 0.5",
    "ap50_complete": "AP, completely labelled",
    "accuracy": "accuracy",
    "auc": "AUC",
}  # of val.csv
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
{reload}<title>{name}</title>
<style>:root {{ color-scheme: light dark; }}
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 800px; margin: 1rem auto; padding: 0 1rem; }}
  svg {{ max-width: 100%; height: auto; margin: .5rem 0; }}</style></head>
<body><h1>{name}</h1><p>{says}</p>
{charts}</body></html>
"""


def rows(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """The lines of a log, the last one left out if it was cut off. InputError if it is none."""
    try:
        found = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    except FileNotFoundError:
        raise InputError(f"{path} is not there: give the folder of a run (--out of the training)") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no log of a training: {error}") from None
    found = [r for r in found if None not in r and None not in r.values()]
    if not found or any(name not in found[0] for name in needed):
        raise InputError(f"{path} holds no line of a training yet")
    try:
        for row in found:
            for value in row.values():
                float(value or "nan")
    except ValueError as error:
        raise InputError(f"{path} is no log of a training: {error}") from None
    return found


def line(found: list[dict[str, str]], name: str) -> list[tuple[float, float]]:
    """(views, value) of a column, at most POINTS of them: means of neighbours. What is no number is left out."""
    points = [(float(r["views"]), float(r[name] or "nan")) for r in found]
    points = [p for p in points if math.isfinite(p[1])]
    many = math.ceil(len(points) / POINTS) or 1
    parts = [points[i : i + many] for i in range(0, len(points), many)]
    return [(sum(x for x, _ in p) / len(p), sum(y for _, y in p) / len(p)) for p in parts]


def write(folder: Path, done: float) -> Path:
    """Writes the page of a run's folder. done: the part of the budget that is spent, 0..1; at 1 it reloads no more."""
    log = rows(folder / "log.csv", ("views", "loss"))
    losses = {name: line(log, name) for name in log[0] if name not in NOT_LOSSES}
    drawn = [charts.lines("Losses", losses, "views")]
    with contextlib.suppress(InputError):  # none yet, or not of ours: no reason to end a training
        val = rows(folder / "val.csv", ("views",))
        measured = {label: line(val, name) for name, label in MEASURES.items() if name in val[0]}
        drawn.append(charts.lines("On the validation pictures", measured, "views"))
    last = log[-1]
    says = f"{100 * done:.1f} % of the budget, step {int(last['step']):,}, {int(last['views']):,} views"
    if done < 1:
        left = float(last["seconds"]) * (1 - done) / done if done > 0 else math.nan
        says += f", {left / 60:.0f} minutes to go" if math.isfinite(left) else ""
    else:
        says += f", done in {float(last['seconds']) / 60:.0f} minutes"
    text = PAGE.format(
        reload=f'<meta http-equiv="refresh" content="{SECONDS}">' if done < 1 else "",
        name=html.escape(folder.resolve().name),
        says=says,
        charts="\n".join(drawn),
    )
    write_text(folder / "progress.html", text)
    return folder / "progress.html"
