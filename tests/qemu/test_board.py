"""The emulated board itself: memory as on an STM32F439, faults, Ctrl-C, ROMFS in place, instruction counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import make_romfs
import pytest
from board import DATA_ADDRESS, ROM_ADDRESS, Board, BoardError, BoardTimeout, instructions

BLOB = bytes(range(256)) * 5
ROM = make_romfs.build({"models": {"a.bin": BLOB, "odd": b"1"}, "from_rom.py": b"x = 42\n"})
DATA = make_romfs.build({"b.bin": BLOB * 1000, "from_data.py": b"x = 43\n"})


@pytest.fixture(scope="module")
def board(firmware: Path) -> Iterator[Board]:
    with Board(firmware, ROM, DATA) as board:
        yield board


def run(board: Board, script: str, timeout: float = 20) -> list[str]:
    output, error = board.exec(script, timeout)
    assert not error, error.decode()
    return output.decode().split()


def test_heap_and_stack_are_the_chips(board: Board) -> None:
    script = """
import gc, micropython
gc.collect()
print(gc.mem_free() + gc.mem_alloc())
print(micropython.stack_use())
def deeper(n): return 1 if n == 0 else 1 + deeper(n - 1)
try:
    deeper(100000)
except RuntimeError:
    print("recursion")
"""
    heap, stack, recursion = run(board, script)
    assert 160_000 < int(heap) < 166_372  # the collector's tables are not in it
    assert int(stack) < 1000
    assert recursion == "recursion"


def test_float_is_single_precision_in_hardware(board: Board) -> None:
    assert run(board, "print(1 / 3 == 0.33333334, 2 ** 24 + 1.0 == 2.0 ** 24, '%.5f' % (2 ** 0.5))") == [
        "True",
        "True",
        "1.41421",
    ]


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("below RAM", "machine.mem32[0x1FFFFFFC]"),
        ("above 192 KB of RAM", "machine.mem32[0x20030000]"),
        ("above 2 MB of flash", "machine.mem32[0x00200000]"),
        ("above 64 KB of CCM", "machine.mem32[0x20110000]"),
        ("write to flash", "machine.mem32[0x00001000] = 0"),
        ("write to the data image", f"machine.mem32[{DATA_ADDRESS}] = 0"),
        ("the guard under the stack", "machine.mem32[0x2002BC00]"),
    ],
)
def test_what_the_chip_does_not_have_faults(board: Board, what: str, statement: str) -> None:
    with pytest.raises(BoardError, match="FAULT: MemManage"):
        board.exec(f"import machine\nmachine.mem32[0x20100000] = 1\nmachine.mem32[0x2002FFFC]\n{statement}", 20)
    assert run(board, "print('alive')") == ["alive"]


def test_misaligned_double_word_load_faults(board: Board) -> None:
    script = """
@micropython.asm_thumb
def load(r0):
    data(2, 0xE9D0, 0x2300)  # ldrd r2, r3, [r0]
print(load(0x20000008) is not None)
load(0x2000000A)
"""
    with pytest.raises(BoardError, match=r"(?s)True.*FAULT: UsageFault.*CFSR 01"):
        board.exec(script, 20)


def test_ctrl_c_stops_a_script(board: Board) -> None:
    output, error = board.exec("print('on')\nwhile True: pass", 20, interrupt_after=b"on")
    assert output == b"on\r\n"
    assert b"KeyboardInterrupt" in error
    assert run(board, "print('alive')") == ["alive"]


def test_time_limit_ends_the_board(board: Board) -> None:
    start = time.monotonic()
    with pytest.raises(BoardTimeout, match="on"):
        board.exec("print('on')\nwhile True: pass", 0.1)
    assert time.monotonic() - start < 60
    assert run(board, "print('alive')") == ["alive"]


def test_time_passes(board: Board) -> None:
    script = "import time\nt = time.ticks_us()\ntime.sleep_ms(200)\nprint(time.ticks_diff(time.ticks_us(), t))"
    assert 200_000 <= int(run(board, script)[0]) < 1_000_000


def test_romfs_is_mounted_and_used_in_place(board: Board) -> None:
    script = """
import gc, uctypes, from_rom, from_data
print(from_rom.x, from_data.x)
free = gc.mem_free()
for name in ("/rom/models/a.bin", "/rom/models/odd", "/data/b.bin"):
    view = memoryview(open(name, "rb"))
    print(uctypes.addressof(view), len(view), sum(view[:1000]))
print(free - gc.mem_free() < 4000)
"""
    for _ in range(2):  # also after a soft reset
        numbers = run(board, script)
        assert numbers[:2] == ["42", "43"]
        offsets = {name: offset for image in (ROM, DATA) for name, offset, _ in make_romfs.contents(image)}
        assert numbers[2:5] == [str(ROM_ADDRESS + offsets["models/a.bin"]), str(len(BLOB)), str(sum(BLOB[:1000]))]
        assert numbers[5:7] == [str(ROM_ADDRESS + offsets["models/odd"]), "1"]
        assert numbers[8:] == [
            str(DATA_ADDRESS + offsets["b.bin"]),
            str(len(BLOB) * 1000),
            str(sum(BLOB[:1000])),
            "True",
        ]


def test_romfs_partition_can_be_written(firmware: Path) -> None:
    # The calls of `mpremote romfs deploy`.
    image = make_romfs.build({"new.py": b"x = 44\n"})
    script = f"""
import vfs
image = {image!r}
print(vfs.rom_ioctl(1), vfs.rom_ioctl(3, 0, 700_000), vfs.rom_ioctl(3, 1, 16), vfs.rom_ioctl(4, 0, -16, image))
print(vfs.rom_ioctl(3, 0, len(image)), vfs.rom_ioctl(4, 0, 0, image), vfs.rom_ioctl(5, 0))
"""
    with Board(firmware) as board:
        assert run(board, script) == ["2", "-22", "-22", "-22", "16", "0", "0"]
        assert run(board, "import new\nprint(new.x)") == ["44"]  # soft reset in between


def test_instruction_counts_are_exact_and_repeatable(firmware: Path) -> None:
    script = """
import machine, time
@micropython.asm_thumb
def spin(r0):
    movwt(r1, 0x40000004)  # the timer counts down
    ldr(r2, [r1, 0])
    label(LOOP)
    sub(r0, 1)
    nop()
    cmp(r0, 0)
    bne(LOOP)
    ldr(r3, [r1, 0])
    sub(r0, r2, r3)
print(spin(1000), spin(1001000))
t = time.ticks_cpu()
sum(range(10000))
print(time.ticks_diff(time.ticks_cpu(), t))
"""
    counts = []
    for _ in range(2):
        with Board(firmware, icount=True) as board:
            counts.append([int(word) for word in run(board, script)])
    for short, long, _ in counts:
        assert abs(instructions(long - short) - 4 * 1_000_000) <= 2
    assert all(abs(first - second) <= 2 for first, second in zip(*counts, strict=True)), counts


def test_boards_can_run_side_by_side(firmware: Path) -> None:
    with Board(firmware) as one, Board(firmware) as two:
        assert run(one, "x = 1\nprint(x)") == ["1"]
        assert run(two, "x = 2\nprint(x)") == ["2"]
        assert run(one, "print('x' in globals())") == ["False"]
