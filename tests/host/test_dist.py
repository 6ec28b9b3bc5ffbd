"""What goes on a release page: packages for mip, and rnnpool.py, which takes the native module for the processor."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rnnpool
from load_tool import ROOT

from rnnpool_training import generated
from tools.board import uf2
from tools.dist import __main__ as cli
from tools.dist import heap, mip, release
from tools.dist.problem import DistError
from tools.stm32 import models
from tools.stm32.budget import usable

STOCK = ROOT / "build" / "unix-stock" / "micropython"
MODELS = sorted((ROOT / "models").glob("*.rnnp"))
X64 = ROOT / "build" / "natmod" / "x64" / "rnnpool.mpy"


# A block for an RP2040 at the start of its flash.
UF2 = struct.pack("<8I", *uf2.MAGIC[:2], uf2.HAS_FAMILY, uf2.FLASH, 256, 0, 1, 0xE48BFF56) + bytes(476)
UF2 += struct.pack("<I", uf2.MAGIC[2])


def header(kind: int, version: int = 6) -> bytes:
    return bytes([ord("M"), version, kind << 2 | 2, 31])


def test_a_module_of_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "armv6m").mkdir()
    path = tmp_path / "armv6m" / "rnnpool.mpy"
    for data, said in (
        (b"", "is no .mpy file"),
        (b"\x7fELF", "is no .mpy file"),
        (header(7), "native code of kind 7, not 4"),
        (header(4, 5), "version 5 of the format, not 6"),
    ):
        path.write_bytes(data)
        with pytest.raises(DistError, match=said):
            mip.modules(tmp_path)
    path.write_bytes(header(4))
    assert mip.modules(tmp_path) == {"armv6m": header(4)}
    (tmp_path / "armv6m-lean").mkdir()
    (tmp_path / "armv6m-lean" / "rnnpool.mpy").write_bytes(header(5))
    with pytest.raises(DistError, match=r"armv6m-lean is for native code of kind 5, not 4"):
        mip.modules(tmp_path)
    (tmp_path / "armv6m-lean" / "rnnpool.mpy").write_bytes(header(4))
    files = mip.packages(mip.modules(tmp_path), {}, "1.2.3")
    assert json.loads(files["rnnpool-armv6m-lean.json"])["urls"] == [["rnnpool.mpy", "rnnpool-armv6m-lean.mpy"]]
    assert "lean" not in files["package.json"].decode()
    shutil.rmtree(tmp_path / "armv6m-lean")
    with pytest.raises(DistError, match="make natmod-all"):
        mip.modules(tmp_path / "nothing")
    (tmp_path / "bad.rnnp").write_bytes(b"RNNP")
    with pytest.raises(DistError, match=r"bad\.rnnp is no model"):
        mip.models([tmp_path / "bad.rnnp"])


def test_the_table_of_free_heap(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    modules = {"armv6m": bytes(64_600), "armv7emsp": bytes(70_000)}
    lines = [line.strip("| ").split(" | ") for line in heap.table(modules, MODELS)]
    assert lines[0][4:] == ["face", "person"]
    found = {cells[0]: cells for cells in lines[2:]}
    assert set(found) == {"Pico", "Pico 2", "PYBV11"}  # of the others there is no module
    assert found["Pico"][4].startswith("streamed rows") and found["Pico"][5].startswith("no: RAM")
    assert found["Pico 2"][4].startswith("whole frame") and found["PYBV11"][4].startswith("no: RAM")
    # From the collector's arithmetic on, in bytes: heap, then less file and import, then less model and arena.
    (face,) = models.needs([path for path in MODELS if path.stem == "face"])
    start, left = (int(text.replace(",", "")) for text in found["Pico"][2:4])
    assert start == usable(heap.STOCK["Pico"][0]) and left == start - 64_600 - heap.IMPORT_BYTES
    assert found["Pico"][4] == f"streamed rows, {left - face.size - face.arena:,} left"
    (tmp_path / "natmod" / "armv6m").mkdir(parents=True)
    (tmp_path / "natmod" / "armv6m" / "rnnpool.mpy").write_bytes(header(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["dist", "heap", "--build", str(tmp_path)])
        assert cli.main() == 0 and capsys.readouterr().out.count("| Pico |") == 1


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(DistError, match="was not made by this tool"):
        cli.write(tmp_path, {"package.json": b"{}"})
    assert (tmp_path / "mine").read_text() == "mine"
    cli.write(tmp_path / "new", {"package.json": b"{}", "old": b""})
    cli.write(tmp_path / "new", {"package.json": b"{}"})
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["package.json"]


@pytest.mark.skipif(not (STOCK.is_file() and X64.is_file()), reason="no .mpy to load: make unix-stock natmod")
def test_the_choice_by_processor(tmp_path: Path) -> None:
    shutil.copy(mip.WRAPPER, tmp_path)

    def ask(script: str) -> subprocess.CompletedProcess[str]:
        command = [str(STOCK), "-c", script]
        return subprocess.run(command, env={"MICROPYPATH": str(tmp_path)}, cwd=ROOT, capture_output=True, text=True)

    done = ask("import rnnpool")
    assert done.returncode == 1 and done.stderr.endswith("ImportError: no rnnpool_x64.mpy beside rnnpool.py\n")
    shutil.copy(X64, tmp_path / "rnnpool_x64.mpy")
    # The same names as of the module itself, and working ones.
    script = "import rnnpool, rnnpool_x64 as own\nprint(set(dir(own)) - set(dir(rnnpool)), rnnpool.__version__)\n"
    script += "print(rnnpool.Model('models/face.rnnp').selftest())\n"
    done = ask(script)
    assert done.stdout.splitlines() == [f"set() {release.version()}", "True"], done.stderr
    # Every kind of native code that rnnpool.py knows is one of a package's modules, and the same numbers.
    for name in mip.CHOICE:
        kind = mip.ARCHITECTURES[name]
        done = ask(
            f"import sys\nclass Sys:\n    class implementation:\n        _mpy = {kind} << 10 | 6\n"
            "sys.modules['sys'] = Sys\nimport rnnpool"
        )
        assert f"no rnnpool_{name}.mpy" in done.stderr


# ---- The folder for a release page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, made twice with the same bytes: a native module if there is one, the real models and wheel."""
    build = tmp_path_factory.mktemp("build")
    (build / "web").mkdir()
    (build / "web" / "index.html").write_text("<p>The page.</p>")
    (build / "stm32" / "BOARD").mkdir(parents=True)
    for name in ("firmware.elf", "firmware.hex", "romfs.img", "firmware.map"):
        (build / "stm32" / "BOARD" / name).write_text(name)
    for name, data in (("rp2/PICO/firmware.uf2", UF2), ("rp2/PICO/firmware.bin", b""), ("esp32/S3/firmware.bin", b"")):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_bytes(data)
    fake = {"armv6m": header(4) + release.version().encode()}
    native = fake | ({"x64": X64.read_bytes()} if X64.is_file() else {})
    made = [release.release(build, native, MODELS) for _ in range(2)]
    assert made[0] == made[1]
    folder = tmp_path_factory.mktemp("dist") / "dist"
    cli.write(folder, made[0])
    return folder


def test_checksums_and_manifest(folder: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in folder.iterdir()}
    assert len(done.stdout.splitlines()) == len(names) - 1
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    assert set(manifest["files"]) == names - {"MANIFEST.json", "SHA256SUMS"}
    assert manifest["versions"]["rnnpool"] == release.version() and manifest["versions"]["blob_format"] > 0
    assert {"BOARD-firmware.hex", "BOARD-romfs.img", "face.md", "rnnpool.pyi", "rnnpool.html"} <= names
    assert {"PICO-firmware.uf2", "S3-firmware.bin"} <= names
    assert not {"BOARD-firmware.elf", "PICO-firmware.bin"} & names
    (folder / "face.json").write_bytes((folder / "face.json").read_bytes() + b" ")
    assert subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folder, capture_output=True).returncode == 1


def test_the_wheel_installs(folder: Path, tmp_path: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    command = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert wheel.stat().st_size < 1_000_000  # with the compiled module and both models
    # Elsewhere, with no compiler to be found and without PyTorch.
    (tmp_path / "bin").mkdir()
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    picture = generated.picture(np.random.default_rng(3), 320, 240)[0].convert("RGB")
    picture.save(tmp_path / "photo.png")
    want = rnnpool.Model("face").detect(np.asarray(picture).data, format=rnnpool.RGB888, threshold=0.05)
    assert want
    script = """
import sys, rnnpool
from rnnpool_training.blob import load
from rnnpool_training.engine import Engine
assert Engine(open(sys.argv[1], "rb").read()).golden_check()
print(load(sys.argv[1]).name, rnnpool.builtin_models(), "torch" in sys.modules, rnnpool.__file__)
"""
    program = venv / "bin" / "rnnpool"
    said = []
    for words in (
        [venv / "bin" / "python", "-c", script, folder / "face.rnnp"],
        [program, "--help"],
        [program, "detect", "photo.png", "--json", "--threshold", "0.05", "-o", "found.png"],
        [program, "detect", "photo.png", "--model", folder / "person.rnnp"],
    ):
        done = subprocess.run([*map(str, words)], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0 and done.stdout, done.stderr
        said.append(done.stdout)
    assert "('face', 'person') False" in said[0] and str(venv) in said[0]
    assert json.loads(said[2].splitlines()[0])["detections"] == [[*box[:4], round(box[4], 4)] for box in want]
    assert (tmp_path / "found.png").is_file() and "person" in said[3]
    # What needs more says what.
    done = subprocess.run([program, "train", "--help"], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "pip install 'rnnpool[train]'" in done.stderr


@pytest.mark.skipif(not (STOCK.is_file() and X64.is_file()), reason="no .mpy to load: make unix-stock natmod")
def test_the_native_module_runs(folder: Path, tmp_path: Path) -> None:
    # What mip does with a package.
    for name in ("rnnpool-x64", "face"):
        for there, here in json.loads((folder / f"{name}.json").read_text())["urls"]:
            shutil.copy(folder / here, tmp_path / there)
    script = "import rnnpool; print(rnnpool.__version__, rnnpool.Model('face.rnnp').selftest())"
    environment = {"MICROPYPATH": str(tmp_path)}
    done = subprocess.run([str(STOCK), "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == f"{release.version()} True\n", done.stderr


@pytest.mark.skipif(not (STOCK.is_file() and X64.is_file()), reason="no .mpy to load: make unix-stock natmod")
def test_a_board_installs_by_itself(folder: Path, tmp_path: Path) -> None:
    """MicroPython's own mip.install(), as of a board with a network, in its unix port: without mpremote."""
    library = Path(os.environ.get("MPY_DIR") or "/nowhere") / "lib" / "micropython-lib"
    modules = [library / "micropython" / "mip", library / "python-ecosys" / "requests"]
    if not all(path.is_dir() for path in modules):
        pytest.skip("mip is in no source package: MPY_DIR=<a checkout of MicroPython with lib/micropython-lib>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = f"""
import mip
for name in ("rnnpool-x64", "face"):
    mip.install("http://127.0.0.1:{server.server_port}/" + name + ".json", target="{tmp_path}")
import rnnpool
print(rnnpool.__version__, rnnpool.Model("{tmp_path}/face.rnnp").selftest())
"""
        environment = {"MICROPYPATH": ":".join(map(str, [tmp_path, *modules]))}
        done = subprocess.run([str(STOCK), "-c", script], env=environment, capture_output=True, text=True, timeout=120)
        server.shutdown()
    assert done.stdout.splitlines()[-1] == f"{release.version()} True", done.stdout + done.stderr


def test_what_a_release_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native = {"armv6m": header(4) + b"0.0.0"}
    with pytest.raises(DistError, match="is of another version than"):
        release.gather(tmp_path, native, MODELS)
    native = {"armv6m": header(4) + release.version().encode()}
    (tmp_path / "rp2" / "PICO").mkdir(parents=True)
    (tmp_path / "rp2" / "PICO" / "firmware.uf2").write_bytes(UF2[:-1])
    with pytest.raises(DistError, match="is no UF2 file"):
        release.firmware(tmp_path)
    with pytest.raises(DistError, match="make web"):
        release.gather(tmp_path, native, MODELS)
    shutil.copy(MODELS[0], tmp_path)
    with pytest.raises(DistError, match=r"has no card face\.md beside it"):
        release.gather(tmp_path, native, [tmp_path / MODELS[0].name])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(DistError, match="'yesterday'"):
        release.epoch()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert release.epoch() == release.FIRST_ZIP_TIME
