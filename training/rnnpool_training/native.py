"""The repository's C files as shared libraries for this computer: built at first use, kept by a hash of their sources.

The engine alone (engine.py), and the module `rnnpool` for this Python. A wheel has the module compiled, with the engine
in it. Standard library only: setup.py reads this file.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of a checkout
MODULE = ROOT / "mp_module"
ENGINE = MODULE / "engine"
MODELS = ("face", "person")  # that the module has built in
MODULE_FLAGS = ("-std=gnu11", "-O2", "-DRNNPOOL_CPYTHON=1")


class BuildError(ImportError, ValueError):
    """What is missing to build it, or the compiler's words."""


def engine_sources() -> list[Path]:
    """The engine's C files."""
    return sorted(ENGINE.rglob("*.c"))


def module_sources() -> list[Path]:
    """The C files of the module for CPython, but for that of the models."""
    binding = [path for path in sorted((MODULE / "binding").glob("*.c")) if path.name != "firmware.c"]
    return [*binding, *sorted((MODULE / "cpython").glob("*.c")), *engine_sources()]


def module_includes() -> list[Path]:
    """Folders that its C files are looked for in."""
    return [MODULE, MODULE / "cpython"]


def write_models(path: Path) -> None:
    """The C file of the models."""
    command = [sys.executable, str(MODULE / "embed_models.py"), "--output", str(path), *MODELS]
    subprocess.run(command, check=True)


def build_folder() -> Path:
    """Where they are kept."""
    if os.access(ROOT, os.W_OK):
        return ROOT / "build" / "engine"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rnnpool" / "engine"


def build(name: str, sources: Sequence[Path], flags: Sequence[str], with_models: bool = False) -> Path:
    """NAME-HASH.so of C files, built if it is not there yet. with_models: and of the models. BuildError."""
    compiler = os.environ.get("CC", "cc")
    digest = hashlib.sha256(repr((compiler, tuple(flags))).encode())
    folders = {MODULE / path.relative_to(MODULE).parts[0] for path in sources if path.is_relative_to(MODULE)}
    headers = [path for folder in sorted(folders) for path in sorted(folder.rglob("*.h"))]
    models = [ROOT / "models" / f"{model}.rnnp" for model in MODELS] if with_models else []
    for path in [*sources, *headers, *models]:
        digest.update(path.name.encode() + path.read_bytes())
    library = build_folder() / f"{name}-{digest.hexdigest()[:16]}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own first: another process may be building the same.
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made, generated = Path(folder) / library.name, Path(folder) / "builtin_models.c"
        if with_models:
            write_models(generated)
        files = [*sources, *([generated] if with_models else [])]
        command = [*compiler.split(), *flags, "-fPIC", "-shared", "-o", str(made), *map(str, files)]
        try:
            result = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            raise BuildError(
                f"no C compiler, which the engine needs: {compiler}: {error.strerror}; install one, or name it with CC="
            ) from None
        if result.returncode != 0:
            raise BuildError(f"{' '.join(command)} failed:\n{result.stderr}")
        made.replace(library)
    return library


def build_module() -> Path:
    """The module `rnnpool` for this Python. BuildError."""
    if not ENGINE.is_dir():
        raise BuildError(
            "this rnnpool has neither its compiled module nor the sources: install the wheel, or a checkout"
        )
    include = Path(sysconfig.get_paths()["include"])
    if not (include / "Python.h").exists():
        raise BuildError(
            f"the module needs Python's headers, and there is no {include / 'Python.h'}: "
            "`apt-get install python3-dev` brings them on Debian; or install the wheel"
        )
    flags = [*MODULE_FLAGS, "-isystem", str(include), *(f"-I{folder}" for folder in module_includes())]
    return build(f"rnnpool-{sys.implementation.cache_tag}", module_sources(), flags, with_models=True)
