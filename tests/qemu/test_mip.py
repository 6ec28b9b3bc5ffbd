"""Packages for mip: installed with mpremote from a web server and from a folder, on the emulated board.

With a small model by the name of the large one: the emulator takes each byte of its UART one by one.
"""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import make_romfs
import pytest
import run
from board import Board
from conftest import firmware_of
from networks import NETWORKS

from rnnpool_training.blob import write
from tools.dist import __main__ as cli
from tools.dist import mip, release

NATMOD = run.ROOT / "build" / "natmod"
RAMDISK = Path(__file__).with_name("ramdisk.py").read_text().replace("512, 256", "512, 1024")
# As on an STM32: mpremote installs to the first folder of sys.path whose name ends so.
BOOT = RAMDISK + 'import sys\nsys.path.append("/flash/lib")\n'

CHECK = """
import os, sys, rnnpool
print(sorted(os.listdir("/flash/lib")))
print(sorted(name for name in sys.modules if "rnnpool" in name))
print(rnnpool.__version__, rnnpool.Model("face").selftest())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [name for name in ("armv6m", "armv7emsp", "rv32imc") if not (NATMOD / name / "rnnpool.mpy").is_file()]
    if missing:
        pytest.skip(f"no build/natmod/{missing[0]}/rnnpool.mpy (make natmod-all)")
    folder = tmp_path_factory.mktemp("mip") / "packages"
    face = folder.with_name("face.rnnp")
    face.write_bytes(write(NETWORKS["tiny"](1)))
    cli.write(folder, mip.packages(mip.modules(NATMOD), mip.models([face]), "1.2.3"))
    return folder


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def board() -> Iterator[Board]:
    with Board(firmware_of("qemu-stock"), data=make_romfs.build({"boot.py": BOOT.encode()})) as started:
        started.serve()
        yield started


def mpremote(board: Board, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mpremote", "connect", f"socket://127.0.0.1:{board.port}", "resume", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def check(board: Board) -> list[str]:
    done = mpremote(board, "soft-reset", "exec", CHECK)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_one_architecture_and_a_model_from_a_server(board: Board, url: str) -> None:
    done = mpremote(board, "mip", "install", f"{url}/rnnpool-armv7emsp.json", f"{url}/face.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Installing: /flash/lib/rnnpool.mpy" in done.stdout
    assert check(board) == ["['face.rnnp', 'rnnpool.mpy']", "['rnnpool']", f"{release.version()} True"]
    # One that is not there is no silence.
    done = mpremote(board, "mip", "install", f"{url}/nothing.json")
    assert done.returncode != 0 and "Package not found" in done.stderr


def test_any_board_from_a_folder(board: Board, folder: Path) -> None:
    done = mpremote(board, "mip", "install", str(folder / "package.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    modules = [f"rnnpool_{name}.mpy" for name in ("armv6m", "armv7emsp", "rv32imc")]
    files = str(["face.rnnp", "rnnpool.py", *modules])
    assert check(board) == [files, "['rnnpool', 'rnnpool_armv7emsp']", f"{release.version()} True"]


def test_each_package_names_files_that_are_there(folder: Path) -> None:
    for path in folder.glob("*.json"):
        package = json.loads(path.read_text())
        assert package["version"] == "1.2.3"
        assert all((folder / url).is_file() for _, url in package["urls"]), path
