"""Firmware for STM32 boards: can it be built here, what does it take, what fits beside it.

python -m tools.stm32 prepare --mpy ~/micropython --board PYBV11 -- BOARD=PYBV11
python -m tools.stm32 check build/stm32/PYBV11 --linked face   # memory map, and the limits of ports/stm32/limits.toml
python -m tools.stm32 record build/stm32/PYBV11                # what linked firmware takes, to docs/stm32_memory.json
python -m tools.stm32 emulate build/stm32/NUCLEO_F439ZI        # a board's REPL at socket://127.0.0.1:5555, without it
python -m tools.stm32 docs                                     # docs/stm32_memory.md and .png from it
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from . import budget, docs, elf, libraries, models, report
from .problem import FirmwareError

MODELS = models.ROOT / "models"
SHOWN = "NUCLEO_F439ZI"  # the board of the picture


def _paths(linked: list[str]) -> list[Path]:
    """Files of the shipped models and of those linked in, which may be paths (mp_module/embed_models.py)."""
    paths = {path.stem: path for path in sorted(MODELS.glob("*.rnnp"))}
    for text in linked:
        path = Path(text) if text.endswith(".rnnp") else MODELS / f"{text}.rnnp"
        paths[path.stem] = path
    return list(paths.values())


def check(folder: Path, linked: list[str], romfs: Path | None) -> None:
    """Prints a firmware's memory; raises FirmwareError if it breaks a limit."""
    measured = budget.measure(elf.read(folder / "firmware.elf"))
    known = models.needs(_paths(linked))
    print("\n".join(report.lines(folder.name, measured, known)))
    names = [Path(text).stem if text.endswith(".rnnp") else text for text in linked]
    found = report.broken(measured, known, names, report.read_limits(folder.name))
    if romfs is not None and romfs.stat().st_size > measured.romfs:
        found.append(f"{romfs}: {romfs.stat().st_size:,} bytes, the ROMFS partition has {measured.romfs:,}")
    if found:
        raise FirmwareError(f"{folder} can not be used: {'; '.join(found)}")


def write_docs() -> None:
    """Writes docs/stm32_memory.md and its picture."""
    firmware = docs.read()
    known = models.needs(sorted(MODELS.glob("*.rnnp")))
    docs.RECORD.with_suffix(".md").write_text(docs.document(firmware, known, docs.made_with()))
    shown = {name: budget for name, budget in firmware.items() if name.startswith(SHOWN)}
    docs.draw(shown, next(model for model in known if model.name == "face"), docs.RECORD.with_suffix(".png"))


def emulate(folder: Path, romfs: Path | None, port: int) -> None:
    """Runs a firmware until Ctrl-C; prints where its REPL is."""
    try:
        from . import machine
    except ModuleNotFoundError as missing:
        raise FirmwareError(f"the Python package {missing.name} is missing: use build/venv (make venv)") from None
    emulated = machine.Machine(folder, romfs.read_bytes() if romfs else b"")
    line = machine.Line(port)
    print(f"{emulated.boot}\nIts REPL: --port socket://127.0.0.1:{line.port}; Ctrl-C ends it", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        emulated.serve(line)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.stm32", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    board = commands.add_parser("board", help="check the board's name alone, in the first of these trees that is there")
    board.add_argument("--mpy", type=Path, action="append", required=True, help="MicroPython's source tree")
    board.add_argument("--board", required=True)
    board.add_argument("--variant", default="")
    prepare = commands.add_parser("prepare", help="check the board's name, and have missing libraries fetched")
    prepare.add_argument("--mpy", type=Path, required=True, help="MicroPython's source tree")
    prepare.add_argument("--board", required=True)
    prepare.add_argument("--variant", default="")
    prepare.add_argument("arguments", nargs="*", help="of MicroPython's make for this board")
    check_command = commands.add_parser("check", help="print a firmware's memory and check it against its limits")
    check_command.add_argument("folder", type=Path, help="build folder with firmware.elf and firmware.map")
    check_command.add_argument("--linked", nargs="*", default=[], help="the models that are linked in")
    check_command.add_argument("--romfs", type=Path, help="ROMFS image that goes with it")
    record_command = commands.add_parser("record", help="note what linked firmware takes, for the documentation")
    record_command.add_argument("folders", type=Path, nargs="+", help="build folders")
    commands.add_parser("docs", help="write the documentation's tables and picture from what was noted")
    emulate_command = commands.add_parser(
        "emulate",
        help="run a linked firmware on this computer, its REPL at socket://127.0.0.1:PORT",
    )
    emulate_command.add_argument("folder", type=Path, help="build folder")
    emulate_command.add_argument("--romfs", type=Path, help="ROMFS image in the board's flash (default: none)")
    emulate_command.add_argument("--port", type=int, default=5555, help="(default: %(default)s; 0: any)")
    arguments = parser.parse_args()
    try:
        if arguments.command == "board":
            for tree in arguments.mpy:
                if (tree / "ports" / "stm32" / "boards").is_dir():
                    libraries.check_board(tree, arguments.board, arguments.variant)
                    break
        elif arguments.command == "prepare":
            libraries.check_board(arguments.mpy, arguments.board, arguments.variant)
            libraries.ensure(arguments.mpy, arguments.arguments)
        elif arguments.command == "check":
            check(arguments.folder, arguments.linked, arguments.romfs)
        elif arguments.command == "record":
            docs.record(arguments.folders)
        elif arguments.command == "emulate":
            emulate(arguments.folder, arguments.romfs, arguments.port)
        else:
            write_docs()
    except (FirmwareError, OSError) as error:
        print(f"stm32: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
