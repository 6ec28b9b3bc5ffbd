"""The page and a board on a serial line: Web Serial with a fake port, behind it MicroPython with the board's script.

The REPL in front of it is played here, since the unix port has no raw REPL.
"""

import base64
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from load_tool import ROOT
from test_web import MODELS, browser, expected, file, open_page, playwright, result_with, set_slider  # noqa: F401
from test_web import pytestmark as needs

playwright_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install .[dev]")
from playwright.sync_api import Browser, Page, expect  # noqa: E402

MICROPYTHON = ROOT / "build" / "unix" / "micropython"
pytestmark = [*needs, pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")]

# A port as navigator.serial gives it; bytes go through functions of the test.
FAKE_PORT = """
let toPage = null;
const text = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
window.lineGives = (data) => {
    if (!window.lineClosed) {
        toPage.enqueue(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)));
    }
};
window.unplug = () => toPage.error(new Error("unplugged"));
const port = {
    async open({ baudRate }) {
        Object.assign(window, { baudRate, lineClosed: false });
        port.readable = new ReadableStream({ start: (controller) => (toPage = controller) });
        port.writable = new WritableStream({ write: (bytes) => window.lineTakes(btoa(text(bytes))) });
    },
    async close() { window.lineClosed = true; },
};
Object.defineProperty(navigator, "serial", { value: { requestPort: async () => port } });
window.onBoard = [];
document.addEventListener("rnnpool-board", ({ detail }) => window.onBoard.push(detail));
"""


class Machine:
    """MicroPython: a raw REPL until it has a script, then that. `damage`: every so many bytes one is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.ours, self.theirs = socket.socketpair()
        self.said = b""
        self.raw: bytes | None = None
        self.script = b""
        self.damage = self.taken = 0

    def take(self, data: bytes) -> None:
        if self.damage:
            given = bytearray(data)
            for i in range(len(given)):
                self.taken += 1
                if self.taken % self.damage == 0:
                    given[i] ^= 4
            data = bytes(given)
        if self.process:
            self.ours.sendall(data)
            return
        for byte in data:
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
        (self.folder / "script.py").write_bytes(self.script)
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
def page(browser: Browser, file: Path, machine: Machine) -> Iterator[Page]:  # noqa: F811
    found = browser.new_page()
    found.expose_function("lineTakes", lambda data: machine.take(base64.b64decode(data)))
    yield open_page(found, file, FAKE_PORT)
    assert found.errors == []
    found.close()


def until(page: Page, machine: Machine, said: str, seconds: float = 60) -> None:
    """Lets the line work until the page says something."""
    for _ in range(int(seconds * 50)):
        if data := machine.give():
            page.evaluate("(data) => window.lineGives(data)", base64.b64encode(data).decode())
        page.wait_for_timeout(20)
        if said in page.inner_text("#board-says") + page.inner_text("#message"):
            return
    raise AssertionError(f"wanted {said!r}: {page.inner_text('#board-says')!r} {page.inner_text('#message')!r}")


@pytest.mark.parametrize("damage", [0, 3001])
def test_frames_to_a_board_and_boxes_back(page: Page, machine: Machine, damage: int) -> None:
    page.select_option("#size", "160")
    threshold = set_slider(page, "threshold", 2)
    page.click("#drawing")
    page.click("#connect")
    until(page, machine, "rnnpool-face-m4, detection, input 320x240x1: 66,712 bytes of arena")
    assert machine.script == (ROOT / "examples" / "serial_frames.py").read_bytes()
    assert page.evaluate("window.baudRate") == 115200
    machine.damage = damage
    for format in ("RGB565_BE", "GRAY8"):
        page.select_option("#format", format)
        result = result_with(page, source="a drawing", format=blob_format(format))
        page.click("#send")
        until(page, machine, "found by the board")
        boxes = page.evaluate("window.onBoard.at(-1).boxes")
        assert boxes == expected(MODELS["face"], result, threshold)[:23] and boxes
        page.evaluate("document.getElementById('board-says').textContent = ''")
    page.check("#mirror")
    page.click("#send")
    until(page, machine, "Frames to a board are not mirrored")
    page.uncheck("#mirror")
    machine.damage = 0
    page.click("#disconnect")
    until(page, machine, "Disconnected.")
    assert page.evaluate("window.lineClosed") and machine.process
    assert machine.process.wait(10) == 0  # the script has ended: the REPL is back
    expect(page.locator("#connect")).to_be_visible()


def blob_format(name: str) -> int:
    from rnnpool_training.reference import Format

    return int(Format[name])
