"""The command line: `python -m tools.board --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.board.problem import Problem, command

try:
    from rnnpool_training import interrupts
    from rnnpool_training.command import integer, real
    from tools.board import commands, flash, frames, ports
    from tools.board.protocol import MAX_BOXES
except ModuleNotFoundError as missing:
    print(
        f"board: the Python package {missing.name} is missing: run this with build/venv-demo/bin/python (`make demo` "
        "or `make venv` set it up), or `pip install --editable .[tools]`",
        file=sys.stderr,
    )
    sys.exit(1)

DESCRIPTION = """\
Works with a board that runs MicroPython with the rnnpool module, over its serial port.

    {command} info                        what is on the board
    {command} stream photo.jpg            find the faces on a photo with the board
    {command} stream webcam               ... live (needs OpenCV: pip install opencv-python)
    {command} monitor                     its REPL; leave with Ctrl-]
    {command} put examples/watch.py       copy a file to it, verified
    make BOARD=NUCLEO_F439ZI deploy                   firmware, models and examples onto a new board

`{command} COMMAND --help` says more about each. The port is found by itself if one board is connected;
otherwise name it: --port /dev/ttyACM0, or a pty, or socket://host:port for an emulated board.
"""

STREAM = """\
Sends pictures to the board, which finds faces in them, and shows where they are.

    {command} stream photo.jpg --out found/
    {command} stream pictures/ --size 160x120 --out found/
    {command} stream video.mp4 --every 10
    {command} stream webcam

A source is a picture, a folder of pictures, a video, or webcam (webcam:1 is the second one); the last two need OpenCV.
Pictures are made smaller so that they fit --size, never larger. The board is sent examples/serial_frames.py if that
does not run there yet. Rows go into the network as they arrive; every packet has a checksum and is sent again if it is
lost or damaged; unplugged and plugged in again, the stream goes on with the frame it was at (docs/serial.md).

A serial line of 115,200 baud carries 11 KB a second: 7 seconds for 320x240, 2 for --size 160x120. A board's own USB
carries more than the board can compute.
"""

DEPLOY = """\
Brings a board from bare to `rnnpool.detect_faces(frame)`: firmware, models, example scripts; then checks it.

    make BOARD=NUCLEO_F439ZI deploy                               builds the firmware, then calls this
    {command} deploy --board NUCLEO_F439ZI --build build/stm32/NUCLEO_F439ZI

 1. firmware   flashed by st-flash, openocd or dfu-util (--method), if what is on the board is different
 2. models     as a ROMFS image, used in place from flash; without ROMFS those linked into the firmware, or files
 3. examples   to the board's file system
 4. selftest   each model computes on the board what it computed on the desktop
 5. faces      a test picture is streamed, and the boxes must equal those of the integer reference

Each step compares hashes on the board first and does nothing if they agree, so that after an interruption of any kind
the same command finishes the job.
"""


def size_of(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT in pixels."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and 1 <= int(width) <= 4096 and 1 <= int(height) <= 4096):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: WIDTHxHEIGHT, each 1 to 4096, say 320x240")
    return int(width), int(height)


def fraction(text: str) -> float:
    """A score."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


def every(text: str) -> int:
    """A step between pictures."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pictures, 1 or more")
    return int(text)


def address_of(text: str) -> int:
    """An address, decimal or as 0x08000000."""
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no address, say 0x08000000") from None


def image_of(text: str) -> flash.Image:
    """ADDRESS=FILE."""
    address, _, path = text.partition("=")
    try:
        return flash.Image(int(address, 0), Path(path))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS=FILE, say 0x08000000=firmware.bin") from None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--port", metavar="PORT", help="the board's serial port (default: the only one that looks like it)"
    )
    common.add_argument(
        "--baudrate", type=integer(1), default=ports.BAUDRATE, help="of a UART (default: %(default)s); USB ignores it"
    )
    top = argparse.ArgumentParser(
        prog=command(),
        description=DESCRIPTION.replace("{command}", command()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str, description: str) -> argparse.ArgumentParser:
        return chosen.add_parser(
            name,
            help=help,
            description=description.replace("{command}", command()),
            parents=[common],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    stream = add("stream", "send pictures, get boxes", STREAM)
    stream.add_argument("sources", nargs="+", metavar="SOURCE", help="picture, folder, video, webcam, webcam:1")
    stream.add_argument(
        "--size", type=size_of, default=(320, 240), metavar="WxH", help="frames fit this (default: 320x240)"
    )
    stream.add_argument(
        "--format", choices=sorted(frames.FORMATS), default="gray8", help="of the frames (default: gray8)"
    )
    stream.add_argument("--threshold", type=fraction, help="least score of a box, 0 to 1 (default: the model's own)")
    stream.add_argument(
        "--max-boxes",
        type=int,
        default=MAX_BOXES,
        choices=range(1, MAX_BOXES + 1),
        metavar=f"1..{MAX_BOXES}",
        help="the best so many (default: %(default)s)",
    )
    stream.add_argument(
        "--every", type=every, default=1, metavar="N", help="of a video or webcam, send each Nth picture"
    )
    stream.add_argument("--frames", type=every, metavar="N", help="stop after N frames")
    stream.add_argument("--out", type=Path, metavar="FOLDER", help="write pictures with boxes, and boxes.jsonl")
    stream.add_argument("--no-window", action="store_true", help="do not open a window even if there is a display")
    stream.add_argument("--model", metavar="MODEL", help="name or path on the board (default: face)")
    stream.add_argument("--restart", action="store_true", help="send the script even if one runs already")
    stream.add_argument(
        "--patience",
        type=real(0),
        default=60,
        metavar="S",
        help="seconds to wait for a board that was unplugged (default: %(default)s)",
    )

    monitor = add(
        "monitor",
        "the board's REPL",
        "The board's REPL in this terminal, by mpremote. Leave it with Ctrl-] or Ctrl-x; Ctrl-C stops a script on "
        "the board, Ctrl-D restarts MicroPython there.",
    )
    monitor.add_argument("--log", type=Path, metavar="FILE", help="write what the board prints to a file as well")

    put = add(
        "put",
        "copy files to the board, verified",
        "Copies files to the board's file system. A file that is there already, with the same content, is left "
        "alone; what was written is read back and compared by hash.\n\n    {command} put "
        "examples/watch.py\n    {command} put examples/watch.py:main.py models/face.rnnp:/flash/face.rnnp",
    )
    put.add_argument(
        "files",
        nargs="+",
        metavar="FILE[:PATH]",
        help="a file here, and its path on the board (default: the same name)",
    )

    info = add(
        "info",
        "version, models, memory of the board",
        "What is on the board: firmware, module, models and what they need, heap, file systems.",
    )
    info.add_argument("--json", action="store_true", help="print one JSON object")

    deploy = add("deploy", "firmware, models and examples onto a board", DEPLOY)
    deploy.add_argument(
        "--board", required=True, metavar="NAME", help="MicroPython's name of the board, say NUCLEO_F439ZI"
    )
    deploy.add_argument(
        "--machine", metavar="TEXT", help="what the board's sys.implementation._machine must contain (default: NAME)"
    )
    deploy.add_argument(
        "--build", type=Path, metavar="FOLDER", help="with firmware.bin, or firmware0.bin and firmware1.bin"
    )
    deploy.add_argument(
        "--image",
        type=image_of,
        action="append",
        default=[],
        metavar="ADDRESS=FILE",
        help="flash this there, instead of --build; repeatable",
    )
    deploy.add_argument(
        "--family",
        choices=flash.FAMILIES,
        default="f4",
        help="of the STM32, as MicroPython's MCU_SERIES (default: %(default)s)",
    )
    deploy.add_argument(
        "--method",
        choices=flash.METHODS,
        default="auto",
        help="how to flash (default: the first of st-flash, openocd, dfu that is installed and sees a board)",
    )
    deploy.add_argument("--models", type=Path, nargs="*", metavar="FILE", help=".rnnp files (default: all in models/)")
    deploy.add_argument(
        "--romfs",
        choices=("repl", "programmer"),
        default="repl",
        help="write the models over the serial port, or with the programmer (faster)",
    )
    deploy.add_argument(
        "--romfs-at",
        type=address_of,
        default=flash.ROMFS_ADDRESS,
        metavar="ADDRESS",
        help=f"with --romfs programmer (default: {flash.ROMFS_ADDRESS:#010x})",
    )
    deploy.add_argument("--mkfs", action="store_true", help="make the board's file system anew: what is in it is lost")
    deploy.add_argument("--no-flash", action="store_true", help="leave the firmware as it is")
    deploy.add_argument("--any-machine", action="store_true", help="flash also a board that says it is another one")
    deploy.add_argument(
        "--wait",
        type=real(0),
        default=20,
        metavar="S",
        help="seconds to wait for the board after flashing (default: %(default)s)",
    )
    return top


@interrupts.said
def main(words: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    arguments = parser().parse_args(words)
    try:
        return int(getattr(commands, arguments.command)(arguments))
    except Problem as problem:
        print(f"{interrupts.program(main)}: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
