"""Bytes of the engine's code and tables in a Cortex-M4's firmware: `python -m tools.bench.code [--without NAMES]`.

A firmware is linked that can call all of engine/rnnp.h; what the linker takes is counted.

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

from .compile import FIRMWARE, M4, ROOT, WARNINGS, Target, code_sections, compile_objects, compiler
from .machine import BenchError
from .network import SIZE, SPEED, engine_sources, is_kernel


def left_out(names: str, models: list[str]) -> list[str]:
    """What RNNPOOL_WITHOUT=names leaves out for these models. Raises BenchError."""
    command = [sys.executable, str(ROOT / "mp_module" / "embed_models.py"), "--without", names, *models]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        raise BenchError(said.stderr.strip())
    return said.stdout.split()


def linked(build: Path, without: list[str], target: Target = M4) -> tuple[int, dict[str, int]]:
    """Bytes of the engine's code and tables without some names of left_out.h, and of each section of it."""
    flags = [*WARNINGS, f"-I{ROOT / 'mp_module'}", f"-I{FIRMWARE}", *(f"-DRNNP_WITH_{name}=0" for name in without)]
    kernels = [source for source in engine_sources() if is_kernel(source)]
    objects = compile_objects(build, kernels, [SPEED, *flags], target)
    objects += compile_objects(build, [s for s in engine_sources() if s not in kernels], [SIZE, *flags], target)
    header = (ROOT / "mp_module" / "engine" / "rnnp.h").read_text()
    roots = sorted(set(re.findall(r"^[a-z].*?[ *](rnnp_\w+)\([^;]*;", header, re.MULTILINE)))
    main = build / "main.c"
    main.write_text("int main(void) {\n    return 0;\n}\n")
    objects += compile_objects(build, [main], [SIZE], target)
    command = [compiler(target), *target.cpu, "-nostartfiles", f"--specs={target.specs}", "-Wl,--gc-sections,-emain"]
    command += [*(f"-Wl,-u,{name}" for name in roots), *map(str, objects), "-o", str(build / "code.elf")]
    command += ["-Wl,--print-gc-sections"]
    said = subprocess.run(command, capture_output=True, text=True)
    if said.returncode:
        raise BenchError(f"{' '.join(command)}\n{said.stderr}")
    removed = set(re.findall(r"removing unused section '(\S+)' in file '(\S+)'", said.stderr))
    sizes: dict[str, int] = {}
    for path in objects[:-1]:
        for name, size in code_sections(path).items():
            if (name, str(path)) not in removed and size:
                sizes[f"{path.stem} {name}"] = size
    return sum(sizes.values()), sizes


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
