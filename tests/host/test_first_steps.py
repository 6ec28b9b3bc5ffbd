"""What a newcomer meets first: make in odd places, missing or old programs, tests that go on after a failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "tools" / "debian_packages.sh"


def call(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON")}
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_space_in_the_path_is_one_sentence(tmp_path: Path) -> None:
    place = tmp_path / "a b"
    for name in ("Makefile", "ports/qemu/qemu.mk", "ports/stm32/stm32.mk"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    done = call("make", "unix", cwd=place)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "space in its name" in done.stderr and "a b" in done.stderr


def test_an_empty_python_is_one_sentence() -> None:
    done = call("make", "demo", "PYTHON=", cwd=ROOT)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "PYTHON= names no Python" in done.stderr


@pytest.mark.parametrize("name", ["tools/debian_packages.sh", "Makefile", "tests/micropython/test_name.py.exp"])
def test_checkouts_have_line_feeds(name: str) -> None:
    # Whatever core.autocrlf says: .gitattributes wins.
    assert call("git", "check-attr", "eol", "--", name).stdout.strip().endswith("eol: lf")
    assert b"\r" not in (ROOT / name).read_bytes()


@pytest.mark.parametrize("name", ["models/face.rnnp", "models/face.pt", "docs/face_arena.png"])
def test_binary_files_are_left_alone(name: str) -> None:
    assert call("git", "check-attr", "text", "--", name).stdout.strip().endswith("text: unset")


@pytest.mark.parametrize("group", ["build", "train", "stm32", "m4", "test"])
def test_an_old_python_is_named(tmp_path: Path, group: str) -> None:
    program(
        tmp_path,
        "python3.10",
        f'shift; exec "{sys.executable}" -c "import sys; sys.version_info = (3, 10, 12); exec(sys.argv[1])" "$@"',
    )
    done = call(PACKAGES, group, PYTHON=str(tmp_path / "python3.10"))
    assert done.returncode == 1
    assert "needs Python 3.11 or later" in done.stderr and "python3.10 is 3.10.12" in done.stderr
    assert "Installing" not in done.stderr


def test_a_missing_python_is_named() -> None:
    done = call(PACKAGES, "build", PYTHON="python3.99")
    assert done.returncode == 1 and "there is no python3.99" in done.stderr


def missing(folder: Path, group: str) -> str:
    """What a user without root is told on a machine on which only Python works."""
    program(folder, "id", "echo 1000")
    for name in ("gcc", "g++", "clang", "arm-none-eabi-gcc", "qemu-system-arm", "git"):
        program(folder, name, "exit 1")
    done = call(PACKAGES, group, PATH=f"{folder}:{os.environ['PATH']}", PYTHON=sys.executable)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1].strip()


def test_groups_want_no_more_than_they_use(tmp_path: Path) -> None:
    command = "sudo apt-get update && sudo apt-get install -y --no-install-recommends "
    assert missing(tmp_path, "build") == command + "gcc libc6-dev"
    assert missing(tmp_path, "train") == command + "gcc libc6-dev g++"
    assert missing(tmp_path, "stm32") == command + "gcc libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi git"
    test = missing(tmp_path, "test")
    for package in ("g++", "gcc-arm-none-eabi", "qemu-system-arm", "git", "gcc-multilib", "clang", "libclang-rt-"):
        assert package in test


def test_a_board_is_looked_up_by_a_python_that_is_there() -> None:
    # Without root and Python the packages were asked for only after `python3: command not found`.
    for board, mpy in (("NUCLEO_F439ZI", ""), ("RPI_PICO", "/nowhere")):
        made = call("make", "-n", "-B", "firmware", f"BOARD={board}", f"MPY_DIR={mpy}").stdout
        assert 0 <= made.find("debian_packages.sh python") < made.find("get_micropython" if mpy else "tools.stm32")


def test_a_build_is_quiet() -> None:
    made = call("make", "-n", "-B", "unix").stdout
    assert "MKDIR=@mkdir" in made and "MKDIR" not in call("make", "-n", "-B", "unix", "V=1").stdout


def test_the_follower_of_a_newcomer_says_how_it_is_called(tmp_path: Path) -> None:
    done = call("tools/bare_debian.sh")
    assert done.returncode == 2 and "tools/bare_debian.sh FOLDER make demo" in done.stderr
    program(tmp_path, "id", "echo 1000")
    done = call("tools/bare_debian.sh", tmp_path / "x", "make", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1 and "root" in done.stderr and not (tmp_path / "x").exists()


def test_training_does_not_wait_for_what_tests_need() -> None:
    done = call("make", "-n", "-B", "venv")
    assert "debian_packages.sh train" in done.stdout and "debian_packages.sh test" not in done.stdout


def test_make_test_goes_on_after_a_failure(tmp_path: Path) -> None:
    parts = [sys.executable, "tools/run_parts.py", "--logs", tmp_path / "logs", "--jobs"]
    done = call(*parts, "2", "help", "no-such-part", "help")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    summary = lines[lines.index("==== make test") + 1 :]
    assert [line.split()[:2] for line in summary] == [
        ["help", "passed"],
        ["no-such-part", "FAILED"],
        ["help", "passed"],
    ]
    assert done.stdout.count("For everyone") == 2 and "No rule to make target 'no-such-part'" in done.stdout
    assert "no-such-part" in (tmp_path / "logs" / "2-no-such-part.txt").read_text()
    assert call(*parts, "1", "help").returncode == 0
    assert call(*parts, "0", "help").returncode == 2
    (recipe,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "tools/run_parts.py" in line]
    assert "--jobs $(TEST_JOBS)" in recipe and recipe.endswith("$(TEST_PARTS)")


def test_eval_without_images_says_where_they_come_from() -> None:
    done = call("make", "--no-print-directory", "eval", "DATA=no/such folder")
    assert done.returncode == 2
    assert "no/such folder" in done.stderr and "labels.jsonl" in done.stderr and "DATA=generated" in done.stderr
    made = call("make", "-n", "-B", "eval", "DATA=generated").stdout
    assert "rnnpool_training.generated" in made and "generated' " in made


def test_generated_pictures_are_a_data_folder(tmp_path: Path) -> None:
    from rnnpool_training.data import load

    done = call(sys.executable, "-m", "rnnpool_training.generated", tmp_path / "g", "--count", "4")
    assert done.returncode == 0 and len(load(tmp_path / "g")) == 4
    assert call(sys.executable, "-m", "rnnpool_training.generated", tmp_path / "h", "--count", "0").returncode == 2
