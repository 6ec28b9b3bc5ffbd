"""What the native .mpy leaves of the heap of stock firmware, and what fits there: a table for docs/boards.md.

Computed, not measured: the heap is that of linked firmware, what the import takes was seen on the emulated board
(tests/qemu/test_natmod.py prints and bounds it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.stm32 import models
from tools.stm32.budget import FRAME, NO_RAM, ROWS, SPARE_BYTES, usable

# Bytes of MicroPython 1.25.0's heap, as linked with the module in it (its static data are 600 bytes): what lies between
# the linker's __GcHeapStart and __GcHeapEnd (rp2), or _heap_start and _heap_end (stm32); and which .mpy runs there.
STOCK = {
    "Pico": (251_636, ("armv6m", "armv6m-lean")),
    "Pico 2": (509_424, ("armv7emsp",)),
    "PYBV11": (106_152, ("armv7emsp",)),
    "NUCLEO_H743ZI": (469_248, ("armv7emdp",)),
}

# An import takes the bytes of the .mpy file and at most so many for types, names and the module.
IMPORT_BYTES = 1_500


def verdict(left: int, model: models.Model) -> str:
    """How a model fits `left` bytes, and what remains of them: stock firmware has no ROMFS, so the model is copied there."""
    left -= model.arena + model.size
    if left - SPARE_BYTES >= model.frame:
        return f"{FRAME}, {left - model.frame:,} left"
    if left - SPARE_BYTES >= model.row:
        return f"{ROWS}, {left:,} left"
    return f"{NO_RAM}, {model.row + SPARE_BYTES - left:,} short"


def table(modules: Mapping[str, bytes], blobs: list[Path]) -> Iterator[str]:
    """Lines of Markdown, for the modules (mip.modules()) and models in these files."""
    known = models.needs(blobs)
    titles = ["board", "rnnpool-", "free at start", "after the import", *(model.name for model in known)]
    yield f"| {' | '.join(titles)} |"
    yield f"|---|---|--:|--:|{'---|' * len(known)}"
    for board, (heap, names) in STOCK.items():
        free = usable(heap)
        for name in names:
            if name in modules:
                left = free - len(modules[name]) - IMPORT_BYTES
                cells = [board, name, f"{free:,}", f"{left:,}", *(verdict(left, model) for model in known)]
                yield f"| {' | '.join(cells)} |"
