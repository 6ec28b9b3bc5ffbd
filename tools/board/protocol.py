"""The packets of docs/serial.md: encoded, and found again in a stream of bytes that may have lost or changed some.

examples/serial_frames.py is the other end; tests/host/test_board_protocol.py holds their constants against each other.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

PROTOCOL = 2
SYNC0, SYNC1 = 0xF5, 0xAC  # neither 0xF5 nor what follows it can be in a text in UTF-8
HEADER = 10  # bytes: sync (2), kind, length, frame (2), index (2), check (2)
CRC = 4
MAX_PAYLOAD = 240
HELLO, INFO, BEGIN, DATA, ACK, NAK, RESULT, ERROR, STOP = (ord(c) for c in "HIBDANRES")
NO_FRAME = 0xFFFF
MAX_BOXES = 23
MAX_PACKETS = NO_FRAME - 1  # of a frame: numbered in 16 bits
OWN_THRESHOLD = 0xFFFF  # in BEGIN: the model's own

# What completes a packet that was cut off on its way to the board, so that the next one is seen: no sync in it, and no
# byte that means anything to a REPL.
FLUSH = bytes(HEADER + MAX_PAYLOAD + CRC)


@dataclass(frozen=True)
class Packet:
    """kind is one of the letters above; frame and index are 0..65535; payload has up to MAX_PAYLOAD bytes."""

    kind: int
    frame: int = 0
    index: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the line."""
        if len(self.payload) > MAX_PAYLOAD:
            raise ValueError(f"{len(self.payload)} bytes of payload, {MAX_PAYLOAD} allowed")
        fields = struct.pack("<BBHH", self.kind, len(self.payload), self.frame, self.index)
        body = fields + (zlib.crc32(fields) & 0xFFFF).to_bytes(2, "little") + self.payload
        return bytes([SYNC0, SYNC1]) + body + zlib.crc32(body).to_bytes(CRC, "little")


class Decoder:
    """Gives the intact packets among the bytes fed to it. `damaged` counts what began like one and was none."""

    def __init__(self) -> None:
        self.damaged = 0
        self._bytes = bytearray()
        self._text = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Takes bytes as they come, yields packets. Look at all of them before you feed more."""
        self._bytes += data
        while True:
            start = self._bytes.find(SYNC0)
            start = len(self._bytes) if start < 0 else start
            self._text += self._bytes[:start]
            del self._text[:-4000]
            del self._bytes[:start]
            if len(self._bytes) >= 2 and self._bytes[1] != SYNC1:
                self._skip()
                continue
            if len(self._bytes) < HEADER:
                return
            kind, length, frame, index, check = struct.unpack_from("<BBHHH", self._bytes, 2)
            if check != zlib.crc32(self._bytes[2 : HEADER - 2]) & 0xFFFF or length > MAX_PAYLOAD:
                self.damaged += 1
                self._skip()
                continue
            end = HEADER + length
            if len(self._bytes) < end + CRC:
                return
            if zlib.crc32(self._bytes[2:end]) != int.from_bytes(self._bytes[end : end + CRC], "little"):
                self.damaged += 1
                self._skip()
                continue
            payload = bytes(self._bytes[HEADER:end])
            del self._bytes[: end + CRC]
            yield Packet(kind, frame, index, payload)

    def _skip(self) -> None:
        self._text.append(self._bytes[0])
        del self._bytes[0]

    def text(self) -> str:
        """The last 4,000 bytes that belonged to no packet: what the board printed, if it printed anything."""
        return self._text.decode(errors="replace")

    def forget(self) -> None:
        """Drops an unfinished packet and the text: the line was silent, or is a new one."""
        self._bytes.clear()
        self._text.clear()


@dataclass(frozen=True)
class Box:
    """In pixels of the frame that was sent; score 0..1."""

    x: int
    y: int
    w: int
    h: int
    score: float


@dataclass(frozen=True)
class Result:
    """What a RESULT packet says; damaged counts packets that the board has refused since its script started."""

    boxes: tuple[Box, ...]
    damaged: int
    microseconds: int


def begin_payload(width: int, height: int, format: int, max_boxes: int, threshold: float | None) -> bytes:
    """The payload of BEGIN; threshold 0..1 or None for the model's own."""
    raw = OWN_THRESHOLD if threshold is None else round(threshold * 32768)
    return struct.pack("<HHBBH", width, height, format, max_boxes, raw)


def result_from(payload: bytes, width: int, height: int) -> Result:
    """The content of a RESULT for a frame of width x height; raises ValueError if it contradicts itself or that."""
    if len(payload) < 8:
        raise ValueError(f"it has {len(payload)} bytes, at least 8 wanted")
    count, damaged, microseconds = struct.unpack_from("<HHI", payload)
    if len(payload) != 8 + 10 * count:
        raise ValueError(f"it has {len(payload)} bytes, {8 + 10 * count} wanted for {count} boxes")
    boxes = []
    for x, y, w, h, score in struct.iter_unpack("<5h", payload[8:]):
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
            raise ValueError(f"box {x}, {y}, {w}, {h} is not within the frame of {width}x{height}")
        if score < 0:
            raise ValueError(f"score {score} is not within 0..32767")
        boxes.append(Box(x, y, w, h, score / 32768))
    return Result(tuple(boxes), damaged, microseconds)
