"""What the README tells a newcomer to type works as it stands there."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON = ROOT / "build" / "unix" / "micropython"
README = (ROOT / "README.md").read_text()
needs_micropython = pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")


def blocks() -> list[str]:
    """The indented blocks, dedented."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", README, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") for block in found]


def lines() -> list[str]:
    """The shell lines, without comments."""
    shell = [block for block in blocks() if not block.startswith(("import ", ">>>"))]
    return [line.split("  #")[0].strip() for block in shell for line in block.splitlines()]


def make_frame(folder: Path) -> None:
    """frame.raw, by the line that says how."""
    (line,) = [line for line in lines() if "tools.frames" in line]
    words = [sys.executable, *shlex.split(line)[1:]]
    words[words.index("frame.raw")] = str(folder / "frame.raw")
    subprocess.run(words, cwd=ROOT, check=True)


@needs_micropython
def test_the_frame_and_the_first_call(tmp_path: Path) -> None:
    make_frame(tmp_path)
    (line,) = [line for line in lines() if line.startswith("build/unix/micropython")]
    done = subprocess.run(
        [str(MICROPYTHON), *shlex.split(line)[1:]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (shown,) = [block.splitlines()[-1] for block in blocks() if block.startswith(">>>")]  # of the present model
    rounded = [(*box[:4], round(box[4], 2)) for box in ast.literal_eval(done.stdout)]
    assert rounded == ast.literal_eval(shown)


@needs_micropython
def test_the_script(tmp_path: Path) -> None:
    make_frame(tmp_path)
    (script,) = [block for block in blocks() if block.startswith("import rnnpool")]
    command = [str(MICROPYTHON), "-c", script + "\nprint('rows gave', len(faces))"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert said[0].endswith(" bytes of RAM") and len(said) == 3 and said[-1] == "rows gave 1"


def test_every_make_target_and_module_is_there() -> None:
    makefile = "\n".join(path.read_text() for path in (ROOT / "Makefile", ROOT / "ports/stm32/stm32.mk"))
    for line in lines():
        words = shlex.split(line)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
        elif "-m" in words and words[words.index("-m") + 1] != "venv":  # Python's own
            module = words[words.index("-m") + 1].replace(".", "/")
            places = [root / module for root in (ROOT, ROOT / "training")]
            assert any(p.with_suffix(".py").exists() or (p / "__main__.py").exists() for p in places), line


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target


@needs_micropython
@pytest.mark.parametrize("name", ["detect_image", "stream_rows", "watch", "model_info", "which_format", "heat_map"])
def test_examples_say_what_they_want(name: str) -> None:
    done = subprocess.run([str(MICROPYTHON), f"examples/{name}.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.startswith(f"usage: micropython examples/{name}.py ") and not done.stderr


def test_frames_of_odd_pictures_and_sizes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.frames"]
    out = tmp_path / "f.raw"
    done = subprocess.run([*command, "-o", out, "--size", "64x48", "--format", "rgb565"], cwd=ROOT)
    assert done.returncode == 0 and out.stat().st_size == 2 * 64 * 48
    wrong = subprocess.run([*command, "nowhere.jpg", "-o", out], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr == "frames: there is no file or folder nowhere.jpg\n"
    picture = tmp_path / "p.png"
    Image.new("RGB", (30, 20), "red").save(picture)
    before = picture.read_bytes(), out.read_bytes()
    for words in ([picture, "-o", picture], ["-o", picture], [tmp_path / "bad.jpg", "-o", out]):
        (tmp_path / "bad.jpg").write_bytes(b"no picture")
        assert subprocess.run([*command, *words], cwd=ROOT, capture_output=True).returncode == 1
        assert (picture.read_bytes(), out.read_bytes()) == before
