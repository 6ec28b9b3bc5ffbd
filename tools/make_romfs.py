#!/usr/bin/env python3
"""Builds a MicroPython ROMFS image in which every file starts at a multiple of 16 bytes, or lists one.

    make_romfs.py build rom.img models/face.rnnp main.py=examples/detect.py lib/=typings/
    make_romfs.py list rom.img

A file is PATH (kept under its own name), NAME=PATH, or a folder: FOLDER (its content goes to the root) or NAME/=FOLDER.
Deploy with `mpremote romfs deploy rom.img` or flash it at the start of the board's ROMFS partition: partitions start at
multiples of 16, so a model is used in place. `mpremote romfs build` puts files at any address, and then a model must be
copied to RAM. The format is described in MicroPython's extmod/vfs_rom.c. Standard library only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Union

# From a checkout, without installing anything: that module, too, is of the standard library only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "training"))
from rnnpool_training.errors import printable, sentence
from rnnpool_training.files import ROMFS, check_output, write_bytes

ALIGNMENT = 16  # of the .rnnp blob, mp_module/SPEC.md

MAGIC = ROMFS.begins  # the varuint of the record kind "file system"
PADDING, DATA, POINTER, DIRECTORY, FILE = 1, 2, 3, 4, 5

# A varuint may begin with 0x80 bytes that mean nothing. Lengths that come before the files' data are stored in a fixed
# number of bytes that way, so that a record's position does not depend on the sizes of what it holds.
LENGTH_BYTES = 4
ROOT_LENGTH_BYTES = 5

Tree = Mapping[str, Union[bytes, "Tree"]]


class RomfsError(Exception):
    """What can't be built or read; the text is one sentence for the user."""


def varuint(value: int, size: int = 0) -> bytes:
    """Returns `value` as big-endian groups of 7 bits, in at least `size` bytes."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    groups += [0x80] * (size - len(groups))
    if 0 < size < len(groups):
        raise RomfsError(f"a length does not fit {size} bytes of 7 bits")
    return bytes(reversed(groups))


def _padding(position: int) -> bytes:
    """Returns a padding record, or nothing, so that the data of a record that comes next at `position` are aligned."""
    data_header = 1 + LENGTH_BYTES
    missing = -(position + data_header) % ALIGNMENT
    if missing == 0:
        return b""
    if missing == 1:  # a record has at least 2 bytes
        missing += ALIGNMENT
    return bytes([PADDING]) + varuint(missing - 2) + bytes(missing - 2)


def _records(tree: Tree, position: int) -> bytes:
    """Returns the records of a folder's content, the first of which will be at `position` of the image."""
    out = bytearray()
    for name, content in sorted(tree.items()):
        encoded = name.encode(errors="replace")
        if not encoded or "/" in name or name in (".", "..") or encoded.decode() != name:
            raise RomfsError(f"'{printable(name)}' is no name of a file or folder")
        head = varuint(len(encoded)) + encoded
        inside = position + len(out) + 1 + LENGTH_BYTES + len(head)
        if isinstance(content, bytes):
            body = _padding(inside) + bytes([DATA]) + varuint(len(content), LENGTH_BYTES) + content
        else:
            body = _records(content, inside)
        kind = FILE if isinstance(content, bytes) else DIRECTORY
        out += bytes([kind]) + varuint(len(head) + len(body), LENGTH_BYTES) + head + body
    return bytes(out)


def build(tree: Tree) -> bytes:
    """Returns the image of a tree of names to file contents (bytes) and folders (trees); the same for the same tree.

    The image's size is a multiple of 16 bytes. Raises RomfsError for a name that a file system can't have.
    """
    start = len(MAGIC) + ROOT_LENGTH_BYTES
    records = _records(tree, start)
    end = -(start + len(records)) % ALIGNMENT
    if end == 1:
        end += ALIGNMENT
    if end:
        records += bytes([PADDING]) + varuint(end - 2) + bytes(end - 2)
    return MAGIC + varuint(len(records), ROOT_LENGTH_BYTES) + records


def _read_varuint(image: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    while at < end:
        byte = image[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    raise RomfsError(f"the image is damaged: a number runs over the end of its record at {end}")


def _read_records(image: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields (kind, start, end) of the records in image[at:end]."""
    while at < end:
        kind, at = _read_varuint(image, at, end)
        size, at = _read_varuint(image, at, end)
        if kind == 0 or size > end - at:
            raise RomfsError(f"the image is damaged: record of kind {kind} with {size} bytes at {at}, {end - at} left")
        yield kind, at, at + size
        at += size


def _list(image: bytes, at: int, end: int, folder: str, root: int) -> Iterator[tuple[str, int, int]]:
    for kind, start, stop in _read_records(image, at, end):
        if kind not in (DIRECTORY, FILE):
            continue
        name_size, start = _read_varuint(image, start, stop)
        try:
            name = folder + image[start : start + name_size].decode()
        except UnicodeDecodeError:
            raise RomfsError(f"the image is damaged: the name at {start} is no UTF-8") from None
        start += name_size
        if kind == DIRECTORY:
            yield from _list(image, start, stop, name + "/", root)
            continue
        for inner, data, data_end in _read_records(image, start, stop):
            if inner == DATA:
                yield name, data, data_end - data
            elif inner == POINTER:
                size, data = _read_varuint(image, data, data_end)
                offset, data = _read_varuint(image, data, data_end)
                yield name, root + offset, size
            else:
                continue
            break


def contents(image: bytes) -> list[tuple[str, int, int]]:
    """Returns (path, offset of the data in the image, size) of every file; raises RomfsError if this is no image."""
    if image[: len(MAGIC)] != MAGIC:
        raise RomfsError(f"no ROMFS image: it starts with {image[: len(MAGIC)]!r}, not {MAGIC!r}")
    size, at = _read_varuint(image, len(MAGIC), len(image))
    if size > len(image) - at:
        raise RomfsError(f"the image is cut off: {at + size} bytes needed, {len(image)} there")
    return list(_list(image, at, at + size, "", at))


def read_folder(folder: Path, above: tuple[Path, ...] = ()) -> dict[str, bytes | Tree]:
    """Returns the tree of a folder on disk, without Python's caches; `above`: the folders that it is read for.

    Raises RomfsError for a link back to one of them, and for what is no file (a pipe would wait for ever).
    """
    within = (*above, folder.resolve())
    if within[-1] in above:
        raise RomfsError(f"{folder} is a link to a folder that it lies in")
    tree: dict[str, bytes | Tree] = {}
    for path in folder.iterdir():
        if path.name == "__pycache__":
            continue
        if not path.is_dir() and path.exists() and not path.is_file():
            raise RomfsError(f"{path} is neither a file nor a folder")
        tree[path.name] = read_folder(path, within) if path.is_dir() else path.read_bytes()
    return tree


def _merge(tree: dict[str, bytes | Tree], path: list[str], content: bytes | dict[str, bytes | Tree]) -> None:
    """Puts `content` at `path` below `tree`; raises RomfsError if something is there already."""
    if not path:
        if isinstance(content, bytes):
            raise RomfsError("a file needs a name")
        for name, inner in content.items():
            _merge(tree, [name], inner)  # type: ignore[arg-type]
        return
    if len(path) > 1 or isinstance(content, dict):
        inner_tree = tree.setdefault(path[0], {})
        if not isinstance(inner_tree, dict):
            raise RomfsError(f"{path[0]} is a file and a folder")
        _merge(inner_tree, path[1:], content)
    elif path[0] in tree:
        raise RomfsError(f"two files have the name {path[0]}")
    else:
        tree[path[0]] = content


def _split(item: str) -> tuple[str, Path]:
    # NAME=PATH; a path with the sign in it, which is there, is meant as it stands.
    name, _, source = ("", "", item) if Path(item).exists() else item.rpartition("=")
    return name, Path(source)


def tree_from_arguments(items: list[str]) -> dict[str, bytes | Tree]:
    """Returns the tree for command-line items (see the module's text)."""
    tree: dict[str, bytes | Tree] = {}
    for item in items:
        name, path = _split(item)
        if path.is_dir():
            _merge(tree, [part for part in name.split("/") if part], read_folder(path))
        elif path.is_file():
            _merge(tree, [part for part in (name or path.name).split("/") if part], path.read_bytes())
        else:
            raise RomfsError(f"no file or folder {path}")
    return tree


def number(text: str) -> int:
    """A type for argparse: bytes, decimal or as 0x20000."""
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number of bytes, say 131072 or 0x20000, not {text!r}") from None


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    build_command = commands.add_parser("build", help="write an image")
    build_command.add_argument("--max-size", type=number, help="fail if the image is larger (bytes)")
    build_command.add_argument("image", type=Path)
    build_command.add_argument("items", nargs="+", metavar="[NAME=]PATH")
    list_command = commands.add_parser("list", help="show what is in an image")
    list_command.add_argument("image", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.command == "build":
            check_output(arguments.image, kind=ROMFS)  # a forgotten IMAGE is no reason to write over a model
            for _, path in map(_split, arguments.items):
                if path.is_dir() and path.resolve() in arguments.image.resolve().parents:
                    raise RomfsError(f"{arguments.image} would be in the folder {path}, and so in the next image")
            image = build(tree_from_arguments(arguments.items))
            if arguments.max_size is not None and len(image) > arguments.max_size:
                raise RomfsError(f"the image has {len(image)} bytes, the partition {arguments.max_size}")
            write_bytes(arguments.image, image)
        else:
            image = arguments.image.read_bytes()
        for name, offset, size in contents(image):
            print(f"{offset:#010x} {size:9} {name}")
        print(f"{'':10} {len(image):9} bytes in all")
    except (RomfsError, OSError) as error:
        print(f"make_romfs: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
