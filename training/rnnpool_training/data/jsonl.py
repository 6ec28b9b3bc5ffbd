"""labels.jsonl: a JSON object a line, for each picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from .boxes import boxes, number, shown
from .lines import lines
from .sample import Record

NAME = "labels.jsonl"


def read(folder: Path) -> list[Record]:
    """A record a line. InputError with the line for what is none, and for a picture with two lines."""
    found: list[Record] = []
    seen: dict[str, str] = {}
    for line, where in lines(folder / NAME):
        record = _record(folder, line, where)
        if (before := seen.setdefault(record.name, where)) is not where:
            raise InputError(f"{where}: {record.name} is already in{before.rpartition(',')[2]}")
        found.append(record)
    return found


def _record(folder: Path, line: str, where: str) -> Record:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON: {error}") from None
    if not isinstance(values, dict) or not isinstance(values.get("file"), str) or "boxes" not in values:
        raise InputError(f"{where}: must be an object with file and boxes, is {line[:80]}")
    for key, kind, what in (("source", str, "a string"), ("complete", bool, "true or false")):
        if not isinstance(values.get(key, kind()), kind):
            raise InputError(f"{where}: {key} must be {what}, is {shown(values[key])}")
    label = values.get("label", -1)
    if "label" in values and (not isinstance(label, int) or isinstance(label, bool) or label < 0):
        raise InputError(f"{where}: label must be 0, 1, ..., is {shown(label)}")
    return Record(
        values["file"], folder / values["file"], where, boxes(values["boxes"], where), size=_size(values, where),
        source=values.get("source", ""), complete=values.get("complete", True), label=label,
        ignored=boxes(values.get("ignored", []), where),
    )  # fmt: skip


def _size(values: dict[str, Any], where: str) -> tuple[int, int] | None:
    width: Any = values.get("width")
    height: Any = values.get("height")
    if width is None and height is None:
        return None
    if not all(number(side) and side % 1 == 0 and side > 0 for side in (width, height)):
        raise InputError(f"{where}: width and height must be whole numbers of pixels, are {width!r} and {height!r}")
    return int(width), int(height)
