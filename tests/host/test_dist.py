"""What goes on a release page: packages for mip, and rnnpool.py, which takes the native module for the processor."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from load_tool import ROOT

from tools.dist import __main__ as cli
from tools.dist import mip
from tools.dist.problem import DistError

STOCK = ROOT / "build" / "unix-stock" / "micropython"
X64 = ROOT / "build" / "natmod" / "x64" / "rnnpool.mpy"


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
    with pytest.raises(DistError, match="make natmod-all"):
        mip.modules(tmp_path / "nothing")
    (tmp_path / "bad.rnnp").write_bytes(b"RNNP")
    with pytest.raises(DistError, match=r"bad\.rnnp is no model"):
        mip.models([tmp_path / "bad.rnnp"])


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
    assert done.stdout.splitlines() == [f"set() {cli.version()}", "True"], done.stderr
    # Every kind of native code that rnnpool.py knows is one of a package's modules, and the same numbers.
    for name in mip.CHOICE:
        kind = mip.ARCHITECTURES[name]
        done = ask(
            f"import sys\nclass Sys:\n    class implementation:\n        _mpy = {kind} << 10 | 6\n"
            "sys.modules['sys'] = Sys\nimport rnnpool"
        )
        assert f"no rnnpool_{name}.mpy" in done.stderr
