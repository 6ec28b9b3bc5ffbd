"""What models need, asked of the engine itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .problem import FirmwareError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENGINE = ROOT / "mp_module" / "engine"
BUILD = ROOT / "build" / "stm32"


@dataclass(frozen=True)
class Model:
    """A model's name (of its file, without suffix) and needs, in bytes.

    frame: a whole frame of the model's own size, and row one row of it, as a camera gives them: one byte a pixel for a
    model with one channel, two (RGB565) for one with three.
    """

    name: str
    size: int
    arena: int
    frame: int
    row: int


def _program() -> Path:
    """Path of model_needs, built for this computer at first use and kept by a hash of its sources."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise FirmwareError("there is no C compiler for this computer: sudo apt-get install gcc libc6-dev")
    sources = [HERE / "model_needs.c", *sorted(ENGINE.rglob("*.c"))]
    digest = hashlib.sha256()
    for file in [*sources, *sorted(ENGINE.rglob("*.h"))]:
        digest.update(file.read_bytes())
    program = BUILD / f"model_needs-{digest.hexdigest()[:16]}"
    if not program.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        unfinished = program.with_suffix(f".{os.getpid()}.tmp")
        command = [compiler, "-std=c99", "-O1", f"-I{ENGINE.parent}", "-o", str(unfinished), *map(str, sources)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise FirmwareError(f"tools/stm32/model_needs.c does not compile: {done.stderr.strip()}")
        os.replace(unfinished, program)
    return program


def needs(paths: list[Path]) -> list[Model]:
    """What the models in these files need. Raises FirmwareError for one that the engine refuses."""
    if not paths:
        return []
    done = subprocess.run([_program(), *map(str, paths)], capture_output=True, text=True)
    if done.returncode:
        raise FirmwareError(done.stderr.strip())
    found = []
    for path, line in zip(paths, done.stdout.splitlines(), strict=True):
        width, height, channels, size, arena = map(int, line.split(" ", 5)[:5])
        row = width * (1 if channels == 1 else 2)
        found.append(Model(path.stem, size, arena, row * height, row))
    return found
