"""Cycles of each Thumb-2 instruction on a Cortex-M4 with its FPU.

Source: ARM Cortex-M4 Technical Reference Manual, the instruction set summaries of the core and of its floating-point
unit, for zero wait states. What depends on the run is not here: a taken branch adds `TAKEN`, a division is timed by its
operands, an instruction whose IT condition fails takes one cycle, and an access that is not aligned one or two more
(probe.c counts these four).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TAKEN = 2  # cycles to refill the pipeline after a taken branch; the manual says 1..3
DIVIDE = 2  # least cycles of SDIV and UDIV; probe.c adds the rest from the operands

PLAIN, DYNAMIC_DIVIDE, DYNAMIC_CONDITIONAL, MARK = 0, 1, 2, 3  # `Table.dynamic`, shared with probe.c

_CONDITIONAL_ALWAYS = 14


@dataclass(frozen=True)
class Instruction:
    """Timing of one instruction: cycles where it stands alone, and whether it shares the address phase of a load."""

    cycles: int
    load: bool = False  # a single load: lets the next one pipeline
    pipelines: bool = False  # one cycle less directly after a single load
    dynamic: int = PLAIN


@dataclass
class Table:
    """Timing of a code section, one entry a halfword; second halfwords and literal pools are zero."""

    cycles: npt.NDArray[np.uint8]  # within an IT block 1, which is what a skipped instruction takes
    counts: npt.NDArray[np.uint8]  # 1 where an instruction starts (markers are none)
    pipelined: npt.NDArray[np.uint8]  # 1 where it takes one cycle less if not entered by a branch
    dynamic: npt.NDArray[np.uint8]
    condition: npt.NDArray[np.uint8]  # condition code within an IT block, else 14
    conditional: npt.NDArray[np.uint8]  # cycles more where the condition holds


def is_wide(first: int) -> bool:
    """Whether a halfword starts a 32-bit instruction."""
    return first >> 11 in (0b11101, 0b11110, 0b11111)


def narrow(op: int) -> Instruction:
    """Timing of a 16-bit instruction."""
    if op >> 11 == 0b01001:  # LDR literal
        return Instruction(2, load=True, pipelines=True)
    if op >> 12 == 0b0101:  # register offset: STR, STRH, STRB, then loads
        return Instruction(2, load=True, pipelines=True) if (op >> 9) & 7 >= 3 else Instruction(1)
    if 0x6000 <= op < 0xA000:  # immediate offset, stack pointer
        return Instruction(2, load=True, pipelines=True) if op & 0x800 else Instruction(1)
    if op & 0xF600 == 0xB400:  # PUSH, POP
        return Instruction(1 + (op & 0x1FF).bit_count())
    if op >> 12 == 0b1100:  # STM, LDM
        return Instruction(1 + (op & 0xFF).bit_count())
    return Instruction(1)


def _floating_point(first: int, second: int) -> Instruction:
    double = (second >> 8) & 15 == 11
    if first & 0xFF00 == 0xEE00:
        if second & 0x10:  # one register from or to the core
            return Instruction(1)
        operation = (first >> 4) & 0b1011
        if operation in (0b0000, 0b0001, 0b1001, 0b1010):  # VMLA, VNMLA, VFNMA, VFMA
            return Instruction(3)
        square_root = operation == 0b1011 and first & 15 == 1 and second & 0xC0 == 0xC0
        if operation == 0b1000 or square_root:  # VDIV, VSQRT
            return Instruction(14)
        return Instruction(1)
    if first & 0xFFE0 == 0xEC40:  # two registers
        return Instruction(2)
    if first & 0xFF20 == 0xED00 and not double:  # VLDR, VSTR
        return Instruction(2, load=bool(first & 0x10), pipelines=True)
    return Instruction(1 + (second & 0xFF))  # VLDM, VSTM, VPUSH, VPOP, and doubles


def wide(first: int, second: int) -> Instruction:
    """Timing of a 32-bit instruction."""
    if first == 0xF3AF and 0x8020 <= second < 0x80F0:  # hints that Arm left free: our markers (firmware/mark.h)
        return Instruction(0, dynamic=MARK)
    if first & 0xFE40 == 0xE800:  # LDM, STM, PUSH.W, POP.W
        return Instruction(1 + second.bit_count())
    if first & 0xFE40 == 0xE840:
        if first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000:  # TBB, TBH
            return Instruction(2)
        if first & 0xFF60 == 0xE840:  # exclusives
            return Instruction(2)
        return Instruction(3)  # LDRD, STRD
    if first & 0xFE00 == 0xF800:
        if not first & 0x10:
            return Instruction(1)
        if second >> 12 == 15 and first & 0x60 != 0x40:  # PLD, PLI
            return Instruction(1)
        return Instruction(2, load=True, pipelines=True)
    if first & 0xFFD0 == 0xFB90:  # SDIV, UDIV
        return Instruction(DIVIDE, dynamic=DYNAMIC_DIVIDE)
    if first & 0xFFE0 == 0xF3E0 or first & 0xFFE0 == 0xF380:  # MRS, MSR
        return Instruction(2)
    if first & 0xEC00 == 0xEC00 and (second >> 8) & 15 in (10, 11):
        return _floating_point(first, second)
    return Instruction(1)


def _it_conditions(op: int) -> list[int]:
    """Conditions of the instructions that an IT instruction governs."""
    condition, mask = (op >> 4) & 15, op & 15
    length = 4 - ((mask & -mask).bit_length() - 1)
    # The mask holds the low bit of each further condition, then a 1 that ends the list.
    return [condition] + [(condition & 14) | ((mask >> (4 - n)) & 1) for n in range(1, length)]


def table(code: bytes, ranges: list[tuple[int, int]]) -> Table:
    """Timing of `code`; `ranges` are the byte ranges in it that hold instructions (the rest is data)."""
    size = len(code) // 2 + 1
    halfwords = np.frombuffer(code[: len(code) & ~1], "<u2")
    out = Table(*(np.zeros(size, np.uint8) for _ in range(6)))
    out.condition[:] = _CONDITIONAL_ALWAYS
    for start, end in ranges:
        at, end = start // 2, end // 2
        conditions: list[int] = []
        after_load = False
        while at < end:
            first = int(halfwords[at])
            width = 2 if is_wide(first) and at + 1 < len(halfwords) else 1
            timing = wide(first, int(halfwords[at + 1])) if width == 2 else narrow(first)
            condition = conditions.pop(0) if conditions else _CONDITIONAL_ALWAYS
            if width == 1 and first >> 8 == 0xBF and first & 15:
                conditions = _it_conditions(first)
            out.cycles[at] = timing.cycles
            out.counts[at] = timing.dynamic != MARK
            out.condition[at] = condition
            out.dynamic[at] = timing.dynamic
            if condition != _CONDITIONAL_ALWAYS and timing.cycles > 1:
                # Not pipelined with its neighbours here: compilers hardly ever put two loads under a condition.
                out.cycles[at], out.conditional[at] = 1, timing.cycles - 1
                out.dynamic[at] = timing.dynamic or DYNAMIC_CONDITIONAL
                after_load = False
            elif timing.dynamic != MARK:
                out.pipelined[at] = timing.pipelines and after_load
                after_load = timing.load
            at += width
    return out
