"""The engine in builds that ctypes can't load: engine_runner.c compiled with any flags, fed with cases."""

import os
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnpool_training.engine import SOURCES
from rnnpool_training.reference import Detection, Format

HERE = Path(__file__).parent
BUILD = SOURCES.parents[1] / "build" / "host"
END = 0xFFFFFFFF

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BUILDS = {
    "x86-64": ("gcc", "-O2"),
    "i386": ("gcc", "-O2", "-m32"),
    "sanitizers": ("clang", "-O1", "-g", *SANITIZERS),
    "i386-sanitizers": ("gcc", "-O1", "-g", "-m32", *SANITIZERS),
}


@dataclass(frozen=True)
class Case:
    """A blob and a frame to run it on. pixels: the frame's bytes in `format`."""

    blob: bytes
    pixels: bytes
    width: int
    height: int
    format: Format
    threshold: int = 16384
    iou: int = 9830
    max_detections: int = 512

    def pack(self) -> bytes:
        """As engine_runner.c reads it."""
        return (
            struct.pack(
                "<8I",
                len(self.blob),
                len(self.pixels),
                self.width,
                self.height,
                self.format,
                self.threshold,
                self.iou,
                self.max_detections,
            )
            + self.blob
            + self.pixels
        )


@dataclass
class Answer:
    """What the engine said: an error, or rows by operator, detections, probabilities and CRC."""

    status: int
    op: int
    expected: int
    given: int
    arena_size: int
    rows: dict[int, bytes] = field(default_factory=dict)
    detections: list[Detection] = field(default_factory=list)
    probabilities: list[int] = field(default_factory=list)
    crc: int = 0

    def output(self, op: int, like: NDArray[Any]) -> NDArray[Any]:
        """Operator op's output, with the dtype and shape of `like`."""
        return np.frombuffer(self.rows[op], like.dtype).reshape(like.shape)


def build(name: str) -> Path:
    """The runner in one of BUILDS, compiled if a source is newer. CalledProcessError if that fails."""
    runner = BUILD / f"engine_runner-{name}"
    sources = [HERE / "engine_runner.c", *sorted(SOURCES.rglob("*.c"))]
    newest = max(path.stat().st_mtime for path in [*sources, *SOURCES.rglob("*.h"), Path(__file__)])
    if not runner.exists() or runner.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        flags = ("-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES.parent}")
        made = runner.with_name(f"{runner.name}-{os.getpid()}")  # another process may be at it, too
        subprocess.run([*BUILDS[name], *flags, "-o", str(made), *map(str, sources)], check=True)
        made.replace(runner)
    return runner


def run(runner: Path, cases: Sequence[Case]) -> list[Answer]:
    """Runs cases in one process. AssertionError with its last words if it fails (a sanitizer's finding)."""
    result = subprocess.run([str(runner)], input=b"".join(c.pack() for c in cases), capture_output=True)
    assert result.returncode == 0, result.stderr.decode(errors="replace")[-4000:]
    assert not result.stderr, result.stderr.decode(errors="replace")[-4000:]
    reader = _Reader(result.stdout)
    answers = [reader.answer() for _ in cases]
    assert reader.at == len(result.stdout)
    return answers


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def numbers(self, count: int, kind: str = "I") -> tuple[int, ...]:
        values: tuple[int, ...] = struct.unpack_from(f"<{count}{kind}", self.data, self.at)
        self.at += 4 * count
        return values

    def answer(self) -> Answer:
        status, op, expected, given, arena_size = self.numbers(5)
        answer = Answer(status, op - 2**32 if op == END else op, expected, given, arena_size)
        if status:
            return answer
        while (op := self.numbers(1)[0]) != END:
            y, size = self.numbers(2)
            assert size and len(answer.rows.get(op, b"")) == y * size, "rows come in order"
            answer.rows[op] = answer.rows.get(op, b"") + self.data[self.at : self.at + size]
            self.at += size
        for _ in range(self.numbers(1)[0]):
            x, y, w, h, score, *raw = self.numbers(9, "i")
            answer.detections.append(Detection(x, y, w, h, score, tuple(raw), *self.numbers(2)))  # type: ignore[arg-type]
        answer.probabilities = list(self.numbers(self.numbers(1)[0]))
        answer.crc = self.numbers(1)[0]
        return answer
