#!/usr/bin/env python3
"""Writes the C file with the models that are built into a firmware (interface: mp_module/binding/builtin_models.h).

    embed_models.py --output build/rnnpool_builtin_models.c face my/own.rnnp
    embed_models.py --header --output face_rnnp.h face

    embed_models.py --unused-kinds face

With --unused-kinds: prints the kinds of operator that none of the models has, for RNNPOOL_WITHOUT. With --header: a
C header for programs without MicroPython, which defines rnnpool_NAME[] (docs/c.md).

A model is the path of an .rnnp file, or the name of one without its suffix: of the folder models/ in this one, if there
is such a one (a copied module may bring its own), or of models/ of rnnpool's repository. The output is left alone if
it would not change, so that nothing is compiled again. Standard library only: firmware builds run it.
"""

from __future__ import annotations

import argparse
import os
import re
import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE / "models", HERE.parent / "models")
MAGIC = b"RNNP"
ALIGNMENT = 16  # mp_module/SPEC.md
BLOB_VERSION, OP_SIZE = 3, 64
OPERATORS = HERE / "engine" / "operators" / "operators.c"


class ModelError(Exception):
    """A model can't be embedded; the text is one sentence for the user."""


def find(model: str) -> tuple[str, Path]:
    """Returns (name, path) of a model given by name or by path; raises ModelError if there is none."""
    paths = [Path(model)] if model.endswith(".rnnp") else [folder / f"{model}.rnnp" for folder in FOLDERS]
    for path in paths:
        if path.is_file():
            return path.stem, path
    have = ", ".join(sorted({file.stem for folder in FOLDERS for file in folder.glob("*.rnnp")})) or "none"
    raise ModelError(f"model {model}: no file {paths[-1]} (by name there are: {have}; an empty list builds none in)")


def _array(name: str, blob: bytes) -> list[str]:
    lines = [f"static const uint8_t {name}[{len(blob)}] __attribute__((aligned({ALIGNMENT}))) = {{"]
    lines += ["    " + "".join(f"{byte}," for byte in blob[at : at + 32]) for at in range(0, len(blob), 32)]
    return [*lines, "};", ""]


def c_header(models: list[tuple[str, bytes]]) -> str:
    """Returns the C header for (name, blob) pairs."""
    lines = ["// Written by mp_module/embed_models.py: include it in one file.", "#include <stdint.h>", ""]
    for name, blob in models:
        lines += _array(f"rnnpool_{name}", blob)
    return "\n".join(lines)


def c_source(models: list[tuple[str, bytes]]) -> str:
    """Returns the C file for (name, blob) pairs."""
    lines = [
        "// Written by mp_module/embed_models.py.",
        '#include "binding/builtin_models.h"',
        "",
        "#include <stddef.h>",
        "",
    ]
    for index, (_, blob) in enumerate(models):
        lines += _array(f"model_{index}", blob)
    lines.append("const rnnp_builtin_model_t rnnp_builtin_models[] = {")
    lines += [f'    {{ "{name}", model_{index}, {len(blob)} }},' for index, (name, blob) in enumerate(models)]
    lines += ["    { NULL, NULL, 0 }, // C has no empty arrays", "};"]
    lines.append(f"const uint32_t rnnp_builtin_models_len = {len(models)};")
    return "\n".join(lines) + "\n"


def unused_kinds(models: list[str]) -> list[str]:
    """Kinds of operator that none of the models has, by the names of the engine's table; raises ModelError."""
    kinds = re.findall(r"^ +X\((\w+), rnnp_\w+\)", OPERATORS.read_text(), re.MULTILINE)
    used = set()
    for _, path in map(find, models):
        blob = path.read_bytes()
        try:
            version, num_ops, ops_offset = struct.unpack_from("<4xH16xHI", blob)
            used |= {blob[ops_offset + OP_SIZE * i] for i in range(num_ops)}
        except (struct.error, IndexError):
            raise ModelError(f"model {path}: {len(blob)} bytes are no whole .rnnp file") from None
        if blob[: len(MAGIC)] != MAGIC or version != BLOB_VERSION:
            raise ModelError(f"model {path}: blob version {version}, {BLOB_VERSION} is needed")
    return [kind for number, kind in enumerate(kinds, 1) if number not in used]


def embed(models: list[str], output: Path, header: bool = False) -> None:
    """Writes `output` for the given models; raises ModelError for one that is missing, no blob, or there twice."""
    blobs: list[tuple[str, bytes]] = []
    for name, path in map(find, models):
        blob = path.read_bytes()
        if blob[: len(MAGIC)] != MAGIC:
            raise ModelError(f"model {path} is no .rnnp file: it starts with {blob[: len(MAGIC)]!r}, not {MAGIC!r}")
        if not name.isidentifier() or not name.isascii():
            raise ModelError(f"model {path}: {name!r} is no name for a model (letters, digits and _ only)")
        if name in dict(blobs):
            raise ModelError(f"two models have the name {name}")
        blobs.append((name, blob))
    text = c_header(blobs) if header else c_source(blobs)
    if output.exists() and output.read_text() == text:
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_suffix(".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, output)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="the C file to write")
    parser.add_argument("--unused-kinds", action="store_true", help="print the kinds that no model has, instead")
    parser.add_argument("--header", action="store_true", help="a header for programs in C and C++")
    parser.add_argument("models", nargs="*", help="names in models/ or paths of .rnnp files")
    arguments = parser.parse_args()
    if not arguments.unused_kinds and arguments.output is None:
        parser.error("--output or --unused-kinds is needed")
    try:
        if arguments.unused_kinds:
            print(" ".join(unused_kinds(arguments.models)))
        else:
            embed(arguments.models, arguments.output, arguments.header)
    except (ModelError, OSError) as error:
        print(f"embed_models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
