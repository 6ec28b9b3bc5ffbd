"""The folder for a release page: everything that a user may install, MANIFEST.json with versions, SHA256SUMS.

The same sources, tools and SOURCE_DATE_EPOCH give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.board import uf2
from tools.board.problem import Problem

from . import arduino, mip
from .mip import ROOT
from .problem import DistError

HEADER = ROOT / "mp_module" / "engine" / "rnnp.h"
FIRST_ZIP_TIME = 315532800  # 1980: a wheel can't hold an earlier time
FIRMWARE = (".dfu", ".hex", ".uf2", ".bin")  # what programmers take; romfs.img goes with it


def version() -> str:
    """That of the project. DistError if the engine says another."""
    project = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    if f'#define RNNP_VERSION_STRING "{project}"\n' not in HEADER.read_text():
        raise DistError(f"pyproject.toml has version {project}, mp_module/engine/rnnp.h another")
    return project


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def epoch() -> int:
    """Seconds that stand for all times in the files: SOURCE_DATE_EPOCH, else the commit's, else the earliest."""
    given = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct") or "0"
    if not given.isdecimal():
        raise DistError(f"SOURCE_DATE_EPOCH is no number of seconds: {given!r}")
    return max(int(given), FIRST_ZIP_TIME)


def wheel() -> tuple[str, bytes]:
    """Name and bytes of the wheel that pip makes of the repository. DistError with pip's last words."""
    with tempfile.TemporaryDirectory() as folder:
        # What setuptools leaves behind, which would also find its way into the next wheel.
        settings = Path(folder) / "setup.cfg"
        settings.write_text(f"[build]\nbuild_base = {folder}/build\n[egg_info]\negg_base = {folder}\n")
        environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch()), "DIST_EXTRA_CONFIG": str(settings)}
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", f"{folder}/out", str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        made = list((Path(folder) / "out").glob("*.whl"))
        if done.returncode != 0 or len(made) != 1:
            said = done.stderr.strip().splitlines() or ["it made no wheel"]
            raise DistError(f"pip could make no wheel: {said[-1]}")
        return made[0].name, made[0].read_bytes()


def firmware(build: Path) -> dict[str, bytes]:
    """Firmware that was built (make BOARD=NAME firmware), by the name of its file here; DistError if one is too large."""
    found = {}
    for elf in sorted((build / "stm32").glob("*/firmware.elf")):
        board = elf.parent.name
        paths = [path for path in sorted(elf.parent.iterdir()) if path.suffix in FIRMWARE and "firmware" in path.name]
        for path in [*paths, elf.with_name("romfs.img")]:
            if path.is_file():
                found[f"{board}-{path.name}"] = path.read_bytes()
    # Of ports/rp2 and ports/esp32, the file that is flashed.
    for path in [*(build / "rp2").glob("*/firmware.uf2"), *(build / "esp32").glob("*/firmware.bin")]:
        found[f"{path.parent.name}-{path.name}"] = path.read_bytes()
        if path.suffix == ".uf2":
            try:
                uf2.check(path)
            except Problem as problem:
                raise DistError(str(problem)) from None
    return found


def _said_first(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else ""


def versions(build: Path) -> dict[str, Any]:
    """What it was made of and with."""
    blob = re.search(r"#define RNNP_BLOB_VERSION \((\d+)\)", HEADER.read_text())
    source = build / "micropython" / ".rnnpool-source"
    micropython = dict(line.split("=", 1) for line in source.read_text().split()) if source.is_file() else {}
    tools = {
        "arm-none-eabi-gcc": _said_first("arm-none-eabi-gcc", "--version"),
        "riscv64-unknown-elf-gcc": _said_first("riscv64-unknown-elf-gcc", "--version"),
        "gcc": _said_first("gcc", "--version"),
        "clang": _said_first("clang", "--version"),
    }
    return {
        "rnnpool": version(),
        "commit": _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
        "source_date_epoch": epoch(),
        "blob_format": int(blob[1]) if blob else None,
        "mpy_format": mip.MPY_VERSION,
        "micropython": micropython.get("MICROPY_GIT_TAG", ""),
        "compilers": {name: said for name, said in tools.items() if said},
    }


def gather(build: Path, native: Mapping[str, bytes], models: list[Path]) -> dict[str, bytes]:
    """All files by name, but the manifest and the checksums. DistError if one is missing."""
    blobs = mip.models(models)
    files = mip.packages(native, blobs, version())
    files[f"rnnpool-{version()}-arduino.zip"] = arduino.pack(arduino.library(version(), blobs), "rnnpool", epoch())
    for name, module in native.items():
        if version().encode() not in module:
            raise DistError(f"rnnpool.mpy of {name} is of another version than {version()}: make natmod-all")
    for model in models:
        card = model.with_suffix(".md")
        if not card.is_file():
            raise DistError(f"{model} has no card {card.name} beside it")
        files[card.name] = card.read_bytes()
    page = build / "web" / "index.html"
    if not page.is_file():
        raise DistError(f"no {page}: make web")
    files["rnnpool.html"] = page.read_bytes()
    files["rnnpool.pyi"] = (ROOT / "typings" / "rnnpool.pyi").read_bytes()
    files["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    name, data = wheel()
    files[name] = data
    return files | firmware(build)


def release(build: Path, native: Mapping[str, bytes], models: list[Path]) -> dict[str, bytes]:
    """The whole folder: gather()'s files, MANIFEST.json and SHA256SUMS (for `sha256sum -c`). DistError."""
    files = gather(build, native, models)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    listed = {name: {"bytes": len(files[name]), "sha256": digest} for name, digest in hashes.items()}
    manifest = (json.dumps({"versions": versions(build), "files": listed}, indent=1) + "\n").encode()
    hashes["MANIFEST.json"] = hashlib.sha256(manifest).hexdigest()
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return files | {"MANIFEST.json": manifest, "SHA256SUMS": sums.encode()}
