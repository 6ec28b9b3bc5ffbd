"""The memory of a firmware: what is taken, what is left, and which models that is enough for."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from .elf import Image, Region
from .models import Model
from .problem import FirmwareError

# MicroPython's collector (py/gc.c) has blocks of 16 bytes; for each 4 of them a byte in a table, half a byte in another
# one for finalisers; and one byte beside.
GC_BLOCKS = 4
GC_HALF_BYTES = 2 * 16 * GC_BLOCKS + 2 + 1  # of GC_BLOCKS blocks with what the tables have for them

# Bytes of the heap that are not free when a script begins: what MicroPython has made by then (mounted file systems,
# imported modules, the script itself) and what a small script makes. An allowance, above what was seen: docs/stm32.md.
START_BYTES = 8192

# Bytes that a verdict wants to be left for what a script makes meanwhile: boxes, a row, and what lies between.
SPARE_BYTES = 4096

FRAME, ROWS, NO_RAM, NO_FLASH = "whole frame", "streamed rows", "no: RAM", "no: flash"

MODEL_SYMBOL = re.compile(r"model_\d+")  # mp_module/embed_models.py
ARENA_SECTION = ".rnnpool_arena"  # ports/stm32/boards
CACHE = "_micropy_hw_internal_flash_storage_ram_cache"

# Upstream's name of the region that boards with memory beside the chip's own use for the heap, and of a function that
# only they have.
SDRAM_REGION, SDRAM_FUNCTION = "SDRAM", "sdram_start"


def usable(heap: int) -> int:
    """What a heap of so many bytes has for a script: without the collector's own tables and START_BYTES."""
    return (heap - 1) * 2 // GC_HALF_BYTES * GC_BLOCKS * 16 - START_BYTES


@dataclass(frozen=True)
class Span:
    """A piece of memory: where it is, its bytes, how many of them the firmware takes, and for what."""

    name: str
    start: int
    size: int
    used: int
    what: str

    @property
    def free(self) -> int:
        """Bytes left."""
        return self.size - self.used


@dataclass(frozen=True)
class Budget:
    """The memory of one firmware, in bytes.

    text     code and constants in flash, with what is copied to RAM from there, without .data and without models
    models   models that are linked in
    flash    what is left of the flash for code, the models counted as left
    data     .data
    bss      .bss and all else of RAM that is there from the start
    heap     MicroPython's heap;  stack  the C stack
    arena    memory that the board sets aside for a model (RNNPOOL_ARENA_BYTES), 0 if none
    romfs    the ROMFS partition for models, 0 if none
    spans    all of it by address
    """

    text: int
    models: int
    flash: int
    data: int
    bss: int
    heap: int
    stack: int
    arena: int
    romfs: int
    spans: list[Span]

    @property
    def usable_heap(self) -> int:
        """What the heap has for objects: without the collector's own tables and the allowance for a script's start."""
        return usable(self.heap)

    def heap_left(self, model: Model) -> int:
        """What a model's arena leaves of the usable heap; negative if that is not enough."""
        return self.usable_heap - (0 if model.arena <= self.arena else model.arena)

    def verdict(self, model: Model) -> str:
        """FRAME if a whole frame of the model's own size fits beside the arena, ROWS if only the arena and a row.

        With SPARE_BYTES left in each case.

        NO_FLASH if neither the ROMFS partition nor the flash for code has room for the model, NO_RAM for its arena.
        """
        if model.size > max(self.flash, self.romfs):
            return NO_FLASH
        left = self.heap_left(model) - SPARE_BYTES
        return FRAME if left >= model.frame else ROWS if left >= model.row else NO_RAM

    def to_json(self) -> dict[str, Any]:
        """Plain data; from_json() is the way back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Budget:
        """The budget that to_json() gave."""
        return cls(**{**data, "spans": [Span(**span) for span in data["spans"]]})


def _flash_spans(image: Image) -> list[Span]:
    """Flash regions that hold the firmware, and what is set aside for files and models."""
    apart = []  # set aside
    for number in ("", "2"):
        start = image.symbols.get(f"_micropy_hw_internal_flash_storage{number}_start", 0)
        size = image.symbols.get(f"_micropy_hw_internal_flash_storage{number}_end", 0) - start
        holder = image.region_at(start)
        if size > 0 and holder is not None:
            apart.append(Span(holder.name, start, size, size, "file system"))
    romfs = _romfs(image)
    if romfs:
        apart.append(Span("FLASH_ROMFS", image.symbol("_micropy_hw_romfs_part0_start"), romfs, 0, "ROMFS: models"))

    loaded = [section for section in image.sections if section.loaded]
    taken = {region for section in loaded if (region := image.region_at(section.stored_at)) is not None}
    found = []
    for region in taken:
        # Upstream's scripts for some chips have a region for firmware behind a boot loader, which lies in that for
        # firmware without: the larger of two that both hold something is the one that is meant.
        if any(other != region and other.holds(region.start) and other.size > region.size for other in taken):
            continue
        stored = [section for section in loaded if region.holds(section.stored_at)]
        # Others' region for all flash also has the file system in it.
        end = min([span.start for span in apart if region.holds(span.start)], default=region.start + region.size)
        names = ", ".join(section.name for section in stored)
        found.append(Span(region.name, region.start, end - region.start, sum(s.size for s in stored), names))
    return sorted([*found, *apart], key=lambda span: span.start)


def _romfs(image: Image) -> int:
    return image.symbols.get("_micropy_hw_romfs_part0_size", 0)


def _heap(image: Image) -> tuple[Region, int, int]:
    """Region, start and end of the heap."""
    sdram = next((region for region in image.regions if region.name == SDRAM_REGION), None)
    if sdram is not None and SDRAM_FUNCTION in image.symbols:
        return sdram, sdram.start, sdram.start + sdram.size
    start, end = image.symbol("_heap_start"), image.symbol("_heap_end")
    region = image.region_at(start)
    if region is None or end <= start:
        raise FirmwareError(f"{image.path} has its heap in no memory region")
    return region, start, end


def _ram_spans(image: Image) -> list[Span]:
    """RAM regions from their start to what the scripts lay out in them."""
    found: list[Span] = []
    static_end = image.symbol("_ebss")
    ram = image.region_at(static_end)
    if ram is not None:
        found.append(Span(ram.name, ram.start, static_end - ram.start, static_end - ram.start, "static data"))
    heap, heap_start, heap_end = _heap(image)
    found.append(Span(heap.name, heap_start, heap_end - heap_start, 0, "heap"))
    for what, start_name, end_name in (
        ("C stack", "_sstack", "_estack"),
        ("file system's write cache", CACHE + "_start", CACHE + "_end"),
    ):
        start = image.symbols.get(start_name, 0)
        size = image.symbols.get(end_name, 0) - start
        holder = image.region_at(start)
        if size > 0 and holder is not None:
            found.append(Span(holder.name, start, size, size, what))
    for section in image.sections:
        at = image.region_at(section.address)
        if section.name == ARENA_SECTION and at is not None:
            found.append(Span(at.name, section.address, section.size, 0, "arena of a model"))
    return found


def measure(image: Image) -> Budget:
    """The budget of a firmware of MicroPython's ports/stm32. Raises FirmwareError for anything else."""
    ram, flash = _ram_spans(image), _flash_spans(image)
    sizes = {span.what: span.size for span in ram}
    data = sum(section.size for section in image.sections if section.loaded and section.writable)
    copied = sum(section.size for section in image.sections if section.loaded and section.address != section.stored_at)
    models = sum(size for name, size in image.sizes.items() if MODEL_SYMBOL.fullmatch(name))
    code = next((span for span in flash if ".text" in span.what.split(", ")), None)
    if code is None:
        raise FirmwareError(f"{image.path} has no .text in a flash region")
    return Budget(
        text=sum(section.size for section in image.sections if section.loaded) - data - models,
        models=models,
        flash=code.free + models,
        data=data,
        bss=sizes.get("static data", 0) - copied,
        heap=sizes["heap"],
        stack=sizes["C stack"],
        arena=sizes.get("arena of a model", 0),
        romfs=_romfs(image),
        spans=sorted([*flash, *ram], key=lambda span: (span.start, span.size)),
    )
