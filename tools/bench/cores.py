"""Instructions of a frame on other cores than the Cortex-M4, under QEMU: `make bench CORE=m0plus`.

python -m tools.bench.cores                # all cores and all of models/
python -m tools.bench.cores --core rv32 --model face=models/face.rnnp

QEMU gives each instruction a nanosecond of its clock (-icount shift=0), and the program reads that clock. Instructions
are no cycles: a multiplication takes up to 32 of them on some Cortex-M0+, a load two on most cores. They rank kernels
on one core.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnpool_training import interrupts
from rnnpool_training.engine import Engine

from . import network
from .compile import ROOT, Target
from .inputs import find_models, load_image
from .machine import BenchError

_THUMB = ("-mthumb",)
_RV32 = ("-march=rv32imc", "-misa-spec=2.2", "-mabi=ilp32", "-mcmodel=medany")


@dataclass(frozen=True)
class Core:
    """A core: how it is compiled for, and the emulated board that stands for it."""

    title: str
    target: Target
    machine: str
    tick: int  # instructions of a tick of its clock, at one a nanosecond
    emulator: str = "qemu-system-arm"
    package: str = "qemu-system-arm"  # Debian's


def _arm(title: str, *cpu: str, machine: str, memory: str = "mps2.ld", tick: int = 40) -> Core:
    return Core(title, Target((*cpu, *_THUMB), memory), machine, tick)


# QEMU's only board with a Cortex-M0 has 16 KB of RAM, too little for a model; a Cortex-M3 has all of its instructions.
CORES = {
    "m0plus": _arm("Cortex-M0+", "-mcpu=cortex-m0plus", "-mfloat-abi=soft", machine="mps2-an385"),
    "m3": _arm("Cortex-M3", "-mcpu=cortex-m3", "-mfloat-abi=soft", machine="mps2-an385"),
    "m33": _arm(
        "Cortex-M33",
        *("-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
        machine="mps2-an505",
        memory="mps2_an505.ld",
        tick=50,
    ),
    "m33nofp": _arm(
        "Cortex-M33 without FPU",
        *("-mcpu=cortex-m33+nofp", "-mfloat-abi=soft"),
        machine="mps2-an505",
        memory="mps2_an505.ld",
        tick=50,
    ),
    "m7": _arm("Cortex-M7", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16", machine="mps2-an500"),
    "rv32": Core(
        "RV32IMC",
        Target(
            _RV32,
            "virt.ld",
            "riscv64-unknown-elf-",
            "picolibc.specs",
            "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
        ),
        "virt",
        1,
        "qemu-system-riscv32",
        "qemu-system-misc",
    ),
}


@dataclass(frozen=True)
class Counted:
    """What a frame took on a core."""

    crc: int
    code: int  # bytes of code and constant tables of the engine's objects
    names: list[str]  # of operators, and of the rest
    macs: list[int]
    instructions: list[int]  # each within two ticks of the clock for each of its steps; their sum is exact

    @property
    def total(self) -> int:
        """All instructions from rnnp_begin to the detections or probabilities."""
        return sum(self.instructions)


def emulate(core: Core, elf: Path) -> str:
    """Runs a program; returns what it printed. Raises BenchError where QEMU is missing, or if the program fails."""
    emulator = shutil.which(core.emulator)
    if not emulator:
        raise BenchError(f"{core.emulator} not found (Debian: apt install {core.package})")
    command = [emulator, "-M", core.machine, "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0"]
    command += [] if core.emulator == "qemu-system-arm" else ["-bios", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    output = result.stdout + result.stderr
    if result.returncode:
        raise BenchError(f"{' '.join(command)} ended with {result.returncode}: {output!r}")
    return output


def count(core: Core, blob: Path, image: npt.NDArray[np.uint8], build: Path, *, dsp: bool = True) -> Counted:
    """Runs the engine on `image` (as network.run).

    Raises BenchError if anything fails, or the results are not those of the engine on this computer.
    """
    shape = network.read_shape(blob.read_bytes())
    elf, code = network.build_program(blob, image, build, target=core.target, tick=core.tick, dsp=dsp)
    said = network.read_output(emulate(core, elf), shape)
    expected = Engine(blob.read_bytes()).run(image).crc()
    if said.single["crc"] != expected:
        raise BenchError(f"{core.title}: CRC {said.single['crc']:#010x}, on this computer {expected:#010x}")
    thousands, rest = said.lists["kilo"], said.lists["instructions"]
    counts = [1000 * k + n for k, n in zip(thousands, rest, strict=True)]
    names = [f"{index} {kind}" for index, kind in enumerate(shape.kinds)] + [network.REST]
    return Counted(said.single["crc"], code, names, [*said.lists["macs"], 0], [*counts[1:], counts[0]])


def text(core: Core, name: str, counted: Counted) -> str:
    """The table for a terminal."""
    lines = [f"{name} on a {core.title}: {counted.total:,} instructions, engine code {counted.code:,} bytes"]
    for operator, macs, instructions in zip(counted.names, counted.macs, counted.instructions, strict=True):
        each = f"{instructions / macs:6.2f} a multiply-add" if macs else ""
        lines.append(f"    {operator:24} {instructions:13,}  {each}")
    return "\n".join(lines)


Json = dict[str, Any]


def measure(models: dict[str, Path], build: Path, committed: Json) -> Json:
    """Instructions and code for docs/benchmarks.json, by core and model; where a tool is missing, as committed."""
    out: Json = {}
    for key, core in CORES.items():
        if missing := missing_tools(core):
            print(f"{core.title}: not measured, {missing}")
            out[key] = committed.get(key, {})
            continue
        out[key] = {"title": core.title}
        for name, blob in models.items():
            counted = count(
                core, blob, load_image(None, network.read_shape(blob.read_bytes()))[0], build / f"{name}-{key}"
            )
            out[key][name] = {"instructions": counted.total, "code": counted.code}
    return out


def document(cores: Json, models: list[str]) -> list[str]:
    """The section of docs/benchmarks.md."""
    lines = [
        "## Other cores",
        "",
        "Instructions of a frame and bytes of the engine's code and tables, under QEMU (`make bench CORE=m3`).",
    ]
    lines += [
        "Instructions are no cycles: they rank kernels on one core, not cores. A Cortex-M0+ and a Cortex-M3 have the"
    ]
    lines += ["kernels in plain C, as has RV32IMC; the others those of the Cortex-M4. All give the same bytes.", ""]
    lines += ["| core | " + " | ".join(models) + " | code |", "|---|" + "--:|" * (len(models) + 1)]
    for core in cores.values():
        if core:
            counts = [f"{core[name]['instructions']:,}" for name in models]
            lines += [f"| {core['title']} | " + " | ".join([*counts, f"{core[models[0]]['code']:,}"]) + " |"]
    return lines


@interrupts.said
def main() -> int:
    """Prints a table for each core and model. Returns the exit status: 0 too where an emulator is missing."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.cores", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--core", action="append", default=[], choices=list(CORES), help="default: all")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=PATH", help="default: all of models/")
    parser.add_argument("--image", help="any image; default: matplotlib's portrait")
    parser.add_argument("--no-dsp", action="store_true", help="the kernels in plain C, whatever the core has")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", help="folder for what is compiled")
    arguments = parser.parse_args()
    try:
        for key in arguments.core or CORES:
            core = CORES[key]
            if missing := missing_tools(core):
                print(f"{core.title}: not measured, {missing}")
                continue
            for name, blob in find_models(arguments.model).items():
                image, _ = load_image(arguments.image, network.read_shape(blob.read_bytes()))
                build = arguments.build / f"{name}-{key}"
                print(text(core, name, count(core, blob, image, build, dsp=not arguments.no_dsp)), flush=True)
    except (BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def missing_tools(core: Core) -> str:
    """A sentence that says which program is missing for a core; empty if none is."""
    if not shutil.which(core.emulator):
        return f"{core.emulator} not found (Debian: apt install {core.package})"
    if not shutil.which(f"{core.target.prefix}gcc"):
        return f"{core.target.prefix}gcc not found (Debian: apt install {core.target.packages})"
    return ""


if __name__ == "__main__":
    sys.exit(main())
