"""tools/board's stream to examples/serial_frames.py in MicroPython's unix port, over a line with faults."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty_line import FaultyLine, process_line
from load_tool import ROOT
from networks import NETWORKS
from PIL import Image

from rnnpool_training.blob import write
from rnnpool_training.reference import Format, detect
from tools.board.frames import FORMATS, Frame, encode
from tools.board.link import Link, LinkLost, ScriptStopped
from tools.board.problem import Problem
from tools.board.protocol import ACK, BEGIN, DATA, ERROR, MAX_BOXES, NAK, RESULT, STOP, Decoder, Packet, Result
from tools.board.repl import why_it_stopped
from tools.board.stream import Streamer, read_info

MICROPYTHON = ROOT / "build" / "unix" / "micropython"
SCRIPT = ROOT / "examples" / "serial_frames.py"
MODEL = NETWORKS["tiny"](1)  # of 32x24
# Otherwise it would take the model in the firmware.
START = f"import rnnpool\nmodel = rnnpool.Model('face.rnnp', width=4096, height=2)\nexec(open({str(SCRIPT)!r}).read())"
LOW = 655

pytestmark = pytest.mark.skipif(not MICROPYTHON.exists(), reason=f"no {MICROPYTHON}: make unix")


@pytest.fixture
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultyLine]:
    rate = getattr(request, "param", 0)
    (tmp_path / "face.rnnp").write_bytes(write(MODEL))
    with process_line([str(MICROPYTHON), "-c", START], str(tmp_path), rate, seed=1) as line:
        yield line


def frame_of(width: int, height: int, seed: int, format: str = "gray8") -> Frame:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return encode(Image.fromarray(noise), FORMATS[format])


def expected(frame: Frame) -> list[tuple[int, ...]]:
    found = detect(MODEL, frame.pixels, frame.width, frame.height, Format(frame.format), LOW, max_detections=MAX_BOXES)
    return [tuple(d[:5]) for d in found]


def given(result: Result) -> list[tuple[int, ...]]:
    return [(box.x, box.y, box.w, box.h, round(box.score * 32768)) for box in result.boxes]


def test_all_formats_and_sizes(line: FaultyLine) -> None:
    with Streamer(line.url) as streamer:
        assert (streamer.info.width, streamer.info.height, streamer.info.task) == (32, 24, "detection")
        for frame in (
            frame_of(320, 240, 1),
            frame_of(97, 61, 2, "rgb565"),
            frame_of(50, 70, 3, "rgb888"),
            frame_of(51, 60, 6, "rgb565_be"),
            frame_of(50, 61, 7, "bgr888"),
            frame_of(1, 1, 4),
            frame_of(700, 20, 5),
        ):
            assert given(streamer.detect(frame, LOW / 32768)) == expected(frame)
        assert len(streamer.detect(frame_of(97, 61, 2), LOW / 32768, 3).boxes) == 3
        assert streamer.counters.damaged == 0 and streamer.restarts == 0


@pytest.mark.parametrize("line", [0.001], indirect=True)
def test_many_faults(line: FaultyLine) -> None:
    with Streamer(line.url) as streamer:
        line.noisy = True
        for seed in range(3):
            frame = frame_of(160, 120, seed)
            assert expected(frame)
            result = streamer.detect(frame, LOW / 32768)
            assert given(result) == expected(frame)
        line.noisy = False
        assert sum(line.faults.values()) > 20
        assert result.damaged > 0
        assert streamer.counters.resent > 10


def test_every_single_fault_of_a_frame(line: FaultyLine) -> None:
    """Each byte of the conversation in turn is dropped, changed or doubled once: the boxes stay right."""
    frame = frame_of(16, 12, 1)
    wanted = expected(frame)
    with Streamer(line.url) as streamer:
        clean = line.spoil
        for at in range(0, 330, 9):
            passed = 0

            def spoil(data: bytes, at: int = at) -> bytes:
                nonlocal passed
                start, passed = passed, passed + len(data)
                if not start <= at < passed:
                    return data
                i = at - start
                new = [b"", bytes([data[i] ^ 0x41]), data[i : i + 1] * 2][at // 9 % 3]
                return data[:i] + new + data[i + 1 :]

            line.spoil = spoil  # type: ignore[method-assign]
            assert given(streamer.detect(frame, LOW / 32768)) == wanted, at
        line.spoil = clean  # type: ignore[method-assign]
        assert streamer.counters.resent > 15


def test_unplugged_in_the_middle(line: FaultyLine) -> None:
    frame = frame_of(160, 120, 1)
    said: list[str] = []
    with Streamer(line.url, say=said.append) as streamer:
        sent = 0

        def unplug(count: int) -> None:
            nonlocal sent
            sent += count
            if sent == 20 * 240:
                line.unplug()
                line.plug()

        assert given(streamer.detect(frame, LOW / 32768, progress=unplug)) == expected(frame)
        assert streamer.reconnects == 1
    assert "gone" in said[0] and "back" in said[-1]


def test_a_board_that_does_not_come_back(line: FaultyLine) -> None:
    with Streamer(line.url, patience=1, say=lambda _: None) as streamer:
        line.unplug()
        with pytest.raises(Problem, match="did not come back in 1 seconds"):
            streamer.detect(frame_of(16, 12, 1))


def test_silence_is_a_lost_link(line: FaultyLine) -> None:
    with Streamer(line.url, silence=1) as streamer:
        line.spoil = lambda data: b""  # type: ignore[method-assign]
        assert streamer._link is not None
        with pytest.raises(LinkLost, match="no answer for 1 seconds"):
            streamer._link.send_frame(1, 4, 4, Format.GRAY8, bytes(16))


def test_a_script_that_fails_is_told() -> None:
    class Serial:
        in_waiting = 1
        said = b"Traceback (most recent call last):\r\nMemoryError: needs 5 bytes\r\n\x04>"

        def write(self, data: bytes) -> None:
            pass

        def read(self, size: int) -> bytes:
            time.sleep(0.001)
            now, self.said = self.said[:size], self.said[size:]
            return now

    with pytest.raises(ScriptStopped) as stopped:
        Link(Serial()).send_frame(1, 4, 4, Format.GRAY8, bytes(16))
    said = why_it_stopped(str(stopped.value))
    assert said.startswith(
        "the script stopped on the board: MemoryError: needs 5 bytes (the board has too little memory"
    )


def test_stop_ends_the_script(line: FaultyLine) -> None:
    streamer = Streamer(line.url)
    assert isinstance(streamer._link, Link)
    streamer._link.stop()
    streamer.close()
    assert line.process.wait(5) == 0  # type: ignore[attr-defined]
    assert Packet(STOP).encode()  # (what was sent)


def test_what_the_board_refuses(line: FaultyLine) -> None:
    with Streamer(line.url) as streamer:
        with pytest.raises(Problem, match="refuses frames of 5000x1: ValueError"):
            streamer.detect(Frame(5000, 1, Format.GRAY8, bytes(5000)))
        assert given(streamer.detect(frame_of(16, 12, 1), LOW / 32768)) == expected(frame_of(16, 12, 1))


def test_another_version_is_told() -> None:
    with pytest.raises(Problem, match="the board speaks version 9 of the protocol, this program 2"):
        read_info(b'{"protocol": 9}')
    with pytest.raises(Problem, match=r"not as examples/serial_frames\.py does"):
        read_info(b"{")


class Answering:
    """A serial line whose other end answers every packet by a function of it."""

    def __init__(self, answer: Callable[[Packet], Packet]) -> None:
        self.answer = answer
        self.decoder = Decoder()
        self.said = b""

    @property
    def in_waiting(self) -> int:
        return len(self.said)

    def write(self, data: bytes) -> None:
        for packet in self.decoder.feed(data):
            self.said += self.answer(packet).encode()

    def read(self, size: int) -> bytes:
        now, self.said = self.said[:size], self.said[size:]
        return now


def result(records: bytes, count: int) -> Callable[[Packet], Packet]:
    """Acknowledges BEGIN and answers data with a RESULT of `count` boxes."""

    def answer(packet: Packet) -> Packet:
        if packet.kind == BEGIN:
            return Packet(ACK, packet.frame, 0)
        return Packet(RESULT, packet.frame, 0, struct.pack("<HHI", count, 0, 0) + records)

    return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda packet: Packet(NAK, packet.frame, packet.index), "the board refused it 201 times: packet 0"),
        (
            lambda packet: Packet(ACK, packet.frame, 0 if packet.kind == BEGIN else 1),
            "the board acknowledged it without an answer 201 times: packet 0",
        ),
        (lambda packet: Packet(ERROR, packet.frame, 0, b"no \xff\xfe"), "refuses frames of 4x4: no "),
        (result(b"", 1), "makes no sense: it has 8 bytes, 18 wanted for 1 boxes"),
        (result(struct.pack("<5h", 2, 0, 3, 4, 100), 1), "box 2, 0, 3, 4 is not within the frame of 4x4"),
    ],
)
def test_a_board_that_makes_no_sense_is_one_error(
    answer: Callable[[Packet], Packet], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Answering(answer)
    if "acknowledged" in said:  # again and again by itself
        monkeypatch.setattr(line, "read", lambda size: answer(Packet(DATA, 1, 0)).encode())
        monkeypatch.setattr(Link, "exchange", skip_begin(Link.exchange))
    with pytest.raises(Problem, match=said):
        Link(line).send_frame(1, 4, 4, Format.GRAY8, bytes(16))


def skip_begin(exchange: Callable[..., Packet]) -> Callable[..., Packet]:
    def only_data(self: Link, packet: Packet, *rest: Any) -> Packet:
        return packet if packet.kind == BEGIN else exchange(self, packet, *rest)

    return only_data


def test_a_frame_of_too_many_packets_is_refused() -> None:
    line = Answering(lambda packet: Packet(NAK, packet.frame))
    with pytest.raises(Problem, match="69,906 packets, the protocol has 65,534"):
        Link(line).send_frame(1, 4096, 4096, Format.GRAY8, bytes(4096 * 4096))
    assert not line.said


def test_answers_beside_the_point_are_no_sign_of_life() -> None:
    line = Answering(lambda packet: Packet(ACK, packet.frame + 1, 0))
    with pytest.raises(LinkLost, match="no answer for 5 seconds"):
        Link(line, silence=5).send_frame(1, 4, 4, Format.GRAY8, bytes(16))


def test_an_error_in_the_middle_of_a_frame_is_told() -> None:
    def answer(packet: Packet) -> Packet:
        return Packet(ACK, packet.frame, 0) if packet.kind == BEGIN else Packet(ERROR, packet.frame, 0, b"MemoryError")

    with pytest.raises(Problem, match="the board fails at this frame: MemoryError"):
        Link(Answering(answer)).send_frame(1, 4, 4, Format.GRAY8, bytes(16))
