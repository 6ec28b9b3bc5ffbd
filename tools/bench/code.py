"""Bytes of the engine's code and tables in a Cortex-M4's firmware: `python -m tools.bench.code [--without NAMES]`.

A firmware is linked that can call what MicroPython's binding calls. All that the linker takes of the engine is counted:
code, literals, tables, each string once, and the gaps between them; not what it calls of the C library (memcpy, ...).

    python -m tools.bench.code                            # all of it
    python -m tools.bench.code --without auto face        # what a firmware with the face model needs
    python -m tools.bench.code --without RGB,SHIFT --functions 20
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from elftools.elf.elffile import ELFFile

from rnnpool_training import interrupts

from .compile import FIRMWARE, M4, ROOT, WARNINGS, Target, compile_objects, compiler
from .machine import BenchError
from .network import SIZE, SPEED, engine_sources, is_kernel

ENGINE_SECTION, REST_SECTION = ".engine", ".rest"  # of firmware/code.ld


def left_out(names: str, models: list[str]) -> list[str]:
    """What RNNPOOL_WITHOUT=names leaves out for these models. Raises BenchError."""
    command = [sys.executable, str(ROOT / "mp_module" / "embed_models.py"), "--without", names, *models]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        raise BenchError(said.stderr.strip())
    return said.stdout.split()


def linked(build: Path, without: list[str], target: Target = M4) -> tuple[int, dict[str, int]]:
    """Bytes of the engine's code and tables without some names of left_out.h, and of each part of it.

    Parts are sections of objects, and what is of no object: strings, of which the linker keeps one of each, and gaps.
    """
    flags = [*WARNINGS, f"-I{ROOT / 'mp_module'}", f"-I{FIRMWARE}", *(f"-DRNNP_WITH_{name}=0" for name in without)]
    kernels = [source for source in engine_sources() if is_kernel(source)]
    objects = compile_objects(build, kernels, [SPEED, *flags], target)
    objects += compile_objects(build, [s for s in engine_sources() if s not in kernels], [SIZE, *flags], target)
    main = build / "firmware" / "main.c"
    main.parent.mkdir(parents=True, exist_ok=True)
    main.write_text("int main(void) {\n    return 0;\n}\n")
    objects += compile_objects(build, [main], [SIZE], target)
    elf, map_file = build / "code.elf", build / "code.map"
    command = [compiler(target), *target.cpu, "-nostartfiles", f"--specs={target.specs}", "-Wl,--gc-sections,-emain"]
    command += [f"-T{FIRMWARE / 'code.ld'}", f"-Wl,-Map={map_file}", *(f"-Wl,-u,{name}" for name in called())]
    command += [*map(str, objects), "-o", str(elf)]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        raise BenchError(f"{' '.join(command)}\n{said.stderr}")
    with open(elf, "rb") as file:
        total = {section.name: int(section["sh_size"]) for section in ELFFile(file).iter_sections()}[ENGINE_SECTION]
    sizes = parts(map_file.read_text())
    return total, {**sizes, "strings": total - sum(sizes.values())}


def called() -> list[str]:
    """The functions of engine/rnnp.h that MicroPython's binding calls."""
    header = (ROOT / "mp_module" / "engine" / "rnnp.h").read_text()
    offered = re.findall(r"^[a-z].*?[ *](rnnp_\w+)\([^;]*;", header, re.MULTILINE)
    binding = "".join(path.read_text() for path in (ROOT / "mp_module" / "binding").glob("*.c"))
    return sorted(set(offered) & set(re.findall(r"\brnnp_\w+", binding)))


def parts(map_text: str) -> dict[str, int]:
    """Bytes of what a linker's map file puts into the engine's section, without strings: it gives them as they were."""
    text = map_text[map_text.index(f"\n{ENGINE_SECTION} ") :]
    text = text[: text.index(f"\n{REST_SECTION} ")]
    sizes: dict[str, int] = {}
    for section, size, place in re.findall(r"^ (\S+)\s+0x\w+\s+(0x\w+) *(\S*)$", text, re.MULTILINE):
        name = "gaps" if section == "*fill*" else f"{Path(place).stem} {section}"
        if int(size, 16) and ".str" not in section:
            sizes[name] = sizes.get(name, 0) + int(size, 16)
    return sizes


@interrupts.said
def main(words: list[str] | None = None) -> int:
    """Prints bytes by object. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", default="", metavar="NAMES", help="as RNNPOOL_WITHOUT of a firmware")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="also the N largest functions and tables")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench" / "code")
    parser.add_argument("models", nargs="*", help="built-in models, for auto")
    arguments = parser.parse_args(words)
    try:
        without = left_out(arguments.without, arguments.models)
        total, sizes = linked(arguments.build, without)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    objects: dict[str, int] = {}
    for place, size in sizes.items():
        name = place.split()[0]
        objects[name] = objects.get(name, 0) + size
    for name, size in sorted(objects.items(), key=lambda item: -item[1]):
        print(f"{size:7,}  {name}")
    for place, size in sorted(sizes.items(), key=lambda item: -item[1])[: arguments.functions]:
        print(f"{size:9,}  {place}")
    print(f"{total:7,}  bytes of code and tables" + (f", without {' '.join(without)}" if without else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
