"""The command line of tools/board: help that teaches, and a sentence with a remedy for each thing that can be wrong."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import threading
import tty
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from load_tool import ROOT
from PIL import Image

from tools.board import __main__ as cli
from tools.board import device, frames, ports, repl, show
from tools.board.problem import Problem
from tools.board.protocol import Box, Result

COMMANDS = ("stream", "monitor", "put", "info", "deploy")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(words)
    said = capsys.readouterr()
    return status, said.out, said.err


def fail(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status, _, said = run(capsys, *words)
    assert status == 1
    assert said.startswith("board: ") and "Traceback" not in said
    return said


def plugged_in(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, int, str]) -> None:
    comports = [SimpleNamespace(device=d, vid=v, description="a board", serial_number=n) for d, v, n in found]
    monkeypatch.setattr(ports.list_ports, "comports", lambda: comports)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_how_it_is_used(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    if command not in ("info", "monitor"):
        assert "python -m tools.board" in text.split("options:")[0].split("usage:")[-1]
    assert all(name in text for name in (COMMANDS if not command else ("--port",)))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["stream", "x.jpg", "--size", "320"], "'320' is no size: WIDTHxHEIGHT"),
        (["stream", "x.jpg", "--size", "0x5"], "'0x5' is no size"),
        (["stream", "x.jpg", "--threshold", "2"], "'2' is no number from 0 to 1"),
        (["stream", "x.jpg", "--every", "0"], "'0' is no number of pictures"),
        (["deploy", "--board", "B", "--image", "x"], "'x' is not ADDRESS=FILE"),
    ],
)
def test_wrong_words(capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    assert text in capsys.readouterr().err


def test_no_board(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plugged_in(monkeypatch)
    assert "no board is connected: plug the board in" in fail(capsys, "info")
    plugged_in(monkeypatch, ("/dev/ttyS0", 0, ""))
    assert "no board is connected (only /dev/ttyS0; --port takes any of them)" in fail(capsys, "info")
    assert "there is no port /dev/ttyACM7 (there is: /dev/ttyS0)" in fail(capsys, "info", "--port", "/dev/ttyACM7")


def test_one_board_is_found_and_two_are_a_question(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged_in(monkeypatch, ("/dev/ttyS0", 0, ""), ("/dev/ttyACM0", 0x0483, "1"))
    assert ports.find(None) == "/dev/ttyACM0"
    plugged_in(monkeypatch, ("/dev/ttyACM0", 0x0483, "1"), ("/dev/ttyACM1", 0xF055, "2"))
    said = fail(capsys, "monitor")
    assert "2 boards are connected: choose one with --port" in said and "/dev/ttyACM1" in said


def test_a_board_is_found_again_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged_in(monkeypatch, ("/dev/ttyACM8", 0x0483, "abc"))
    assert ports.serial_number("/dev/ttyACM8") == "abc"
    assert ports.find_again("/dev/ttyACM7", "abc") == "/dev/ttyACM8"
    assert ports.find_again("/dev/ttyACM7", "abcd") is None
    assert ports.find_again("/dev/null", "abc") == "/dev/null"


def test_nobody_at_a_socket(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing listens at socket://127.0.0.1:1: start the emulated board first" in fail(
        capsys, "info", "--port", "socket://127.0.0.1:1"
    )


def test_busy_port(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as pyserial does
    said = fail(capsys, "info", "--port", name)
    assert f"{name} is in use by another program: close it" in said and f"fuser -v {name}" in said
    os.close(ours)
    os.close(theirs)


def test_a_silent_board(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setattr(repl, "ENTER_SECONDS", 0.2)
    monkeypatch.setattr(ports, "READ_TIMEOUT", 0.2)
    said = fail(capsys, "info", "--port", os.ttyname(theirs))
    assert "does not answer: it runs no MicroPython, or hangs; press its reset button" in said
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("text", [b"temperature 21\r\n" * 20, bytes(range(256))])
def test_a_board_that_never_stops_talking(
    text: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    monkeypatch.setattr(repl, "ENTER_SECONDS", 0.2)
    monkeypatch.setattr(ports, "READ_TIMEOUT", 0.2)
    done = threading.Event()

    def talk() -> None:
        while not done.wait(0.005):
            if select.select([], [ours], [], 0)[1]:
                os.write(ours, text)

    thread = threading.Thread(target=talk)
    thread.start()
    said = fail(capsys, "info", "--port", os.ttyname(theirs))
    done.set()
    thread.join()
    assert "does not answer: it runs no MicroPython, or hangs; press its reset button" in said
    os.close(ours)
    os.close(theirs)


def test_permissions(tmp_path: Path) -> None:
    port = tmp_path / "tty"
    port.touch()
    said = str(ports.explain(str(port), PermissionError(errno.EACCES, "Permission denied")))
    assert "sudo usermod -a -G" in said and "log out and in" in said
    assert "in use by another program" in str(ports.explain("x", OSError(errno.EBUSY, "busy")))
    assert "x can't be used: strange" in str(ports.explain("x", OSError("strange")))
    assert "x is no serial port" in str(ports.explain("x", OSError(errno.ENOTTY, "Inappropriate ioctl for device")))


def test_what_is_no_port_or_no_number_or_no_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "/dev/null is no serial port" in fail(capsys, "info", "--port", "/dev/null")
    for words in (["info", "--baudrate", "0"], ["stream", "x.png", "--patience", "nan"]):
        with pytest.raises(SystemExit):
            cli.main(words)
        assert "must be " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["deploy", "--board", "B", "--romfs-at", "here"])
    assert "'here' is no address, say 0x08000000" in capsys.readouterr().err
    (tmp_path / "x.rnnp").write_bytes(b"no model")
    words = ["deploy", "--board", "B", "--no-flash", "--models", str(tmp_path / "x.rnnp")]
    assert fail(capsys, *words).startswith(f"board: {tmp_path / 'x.rnnp'} is no .rnnp blob that can be used")
    (tmp_path / "x.rnnp").unlink()
    said = f"board: the model {tmp_path / 'x.rnnp'} can't be read: No such file or directory\n"
    assert fail(capsys, *words) == said


def test_sources(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jpg").write_text("no picture")
    (tmp_path / "film.mp4").write_bytes(b"1")
    Image.new("RGB", (64, 48)).save(tmp_path / "b.png")
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    monkeypatch.setattr(frames, "opencv", lambda: None)
    assert "there is no file or folder" in fail(capsys, "stream", str(tmp_path / "none.jpg"))
    assert "has no pictures" in fail(capsys, "stream", str(tmp_path / "empty"))
    assert "pip install opencv-python" in fail(capsys, "stream", str(tmp_path / "film.mp4"))
    assert "pip install opencv-python" in fail(capsys, "stream", "webcam")
    assert "webcam:1 for the second one" in fail(capsys, "stream", "webcam:x")
    pictures, count = frames.find([str(tmp_path / "b.png"), str(tmp_path / "a.png")])
    assert count == 2
    assert [picture.name for picture in pictures] == ["b", "a"]
    pictures, count = frames.find([str(tmp_path)])
    assert count == 3
    assert next(pictures).name == "a"
    assert next(pictures).name == "b"
    with pytest.raises(Problem, match=r"bad\.jpg can't be read as an image"):
        next(pictures)
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    side = Image.new("L", (64, 48))
    exif = side.getexif()
    exif[0x112] = 6
    side.save(tmp_path / "side.tiff", exif=exif)
    for name, said in (("phone.heic", "save it as JPEG or PNG"), ("side.tiff", "on its side, save it as PNG")):
        with pytest.raises(Problem, match=said):
            next(frames.find([str(tmp_path / name)])[0])


def test_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    class Capture:
        left = 2

        def isOpened(self) -> bool:
            return True

        def read(self) -> tuple[bool, np.ndarray | None]:
            self.left -= 1
            return (True, np.full((4, 6, 3), 9, np.uint8)) if self.left >= 0 else (False, None)

        def release(self) -> None:
            pass

    cv2 = SimpleNamespace(VideoCapture=lambda source: Capture(), cvtColor=lambda pixels, code: pixels, COLOR_BGR2RGB=4)
    monkeypatch.setattr(frames, "opencv", lambda: cv2)
    pictures, count = frames.find(["webcam:1"])
    found = list(pictures)
    assert count is None and [picture.name for picture in found] == ["webcam1-000000", "webcam1-000001"]
    assert found[0].image.size == (6, 4)


def test_frames_have_the_formats_of_the_module() -> None:
    image = Image.new("RGB", (2, 1))
    image.putpixel((0, 0), (255, 0, 8))
    image.putpixel((1, 0), (0, 255, 0))
    assert frames.encode(image, frames.FORMATS["rgb888"]).pixels == bytes([255, 0, 8, 0, 255, 0])
    assert frames.encode(image, frames.FORMATS["rgb565"]).pixels == bytes([0x01, 0xF8, 0xE0, 0x07])
    assert frames.encode(image, frames.FORMATS["gray8"]).pixels == image.convert("L").tobytes()
    assert frames.shrink(Image.new("L", (4000, 100)), 320, 240).size == (320, 8)
    assert frames.shrink(Image.new("L", (40, 10)), 320, 240).size == (40, 10)


def test_results_are_written(tmp_path: Path) -> None:
    files = show.Files(tmp_path / "out")
    picture, frame = Image.new("L", (640, 480)), Image.new("L", (320, 240))
    assert files.show("a", picture, frame, Result((Box(10, 20, 30, 40, 0.5),), 0, 1))
    files.close()
    line = json.loads((tmp_path / "out" / "boxes.jsonl").read_text())
    assert line == {"name": "a", "width": 320, "height": 240, "boxes": [[10, 20, 30, 40, 0.5]]}
    pixels = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    assert tuple(pixels[40, 40]) == (0, 255, 0)
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="choose another folder with --out"):
        show.Files(tmp_path / "file")


def test_a_run_without_a_board_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    show.Files(tmp_path).close()
    show.Files(tmp_path).close()
    assert (tmp_path / "boxes.jsonl").read_text() == ""


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = show.Files(tmp_path)
    picture = Image.new("L", (16, 12))
    files.show("a", picture, picture, Result((), 0, 1))

    def full(_: Image.Image, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(Problem, match=r"b.png can't be written: No space left on device; what came before is there"):
        files.show("b", picture, picture, Result((), 0, 1))
    files.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "boxes.jsonl"]


def test_a_second_run_leaves_the_first_ones_boxes(tmp_path: Path) -> None:
    """boxes.jsonl that is there is refused; pictures that are there are not written over."""
    files = show.Files(tmp_path)
    picture = Image.new("L", (16, 12))
    files.show("a", picture, picture, Result((), 0, 1))
    files.close()
    with pytest.raises(Problem, match="holds the boxes of another run"):
        show.Files(tmp_path)
    assert json.loads((tmp_path / "boxes.jsonl").read_text())["name"] == "a"
    (tmp_path / "boxes.jsonl").unlink()
    first = (tmp_path / "a.png").read_bytes()
    files = show.Files(tmp_path)
    files.show("a", Image.new("L", (16, 12), 200), picture, Result((), 0, 1))
    files.close()
    assert (tmp_path / "a.png").read_bytes() == first and (tmp_path / "a_2.png").exists()
    assert json.loads((tmp_path / "boxes.jsonl").read_text())["name"] == "a_2"


def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "opencv", lambda: None)
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib

    matplotlib.use("agg")
    assert show.window() is None


def test_the_report_of_a_board() -> None:
    model = {"path": "/rom/face.rnnp", "size": 74512, "ram": 70256, "error": None}
    told = device.Told(
        "NUCLEO-F439ZI", "1.25.0", 60000, 98000, "0.1.0", 655360, [model], {"/flash": [1000, 2000]}, True
    )
    text = "\n".join(device.report(told, "/dev/ttyACM0"))
    assert "NUCLEO-F439ZI at /dev/ttyACM0" in text
    assert "/rom/face.rnnp, 74,512 bytes, needs 70,256 bytes of RAM, does NOT fit 60,000" in text
    assert "/flash: 1,000 of 2,000 bytes free" in text
    told.models = [{"path": "face", "size": None, "ram": 65488, "error": None}]
    text = "\n".join(device.report(told, "p"))
    assert "face, in the firmware, needs 65,488 bytes of RAM, does NOT fit 60,000" in text
    told.rnnpool = None
    assert "make BOARD=... deploy" in "\n".join(device.report(told, "p"))


def test_remedies_for_exceptions_on_the_board() -> None:
    assert "flash ours" in repl.remedy("ImportError: no module named 'rnnpool'")
    assert "--size" in repl.remedy("MemoryError: needs 1 bytes")
    stopped = repl.why_it_stopped("OK\x04Traceback (most recent call last):\r\nMemoryError: needs 1 bytes\r\n\x04>")
    assert stopped.startswith("the script stopped on the board: MemoryError: needs 1 bytes (the board has too little")
    assert "press its reset button" in repl.why_it_stopped("")


def test_deploy_wants_a_firmware(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "which firmware? --build FOLDER" in fail(capsys, "deploy", "--board", "B")
    assert "build the firmware first" in fail(capsys, "deploy", "--board", "B", "--build", str(tmp_path))


def test_monitor_is_mpremote(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ours, theirs = pty.openpty()
    called = []
    monkeypatch.setattr(
        "tools.board.commands.subprocess.run",
        lambda command, check: called.append(command) or SimpleNamespace(returncode=0),
    )
    assert cli.main(["monitor", "--port", os.ttyname(theirs), "--log", "x.txt"]) == 0
    wanted = ["-m", "mpremote", "connect", os.ttyname(theirs), "resume", "repl", "--capture", "x.txt"]
    assert called == [[sys.executable, *wanted]]
    (tmp_path / "x.txt").write_text("of yesterday")
    assert "--log x.txt is there already" in fail(capsys, "monitor", "--port", os.ttyname(theirs), "--log", "x.txt")
    assert f"{tmp_path / 'no'}: there is no such folder" in fail(capsys, "monitor", "--log", "no/x.txt")
    os.close(ours)
    os.close(theirs)


def test_a_missing_package_is_a_sentence() -> None:
    # -S: without site-packages.
    command = [sys.executable, "-S", "-m", "tools.board", "info"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("board: the Python package ") and done.stderr.count("\n") == 1
    assert "pip install --editable .[tools]" in done.stderr


@pytest.mark.parametrize("folder", ["root", "elsewhere"])
def test_commands_as_printed_run(folder: str, tmp_path: Path) -> None:
    here = ROOT if folder == "root" else tmp_path
    first = subprocess.run(
        [sys.executable, "-m", "tools.board", "--help"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    (line,) = [
        line for line in first.stdout.splitlines() if line.strip().startswith("info ") is False and " info  " in line
    ]
    command = line.split(" info ")[0].strip() + " info --help"
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(["sh", "-c", command], cwd=here, env=clean, capture_output=True, text=True)
    assert done.returncode == 0 and "What is on the board" in done.stdout, done.stderr


def test_pictures_are_not_written_over(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.png"):
        Image.new("RGB", (16, 12), "red").save(tmp_path / name)
    for source in (tmp_path, tmp_path / "b.png"):
        with pytest.raises(Problem, match="could be overwritten: choose another"):
            show.Files(tmp_path, [str(source)])
    pictures, _ = frames.find([str(tmp_path), str(tmp_path / "b.png")])
    files = show.Files(tmp_path / "out", [str(tmp_path)])
    for picture in pictures:
        files.show(picture.name, picture.image, picture.image, Result((), 0, 0))
    files.close()
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "a.jpg.png",
        "a.png.png",
        "b.png",
        "b_2.png",
    ]
