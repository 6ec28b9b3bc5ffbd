"""The cycle model against hand-counted routines, and its instruction counts against QEMU's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("unicorn", reason="the cycle model needs unicorn (pip)")
pytest.importorskip("elftools", reason="the cycle model needs pyelftools (pip)")

from tools.bench import compile as bench_compile
from tools.bench.machine import BenchError, Counts, Machine, Program

if not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("no arm-none-eabi-gcc: tools/debian_packages.sh m4", allow_module_level=True)

# name: (assembly, instructions, cycles). `buf` is in r4, word aligned, 256 bytes; r0-r3, lr and s0-s15 may be changed.
# Cycles counted by hand from the Cortex-M4 manual: P = 2 for a taken branch.
MICRO: dict[str, tuple[str, int, int]] = {
    "alu": (".rept 100\n add r0, r1, r2\n .endr", 100, 100),
    # load 2, add 1: nothing pipelines
    "load_then_add": (".rept 100\n ldr r0, [r4]\n add r1, r1, r1\n .endr", 200, 300),
    # three loads in a row: 2 + 1 + 1, add 1
    "three_loads": (
        ".rept 100\n ldr r0, [r4]\n ldrh r1, [r4, #4]\n ldrsb r2, [r4, #8]\n add r3, r3, r3\n .endr",
        400,
        500,
    ),
    # stores 1 each, and a load after a store does not pipeline: 1 + 2
    "store_load": (".rept 100\n str r0, [r4]\n ldr r0, [r4]\n .endr", 200, 300),
    # mov 1; per turn subs 1, bne 1, and +2 for the 999 taken
    "loop": ("mov r0, #1000\n 1: subs r0, #1\n bne 1b", 2001, 1 + 1000 * 2 + 999 * 2),
    # ldrd 3 (a pair is 1 + 2), smlad 1
    "ldrd_smlad": (".rept 100\n ldrd r0, r1, [r4]\n smlad r2, r0, r1, r2\n .endr", 200, 400),
    # ldm of n words 1 + n
    "ldm": (".rept 100\n ldmia r4, {r0, r1, r2, r3}\n .endr", 100, 500),
    "push_pop": (".rept 10\n push {r0-r3}\n pop {r0-r3}\n .endr", 20, 100),
    # vmla 3, vadd 1, vdiv 14
    "float": (".rept 10\n vmla.f32 s0, s1, s2\n vadd.f32 s3, s4, s5\n vdiv.f32 s0, s1, s2\n .endr", 30, 180),
    # one register 1, two registers 2, vldm 1 + n, vstr 2
    "float_moves": (
        "vmov s0, r0\n vmov r1, s0\n vmov r0, r1, s2, s3\n vldm r4, {s0-s7}\n vstr s0, [r4]",
        5,
        1 + 1 + 2 + 9 + 2,
    ),
    # 2 + 1 + 1 as other loads
    "vldr_after_ldr": ("ldr r0, [r4]\n vldr s0, [r4]\n vldr s1, [r4, #4]\n nop", 4, 2 + 1 + 1 + 1),
    # mov 1; a turn: cmp 1, ite 1, two conditional adds 1 each (the skipped one as well), subs 1, bne 1; taken 99 times
    "it_alu": (
        "mov r0, #100\n 1: cmp r0, #50\n ite gt\n addgt r1, #1\n addle r1, #2\n subs r0, #1\n bne 1b",
        1 + 100 * 6,
        1 + 100 * 6 + 99 * 2,
    ),
    # a load whose condition fails takes 1: cmp 1, it 1, load 2 or 1; then subs, bne: r0 = 10..1, gt 5 for 5 of 10
    "it_load": (
        "mov r0, #10\n 1: cmp r0, #5\n it gt\n ldrgt r1, [r4]\n subs r0, #1\n bne 1b",
        1 + 10 * 5,
        1 + 10 * (1 + 1 + 1 + 1 + 1) + 5 + 9 * 2,
    ),
    # quotient 0: 2 cycles; 1 bit: 3; 2^31 / 1: 12; signed by magnitude
    "divide_small": ("mov r0, #5\n mov r1, #9\n udiv r2, r0, r1", 3, 2 + 2),
    "divide_equal": ("mov r0, #9\n mov r1, #9\n udiv r2, r0, r1", 3, 2 + 3),
    "divide_large": ("mov r0, #0x80000000\n mov r1, #1\n udiv r2, r0, r1", 3, 2 + 12),
    "divide_signed": ("mvn r0, #8\n mov r1, #9\n sdiv r2, r0, r1", 3, 2 + 3),
    # bl 1 + 2, in it: add 1, bx 1 + 2
    "call": ("mov r3, lr\n bl 1f\n b 2f\n 1: add r0, r0, r0\n bx lr\n 2: mov lr, r3", 6, 1 + 3 + 1 + 3 + 3 + 1),
    # cbz not taken 1, taken 1 + 2
    "cbz": ("mov r0, #1\n mov r1, #0\n cbz r0, 1f\n cbz r1, 1f\n nop\n 1: nop", 5, 1 + 1 + 1 + 3 + 1),
    # tbb 2 + 2
    "table_branch": ("mov r0, #1\n tbb [pc, r0]\n .byte 1, 1\n nop", 3, 1 + 4 + 1),
    # a load entered by a branch pipelines with nothing: b 1 + 2, load 2, load 1
    "load_after_branch": ("b 1f\n 1: ldr r0, [r4]\n ldr r1, [r4]", 3, 2 + 3 + 1 - 2),
    # a word at an even address 1 more, at an odd one 2; a halfword at an odd address 1; bytes and aligned ones none
    "unaligned_loads": (
        ".rept 10\n ldr r0, [r4, #2]\n nop\n ldr r0, [r4, #1]\n nop\n ldrh r0, [r4, #3]\n nop\n .endr",
        60,
        10 * (3 + 1 + 4 + 1 + 3 + 1),
    ),
    "aligned_loads": (
        ".rept 10\n ldr r0, [r4, #4]\n nop\n ldrh r0, [r4, #2]\n nop\n ldrb r0, [r4, #3]\n nop\n .endr",
        60,
        90,
    ),
    "unaligned_stores": (
        ".rept 10\n str r0, [r4, #2]\n str r0, [r4, #5]\n strh r0, [r4, #1]\n .endr",
        30,
        10 * (2 + 3 + 2),
    ),
    "long_multiply": ("smull r0, r1, r2, r3\n smlal r0, r1, r2, r3\n smmulr r0, r1, r2\n mla r0, r1, r2, r3", 4, 4),
    "literal": ("ldr r0, 1f\n b 2f\n .align 2\n 1: .word 0x12345678\n 2: nop", 3, 2 + 3 + 1),
}
# A branch to the very next address counts as not taken, 2 cycles less (compilers do not write it).


def build(folder: Path, *, timer: bool) -> Path:
    """A program that runs every routine in its own segment; with `timer`, prints TIM2's ticks around each."""
    lines = ['#include "mark.h"', '#include "start.h"', "uint32_t buf[64] = {1};"]
    lines.append("#define TIM2 ((volatile uint32_t *)0x40000000)")
    calls = []
    for index, (name, (assembly, _, _)) in enumerate(MICRO.items()):
        text = assembly.replace("\n", r"\n")
        changed = ["r0", "r1", "r2", "r3", "lr", "cc", "memory", *(f"s{i}" for i in range(16))]
        clobbers = ", ".join(f'"{name}"' for name in changed)
        lines.append(
            f"__attribute__((noinline)) static uint32_t run_{name}(void) {{"
            ' register uint32_t *r4 __asm__("r4") = buf; uint32_t before = TIM2[9];'
            f' mark_enter({1 + index}); __asm__ volatile ("{text}" : "+r" (r4) : : {clobbers}); mark_leave();'
            " return TIM2[9] - before; }"
        )
        calls.append(f'    ticks = run_{name}(); print("{name} "); print_number(ticks); print("\\n");')
    lines.append("int main(void) { TIM2[0] = 1; uint32_t ticks;")
    lines += calls if timer else [f"    run_{name}();" for name in MICRO] + ["    ticks = 0; (void)ticks;"]
    lines.append("    return 0; }")
    source = folder / "micro.c"
    source.write_text("\n".join(lines) + "\n")
    return link(folder, source)


def link(folder: Path, source: Path) -> Path:
    firmware = bench_compile.FIRMWARE
    objects = bench_compile.compile_objects(folder, [source, firmware / "start.c"], ["-O1", f"-I{firmware}"])
    return bench_compile.link(folder, source.stem, objects)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counts]:
    """Counts of each routine."""
    folder = tmp_path_factory.mktemp("micro")
    machine = Machine(Program(build(folder, timer=False)), folder)
    machine.run()
    return {name: machine.counts(1 + index) for index, name in enumerate(MICRO)}


@pytest.mark.parametrize("name", MICRO)
def test_hand_counted(counts: dict[str, Counts], name: str) -> None:
    _, instructions, cycles = MICRO[name]
    # r0 = segment is set before the marker, so nothing of the harness is inside the segment.
    assert (counts[name].instructions, counts[name].cycles) == (instructions, cycles)


def test_repeatable(tmp_path: Path) -> None:
    program = Program(build(tmp_path, timer=False))
    runs = []
    for _ in range(2):
        machine = Machine(program, tmp_path)
        machine.run()
        runs.append([machine.counts(segment) for segment in range(1, 1 + len(MICRO))])
    assert runs[0] == runs[1]


def test_flash_model_adds_only_stalls(tmp_path: Path, counts: dict[str, Counts]) -> None:
    machine = Machine(Program(build(tmp_path, timer=False)), tmp_path, flash_model=True)
    machine.run()
    for index, name in enumerate(MICRO):
        with_flash = machine.counts(1 + index)
        assert with_flash.cycles == counts[name].cycles
        assert with_flash.flash_cycles >= with_flash.cycles
    # 100 adds are 400 bytes of code met for the first time: 25 lines of 16 bytes or one more, each ready 6 cycles after
    # the one before, 4 of them spent in its instructions; the first line may have to wait 5.
    straight = machine.counts(1 + list(MICRO).index("alu"))
    assert 24 * 2 <= straight.flash_cycles - straight.cycles <= 25 * 2 + 5
    # A loop of two instructions stays in the cache: at most two lines are fetched.
    loop = machine.counts(1 + list(MICRO).index("loop"))
    assert loop.flash_cycles - loop.cycles <= 10


def test_failure_is_told(tmp_path: Path) -> None:
    source = tmp_path / "bad.c"
    source.write_text('#include "start.h"\nint main(void) { return *(volatile int *)0x30000000; }\n')
    machine = Machine(Program(link(tmp_path, source)), tmp_path)
    with pytest.raises(BenchError, match="main"):
        machine.run()


def test_instructions_equal_qemu(tmp_path: Path, counts: dict[str, Counts]) -> None:
    qemu = shutil.which("qemu-system-arm")
    if not qemu:
        pytest.skip("no qemu-system-arm: tools/debian_packages.sh m4")
    elf = build(tmp_path, timer=True)
    command = [qemu, "-M", "netduinoplus2", "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    ticks = {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", result.stdout + result.stderr)}
    assert set(ticks) == set(MICRO), result.stderr
    # TIM2 ticks once an instruction; around each routine the same few are counted with it (markers, segment, timer).
    around = {name: ticks[name] - counts[name].instructions for name in MICRO}
    assert len(set(around.values())) == 1, around
