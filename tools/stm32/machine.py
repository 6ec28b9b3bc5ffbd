"""A linked firmware in an emulated Cortex-M4 (Unicorn, from PyPI), up to its REPL: without a board, and without a chip.

Processor, flash and RAM are there, with the sizes of the linker scripts; what lies beside them can't be reached.
Peripherals are registers that keep what is written to them. Functions of MicroPython's ports/stm32 that wait for the
chip do nothing, and those of the REPL's serial port, the clock's ticks and the flash's controller are done here. There
are no interrupts: no Ctrl-C while a script runs, no timers, no USB.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import unicorn
from unicorn import arm_const

from tools.board import flash

from . import elf
from .problem import FirmwareError

PAGE = 4096
FLASH = 0x08000000
MOST_FLASH = 2 << 20
PERIPHERALS = ((0x40000000, 0x80000), (0x42000000, 0x2000000), (0x50000000, 0x80000), (0xA0000000, 0x10000))
SYSTEM = (0xE0000000, 0x100000)  # of the Cortex-M: kept as memory, too
IDENTITY = (0x1FFF0000, 0x10000)  # unique identifier, bytes of flash
GARBAGE = 0xA5  # in RAM at power-on
DATE = (2025 - 1980) << 25 | 1 << 21 | 1 << 16  # of files, as FAT has it

SECTORS = (*(0x4000,) * 4, 0x10000, *(0x20000,) * 7)  # of a megabyte of an STM32F4's flash
FILES = "_micropy_hw_internal_flash_storage_start"
POLL_READ, POLL_WRITE = 1, 4  # py/stream.h

# Functions that wait for hardware: skipped, with 0 as their result.
SKIPPED = (
    *("SystemClock_Config", "HAL_InitTick", "HAL_Delay", "mp_hal_delay_ms", "mp_hal_delay_us", "sdram_init"),
    *(
        "rtc_init_start",
        "rtc_init_finalise",
        "pyb_usb_init0",
        "pyb_usb_dev_init",
        "mod_network_init",
        "sdcard_is_present",
    ),
)
MAX_SECONDS = 300

# "NUCLEO-F439ZI with STM32F439ZIT6": what firmware says it runs on (sys.implementation._machine).
CHIP = re.compile(rb" with (STM32\w+)")
KNOWN = "STM32F4"  # whose flash and registers are emulated


def check_chip(firmware: bytes, folder: Path) -> None:
    """Raises FirmwareError if a firmware's bytes do not say that they are for a chip that is emulated."""
    said = CHIP.search(firmware)
    chip = said.group(1).decode() if said else "a chip that it does not name"
    if not chip.startswith(KNOWN):
        raise FirmwareError(
            f"{folder} is for {chip}; what is emulated is the {KNOWN} with a Cortex-M4, no other family"
        )


class Line:
    """A serial port at 127.0.0.1 that a program opens as socket://127.0.0.1:PORT, one at a time."""

    def __init__(self, port: int = 0) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = int(self._server.getsockname()[1])
        self._peer: socket.socket | None = None
        self._came = bytearray()

    def ready(self, seconds: float | None) -> bool:
        """Whether a byte has come, or comes in this time (None: in any)."""
        while not self._came:
            listening = self._peer or self._server
            if not select.select([listening], [], [], seconds)[0]:
                return False
            if self._peer is None:
                self._peer, _ = self._server.accept()
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                continue
            try:
                self._came += self._peer.recv(4096)
            except OSError:
                self._came.clear()
            if not self._came:
                self._peer.close()
                self._peer = None
        return True

    def read(self) -> int:
        """The next byte, when it comes."""
        self.ready(None)
        return self._came.pop(0)

    def write(self, data: bytes) -> None:
        """Sends; as with a cable, to nobody if nobody is there."""
        if self._peer is not None:
            try:
                self._peer.sendall(data)
            except OSError:
                self._peer = None


class Machine:
    """A board with the firmware of a build folder in its flash.

    romfs: image in its ROMFS partition. files: what its file system's place in the flash holds at first, as files() of
    another board gives it; as from the factory there is none, and the firmware makes one.
    """

    def __init__(self, folder: Path, romfs: bytes = b"", files: bytes = b"") -> None:
        """Boots it; `boot` is what it printed until the REPL's prompt. Raises FirmwareError."""
        self._line: Line | None = None
        self._image = elf.read(folder / "firmware.elf")
        self._cpu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._cpu.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        self._said = bytearray()
        self._typed = bytearray()
        self._registers: dict[int, int] = {}
        self._fault = ""
        images = flash.images_of(folder)  # what deploy writes, where it writes it
        check_chip(b"".join(file.read() for file in images), folder)
        self._map_memory()
        for file in images:
            self._cpu.mem_write(file.address, file.read())
        if romfs:
            self._cpu.mem_write(self._image.symbol("_micropy_hw_romfs_part0_start"), romfs)
        if files:
            self._cpu.mem_write(self._image.symbol(FILES), files)
        self._replace_functions()
        self._cpu.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._refuse)
        self._cpu.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        stack, self._at = struct.unpack("<II", self._cpu.mem_read(FLASH, 8))
        self._cpu.reg_write(arm_const.UC_ARM_REG_SP, stack)
        self.boot = self._run()

    def _map_memory(self) -> None:
        self._cpu.mem_map(FLASH, MOST_FLASH)
        self._cpu.mem_write(FLASH, b"\xff" * MOST_FLASH)
        pages: set[int] = set()
        for region in self._image.regions:
            if not FLASH <= region.start < FLASH + MOST_FLASH:
                pages.update(range(region.start // PAGE, -(-(region.start + region.size) // PAGE)))
        for page in pages:
            self._cpu.mem_map(page * PAGE, PAGE)
            self._cpu.mem_write(page * PAGE, bytes([GARBAGE]) * PAGE)
        for start, size in (SYSTEM, IDENTITY):
            self._cpu.mem_map(start, size)
        for start, size in PERIPHERALS:
            self._cpu.mmio_map(start, size, self._read, start, self._write, start)

    def _read(self, _: unicorn.Uc, offset: int, size: int, start: int) -> int:
        return self._registers.get(start + offset, 0) & ((1 << 8 * size) - 1)

    def _write(self, _: unicorn.Uc, offset: int, size: int, value: int, start: int) -> None:
        self._registers[start + offset] = value

    def _argument(self, number: int) -> int:
        return int(self._cpu.reg_read(arm_const.UC_ARM_REG_R0 + number))

    def _replace_functions(self) -> None:
        done: dict[str, Callable[[], int | None]] = dict.fromkeys(SKIPPED, lambda: 0)
        done |= {"HAL_GetTick": lambda: self._now(1000), "mp_hal_ticks_ms": lambda: self._now(1000)}
        done |= {"mp_hal_ticks_us": lambda: self._now(1_000_000), "get_fattime": lambda: DATE}
        done |= {
            "mp_hal_stdout_tx_strn": self._print,
            "mp_hal_stdin_rx_chr": self._input,
            "mp_hal_stdio_poll": self._poll,
        }
        done |= {"flash_write": self._write_flash, "flash_erase": self._erase_flash}

        def hook(function: Callable[[], int | None]) -> Callable[..., None]:
            def call(*_: object) -> None:
                result = function()
                if result is not None:
                    self._cpu.reg_write(arm_const.UC_ARM_REG_R0, result & 0xFFFFFFFF)
                    self._cpu.reg_write(arm_const.UC_ARM_REG_PC, self._cpu.reg_read(arm_const.UC_ARM_REG_LR))

            return call

        for name, function in done.items():
            at = self._image.symbols.get(name, 0) & ~1
            if at:
                self._cpu.hook_add(unicorn.UC_HOOK_CODE, hook(function), None, at, at + 1)

    def _now(self, rate: int) -> int:
        return int(time.monotonic() * rate)

    def _print(self) -> int:
        said = bytes(self._cpu.mem_read(self._argument(0), self._argument(1)))
        if self._line is not None:
            self._line.write(said)
        else:
            self._said += said
        return len(said)

    def _input(self) -> int | None:
        if self._line is not None:
            return self._line.read()
        if not self._typed:
            self._cpu.emu_stop()  # it will be asked again
            return None
        return self._typed.pop(0)

    def _poll(self) -> int:
        wanted = self._argument(0)
        there = self._line.ready(0.001) if self._line is not None and wanted & POLL_READ else bool(self._typed)
        return wanted & (POLL_WRITE | POLL_READ if there else POLL_WRITE)

    def _erase_flash(self) -> int:
        address = self._argument(0)
        start = FLASH + (address - FLASH) // 0x100000 * 0x100000
        for size in SECTORS:
            if start <= address < start + size:
                self._cpu.mem_write(start, b"\xff" * size)
            start += size
        return 0

    def _write_flash(self) -> int:
        self._cpu.mem_write(self._argument(0), bytes(self._cpu.mem_read(self._argument(1), 4 * self._argument(2))))
        return 0

    def _where(self) -> str:
        at = self._cpu.reg_read(arm_const.UC_ARM_REG_PC)
        return max((value, name) for name, value in self._image.symbols.items() if value <= at | 1)[1]

    def _refuse(self, _: unicorn.Uc, access: int, address: int, *__: object) -> bool:
        self._fault = f"access to {address:#010x} in {self._where()}"
        return False

    def _interrupt(self, _: unicorn.Uc, number: int, __: object) -> None:
        self._fault = f"exception {number} in {self._where()}"
        self._cpu.emu_stop()

    def _run(self) -> str:
        """Until more input is wanted. Raises FirmwareError for a fault, or if it takes too long."""
        self._said.clear()
        limit = time.monotonic() + MAX_SECONDS
        waits = False
        while not waits and not self._fault:
            if time.monotonic() > limit and self._line is None:
                self._fault = f"still busy after {MAX_SECONDS} seconds in {self._where()}"
            try:
                self._cpu.emu_start(self._at | 1, 0xFFFFFFFE, timeout=0 if self._line else MAX_SECONDS * 1_000_000)
            except unicorn.UcError as error:
                self._fault = self._fault or f"{error} in {self._where()}"
            self._at = self._cpu.reg_read(arm_const.UC_ARM_REG_PC)  # it also stops at WFI, and goes on from there
            waits = self._at & ~1 == self._image.symbol("mp_hal_stdin_rx_chr") & ~1
        if self._fault:
            raise FirmwareError(
                f"{self._image.path} does not work: {self._fault}; it said {bytes(self._said)[-500:]!r}"
            )
        return self._said.decode(errors="replace")

    def files(self) -> bytes:
        """The file system's first segment of the flash."""
        start = self._image.symbol(FILES)
        return bytes(self._cpu.mem_read(start, self._image.symbol(FILES.replace("_start", "_end")) - start))

    def serve(self, line: Line) -> None:
        """Connects the REPL to a line for good: returns when the process is ended. Raises FirmwareError for a fault."""
        self._line = line
        while True:
            self._run()

    def run(self, script: str) -> str:
        """Runs a script in the raw REPL and returns what it printed. Raises FirmwareError, also for its exception."""
        self._typed += b"\x01" + script.encode() + b"\x04\x02"
        _, _, answer = self._run().partition("OK")
        output, error = answer.split("\x04")[:2]
        if error:
            raise FirmwareError(f"the script ended with {error.strip().splitlines()[-1]}; it printed {output!r}")
        return output.replace("\r\n", "\n")
