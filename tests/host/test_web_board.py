"""The page and a board on a serial line: Web Serial with a fake port, behind it MicroPython with the board's script.

The REPL in front of it is played here, since the unix port has no raw REPL; tests/qemu/test_web_board.py has one.
"""

import base64
import os
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rnnpool
from load_tool import ROOT
from web_page import MODELS, WANTED, browser, expect, expected, file, open_page, playwright, result_with, set_slider  # noqa: F401
from web_serial import FAKE_PORT, until

from rnnpool_training.reference import Format

MICROPYTHON = ROOT / "build" / "unix" / "micropython"
pytestmark = [*WANTED, pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")]


class Machine:
    """MicroPython: a raw REPL until it has a script, then that. `damage`: every so many bytes one is wrong.

    prompt: whether there is a REPL; before: lines in front of the script, as of a firmware that is another.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.ours, self.theirs = socket.socketpair()
        self.said = b""
        self.raw: bytes | None = None
        self.script = b""
        self.damage = self.taken = 0
        self.prompt = True
        self.before = ""

    def take(self, data: bytes) -> None:
        if self.damage:
            given = bytearray(data)
            for i in range(len(given)):
                self.taken += 1
                if self.taken % self.damage == 0:
                    given[i] ^= 4
            data = bytes(given)
        else:
            self.taken += len(data)
        if self.process:
            self.ours.sendall(data)
            return
        for byte in data if self.prompt else b"":
            if self.raw is None:
                if byte == 1:
                    self.raw = b""
                    self.said += b"raw REPL; CTRL-B to exit\r\n>"
            elif byte == 4:
                self.said += b"OK"
                self.script = self.raw
                self.start()
                return
            else:
                self.raw += bytes([byte])

    def start(self) -> None:
        (self.folder / "script.py").write_bytes(self.before.encode() + self.script)
        command = [str(MICROPYTHON), "script.py"]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs
        )

    def give(self) -> bytes:
        data, self.said = self.said, b""
        while select.select([self.ours], [], [], 0)[0]:
            data += os.read(self.ours.fileno(), 4096)
        return data


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    yield found
    if found.process:
        found.process.kill()
        found.process.wait()
    found.ours.close()
    found.theirs.close()


@pytest.fixture
def page(browser: Any, file: Path, machine: Machine) -> Iterator[Any]:
    found = browser.new_page()
    found.expose_function("lineTakes", lambda data: machine.take(base64.b64decode(data)))
    yield open_page(found, file, FAKE_PORT)
    assert found.errors == []
    found.close()


def connected(page: Any, machine: Machine) -> None:
    page.click("#connect")
    arena = rnnpool.required_ram("face", width=640, height=480)  # what examples/serial_frames.py takes
    until(page, machine.give, f"rnnpool-face-m4, detection, input 320x240x1: {arena:,} bytes of arena")


@pytest.mark.parametrize("damage", [0, 3001])
def test_frames_to_a_board_and_boxes_back(page: Any, machine: Machine, damage: int) -> None:
    page.select_option("#size", "160")
    threshold = set_slider(page, "threshold", 2)
    page.click("#drawing")
    connected(page, machine)
    assert machine.script == (ROOT / "examples" / "serial_frames.py").read_bytes()
    assert page.evaluate("window.baudRate") == 115200
    machine.damage = damage
    for format in ("RGB565_BE", "GRAY8"):
        page.select_option("#format", format)
        result = result_with(page, source="a drawing", format=int(Format[format]))
        page.click("#send")
        until(page, machine.give, "found by the board")
        boxes = page.evaluate("window.onBoard.at(-1).boxes")
        assert boxes == expected(MODELS["face"], result, threshold)[:23] and boxes
        page.evaluate("document.getElementById('board-says').textContent = ''")
    page.check("#mirror")
    page.click("#send")
    until(page, machine.give, "Frames to a board are not mirrored")
    page.uncheck("#mirror")
    machine.damage = 0
    page.click("#disconnect")
    until(page, machine.give, "Disconnected.")
    assert page.evaluate("window.lineClosed") and machine.process
    assert machine.process.wait(10) == 0  # the script has ended: the REPL is back
    expect(page.locator("#connect")).to_be_visible()


def test_the_boards_boxes_are_drawn(page: Any, machine: Machine) -> None:
    """In blue, where the page has its own in yellow."""
    blue = """() => {
        const canvas = document.getElementById("view");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
            count += data[i] === 0x74 && data[i + 1] === 0xc0 && data[i + 2] === 0xfc;
        }
        return count;
    }"""
    page.select_option("#size", "160")
    page.click("#drawing")
    result_with(page, source="a drawing")
    connected(page, machine)
    assert page.evaluate(blue) == 0
    page.click("#send")
    until(page, machine.give, "3 found by the board")
    result_with(page, source="a drawing")  # drawn anew
    assert page.evaluate(blue) > 100


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (
            "import no_such_module\n",
            "The script does not run on the board: ImportError: no module named 'no_such_module'.",
        ),
        (
            "import rnnpool\nrnnpool.Model('/no/model.rnnp')\n",
            "The script does not run on the board: OSError: [Errno 2] ENOENT: no file '/no/model.rnnp'.",
        ),
        ("raise SystemExit\n", "The script does not run on the board. Has its firmware rnnpool, and the face model?"),
    ],
)
def test_a_script_that_fails(page: Any, machine: Machine, before: str, sentence: str) -> None:
    machine.before = before
    page.click("#connect")
    until(page, machine.give, sentence)
    assert "Connecting" not in page.inner_text("#board-says")
    expect(page.locator("#send")).to_be_hidden()
    assert page.evaluate("window.lineClosed")  # others can have the port
    machine.process, machine.raw, machine.before = None, None, ""  # reset, with another firmware
    machine.give()
    connected(page, machine)


def test_a_port_without_a_board(page: Any, machine: Machine) -> None:
    machine.prompt = False
    page.click("#connect")
    until(page, machine.give, "There is no MicroPython at this port: neither a REPL nor serial_frames.py answers.")
    assert page.evaluate("window.lineClosed")
    expect(page.locator("#connect")).to_be_visible()


def test_nothing_chosen_and_a_port_that_is_taken(page: Any, machine: Machine) -> None:
    page.evaluate("() => { window.nextPort = () => { throw new DOMException('none', 'NotFoundError'); }; }")
    page.click("#connect")
    page.wait_for_function("document.getElementById('board-says').textContent === ''")
    assert page.inner_text("#message") == ""
    page.evaluate("() => { window.nextPort = null; window.openFails = 'Failed to open serial port.'; }")
    page.click("#connect")
    until(page, machine.give, "The port does not open: Failed to open serial port. Another program may have it.")
    page.evaluate("() => { window.openFails = ''; }")
    connected(page, machine)


def unplug_while_sending(page: Any, machine: Machine, unplug: Callable[[], None]) -> None:
    """In the middle of a frame."""
    before = machine.taken
    page.click("#send")
    for _ in range(1000):
        data = machine.give()
        page.evaluate("(data) => window.lineGives(data)", base64.b64encode(data).decode())
        page.wait_for_timeout(5)
        if machine.taken - before > 3000:
            unplug()
            return
    raise AssertionError("no frame was sent")


def test_unplugged_in_the_middle(page: Any, machine: Machine) -> None:
    page.select_option("#size", "160")
    page.click("#drawing")
    result_with(page, source="a drawing")
    connected(page, machine)
    page.check("#keep")
    unplug_while_sending(page, machine, lambda: page.evaluate("window.unplug()"))
    until(page, machine.give, "The board went away.")
    expect(page.locator("#connect")).to_be_visible()
    expect(page.locator("#send")).to_be_hidden()
    assert not page.is_checked("#keep")
    page.click("#drawing")  # all else goes on
    assert result_with(page, source="a drawing")["detections"]
    # Plugged in again: the board waits in its script.
    connected(page, machine)
    page.click("#send")
    until(page, machine.give, "3 found by the board")


def test_unplugged_between_frames(page: Any, machine: Machine) -> None:
    page.click("#drawing")
    connected(page, machine)
    page.evaluate("window.unplug()")
    until(page, machine.give, "The board went away.")
    expect(page.locator("#connect")).to_be_visible()


# Half a minute of patience in less than one second.
FAST = """() => {
    const [timeout, now] = [window.setTimeout, performance.now.bind(performance)];
    window.setTimeout = (action, milliseconds) => timeout(action, milliseconds / 50);
    performance.now = () => 50 * now();
}"""


def test_a_board_that_falls_silent(page: Any, machine: Machine) -> None:
    page.select_option("#size", "96")
    page.click("#drawing")
    connected(page, machine)
    assert machine.process
    machine.process.kill()
    page.evaluate(FAST)
    page.click("#send")
    until(page, machine.give, "The board does not answer any more.")
    expect(page.locator("#send")).to_be_enabled()
    page.click("#disconnect")
    until(page, machine.give, "Disconnected.")


def test_without_web_serial(browser: Any, file: Path) -> None:
    """Firefox, Safari, phones: no card, and all else as ever."""
    page = browser.new_page()
    open_page(page, file, "delete Navigator.prototype.serial;")
    assert not page.evaluate("'serial' in navigator")
    expect(page.locator("#board-card")).to_be_hidden()
    page.click("#drawing")
    assert result_with(page, source="a drawing")["detections"]
    assert page.errors == []
    page.close()
