"""The module as firmware for the STM32: it compiles with the port's flags, and lies in memory where it should."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import stm32_module
from load_tool import ROOT

from tools.stm32 import budget, elf

KIB = 1024
ROMFS = (0x08160000, 640 * KIB)
CCM_ARENA = (0x10004000, 48 * KIB)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[stm32_module.Compiled]:
    """The whole module, for the board's first variant."""
    return stm32_module.compile_module(tmp_path_factory.mktemp("stm32") / "module", "")


def spans(path: Path) -> list[budget.Span]:
    return budget.measure(elf.read(path)).spans


def test_every_source_compiles(compiled: list[stm32_module.Compiled], capsys: pytest.CaptureFixture) -> None:
    module = ROOT / "mp_module"
    sources = {*module.glob("binding/*.c"), *module.glob("engine/*.c"), *module.glob("engine/*/*.c")}
    assert sources <= {one.source for one in compiled}
    assert [f"{one.source}: {one.error}" for one in compiled if one.error] == []
    with capsys.disabled():
        print(f"\nstm32: {len(compiled)} sources compiled with the port's flags; {stm32_module.LEFT_OUT}")


def test_layout_without_network(compiled: list[stm32_module.Compiled], tmp_path: Path) -> None:
    path = stm32_module.link_module([one.object for one in compiled], "", tmp_path)
    found = {span.what: (span.start, span.size) for span in spans(path)}
    assert found["ROMFS: models"] == ROMFS
    assert found["arena of a model"] == CCM_ARENA
    assert found["file system"] == (0x08100000, 64 * KIB)
    assert found["file system's write cache"] == (0x10000000, 16 * KIB)
    heap_start, heap_size = found["heap"]
    assert heap_start + heap_size == found["C stack"][0]
    # Nothing of the arena is stored, and all that is stored lies in flash: the images for the programmer are right.
    image = elf.read(path)
    assert all(s.stored_at >= 0x08000000 and s.stored_at + s.size <= 0x08100000 for s in image.sections if s.loaded)
    assert [s.loaded for s in image.sections if s.name == budget.ARENA_SECTION] == [False]


def test_layout_with_network(tmp_path: Path) -> None:
    made = stm32_module.compile_module(tmp_path / "module", "NETWORK", only="binding")
    assert [f"{one.source}: {one.error}" for one in made if one.error] == []
    path = stm32_module.link_module([one.object for one in made], "NETWORK", tmp_path)
    found = {(span.what, span.start): span.size for span in spans(path)}
    assert found["ROMFS: models", ROMFS[0]] == ROMFS[1]
    assert found["file system", 0x08100000] + found["file system", 0x08140000] == 256 * KIB
    assert found["file system's write cache", 0x10000000] == 64 * KIB
    assert not [what for what, _ in found if what == "arena of a model"]


def test_memories_do_not_overlap(compiled: list[stm32_module.Compiled], tmp_path: Path) -> None:
    path = stm32_module.link_module([one.object for one in compiled], "", tmp_path)
    ordered = sorted(spans(path), key=lambda span: span.start)
    for before, after in itertools.pairwise(ordered):
        assert before.start + before.size <= after.start, (before, after)
