"""tools/make_romfs.py: files at multiples of 16 bytes, read back by its own reader and by MicroPython's VfsRom."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "make_romfs.py"
MICROPYTHON = ROOT / "build" / "unix" / "micropython"


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_romfs", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


romfs = load_tool()

NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)
TREES = st.recursive(
    st.dictionaries(NAMES, st.binary(max_size=300), max_size=5),
    lambda inner: st.dictionaries(NAMES, st.one_of(st.binary(max_size=300), inner), max_size=5),
    max_leaves=8,
)


def files(tree: dict, folder: str = "") -> dict[str, bytes]:
    out: dict[str, bytes] = {}
    for name, content in tree.items():
        if isinstance(content, dict):
            out.update(files(content, f"{folder}{name}/"))
        else:
            out[folder + name] = content
    return out


def read_back(image: bytes) -> dict[str, bytes]:
    return {name: image[offset : offset + size] for name, offset, size in romfs.contents(image)}


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_every_file_is_aligned_and_whole(tree: dict) -> None:
    image = romfs.build(tree)
    assert len(image) % 16 == 0
    assert read_back(image) == files(tree)
    assert all(offset % 16 == 0 for _, offset, _ in romfs.contents(image))


def test_every_length_of_name_and_content() -> None:
    # All paddings, and all places where a length gets one more byte.
    for size in [*range(34), 126, 127, 128, 129, 16383, 16384, 2**21]:
        tree = {"n" * (size % 37 + 1): bytes(size), "z": b"end", "folder": {"m" * (size % 150 + 1): b"inner"}}
        image = romfs.build(tree)
        assert read_back(image) == files(tree)
        assert all(offset % 16 == 0 for _, offset, _ in romfs.contents(image))


def test_cut_off_and_foreign_images_are_refused() -> None:
    image = romfs.build({"a": b"1234", "b": {"c": b"5678"}})
    for size in range(len(image)):
        with pytest.raises(romfs.RomfsError):
            romfs.contents(image[:size])
    with pytest.raises(romfs.RomfsError):
        romfs.contents(b"RNNP" + image)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(romfs.RomfsError):
        romfs.build({name: b""})


def test_command_line(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "m.py").write_text("x = 1\n")
    (tmp_path / "f.bin").write_bytes(b"abc")
    image = tmp_path / "rom.img"

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, TOOL, *arguments]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)

    done = run("build", image, f"models/a.bin={tmp_path / 'f.bin'}", tmp_path / "f.bin", f"lib/={tmp_path / 'lib'}")
    assert done.returncode == 0, done.stderr
    assert read_back(image.read_bytes()) == {"models/a.bin": b"abc", "f.bin": b"abc", "lib/m.py": b"x = 1\n"}
    assert run("list", image).stdout == done.stdout
    for wrong in (
        ("build", image, tmp_path / "missing"),
        ("build", image, tmp_path / "f.bin", tmp_path / "f.bin"),
        ("build", "--max-size", 16, image, tmp_path / "f.bin"),
        ("list", tmp_path / "f.bin"),
    ):
        failed = run(*wrong)
        assert failed.returncode == 1
        assert failed.stderr.startswith("make_romfs: ")
        assert "Traceback" not in failed.stderr


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("build model.rnnp model.rnnp", "model.rnnp: would be written over, and it is no ROMFS image"),
        ("build folder/rom.img folder", "folder/rom.img would be in the folder folder, and so in the next image"),
        ("build rom.img loop", "loop/again is a link to a folder that it lies in"),
        ("build rom.img pipe", "pipe/pipe is neither a file nor a folder"),
        ("build rom.img bytes", r"'\udcff' is no name of a file or folder"),
        ("build no/rom.img model.rnnp", "there is no such folder"),
        pytest.param("build /dev/full model.rnnp", "No space left on device", marks=FULL),
        ("list no.img", "no.img: No such file or directory"),
        ("list damaged.img", "the image is damaged: the name at 14 is no UTF-8"),
        ("build --max-size x rom.img model.rnnp", "must be a number of bytes, say 131072 or 0x20000, not 'x'"),
    ],
)
def test_a_mistake_is_a_sentence_and_loses_nothing(command: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "model.rnnp").write_bytes(b"RNNP" + bytes(60))
    for name in ("folder", "loop", "pipe", "bytes"):
        (tmp_path / name).mkdir()
    (tmp_path / "loop" / "again").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe" / "pipe")
    Path(os.fsdecode(os.fsencode(tmp_path / "bytes") + b"/\xff")).touch()
    image = romfs.build({"a": b"1234"})
    (tmp_path / "damaged.img").write_bytes(image.replace(b"\x01a", b"\x01\xff"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = subprocess.run(
        [sys.executable, TOOL, *command.split()], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode and said in done.stderr and "Traceback" not in done.stderr and "Errno" not in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_path_with_the_sign_of_names(tmp_path: Path) -> None:
    (tmp_path / "a=b.bin").write_bytes(b"1")
    assert romfs.tree_from_arguments([str(tmp_path / "a=b.bin")]) == {"a=b.bin": b"1"}
    assert romfs.tree_from_arguments([f"lib/={tmp_path}"]) == {"lib": {"a=b.bin": b"1"}}


def test_micropython_reads_the_same_files(tmp_path: Path) -> None:
    if not MICROPYTHON.is_file():
        pytest.skip("no build/unix/micropython: make unix")
    tree = {"a": b"", "b.bin": bytes(range(256)) * 9, "d": {"e": {"f.py": b"x = 5\n"}, "empty": {}}, "ü": b"1"}
    image = tmp_path / "rom.img"
    image.write_bytes(romfs.build(tree))
    script = f"""
import os, sys, uctypes, vfs
image = open({str(image)!r}, "rb").read()
vfs.mount(vfs.VfsRom(image), "/r")
sys.path.append("/r/d/e")
import f
print(f.x)
def walk(folder):
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind == 0x4000:
            walk(path)
        else:
            view = memoryview(open(path, "rb"))
            print(path[3:], len(view), uctypes.addressof(view) - uctypes.addressof(image))
walk("/r")
"""
    done = subprocess.run([MICROPYTHON, "-c", script], capture_output=True, text=True, check=True)
    expected = ["5"] + [f"{name} {size} {offset}" for name, offset, size in romfs.contents(image.read_bytes())]
    assert done.stdout.splitlines() == expected
