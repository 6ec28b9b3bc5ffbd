"""The engine on other cores, under QEMU: the same results as on this computer, and instructions as they are."""

from __future__ import annotations

import re
from pathlib import Path

import networks
import numpy as np
import pytest

pytest.importorskip("elftools", reason="the bare programs need pyelftools (pip)")
pytest.importorskip("unicorn", reason="the cycle model needs unicorn (pip)")

from rnnpool_training.blob import write
from rnnpool_training.engine import Engine
from tools.bench import compile as bench_compile
from tools.bench import cores, network
from tools.bench.compile import Target


def image_of(blob: bytes) -> np.ndarray:
    shape = network.read_shape(blob)
    size = (shape.height, shape.width) if shape.channels == 1 else (shape.height, shape.width, shape.channels)
    return np.random.default_rng(5).integers(0, 256, size, dtype=np.uint8)


@pytest.mark.parametrize("key", cores.CORES)
def test_same_results(tmp_path: Path, key: str) -> None:
    core = cores.CORES[key]
    if missing := cores.missing_tools(core):
        pytest.skip(missing)
    for number, make in enumerate((networks.tiny, networks.classifier, networks.others, networks.normalized)):
        blob = write(make(5))
        path = tmp_path / f"{number}.rnnp"
        path.write_bytes(blob)
        counted = cores.count(core, path, image_of(blob), tmp_path)  # raises if the results are not the engine's here
        assert counted.macs[:-1] == [op.macs for op in Engine(blob).ops()]
        assert all(n > 0 for n in counted.instructions)


@pytest.mark.parametrize(("key", "most"), [("m0plus", 500e6), ("m3", 300e6), ("rv32", 350e6)])
def test_a_face_frame(tmp_path: Path, key: str, most: float) -> None:
    """The shipped model: results, and no more instructions than were asked for of cores without DSP."""
    core = cores.CORES[key]
    if missing := cores.missing_tools(core):
        pytest.skip(missing)
    path = bench_compile.ROOT / "models" / "face.rnnp"
    assert cores.count(core, path, image_of(path.read_bytes()), tmp_path).total <= most


def test_instructions_are_counted_as_by_the_cycle_model(tmp_path: Path) -> None:
    """The same code, counted by QEMU's clock and by the basic blocks that ran."""
    core = cores.CORES["m3"]
    if missing := cores.missing_tools(core):
        pytest.skip(missing)
    path = tmp_path / "tiny.rnnp"
    path.write_bytes(write(networks.tiny(5)))
    m4 = cores.Core("Cortex-M4", Target(bench_compile.M4.cpu, "mps2.ld"), "mps2-an386", core.tick)
    image = image_of(path.read_bytes())
    counted = cores.count(m4, path, image, tmp_path / "qemu")
    modelled = network.run(path, image, tmp_path / "model")
    instructions = sum(op.counts.instructions for op in modelled.operators)
    assert instructions <= counted.total <= 1.03 * instructions  # the marks are some 40 instructions each


def test_plain_c_on_an_armv6m_that_faults_on_unaligned_words(tmp_path: Path) -> None:
    """A Cortex-M0 itself, with memory for a small network: what the other boards forgive, it does not."""
    core = cores.CORES["m0plus"]
    if missing := cores.missing_tools(core):
        pytest.skip(missing)
    micro = cores.Core("Cortex-M0", Target(core.target.cpu, "nrf51.ld"), "microbit", 62)
    for make in (networks.tiny, networks.classifier, networks.others, networks.normalized):
        blob = write(make(5))
        path = tmp_path / "model.rnnp"
        path.write_bytes(blob)
        elf, _ = network.build_program(path, image_of(blob), tmp_path, target=micro.target, tick=micro.tick, arena=6400)
        crc = int(re.search(r"^crc (\d+)$", cores.emulate(micro, elf), re.MULTILINE)[1])
        assert crc == Engine(blob).run(image_of(blob)).crc()


def test_missing_emulator_is_said() -> None:
    core = cores.Core("RV32", cores.CORES["rv32"].target, "virt", 1, "qemu-system-none", "qemu-none")
    assert cores.missing_tools(core) == "qemu-system-none not found (Debian: apt install qemu-none)"
