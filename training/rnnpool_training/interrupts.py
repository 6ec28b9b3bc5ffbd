"""Ctrl-C while a program's modules are imported: it ends at once and silently. Standard library only.

There is nothing to lose yet, and PyTorch's import, which takes seconds, would answer it with a traceback or abort.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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


def runs_as_program(package: str) -> bool:
    """Whether `python -m PACKAGE.SOMETHING` is about to run a module, and imports the package for it."""
    given = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
    return sys.argv[:1] == ["-m"] and given != [] and given[0].startswith(f"{package}.")
