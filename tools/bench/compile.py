"""Builds bare programs: of a Cortex-M4 with arm-none-eabi-gcc, or of another core (cores.py)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from .machine import BenchError

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FIRMWARE = HERE / "firmware"
ENGINE = ROOT / "mp_module" / "engine"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wdouble-promotion", "-Wfloat-conversion"]


@dataclass(frozen=True)
class Target:
    """What to compile for: a core, and where its memory is."""

    cpu: tuple[str, ...]
    memory: str  # a linker script in firmware/
    prefix: str = "arm-none-eabi-"  # of the compiler's name; CROSS_COMPILE is taken before this one
    specs: str = "nosys.specs"
    packages: str = "gcc-arm-none-eabi libnewlib-arm-none-eabi"  # Debian's


M4 = Target(("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), "m4.ld")
M4_F439 = Target(M4.cpu, "m4_f439.ld")
M4_NO_FPU = Target(("-mcpu=cortex-m4+nofp", "-mthumb", "-mfloat-abi=soft"), "m4.ld")


def compiler(target: Target = M4) -> str:
    """Path of the compiler. Raises BenchError where there is none."""
    prefix = target.prefix
    if prefix == M4.prefix:
        prefix = os.environ.get("CROSS_COMPILE", prefix)
    found = shutil.which(prefix + "gcc")
    if not found:
        raise BenchError(f"{prefix}gcc not found (Debian: apt install {target.packages})")
    return found


def compiler_version(target: Target = M4) -> str:
    """First line of the compiler's --version."""
    command = [compiler(target), "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]


def compile_objects(build: Path, sources: Sequence[Path], flags: Sequence[str], target: Target = M4) -> list[Path]:
    """Compiles each source to an object in `build`; returns them in order. One that is there already is kept."""
    build.mkdir(parents=True, exist_ok=True)
    headers = [*ENGINE.rglob("*.h"), *FIRMWARE.glob("*.h")]
    common = b"".join(header.read_bytes() for header in sorted(headers)) + compiler_version(target).encode()
    objects = []
    for source in sources:
        out = build / f"{source.parent.name}_{source.stem}.o"
        command = [compiler(target), *target.cpu, "-ffunction-sections", "-fdata-sections", "-g", *flags]
        command += [f"--specs={target.specs}", "-c", str(source), "-o", str(out)]
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


def link(build: Path, name: str, objects: Sequence[Path], target: Target = M4) -> Path:
    """Links objects with the start-up code (which must be among them) to `build/name.elf`."""
    out = build / f"{name}.elf"
    command = [compiler(target), *target.cpu, "-nostartfiles", f"--specs={target.specs}", "-Wl,--gc-sections"]
    command += [f"-L{FIRMWARE}", f"-T{FIRMWARE / target.memory}", *map(str, objects), "-o", str(out)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise BenchError(f"{' '.join(command)}\n{result.stderr}")
    return out


CODE = (".text", ".rodata", ".srodata")  # sections of code and constant tables


def code_sections(path: Path) -> dict[str, int]:
    """Bytes of an object file's sections of code and constant tables."""
    sizes: dict[str, int] = {}
    with open(path, "rb") as file:
        for section in ELFFile(file).iter_sections():
            if section["sh_flags"] & 2 and section.name.startswith(CODE):  # SHF_ALLOC
                sizes[section.name] = sizes.get(section.name, 0) + section["sh_size"]
    return sizes
