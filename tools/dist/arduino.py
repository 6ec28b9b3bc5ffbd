"""The engine as a library for the Arduino IDE: a .zip for "Sketch > Include Library > Add .ZIP Library".

Arduino wants sources in src/ and compiles all of them; the repository has them elsewhere, so the layout is made here.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mp_module import embed_models

from .mip import FACE, ROOT
from .problem import DistError

MODULE = ROOT / "mp_module"
ARDUINO = ROOT / "ports" / "arduino"
EXAMPLE = "examples/DetectFaces/"


def library(version: str, models: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files of the library by path. DistError if there is no face model, or library.properties has another version."""
    if FACE not in models:
        raise DistError(f"the Arduino example needs a model {FACE}.rnnp")
    properties = (ARDUINO / "library.properties").read_text()
    if f"\nversion={version}\n" not in properties:
        raise DistError(f"pyproject.toml has version {version}, ports/arduino/library.properties another")
    files = {
        "library.properties": properties.encode(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
        "README.md": (ROOT / "docs" / "c.md").read_bytes(),
        "src/rnnpool.h": (MODULE / "rnnpool.h").read_bytes(),
        "extras/embed_models.py": (MODULE / "embed_models.py").read_bytes(),
        f"{EXAMPLE}DetectFaces.ino": (ARDUINO / "DetectFaces" / "DetectFaces.ino").read_bytes(),
        f"{EXAMPLE}{FACE}_rnnp.h": embed_models.c_header([(FACE, models[FACE])]).encode(),
        f"{EXAMPLE}{FACE}.md": (ROOT / "models" / f"{FACE}.md").read_bytes(),
    }
    for path in [*MODULE.glob("engine/**/*.[ch]")]:
        files[f"src/{path.relative_to(MODULE).as_posix()}"] = path.read_bytes()
    return files


def pack(files: Mapping[str, bytes], folder: str, epoch: int) -> bytes:
    """A .zip of the files in a folder, the same bytes for the same files and epoch (seconds since 1970, from 1980 on)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(f"{folder}/{name}", time.gmtime(epoch)[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)
    return packed.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """The files in a folder, which may be there."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
