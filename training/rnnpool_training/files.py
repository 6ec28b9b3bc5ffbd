"""Files that are written whole or not at all, and runs that have their folder to themselves. Standard library only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

LOCK = "run.lock"
DRAWN = (".png", ".svg", ".pdf", ".jpg")  # what matplotlib draws to


class Kind(NamedTuple):
    """What files of a kind begin with, in any case of letters, and what one is called."""

    begins: bytes
    called: str


BLOB = Kind(b"RNNP", ".rnnp model")
CHECKPOINT = Kind(b"PK\x03\x04", "PyTorch checkpoint")
ROMFS = Kind(b"\xd2\xcd\x31", "ROMFS image")
PAGE = Kind(b"<!doctype html>", "HTML page")
JSON = Kind(b"{", "JSON object")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """The path of a temporary file in the same folder, which takes the place of `path` when the block ends well.

    Until then, and after any error (a full disk, Ctrl-C), `path` is as it was. The temporary name has `path`'s suffix,
    for writers that choose a format by it. A link is followed, a pipe or device is written to itself. OSError.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # /dev/null, a pipe
        yield path
        return
    target = path.resolve()  # a link stays a link
    try:
        handle, name = tempfile.mkstemp(target.suffix, f".{target.stem}.", target.parent)
    except OSError as error:  # of the file that was asked for, not of the temporary one
        raise OSError(error.errno, error.strerror, str(path)) from None
    temporary = Path(name)
    try:
        os.close(handle)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(_mode(target))
        if target.is_dir():
            raise IsADirectoryError(21, "is a folder", str(path))
        temporary.replace(target)
    except OSError as error:  # a full disk names no file, or the temporary one
        named = error.strerror and error.filename in (None, name)
        raise OSError(error.errno, error.strerror, str(path)) if named else error from None
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    with suppress(OSError):  # the folder's new entry, on systems that can be asked to write it
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mode(target: Path) -> int:
    # Permissions of the file that is replaced, or those that a new file would have.
    if target.is_file():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_bytes(path: str | Path, data: bytes) -> int:
    """Write a file whole or not at all; returns its size in bytes. OSError."""
    with replacing(path) as temporary:
        return temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> int:
    """As write_bytes, of UTF-8, with an escape for what is none (of a file's name)."""
    return write_bytes(path, text.encode(errors="backslashreplace"))


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text, with or without the mark that Windows puts before UTF-8. OSError, also for other bytes."""
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise OSError(22, f"is no UTF-8 text: {error.reason} at byte {error.start}", str(path)) from None


def check_output(
    path: str | Path, suffixes: Sequence[str] = (), read: Iterable[str | Path] = (), kind: Kind | None = None
) -> Path:
    """The path, if a file can be written there; asked before the work whose result it is to hold.

    `read`: files that the work reads, which must not be lost; `kind`: what it makes, and all that it writes over.
    OSError with a sentence: one of them, a file of another kind, a folder, in a folder that is not there or can't be
    written, another suffix.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder, not a file to write", str(path))
    if suffixes and path.suffix.lower() not in suffixes:
        raise OSError(22, f"must end in {', '.join(suffixes)}", str(path))
    folder = path.resolve().parent
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "there is no such folder"
        raise NotADirectoryError(20, what, str(folder))
    if path.exists() and not path.is_file():
        return path
    if path.exists() and any(os.path.exists(other) and path.samefile(other) for other in read):
        raise FileExistsError(17, "would be written over, and it is what is read: choose another name", str(path))
    if kind and path.exists():
        with path.open("rb") as file:
            begins = file.read(len(kind.begins))
        if begins and begins.lower() != kind.begins.lower():
            raise FileExistsError(17, f"would be written over, and it is no {kind.called}: choose another name",
                                  str(path))  # fmt: skip
    _try_writing(folder)
    return path


def check_folder(path: str | Path) -> Path:
    """The path, if a folder that files can be written into is there or can be made. OSError with a sentence."""
    path = Path(path)
    above = path
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise NotADirectoryError(20, "is a file, not a folder", str(above))
    _try_writing(above)
    return path


def make_folder(path: str | Path) -> Path:
    """The same folder, made if need be."""
    path = check_folder(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def new_data_folder(path: str | Path) -> Path:
    """A folder for pictures and their labels.jsonl, made if need be. OSError if there are some in it already."""
    path = make_folder(path)
    if (path / "labels.jsonl").exists():
        raise FileExistsError(17, "would be written over: choose another folder", str(path / "labels.jsonl"))
    return path


def link_folder(link: Path, folder: Path) -> None:
    """Make a link to a folder, if it is not there. OSError if something else is."""
    if not (link.is_symlink() and link.resolve() == folder.resolve()):
        if link.is_symlink() or link.exists():
            raise FileExistsError(17, f"is there already, and is no link to {folder}: choose another folder", str(link))
        link.symlink_to(folder.resolve(), target_is_directory=True)


def _try_writing(folder: Path) -> None:
    # More than os.access: read-only file systems, /proc and full disks, too.
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, f"no file can be made here ({error.strerror})", str(folder)) from None


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """The folder belongs to this process until the block ends. BlockingIOError if another one has it.

    The lock ends with its process, however that ends: a file that is left over means nothing.
    """
    import fcntl  # POSIX

    path = make_folder(folder) / LOCK
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read(20).strip()
            raise BlockingIOError(
                11, f"another run (process {who or 'unknown'}) is writing here: wait for it or give another folder",
                str(folder),
            ) from None  # fmt: skip
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
