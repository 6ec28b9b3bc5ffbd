"""What went wrong, said to a person."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command() -> str:
    """How this program is called so that it can be pasted: as it was, or by this interpreter from this folder."""
    if Path(sys.argv[0].rpartition(" ")[0]).name == "rnnpool":  # by the one command (rnnpool_training.cli)
        return f"{sys.argv[0].rpartition(' ')[0]} board"  # also for `rnnpool stream`
    python = Path(sys.executable)
    if Path.cwd() == ROOT:
        return shlex.quote(str(python.relative_to(ROOT) if python.is_relative_to(ROOT) else python)) + " -m tools.board"
    return f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(str(python))} -m tools.board"


class Problem(Exception):
    """The text is one sentence that says what is wrong, and then what to do about it."""
