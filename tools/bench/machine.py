"""A Cortex-M4 that counts cycles: Unicorn (an emulator from PyPI) plus the table of timing.py.

The emulator reports basic blocks; probe.c counts how often each instruction ran and how often a taken branch led to it.
Cycles are then a sum over the code: deterministic, and independent of how the emulator cuts blocks. Zero wait states;
the flash model (an STM32F4's: 5 wait states, 64 lines of 16 bytes for code, 8 for data, sequential prefetch) is counted
beside it and ranks layouts, no more.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import unicorn
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import uclib

from . import timing

SEGMENTS = 130  # 0: not measured, 1: the run outside operators, 2 + i: operator i (firmware/mark.h)
_HERE = Path(__file__).parent
_SEMIHOSTING_WRITE0, _SEMIHOSTING_EXIT = 0x04, 0x20


class BenchError(Exception):
    """The emulated program failed, or did something that the cycle model cannot count."""


class _Cache(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_uint32 * 64), ("used", ctypes.c_uint64 * 64), ("lines", ctypes.c_uint32)]


class _Probe(ctypes.Structure):
    _fields_ = [
        ("reg_read", ctypes.c_void_p),
        ("reg_write", ctypes.c_void_p),
        ("code", ctypes.c_void_p),
        ("code_base", ctypes.c_uint32),
        ("halfwords", ctypes.c_uint32),
        ("cycles", ctypes.c_void_p),
        ("dynamic", ctypes.c_void_p),
        ("condition", ctypes.c_void_p),
        ("conditional", ctypes.c_void_p),
        ("runs", ctypes.c_void_p),
        ("taken", ctypes.c_void_p),
        ("extra", ctypes.c_void_p),
        ("code_stalls", ctypes.c_void_p),
        ("data_stalls", ctypes.c_void_p),
        ("segments", ctypes.c_uint32),
        ("flash_model", ctypes.c_uint32),
        ("segment", ctypes.c_uint32),
        ("depth", ctypes.c_uint32),
        ("stack", ctypes.c_uint32 * 16),
        ("next", ctypes.c_uint32),
        ("failed", ctypes.c_uint32),
        ("line", ctypes.c_uint32),
        ("pending", ctypes.c_uint32),
        ("pending_end", ctypes.c_uint32),
        ("pending_branched", ctypes.c_uint32),
        ("clock", ctypes.c_uint64),
        ("fetched", ctypes.c_uint64),
        ("code_cache", _Cache),
        ("data_cache", _Cache),
        ("pipelined", ctypes.c_void_p),
        ("spent", ctypes.c_void_p),
        ("taken_cycles", ctypes.c_int64),
        ("time", ctypes.c_int64),
        ("event", ctypes.c_int64),
        ("gap", ctypes.c_int64),
    ]


def _probe_library(build: Path) -> ctypes.CDLL:
    """Compiles probe.c with the host's compiler, once for each version of its text."""
    source = _HERE / "probe.c"
    digest = hashlib.sha256(source.read_bytes() + unicorn.__version__.encode()).hexdigest()[:16]
    library = build / f"probe-{digest}.so"
    if not library.exists():
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            raise BenchError("the cycle model needs a C compiler on this machine (cc or gcc), none found")
        build.mkdir(parents=True, exist_ok=True)
        headers = Path(unicorn.__file__).parent / "include"
        partial = build / f"{library.name}.{os.getpid()}"
        flags = ["-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-isystem{headers}"]
        subprocess.run([compiler, *flags, "-o", str(partial), str(source)], check=True)
        partial.replace(library)
    return ctypes.CDLL(str(library))


@dataclass(frozen=True)
class Counts:
    """What one segment cost."""

    instructions: int
    cycles: int
    taken: int  # branches
    flash_cycles: int  # with the flash model; equal to `cycles` where it was off


class Program:
    """An ELF file: sections to load, symbols, and the timing of its code section `.text`."""

    def __init__(self, path: Path) -> None:
        self.loads: list[tuple[int, bytes]] = []
        self.symbols: dict[str, int] = {}
        self.functions: dict[str, tuple[int, int]] = {}  # address, size
        with open(path, "rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                    self.loads.append((segment["p_paddr"], segment.data()))
            text, symbols = elf.get_section_by_name(".text"), elf.get_section_by_name(".symtab")
            if text is None or not isinstance(symbols, SymbolTableSection):
                raise BenchError(f"{path} has no .text or no symbols")
            self.code_base, self.code = text["sh_addr"], text.data()
            marks: list[tuple[int, str]] = []
            end = self.code_base + len(self.code)
            for symbol in symbols.iter_symbols():
                name, value = symbol.name, symbol["st_value"]
                if name[:2] in ("$t", "$d", "$a"):
                    if self.code_base <= value < end:
                        marks.append((value, name[:2]))
                elif name:
                    self.symbols[name] = value
                    if symbol["st_info"]["type"] == "STT_FUNC":
                        self.functions[name] = (value & ~1, symbol["st_size"])
            self.entry = elf["e_entry"]
        marks.sort()
        ends = [mark[0] for mark in marks[1:]] + [end]
        ranges = [
            (at - self.code_base, stop - self.code_base)
            for (at, kind), stop in zip(marks, ends, strict=True)
            if kind == "$t"
        ]
        self.table = timing.table(self.code, ranges)


class Machine:
    """One run of a program. Memory: code from 0x08000000, RAM from 0x20000000, 4 MB each; output by semihosting.

    The code runs until it exits by semihosting; `counts()` then tells what each segment cost.
    """

    def __init__(self, program: Program, build: Path, *, flash_model: bool = False) -> None:
        self.program = program
        self.output = ""
        self.exit_code: int | None = None
        self._library = _probe_library(build)
        self._flash_model = flash_model
        halfwords = len(program.table.cycles) - 1
        shape = (SEGMENTS, halfwords + 1)
        self._runs, self._taken = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._extra, self._code_stalls, self._data_stalls = (np.zeros(SEGMENTS, np.int64) for _ in range(3))
        self._code = ctypes.create_string_buffer(program.code, len(program.code))
        table = program.table
        cost = table.cycles.astype(np.int64) - table.pipelined
        self._spent = np.concatenate([[0], np.cumsum(cost)])
        self._probe = _Probe(
            reg_read=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p).value,
            reg_write=ctypes.cast(uclib.uc_reg_write, ctypes.c_void_p).value,
            code=ctypes.addressof(self._code),
            code_base=program.code_base,
            halfwords=halfwords,
            cycles=table.cycles.ctypes.data,
            dynamic=table.dynamic.ctypes.data,
            condition=table.condition.ctypes.data,
            conditional=table.conditional.ctypes.data,
            runs=self._runs.ctypes.data,
            taken=self._taken.ctypes.data,
            extra=self._extra.ctypes.data,
            code_stalls=self._code_stalls.ctypes.data,
            data_stalls=self._data_stalls.ctypes.data,
            segments=SEGMENTS,
            flash_model=int(flash_model),
            pipelined=table.pipelined.ctypes.data,
            spent=self._spent.ctypes.data,
            taken_cycles=timing.TAKEN,
        )
        self._probe.code_cache.lines = 64
        self._probe.data_cache.lines = 8
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        for base in (0x08000000, 0x20000000):
            self._uc.mem_map(base, 4 << 20)
        self._uc.mem_map(0x40000000, 1 << 20)  # peripherals: memory without effects
        self._uc.mem_map(0xE0000000, 1 << 20)  # system control
        for address, data in program.loads:
            self._uc.mem_write(address, data)
        self._uc.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        self._hook(unicorn.UC_HOOK_BLOCK, "probe_block", 1, 0)
        for at in np.flatnonzero(table.dynamic):
            address = program.code_base + 2 * int(at)
            self._hook(unicorn.UC_HOOK_CODE, "probe_instruction", address, address)
        for kind in (unicorn.UC_HOOK_MEM_READ, unicorn.UC_HOOK_MEM_WRITE):
            self._hook(kind, "probe_access", 0x08000000, 0x203FFFFF)
        if flash_model:
            self._hook(unicorn.UC_HOOK_MEM_READ, "probe_read", 0x08000000, 0x083FFFFF)

    def _hook(self, kind: int, function: str, begin: int, end: int) -> None:
        """Adds a native hook; Unicorn's Python interface only takes Python functions."""
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            self._uc._uch,
            ctypes.byref(handle),
            ctypes.c_int(kind),
            ctypes.cast(getattr(self._library, function), ctypes.c_void_p),
            ctypes.cast(ctypes.byref(self._probe), ctypes.c_void_p),
            ctypes.c_uint64(begin),
            ctypes.c_uint64(end),
        )
        if status != unicorn.UC_ERR_OK:
            raise BenchError(f"Unicorn refuses a hook: error {status}")

    def _interrupt(self, uc: unicorn.Uc, number: int, _data: object) -> None:
        """Semihosting: BKPT 0xAB with the operation in r0 and its argument in r1."""
        pc = uc.reg_read(arm_const.UC_ARM_REG_PC)
        operation, argument = uc.reg_read(arm_const.UC_ARM_REG_R0), uc.reg_read(arm_const.UC_ARM_REG_R1)
        if bytes(uc.mem_read(pc, 2)) != b"\xab\xbe":
            self.output += f"exception {number} at {pc:#x}\n"
            uc.emu_stop()
        elif operation == _SEMIHOSTING_WRITE0:
            text = bytearray()
            while (byte := uc.mem_read(argument + len(text), 1)[0]) != 0:
                text.append(byte)
            self.output += text.decode()
            uc.reg_write(arm_const.UC_ARM_REG_PC, pc + 2 | 1)
        elif operation == _SEMIHOSTING_EXIT:
            reason, code = np.frombuffer(bytes(uc.mem_read(argument, 8)), "<u4")
            self.exit_code = int(code) if reason == 0x20026 else 255
            uc.emu_stop()
        else:
            self.output += f"unknown semihosting call {operation:#x}\n"
            uc.emu_stop()

    def write(self, symbol: str, data: bytes) -> None:
        """Puts data at a symbol before the run (a constant: the start-up fills .data and .bss)."""
        self._uc.mem_write(self.program.symbols[symbol], data)

    def read(self, symbol: str, size: int) -> bytes:
        """Memory at a symbol after the run."""
        return bytes(self._uc.mem_read(self.program.symbols[symbol], size))

    def run(self) -> None:
        """Runs from reset until the program exits. Raises BenchError unless it exits with 0."""
        stack, entry = np.frombuffer(bytes(self._uc.mem_read(0x08000000, 8)), "<u4")
        self._uc.reg_write(arm_const.UC_ARM_REG_SP, int(stack))
        try:
            self._uc.emu_start(int(entry) | 1, 0xFFFFFFFE)
        except unicorn.UcError as error:
            pc = self._uc.reg_read(arm_const.UC_ARM_REG_PC)
            raise BenchError(f"{error} at {pc:#x} ({self.where(pc)}); output so far: {self.output!r}") from None
        if self._probe.failed:
            pc = self._probe.failed
            raise BenchError(f"uncountable at {pc:#x} ({self.where(pc)}): {self.output!r}")
        if self.exit_code != 0:
            raise BenchError(f"the program ended with {self.exit_code}: {self.output!r}")

    def where(self, address: int) -> str:
        """The function that holds an address."""
        for name, (start, size) in self.program.functions.items():
            if start <= address < start + size:
                return name
        return "?"

    def _per_halfword(self, segment: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Instructions that ran and cycles without the extras, for each halfword of the code."""
        table, taken = self.program.table, self._taken[segment]
        runs = np.cumsum(self._runs[segment])
        cost, pipelined, counts = (a.astype(np.int64) for a in (table.cycles, table.pipelined, table.counts))
        return runs * counts, runs * cost - (runs - taken) * pipelined + timing.TAKEN * taken

    @property
    def cycles(self) -> int:
        """All cycles in segments that are measured, counted as they went by."""
        return int(self._probe.time)

    @property
    def longest_gap(self) -> int:
        """The most of them between two event markers (firmware/mark.h), or before the first; 0 if there is none."""
        return int(self._probe.gap)

    def counts(self, segment: int) -> Counts:
        """What a segment cost."""
        instructions, cycles = self._per_halfword(segment)
        total = int(cycles.sum() + self._extra[segment])
        stalls = int(self._code_stalls[segment] + self._data_stalls[segment])
        return Counts(int(instructions.sum()), total, int(self._taken[segment].sum()), total + stalls)

    def by_function(self, segment: int) -> dict[str, int]:
        """Cycles of each function in a segment (without the extras of divisions and conditions), largest first."""
        _, cycles = self._per_halfword(segment)
        total = np.concatenate([[0], np.cumsum(cycles)])
        out: dict[str, int] = {}
        for name, (start, size) in self.program.functions.items():
            first = (start - self.program.code_base) // 2
            if 0 <= first < len(cycles) and size:
                spent = int(total[min(first + (size + 1) // 2, len(cycles))] - total[first])
                if spent:
                    out[name] = spent
        return dict(sorted(out.items(), key=lambda item: -item[1]))
