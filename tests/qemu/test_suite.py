"""The tests of tests/micropython on the emulated board, with the DSP kernels and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import run
from board import Board

INPUTS = run.ROOT / "build" / "test-inputs"


@pytest.fixture(scope="module")
def board(each_firmware: Path) -> Iterator[Board]:
    with Board(
        each_firmware, run.rom_image(), run.data_image(INPUTS if INPUTS.is_dir() else None, run.suite())
    ) as board:
        yield board


@pytest.mark.parametrize("test", run.suite(), ids=lambda path: path.stem)
def test_micropython(board: Board, test: Path) -> None:
    result = run.run_test(board, test)
    if result.verdict == "skip":
        pytest.skip("the test skips itself")
    assert result.ok, f"{result.verdict}: {result.detail}"
