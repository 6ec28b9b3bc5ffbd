"""tools/board deploy, put and info against the emulated board; a stand-in for st-flash starts another firmware.

The board's flash begins at 0 here, so the images of the firmware are given with --image. The model is a small one: the
emulator takes each byte of its UART one by one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import make_romfs
import pytest
import run
from board import Board
from faulty_line import FaultyLine
from networks import NETWORKS

from rnnpool_training.blob import write
from tools.board import __main__ as cli
from tools.board import deploy, device, repl

MACHINE = "mps2-an386"
DATA = make_romfs.build({"boot.py": Path(__file__).with_name("ramdisk.py").read_bytes()})

ST_FLASH = """#!{python}
import sys
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
"""


class Desk:
    """A board behind a serial port that another firmware starts on when st-flash has been called."""

    def __init__(self, folder: Path, old: Path, new: Path) -> None:
        self.log = folder / "st-flash.log"
        self.board = Board(old, data=DATA)
        self.board.serve()
        self.new = new
        self.flashed = False
        self.line = FaultyLine(self.connect, 0, 1)

    def connect(self) -> socket.socket:
        if self.log.exists() and not self.flashed and len(self.calls()) == 1:
            self.flashed = True
            self.board.stop()
            self.board.firmware = self.new
            self.board.serve()
        return socket.create_connection(("127.0.0.1", self.board.port))

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def close(self) -> None:
        self.line.__exit__()
        self.board.__exit__()


def raw_image(firmware: Path, to: Path) -> Path:
    """The bytes of the flash from address 0 on."""
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", firmware, to], check=True)
    return to


@pytest.fixture
def desk(firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    if shutil.which("arm-none-eabi-objcopy") is None:
        pytest.skip("no arm-none-eabi-objcopy: tools/debian_packages.sh m4")
    # An older firmware: the same with other words in it.
    old = tmp_path / "old.elf"
    content = firmware.read_bytes()
    text = b"with an STM32F439's memory"
    assert text in content
    old.write_bytes(content.replace(text, text.upper()))
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "st-flash").write_text(ST_FLASH.format(python=sys.executable, log=str(tmp_path / "st-flash.log")))
    (tools / "st-flash").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    desk = Desk(tmp_path, old, firmware)
    yield desk
    desk.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "face.rnnp"
    path.write_bytes(write(NETWORKS["tiny"](1)))
    return path


def call(desk: Desk, image: Path, *more: str) -> int:
    words = ["deploy", "--port", desk.line.url, "--board", "QEMU", "--machine", MACHINE, "--image", f"0={image}"]
    return cli.main([*words, "--models", str(image.parent / "face.rnnp"), *more])


def test_a_board_from_old_to_ready_and_again(
    desk: Desk, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = raw_image(desk.new, tmp_path / "firmware.bin")
    assert call(desk, image) == 0, capsys.readouterr()
    first = capsys.readouterr().out
    print(first)
    assert desk.calls() == [f"--reset write {image} 0x00000000"]
    for words in (
        "1/5 firmware  flashed by st-flash, and verified on the board",
        "2/5 models    written to ROMFS",
        "3/5 examples  copied and verified: serial_frames.py",
        "4/5 selftest  /rom/face.rnnp passed in",
        "in place",
        "equal to the reference",
        "QEMU is ready",
    ):
        assert words in first
    assert re.search(r"faces +\(\d+, \d+, \d+, \d+, 0\.\d\d\)", first)

    # Again: nothing is written.
    assert call(desk, image) == 0
    second = capsys.readouterr().out
    assert len(desk.calls()) == 1
    for words in ("firmware  is on the board already", "models    are on the board already", "examples  are on the"):
        assert words in second

    # What info says of it, and a file put by hand.
    assert cli.main(["info", "--port", desk.line.url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert MACHINE in told["machine"] and told["romfs"] == 640 * 1024 and told["detect_faces"]
    assert [model["path"] for model in told["models"]] == ["face", "/rom/face.rnnp"] and told["builtin"] == ["face"]
    assert all(model["ram"] > 0 for model in told["models"])
    assert "/flash" in told["files"]
    (tmp_path / "note.txt").write_bytes(bytes(range(256)) * 5)
    for result in ("1,280 bytes written and verified", "1,280 bytes are there already"):
        assert cli.main(["put", "--port", desk.line.url, f"{tmp_path / 'note.txt'}:/flash/notes/a.txt"]) == 0
        assert result in capsys.readouterr().out
    (tmp_path / "large.bin").write_bytes(bytes(140000))
    assert cli.main(["put", "--port", desk.line.url, str(tmp_path / "large.bin")]) == 1
    assert "large.bin takes 140,000 bytes, and the board's file system has" in capsys.readouterr().err

    # Interrupted while ROMFS or a file was written: half of it is there.
    with deploy.Deployment("QEMU", MACHINE, [], [model], port=desk.line.url)._repl() as board:
        board.exec("import vfs\nvfs.rom_ioctl(3, 0, 4096)")
        board.exec("open('serial_frames.py', 'wb').write(b'half')\nopen('serial_frames.py.new', 'wb').write(b'half')")
    assert call(desk, image) == 0
    third = capsys.readouterr().out
    assert len(desk.calls()) == 1
    assert "models    written to ROMFS" in third and "examples  copied and verified" in third


def test_models_that_are_linked_in(firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on boards without a ROMFS partition: the firmware has models/face.rnnp in it, and other models become files.
    def ask(board: repl.Repl) -> device.Told:
        return dataclasses.replace(device.ask(board), romfs=None)

    monkeypatch.setattr(deploy, "ask", ask)
    other = tmp_path / "other.rnnp"
    other.write_bytes(write(NETWORKS["classifier"](1)))
    with Board(firmware, data=DATA) as board:
        board.serve()
        models = [run.ROOT / "models" / "face.rnnp", other]
        linked = deploy.Deployment("QEMU", MACHINE, [], models, port=f"socket://127.0.0.1:{board.port}")
        assert linked.put_models() == "linked into the firmware: face; left out: other (MODELS= says what is linked in)"
        assert re.fullmatch(r"face passed in \d+ ms \([\d,]+ bytes of RAM, in place\)", linked.selftest())
        assert re.match(r"\(\d+, \d+, \d+, \d+, 0\.\d+\).* on a portrait of 102x120, equal", linked.test_frame())
        linked.chosen = True
        for new in (1, 0):
            assert f"; files ({new} new), copied to RAM when they are used" in linked.put_models()
        assert re.search(r"face passed.* in place\); other.rnnp passed.* copied to RAM\)", linked.selftest())
        linked.models = [other]
        linked.put_models()
        assert linked.test_frame() == "no detector among the models"


# On an STM32 pyb.Flash is the place of the file system. Here it has {blocks}, and the file system at /flash 256.
FLASH = """
import sys
class Flash(RamDisk):
    def __init__(self, start):
        super().__init__()
    def ioctl(self, request, argument):
        return {blocks} if request == 4 else super().ioctl(request, argument)
class pyb:
    pass
pyb.Flash = Flash
sys.modules["pyb"] = pyb
"""


def test_a_file_system_of_another_firmware(firmware: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ramdisk = Path(__file__).with_name("ramdisk.py").read_text()

    def deploy_to(board: Board, *more: str) -> tuple[int, str, str]:
        words = ["deploy", "--port", f"socket://127.0.0.1:{board.port}", "--board", "QEMU", "--machine", MACHINE]
        status = cli.main([*words, "--no-flash", "--models", str(model), *more])
        said = capsys.readouterr()
        return status, said.out, said.err

    larger = make_romfs.build({"boot.py": (ramdisk + FLASH.format(blocks=128)).encode()})
    with Board(firmware, data=larger) as board:
        board.serve()
        status, said, error = deploy_to(board)
        assert status == 1 and "examples" not in said
        assert re.search(r"claims \d+,\d+ bytes, and this firmware has 65,536 there, .* MKFS=1 deploy", error)
        assert error.count("\n") == 1
        status, said, error = deploy_to(board, "--mkfs")
        assert status == 0, error
        assert "in a new file system, copied and verified: serial_frames.py (" in said
        status, said, error = deploy_to(board)
        assert status == 0 and "examples  are on the board already (" in said and "MKFS" not in said
    smaller = make_romfs.build({"boot.py": (ramdisk + FLASH.format(blocks=1024)).encode()})
    with Board(firmware, data=smaller) as board:
        board.serve()
        status, said, error = deploy_to(board)
        assert status == 0, error
        assert re.search(r"verified: serial_frames.py \(the file system has \d+,\d+ of 524,288 bytes: MKFS=1 ", said)
    with Board(firmware, data=DATA) as board:
        board.serve()
        status, _, error = deploy_to(board, "--mkfs")
        assert status == 1 and "a file system can't be made on this board: ImportError" in error


def test_what_stops_it(desk: Desk, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = raw_image(desk.new, tmp_path / "firmware.bin")

    def fail(*more: str) -> str:
        assert call(desk, image, *more) == 1
        return capsys.readouterr().err

    said = fail("--machine", "NUCLEO_F439ZI")
    assert "this is another board: it says it is a" in said and "choose the board with --port" in said
    assert not desk.calls()
    bad = tmp_path / "bad.rnnp"
    bad.write_bytes(b"RNNP" + bytes(100))
    assert f"{bad} is no .rnnp blob" in fail("--no-flash", "--models", str(bad))
    # Flashed, but the flash is not as it should be: another image than the firmware that starts.
    other = tmp_path / "other.bin"
    other.write_bytes(image.read_bytes()[:-1] + b"?")
    image = other
    assert "the flash does not hold what was written: run this again" in fail()
    assert len(desk.calls()) == 1


def test_unplugged_while_it_works(desk: Desk, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = raw_image(desk.new, tmp_path / "firmware.bin")
    # At several places of the work, then to the end.
    for limit in (2_000, 12_000):
        clean, passed = desk.line.spoil, 0

        def spoil(data: bytes, limit: int = limit) -> bytes:
            nonlocal passed
            passed += len(data)
            if passed > limit:
                desk.line.unplug()
            return data

        desk.line.spoil = spoil  # type: ignore[method-assign]
        assert call(desk, image) == 1
        said = capsys.readouterr().err
        assert re.search(r"(^|[\r\n ])board: .*(socket|ROMFS)", said) and "Traceback" not in said
        desk.line.spoil = clean  # type: ignore[method-assign]
        desk.line.plug()
    assert call(desk, image) == 0
    assert "QEMU is ready" in capsys.readouterr().out
    assert len(desk.calls()) == 1
