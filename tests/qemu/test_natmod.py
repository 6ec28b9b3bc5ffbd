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
from networks import NETWORKS

from rnnpool_training.blob import write
from tools.dist import heap

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


FREE = """
import gc, os
gc.collect()
free = gc.mem_free()
import rnnpool
gc.collect()
print(free, gc.mem_free(), os.stat("/data/rnnpool.mpy")[6])
"""


def check_free_memory(board: Board, most: int, capsys: pytest.CaptureFixture[str]) -> None:
    """What the import takes of the heap, where the code lies: in docs/boards.md, and tools/dist/heap.py computes so."""
    output, error = board.exec(FREE)
    assert not error, error
    before, after, size = map(int, output.split())
    with capsys.disabled():
        print(f" {before} bytes free, {after} with the module: {before - after} for a file of {size}")
    assert size < before - after <= min(size + heap.IMPORT_BYTES, most)


def test_free_memory(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    check_free_memory(board, 76000, capsys)


def test_a_lean_module_refuses_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """RNNPOOL_WITHOUT=auto: the shipped models run, what none of them needs is named."""
    module = run.ROOT / "build" / "natmod" / "armv6m-lean" / "rnnpool.mpy"
    if not module.is_file():
        pytest.skip(f"no {module.relative_to(run.ROOT)} (make natmod-all)")
    data = make_romfs.build({"rnnpool.mpy": module.read_bytes(), "sums.rnnp": write(NETWORKS["others"](1))})
    script = (
        "import rnnpool\nfor name in ('face', 'person'): print(rnnpool.Model(f'/rom/models/{name}.rnnp').selftest())"
    )
    with Board(firmware_of("qemu-stock"), run.rom_image(), data) as board:
        check_free_memory(board, 62000, capsys)
        assert board.exec(script, timeout=300) == (b"True\r\nTrue\r\n", b"")
        _, error = board.exec("import rnnpool\nrnnpool.Model('/data/sums.rnnp')")
    assert b"ValueError: operator 0 CLAMP is not in this firmware" in error, error


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
