"""tools/stm32: reading a linked firmware, what fits beside it, limits, and the libraries that a build needs."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from load_tool import ROOT

from tools.stm32 import __main__ as tool
from tools.stm32 import budget, docs, elf, libraries, models, report
from tools.stm32.problem import FirmwareError

KIB = 1024

SECTIONS = """
firmware.elf:     file format elf32-littlearm

Sections:
Idx Name          Size      VMA       LMA       File off  Algn
  0 .isr_vector   00000458  20000000  08000000  00001000  2**3
                  CONTENTS, ALLOC, LOAD, READONLY, CODE
  1 .data         00000034  20000458  080896b4  0006c458  2**2
                  CONTENTS, ALLOC, LOAD, DATA
  2 .bss          00002188  2000048c  080896e8  0006c48c  2**2
                  ALLOC
  3 .empty        00000000  2000048c  080896e8  0006c48c  2**2
                  ALLOC
  4 .comment      00000026  00000000  00000000  0006c4c3  2**0
                  CONTENTS, READONLY
"""

MAP = """Archive member included to satisfy reference by file (symbol)

Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x08000000         0x00200000         xr
FLASH_TEXT       0x08020000         0x000e0000         xr
RAM              0x20000000         0x00030000         xrw
*default*        0x00000000         0xffffffff

Linker script and memory map

LATER            0x20000000         0x00030000         xrw
"""

# A firmware in small: upstream's symbols, a model of 1,000 bytes, an arena of 2 KB in a memory of its own.
SOURCE = """
const unsigned char model_0[1000] = { 1 };
static const unsigned char *volatile use = model_0;
int counter = 7;
int zeros[100];
unsigned char arena[2048] __attribute__((section(".rnnpool_arena")));
void Reset_Handler(void) { counter += zeros[use[0]]; arena[0] = 1; }
"""
SCRIPT = """
MEMORY
{
    FLASH      : ORIGIN = 0x08000000, LENGTH = 64K
    FLASH_TEXT : ORIGIN = 0x08004000, LENGTH = 16K
    FLASH_FS   : ORIGIN = 0x08008000, LENGTH = 32K
    RAM        : ORIGIN = 0x20000000, LENGTH = 32K
    CCMRAM     : ORIGIN = 0x10000000, LENGTH = 4K
}
_estack = ORIGIN(RAM) + LENGTH(RAM);
_sstack = _estack - 4K;
_heap_start = _ebss;
_heap_end = _sstack;
_micropy_hw_internal_flash_storage_start = ORIGIN(FLASH_FS);
_micropy_hw_internal_flash_storage_end = ORIGIN(FLASH_FS) + LENGTH(FLASH_FS);
_micropy_hw_internal_flash_storage_ram_cache_start = ORIGIN(CCMRAM);
_micropy_hw_internal_flash_storage_ram_cache_end = ORIGIN(CCMRAM) + 1K;
ENTRY(Reset_Handler)
SECTIONS
{
    .text : { *(.text*) *(.rodata*) } > FLASH_TEXT
    .data : { *(.data*) } > RAM AT > FLASH_TEXT
    .bss : { *(.bss*) _ebss = .; } > RAM
    .rnnpool_arena ORIGIN(CCMRAM) + 1K (NOLOAD) : { *(.rnnpool_arena) } > CCMRAM
}
"""


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small firmware's build folder."""
    folder = tmp_path_factory.mktemp("firmware")
    (folder / "firmware.c").write_text(SOURCE)
    (folder / "firmware.ld").write_text(SCRIPT)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-Os", "-nostdlib", "-Wl,--build-id=none", "-Wl,-T"]
    command += ["firmware.ld", "-Wl,-Map=firmware.map", "firmware.c", "-o", "firmware.elf"]
    subprocess.run(command, cwd=folder, check=True)
    return folder


def model(arena: int, size: int = 500, frame: int = 5000, row: int = 50) -> models.Model:
    return models.Model("some", size, arena, frame, row)


def of_heap(heap: int, arena: int = 0, flash: int = 10**6, romfs: int = 0) -> budget.Budget:
    return budget.Budget(0, 0, flash, 0, 0, heap, 0, arena, romfs, [])


def test_sections() -> None:
    found = elf.read_sections(SECTIONS)
    assert found == [
        elf.Section(".isr_vector", 0x20000000, 0x08000000, 0x458, True, False),
        elf.Section(".data", 0x20000458, 0x080896B4, 0x34, True, True),
        elf.Section(".bss", 0x2000048C, 0x080896E8, 0x2188, False, True),
    ]


def test_regions() -> None:
    regions = elf.read_regions(MAP, Path("firmware.map"))
    assert [(r.name, r.start, r.size) for r in regions] == [
        ("FLASH", 0x08000000, 2048 * KIB),
        ("FLASH_TEXT", 0x08020000, 896 * KIB),
        ("RAM", 0x20000000, 192 * KIB),
    ]
    image = elf.Image(Path("firmware.elf"), [], {}, {}, regions)
    smallest, around = image.region_at(0x08020000), image.region_at(0x0801FFFF)
    assert smallest is not None and smallest.name == "FLASH_TEXT"
    assert around is not None and around.name == "FLASH"
    assert image.region_at(0x30000000) is None
    with pytest.raises(FirmwareError, match="no linker map"):
        elf.read_regions("nothing", Path("firmware.map"))


def test_symbols() -> None:
    listing = "20000000 00000004 D counter\n08000000 T start\n         U open\n         w weak\n"
    assert elf.read_symbols(listing) == ({"counter": 0x20000000, "start": 0x08000000}, {"counter": 4})


def test_measure_a_linked_firmware(firmware: Path) -> None:
    measured = budget.measure(elf.read(firmware / "firmware.elf"))
    assert measured.models == 1000
    assert measured.data == 8  # counter and use
    assert measured.bss == 400
    assert measured.heap == 32 * KIB - 4 * KIB - 408
    assert measured.stack == 4 * KIB
    assert measured.arena == 2 * KIB
    assert measured.romfs == 0
    assert 20 <= measured.text <= 100
    assert measured.flash == 16 * KIB - measured.text - measured.data
    assert [(span.start, span.size, span.what) for span in measured.spans if span.name != "RAM"] == [
        (0x08004000, 16 * KIB, ".text, .data"),
        (0x08008000, 32 * KIB, "file system"),
        (0x10000000, 1 * KIB, "file system's write cache"),
        (0x10000400, 2 * KIB, "arena of a model"),
    ]
    assert budget.Budget.from_json(measured.to_json()) == measured


def test_regions_that_overlap(firmware: Path) -> None:
    image = elf.read(firmware / "firmware.elf")

    def code(*regions: elf.Region, **symbols: int) -> list[tuple[str, int, int]]:
        own = [region for region in image.regions if not region.name.startswith("FLASH")]
        files = "_micropy_hw_internal_flash_storage"
        other = {**image.symbols, **{f"{files}{name}": value for name, value in symbols.items()}}
        changed = dataclasses.replace(image, regions=[*own, *regions], symbols=other)
        found = budget.measure(changed).spans
        return [(span.name, span.start, span.size) for span in found if 0x08000000 <= span.start < 0x09000000]

    text = next(section for section in image.sections if section.name == ".text")
    # An H7, an H5, a WB: a region for firmware behind a boot loader, which lies in that for firmware without. What is
    # in the first part of the one is not counted beside the other.
    whole = elf.Region("FLASH", 0x08000000, 64 * KIB)
    behind = elf.Region("FLASH_APP", text.stored_at + 4, 16 * KIB)  # .data lies in it, .text not
    files = elf.Region("FLASH_FS", 0x08010000, 32 * KIB)
    apart = {"_start": 0x08010000, "_end": 0x08018000}
    assert code(whole, behind, files, **apart) == [
        ("FLASH", 0x08000000, 64 * KIB),
        ("FLASH_FS", 0x08010000, 32 * KIB),
    ]
    # An L1: the region for code is all flash, the file system in it.
    files = elf.Region("FLASH_FS", 0x0800C000, 16 * KIB)
    apart = {"_start": 0x0800C000, "_end": 0x08010000}
    assert code(whole, files, **apart) == [("FLASH", 0x08000000, 48 * KIB), ("FLASH_FS", 0x0800C000, 16 * KIB)]


def test_what_is_emulated() -> None:
    pytest.importorskip("unicorn")
    from tools.stm32 import machine

    folder = Path("build/stm32/A")
    machine.check_chip(b"\0NUCLEO-F411RE with STM32F411xE\0", folder)
    for firmware, said in (
        (b"NUCLEO_H743ZI with STM32H743\0", "is for STM32H743; what is emulated is the STM32F4"),
        (b"something", "is for a chip that it does not name"),
    ):
        with pytest.raises(FirmwareError, match=said):
            machine.check_chip(firmware, folder)


def test_heap_in_other_memory(firmware: Path) -> None:
    image = elf.read(firmware / "firmware.elf")
    outside = elf.Region("SDRAM", 0xC0000000, 8192 * KIB)
    # Upstream's scripts name the memory for the chip's whole family; only some boards have it.
    without = dataclasses.replace(image, regions=[*image.regions, outside])
    assert budget.measure(without).heap < 32 * KIB
    with_it = dataclasses.replace(without, symbols={**image.symbols, "sdram_start": 0x08004000})
    assert budget.measure(with_it).heap == 8192 * KIB


def test_no_firmware(tmp_path: Path, firmware: Path) -> None:
    with pytest.raises(FirmwareError, match=r"there is no .*firmware\.elf: build it with make"):
        elf.read(tmp_path / "firmware.elf")
    (tmp_path / "firmware.elf").write_bytes(b"no ELF")
    with pytest.raises(FirmwareError, match=r"there is no .*firmware\.map"):
        elf.read(tmp_path / "firmware.elf")
    (tmp_path / "firmware.map").write_text(MAP)
    with pytest.raises(FirmwareError, match=r"arm-none-eabi-nm: .*file format not recogni"):
        elf.read(tmp_path / "firmware.elf")
    image = elf.read(firmware / "firmware.elf")
    other = dataclasses.replace(image, symbols={})
    with pytest.raises(FirmwareError, match="has no symbol _ebss: it is no firmware"):
        budget.measure(other)


def test_usable_heap_is_what_the_collector_gives() -> None:
    # gc.mem_alloc() + gc.mem_free() of the emulated board (ports/qemu), whose heap has 166,368 bytes.
    assert of_heap(166_368).usable_heap == 162_496 - budget.START_BYTES
    # A byte of the tables more is there when it and its four blocks fit, not before.
    assert of_heap(131 * 500 + 1).usable_heap == 1000 * 64 - budget.START_BYTES
    assert of_heap(131 * 500).usable_heap == 999 * 64 - budget.START_BYTES


@pytest.mark.parametrize("arena", [1000, 70_256])
def test_verdicts_change_where_they_should(arena: int) -> None:
    one = model(arena)
    frame, row = one.arena + one.frame, one.arena + one.row
    found = {}
    for heap in range(8000, 110_000, 64):
        made = of_heap(heap)
        left = made.usable_heap - budget.SPARE_BYTES
        expected = budget.FRAME if left >= frame else budget.ROWS if left >= row else budget.NO_RAM
        found[made.verdict(one)] = expected
        assert made.verdict(one) == expected, heap
    assert set(found) == {budget.FRAME, budget.ROWS, budget.NO_RAM}


def test_the_boards_own_arena_costs_no_heap() -> None:
    heap = 24_000
    assert of_heap(heap).verdict(model(arena=9000)) == budget.ROWS
    assert of_heap(heap, arena=9000).verdict(model(arena=9000)) == budget.FRAME
    assert of_heap(heap, arena=8999).verdict(model(arena=9000)) == budget.ROWS


def test_flash_for_the_model() -> None:
    assert of_heap(50_000, flash=499).verdict(model(1000, size=500)) == budget.NO_FLASH
    assert of_heap(50_000, flash=500).verdict(model(1000, size=500)) == budget.FRAME
    assert of_heap(50_000, flash=0, romfs=500).verdict(model(1000, size=500)) == budget.FRAME


def limits_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    return path


def test_limits(tmp_path: Path) -> None:
    path = limits_file(
        tmp_path, '[A]\ntext = 5\nheap = 40_000\nmodels.some = "whole frame"\n[B]\nmodels.x = "fits"\n[C]\nram = 1\n'
    )
    limits = report.read_limits("A", path)
    known = [model(1000)]
    assert report.broken(dataclasses.replace(of_heap(40_000), text=5), known, [], limits) == []
    found = report.broken(dataclasses.replace(of_heap(12_000), text=6), known, [], limits)
    assert found[0] == "text: 6 bytes without models, the limit is 5"
    assert found[1] == "heap: 12,000 bytes, the limit is 40,000"
    assert found[2].startswith("some: its arena and a frame of 6,000 bytes can not be allocated at boot")
    assert report.broken(of_heap(40_000), [], [], limits) == ["some: there is no such model to check"]
    assert report.read_limits("other", path) == report.Limits(None, None, {})
    for name in "BC":
        with pytest.raises(FirmwareError):
            report.read_limits(name, path)


def test_a_linked_model_must_find_its_arena_on_any_board() -> None:
    none = report.Limits(None, None, {})
    small = of_heap(12_000)
    assert report.broken(small, [model(9000)], [], none) == []
    (found,) = report.broken(small, [model(9000)], ["some"], none)
    assert found.startswith("some: its arena of 9,000 bytes can not be allocated at boot with 4,096 to spare")
    (found,) = report.broken(dataclasses.replace(small, flash=99), [model(90)], ["some"], none)
    assert found == "some: 500 bytes do not fit the flash, which has 99 left"


def test_committed_limits_are_valid() -> None:
    assert report.read_limits("NUCLEO_F439ZI").models["face"] == budget.FRAME
    assert report.read_limits("NUCLEO_F439ZI-NETWORK").models["face"] == budget.ROWS


def test_needs_are_those_of_the_engine() -> None:
    from rnnpool_training.engine import Engine

    path = ROOT / "models" / "face.rnnp"
    (face,) = models.needs([path])
    assert face.name == "face" and face.size == path.stat().st_size
    assert face.arena == Engine(path.read_bytes()).arena_size(None)
    assert (face.frame, face.row) == (320 * 240, 320)


def test_needs_of_no_model(tmp_path: Path) -> None:
    path = tmp_path / "bad.rnnp"
    path.write_bytes(b"RNNP" + bytes(200))
    with pytest.raises(FirmwareError, match=r"bad\.rnnp is no usable model"):
        models.needs([path])
    with pytest.raises(FirmwareError, match="can't be read"):
        models.needs([tmp_path / "none.rnnp"])
    assert models.needs([]) == []


def run_tool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.stm32", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_check_fails_for_a_firmware_that_is_too_small(firmware: Path, tmp_path: Path) -> None:
    done = run_tool("check", firmware, "--linked", "face")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "face: 7" in done.stderr and "do not fit the flash" in done.stderr
    assert "heap" in done.stdout
    image = tmp_path / "romfs.img"
    image.write_bytes(bytes(100))
    done = run_tool("check", firmware, "--romfs", image)
    assert done.returncode == 1 and "100 bytes, the ROMFS partition has 0" in done.stderr
    done = run_tool("check", firmware)
    assert (done.returncode, done.stderr) == (0, "")


# A tree like MicroPython's, with a makefile that knows two libraries and how to fetch them.
MAKEFILE = """
$(info chatter that upstream prints)
GIT_SUBMODULES = lib/one
ifneq ($(NETWORK),)
GIT_SUBMODULES += lib/two
endif
submodules:
	{fetch}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    port = tmp_path / "ports" / "stm32"
    for board in ("NUCLEO_F439ZI", "PYBV11", "NUCLEO_H743ZI"):
        (port / "boards" / board).mkdir(parents=True)
        (port / "boards" / board / "mpconfigboard.mk").write_text("")
    (port / "boards" / "PYBV11" / "mpconfigvariant_DP.mk").write_text("")
    (tmp_path / "lib" / "one").mkdir(parents=True)
    (tmp_path / "lib" / "two").mkdir()
    (port / "Makefile").write_text(MAKEFILE.format(fetch="@touch ../../lib/one/file ../../lib/two/file"))
    return tmp_path


def test_boards(tree: Path, tmp_path: Path) -> None:
    libraries.check_board(tree, "PYBV11", "")
    libraries.check_board(tree, "PYBV11", "DP")
    libraries.check_board(tree, "NUCLEO_F439ZI", "NETWORK")
    with pytest.raises(
        FirmwareError,
        match=r"no board PYBV12 in .*, did you mean PYBV11\?; with a Cortex-M4F there are NUCLEO_F439ZI, PYBV11$",
    ):
        libraries.check_board(tree, "PYBV12", "")
    with pytest.raises(FirmwareError, match="PYBV11 has no variant NETWORK; it has DP"):
        libraries.check_board(tree, "PYBV11", "NETWORK")
    with pytest.raises(FirmwareError, match="NUCLEO_H743ZI has no variant X; it has none"):
        libraries.check_board(tree, "NUCLEO_H743ZI", "X")
    (tree / "ports" / "esp32" / "boards" / "ESP32_GENERIC").mkdir(parents=True)
    (tree / "ports" / "esp32" / "CMakeLists.txt").touch()
    remedy = "board of MicroPython's ports/esp32, .* USER_C_MODULES=/.*/mp_module/micropython.cmake .*and flash it"
    with pytest.raises(FirmwareError, match=remedy):
        libraries.check_board(tree, "ESP32_GENERIC", "")
    with pytest.raises(FirmwareError, match="has no boards in ports/stm32: say MPY_DIR="):
        libraries.check_board(tmp_path / "lib", "PYBV11", "")


def test_libraries_are_fetched_by_upstreams_own_target(tree: Path, capsys: pytest.CaptureFixture) -> None:
    (tree / ".git").mkdir()
    libraries.ensure(tree, ["NETWORK=1"])
    assert capsys.readouterr().out == "Fetching MicroPython's libraries: lib/one, lib/two\n"
    libraries.ensure(tree, ["NETWORK=1"])
    assert capsys.readouterr().out == ""


def test_libraries_that_can_not_be_fetched(tree: Path) -> None:
    with pytest.raises(FirmwareError, match=r"lacks lib/one: .* in a git clone of MicroPython, and say MPY_DIR="):
        libraries.ensure(tree, [])
    (tree / ".git").mkdir()
    (tree / "ports" / "stm32" / "Makefile").write_text(
        MAKEFILE.format(fetch="@echo 'fatal: unable to access' >&2; echo more >&2; false")
    )
    with pytest.raises(
        FirmwareError, match=r"lacks lib/one \(fatal: unable to access\): .*git submodule update --init lib/one in"
    ):
        libraries.ensure(tree, [])
    (tree / "ports" / "stm32" / "Makefile").write_text("$(error Invalid BOARD specified)\n")
    with pytest.raises(FirmwareError, match=r"does not take this board: .*Invalid BOARD specified"):
        libraries.ensure(tree, [])


def test_documented_verdicts_are_those_of_today() -> None:
    """The table in docs/stm32_memory.md, made from recorded sizes, still says the truth about the shipped models."""
    text = docs.RECORD.with_suffix(".md").read_text()
    known = models.needs(sorted(tool.MODELS.glob("*.rnnp")))
    for name, measured in docs.read().items():
        (row,) = [
            line
            for line in text.splitlines()
            if line.startswith(f"| {name} | ") and any(v in line for v in report.ORDER)
        ]
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        assert len(cells) == len(known), f"{name}: run make stm32-docs"
        for cell, one in zip(cells, known, strict=True):
            assert cell.startswith(measured.verdict(one)), f"{name}, {one.name}: run make stm32-docs"


# What make firmware does, with makefiles in MicroPython's place that only look at how they are called.
PORT = """
ifneq ($(BOARD),RNNPOOL_TEST)
$(error BOARD is $(BOARD))
endif
all: ../../mpy-cross/made
	mkdir -p $(BUILD)
	cp {firmware}/firmware.elf {firmware}/firmware.map $(BUILD)
	echo '$(RNNPOOL_MODELS) $(USER_C_MODULES)' >$(BUILD)/called
submodules:
	false
"""
MPY_CROSS = """
ifneq ($(BUILD),)
$(error BUILD is given)
endif
all:
	touch made
"""


def make_firmware(tree: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "BOARD=RNNPOOL_TEST", f"MPY_DIR={tree}", *variables, "firmware"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_make_firmware(tree: Path, firmware: Path) -> None:
    board = tree / "ports" / "stm32" / "boards" / "RNNPOOL_TEST"
    board.mkdir()
    (board / "mpconfigboard.mk").write_text("")
    (tree / "ports" / "stm32" / "Makefile").write_text(PORT.format(firmware=firmware))
    (tree / "mpy-cross").mkdir()
    (tree / "mpy-cross" / "Makefile").write_text(MPY_CROSS)
    (tree / "ports" / "unix").mkdir()
    (tree / "py").mkdir()
    numbers = zip(("MAJOR", "MINOR", "MICRO"), (1, 25, 0), strict=True)
    config = "".join(f"#define MICROPY_VERSION_{name} {number}\n" for name, number in numbers)
    (tree / "py" / "mpconfig.h").write_text(config)

    done = make_firmware(tree, "MODELS=")
    assert done.returncode == 0, done.stderr
    assert "RNNPOOL_TEST: text" in done.stdout
    called = ROOT / "build" / "stm32" / "RNNPOOL_TEST" / "called"
    assert called.read_text().split() == [str(ROOT)]

    # A board without ROMFS has the face model linked in, and this one has no room for it.
    done = make_firmware(tree)
    assert done.returncode != 0 and "can not be used: face: " in done.stderr
    assert called.read_text().split() == ["face", str(ROOT)]
    done = make_firmware(tree, "MODELS=face,person")
    assert called.read_text().split() == ["face", "person", str(ROOT)]

    (tree / "lib" / "one").rmdir()
    (tree / "ports" / "stm32" / "Makefile").write_text("GIT_SUBMODULES = lib/one\n" + PORT.format(firmware=firmware))
    done = make_firmware(tree, "MODELS=")
    assert done.returncode != 0 and "lacks lib/one: " in done.stderr


def test_make_firmware_without_a_board() -> None:
    done = subprocess.run(["make", "BOARD=", "firmware"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and done.stderr.startswith("which board? make BOARD=NUCLEO_F439ZI firmware")


def test_make_firmware_looks_the_board_up_first(tree: Path) -> None:
    command = ["make", "BOARD=nucleo_f439zj", f"MPY_DIR={tree}", "firmware"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "did you mean NUCLEO_F439ZI?" in done.stderr
    assert "debian_packages" not in done.stdout


def test_deploy_looks_for_its_program_before_it_builds() -> None:
    command = ["make", "-n", "-B", "BOARD=NUCLEO_F439ZI", "deploy"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert 0 <= planned.index("tools.board.flash auto") < planned.index("Building ")
