"""The models that the module keeps work in the memory that the board sets aside, if their arena is not larger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import make_romfs
import networks
import pytest
from board import Board

from rnnpool_training import blob

CCM = 0x20100000  # ports/qemu/stm32f439.ld
ARENA = 48 * 1024  # RNNPOOL_ARENA_BYTES of ports/qemu/mpconfigboard.h

# Prints how much the heap grew by a model's first use, and whether the board's memory was written to.
SCRIPT = """
import gc, rnnpool, uctypes
frame = bytes(range(256)) * 300
ccm = uctypes.bytearray_at({ccm}, {arena})
for i in range(0, {arena}, 64):
    ccm[i] = 0x5a
gc.collect()
before = gc.mem_alloc()
rnnpool.{call}(frame, width=320, height=240)
gc.collect()
print(gc.mem_alloc() - before, any(ccm[i] != 0x5a for i in range(0, {arena}, 64)))
"""


@pytest.fixture(scope="module")
def board(firmware: Path) -> Iterator[Board]:
    """The face model is in the firmware, a small classifier in ROMFS."""
    person = blob.write(networks.classifier(1))
    face = (Path(__file__).parents[2] / "models" / "face.rnnp").read_bytes()
    with Board(firmware, make_romfs.build({"person.rnnp": person, "face.rnnp": face})) as board:
        yield board


def run(board: Board, script: str, timeout: float = 300) -> list[str]:
    output, error = board.exec(script, timeout)
    assert not error, error.decode()
    return output.decode().split()


@pytest.mark.parametrize(("call", "name"), [("person_present", "person"), ("detect_faces", "face")])
def test_where_a_kept_model_works(board: Board, call: str, name: str) -> None:
    (ram,) = run(board, f"import rnnpool\nprint(rnnpool.required_ram('/rom/{name}.rnnp', width=320, height=240))")
    grown, written = run(board, SCRIPT.format(ccm=CCM, arena=ARENA, call=call))
    if int(ram) <= ARENA:
        assert int(grown) < 1500 and written == "True"
    else:
        assert int(grown) >= int(ram) and written == "False"


def test_they_share_it(board: Board) -> None:
    script = """
import rnnpool
frame = bytes(range(256)) * 300
size = {"width": 320, "height": 240}
person = rnnpool.person_present(frame, **size)
faces = rnnpool.detect_faces(frame, **size)
print(rnnpool.person_present(frame, **size) == person, rnnpool.detect_faces(frame, **size) == faces)
"""
    assert run(board, script) == ["True", "True"]
