"""Packets to a board and answers back, over a line that may lose, change or double bytes: one packet at a time, sent
again until it is acknowledged (docs/serial.md)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tools.board.problem import Problem
from tools.board.protocol import (
    ACK,
    BEGIN,
    DATA,
    ERROR,
    FLUSH,
    HELLO,
    INFO,
    MAX_BOXES,
    MAX_PACKETS,
    MAX_PAYLOAD,
    NAK,
    NO_FRAME,
    RESULT,
    STOP,
    Decoder,
    Packet,
    Result,
    begin_payload,
    result_from,
)

POLL_SECONDS = 0.02
# When nothing is heard from the board for so long although packets are sent again and again, it is gone. It computes
# for some 50 ms between two packets; an emulated one on a busy computer for seconds.
SILENCE_SECONDS = 15.0
MIN_RESEND_SECONDS, MAX_RESEND_SECONDS = 0.1, 4.0
# A board that refuses a packet, or puts its answer off, so often will not do otherwise: no line is that bad.
MAX_REFUSALS = 200


class LinkLost(Exception):
    """The line is gone, or nobody answers on it."""


class ScriptStopped(Exception):
    """The script on the board has ended with an exception; the text is what it printed."""


class FrameLost(Exception):
    """The board does not know the frame any more: begin it again."""


class Verdict(Enum):
    """What an arriving packet means for the one that waits for its answer."""

    ANSWER = 1
    AGAIN = 2  # send it again
    PATIENCE = 3  # it has arrived; the answer takes longer
    NOTHING = 4


@dataclass
class Counters:
    """Since the link was made."""

    packets: int = 0
    resent: int = 0
    damaged: int = 0  # that came
    bytes: int = 0


class Timer:
    """How long to wait before a packet is sent again: the mean time of answers, and four times how much they vary."""

    def __init__(self, first: float) -> None:
        self.seconds = first
        self._mean = 0.0
        self._deviation = 0.0
        self._known = False

    def learn(self, seconds: float) -> None:
        """Takes the time of an answer to a packet that was sent once."""
        if not self._known:
            self._mean, self._deviation, self._known = seconds, seconds / 2, True
        self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
        self._mean += (seconds - self._mean) / 8
        self.seconds = min(max(self._mean + 4 * self._deviation, MIN_RESEND_SECONDS), MAX_RESEND_SECONDS)


class Link:
    """The script examples/serial_frames.py at the other end of an open serial line (pyserial)."""

    def __init__(self, serial: Any, counters: Counters | None = None, silence: float = SILENCE_SECONDS) -> None:
        self.serial = serial
        self.serial.timeout = POLL_SECONDS
        self.counters = counters or Counters()
        self.silence = silence
        self._decoder = Decoder()
        self._arrived: deque[Packet] = deque()
        self._acknowledged = Timer(0.5)
        self._computed = Timer(2.0)

    def _write(self, data: bytes) -> None:
        try:
            self.serial.write(data)
        except OSError as error:  # SerialException is one
            raise LinkLost(str(error)) from None
        self.counters.bytes += len(data)

    def _read(self) -> Packet | None:
        if not self._arrived:
            try:
                data = self.serial.read(max(1, self.serial.in_waiting))
            except (OSError, TypeError) as error:  # TypeError: pyserial, when the device goes while it reads
                raise LinkLost(str(error)) from None
            self._arrived.extend(self._decoder.feed(data))
            self.counters.damaged += self._decoder.damaged
            self._decoder.damaged = 0
        return self._arrived.popleft() if self._arrived else None

    def text(self) -> str:
        """What the board printed beside packets."""
        return self._decoder.text()

    def exchange(
        self,
        packet: Packet,
        judge: Callable[[Packet], Verdict],
        timer: Timer,
        silence: float | None = None,
        flush: bool = False,
    ) -> Packet:
        """Sends a packet, again and again if need be, and returns its answer. Raises LinkLost, Problem."""
        encoded = (FLUSH if flush else b"") + packet.encode()
        silence = silence or self.silence
        self._write(encoded)
        self.counters.packets += 1
        times, again_after, refusals = 1, timer.seconds, 0
        sent = heard = time.monotonic()
        while True:
            arrived = self._read()
            now = time.monotonic()
            verdict = judge(arrived) if arrived is not None else Verdict.NOTHING
            if verdict is not Verdict.NOTHING:  # what belongs to something else is no sign of life
                heard = now
            if verdict is Verdict.ANSWER:
                assert arrived is not None
                if times == 1:
                    timer.learn(now - sent)
                else:
                    # Which of them was answered? Unknown; so the next packet waits as long as this one (Karn's rule).
                    timer.seconds = again_after
                return arrived
            refusals += verdict in (Verdict.AGAIN, Verdict.PATIENCE)
            if refusals > MAX_REFUSALS:
                did = "refused it" if verdict is Verdict.AGAIN else "acknowledged it without an answer"
                raise Problem(
                    f"the board {did} {refusals} times: packet {packet.index} ('{chr(packet.kind)}') of frame "
                    f"{packet.frame}; stop what runs there with --restart"
                )
            if verdict is Verdict.PATIENCE:
                sent = now
            elif verdict is Verdict.AGAIN or now - sent > again_after:
                if "Traceback" in self.text():
                    raise ScriptStopped(self.text())
                if now - heard > silence:
                    raise LinkLost(f"no answer for {silence:.0f} seconds")
                if verdict is not Verdict.AGAIN:
                    again_after = min(2 * again_after, MAX_RESEND_SECONDS)
                self._write(encoded)
                self.counters.resent += 1
                times += 1
                sent = now

    def hello(self, seconds: float) -> bytes:
        """Asks who is there; returns the content of INFO. Raises LinkLost after so many seconds without an answer."""
        self._decoder.forget()
        self._arrived.clear()

        def judge(arrived: Packet) -> Verdict:
            return Verdict.ANSWER if arrived.kind == INFO else Verdict.NOTHING

        return self.exchange(Packet(HELLO), judge, Timer(min(0.5, seconds / 2)), silence=seconds, flush=True).payload

    def stop(self, seconds: float = 2.0) -> None:
        """Sends the script back to the REPL. Raises LinkLost."""

        def judge(arrived: Packet) -> Verdict:
            return Verdict.ANSWER if arrived.kind == ACK and arrived.frame == 0 else Verdict.NOTHING

        self.exchange(Packet(STOP), judge, Timer(0.5), silence=seconds, flush=True)

    def send_frame(
        self,
        number: int,
        width: int,
        height: int,
        format: int,
        pixels: bytes,
        threshold: float | None = None,
        max_boxes: int = MAX_BOXES,
        progress: Callable[[int], object] = lambda _: None,
    ) -> Result:
        """Sends one frame (its number 1..65535 is new each time) and returns the boxes.

        progress is called with the bytes that have arrived since the last call. Raises LinkLost, FrameLost, Problem.
        """
        packets = -(-len(pixels) // MAX_PAYLOAD)
        if packets > MAX_PACKETS:
            raise Problem(
                f"a frame of {width}x{height} with {len(pixels):,} bytes takes {packets:,} packets, the protocol has "
                f"{MAX_PACKETS:,}: make it smaller (--size)"
            )
        begin = Packet(BEGIN, number, 0, begin_payload(width, height, format, max_boxes, threshold))

        def judge_begin(arrived: Packet) -> Verdict:
            if arrived.kind == ERROR and arrived.frame == number:
                raise Problem(
                    f"the board refuses frames of {width}x{height}: {arrived.payload.decode(errors='replace')}"
                )
            if arrived.kind == ACK and arrived.frame == number:
                return Verdict.ANSWER
            return Verdict.AGAIN if arrived.kind == NAK else Verdict.NOTHING

        self.exchange(begin, judge_begin, self._acknowledged)
        chunks = [pixels[at : at + MAX_PAYLOAD] for at in range(0, len(pixels), MAX_PAYLOAD)]
        answer: Packet | None = None
        for index, chunk in enumerate(chunks):
            last = index == len(chunks) - 1

            def judge(arrived: Packet, index: int = index, last: bool = last) -> Verdict:
                if arrived.kind == NAK and arrived.index == NO_FRAME:
                    raise FrameLost
                if arrived.frame != number:
                    return Verdict.NOTHING
                if arrived.kind == ERROR:
                    raise Problem(f"the board fails at this frame: {arrived.payload.decode(errors='replace')}")
                if arrived.kind == RESULT:
                    return Verdict.ANSWER if last else Verdict.NOTHING
                if arrived.kind not in (ACK, NAK):
                    return Verdict.NOTHING
                if arrived.index == index + 1:
                    return Verdict.PATIENCE if last else Verdict.ANSWER
                if arrived.kind == NAK:
                    if arrived.index != index:
                        raise FrameLost
                    return Verdict.AGAIN
                return Verdict.NOTHING

            timer = self._computed if last else self._acknowledged
            answer = self.exchange(Packet(DATA, number, index, chunk), judge, timer)
            progress(len(chunk))
        assert answer is not None
        try:
            return result_from(answer.payload, width, height)
        except ValueError as error:  # the packet's check was right: it is what the board meant to say
            raise Problem(f"the board's result makes no sense: {error}") from None
