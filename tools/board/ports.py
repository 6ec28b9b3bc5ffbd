"""Finds the board's serial port and opens it, or says in a sentence why not."""

from __future__ import annotations

import errno
import grp
import os
import time
from collections.abc import Callable
from pathlib import Path

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from tools.board.problem import Problem

BAUDRATE = 115200
READ_TIMEOUT = 5.0  # seconds; mpremote's own reads
WRITE_TIMEOUT = 5.0

# USB vendors of boards that run MicroPython, and of the serial chips on them.
VENDORS = {
    0x0483: "ST (ST-LINK, or an STM32's own USB)",
    0xF055: "MicroPython",
    0x2E8A: "Raspberry Pi",
    0x303A: "Espressif",
    0x10C4: "Silicon Labs CP210x",
    0x1A86: "WCH CH340",
    0x0403: "FTDI",
    0x2341: "Arduino",
    0x239A: "Adafruit",
}
ST_DFU = (0x0483, 0xDF11)  # no serial port, but seen in messages
WAIT_FOR_BOARD = "plug the board in (with a cable that carries data; on a Nucleo the connector of the ST-LINK, CN1)"


class NoBoard(Problem):
    """There is no port, or not the one that was named."""


def boards() -> list[ListPortInfo]:
    """The serial ports that look like a board's, by name."""
    return sorted((port for port in list_ports.comports() if port.vid in VENDORS), key=lambda port: str(port.device))


def describe(port: ListPortInfo) -> str:
    """A port in a line for people."""
    return f"{port.device}  {port.description} ({VENDORS.get(port.vid, 'unknown')})"


def find(port: str | None) -> str:
    """Returns the port to use: the given one, or the only one that looks like a board's.

    A port is a device, a file that is a pty, or an URL of pyserial (socket://host:port).
    """
    if port:
        return port
    found = boards()
    if not found:
        others = [str(other.device) for other in list_ports.comports()]
        seen = f" (only {', '.join(others)}; --port takes any of them)" if others else ""
        raise NoBoard(f"no board is connected{seen}: {WAIT_FOR_BOARD}, or name its port with --port")
    if len(found) > 1:
        lines = "".join(f"\n  {describe(one)}" for one in found)
        raise Problem(f"{len(found)} boards are connected: choose one with --port:{lines}")
    return str(found[0].device)


def serial_number(port: str) -> str | None:
    """What identifies the USB device behind a port, so that it is found again under another name."""
    for one in list_ports.comports():
        if one.device == port:
            number = one.serial_number
            return str(number) if number else None
    return None


def find_again(port: str, number: str | None) -> str | None:
    """The port's name now: its old one, or that of the device with this serial number; None while it is away."""
    if "://" in port or Path(port).exists():
        return port
    for one in list_ports.comports():
        if number and one.serial_number == number:
            return str(one.device)
    return None


def _group_of(port: str) -> str:
    try:
        return grp.getgrgid(os.stat(port).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


def explain(port: str, error: BaseException) -> Problem:
    """The sentence for an error of opening or using a port."""
    number = getattr(error, "errno", None)
    text = str(error)
    if "Connection refused" in text or number == errno.ECONNREFUSED:
        return Problem(f"nothing listens at {port}: start the emulated board first (ports/qemu/README.md)")
    if number == errno.EACCES or "Permission denied" in text:
        group = _group_of(port)
        return Problem(
            f"no permission for {port}: join its group with `sudo usermod -a -G {group} $USER`, then log out and in"
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text or "busy" in text.lower():
        return Problem(
            f"{port} is in use by another program: close it (mpremote, a terminal, an IDE); `fuser -v {port}` names it"
        )
    if number == errno.ENOENT or "No such file" in text or "could not open port" in text.lower():
        there = ", ".join(str(one.device) for one in list_ports.comports()) or "no serial port at all"
        return NoBoard(f"there is no port {port} (there is: {there}): {WAIT_FOR_BOARD}")
    if number in (errno.ENOTTY, errno.EINVAL) or f"({errno.ENOTTY}, " in text:
        return Problem(f"{port} is no serial port, or does not take this --baudrate")
    return Problem(f"{port} can't be used: {text}")


class Transport(SerialTransport):
    """mpremote's, but that its limit of a whole wait holds for a board, too, that never stops talking."""

    def read_until(  # as mpremote calls it
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: Callable[[bytes], object] | None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        """What comes until `ending`; timeout_overall: seconds for all of it."""
        if timeout_overall is None:
            return bytes(super().read_until(min_num_bytes, ending, timeout, data_consumer))
        end, data = time.monotonic() + timeout_overall, b""
        while not data.endswith(ending) and time.monotonic() < end:
            if self.is_pty or self.serial.in_waiting:
                data += self.serial.read(1)
            else:
                time.sleep(0.01)
        return data


def open_transport(port: str, baudrate: int = BAUDRATE) -> SerialTransport:
    """Opens a port for mpremote's transport, whose `.serial` is pyserial's object. Raises Problem."""
    try:
        transport = Transport(port, baudrate=baudrate, timeout=READ_TIMEOUT)
    except (TransportError, serial.SerialException, OSError, ValueError) as error:
        # mpremote does not say why.
        try:
            serial.serial_for_url(port, baudrate=baudrate, exclusive=True).close()
        except (OSError, ValueError) as reason:  # SerialException is an OSError
            raise explain(port, reason) from None
        raise explain(port, error) from None
    transport.serial.write_timeout = WRITE_TIMEOUT
    return transport
