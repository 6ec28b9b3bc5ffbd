"""Builds bare Cortex-M4 programs with arm-none-eabi-gcc."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile

from .machine import BenchError

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FIRMWARE = HERE / "firmware"
ENGINE = ROOT / "mp_module" / "engine"
CPU = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wdouble-promotion", "-Wfloat-conversion"]


def compiler() -> str:
    """Path of the Arm compiler. Raises BenchError where there is none."""
    found = shutil.which(os.environ.get("CROSS_COMPILE", "arm-none-eabi-") + "gcc")
    if not found:
        raise BenchError("arm-none-eabi-gcc not found (Debian: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi)")
    return found


def compiler_version() -> str:
    """First line of the compiler's --version."""
    return subprocess.run([compiler(), "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]


def compile_objects(build: Path, sources: Sequence[Path], flags: Sequence[str]) -> list[Path]:
    """Compiles each source to an object in `build`; returns them in order. One that is there already is kept."""
    build.mkdir(parents=True, exist_ok=True)
    headers = [*ENGINE.rglob("*.h"), *FIRMWARE.glob("*.h")]
    common = b"".join(header.read_bytes() for header in sorted(headers)) + compiler_version().encode()
    objects = []
    for source in sources:
        out = build / f"{source.parent.name}_{source.stem}.o"
        command = [compiler(), *CPU, "-ffunction-sections", "-fdata-sections", "-g", *flags, "-c", str(source)]
        command += ["-o", str(out)]
        # Files that it includes by .incbin are named in the command by their content (network.py).
        digest = hashlib.sha256(common + source.read_bytes() + " ".join(command).encode()).hexdigest()
        stamp = out.with_suffix(".sha256")
        if not (out.exists() and stamp.exists() and stamp.read_text() == digest):
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                raise BenchError(f"{' '.join(command)}\n{result.stderr}")
            stamp.write_text(digest)
        objects.append(out)
    return objects


def link(build: Path, name: str, objects: Sequence[Path]) -> Path:
    """Links objects with the start-up code (which must be among them) to `build/name.elf`."""
    out = build / f"{name}.elf"
    command = [compiler(), *CPU, "-nostartfiles", "--specs=nosys.specs", "-Wl,--gc-sections"]
    command += [f"-T{FIRMWARE / 'm4.ld'}", *map(str, objects), "-o", str(out)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise BenchError(f"{' '.join(command)}\n{result.stderr}")
    return out


def section_sizes(objects: Sequence[Path], prefixes: Sequence[str]) -> int:
    """Bytes of the sections of object files whose names start with one of `prefixes`."""
    total = 0
    for path in objects:
        with open(path, "rb") as file:
            for section in ELFFile(file).iter_sections():
                if section["sh_flags"] & 2 and section.name.startswith(tuple(prefixes)):  # SHF_ALLOC
                    total += section["sh_size"]
    return total
