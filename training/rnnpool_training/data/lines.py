"""Text files, line by line."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError


def lines(path: Path, blank: bool = False) -> list[tuple[str, str]]:
    """Each line that is not blank (`blank`: all), and where it is. InputError if the file is not UTF-8.

    A BOM is passed over. Lines end with a line feed alone: str.splitlines also ends them within strings, at U+2028 and
    others.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8: {error.reason}") from None
    return [(line, f"{path}, line {i}") for i, line in enumerate(text.split("\n"), 1) if blank or line.strip()]
