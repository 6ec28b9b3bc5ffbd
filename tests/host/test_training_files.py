"""Files are written whole or not at all, a run has its folder to itself, and mistakes get one sentence."""

import argparse
import io
import json
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnpool_training import files
from rnnpool_training.command import command, integer, labels, real
from rnnpool_training.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.rnnp"
    assert files.write_bytes(path, b"one") == 3 and path.read_bytes() == b"one"
    path.chmod(0o640)
    files.write_text(path, "zwölf")
    assert path.read_text(encoding="utf-8") == "zwölf" and path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a.rnnp"]


def test_lines_of_any_system(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffcat\r\ndög\r\n".encode())
    assert files.read_lines(path) == ["cat", "dög"]
    path.write_bytes("dög".encode("latin-1"))
    with pytest.raises(OSError, match="is no UTF-8 text") as caught:
        files.read_lines(path)
    assert caught.value.strerror == "is no UTF-8 text: invalid start byte at byte 1"


def test_labels_are_a_file_or_a_list_and_all_differ(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cat\ndog\n")
    assert labels(str(path)) == labels("cat, dog") == ["cat", "dog"]
    many = [f"label number {i}" for i in range(200)]  # longer than any name of a file
    assert labels(",".join(many)) == many
    for text, sentence in (
        ("cat,dog,cat", "label 3 of cat,dog,cat is 'cat' again: each has a name of its own"),
        (str(tmp_path / "no.txt"), "no.txt: No such file or directory"),
        (str(tmp_path), f"{tmp_path}: Is a directory"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=re.escape(sentence)):
            labels(text)
    path.write_text("cat\n\ndog\n")
    with pytest.raises(argparse.ArgumentTypeError, match=r"label 2 of .* is empty"):
        labels(str(path))


def test_an_error_on_the_way_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), files.replacing(path) as temporary:
            assert temporary.suffix == ".png" and temporary.parent == tmp_path
            temporary.write_bytes(b"half")
            raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]


def test_what_a_full_disk_has_no_room_for_is_named(tmp_path: Path) -> None:
    for there in (None, "temporary"):
        with pytest.raises(OSError, match=r"No space left on device: '.*/a\.png'"), \
                files.replacing(tmp_path / "a.png") as temporary:  # fmt: skip
            raise OSError(28, "No space left on device", there and str(temporary))
    with pytest.raises(OSError, match="other"), files.replacing(tmp_path / "a.png"):
        raise OSError(2, "is not there", "other")
    assert not os.listdir(tmp_path)


def test_links_and_devices(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "a")
    files.write_bytes(tmp_path / "link", b"one")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "elsewhere" / "a").read_bytes() == b"one"
    files.write_bytes("/dev/null", b"one")
    with pytest.raises(IsADirectoryError):
        files.write_bytes(tmp_path / "elsewhere", b"one")
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link"]


def _limited(limit: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_full_disk_keeps_the_old_romfs_image(tmp_path: Path) -> None:
    image, content = tmp_path / "rom.img", tmp_path / "model.bin"
    content.write_bytes(bytes(20_000))
    command = [sys.executable, str(ROOT / "tools" / "make_romfs.py"), "build", str(image), str(content)]
    subprocess.run(command, check=True, capture_output=True)
    before = image.read_bytes()
    content.write_bytes(b"\1" * 20_000)
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=lambda: _limited(4096))
    assert done.returncode != 0 and "File too large" in done.stderr and "Traceback" not in done.stderr
    assert image.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["model.bin", "rom.img"]


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert files.check_output(tmp_path / "new.rnnp") == tmp_path / "new.rnnp"
    files.check_output("/dev/null")
    with pytest.raises(OSError, match=r"no file can be made here .*: '/proc'") as caught:
        files.check_output("/proc/new.rnnp")
    assert caught.value.filename == "/proc"
    for path, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "new.rnnp", "no such folder"),
        (tmp_path / "file" / "new.rnnp", "a file, not a folder"),
    ):
        with pytest.raises(OSError, match=words):
            files.check_output(path)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match=r"written over, and it is what is read: .*link"):
        files.check_output(tmp_path / "link", read=[tmp_path / "none", tmp_path / "file"])
    (tmp_path / "link").unlink()
    files.check_output(tmp_path / "file", read=[tmp_path / "none"])
    with pytest.raises(FileNotFoundError) as caught, files.replacing(tmp_path / "none" / "new.rnnp"):
        pass
    assert caught.value.filename == str(tmp_path / "none" / "new.rnnp")  # not a temporary name
    with pytest.raises(OSError, match=r"must end in \.rnnp"):
        files.check_output(tmp_path / "new.pt", [".rnnp"])
    with pytest.raises(NotADirectoryError, match="a file, not a folder"):
        files.make_folder(tmp_path / "file" / "run")
    assert sorted(os.listdir(tmp_path)) == ["file"]


def _hold(folder: Path, ready: "multiprocessing.synchronize.Event") -> None:
    with files.owned(folder):
        ready.set()
        signal.pause()


def test_a_folder_has_one_run(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "run", ready))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(BlockingIOError, match=f"process {other.pid}"), files.owned(tmp_path / "run"):
            pass
    finally:
        other.kill()
        other.join()
    assert (tmp_path / "run" / files.LOCK).read_text() == f"{other.pid}\n"  # left over
    for _ in range(2):
        with files.owned(tmp_path / "run"):
            assert (tmp_path / "run" / files.LOCK).read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("a sentence"), 2, "test_training_files: a sentence\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), 2, "test_training_files: x: No such file"),
        (KeyboardInterrupt(), 130, "test_training_files: interrupted\n"),
    ],
)
def test_mistakes_get_a_sentence(
    error: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @command
    def main(arguments: list[str] | None = None) -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == status
    said = capsys.readouterr().err
    assert said.startswith(words) and "Traceback" not in said


def test_names_that_an_output_cannot_hold_get_escapes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Letters that the terminal has not, bytes of names that are not UTF-8: no traceback after the work."""

    @command
    def main(_: list[str] | None = None) -> None:
        print("ä \udcff")

    screen = io.TextIOWrapper(io.BytesIO(), "ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", screen)
    main()
    screen.seek(0)
    assert screen.read() == "\\xe4 \\udcff\n"
    files.write_text(tmp_path / "x", '"ä \udcff"')
    assert json.loads((tmp_path / "x").read_bytes()) == "ä \udcff"


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from rnnpool_training import engine, planner

    monkeypatch.setenv("CC", "no-such-compiler")
    engine._library.cache_clear()  # another test may have loaded it
    with pytest.raises(SystemExit):
        planner.main([str(ROOT / "models" / "person.rnnp")])
    engine._library.cache_clear()
    assert "no C compiler" in capsys.readouterr().err


def test_faults_of_ours_keep_their_traceback() -> None:
    @command
    def main(arguments: list[str] | None = None) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        main([])


@pytest.mark.parametrize(
    ("convert", "good", "bad"),
    [
        (integer(1), ["1", "70"], ["0", "-1", "1.5", "x", "", "nan"]),
        (integer(0, 5), ["0", "5"], ["6", "-1"]),
        (real(0, above=True), ["0.1", "1e3"], ["0", "-1", "nan", "inf", "x"]),
        (real(0, 1), ["0", "1", "0.5"], ["-0.1", "1.1", "nan"]),
    ],
)
def test_numbers_have_limits(convert: Callable[[str], float], good: list[str], bad: list[str]) -> None:
    import argparse

    assert [convert(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match="must be"):
            convert(text)
