"""The emulated board as an object: starts QEMU, talks to MicroPython on it with mpremote, ends it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

# ports/qemu/stm32f439.ld
ROM_ADDRESS = 0x00160000
ROM_SIZE = 640 * 1024
DATA_ADDRESS = 0x21000000
DATA_SIZE = 15 * 1024 * 1024

INTERRUPT_DELAY = 0.3  # seconds
PROMPT_SECONDS = 10  # that a board has to show its prompt before it is spoken to
PATIENCE = 10  # limits are what an idle machine needs several times over; a busy one may be this much slower

ICOUNT_SHIFT = 6  # virtual time: 2^6 ns an instruction, more than one 40 ns tick of the timer, so that none is lost


class BoardError(Exception):
    """The board could not be started, or died (fault, lock-up, exit); the text has what it said last."""


class BoardTimeout(BoardError):
    """A script ran past its limit. The board has been stopped."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def instructions(ticks: int) -> float:
    """Returns the instructions in a difference of time.ticks_cpu() on a Board(icount=True): 40 ns ticks, 64 ns each."""
    return ticks * 40 / (1 << ICOUNT_SHIFT)


class Board:
    """An emulated board that runs `firmware` (firmware.elf); use it in a `with` statement.

    rom: ROMFS image for the STM32's own partition (mounted at /rom); data: ROMFS image of up to 15 MB that only the
    emulator has (mounted at /data). icount: virtual time counts instructions; slower, and the same each time.
    """

    def __init__(
        self, firmware: Path, rom: bytes | None = None, data: bytes | None = None, icount: bool = False
    ) -> None:
        for name, image, limit in (("rom", rom, ROM_SIZE), ("data", data, DATA_SIZE)):
            if image is not None and len(image) > limit:
                raise BoardError(f"the {name} image has {len(image)} bytes, the board's region {limit}")
        if not firmware.is_file():
            raise BoardError(f"no firmware {firmware}")
        self.firmware = firmware
        self.icount = icount
        self._folder = tempfile.TemporaryDirectory(prefix="rnnpool-qemu-")
        self._images: list[tuple[Path, int]] = []
        for name, image, address in (("rom", rom, ROM_ADDRESS), ("data", data, DATA_ADDRESS)):
            if image is not None:
                path = Path(self._folder.name) / f"{name}.img"
                path.write_bytes(image)
                self._images.append((path, address))
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: Any = None
        self.port = 0

    def command(self, serial: str) -> list[str]:
        """Returns QEMU's command line with the board's UART at `serial` (a value of QEMU's -serial)."""
        line = ["qemu-system-arm", "-machine", "mps2-an386", "-display", "none", "-monitor", "none", "-semihosting"]
        line += ["-serial", serial, "-kernel", str(self.firmware)]
        for path, address in self._images:
            line += ["-device", f"loader,file={path},addr={address:#x},force-raw=on"]
        if self.icount:
            line += ["-icount", f"shift={ICOUNT_SHIFT},align=off,sleep=off"]
        return line

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def _launch(self, wait: str) -> None:
        self.port = _free_port()
        log = open(Path(self._folder.name) / "qemu.log", "wb")  # noqa: SIM115 (the process keeps it)
        with log:
            self._process = subprocess.Popen(
                self.command(f"tcp:127.0.0.1:{self.port},server=on,wait={wait},nodelay=on"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def serve(self) -> None:
        """Starts QEMU for others to talk to at TCP port `self.port`, one at a time, instead of exec()."""
        self._launch(wait="off")
        limit = time.monotonic() + 20 * PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if time.monotonic() > limit:
                    self.stop()
                    raise BoardError(f"QEMU did not start: {self._said()}") from None
                time.sleep(0.02)

    def start(self) -> None:
        """Starts QEMU and connects; nothing if it runs already."""
        if self._process is not None:
            return
        self._launch(wait="on")
        limit = time.monotonic() + 20 * PATIENCE
        while self._transport is None:
            try:
                self._transport = SerialTransport(f"socket://127.0.0.1:{self.port}")
            except TransportError:
                if self._process.poll() is not None or time.monotonic() > limit:
                    said = self._said()
                    self.stop()
                    raise BoardError(f"QEMU did not start: {said}") from None
                time.sleep(0.02)
        # Nothing is sent before the board listens (a main.py that does not end never gives a prompt).
        self._transport.read_until(1, b">>> ", timeout_overall=PROMPT_SECONDS)

    def stop(self) -> None:
        """Ends QEMU. The next exec() starts a fresh board."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.close()
            self._transport = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _said(self) -> str:
        lines = (Path(self._folder.name) / "qemu.log").read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if "waiting for connection" not in line)

    def _died(self, output: bytes) -> BoardError:
        # The last words may still be on their way.
        with contextlib.suppress(Exception):
            self._process.wait(2)  # type: ignore[union-attr]
        said = self._said()
        self.stop()
        return BoardError(
            "the board died: " + output.decode(errors="replace")[-500:] + (f"\nQEMU: {said}" if said else "")
        )

    def _enter_raw_repl(self, soft_reset: bool) -> None:
        # QEMU's UART keeps a byte that came before its interrupt was on, and then takes no other: a board to which
        # something was sent too early is deaf, and started anew.
        for left in range(PATIENCE - 1, -1, -1):
            try:
                self._transport.enter_raw_repl(soft_reset=soft_reset)
                return
            except TransportError:
                if left == 0 or not soft_reset or self._process is None or self._process.poll() is not None:
                    raise
                self.stop()
                self.start()

    def exec(
        self, script: bytes | str, timeout: float = 60, soft_reset: bool = True, interrupt_after: bytes | None = None
    ) -> tuple[bytes, bytes]:
        """Runs a script as MicroPython's run-tests.py does and returns (output, text of an uncaught exception).

        timeout: seconds for the whole script, times PATIENCE. interrupt_after: when the script has printed this, Ctrl-C
        is sent INTERRUPT_DELAY later. Raises BoardTimeout, or BoardError if the board died.
        """
        self.start()
        output = bytearray()
        try:
            self._enter_raw_repl(soft_reset)
            self._transport.exec_raw_no_follow(script.encode() if isinstance(script, str) else script)
            limit = time.monotonic() + timeout * PATIENCE
            parts = [bytearray(), bytearray()]
            for part in parts:
                while not part.endswith(b"\x04"):
                    new = self._read(limit)
                    part += new
                    output += new
                    if interrupt_after is not None and output.endswith(interrupt_after):
                        threading.Timer(INTERRUPT_DELAY, self.interrupt).start()
                        interrupt_after = None
            return bytes(parts[0][:-1]), bytes(parts[1][:-1])
        except BoardTimeout as error:
            self.stop()
            raise BoardTimeout(f"{error}; output so far: {bytes(output[-500:])!r}") from None
        except (TransportError, OSError) as error:
            raise self._died(bytes(output) or str(error).encode()) from None

    def _read(self, limit: float) -> bytes:
        """Returns one more byte."""
        serial = self._transport.serial
        while not serial.inWaiting():
            if self._process is not None and self._process.poll() is not None:
                raise TransportError("QEMU ended")
            if time.monotonic() > limit:
                raise BoardTimeout("the script ran past its limit")
            time.sleep(0.002)
        return bytes(serial.read(1))

    def interrupt(self) -> None:
        """Sends Ctrl-C."""
        self._transport.serial.write(b"\x03")


def main() -> int:
    """Runs a script given by its path: a smoke test of the firmware."""
    firmware, script = Path(sys.argv[1]), Path(sys.argv[2])
    with Board(firmware) as board:
        output, error = board.exec(script.read_bytes())
    sys.stdout.write((output + error).decode(errors="replace"))
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
