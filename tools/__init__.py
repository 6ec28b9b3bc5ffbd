"""Programs of the repository, for `python -m tools.NAME` in its folder."""

from __future__ import annotations

import sys
from types import TracebackType


def _missing(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # While a program is imported: its main() stands behind its imports.
    if isinstance(error, ModuleNotFoundError) and not hasattr(sys.modules["__main__"], "main"):
        print(
            f"the Python package {error.name} is missing: run this with build/venv/bin/python, which `make venv` sets "
            "up, or, if it needs no training, build/venv-demo/bin/python (`make demo`)",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[:1] == ["-m"]:
    sys.excepthook = _missing
try:
    from rnnpool_training import interrupts
except ImportError:  # some are of the standard library only, and run by a Python without the package
    pass
else:
    if interrupts.runs_as_program(__name__):
        interrupts.end_silently_before("main")
