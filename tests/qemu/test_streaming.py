"""tools/board stream and examples/serial_frames.py on the emulated board, over a line with faults: every frame's boxes
are those of the integer reference.

RNNPOOL_FRAMES=100 RNNPOOL_FRAME_SIZE=320x240 pytest -s tests/qemu/test_streaming.py streams more and larger ones. The
emulator takes each byte of its UART one by one: on a busy computer a frame of 320x240 lasts for half a minute. With
RNNPOOL_STM32=build/stm32/NUCLEO_F439ZI the board is that firmware in the emulator of tools/stm32, which is faster.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import make_romfs
import pytest
import run
from board import Board
from faulty_line import FaultyLine
from PIL import Image
from stm32_board import Stm32Board

from rnnpool_training.blob import load
from rnnpool_training.reference import Format, detect
from tools.board.__main__ import size_of
from tools.board.frames import FORMATS, Frame, encode, shrink
from tools.board.protocol import MAX_BOXES, Result
from tools.board.stream import Streamer

FACES = run.ROOT.parent / "shared" / "data" / "faces" / "val" / "images"
MODEL = run.ROOT / "models" / "face.rnnp"
NUM_FRAMES = int(os.environ.get("RNNPOOL_FRAMES", "12"))
SIZE = size_of(os.environ.get("RNNPOOL_FRAME_SIZE", "80x60"))
RATE = 20 / (SIZE[0] * SIZE[1]) if SIZE[0] > 160 else 0.0005  # faults a byte: some 20 a large frame
LOW_SCORE = 655 / 32768  # so that images without faces have boxes to compare, too


def frames(count: int) -> list[Frame]:
    """Pictures spread over the validation set."""
    if not FACES.is_dir():
        pytest.skip(f"no {FACES}: these labelled images lie beside the project, not in it")
    paths = sorted(FACES.glob("*.jpg"))
    chosen = paths[:: max(1, len(paths) // count)][:count]
    return [encode(shrink(Image.open(path), *SIZE), FORMATS["gray8"]) for path in chosen]


def expected(frame: Frame) -> list[tuple[int, ...]]:
    found = detect(
        load(MODEL),
        frame.pixels,
        frame.width,
        frame.height,
        Format.GRAY8,
        round(LOW_SCORE * 32768),
        max_detections=MAX_BOXES,
    )
    return [tuple(d[:5]) for d in found]


def given(result: Result) -> list[tuple[int, ...]]:
    return [(box.x, box.y, box.w, box.h, round(box.score * 32768)) for box in result.boxes]


@pytest.fixture(scope="module")
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board | Stm32Board]:
    romfs = make_romfs.build({"face.rnnp": MODEL.read_bytes()})
    folder = os.environ.get("RNNPOOL_STM32")
    if folder:
        image = tmp_path_factory.mktemp("romfs") / "romfs.img"
        image.write_bytes(romfs)
    with Stm32Board(run.ROOT / folder, image) if folder else Board(request.getfixturevalue("firmware"), romfs) as board:
        board.serve()
        yield board


@pytest.fixture
def line(board: Board | Stm32Board) -> Iterator[FaultyLine]:
    with FaultyLine(lambda: socket.create_connection(("127.0.0.1", board.port)), RATE, seed=1) as line:
        yield line


def test_frames_over_a_faulty_line(line: FaultyLine) -> None:
    pictures = frames(NUM_FRAMES)
    wanted = [expected(picture) for picture in pictures]
    different = []
    with Streamer(line.url) as streamer:
        line.noisy = True
        start = time.monotonic()
        for number, picture in enumerate(pictures):
            result = streamer.detect(picture, LOW_SCORE, MAX_BOXES)
            if given(result) != wanted[number]:
                different.append(number)
        seconds = time.monotonic() - start
        line.noisy = False
        counters = streamer.counters
        print(
            f"\n{len(pictures)} frames of up to {SIZE[0]}x{SIZE[1]}, {sum(map(len, wanted))} boxes, {len(different)} "
            f"frames differ; {seconds:.1f} s, {len(pictures) / seconds:.3f} frames/s; {line.bytes:,} bytes, "
            f"{sum(line.faults.values())} faults {dict(line.faults)}; {counters.packets} packets, {counters.resent} "
            f"sent again, {result.damaged} damaged on the way there, {counters.damaged} back, {streamer.restarts} "
            f"frames begun again, {streamer.reconnects} reconnections"
        )
    assert not different
    assert sum(map(len, wanted)) > 0
    assert sum(line.faults.values()) >= NUM_FRAMES
    assert result.damaged > 0


def test_nothing_is_sent_again_without_need(line: FaultyLine) -> None:
    # Also: a second stream finds the board at its REPL, and another size of frame after the first.
    pictures = [encode(Image.new("L", size, 77), FORMATS["gray8"]) for size in ((64, 48), (31, 7), (1, 1), (90, 60))]
    with Streamer(line.url) as streamer:
        for picture in pictures:
            assert given(streamer.detect(picture, LOW_SCORE, MAX_BOXES)) == expected(picture)
        # Only what a busy computer took too long for.
        assert streamer.counters.resent < streamer.counters.packets
        assert streamer.counters.damaged == 0


def test_unplugged_and_plugged_in_again(line: FaultyLine, board: Board | Stm32Board) -> None:
    picture = frames(1)[0]
    wanted = expected(picture)
    said: list[str] = []
    with Streamer(line.url, say=said.append) as streamer:
        assert given(streamer.detect(picture, LOW_SCORE, MAX_BOXES)) == wanted
        # The cable only, in the middle of a frame: the board goes on waiting.
        sent = 0

        def unplug(count: int) -> None:
            nonlocal sent
            sent += count
            if sent - count < 3000 <= sent:
                line.unplug()
                line.plug()

        assert given(streamer.detect(picture, LOW_SCORE, MAX_BOXES, unplug)) == wanted
        assert streamer.reconnects >= 1

        # With the power: the board starts anew and is at its REPL.
        sent = 0

        def power_off(count: int) -> None:
            nonlocal sent
            sent += count
            if sent - count < 3000 <= sent:
                line.unplug()
                board.stop()
                board.serve()
                line.plug()

        assert given(streamer.detect(picture, LOW_SCORE, MAX_BOXES, power_off)) == wanted
        assert streamer.reconnects >= 2
        assert given(streamer.detect(picture, LOW_SCORE, MAX_BOXES)) == wanted
    assert any("gone" in line for line in said) and any("back" in line for line in said)


def test_ctrl_c_after_a_quiet_second_gives_the_repl(board: Board | Stm32Board) -> None:
    """As when a person opens a terminal; mpremote's entry sends a return and Ctrl-C."""
    from tools.board import ports, repl

    streamer = Streamer(f"socket://127.0.0.1:{board.port}")
    streamer._started = False  # leave the script running
    streamer.close()
    time.sleep(2)
    transport = ports.open_transport(f"socket://127.0.0.1:{board.port}")
    transport.enter_raw_repl(soft_reset=False)
    assert repl.Repl(transport).exec("print(1 + 1)").strip() == "2"
    transport.close()


def test_stop_works_where_ctrl_c_does_not(board: Board | Stm32Board) -> None:
    from tools.board import ports, repl

    streamer = Streamer(f"socket://127.0.0.1:{board.port}")
    streamer._started = False
    streamer.close()
    transport = ports.open_transport(f"socket://127.0.0.1:{board.port}")
    transport.serial.write(bytes([0xF5, 0xAC, 68]))  # the beginning of a packet
    terminal = repl.Repl(transport)
    terminal.enter()
    assert terminal.exec("print(1 + 1)").strip() == "2"
    transport.close()


def test_what_the_board_refuses_is_a_sentence(line: FaultyLine) -> None:
    from tools.board.problem import Problem

    with (
        Streamer(line.url) as streamer,
        pytest.raises(Problem, match=r"the board refuses frames of 5000x1: ValueError: .*5000"),
    ):
        streamer.detect(encode(Image.new("L", (5000, 1)), FORMATS["gray8"]))
    with pytest.raises(Problem, match=r"OSError: no model /rom/other.rnnp"):
        Streamer(line.url, model="/rom/other.rnnp")


@pytest.mark.parametrize("heap", [98_004])
def test_it_fits_the_heap_of_a_firmware_with_network(firmware: Path, heap: int) -> None:
    # The emulated board has the heap of a firmware without network: what is more than `heap` is taken away from it.
    boot = f"import gc\ntaken = bytearray(gc.mem_free() - {heap})\n".encode()
    rom = make_romfs.build({"face.rnnp": MODEL.read_bytes()})
    with Board(firmware, rom, make_romfs.build({"boot.py": boot})) as board:
        board.serve()
        picture = encode(Image.new("L", (32, 24), 99), FORMATS["gray8"])
        with Streamer(f"socket://127.0.0.1:{board.port}") as streamer:
            assert streamer.info.free < 30_000
            assert given(streamer.detect(picture, LOW_SCORE, MAX_BOXES)) == expected(picture)
            print(f"{streamer.info.free:,} bytes of heap left")
