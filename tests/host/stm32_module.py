"""The module's sources as ports/stm32 would compile them, as far as that goes without stm32lib.

Flags and file names are upstream's own, as its makefile prints them. Missing are the headers of ST's library, a git
submodule of MicroPython (empty in source packages), and what is generated from all sources of a firmware. In their
place stand headers that are written here: nearly nothing for the library, and the module's own interned strings.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOARD = "NUCLEO_F439ZI"
BOARD_DIR = ROOT / "ports" / "stm32" / "boards" / BOARD
COMPILER = "arm-none-eabi-gcc"
# What is not done here, and why.
LEFT_OUT = (
    "MicroPython's own ports/stm32 is not compiled and no whole firmware is linked: that needs ST's library, "
    "lib/stm32lib, which source packages of MicroPython do not have; MPY_DIR=<a clone with submodules> does it"
)


@cache
def micropython() -> Path:
    """MicroPython's pinned source, obtained if it is not there."""
    tool = ROOT / "tools" / "get_micropython.py"
    done = subprocess.run([sys.executable, str(tool)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@cache
def make_variables(variant: str) -> dict[str, list[str]]:
    """Words of the variables of upstream's makefile for our board and one of its variants ("" for the first)."""
    names = ["CFLAGS", "CFLAGS_USERMOD", "SRC_USERMOD_C", "SRC_USERMOD_LIB_C", "LDFLAGS", "LIBS"]
    prints = "".join(f"$(info rnnpool:{name} $({name}))" for name in names)
    command = ["make", "-C", str(micropython() / "ports" / "stm32"), "--no-print-directory", "-s"]
    command += [
        f"BOARD={BOARD}",
        f"BOARD_DIR={BOARD_DIR}",
        f"USER_C_MODULES={ROOT}",
        "RNNPOOL_MODELS=",
        "BUILD=build-none",
    ]
    command += [f"BOARD_VARIANT={variant}"] if variant else []
    done = subprocess.run([*command, f"--eval=rnnpool: ; {prints}@:", "rnnpool"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^rnnpool:(\w+) ?(.*)$", done.stdout, re.MULTILINE)
    assert [name for name, _ in found] == names
    return {name: shlex.split(text) for name, text in found}


def write_headers(folder: Path) -> None:
    """Writes the headers that stand in for missing ones: folder/genhdr/ and folder/stm32f4xx_hal.h."""
    generated = folder / "genhdr"
    generated.mkdir(parents=True)
    binding = ROOT / "mp_module" / "binding"
    texts = [file.read_text() for file in [*binding.glob("*.[ch]"), *(micropython() / "py").glob("*.h")]]
    strings = sorted({name for text in texts for name in re.findall(r"\bMP_QSTR_(\w*)", text)})
    lines = [f'QDEF1(MP_QSTR_{name}, 0, {len(name)}, "{name}")' for name in strings]
    (generated / "qstrdefs.generated.h").write_text("\n".join(lines) + "\n")
    registered = re.compile(r"^MP_REGISTER_ROOT_POINTER\((.+)\);", re.MULTILINE)
    pointers = [found for text in texts for found in registered.findall(text)]
    (generated / "root_pointers.h").write_text("".join(f"{pointer};\n" for pointer in pointers))
    (folder / "stm32f4xx_hal.h").write_text("#include <stdint.h>\n#define STM32F4\n")


@dataclass(frozen=True)
class Compiled:
    """One source: its object, and what the compiler said if it failed."""

    source: Path
    object: Path
    error: str


def compile_module(folder: Path, variant: str, only: str = "") -> list[Compiled]:
    """Compiles every source of the module, or those in the folder `only`, with upstream's flags for a board's variant.

    Beyond upstream's flags: texts of errors stay uncompressed, since their compression needs all sources of a firmware.
    """
    write_headers(folder)
    variables = make_variables(variant)
    sources = [Path(text) for text in [*variables["SRC_USERMOD_C"], *variables["SRC_USERMOD_LIB_C"]]]
    models = folder / "rnnpool_builtin_models.c"
    embed = [sys.executable, str(ROOT / "mp_module" / "embed_models.py"), "--output", str(models), "face"]
    subprocess.run(embed, check=True)
    sources = [models if source.name == models.name else source for source in sources]
    sources = [source for source in sources if not only or source.parent.name == only]
    flags = [*variables["CFLAGS"], *variables["CFLAGS_USERMOD"]]
    flags += [f"-I{folder}", "-UMICROPY_ROM_TEXT_COMPRESSION"]

    def compile_one(source: Path) -> Compiled:
        out = folder / f"{source.parent.name}_{source.stem}.o"
        command = [COMPILER, *flags, "-c", str(source), "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=micropython() / "ports" / "stm32")
        return Compiled(source, out, done.stderr if done.returncode else "")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


def link_module(objects: list[Path], variant: str, folder: Path) -> Path:
    """Links the module's objects by upstream's linker scripts and ours: firmware.elf, and firmware.map beside it.

    MicroPython itself is not in it, so its symbols stay open: for the layout of memory only, not to be run.
    """
    elf = folder / "firmware.elf"
    flags = [flag for flag in make_variables(variant)["LDFLAGS"] if not flag.startswith("-Wl,-Map=")]
    flags += [
        f"-Wl,-Map={elf.with_suffix('.map')}",
        "-Wl,--unresolved-symbols=ignore-all",
        "-Wl,-urnnpool_user_cmodule",
    ]
    cpu = [flag for flag in make_variables(variant)["CFLAGS"] if flag.startswith(("-mcpu", "-mthumb", "-mf"))]
    command = [COMPILER, *cpu, *flags, "-o", str(elf), *map(str, objects), *make_variables(variant)["LIBS"]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=micropython() / "ports" / "stm32")
    assert done.returncode == 0, done.stderr
    return elf
