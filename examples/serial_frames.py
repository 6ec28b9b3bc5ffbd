# Finds faces in frames that come over the serial line, for desk-side tests: `python -m tools.board stream` on the
# computer sends this script to the board, then frames, and gets boxes. It can also be a board's main.py.
#
# Rows go into the model as they arrive, so there is no frame buffer, and nothing is allocated while a frame is on its
# way. Every packet has a checksum and is acknowledged; damaged ones are asked for again (docs/serial.md).
#
# Ctrl-C is an ordinary byte here, since pixels may have its value. It stops the script after a second without traffic.
#
# ruff: noqa: F821 (ptr8 and ptr32 are types of viper code)
import gc
import json
import select
import sys
import time
from array import array

import micropython
import rnnpool
from micropython import const

PIXEL_BYTES = {rnnpool.GRAY8: 1, rnnpool.RGB888: 3, rnnpool.BGR888: 3}  # 2 of all others
MODELS = ("face", "/flash/face.rnnp", "face.rnnp")  # the first that is there: in the firmware or ROMFS, or a file

# docs/serial.md; the computer's side is tools/board/protocol.py.
_PROTOCOL = const(2)
_SYNC0 = const(0xF5)
_SYNC1 = const(0xAC)
_HEADER = const(10)  # sync, kind, length, frame, index, check
_CRC = const(4)
_MAX_PAYLOAD = const(240)  # a packet fits the 260 bytes that a UART's interrupt buffers
_HELLO = const(72)  # H: who are you; the answer is INFO
_INFO = const(73)  # I
_BEGIN = const(66)  # B: a frame's size and format
_DATA = const(68)  # D: the next bytes of its rows
_ACK = const(65)  # A: index is the number of the DATA packet expected next
_NAK = const(78)  # N: the same, and what came was damaged or is not what was expected
_RESULT = const(82)  # R
_ERROR = const(69)  # E: text
_STOP = const(83)  # S: back to the REPL
_NO_FRAME = const(0xFFFF)  # index in a NAK: begin again
_MAX_BOXES = const(23)

_PIECE = const(16)  # bytes read at once: no more can be missing when the line falls silent
_GAP_MS = const(200)  # silence that ends a packet
_QUIET_MS = const(1000)  # silence after which Ctrl-C stops the script

stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
poller = select.poll()
poller.register(sys.stdin, select.POLLIN)
received = bytearray(_HEADER + _MAX_PAYLOAD + _CRC)
reply = bytearray(_HEADER + _MAX_PAYLOAD + _CRC)
piece = bytearray(_PIECE)
boxes = array("h", bytes(10 * _MAX_BOXES))


def crc_table():
    """The CRC-32 of zlib of 0..15, for four bits at a time."""
    table = array("I", [0] * 16)
    for i in range(16):
        crc = i
        for _ in range(4):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
        table[i] = crc
    return table


@micropython.viper
def check(data: ptr8, end: int, size: int, store: bool, table: ptr32) -> bool:
    """Stores the CRC of data[2:end] in `size` bytes at data[end:], or tells whether it is there.

    In viper code it never is a Python int, which would be allocated.
    """
    crc = -1
    i = 2
    while i < end:
        crc ^= data[i]
        crc = table[crc & 15] ^ ((crc >> 4) & 0x0FFFFFFF)
        crc = table[crc & 15] ^ ((crc >> 4) & 0x0FFFFFFF)
        i += 1
    crc ^= -1
    i = 0
    while i < size:
        byte = (crc >> (8 * i)) & 255
        if store:
            data[end + i] = byte
        elif data[end + i] != byte:
            return False
        i += 1
    return True


@micropython.viper
def copy(to: ptr8, at: int, source: ptr8, start: int, count: int):
    """to[at:] = source[start:][:count]"""
    i = 0
    while i < count:
        to[at + i] = source[start + i]
        i += 1


@micropython.viper
def align(data: ptr8, start: int, end: int) -> int:
    """Moves data[start:end] to the front, from the first byte on that may begin a packet; returns the bytes left."""
    while start < end:
        if data[start] == _SYNC0 and (start + 1 == end or data[start + 1] == _SYNC1):
            break
        start += 1
    i = 0
    while start + i < end:
        data[i] = data[start + i]
        i += 1
    return i


def word(at):
    """16 bits of the packet."""
    return received[at] | received[at + 1] << 8


def wait(milliseconds):
    """Whether a byte comes in this time."""
    for _ in poller.ipoll(milliseconds):
        return True
    return False


class Line:
    """Packets on the serial line. received[:have] has come; its first `used` bytes are done with."""

    def __init__(self):
        self.table = crc_table()
        self.have = self.used = 0
        self.damaged = 0  # packets, since the start

    def read(self, count):
        if stdin.readinto(piece, count) != count:
            raise EOFError
        copy(received, self.have, piece, 0, count)
        self.have += count

    def fill(self, size):
        while self.have < size:
            if not wait(_GAP_MS):
                return False
            self.read(min(size - self.have, _PIECE))
        return True

    # The first byte of a packet, which may be long in coming.
    def first(self):
        quiet = False
        while True:
            if not wait(_QUIET_MS):
                quiet = True
                continue
            self.read(1)
            byte = received[0]
            if quiet and byte == 3:
                raise KeyboardInterrupt
            if byte == _SYNC0:
                return
            self.have = 0
            quiet = quiet and byte == 13  # mpremote sends a return first

    # Waits for an intact packet and returns its kind; 0 if what came was damaged.
    def receive(self):
        while True:
            self.have = align(received, self.used, self.have)
            self.used = 0
            if not self.have:
                self.first()
            self.used = 1  # what follows did not prove to be a packet: look on behind its first byte
            if not self.fill(_HEADER):
                return 0
            if received[1] != _SYNC1:
                continue
            if not check(received, _HEADER - 2, 2, False, self.table) or received[3] > _MAX_PAYLOAD:
                self.damaged += 1
                return 0
            end = _HEADER + received[3]
            if not self.fill(end + _CRC) or not check(received, end, _CRC, False, self.table):
                self.damaged += 1
                return 0
            self.used = end + _CRC
            return received[2]

    # Sends reply[:_HEADER + size]; payload must be there already.
    def send(self, kind, frame, index, size=0):
        reply[0] = _SYNC0
        reply[1] = _SYNC1
        reply[2] = kind
        reply[3] = size
        reply[4] = frame & 255
        reply[5] = frame >> 8
        reply[6] = index & 255
        reply[7] = index >> 8
        check(reply, _HEADER - 2, 2, True, self.table)
        check(reply, _HEADER + size, _CRC, True, self.table)
        stdout.write(reply, _HEADER + size + _CRC)

    def send_text(self, kind, frame, text):
        text = text.encode()[:_MAX_PAYLOAD]
        reply[_HEADER : _HEADER + len(text)] = text
        self.send(kind, frame, 0, len(text))


class Frames:
    """The model and the frame on its way."""

    def __init__(self, model):
        self.model = model
        self.line = Line()
        self.row = bytearray(0)
        self.frame = -1  # its number; -1: none
        self.index = 0  # of the DATA packet expected next
        self.filled = 0  # bytes in the row
        self.wanted = 0  # rows
        self.max_boxes = 0
        self.count = 0  # of boxes, when no rows are wanted
        self.microseconds = 0
        self.nak = False  # damage was told since the last intact packet

    def info(self):
        model = self.model
        gc.collect()
        height, width, channels = model.input_shape
        return json.dumps(
            {
                "protocol": _PROTOCOL,
                "rnnpool": rnnpool.__version__,
                "name": model.name[:32],
                "task": model.task,
                "input": (width, height, channels),
                "ram": model.ram,
                "size": model.size,
                "in_place": model.in_place,
                "free": gc.mem_free(),
            }
        )

    def begin(self, frame):
        self.frame = -1
        width, height, format, threshold = word(_HEADER), word(_HEADER + 2), received[_HEADER + 4], word(_HEADER + 6)
        try:
            threshold = threshold / 32768 if threshold <= 32768 else None  # None: the model's own
            self.model.begin(width=width, height=height, format=format, threshold=threshold)
            size = width * PIXEL_BYTES.get(format, 2)
            if len(self.row) != size:
                self.row = bytearray(size)
        except (ValueError, MemoryError) as error:
            self.line.send_text(_ERROR, frame, "%s: %s" % (type(error).__name__, error))
            return
        self.max_boxes = min(received[_HEADER + 5], _MAX_BOXES)
        self.frame, self.index, self.filled, self.wanted, self.microseconds = frame, 0, 0, height, 0
        self.line.send(_ACK, frame, 0)

    def data(self, frame, index):
        if frame != self.frame:
            self.line.send(_NAK, frame, _NO_FRAME)
        elif index == self.index and self.wanted:
            self.index += 1
            # The next packet may come while this one is worked on.
            self.line.send(_ACK, frame, self.index)
            self.feed(_HEADER, _HEADER + received[3])
            if not self.wanted:
                self.send_result()
        elif index < self.index:  # the acknowledgement was lost
            self.line.send(_ACK, frame, self.index)
            if not self.wanted:
                self.send_result()
        else:
            self.line.send(_NAK, frame, self.index)

    def feed(self, start, end):
        begin = time.ticks_us()
        while start < end and self.wanted:
            count = min(len(self.row) - self.filled, end - start)
            copy(self.row, self.filled, received, start, count)
            start += count
            self.filled += count
            if self.filled == len(self.row):
                self.wanted = self.model.feed(self.row)
                self.filled = 0
        if not self.wanted:
            self.count = self.model.result(max_faces=self.max_boxes, out=boxes) if self.max_boxes else 0
        self.microseconds += time.ticks_diff(time.ticks_us(), begin)

    def send_result(self):
        reply[_HEADER] = self.count
        reply[_HEADER + 1] = 0
        for i in range(2):
            reply[_HEADER + 2 + i] = self.line.damaged >> 8 * i & 255
        for i in range(4):
            reply[_HEADER + 4 + i] = self.microseconds >> 8 * i & 255
        copy(reply, _HEADER + 8, boxes, 0, 10 * self.count)
        self.line.send(_RESULT, self.frame, self.index, 8 + 10 * self.count)

    # Serves one packet; returns False after STOP.
    def serve(self):
        line = self.line
        kind = line.receive()
        frame, index = word(4), word(6)
        if kind == _DATA:
            micropython.heap_lock()  # nothing is allocated while rows come
            try:
                self.data(frame, index)
            finally:
                micropython.heap_unlock()
        elif kind == _HELLO:
            line.send_text(_INFO, frame, self.info())
        elif kind == _BEGIN:
            self.begin(frame)
        elif kind == _STOP:
            line.send(_ACK, frame, 0)
            return False
        elif kind == 0 and not self.nak:  # once, since one fault can look like many
            line.send(_NAK, max(self.frame, 0), self.index if self.frame >= 0 else _NO_FRAME)
        self.nak = kind == 0
        return True


def find_model(paths):
    """The first of these that is there."""
    for path in paths:
        try:
            return rnnpool.Model(path, width=4096, height=2)  # memory for frames of any size: 1 KB more
        except OSError:
            pass
    raise OSError("no model: none of %s" % ", ".join(paths))


def main(model=None):
    """Serves frames until the computer sends STOP, or somebody Ctrl-C."""
    frames = Frames(model or find_model(MODELS))
    micropython.kbd_intr(-1)  # pixels may have the value of Ctrl-C
    try:
        while frames.serve():
            pass
    except (KeyboardInterrupt, EOFError):
        pass
    finally:
        micropython.kbd_intr(3)


if __name__ == "__main__":
    main(globals().get("model"))
