"""Runs a model's whole engine on the cycle model, with one image."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnnpool_training.blob import Kind

from .compile import ENGINE, FIRMWARE, M4, ROOT, WARNINGS, Target, code_sections, compile_objects, link
from .machine import BenchError, Counts, Machine, Program

SPEED, SIZE = "-O2", "-Os"  # kernels, and all else: as in mp_module/micropython.mk
KINDS = {kind.value: kind.name.lower() for kind in Kind}
REST = "rest"  # frame, scheduling, decoding of boxes
_OPS_OFFSET, _OP_SIZE = 24, 64  # mp_module/SPEC.md


@dataclass(frozen=True)
class Shape:
    """What the benchmark needs of a blob."""

    width: int
    height: int
    channels: int
    kinds: list[str]


@dataclass(frozen=True)
class Operator:
    """One operator's work and cost; the last one of a result is the rest of the run."""

    name: str
    kind: str
    macs: int
    arena: int
    counts: Counts


@dataclass(frozen=True)
class Result:
    """One run: what it found, what it took."""

    crc: int
    arena: int
    stack: int
    gap: int  # cycles, at most, between two points where the caller can handle events (Ctrl-C, scheduled functions)
    detections: int
    probabilities: list[float]  # of a classifier's labels
    code: int  # bytes of code and constant tables of the engine's objects
    operators: list[Operator]
    functions: dict[str, int]  # cycles of each function

    @property
    def cycles(self) -> int:
        """All cycles from rnnp_begin to the detections or probabilities."""
        return sum(op.counts.cycles for op in self.operators)


def read_shape(blob: bytes) -> Shape:
    """Input shape and operator kinds of a blob, by the offsets of SPEC.md."""
    channels, height, width, num_ops, ops = struct.unpack_from("<BHHHI", blob, 17)
    kinds = [KINDS.get(blob[ops + index * _OP_SIZE], "unknown") for index in range(num_ops)]
    return Shape(width, height, channels, kinds)


def engine_sources() -> list[Path]:
    """The engine's C files."""
    return sorted(ENGINE.rglob("*.c"))


def is_kernel(source: Path) -> bool:
    """Whether a file is compiled for speed."""
    return source.name.startswith("portable") or source.parent.name in ("arch", "frame")


def _content_named(build: Path, data: bytes) -> Path:
    """Writes data to a file in `build` that is named by its content; returns its path."""
    path = build.resolve() / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    return path


def build_program(
    blob: Path,
    image: npt.NDArray[np.uint8],
    build: Path,
    *,
    target: Target = M4,
    tick: int = 0,
    arena: int = 96 * 1024,
    baseline: bool = False,
    dsp: bool = True,
    format: int = 0,
    height: int = 0,
    opening: bool = False,
    without: Sequence[str] = (),
) -> tuple[Path, int]:
    """Compiles the engine with a model and an image for a core; arguments as those of run().

    opening  the program opens the model, and that is all
    without  names of engine/left_out.h that are left out
    tick  instructions of a tick of the core's clock, where no cycle model counts them (cores.py)
    Returns the ELF file, and the bytes of code and constant tables of the engine's objects.
    """
    build.mkdir(parents=True, exist_ok=True)
    model, pixels = (_content_named(build, data) for data in (blob.read_bytes(), image.tobytes()))
    # The markers around each step are 40 bytes of the engine's code and a cycle each.
    flags = [*WARNINGS, f"-I{ROOT / 'mp_module'}", f"-I{FIRMWARE}", "-include", str(FIRMWARE / "mark.h")]
    flags += [] if dsp and not baseline else ["-DRNNP_NO_DSP"]
    flags += [f"-DBENCH_TICK={tick}"] if tick else []
    flags += [f"-DRNNP_WITH_{name}=0" for name in without]
    sources = engine_sources()
    if baseline:
        sources = [s for s in sources if s.name != "rnnpool.c"] + [FIRMWARE / "baseline.c"]
    kernels = [s for s in sources if is_kernel(s)]
    objects = compile_objects(build, kernels, [SPEED, *flags], target)
    objects += compile_objects(build, [s for s in sources if s not in kernels], [SIZE, *flags], target)
    code = sum(sum(code_sections(path).values()) for path in objects)
    definitions = {
        "BENCH_ARENA": arena,
        "BENCH_MODEL": f'"{model}"',
        "BENCH_IMAGE": f'"{pixels}"',
        "BENCH_WIDTH": image.shape[1],
        "BENCH_HEIGHT": height or image.shape[0],
        "BENCH_ROWS": image.shape[0],
        "BENCH_FORMAT": format,
    }
    definitions |= {"BENCH_OPEN": 1} if opening else {}
    main = [SPEED, *flags, *(f"-D{name}={value}" for name, value in definitions.items())]
    firmware = [FIRMWARE / "run.c", FIRMWARE / "start.c"]
    firmware += [FIRMWARE / "count.c"] if tick else []
    objects += compile_objects(build, firmware, main, target)
    return link(build, "run", objects, target), code


@dataclass(frozen=True)
class Said:
    """What the program printed (firmware/run.c)."""

    single: dict[str, int]
    lists: dict[str, list[int]]


def read_output(output: str, shape: Shape) -> Said:
    """Reads what the program printed. Raises BenchError if there is not a line for each operator."""
    values = [(name, int(value)) for name, value in re.findall(r"^(\w+) (\d+)$", output, re.MULTILINE)]
    lists: dict[str, list[int]] = {"macs": [], "bytes": [], "probability": []}
    for name, value in values:
        lists.setdefault(name, []).append(value)
    if len(lists["macs"]) != len(shape.kinds):
        raise BenchError(f"{len(lists['macs'])} of {len(shape.kinds)} operators reported: {output!r}")
    return Said(dict(values), lists)


def open_cycles(blob: Path, build: Path) -> int:
    """Cycles of opening a model: of all checks of its blob."""
    shape = read_shape(blob.read_bytes())
    image = np.zeros((shape.height, shape.width), np.uint8)
    elf, _ = build_program(blob, image, build, opening=True)
    machine = Machine(Program(elf), build)
    machine.run()
    return machine.counts(1).cycles


def run(
    blob: Path,
    image: npt.NDArray[np.uint8],
    build: Path,
    *,
    target: Target = M4,
    arena: int = 96 * 1024,
    baseline: bool = False,
    dsp: bool = True,
    flash_model: bool = False,
    format: int = 0,
    height: int = 0,
    without: Sequence[str] = (),
) -> Result:
    """Runs the engine on `image`, (height, width) grey or (height, width, 3) RGB.

    target    M4, M4_F439 or M4_NO_FPU
    format    of rnnp_format_t: the image is (height, width, bytes a pixel)
    height    of the frame, if the image's rows are to be repeated (a large one does not fit the emulated flash)

    baseline  plain C kernels, and RNNPool patch by patch (firmware/baseline.c) in place of the engine's
    dsp       the kernels of arch/; else plain C
    without   names of engine/left_out.h that are left out
    Raises BenchError if anything fails on the emulated board.
    """
    shape = read_shape(blob.read_bytes())
    elf, code = build_program(
        blob,
        image,
        build,
        target=target,
        arena=arena,
        baseline=baseline,
        dsp=dsp,
        format=format,
        height=height,
        without=without,
    )
    machine = Machine(Program(elf), build, flash_model=flash_model)
    machine.run()
    said = read_output(machine.output, shape)
    single, macs, arenas = said.single, said.lists["macs"], said.lists["bytes"]
    operators = [
        Operator(f"{index} {kind}", kind, macs[index], arenas[index], machine.counts(2 + index))
        for index, kind in enumerate(shape.kinds)
    ]
    operators.append(Operator(REST, REST, 0, 0, machine.counts(1)))
    if machine.cycles != sum(op.counts.cycles for op in operators):
        raise BenchError(f"{machine.cycles} cycles went by, {sum(op.counts.cycles for op in operators)} were counted")
    functions: dict[str, int] = {}
    for segment in range(1, 2 + len(operators)):
        for name, cycles in machine.by_function(segment).items():
            functions[name] = functions.get(name, 0) + cycles
    return Result(
        crc=single["crc"],
        arena=single["arena"],
        stack=single["stack"],
        gap=machine.longest_gap,
        detections=single["detections"],
        probabilities=[value / 32768 for value in said.lists["probability"]],
        code=code,
        operators=operators,
        functions=dict(sorted(functions.items(), key=lambda item: -item[1])),
    )
