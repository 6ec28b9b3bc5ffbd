"""MLPerf Tiny's reference models beside the results that others published for the same core.

The models are not in the repository: the environment variable MLPERF_TINY names a folder with the .tflite files of
mlcommons/tiny. They are converted as `rnnpool convert` does it and run on the cycle model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnpool_training import convert

from . import network
from .machine import BenchError

VARIABLE = "MLPERF_TINY"
CLOCK_HZ = 120_000_000  # of the board of the published results
PUBLISHED = ("STMicroelectronics, v1.2", "Plumerai, v1.1", "microTVM with CMSIS-NN")


@dataclass(frozen=True)
class Entry:
    """A model and the inferences a second that were published for a NUCLEO-L4R5ZI, in the order of PUBLISHED."""

    title: str
    file: str
    published: tuple[float, float, float]


# performance/results.txt of mlcommons/tiny_results_v1.1 and v1.2: closed division, single stream, STM32L4R5 at 120 MHz.
ENTRIES = {
    "vww": Entry("visual wake words, MobileNetV1 0.25, 96x96", "vww_96_int8.tflite", (11.245, 10.126, 3.32)),
    "resnet8": Entry("CIFAR-10, ResNet-8", "resnet8_int8.tflite", (6.056, 5.961, 2.57)),
    "kws": Entry("keywords, DS-CNN, 49x10", "kws_ref_model.tflite", (23.142, 20.929, 10.0)),
}


def folder() -> Path | None:
    """Where the models are, if anywhere. BenchError if the variable names a folder that lacks one."""
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    for entry in ENTRIES.values():
        if not (Path(given) / entry.file).is_file():
            raise BenchError(f"{VARIABLE} is {given}: there is no {entry.file}")
    return Path(given)


def measure(models: Path, build: Path, golden: Any) -> dict[str, dict[str, int]]:
    """Figures by the names of ENTRIES. golden: makes the input for a network.Shape."""
    found = {}
    for name, entry in ENTRIES.items():
        blob, whole = build / "mlperf" / f"{name}.rnnp", build / "mlperf" / f"{name}-all.rnnp"
        blob.parent.mkdir(parents=True, exist_ok=True)
        for path, options in ((blob, []), (whole, ["--all-channels"])):
            convert.main([str(models / entry.file), "-o", str(path), *options])
        image = golden(network.read_shape(blob.read_bytes()))
        fast = network.run(blob, image, build / "fast")
        flash = network.run(blob, image, build / "fast", flash_model=True)
        every = network.run(whole, image, build / "fast")
        if not fast.crc == flash.crc == every.crc:
            raise BenchError(f"{name}: results differ: CRC {fast.crc:#010x}, {flash.crc:#010x}, {every.crc:#010x}")
        found[name] = {
            "macs": sum(op.macs for op in every.operators),
            "cycles": fast.cycles,
            "flash_cycles": sum(op.counts.flash_cycles for op in flash.operators),
            "all_channels_cycles": every.cycles,
            "arena": fast.arena,
            "blob": blob.stat().st_size,
        }
    return found


def grown(found: dict[str, dict[str, int]], committed: dict[str, dict[str, int]], limit: float) -> list[str]:
    """What is larger than the committed figures by more than `limit` (a share), one sentence each."""
    return [
        f"MLPerf Tiny, {name}: {key} {found[name][key]:,}, committed {value:,}"
        for name, before in committed.items()
        for key, value in before.items()
        if found[name][key] > value * (1 + limit)
    ]


def text(found: dict[str, dict[str, int]]) -> str:
    """A line a model, for a terminal."""
    return "\n".join(
        f"MLPerf Tiny, {ENTRIES[name].title}: {made['cycles']:,} cycles, best published "
        f"{CLOCK_HZ / ENTRIES[name].published[0]:,.0f}; arena {made['arena']:,} bytes"
        for name, made in found.items()
    )


def document(found: dict[str, dict[str, int]]) -> list[str]:
    """The lines of docs/benchmarks.md."""
    lines = ["", "## MLPerf Tiny", ""]
    columns = [
        "model",
        "multiply-adds",
        "cycles",
        "F4 flash",
        "all channels",
        *PUBLISHED,
        "arena, bytes",
        "blob, bytes",
    ]
    lines += [
        f"The reference models, converted by `rnnpool convert` (`{VARIABLE}=FOLDER make bench`), beside what others",
        "published for a NUCLEO-L4R5ZI (Cortex-M4, 120 MHz; closed division; cycles: clock by inferences a second).",
        "Theirs is silicon with its flash, ours the cycle model: *F4 flash* is the column to set beside it.",
        "Ours have not been submitted, and leave out channels that are constant, with the same results bit for bit",
        "(docs/training.md); *all channels* does not. Cycles in millions.",
        "",
        "![Beside the published results](benchmarks_peers.svg)",
        "",
        f"| {' | '.join(columns)} |",
        "|---|" + "--:|" * (len(columns) - 1),
    ]
    for name, made in found.items():
        entry = ENTRIES[name]
        cells = [entry.title, f"{made['macs']:,}"]
        cells += [f"{made[key] / 1e6:.2f}" for key in ("cycles", "flash_cycles", "all_channels_cycles")]
        cells += [f"{CLOCK_HZ / rate / 1e6:.2f}" for rate in entry.published]
        cells += [f"{made['arena']:,}", f"{made['blob']:,}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
