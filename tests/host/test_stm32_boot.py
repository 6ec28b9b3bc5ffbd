"""Whole firmware for STM32 boards, linked with what is in MPY_DIR, in an emulated processor up to the REPL and beyond.

Skipped, saying so, without a checkout of MicroPython that has the libraries of ports/stm32.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import stm32_module
from load_tool import ROOT
from stm32_board import Stm32Board

from tools.board import __main__ as cli
from tools.board import deploy, device
from tools.board.problem import Problem
from tools.stm32 import budget, elf, machine

# Board, variant, models that are linked in, bytes for the file system.
FIRMWARE = (
    ("NUCLEO_F439ZI", "", ("face", "person"), 64 << 10),
    ("NUCLEO_F439ZI", "NETWORK", ("face", "person"), 256 << 10),
    ("PYBV11", "", ("face", "person"), 112 << 10),
    ("NUCLEO_F446RE", "", ("face",), 48 << 10),
    ("NUCLEO_F411RE", "", ("face",), 48 << 10),
)
NAMES = {  # what they say they are
    "NUCLEO_F439ZI": "NUCLEO-F439ZI",
    "PYBV11": "PYBv1.1",
    "NUCLEO_F446RE": "NUCLEO-F446RE",
    "NUCLEO_F411RE": "NUCLEO-F411RE",
}
LOOK = """
import gc, pyb, sys
gc.collect()
storage = pyb.Flash(start=0)
print((gc.mem_free(), storage.ioctl(4, 0) * storage.ioctl(5, 0), sys.implementation._machine))
import rnnpool
print(rnnpool.builtin_models())
for name in rnnpool.builtin_models():
    model = None
    gc.collect()
    model = rnnpool.Model(name)
    print((name, model.in_place, model.ram, model.selftest()))
"""
ROMFS = """
import gc, rnnpool
model = rnnpool.Model("/rom/person.rnnp")
print(model.in_place, model.selftest())
"""
# A frame of the model's own size beside the arena; and the arena of person_present() is in CCM, not in the heap.
WHOLE_FRAME = """
import gc, rnnpool
frame = bytearray(320 * 240)
print(rnnpool.detect_faces(frame))
gc.collect()
before = gc.mem_free()
chance = rnnpool.person_present(frame, width=320, height=240)
gc.collect()
print(0 <= chance < 1, before - gc.mem_free() < 1000)
"""


def link(board: str, variant: str, models: tuple[str, ...]) -> Path:
    """Returns the build folder of a firmware; skips the test where it can't be linked."""
    mpy = os.environ.get("MPY_DIR", "")
    if not mpy or not any(Path(mpy).glob("lib/stm32lib/*")):
        pytest.skip(stm32_module.LEFT_OUT)
    command = ["make", f"BOARD={board}", f"BOARD_VARIANT={variant}", f"MODELS={','.join(models)}", f"MPY_DIR={mpy}"]
    done = subprocess.run([*command, "firmware"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ROOT / "build" / "stm32" / f"{board}-{variant}".strip("-")


@pytest.fixture(scope="module", params=FIRMWARE, ids=lambda firmware: "-".join(firmware[:2]).strip("-"))
def linked(request: pytest.FixtureRequest) -> tuple[Path, tuple[str, ...], int]:
    """Build folder, models that are linked in, bytes of the file system."""
    board, variant, models, storage = request.param
    return link(board, variant, models), models, storage


def test_it_boots_and_computes(linked: tuple[Path, tuple[str, ...], int]) -> None:
    folder, models, storage = linked
    told = budget.measure(elf.read(folder / "firmware.elf"))
    romfs = (folder / "romfs.img").read_bytes() if told.romfs else b""
    board = machine.Machine(folder, romfs)
    name = NAMES[folder.name.partition("-")[0]]
    assert re.fullmatch(rf"MicroPython v\S+ on [0-9-]+; {name} with STM32F4\w+\r\n.*>>> ", board.boot, re.DOTALL)
    first, names, *results = board.run(LOOK).splitlines()
    free, size, machine_name = ast.literal_eval(first)
    # What the memory check promises to a script is there (tools/stm32/budget.py).
    assert free >= told.usable_heap and size == storage and machine_name.startswith(name)
    assert ast.literal_eval(names) == models
    known = [ast.literal_eval(line) for line in results]
    assert [(name, in_place, right) for name, in_place, _, right in known] == [(name, True, True) for name in models]
    if romfs:
        assert board.run(ROMFS) == "True True\n"
    if told.arena:
        assert machine.Machine(folder, romfs).run(WHOLE_FRAME) == "[]\nTrue True\n"


def test_deploy(linked: tuple[Path, tuple[str, ...], int], capsys: pytest.CaptureFixture[str]) -> None:
    """All of deploy but the flashing itself: what is there is what it would have flashed."""
    folder, _, _ = linked
    board = folder.name.partition("-")[0]
    with Stm32Board(folder, folder / "romfs.img") as emulated:
        emulated.serve()
        words = ["deploy", "--board", board, "--machine", NAMES[board], "--build", str(folder)]
        assert cli.main([*words, "--port", f"socket://127.0.0.1:{emulated.port}"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "1/5 firmware  is on the board already" in said
    assert (
        "2/5 models    are on the board already" in said
        or "2/5 models    linked into the firmware: face, person (" in said
        or "2/5 models    linked into the firmware: face; left out: person" in said
    )
    assert "3/5 examples  copied and verified: serial_frames.py (" in said
    assert "face passed in" in said or "/rom/face.rnnp passed in" in said
    assert "on a portrait of 102x120, equal to the reference" in said and f"{board} is ready" in said


def told(board: machine.Machine) -> device.Told:
    """What deploy asks a board."""
    return device.Told(**json.loads(board.run(device.QUESTIONS).strip().splitlines()[-1]))


def test_from_one_variant_to_the_other() -> None:
    """Each finds the file system that the other one has made."""
    default, network = (link(board, variant, models) for board, variant, models, _ in FIRMWARE[:2])
    before = machine.Machine(network)
    assert deploy.check_file_system(told(before)) == ""
    smaller = machine.Machine(default, files=before.files())
    with pytest.raises(Problem, match=r"this firmware has 65,536 there, .* MKFS=1 deploy"):
        deploy.check_file_system(told(smaller))
    smaller.run(deploy.MAKE_FILE_SYSTEM)
    after = machine.Machine(default, files=smaller.files())
    assert deploy.check_file_system(told(after)) == ""
    larger = machine.Machine(network, files=after.files())
    assert "of 262,144 bytes: MKFS=1 makes it anew" in deploy.check_file_system(told(larger))
