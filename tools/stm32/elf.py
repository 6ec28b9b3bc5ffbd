"""Sections, symbols and memory regions of a linked firmware, as GNU binutils and the linker's map tell them."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .problem import FirmwareError

# "  3 .data  000000e8  20000198  08074fa4  00016198  2**2", and below it "  CONTENTS, ALLOC, LOAD, DATA"
SECTION = re.compile(r"^\s*\d+ (\S+)\s+([0-9a-f]{8,})\s+([0-9a-f]{8,})\s+([0-9a-f]{8,})\s+[0-9a-f]+\s+2\*\*\d+\s*$")
# "FLASH_TEXT       0x08020000         0x000e0000         xr"
REGION = re.compile(r"^(\S+)\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)(?:\s+\S+)?$")
DEFAULT_REGION = "*default*"


@dataclass(frozen=True)
class Section:
    """A section in memory: where it runs, where its initial content is stored, bytes, and what kind it is."""

    name: str
    address: int
    stored_at: int
    size: int
    loaded: bool  # has content that is stored in flash
    writable: bool


@dataclass(frozen=True)
class Region:
    """A memory region of the linker scripts."""

    name: str
    start: int
    size: int

    def holds(self, address: int) -> bool:
        """Whether an address lies in it."""
        return self.start <= address < self.start + self.size


@dataclass(frozen=True)
class Image:
    """A linked firmware."""

    path: Path
    sections: list[Section]
    symbols: dict[str, int]  # their values
    sizes: dict[str, int]  # of those that have one
    regions: list[Region]

    def symbol(self, name: str) -> int:
        """A symbol's value. Raises FirmwareError if there is none."""
        if name not in self.symbols:
            raise FirmwareError(f"{self.path} has no symbol {name}: it is no firmware of MicroPython's ports/stm32")
        return self.symbols[name]

    def region_at(self, address: int) -> Region | None:
        """The smallest region that holds an address: upstream's scripts have one for all flash, and others in it."""
        found = [region for region in self.regions if region.holds(address)]
        return min(found, key=lambda region: region.size, default=None)


def _binutils(program: str, *arguments: str | Path) -> str:
    name = os.environ.get("CROSS_COMPILE", "arm-none-eabi-") + program
    if shutil.which(name) is None:
        raise FirmwareError(f"{name} is not installed: sudo apt-get install gcc-arm-none-eabi")
    done = subprocess.run([name, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise FirmwareError(f"{name}: {done.stderr.strip()}")
    return done.stdout


def compiler() -> str:
    """The first line of what the Arm compiler says of its version."""
    return _binutils("gcc", "--version").splitlines()[0]


def read_sections(listing: str) -> list[Section]:
    """The allocated sections that are not empty in the output of `objdump -h`."""
    found = []
    lines = listing.splitlines()
    for line, flags in itertools.pairwise(lines):
        match = SECTION.match(line)
        if match is None or "ALLOC" not in flags:
            continue
        size, address, stored_at = (int(text, 16) for text in match.groups()[1:])
        if size == 0:
            continue
        kinds = [kind.strip() for kind in flags.split(",")]
        found.append(Section(match.group(1), address, stored_at, size, "LOAD" in kinds, "READONLY" not in kinds))
    return found


def read_symbols(listing: str) -> tuple[dict[str, int], dict[str, int]]:
    """Values and sizes of the defined symbols in the output of `nm -S`: "value [size] type name"."""
    symbols, sizes = {}, {}
    for line in listing.splitlines():
        *numbers, kind, name = line.split()
        if kind not in "Uw" and numbers:
            symbols[name] = int(numbers[0], 16)
            if len(numbers) > 1:
                sizes[name] = int(numbers[1], 16)
    return symbols, sizes


def read_regions(text: str, path: Path) -> list[Region]:
    """The regions under "Memory Configuration" of a linker map."""
    _, found, rest = text.partition("\nMemory Configuration\n")
    if not found:
        raise FirmwareError(f"{path} is no linker map: it has no memory configuration")
    regions = []
    for line in rest.partition("\nLinker script and memory map\n")[0].splitlines():
        match = REGION.match(line)
        if match is not None and match.group(1) != DEFAULT_REGION:
            regions.append(Region(match.group(1), int(match.group(2), 16), int(match.group(3), 16)))
    return regions


def read(path: Path) -> Image:
    """Reads firmware.elf and the firmware.map beside it. Raises FirmwareError."""
    map_path = path.with_suffix(".map")
    for file in (path, map_path):
        if not file.is_file():
            raise FirmwareError(f"there is no {file}: build it with make BOARD=NAME firmware")
    symbols, sizes = read_symbols(_binutils("nm", "-S", path))
    regions = read_regions(map_path.read_text(errors="replace"), map_path)
    return Image(path, read_sections(_binutils("objdump", "-h", path)), symbols, sizes, regions)
