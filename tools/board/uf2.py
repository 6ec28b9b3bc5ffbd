"""Writes firmware.uf2 to a Raspberry Pi Pico or Pico 2: to its drive, or with picotool.

python -m tools.board.uf2 build/rp2/RPI_PICO2/firmware.uf2

Plugged in with BOOTSEL held, the chip is a drive with a file INFO_UF2.TXT, and restarts when a UF2 file has been copied
there. picotool needs no drive, and brings a running board there by itself.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from tools.board.problem import Problem

BLOCK = 512
MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
HAS_FAMILY = 0x2000
# Families of the UF2 format, and what their chips' drives call themselves. (ABSOLUTE and others are of no firmware.)
DRIVES = {0xE48BFF56: "RP2", 0xE48BFF59: "RP2350", 0xE48BFF5A: "RP2350"}
MOUNTS = Path("/proc/mounts")
PLUG_IN = "hold BOOTSEL while you plug the board in, and open the drive that appears"


def drive_name(path: Path) -> str:
    """What the drive of the chip calls itself that a UF2 file is for; raises Problem if it is for none, or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} can't be read ({error.strerror}): build the firmware first") from None
    if len(data) == 0 or len(data) % BLOCK != 0:
        raise Problem(f"{path} is no UF2 file: it has {len(data):,} bytes, not blocks of {BLOCK}")
    found = set()
    for at in range(0, len(data), BLOCK):
        first, second, flags, _, _, _, _, family = struct.unpack_from("<8I", data, at)
        (last,) = struct.unpack_from("<I", data, at + BLOCK - 4)
        if (first, second, last) != MAGIC:
            raise Problem(f"{path} is no UF2 file: block {at // BLOCK} has other magic numbers")
        if flags & HAS_FAMILY and family in DRIVES:
            found.add(DRIVES[family])
    if len(found) != 1:
        raise Problem(f"{path} is for no chip of Raspberry Pi, or for several: {', '.join(sorted(found)) or 'none'}")
    return found.pop()


def drives(mounts: Path = MOUNTS) -> dict[Path, str]:
    """Mounted drives with an INFO_UF2.TXT, and what they call themselves."""
    places = [Path(line.split()[1].replace("\\040", " ")) for line in mounts.read_text().splitlines()]
    found = {}
    for place in places:
        try:
            lines = (place / "INFO_UF2.TXT").read_text(errors="replace").splitlines()
        except OSError:
            continue
        found[place] = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("Board-ID:")), "")
    return found


def copy(path: Path, drive: Path) -> None:
    """Copies a file to a drive and waits until it is there; raises Problem."""
    try:
        with (drive / path.name).open("wb") as file:
            file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Problem(f"{drive} can't be written ({error.strerror}): unplug the board, and {PLUG_IN}") from None


def write(path: Path, mounts: Path = MOUNTS) -> str:
    """Writes a UF2 file to the board that waits for one, or with picotool; returns how. Raises Problem."""
    wanted = drive_name(path)
    there = drives(mounts)
    # "RPI-RP2" of a Pico, "RP2350" of a Pico 2
    fitting = [drive for drive, name in there.items() if name.replace("RPI-", "").split("-")[0] == wanted]
    if len(fitting) > 1:
        raise Problem(f"several boards wait for firmware: {', '.join(map(str, fitting))}; unplug all but one")
    if fitting:
        copy(path, fitting[0])
        return f"copied to {fitting[0]}"
    if there:
        others = ", ".join(f"{drive} ({name})" for drive, name in there.items())
        raise Problem(f"{path} is for an {wanted}, and the board that waits for firmware is another: {others}")
    if shutil.which("picotool") is None:
        raise Problem(f"no board waits for firmware: {PLUG_IN}; or install picotool, which needs no drive")
    done = subprocess.run(
        ["picotool", "load", "-f", "-v", "-x", str(path)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Problem(f"picotool failed ({said[-1].strip() if said else 'it said nothing'}): {PLUG_IN}")
    return "written and verified by picotool"


def main() -> int:
    """Command line; returns the exit status."""
    if len(sys.argv) != 2:
        print("usage: python -m tools.board.uf2 FIRMWARE.uf2", file=sys.stderr)
        return 2
    try:
        print(f"firmware  {write(Path(sys.argv[1]))}")
    except Problem as problem:
        print(f"board: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
