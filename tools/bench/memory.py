"""What models cost that are planned for fewer bytes of arena (channels expanded again), on the cycle model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnnpool_training.blob import load, save
from rnnpool_training.planner import plan

from . import network

BYTES = {"face": (57344, 49152)}  # by the model's name: what --ram is tried with


def measure(name: str, blob: Path, image: npt.NDArray[np.uint8], build: Path, crc: int) -> dict[str, dict[str, int]]:
    """Arena and cycles by the bytes that were asked for. BenchError if the results are not those with the CRC `crc`."""
    found = {}
    for ram in BYTES.get(name, ()):
        build.mkdir(parents=True, exist_ok=True)
        planned = build / f"{name}_{ram}.rnnp"
        save(plan(load(blob), ram=ram), planned)
        result = network.run(planned, image, build)
        if result.crc != crc:
            raise network.BenchError(f"{name} in {ram} bytes: CRC {result.crc:#010x}, else {crc:#010x}")
        found[str(ram)] = {"arena": result.arena, "cycles": result.cycles}
    return found
