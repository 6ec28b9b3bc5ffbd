"""Whether a MicroPython source tree can build a board: it has the board, and the libraries that are git submodules."""

from __future__ import annotations

import difflib
import shlex
import subprocess
from pathlib import Path

from .problem import FirmwareError

ROOT = Path(__file__).resolve().parents[2]
OUR_BOARDS = ROOT / "ports" / "stm32" / "boards"
LIBRARIES = "rnnpool-libraries:"  # begins the line that we have upstream's makefile print


def _variants(folder: Path) -> list[str]:
    return sorted(file.stem.removeprefix("mpconfigvariant_") for file in folder.glob("mpconfigvariant_*.mk"))


def check_board(mpy: Path, board: str, variant: str) -> None:
    """Raises FirmwareError if the tree or ports/stm32/boards here have no such board, or the board no such variant."""
    upstream = mpy / "ports" / "stm32" / "boards"
    names = sorted(folder.parent.name for folder in upstream.glob("*/mpconfigboard.mk"))
    if not names:
        raise FirmwareError(f"{mpy} has no boards in ports/stm32: say MPY_DIR=<a whole checkout of MicroPython>")
    elsewhere = sorted(folder.parents[1] for folder in mpy.glob(f"ports/*/boards/{board}/")) if board else []
    if board not in names and elsewhere:
        port = elsewhere[0]
        module = ROOT / "mp_module" / "micropython.cmake" if any(port.glob("CMakeLists.txt")) else ROOT
        raise FirmwareError(
            f"{board} is a board of MicroPython's ports/{port.name}, and this is for ports/stm32: build "
            f"it there with USER_C_MODULES={module} (mp_module/README.md) and flash it as that port says; "
            "put, info and stream of tools.board work with it then"
        )
    if board not in names:
        f4 = ", ".join(name for name in names if "F4" in name or name.startswith("PYBV1"))
        near = difflib.get_close_matches(board.upper(), names, n=1, cutoff=0.6) if board else []
        given = f"no board {board} in {upstream}" if board else "which board? make BOARD=NAME firmware"
        meant = f", did you mean {near[0]}?" if near else ""
        raise FirmwareError(f"{given}{meant}; with a Cortex-M4F there are {f4}")
    ours = OUR_BOARDS / board
    variants = _variants(ours if ours.is_dir() else upstream / board)
    if variant and variant not in variants:
        raise FirmwareError(f"{board} has no variant {variant}; it has {', '.join(variants) or 'none'}")


def _submodules(mpy: Path, arguments: list[str]) -> list[str]:
    """The libraries that upstream's makefile wants for a board: what its target `submodules` would fetch."""
    rule = f"rnnpool-libraries: ; @echo {LIBRARIES} $(GIT_SUBMODULES)"
    command = ["make", "-C", str(mpy / "ports" / "stm32"), "--no-print-directory", "-s", f"--eval={rule}"]
    done = subprocess.run([*command, *arguments, "rnnpool-libraries"], capture_output=True, text=True)
    if done.returncode:
        raise FirmwareError(f"MicroPython's makefile does not take this board: {done.stderr.strip().splitlines()[-1]}")
    named = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith(LIBRARIES)]
    return sorted(set(named[0])) if named else []


def _missing(mpy: Path, libraries: list[str]) -> list[str]:
    return [name for name in libraries if not (mpy / name).is_dir() or not any((mpy / name).iterdir())]


def ensure(mpy: Path, arguments: list[str]) -> None:
    """Has upstream fetch the libraries that are missing in `mpy`; arguments: those of its make for the board.

    Raises FirmwareError if they are still missing then.
    """
    missing = _missing(mpy, _submodules(mpy, arguments))
    if not missing:
        return
    fetched = ""
    if (mpy / ".git").exists():
        print(f"Fetching MicroPython's libraries: {', '.join(missing)}", flush=True)
        command = ["make", "-C", str(mpy / "ports" / "stm32"), "--no-print-directory", *arguments, "submodules"]
        done = subprocess.run(command, capture_output=True, text=True)
        missing = _missing(mpy, missing)
        if not missing:
            return
        last = [line for line in done.stderr.splitlines() if line.startswith(("fatal", "error"))]
        fetched = f" ({last[0]})" if last else ""
    remedy = f"git submodule update --init {shlex.join(missing)}"
    where = f"in {mpy}" if (mpy / ".git").exists() else "in a git clone of MicroPython, and say MPY_DIR=<that folder>"
    raise FirmwareError(f"{mpy} lacks {', '.join(missing)}{fetched}: where GitHub can be reached, run {remedy} {where}")
