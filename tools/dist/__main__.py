"""What goes on a release page.

python -m tools.dist mip build/mip      # packages for mip, of the .mpy files and models that are there (make mip)
python -m tools.dist all build/dist     # these, the wheel, the page, typings, firmware that is there (make dist)
python -m tools.dist heap               # what the .mpy files leave of the heap of stock boards, computed (docs/boards.md)
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rnnpool_training import interrupts
from rnnpool_training.errors import sentence

from tools.stm32.problem import FirmwareError

from . import heap, mip, release
from .problem import DistError

MARKER = "package.json"  # in each folder that this made


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes the folder anew with these files. DistError if it has others that it was not made with."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).is_file())):
        raise DistError(f"{folder} was not made by this tool: remove it, or name another")
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@interrupts.said
def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.dist", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    mip_command = commands.add_parser("mip", help="packages for MicroPython's installer, mip")
    all_command = commands.add_parser("all", help="the folder for a release page")
    heap_command = commands.add_parser("heap", help="the table of free heap in docs/boards.md")
    for command in (mip_command, all_command, heap_command):
        if command is not heap_command:
            command.add_argument("folder", type=Path, help="is made anew")
        command.add_argument("--build", type=Path, default=mip.ROOT / "build", help="with natmod/ARCH/rnnpool.mpy")
        command.add_argument("--models", type=Path, nargs="*", help=".rnnp files (default: those in models/)")
    arguments = parser.parse_args()
    blobs = arguments.models if arguments.models is not None else sorted((mip.ROOT / "models").glob("*.rnnp"))
    try:
        native = mip.modules(arguments.build / "natmod")
        if arguments.command == "heap":
            print("\n".join(heap.table(native, blobs)))
            return 0
        if arguments.command == "mip":
            files = mip.packages(native, mip.models(blobs), release.version())
        else:
            files = release.release(arguments.build, native, blobs)
        write(arguments.folder, files)
    except (DistError, FirmwareError, OSError) as error:
        print(f"dist: {sentence(error)}", file=sys.stderr)
        return 1
    for name, data in sorted(files.items()):
        print(f"{len(data):9,}  {arguments.folder / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
