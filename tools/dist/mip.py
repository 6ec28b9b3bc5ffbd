"""Packages for mip, MicroPython's installer: `mpremote mip install URL/rnnpool-armv6m.json URL/face.json`.

All files lie in one folder, as on a release page, and a package is a .json that names those beside it (mip: relative
`urls`), so the folder can be served from anywhere, or be a folder of this computer. Per architecture rnnpool-ARCH.json
with rnnpool-ARCH.mpy, for some also rnnpool-ARCH-lean.json with one that has only what the shipped models need; per
model NAME.json with NAME.rnnp; and package.json, for any board: a small rnnpool.py with the .mpy files of
three architectures, of which it takes the right one, and the face model.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

from rnnpool_training.blob import BlobError, read

from .problem import DistError

ROOT = Path(__file__).resolve().parents[2]
WRAPPER = ROOT / "mp_module" / "natmod" / "rnnpool.py"

# Numbers in the header of a .mpy file (MicroPython's py/persistentcode.h).
MPY_VERSION = 6
ARCHITECTURES = {
    "x64": 2,
    "armv6m": 4,
    "armv7m": 5,
    "armv7emsp": 7,
    "armv7emdp": 8,
    "xtensawin": 10,
    "rv32imc": 11,
}
# Those of which rnnpool.py takes one: others run on the same processors, and are not much faster.
CHOICE = ("armv6m", "armv7emsp", "rv32imc", "xtensawin")
# Behind an architecture's name: less code (ports/natmod/natmod.mk).
LEAN = "-lean"
ANY_BOARD = "package.json"
FACE = "face"


def check_module(name: str, module: bytes) -> None:
    """Raises DistError if these are not the bytes of a native .mpy for the architecture."""
    if len(module) < 4 or module[:1] != b"M":
        raise DistError(f"rnnpool.mpy of {name} is no .mpy file")
    version, features = struct.unpack("BB", module[1:3])
    if version != MPY_VERSION:
        raise DistError(f"rnnpool.mpy of {name} has version {version} of the format, not {MPY_VERSION}")
    kind = ARCHITECTURES[name.removesuffix(LEAN)]
    if features >> 2 != kind:
        raise DistError(f"rnnpool.mpy of {name} is for native code of kind {features >> 2}, not {kind}")


def modules(folder: Path) -> dict[str, bytes]:
    """The checked rnnpool.mpy files in FOLDER/ARCH[-lean]/ by that name; DistError if there is none or a wrong one."""
    found = {}
    for name in (name + suffix for name in ARCHITECTURES for suffix in ("", LEAN)):
        path = folder / name / "rnnpool.mpy"
        if path.is_file():
            found[name] = path.read_bytes()
            check_module(name, found[name])
    if not found:
        raise DistError(f"no {folder}/ARCH/rnnpool.mpy: make natmod-all")
    return found


def models(paths: list[Path]) -> dict[str, bytes]:
    """Checked models by name. DistError."""
    found = {}
    for path in paths:
        found[path.stem] = path.read_bytes()
        try:
            read(found[path.stem])
        except BlobError as error:
            raise DistError(f"{path} is no model: {error}") from None
    return found


def _package(version: str, files: Mapping[str, str]) -> bytes:
    """A package.json: the files' names on the board, and beside it."""
    package = {"version": version, "urls": [[there, here] for there, here in sorted(files.items())]}
    return (json.dumps(package, indent=1) + "\n").encode()


def packages(native: Mapping[str, bytes], blobs: Mapping[str, bytes], version: str) -> dict[str, bytes]:
    """All files of the folder by name: modules and models, and the packages of them."""
    files = {"rnnpool.py": WRAPPER.read_bytes()}
    every = {"rnnpool.py": "rnnpool.py"}
    for name, module in native.items():
        files[f"rnnpool-{name}.mpy"] = module
        files[f"rnnpool-{name}.json"] = _package(version, {"rnnpool.mpy": f"rnnpool-{name}.mpy"})
        if name in CHOICE:
            every[f"rnnpool_{name}.mpy"] = f"rnnpool-{name}.mpy"
    for name, blob in blobs.items():
        files[f"{name}.rnnp"] = blob
        files[f"{name}.json"] = _package(version, {f"{name}.rnnp": f"{name}.rnnp"})
    if FACE in blobs:
        every[f"{FACE}.rnnp"] = f"{FACE}.rnnp"
    files[ANY_BOARD] = _package(version, every)
    return files
