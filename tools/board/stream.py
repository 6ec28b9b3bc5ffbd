"""Frames to a board and boxes back, over whatever happens to the line."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from tools.board import ports, repl
from tools.board.frames import Frame
from tools.board.link import Counters, FrameLost, Link, LinkLost, ScriptStopped
from tools.board.pieces import pieces
from tools.board.problem import Problem
from tools.board.protocol import MAX_BOXES, PROTOCOL, Result

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "serial_frames.py"
HELLO_SECONDS = 1.5  # for a script that runs already
START_SECONDS = 15.0  # for one that was just sent
RESTARTS = 20  # of one frame


@dataclass(frozen=True)
class Info:
    """What the script on the board says of itself."""

    model: str
    task: str
    width: int
    height: int
    ram: int
    free: int
    rnnpool: str


def read_info(payload: bytes) -> Info:
    """The content of INFO; raises Problem if this computer and the board do not speak the same version."""
    try:
        said = json.loads(payload)
        if said["protocol"] != PROTOCOL:
            raise Problem(
                f"the board speaks version {said['protocol']} of the protocol, this program {PROTOCOL}: "
                "put examples/serial_frames.py of this checkout on the board, or stop the script there with --restart"
            )
        width, height, _ = said["input"]
        return Info(said["name"], said["task"], width, height, said["ram"], said["free"], said["rnnpool"])
    except (ValueError, KeyError, TypeError):
        raise Problem(f"the board answers, but not as examples/serial_frames.py does: {payload[:80]!r}") from None


class Streamer:
    """A board that finds faces in frames; use it in a `with` statement.

    Starts the script there if it does not run (and then stops it at the end). patience: seconds to wait for a board
    that was unplugged. say: gets a sentence when the line is lost and when it is back.
    """

    def __init__(
        self,
        port: str,
        model: str | None = None,
        baudrate: int = ports.BAUDRATE,
        restart: bool = False,
        patience: float = 60.0,
        silence: float | None = None,
        say: Callable[[str], object] = print,
    ) -> None:
        self.port = port
        self.model = model
        self.baudrate = baudrate
        self.patience = patience
        self.counters = Counters()
        self.restarts = 0
        self.reconnects = 0
        self._silence = silence
        self._say = say
        self._usb_number = ports.serial_number(port)
        self._transport: SerialTransport | None = None
        self._link: Link | None = None
        self._started = False
        # Not one that the board may know from an earlier run.
        self._number = random.randrange(1, 0xFFFF)
        self.info = self._connect(restart)

    def __enter__(self) -> Streamer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, restart: bool) -> Info:
        self._transport = ports.open_transport(self.port, self.baudrate)
        try:
            link = self._new_link(self._transport.serial)
            try:
                if restart or self.model is not None:
                    raise LinkLost
                info = read_info(link.hello(HELLO_SECONDS))
            except LinkLost:
                info = self._start(self._transport)
            if info.task != "detection":
                raise Problem(f"the model {info.model!r} is for {info.task}: choose a detector with --model")
            return info
        except BaseException:
            self._drop()
            raise

    def _new_link(self, serial: Any) -> Link:
        self._link = (
            Link(serial, self.counters) if self._silence is None else Link(serial, self.counters, self._silence)
        )
        return self._link

    def _start(self, transport: SerialTransport) -> Info:
        """Sends the script to a board that is at its REPL, or in some other program."""
        transport.serial.timeout = ports.READ_TIMEOUT
        try:
            board = repl.Repl(transport)
            board.reset()
            # First of all, so that the model's memory is one block at the start of the heap.
            board.exec(repl.model_source(self.model), timeout=30)
            *definitions, start = pieces(SCRIPT.read_text())
            for piece in definitions:
                board.exec(f"{piece}\nimport gc\ngc.collect()")
            board.start(start.encode())
        except repl.ExecError as error:
            raise error.problem() from None
        except (TransportError, OSError) as error:
            raise ports.explain(self.port, error) from None
        link = self._new_link(transport.serial)
        try:
            payload = link.hello(START_SECONDS)
        except (LinkLost, ScriptStopped):
            raise Problem(repl.why_it_stopped(link.text())) from None
        self._started = True
        return read_info(payload)

    def _drop(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.close()
        self._transport = self._link = None

    def close(self) -> None:
        """Stops the script, if this started it, and closes the port."""
        if self._link is not None and self._started:
            with contextlib.suppress(LinkLost):
                self._link.stop()
                assert self._transport is not None
                self._transport.serial.timeout = ports.READ_TIMEOUT
                self._transport.exit_raw_repl()
        self._drop()

    def _reconnect(self, why: str) -> None:
        self._drop()
        self._say(f"the board is gone ({why}); waiting for it")
        limit = time.monotonic() + self.patience
        while True:
            port = ports.find_again(self.port, self._usb_number)
            try:
                if port is None:
                    raise Problem(f"{self.port} is not there")
                self.port = port
                self._connect(restart=False)
                break
            except (Problem, LinkLost, OSError) as error:
                if time.monotonic() > limit:
                    raise Problem(f"the board did not come back in {self.patience:.0f} seconds: {error}") from None
                time.sleep(0.5)
        self.reconnects += 1
        self._say("the board is back; the frame is sent again")

    def detect(
        self,
        frame: Frame,
        threshold: float | None = None,
        max_boxes: int = MAX_BOXES,
        progress: Callable[[int], object] = lambda _: None,
    ) -> Result:
        """Sends a frame and returns its boxes, in its pixels. Raises Problem if there is no way to have them."""
        for _ in range(RESTARTS):
            self._number = self._number % 0xFFFF + 1
            try:
                if self._link is None:
                    raise LinkLost("not connected")
                return self._link.send_frame(
                    self._number, frame.width, frame.height, frame.format, frame.pixels, threshold, max_boxes, progress
                )
            except FrameLost:
                self.restarts += 1
            except ScriptStopped as stopped:
                raise Problem(repl.why_it_stopped(str(stopped))) from None
            except LinkLost as error:
                self._reconnect(str(error) or "no answer")
        raise Problem(f"the frame could not be sent in {RESTARTS} attempts: is there something wrong with the cable?")
