#!/usr/bin/env python3
"""Writes the C file with the models that are built into a firmware (interface: mp_module/binding/builtin_models.h).

    embed_models.py --output build/rnnpool_builtin_models.c face my/own.rnnp
    embed_models.py --header --output face_rnnp.h face

    embed_models.py --without "auto DENSE" face

With --without: prints what a firmware leaves out (RNNPOOL_WITHOUT): the names of engine/left_out.h in the list, and for
`auto` all that none of the models needs. With --header: a C header for programs without MicroPython, which defines
rnnpool_NAME[] (docs/c.md).

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
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE / "models", HERE.parent / "models")
MAGIC = b"RNNP"
WRITTEN = "// Written by mp_module/embed_models.py"  # what begins so is written over
ALIGNMENT = 16  # mp_module/SPEC.md
BLOB_VERSION, HEADER_SIZE, OP_SIZE = 4, 128, 64
OPERATORS = HERE / "engine" / "operators" / "operators.c"
FEATURES = HERE / "engine" / "left_out.h"
MATERIALIZE, SMOOTH, FINE, TFLITE, WIDE, PROJECT = 1, 4, 8, 16, 32, 64  # flags of an operator
TASKS = {3: "LAYER", 4: "MAP"}
FASTER = {"BY_STEP", "TILE1", "COLUMNS2", "TAPS4", "FIRST_GRAY", "FIRST_RGB"}  # never missed
BY_NAME = {"CHECKS", "YUV", "VIEW", "LIGHT"}  # what no model says
TILED = ("CONV", "INVERTED_RESIDUAL", "DETECT_HEAD", "DENSE")  # kinds whose pixels are taken by fours, threes and twos
TAPS = ("CONV", "DETECT_HEAD", "DENSE")  # kinds with windows that have a kernel of their own
SHIFTED = ("CONV", "DEPTHWISE", "ADD", "MUL")  # kinds whose shift is in kernels


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


def read(path: Path) -> bytes:
    """The bytes of an .rnnp file that is whole; raises ModelError for any other."""
    data = path.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        raise ModelError(f"model {path} is no .rnnp file: it starts with {data[: len(MAGIC)]!r}, not {MAGIC!r}")
    if len(data) < HEADER_SIZE:
        raise ModelError(f"model {path}: {len(data)} bytes are no whole .rnnp file")
    version, size, crc = struct.unpack_from("<4xH2xII", data)
    if version != BLOB_VERSION:
        remedy = ": export the model again" if version < BLOB_VERSION else ""
        raise ModelError(f"model {path}: blob version {version}, {BLOB_VERSION} is needed{remedy}")
    if len(data) < size:
        raise ModelError(f"model {path}: {len(data)} bytes are no whole .rnnp file, {size} are")
    if zlib.crc32(data[16:size]) != crc:
        raise ModelError(f"model {path} was damaged: its checksum is not what it says")
    return data[:size]


def _array(name: str, blob: bytes) -> list[str]:
    lines = [f"static const uint8_t {name}[{len(blob)}] __attribute__((aligned({ALIGNMENT}))) = {{"]
    lines += ["    " + "".join(f"{byte}," for byte in blob[at : at + 32]) for at in range(0, len(blob), 32)]
    return [*lines, "};", ""]


def c_header(models: list[tuple[str, bytes]]) -> str:
    """Returns the C header for (name, blob) pairs."""
    lines = [f"{WRITTEN}: include it in one file.", "#include <stdint.h>", ""]
    for name, blob in models:
        lines += _array(f"rnnpool_{name}", blob)
    return "\n".join(lines)


def c_source(models: list[tuple[str, bytes]]) -> str:
    """Returns the C file for (name, blob) pairs."""
    lines = [
        f"{WRITTEN}.",
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


def _is_usual(columns: int, shift: int) -> bool:
    """A matrix of a cell as engine/operators/rnnpool.c has it."""
    return (columns, shift) in ((8, 16), (16, 15), (16, 16))


def _needs_less_at_once(fields: bytes, in_width: int, channels: int, out_width: int, outputs: int) -> bool:
    """Whether RNNPOOL takes all rows of a patch at once, as engine/operators/rnnpool.c has it."""
    kernel, kernel_w, stride, _, pad_right = fields[:5]
    (hidden,) = struct.unpack_from("<H", fields, 6)
    lanes, phases, overlap = 4, min(stride, kernel_w), (kernel_w - 1) // stride
    groups = (out_width - pad_right + overlap + lanes - 1) // lanes
    row = (groups - overlap // lanes) * 2 * lanes * ((outputs // 4 + 1) // 2)  # of the ring, in values
    states = groups * phases * 2 * lanes * ((hidden + 1) // 2)
    by_step = ((kernel - 1) // stride + 1) * states + (kernel - 1) * row
    pixels = phases * ((hidden + 1) // 2) * (lanes + overlap) * 4 + in_width * channels  # bytes of a row
    return (kernel - min(kernel, stride)) * row + (kernel - 1) * pixels // 2 < by_step


def _features_of(kind: str, record: bytes) -> set[str]:
    """What an operator needs beside its kind, from its record in the blob (mp_module/SPEC.md)."""
    flags, shift, fields = record[1], record[3], record[36:]
    named = (("FINE", FINE), ("TFLITE", TFLITE), ("MATERIALIZE", MATERIALIZE), ("PROJECT", PROJECT))
    used = {name for name, flag in named if flags & flag}
    in_width, channels, _, out_width, out_channels = struct.unpack_from("<5H", record, 14)
    clamp = struct.unpack_from("<2b", record, 26)
    projects = flags & PROJECT != 0
    if (kind in TILED or projects) and (out_width % 2 or (kind == "INVERTED_RESIDUAL" and in_width % 2)):
        used.add("TILE1")
    if (
        clamp != (-128, 127)
        or (projects and fields[9:11] != b"\x80\x7f")
        or (kind == "INVERTED_RESIDUAL" and fields[6:10] != b"\x80\x7f\x80\x7f")
    ):
        used.add("CLAMP")
    if kind == "DEPTHWISE" or (kind == "INVERTED_RESIDUAL" and fields[0] == 1 and in_width % 4 in (1, 2)):
        used.add("COLUMNS2")
    if kind in TAPS and channels == 1 and fields[1] == 4:
        used.add("TAPS4")
    if kind == "CONV" and fields[:4] == b"\3\3\2\2" and (channels, out_channels) == (1, 4):
        used.add("FIRST_GRAY")
    if kind == "CONV" and fields[:4] == b"\3\3\2\2" and channels == 3:
        used.add("FIRST_RGB")
    outputs = struct.unpack_from("<H", record, 22) if kind in ("CONV", "INVERTED_RESIDUAL") or projects else ()
    if kind == "INVERTED_RESIDUAL":
        outputs += struct.unpack_from("<H", fields, 2)
    if flags & WIDE or any(count % 4 for count in outputs):
        used.add("ANY_DENSE")
    if kind == "DETECT_HEAD" and fields[11]:
        used.add("CLASSES")
    if kind in SHIFTED and shift:
        used.add("SHIFT")
    if kind == "INVERTED_RESIDUAL" and fields[10:12] != bytes(2):
        used.add("RECOMPUTE")
    if kind == "RNNPOOL":
        hidden, shift_w1, shift_u1, shift_w2, shift_u2, *update = struct.unpack_from("<H4B4H", fields, 6)
        usual = _is_usual(hidden, shift_u1) and _is_usual(out_channels // 4, shift_u2) and update == [32768, 0] * 2
        four = channels == 4 and 6 <= shift_w1 <= 12
        if flags & SMOOTH or not usual or not (channels in (8, 16) or four):
            used.add("ANY_CELL")
        if not (four or _is_usual(channels, shift_w1)) or not _is_usual(hidden, shift_w2):
            used.add("CELL_SHIFT")
        if not _needs_less_at_once(fields, in_width, channels, out_width, out_channels):
            used.add("BY_STEP")
    return used


def used_by(path: Path, kinds: list[str]) -> set[str]:
    """Names of engine/left_out.h that a model needs; raises ModelError for what is no blob."""
    blob = read(path)
    task, channels, num_ops, ops_offset = struct.unpack_from("<16xBB4xHI", blob)
    used = {"RGB"} if channels == 3 else set()
    used |= {TASKS[task]} if task in TASKS else set()
    for at in range(ops_offset, ops_offset + OP_SIZE * num_ops, OP_SIZE):
        if not 1 <= blob[at] <= len(kinds):
            raise ModelError(f"model {path}: operators of kind {blob[at]} are of a newer engine than this")
        kind = kinds[blob[at] - 1]
        used |= {kind} | _features_of(kind, blob[at : at + OP_SIZE])
    return used


def left_out(names: list[str], models: list[str]) -> list[str]:
    """The names of engine/left_out.h among `names`, and for `auto` all that no model needs; raises ModelError."""
    kinds = re.findall(r"^ +X\((\w+), rnnp_\w+\)", OPERATORS.read_text(), re.MULTILINE)
    known = re.findall(r"^#ifndef RNNP_WITH_(\w+)", FEATURES.read_text(), re.MULTILINE)
    for name in names:
        if name not in known and name != "auto":
            raise ModelError(f"RNNPOOL_WITHOUT: {name} is none of auto, {', '.join(known)}")
    needs = {name: used_by(path, kinds) for name, path in map(find, models)} if names else {}
    out = [name for name in known if name in names]
    if "auto" in names:
        if not models:
            raise ModelError("RNNPOOL_WITHOUT=auto leaves out what no model needs, and there is no model: name one")
        out = [name for name in known if name in names or name not in BY_NAME.union(*needs.values())]
    if "CHECKS" in names:
        for model, used in needs.items():
            for name in sorted(used.intersection(out) - FASTER):
                raise ModelError(f"RNNPOOL_WITHOUT: model {model} needs {name}, and without CHECKS nothing refuses it")
    return out


def embed(models: list[str], output: Path, header: bool = False) -> None:
    """Writes `output` for the given models; raises ModelError for one that is missing, no blob, or there twice."""
    blobs: list[tuple[str, bytes]] = []
    for name, path in map(find, models):
        blob = read(path)
        if not name.isidentifier() or not name.isascii():
            raise ModelError(f"model {path}: {name!r} is no name for a model (letters, digits and _ only)")
        if name in dict(blobs):
            raise ModelError(f"two models have the name {name}")
        blobs.append((name, blob))
    text = (c_header(blobs) if header else c_source(blobs)).encode()
    there = output.read_bytes() if output.is_file() else b""
    if there == text:
        return
    if there and not there.startswith(WRITTEN.encode()):
        raise ModelError(f"{output} would be written over, and it is no C file of this program: choose another name")
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and not (output.is_file() or output.is_dir()):  # /dev/stdout
            output.write_bytes(text)
            return
        try:
            unfinished.write_bytes(text)
            os.replace(unfinished, output)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{output} can't be written: {error.strerror}") from None


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="the C file to write")
    parser.add_argument("--without", metavar="NAMES", help="print what is left out of the engine, instead")
    parser.add_argument("--header", action="store_true", help="a header for programs in C and C++")
    parser.add_argument("models", nargs="*", help="names in models/ or paths of .rnnp files")
    arguments = parser.parse_args()
    if arguments.without is None and arguments.output is None:
        parser.error("--output or --without is needed")
    try:
        if arguments.without is not None:
            print(" ".join(left_out(re.findall("[^ ,;]+", arguments.without), arguments.models)))
        else:
            embed(arguments.models, arguments.output, arguments.header)
    except ModelError as error:
        print(f"embed_models: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"embed_models: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
