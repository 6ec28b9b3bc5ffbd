"""What all command lines share: a sentence instead of a traceback for mistakes, and numbers within their limits."""

from __future__ import annotations

import argparse
import functools
import io
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from . import interrupts
from .blob import BlobError, layout
from .errors import InputError, printable, sentence
from .files import read_lines

MISTAKE = 2  # exit status: argparse's own


def command(main: Callable[[list[str] | None], None]) -> Callable[..., None]:
    """Decorates the entry point of a command line: one sentence on stderr, and an exit status that is not 0.

    For what a user can get wrong (InputError, BlobError) and what a computer can refuse (OSError, MemoryError), and for
    Ctrl-C. All else is a fault of ours and keeps its traceback. What the terminal or a file can't take of a name is
    written with escapes.
    """

    @functools.wraps(main)
    def run(arguments: list[str] | None = None) -> None:
        interrupts.as_usual()
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            main(arguments)
        except (InputError, BlobError, OSError) as error:
            print(f"{interrupts.program(main)}: {sentence(error)}", file=sys.stderr)
            raise SystemExit(MISTAKE) from None
        except MemoryError as error:
            print(f"{interrupts.program(main)}: not enough memory: {str(error) or 'none is left'}", file=sys.stderr)
            raise SystemExit(MISTAKE) from None
        except KeyboardInterrupt as stop:
            print(f"{interrupts.program(main)}: {str(stop) or 'interrupted'}", file=sys.stderr)
            raise SystemExit(interrupts.STATUS) from None

    return run


def program(module: str) -> str:
    """How a command line is called, for its usage: by the one command `rnnpool` (cli.py), or as a module."""
    return sys.argv[0] if interrupts.by_cli() else f"python -m {module}"


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """A type for argparse: whole numbers from low to high, both included."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}") from None
        if value < low or (high is not None and value > high):
            limits = f"{low} or more" if high is None else f"{low} to {high}"
            raise argparse.ArgumentTypeError(f"must be {limits}, not {value}")
        return value

    return convert


def real(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """A type for argparse: finite numbers from low to high; `above`: more than low."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None
        if not math.isfinite(value) or value < low or value > high or (above and value == low):
            least = f"more than {low:g}" if above else f"{low:g} or more"
            limits = least if math.isinf(high) else f"{least} and at most {high:g}"
            raise argparse.ArgumentTypeError(f"must be {limits}, not {text}")
        return value

    return convert


def labels(text: str) -> list[str]:
    """A type for argparse: a file with a label a line, or labels with commas between them. No two are alike."""
    # os.path: a list of labels may be longer than any name of a file, at which Path raises.
    is_path = "," not in text and ("/" in text or bool(Path(text).suffix) or os.path.exists(text))
    try:
        found = read_lines(text) if is_path or os.path.isfile(text) else names(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(sentence(error)) from None
    for i, label in enumerate(found):
        if not label.strip() or label in found[:i]:
            what = f"is {label!r} again" if label.strip() else "is empty"
            raise argparse.ArgumentTypeError(f"label {i + 1} of {text} {what}: each has a name of its own")
    size = sum(len(label.encode()) + 1 for label in found)
    if len(found) > layout.MAX_LABELS or size > layout.MAX_LABELS_SIZE:
        limits = f"{layout.MAX_LABELS}, of {layout.MAX_LABELS_SIZE:,} bytes"
        raise argparse.ArgumentTypeError(f"{len(found)} labels of {size:,} bytes in all, a blob holds up to {limits}")
    return found


def model_name(text: str) -> str:
    """A type for argparse: the name of a model in its blob."""
    size, most = len(text.encode(errors="surrogateescape")), layout.NAME_SIZE - 1
    if not 1 <= size <= most or not text.isprintable():
        raise argparse.ArgumentTypeError(f"must be 1 to {most} bytes of text, not {text!r} ({size} bytes)")
    return text


def name_of(text: str) -> str:
    """As much of a file's name as that of a model holds."""
    return printable(text).encode()[: layout.NAME_SIZE - 1].decode(errors="ignore") or "model"


def names(text: str) -> list[str]:
    """A type for argparse: names with commas between them."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"must be names with commas between them, not {text!r}")
    return found
