"""The kernels for Armv7E-M against their twins in plain C, bit for bit, on random shapes (kernels_check.c)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("unicorn", reason="the emulated Cortex-M4 needs unicorn (pip)")
pytest.importorskip("elftools", reason="the emulated Cortex-M4 needs pyelftools (pip)")

from tools.bench import compile as bench_compile
from tools.bench.machine import BenchError, Machine, Program

if not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("no arm-none-eabi-gcc: tools/debian_packages.sh m4", allow_module_level=True)

HERE = Path(__file__).parent
CASES = 150
# Without what only makes some shapes faster.
M4_SMALL = bench_compile.Target(
    (*bench_compile.M4.cpu, "-DRNNP_WITH_TILE1=0", "-DRNNP_WITH_COLUMNS2=0", "-DRNNP_WITH_TAPS4=0"),
    bench_compile.M4.memory,
)


def build(folder: Path, seed: int, optimize: str = "-O2", target: bench_compile.Target = bench_compile.M4) -> Path:
    engine, firmware = bench_compile.ENGINE, bench_compile.FIRMWARE
    sources = [
        HERE / "kernels_check.c",
        firmware / "start.c",
        *sorted((engine / "kernels").glob("*.c")),
    ]
    sources += sorted((engine / "arch").glob("*.c"))
    flags = [optimize, *bench_compile.WARNINGS, f"-I{bench_compile.ROOT / 'mp_module'}", f"-I{firmware}"]
    flags += [f"-DSEED={seed}u", f"-DCASES={CASES}", "-DRNNP_TWINS"]
    return bench_compile.link(folder, "kernels", bench_compile.compile_objects(folder, sources, flags, target), target)


@pytest.mark.parametrize(
    ("seed", "optimize", "target"),
    [
        (1, "-O2", bench_compile.M4),
        (3, "-Os", bench_compile.M4),
        (4, "-O0", bench_compile.M4),
        (5, "-O2", bench_compile.M4_NO_FPU),
        (7, "-O2", M4_SMALL),
    ],
)
def test_kernels_equal_plain_c(tmp_path: Path, seed: int, optimize: str, target: bench_compile.Target) -> None:
    machine = Machine(Program(build(tmp_path, seed, optimize, target)), tmp_path)
    try:
        machine.run()
    except BenchError as error:
        pytest.fail(f"{error}\n{machine.output}")
    assert machine.output == f"cases {10 * CASES}, failures 0\n"


def test_kernels_under_qemu(tmp_path: Path) -> None:
    """A second emulator: an instruction that one of them gets wrong is not missed."""
    qemu = shutil.which("qemu-system-arm")
    if not qemu:
        pytest.skip("no qemu-system-arm: tools/debian_packages.sh m4")
    command = [qemu, "-M", "netduinoplus2", "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(build(tmp_path, 77))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    assert re.search(rf"cases {10 * CASES}, failures 0$", result.stdout + result.stderr, re.MULTILINE), result.stderr
    assert result.returncode == 0


def test_hot_loops_fit_the_instruction_cache(tmp_path: Path) -> None:
    """1 KB: the cache of an STM32F4's flash. Assembly functions are loops as a whole; `tile` has three, one runs."""
    program = Program(build(tmp_path, 1))
    parts = {f"rnnp_armv7em_{name}": 1 for name in ("first_step", "unusual", "sums")}
    loops = {"rows": 1, "tile": 3, "all_channels": 1, **parts}
    sizes = {name: size for name, (_, size) in program.functions.items() if name.split(".")[0] in loops}
    assert {name.split(".")[0] for name in sizes} == set(loops)
    assert all(size <= 1024 * loops[name.split(".")[0]] for name, size in sizes.items()), sizes


@pytest.mark.parametrize("partitions", ["one", "max"])
def test_kernels_link_with_link_time_optimization(tmp_path: Path, partitions: str) -> None:
    """`max` puts each function into an object of its own: jumps of assembly between them must still arrive."""
    flags = ("-flto", f"-flto-partition={partitions}")
    target = bench_compile.Target((*bench_compile.M4.cpu, *flags), bench_compile.M4.memory)
    machine = Machine(Program(build(tmp_path, 6, "-O2", target)), tmp_path)
    machine.run()
    assert machine.output == f"cases {10 * CASES}, failures 0\n"
