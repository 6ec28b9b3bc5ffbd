"""The page's card of a board against the emulated board: its REPL, the script that the page sends, frames, boxes.

Web Serial is a fake port whose bytes go to QEMU's serial line.
"""

from __future__ import annotations

import base64
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_romfs
import pytest
import run
from board import Board
from web_page import (  # noqa: F401 (fixtures)
    MODELS,
    WANTED,
    browser,
    expect,
    expected,
    file,
    open_page,
    playwright,
    result_with,
    set_slider,
)
from web_serial import FAKE_PORT, until

pytestmark = WANTED


class Line:
    """The serial line of a board in QEMU."""

    def __init__(self, board: Board) -> None:
        self.socket = socket.create_connection(("127.0.0.1", board.port))

    def take(self, data: bytes) -> None:
        self.socket.sendall(data)

    def give(self) -> bytes:
        data = b""
        while select.select([self.socket], [], [], 0)[0]:
            data += self.socket.recv(4096)
        return data


@pytest.fixture
def line(firmware: Path) -> Iterator[Line]:
    models = {"face.rnnp": (run.ROOT / "models" / "face.rnnp").read_bytes()}
    with Board(firmware, make_romfs.build(models)) as board:
        board.serve()
        found = Line(board)
        yield found
        found.socket.close()


@pytest.fixture
def page(browser: Any, file: Path, line: Line) -> Iterator[Any]:  # noqa: F811
    found = browser.new_page()
    found.expose_function("lineTakes", lambda data: line.take(base64.b64decode(data)))
    yield open_page(found, file, FAKE_PORT)
    assert found.errors == []
    found.close()


def test_the_card_and_the_emulated_board(page: Any, line: Line) -> None:
    page.select_option("#size", "96")
    threshold = set_slider(page, "threshold", 2)
    page.click("#drawing")
    result = result_with(page, source="a drawing", threshold=threshold)
    page.click("#connect")
    until(page, line.give, "rnnpool-face-m4, detection, input 320x240x1", 300)
    for _ in range(2):
        page.click("#send")
        until(page, line.give, "found by the board", 300)
        boxes = page.evaluate("window.onBoard.at(-1).boxes")
        assert boxes == expected(MODELS["face"], result, threshold)[:23] and boxes
        page.evaluate("document.getElementById('board-says').textContent = ''")
    page.click("#disconnect")
    until(page, line.give, "Disconnected.")
    line.take(b"print(6 * 7)\r")  # the REPL is back
    said = b""
    for _ in range(600):
        said += line.give()
        if b"42\r\n>>> " in said:
            return
        page.wait_for_timeout(50)
    raise AssertionError(said)


def test_a_script_that_fails_on_the_board(page: Any, line: Line) -> None:
    line.take(b"\r\x03import sys; sys.modules['rnnpool'] = sys\r")  # as a firmware without it
    page.wait_for_timeout(500)
    line.give()
    page.click("#connect")
    until(page, line.give, "The script does not run on the board: AttributeError: ", 120)
    expect(page.locator("#send")).to_be_hidden()
