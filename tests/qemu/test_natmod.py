"""The native .mpy in firmware without the module, on the emulated Cortex-M4F: the tests of tests/micropython.

The processor runs code for smaller ones of its family, too, and MicroPython loads it: so the .mpy of boards with a
Cortex-M0+ (armv6m) and Cortex-M3 (armv7m) run here. Double precision (armv7emdp) it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import make_romfs
import pytest
import run
from board import Board, instructions
from conftest import firmware_of

INPUTS = run.ROOT / "build" / "test-inputs"
ARCHITECTURES = ("armv7emsp", "armv7m", "armv6m")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    module = run.ROOT / "build" / "natmod" / request.param / "rnnpool.mpy"
    if not module.is_file():
        pytest.skip(f"no {module.relative_to(run.ROOT)} (make natmod ARCH={request.param})")
    firmware = firmware_of("qemu-stock")
    data = run.data_image(INPUTS if INPUTS.is_dir() else None, run.suite(), module)
    with Board(firmware, run.rom_image(), data) as started:
        yield started


@pytest.mark.parametrize("test", run.suite(), ids=lambda path: path.stem)
def test_micropython(board: Board, test: Path) -> None:
    result = run.run_test(board, test)
    if result.verdict == "skip":
        pytest.skip("the test skips itself")
    assert result.ok, f"{result.verdict}: {result.detail}"


def test_free_memory(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    # The code lies on the heap. What it takes is in docs/boards.md.
    script = "import gc\ngc.collect()\nfree = gc.mem_free()\nimport rnnpool\ngc.collect()\nprint(free, gc.mem_free())"
    output, error = board.exec(script)
    assert not error, error
    before, after = map(int, output.split())
    with capsys.disabled():
        print(f" {before} bytes free, {after} with the module: {before - after}")
    assert 0 < before - after < 72000


# Both in one firmware, on one model in ROMFS: what a call of the module takes, without the start of the script.
FRAME = """
import gc, time
import {module} as rnnpool
model = rnnpool.Model("/rom/models/face.rnnp")
rows = bytes(8 * 320)
taken = []
for _ in range(2):
    gc.collect()
    start = time.ticks_cpu()
    model.begin(width=320, height=240, format=rnnpool.GRAY8)
    while model.feed(rows):
        pass
    model.result()
    taken.append(time.ticks_diff(time.ticks_cpu(), start))
print(taken[1])
"""


def test_instructions_of_a_frame(capsys: pytest.CaptureFixture[str]) -> None:
    module = run.ROOT / "build" / "natmod" / "armv7emsp" / "rnnpool.mpy"
    if not module.is_file():
        pytest.skip(f"no {module.relative_to(run.ROOT)} (make natmod ARCH=armv7emsp)")
    data = make_romfs.build({"native.mpy": module.read_bytes()})
    counted = []
    with Board(firmware_of("qemu"), run.rom_image(), data, icount=True) as board:
        for name in ("rnnpool", "native"):
            output, error = board.exec(FRAME.format(module=name), timeout=120)
            assert not error, error
            counted.append(instructions(int(output)))
    linked, native = counted
    with capsys.disabled():
        print(f" a face frame: {linked / 1e6:.1f} M instructions linked, {native / 1e6:.1f} M native: ", end="")
        print(f"{100 * (native / linked - 1):+.1f} %")
    assert native < 1.1 * linked
