"""A serial line that loses, changes and doubles bytes, and can be unplugged: a proxy between pyserial and a board."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator


class FaultyLine:
    """`url` is the port for pyserial. connect() makes the board's end: a socket.

    rate: faults a byte, in both directions while `noisy` is set. `faults` counts those injected, by kind.
    """

    KINDS = ("dropped", "corrupted", "doubled", "burst dropped")

    def __init__(self, connect: Callable[[], socket.socket], rate: float, seed: int) -> None:
        self._connect = connect
        self._random = random.Random(seed)
        self.rate = rate
        self.noisy = False
        self.faults: Counter[str] = Counter()
        self.bytes = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._computer: socket.socket | None = None
        self._plugged = threading.Event()
        self._plugged.set()
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> FaultyLine:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._plugged.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._hang_up()
        self._thread.join(5)

    def _hang_up(self) -> None:
        computer = self._computer
        if computer is not None:
            with contextlib.suppress(OSError):
                computer.shutdown(socket.SHUT_RDWR)

    def unplug(self) -> None:
        """What is on its way is lost; the port is closed until plug()."""
        self.faults["unplugged"] += 1
        self._plugged.clear()
        self._hang_up()

    def plug(self) -> None:
        """The port can be opened again."""
        self._plugged.set()

    def spoil(self, data: bytes) -> bytes:
        """Returns the bytes that arrive of those sent."""
        self.bytes += len(data)
        if not self.noisy:
            return data
        out = bytearray()
        at = 0
        while at < len(data):
            if self._random.random() >= self.rate:
                out.append(data[at])
                at += 1
                continue
            kind = self._random.choices(self.KINDS, (3, 3, 3, 1))[0]
            self.faults[kind] += 1
            if kind == "dropped":
                at += 1
            elif kind == "burst dropped":
                at += self._random.randrange(2, 60)
            elif kind == "corrupted":
                out.append(data[at] ^ self._random.randrange(1, 256))
                at += 1
            else:
                out += data[at : at + 1] * 2
                at += 1
        return bytes(out)

    def _run(self) -> None:
        while not self._closing:
            try:
                computer, _ = self._server.accept()
            except OSError:
                return
            if not self._plugged.is_set():
                computer.close()
                continue
            with contextlib.suppress(OSError), computer, self._connect() as board:
                self._computer = computer
                computer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._forward(computer, board)
            self._computer = None

    def _forward(self, computer: socket.socket, board: socket.socket) -> None:
        while True:
            ready, _, _ = select.select([computer, board], [], [])
            for end in ready:
                data = end.recv(4096)
                if not data:
                    return
                (board if end is computer else computer).sendall(self.spoil(data))


@contextlib.contextmanager
def process_line(command: list[str], cwd: str, rate: float, seed: int) -> Iterator[FaultyLine]:
    """A line to a process's standard input and output, which are started once and live through unplugging."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(command, cwd=cwd, stdin=theirs, stdout=theirs)
    theirs.close()
    try:
        with FaultyLine(ours.dup, rate, seed) as line:
            line.process = process  # type: ignore[attr-defined]
            yield line
    finally:
        process.kill()
        process.wait()
        ours.close()
