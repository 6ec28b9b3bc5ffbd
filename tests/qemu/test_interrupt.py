"""Ctrl-C over the serial line during inference: KeyboardInterrupt within a row's time, and the model goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import make_romfs
import pytest
from board import Board
from networks import NETWORKS

from rnnpool_training.blob import write

WORK = {
    "detect": "while True: model.detect(frame)",
    "feed": "while True:\n    model.begin()\n    model.feed(frame)",
    "selftest": "while True: model.selftest()",
}

SET_UP = """
import rnnpool
blob = memoryview(open("/data/model.rnnp", "rb"))
frame = memoryview(open("/data/frame.raw", "rb"))
model = rnnpool.Model(blob)
expected = model.detect(frame)
"""


@pytest.fixture(scope="module")
def board(each_firmware: Path) -> Iterator[Board]:
    frame = bytes(range(256)) * 3  # 32x24
    data = make_romfs.build({"model.rnnp": write(NETWORKS["tiny"](1)), "frame.raw": frame})
    with Board(each_firmware, data=data) as board:
        output, error = board.exec(SET_UP + "print(len(expected) > 0)")
        assert (output, error) == (b"True\r\n", b"")
        yield board


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_ctrl_c(board: Board, work: str) -> None:
    body = "\n".join("    " + line for line in work.splitlines())
    script = f"""
try:
    print("go")
{body}
except KeyboardInterrupt:
    print("interrupted")
print(model.detect(frame) == expected, model.selftest())
"""
    output, error = board.exec(script, timeout=120, soft_reset=False, interrupt_after=b"go")
    assert (output.split(), error) == ([b"go", b"interrupted", b"True", b"True"], b"")


def test_ctrl_c_does_not_wait_for_the_end_of_the_image(each_firmware: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("board.INTERRUPT_DELAY", 0.03)  # a fast computer is done in a third of a second
    # A frame so large that one call lasts for seconds; its results are not there when the call is left.
    width, height = 4096, 3072
    tiny = NETWORKS["tiny"](1)
    data = make_romfs.build({"model.rnnp": write(tiny), "frame.raw": bytes(range(256)) * (width * height // 256)})
    script = f"""
import array, rnnpool
model = rnnpool.Model(memoryview(open("/data/model.rnnp", "rb")), width={width}, height={height})
frame = memoryview(open("/data/frame.raw", "rb"))
out = array.array("h", [-1] * 50)
try:
    print("go")
    model.detect(frame, width={width}, height={height}, rotate=90, threshold=0, out=out)
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted", out[0])
print(model.detect(frame, width={width}, height={height}, rotate=90, threshold=0, out=out) > 0, out[0] >= 0)
"""
    with Board(each_firmware, data=data) as board:
        output, error = board.exec(script, timeout=120, interrupt_after=b"go")
    assert (output.split(), error) == ([b"go", b"interrupted", b"-1", b"True", b"True"], b"")


def test_ctrl_c_does_not_wait_for_deferred_work(each_firmware: Path) -> None:
    # Segments that wait for the last row run within its feed(). A function scheduled again and again is called between
    # their steps and takes its time in one native call, without a branch of its own where Ctrl-C could come in.
    classifier = NETWORKS["classifier"](1)
    size = classifier.width * classifier.height * classifier.channels
    row = classifier.width * classifier.channels
    data = make_romfs.build({"model.rnnp": write(classifier), "frame.raw": bytes(size), "work.raw": bytes(4 << 20)})
    script = f"""
import micropython, rnnpool
model = rnnpool.Model(memoryview(open("/data/model.rnnp", "rb")))
frame = memoryview(open("/data/frame.raw", "rb"))
work = bytes(memoryview(open("/data/work.raw", "rb"))[:50000])
expected = model.classify(frame, format=rnnpool.RGB888)
count = 0
def tick(_):
    global count
    count += 1
    micropython.schedule(again, 0)
    print(count)
    {"work.count(b'xyz');" * 100}
def feed():
    global again, count
    model.begin(format=rnnpool.RGB888)
    model.feed(frame[:{size - row}])
    count = 0
    again = tick
    micropython.schedule(tick, 0)
    try:
        model.feed(frame[{size - row}:])
    finally:
        again = lambda _: None
try:
    feed()
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted")
try:
    model.result()
except RuntimeError:
    print("gone", model.classify(frame, format=rnnpool.RGB888) == expected)
"""
    with Board(each_firmware, data=data) as board:
        output, error = board.exec(script, timeout=120, interrupt_after=b"3\r\n")
    said = output.split()
    assert error == b"" and said[-3:] == [b"interrupted", b"gone", b"True"]
    assert 3 <= int(said[-4]) < 10  # of 11: the work was not done to its end
