"""Programs that write a board's flash: one class each. A new method is a class here and an entry in FLASHERS."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.board.problem import Problem

ROMFS_ADDRESS = 0x08160000  # of the ROMFS partition on an STM32F439 (docs/stm32.md)
TIMEOUT_SECONDS = 300

# Families of STM32, as MicroPython's boards name them (MCU_SERIES), with OpenOCD's target; Debian's 0.12 has none for
# the H5. Debian's st-flash 1.7 does not know those of NO_ST_FLASH.
FAMILIES = {
    "f0": "stm32f0x",
    "f4": "stm32f4x",
    "f7": "stm32f7x",
    "g0": "stm32g0x",
    "g4": "stm32g4x",
    "h5": "",
    "h7": "stm32h7x",
    "l0": "stm32l0",
    "l1": "stm32l1",
    "l4": "stm32l4x",
    "wb": "stm32wbx",
    "wl": "stm32wlx",
}
NO_ST_FLASH = ("h5", "wl")
FLASH_START, FLASH_END = 0x08000000, 0x08400000  # of the chips' own
UDEV = (
    "install its udev rules (`sudo apt-get install {package}` brings them), join the group "
    "(`sudo usermod -a -G plugdev $USER`), log out and in, and plug the board in again"
)


@dataclass(frozen=True)
class Image:
    """What shall lie at an address of the flash."""

    address: int
    path: Path

    def read(self) -> bytes:
        """Its bytes; raises Problem."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise Problem(f"the image {self.path} can't be read ({error.strerror}): build the firmware first") from None
        if not content:
            raise Problem(f"the image {self.path} is empty: build the firmware again")
        return content


class NoProgrammer(Problem):
    """This method sees no board; another may."""


class Flasher(ABC):
    """Writes images with one program. `name` is the value of --method."""

    name: str
    program: str
    package: str  # of Debian
    # (pattern in the program's output, whether another method may do, sentence), the first that matches counts.
    errors: tuple[tuple[str, bool, str], ...] = ()

    @abstractmethod
    def commands(self, images: Sequence[Image], family: str) -> list[list[str]]:
        """The command lines that write all images, verify them as far as the program can, and start the firmware.

        family: of the chip, one of FAMILIES. Raises NoProgrammer if the program does not know it.
        """

    def installed(self) -> bool:
        """Whether the program is in PATH."""
        return shutil.which(self.program) is not None

    def write(self, images: Sequence[Image], family: str) -> None:
        """Writes the images; raises NoProgrammer or Problem. Safe to do again after any failure."""
        if not self.installed():
            raise NoProgrammer(f"{self.program} is not installed: `sudo apt-get install {self.package}`")
        for command in self.commands(images, family):
            self._run(command)

    def _run(self, command: list[str]) -> None:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TIMEOUT_SECONDS,
            )
        except OSError as error:
            raise Problem(f"{self.program} can't be started ({error.strerror}): install it again") from None
        except subprocess.TimeoutExpired:
            raise Problem(
                f"{self.program} did not end in {TIMEOUT_SECONDS} seconds: unplug the board, and try again"
            ) from None
        for pattern, other, sentence in self.errors:
            if re.search(pattern, done.stdout, re.IGNORECASE) and (done.returncode != 0 or other):
                raise (NoProgrammer if other else Problem)(sentence.format(package=self.package))
        if done.returncode != 0:
            lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
            said = lines[-1] if lines else "nothing"
            raise Problem(
                f"{' '.join(command)} failed with status {done.returncode}, and said: {said}; try again, or another "
                "--method"
            )


class StFlash(Flasher):
    """The ST-LINK on a Nucleo or Discovery board, by stlink-tools."""

    name = program = "st-flash"
    package = "stlink-tools"
    errors = (
        (r"LIBUSB_ERROR_ACCESS|permission", False, "st-flash may not use the ST-LINK: " + UDEV),
        (
            r"couldn't find any st-?link|no st-?link|could not find.*st-?link|couldn't locate",
            True,
            "st-flash sees no ST-LINK: plug the board in at the ST-LINK's connector (CN1 on a Nucleo)",
        ),
        (
            r"unknown chip|chip.?id.*(not found|mismatch)|failed to connect to target",
            False,
            "the ST-LINK does not reach the chip, or it is another one than this firmware's: check the board's name, "
            "its power, and the jumpers of the ST-LINK",
        ),
        (
            r"write protect|WRPERR|option bytes",
            False,
            "the chip's flash is write-protected: unlock it with `st-flash erase` or STM32CubeProgrammer",
        ),
        (r"LIBUSB_ERROR_BUSY", False, "another program uses the ST-LINK: close it (openocd, an IDE)"),
    )

    def commands(self, images: Sequence[Image], family: str) -> list[list[str]]:
        """One call an image; the last one starts the firmware. st-flash verifies what it writes."""
        if family in NO_ST_FLASH:
            raise NoProgrammer(f"st-flash 1.7 does not know the STM32{family.upper()}: DEPLOY=dfu does")
        lines = [[self.program, "write", str(image.path), f"{image.address:#010x}"] for image in images]
        lines[-1].insert(1, "--reset")
        return lines


class OpenOcd(Flasher):
    """The ST-LINK, by OpenOCD."""

    name = program = package = "openocd"
    errors = (
        (r"LIBUSB_ERROR_ACCESS|permission denied", False, "openocd may not use the ST-LINK: " + UDEV),
        (
            r"Error: open failed|no device found|unable to find a matching",
            True,
            "openocd sees no ST-LINK: plug the board in at the ST-LINK's connector (CN1 on a Nucleo)",
        ),
        (
            r"Cannot identify target|unable to connect to the target|init mode failed|target not examined",
            False,
            "the ST-LINK does not reach the chip, or it is another one than this firmware's: check the board's name, "
            "its power, and the jumpers of the ST-LINK",
        ),
        (r"LIBUSB_ERROR_BUSY", False, "another program uses the ST-LINK: close it (st-util, an IDE)"),
        (
            r"contents differ|checksum mismatch",
            False,
            "what openocd read back is not what it wrote: try again; a bad cable or a worn flash does this",
        ),
    )

    def commands(self, images: Sequence[Image], family: str) -> list[list[str]]:
        """One call for all."""
        target = FAMILIES[family]
        if not target:
            raise NoProgrammer(f"openocd 0.12 has no target for the STM32{family.upper()}: DEPLOY=dfu does without")
        line = [self.program, "-f", "interface/stlink.cfg", "-f", f"target/{target}.cfg"]
        line += ["-c", "init", "-c", "reset halt"]
        for image in images:
            # Tcl: braces keep a path with blanks one word.
            line += ["-c", f"flash write_image erase {{{image.path}}} {image.address:#010x} bin"]
            line += ["-c", f"verify_image {{{image.path}}} {image.address:#010x} bin"]
        return [[*line, "-c", "reset run", "-c", "shutdown"]]


class Dfu(Flasher):
    """The boot loader in the chip's ROM, over its USB, by dfu-util."""

    name = "dfu"
    program = package = "dfu-util"
    device = "0483:df11"
    errors = (
        (r"LIBUSB_ERROR_ACCESS|cannot open dfu device", False, "dfu-util may not use the board: " + UDEV),
        (
            r"no dfu capable usb device",
            True,
            "dfu-util sees no board in DFU mode: connect BOOT0 to 3.3 V, plug in the chip's own USB (CN13 on a "
            "Nucleo-144), and press reset",
        ),
        (r"more than one dfu capable", False, "several boards are in DFU mode: unplug all but one"),
        (
            r"not writeable|not erasable|cannot program memory|last page .* is not",
            False,
            "the chip refuses the address: the firmware is for a board with more flash",
        ),
    )

    def commands(self, images: Sequence[Image], family: str) -> list[list[str]]:
        """One call an image; the last one leaves DFU mode."""
        lines = []
        for number, image in enumerate(images):
            leave = ":leave" if number == len(images) - 1 else ""
            lines.append(
                [
                    self.program,
                    "-a",
                    "0",
                    "-d",
                    self.device,
                    "-s",
                    f"{image.address:#010x}{leave}",
                    "-D",
                    str(image.path),
                ]
            )
        return lines


class Esptool(Flasher):
    """The place of ESP32 boards."""

    name = program = package = "esptool"

    def installed(self) -> bool:
        """There is nothing to install."""
        return True

    def commands(self, images: Sequence[Image], family: str) -> list[list[str]]:
        """Raises Problem."""
        raise Problem(
            "ESP32 boards can't be deployed to yet: build MicroPython for them with "
            "USER_C_MODULES=.../mp_module/micropython.cmake "
            "and flash it with its own `idf.py flash`; put and stream of tools.board work then"
        )


FLASHERS: dict[str, Flasher] = {flasher.name: flasher for flasher in (StFlash(), OpenOcd(), Dfu(), Esptool())}
METHODS = ("auto", *FLASHERS)
AUTOMATIC = ("st-flash", "openocd", "dfu")


def check_installed(method: str) -> None:
    """Raises Problem if the method's program, or with auto each of them, is missing."""
    if method not in METHODS:
        raise Problem(f"{method} is no way to flash: {', '.join(METHODS)}")
    if method == "auto" and not any(FLASHERS[name].installed() for name in AUTOMATIC):
        raise Problem(
            "no program to flash with is installed: `sudo apt-get install stlink-tools` for a board with an ST-LINK, "
            "or dfu-util for one without"
        )
    if method != "auto" and not FLASHERS[method].installed():
        raise Problem(f"{method} is not installed: `sudo apt-get install {FLASHERS[method].package}`")


def write(images: Sequence[Image], method: str, family: str = "f4") -> str:
    """Writes all images by a method, or by the first that is installed and sees a board; returns its name.

    family: of the chip, one of FAMILIES; Problem for another.
    """
    if family not in FAMILIES:
        raise Problem(f"no way to flash an STM32{family.upper()} is known: {', '.join(FAMILIES)}")
    if method != "auto":
        FLASHERS[method].write(images, family)
        return method
    reasons = []
    for name in AUTOMATIC:
        try:
            FLASHERS[name].write(images, family)
            return name
        except NoProgrammer as reason:
            reasons.append(str(reason))
    check_installed(method)
    raise Problem("no board to flash:" + "".join(f"\n  {reason}" for reason in reasons))


def stored_at(elf: Path) -> dict[str, int]:
    """Where the sections of a little-endian ELF file for 32 bits lie in flash, by name; raises Problem for another."""
    data = elf.read_bytes()
    if data[:6] != b"\x7fELF\x01\x01":
        raise Problem(f"{elf} is no linked firmware: build it again")
    programs, headers = struct.unpack_from("<II", data, 28)
    program_size, program_count, size, count, names = struct.unpack_from("<5H", data, 42)
    # offset in the file, address in flash, bytes in the file
    loads = []
    for at in range(programs, programs + program_count * program_size, program_size):
        kind, offset, _, address, length = struct.unpack_from("<5I", data, at)
        if kind == 1:  # PT_LOAD
            loads.append((offset, address, length))
    sections = [struct.unpack_from("<6I", data, headers + number * size) for number in range(count)]
    text = sections[names][4]
    found = {}
    for name, kind, flags, _, offset, length in sections:
        if kind == 1 and flags & 2 and length > 0:  # SHT_PROGBITS, SHF_ALLOC
            for start, address, held in loads:
                if start <= offset < start + held:
                    end = data.index(b"\0", text + name)
                    found[data[text + name : end].decode()] = address + offset - start
    return found


def images_of(folder: Path) -> list[Image]:
    """What MicroPython's build for an STM32 leaves in its folder, with their addresses in flash.

    From firmware.elf; without it those of most STM32F4 boards are taken. Raises Problem.
    """
    elf = folder / "firmware.elf"
    where = stored_at(elf) if elf.is_file() else {".isr_vector": FLASH_START, ".text": 0x08020000}
    for names in (("firmware0.bin", "firmware1.bin"), ("firmware.bin",)):
        paths = [folder / name for name in names]
        if all(path.is_file() for path in paths):
            sections = (".isr_vector", ".text")
            if any(section not in where for section in sections[: len(paths)]):
                raise Problem(
                    f"{elf} is no firmware of MicroPython's ports/stm32: it has no {' or no '.join(sections)}"
                )
            images = [Image(where[section], path) for section, path in zip(sections, paths, strict=False)]
            for image in images:
                if not FLASH_START <= image.address < FLASH_END:
                    raise Problem(
                        f"{image.path} belongs to {image.address:#010x}, which is not in the chip: flash it as "
                        "MicroPython's documents say for this board"
                    )
            return images
    raise Problem(
        f"{folder} has neither firmware.bin nor firmware0.bin and firmware1.bin: build the firmware first (`make "
        "BOARD=... firmware`)"
    )


if __name__ == "__main__":  # make deploy asks before it builds
    try:
        check_installed(sys.argv[1])
    except Problem as problem:
        print(f"board: {problem}", file=sys.stderr)
        sys.exit(1)
