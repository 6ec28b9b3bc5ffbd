"""Ctrl-C while a program imports its modules ends it at once, silently; later it is a sentence. Standard library only.

There is nothing to lose yet, and PyTorch's import, which takes seconds, would answer it with a traceback or abort.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec

STATUS = 128 + signal.SIGINT  # of a program that Ctrl-C ended

P = ParamSpec("P")


def _replace(handler: Any, other: Any) -> None:
    # Where Ctrl-C is ignored, or another program's, it stays so.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is handler:
        signal.signal(signal.SIGINT, other)


def end_silently() -> None:
    """From now on Ctrl-C ends the process."""
    _replace(signal.default_int_handler, signal.SIG_DFL)


def as_usual() -> None:
    """From now on it is a KeyboardInterrupt again."""
    _replace(signal.SIG_DFL, signal.default_int_handler)


@contextmanager
def silent() -> Iterator[None]:
    """The one, then the other."""
    end_silently()
    try:
        yield
    finally:
        as_usual()


def end_silently_before(main: str) -> None:
    """The same until the program's own module has defined a function of this name, which stands behind its imports."""

    def pressed(number: int, frame: FrameType | None) -> None:
        if hasattr(sys.modules["__main__"], main):
            signal.default_int_handler(number, frame)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    _replace(signal.default_int_handler, pressed)


def said(main: Callable[P, int]) -> Callable[P, int]:
    """Decorates main() of a program that returns its exit status: Ctrl-C is a sentence and the status 130."""

    @functools.wraps(main)
    def run(*arguments: P.args, **named: P.kwargs) -> int:
        try:
            return main(*arguments, **named)
        except KeyboardInterrupt:
            print(f"{program(main)}: interrupted", file=sys.stderr)
            return STATUS

    return run


def by_cli() -> bool:
    """Whether the one command `rnnpool` (cli.py) was typed, and a word behind it."""
    return Path(sys.argv[0].rpartition(" ")[0]).name == "rnnpool"


def program(main: Callable[..., Any]) -> str:
    """What a program says begins with: the word behind `rnnpool`; else the short name of the module of its main()."""
    if by_cli():
        return sys.argv[0].rpartition(" ")[2]
    spec = sys.modules[main.__module__].__spec__  # run with -m it calls itself __main__
    name = spec.name if spec else main.__module__
    return name.removesuffix(".__main__").rsplit(".", 1)[-1]


def runs_as_program(package: str) -> bool:
    """Whether `python -m PACKAGE.SOMETHING` is about to run a module, and imports the package for it."""
    given = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
    return sys.argv[:1] == ["-m"] and given != [] and given[0].startswith(f"{package}.")
