#!/usr/bin/env python3
"""Finds MicroPython's source and prints the path of it.

With `--mpy-dir DIR` (the Makefile's `MPY_DIR=DIR`) that folder is checked and used as it is. Otherwise MicroPython
1.25.0 is unpacked into `--to` (build/micropython), from a file in the cache ($XDG_CACHE_HOME/rnnpool), made once:

1. Debian's source package of this version, downloaded by apt-get from the mirror that the machine already uses (no
   root, nothing of its apt configuration is changed), SHA-256 checked each time it is unpacked; or else
2. a git clone of upstream's tag, commit checked.

With `--git` it is a git clone of upstream's tag into `--to` (build/micropython-git), commit checked, for ports/stm32,
whose libraries are git submodules; nothing is cached.

Downloads and folders get their final name only when they are complete: an interrupted run is simply started again.
Standard library only: this runs before any virtual environment exists.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.25.0"
OLDEST = (1, 25, 0)  # of a user's own checkout
GIT_URL = "https://github.com/micropython/micropython.git"
GIT_COMMIT = "f498a16c7db6d4b2de200b3e0856528dfe0613c3"  # upstream's tag v1.25.0
DEBIAN_SUITE = "trixie"
DEBIAN_SHA256 = "7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea"  # micropython_1.25.0+ds.orig.tar.xz
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MARKER = ".rnnpool-source"  # in an unpacked tree: version facts for the build, as shell assignments
DOWNLOAD_SECONDS = 600


class SourceError(Exception):
    """MicroPython's source can't be had; the text is one sentence for the user."""


def say(text: str) -> None:
    """Prints progress to stderr; stdout carries only the path."""
    print(f"get_micropython: {text}", file=sys.stderr, flush=True)


def run(command: list[str], what: str) -> str:
    """Runs a command and returns its stdout; raises SourceError with the last line that it printed if it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DOWNLOAD_SECONDS,
        )
    except FileNotFoundError:
        raise SourceError(f"{what}: the command {command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"{what}: no end after {DOWNLOAD_SECONDS} seconds") from None
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise SourceError(f"{what}: {lines[-1] if lines else f'exit status {done.returncode}'}")
    return done.stdout


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def debian_mirror() -> str:
    """Returns the URI of the Debian mirror that this machine's apt configuration names for its own release."""
    release = Path("/etc/os-release")
    codename = re.search(r"^VERSION_CODENAME=\"?(\w+)", release.read_text() if release.exists() else "", re.MULTILINE)
    if codename is None:
        raise SourceError("Debian's sources: this is no Debian machine")
    with tempfile.TemporaryDirectory() as empty:  # no lists yet: apt-get names every file that it would download
        options = ["-o", f"Dir::State::lists={empty}", "-o", "Debug::NoLocking=1"]
        uris = run(["apt-get", "update", "--print-uris", *options], "Debian's sources")
    mirror = re.search(rf"^'(\S+?)/?/dists/{codename.group(1)}/InRelease'", uris, re.MULTILINE)
    if mirror is None:
        raise SourceError(f"Debian's sources: apt's configuration names no mirror of {codename.group(1)}")
    return mirror.group(1)


def download_from_debian(target: Path) -> None:
    """Downloads the pinned source package's upstream tarball and gives it the name `target` if its hash is right."""
    mirror = debian_mirror()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        top = Path(folder)
        for name in ("parts", "lists/partial", "cache/archives/partial", "source"):
            (top / name).mkdir(parents=True)
        stanza = f"Types: deb-src\nURIs: {mirror}\nSuites: {DEBIAN_SUITE}\nComponents: main\n"
        if DEBIAN_KEYRING.exists():
            stanza += f"Signed-By: {DEBIAN_KEYRING}\n"
        (top / "parts" / "source.sources").write_text(stanza)
        options = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": top / "parts",
            "Dir::State::lists": top / "lists",
            "Dir::Cache": top / "cache",
            "Debug::NoLocking": 1,
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        apt = ["apt-get", "-q"]
        for key, value in options.items():
            apt += ["-o", f"{key}={value}"]
        run([*apt, "update"], "Debian's sources")
        command = shlex.join([*apt, "source", "--download-only", "--tar-only", "micropython"])
        run(["sh", "-c", f"cd {shlex.quote(str(top / 'source'))} && exec {command}"], "Debian's sources")
        tarballs = sorted((top / "source").glob("micropython_*.orig.tar.*"))
        if len(tarballs) != 1:
            raise SourceError(f"Debian's sources: {len(tarballs)} tarballs of micropython came, 1 expected")
        found = sha256(tarballs[0])
        if found != DEBIAN_SHA256:
            raise SourceError(f"Debian's sources: {tarballs[0].name} has SHA-256 {found}, {DEBIAN_SHA256} expected")
        os.replace(tarballs[0], target)


def clone_tag(to: Path, options: list[str]) -> None:
    """Clones upstream's tag into the new folder `to`; raises SourceError if its commit is not the right one."""
    command = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1", "--branch", f"v{VERSION}"]
    run([*command, *options, GIT_URL, str(to)], "git clone of upstream")
    found = run(["git", "-C", str(to), "rev-parse", "HEAD"], "git clone of upstream").strip()
    if found != GIT_COMMIT:
        raise SourceError(f"git clone of upstream: v{VERSION} is commit {found}, {GIT_COMMIT} expected")


def clone_from_upstream(target: Path) -> None:
    """Clones upstream's tag as a bare repository and gives it the name `target`."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        bare = Path(folder) / "clone.git"
        clone_tag(bare, ["--bare"])
        shutil.rmtree(target, ignore_errors=True)
        os.replace(bare, target)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks a tarball whose content is trusted (its hash was checked) and returns the one folder that is in it."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and later
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)
    entries = list(folder.iterdir())
    if len(entries) != 1 or not entries[0].is_dir():
        raise SourceError(f"{archive} holds {len(entries)} entries, one folder expected")
    return entries[0]


def cached_archive(cache: Path, scratch: Path) -> Path:
    """Returns a checked tarball of MicroPython's source, obtaining it first if the cache does not hold one.

    Anything temporary is made in `scratch`. Raises SourceError that names both ways if neither works.
    """
    tarball = cache / f"micropython_{VERSION}+ds.orig.tar.xz"
    clone = cache / f"micropython-v{VERSION}.git"
    if tarball.exists() and sha256(tarball) != DEBIAN_SHA256:
        say(f"{tarball} is damaged; obtaining it again")
        tarball.unlink()
    if tarball.exists():
        return tarball
    if not clone.exists():
        try:
            say(f"downloading MicroPython {VERSION} from Debian's mirror")
            download_from_debian(tarball)
            return tarball
        except SourceError as debian:
            say(f"{debian}; trying a git clone of upstream")
            try:
                clone_from_upstream(clone)
            except SourceError as upstream:
                raise SourceError(
                    f"MicroPython {VERSION} can't be had ({debian}; {upstream}): "
                    "clone it yourself and say MPY_DIR=<that folder>"
                ) from None
    # A commit's id is the hash of its content, and git checks it as it reads.
    archive = scratch / "clone.tar"
    run(
        ["git", "-C", str(clone), "archive", f"--prefix=micropython-{VERSION}/", "-o", str(archive), GIT_COMMIT],
        f"reading {clone}",
    )
    return archive


def obtain(to: Path, cache: Path) -> Path:
    """Returns `to`, a folder with MicroPython's source of the pinned version; makes it if it is not there yet."""
    marker = f"MICROPY_GIT_TAG=v{VERSION}\nMICROPY_GIT_HASH={GIT_COMMIT[:9]}\n"
    if (to / MARKER).exists() and (to / MARKER).read_text() == marker:
        return to
    if to.exists() and not (to / MARKER).exists():
        raise SourceError(f"{to} exists and was not made by this tool: remove it, or say MPY_DIR={to} to use it")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".micropython-") as scratch:
            archive = cached_archive(cache, Path(scratch))
            say(f"unpacking {archive.name} into {to}")
            (Path(scratch) / "tree").mkdir()
            tree = unpack(archive, Path(scratch) / "tree")
            (tree / MARKER).write_text(marker)
            if to.exists():
                shutil.rmtree(to)
            os.replace(tree, to)
    except (OSError, tarfile.TarError) as error:
        raise SourceError(f"MicroPython's source could not be written: {error}") from None
    return to


def clone(to: Path) -> Path:
    """Returns `to`, a git clone of upstream's tag; makes it if it is not there yet."""
    if (to / ".git").exists():
        return to
    if to.exists():
        raise SourceError(f"{to} exists and is no git clone: remove it, or say MPY_DIR={to} to use it")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".micropython-") as scratch:
            tree = Path(scratch) / "tree"
            say(f"cloning MicroPython {VERSION} into {to}")
            clone_tag(tree, [])
            os.replace(tree, to)
    except SourceError as error:
        raise SourceError(
            f"MicroPython {VERSION} can't be had ({error}): clone it with its submodules where GitHub can be reached, "
            "and say MPY_DIR=<that folder>"
        ) from None
    except OSError as error:
        raise SourceError(f"MicroPython's source could not be written: {error}") from None
    return to


def check(folder: Path) -> Path:
    """Returns the absolute path of a user's own MicroPython checkout; raises SourceError if it is none or too old."""
    config = folder / "py" / "mpconfig.h"
    if not config.is_file() or not (folder / "ports" / "unix").is_dir():
        raise SourceError(f"MPY_DIR={folder} is no MicroPython source tree: py/mpconfig.h or ports/unix is missing")
    numbers = re.findall(r"^#define MICROPY_VERSION_(?:MAJOR|MINOR|MICRO) (\d+)", config.read_text(), re.MULTILINE)
    version = tuple(int(number) for number in numbers)
    if len(version) != 3 or version < OLDEST:
        shown = ".".join(str(number) for number in version) or "of unknown version"
        oldest = ".".join(str(number) for number in OLDEST)
        raise SourceError(f"MPY_DIR={folder} is MicroPython {shown}; rnnpool needs {oldest} or later")
    return folder.resolve()


def main() -> int:
    """Command line; returns the exit status."""
    root = Path(__file__).resolve().parent.parent
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mpy-dir", type=Path, help="check and use this checkout instead of obtaining one")
    parser.add_argument("--git", action="store_true", help="a git clone, for ports whose libraries are submodules")
    parser.add_argument(
        "--to", type=Path, help="folder to unpack into (build/micropython, with --git build/micropython-git)"
    )
    parser.add_argument(
        "--cache", type=Path, default=cache_home / "rnnpool", help="folder that keeps what was downloaded"
    )
    arguments = parser.parse_args()
    to = arguments.to or root / "build" / ("micropython-git" if arguments.git else "micropython")
    try:
        if arguments.mpy_dir is not None:
            print(check(arguments.mpy_dir))
        elif arguments.git:
            print(clone(to.absolute()))
        else:
            print(obtain(to.absolute(), arguments.cache.absolute()))
    except SourceError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; nothing half-made is left behind")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
