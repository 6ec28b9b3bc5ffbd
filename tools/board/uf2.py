"""Writes firmware.uf2 to a Raspberry Pi Pico or Pico 2: to its drive, or with picotool.

python -m tools.board.uf2 build/rp2/RPI_PICO2/firmware.uf2
python -m tools.board.uf2 --check build/rp2/RPI_PICO2/firmware.uf2      # only that it leaves the file system alone

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
FLASH, MOST_FLASH = 0x10000000, 16 << 20
# "Binary information" in the firmware (pico-sdk, pico/binary_info): markers of its header, which also holds where a
# table of pointers begins and ends; kind and tag of MicroPython's entry for its file system.
INFO_BEGIN, INFO_END = 0x7188EBF2, 0xE71AA390
FILE_SYSTEM = (7, int.from_bytes(b"MP", "little"))
MOUNTS = Path("/proc/mounts")
PLUG_IN = "hold BOOTSEL while you plug the board in, and open the drive that appears"


def read(path: Path) -> tuple[str, bytes]:
    """What the drive of a UF2 file's chip calls itself, and the flash from its start to the firmware's end.

    Raises Problem if it is for none, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} can't be read ({error.strerror}): build the firmware first") from None
    if len(data) == 0 or len(data) % BLOCK != 0:
        raise Problem(f"{path} is no UF2 file: it has {len(data):,} bytes, not blocks of {BLOCK}")
    found = set()
    flash = bytearray()
    for at in range(0, len(data), BLOCK):
        first, second, flags, address, size, _, _, family = struct.unpack_from("<8I", data, at)
        (last,) = struct.unpack_from("<I", data, at + BLOCK - 4)
        if (first, second, last) != MAGIC or size > BLOCK - 36:
            raise Problem(f"{path} is no UF2 file: block {at // BLOCK} has other magic numbers")
        if flags & HAS_FAMILY and family in DRIVES:
            found.add(DRIVES[family])
            offset = address - FLASH
            if not 0 <= offset < MOST_FLASH:
                raise Problem(f"{path} is no firmware: block {at // BLOCK} is for {address:#010x}, not for the flash")
            flash.extend(bytes(max(0, offset + size - len(flash))))
            flash[offset : offset + size] = data[at + 32 : at + 32 + size]
    if len(found) != 1:
        raise Problem(f"{path} is for no chip of Raspberry Pi, or for several: {', '.join(sorted(found)) or 'none'}")
    return found.pop(), bytes(flash)


def file_system(flash: bytes) -> int | None:
    """Where in the flash MicroPython's file system begins, as the firmware itself says; None if it does not say."""
    begin = flash.find(struct.pack("<I", INFO_BEGIN))
    while begin >= 0 and begin + 20 <= len(flash):
        _, first, last, _, end = struct.unpack_from("<5I", flash, begin)
        if end == INFO_END:
            break
        begin = flash.find(struct.pack("<I", INFO_BEGIN), begin + 4)
    else:
        return None
    for place in range(first - FLASH, last - FLASH, 4):
        if not 0 <= place <= len(flash) - 4:
            return None
        entry = int.from_bytes(flash[place : place + 4], "little") - FLASH
        if 0 <= entry <= len(flash) - 16 and struct.unpack_from("<HH", flash, entry) == FILE_SYSTEM:
            return int(struct.unpack_from("<I", flash, entry + 8)[0]) - FLASH
    return None


def check(path: Path) -> tuple[str, str]:
    """What the chip's drive calls itself, and the firmware's size in words.

    Raises Problem if it is damaged, or so large that its end lies where the board makes its file system at the first
    start: nothing in MicroPython's build for these boards looks after that (1.25 to 1.28).
    """
    name, flash = read(path)
    files = file_system(flash)
    if files is None:
        return name, f"{len(flash):,} bytes"
    if len(flash) > files:
        raise Problem(
            f"{path} has {len(flash):,} bytes, and the board's file system, which begins at {files:,}, would overwrite "
            f"the last {len(flash) - files:,}: leave a model out (MODELS=face)"
        )
    return name, f"{len(flash):,} bytes, {files - len(flash):,} are left before the file system"


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
    wanted, _ = check(path)
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
    words = [word for word in sys.argv[1:] if word != "--check"]
    if len(words) != 1:
        print("usage: python -m tools.board.uf2 [--check] FIRMWARE.uf2", file=sys.stderr)
        return 2
    path = Path(words[0])
    try:
        print(f"{path}: {check(path)[1]}" if "--check" in sys.argv else f"firmware  {write(path)}")
    except Problem as problem:
        print(f"board: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
