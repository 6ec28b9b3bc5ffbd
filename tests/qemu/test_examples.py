"""Examples on the emulated board, in its memory: they print what the engine predicts on this computer."""

from __future__ import annotations

from pathlib import Path

import make_romfs
import pytest
from board import Board
from example_cases import CASES


@pytest.mark.parametrize("name", CASES)
def test_case(firmware: Path, name: str, tmp_path: Path) -> None:
    case = CASES[name](tmp_path)
    with Board(firmware, image_of(case.rom), image_of(case.files)) as board:
        output, error = board.exec("import os\nos.chdir('/data')\n" + case.source, timeout=240)
    assert not error, error.decode()
    case.check(output.decode())


def image_of(files: dict[str, bytes]) -> bytes:
    """A ROMFS image of files, by their paths."""
    tree: dict[str, bytes | make_romfs.Tree] = {}
    for path, data in files.items():
        *folders, name = path.split("/")
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = data
    return make_romfs.build(tree)
