"""Firmware for boards of ports rp2 and esp32: what make would do, what it lacks, and how it gets to a Pico."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from load_tool import ROOT

from tools.board import uf2
from tools.board.problem import Problem


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of MicroPython as far as the makefiles look at it."""
    files = {
        "py/mpconfig.h": "".join(
            f"#define MICROPY_VERSION_{name} {number}\n" for name, number in (("MAJOR", 1), ("MINOR", 26), ("MICRO", 0))
        ),
        "ports/unix/Makefile": "",
        "ports/rp2/boards/RPI_PICO2/mpconfigboard.h": '#define MICROPY_HW_BOARD_NAME "Raspberry Pi Pico2"\n',
        "ports/esp32/boards/ESP32_GENERIC_S3/mpconfigboard.h": '#define MICROPY_HW_BOARD_NAME "Generic ESP32S3"\n',
        "ports/esp32/README.md": "",
    }
    for name, text in files.items():
        (tmp_path / "mpy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mpy" / name).write_text(text)
    return tmp_path / "mpy"


def make(*words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    environment |= {"PATH": path} if path else {}
    return subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(("board", "port"), [("RPI_PICO2", "rp2"), ("ESP32_GENERIC_S3", "esp32")])
def test_what_make_would_do(tree: Path, board: str, port: str) -> None:
    without = "auto, TFLITE"
    done = make("-n", f"BOARD={board}", f"MPY_DIR={tree}", "MODELS=face", f"RNNPOOL_WITHOUT={without}", "deploy")
    assert done.returncode == 0, done.stderr
    port_make = [line for line in done.stdout.splitlines() if f'-C "{tree}/ports/{port}"' in line]
    module = f"USER_C_MODULES={ROOT}/mp_module/micropython.cmake RNNPOOL_MODELS=face RNNPOOL_WITHOUT='{without}'"
    assert f"BOARD={board} " in port_make[0] and f"BUILD={ROOT}/build/{port}/{board}" in port_make[0]
    assert port_make[0].endswith(module)
    flash = "-m tools.board.uf2" if port == "rp2" else f'-C "{tree}/ports/esp32" BOARD={board}'
    assert flash in done.stdout and "-m tools.board deploy --no-flash" in done.stdout
    # Without MODELS= it is the face model, and what was made of the build is looked at.
    done = make("-n", f"BOARD={board}", f"MPY_DIR={tree}", "firmware")
    assert "RNNPOOL_MODELS=face " in done.stdout
    assert (f"-m tools.board.uf2 --check {ROOT}/build/rp2/{board}/firmware.uf2" in done.stdout) == (port == "rp2")
    # The boards of ports/stm32 are not taken for these.
    assert "tools.stm32" in make("-n", "BOARD=PYBV11", f"MPY_DIR={tree}", "firmware").stdout


def test_what_is_missing_is_one_sentence(tree: Path) -> None:
    for words, said in (
        (["BOARD=RPI_PICO2"], "say MPY_DIR=<that folder>"),
        (["BOARD=RPI_PICO9", f"MPY_DIR={tree}"], f"no board RPI_PICO9 in {tree}/ports/rp2/boards"),
        (["BOARD=RPI_PICO2", f"MPY_DIR={tree}"], "lacks lib/pico-sdk: run make -C"),
        (["BOARD=ESP32_GENERIC_S3", f"MPY_DIR={tree}"], "Espressif's IDF is missing"),
    ):
        done = make(*words, "firmware-board")
        assert done.returncode != 0 and said in done.stderr, done.stderr
        assert len([line for line in done.stderr.splitlines() if not line.startswith("make")]) == 1


def file_for(family: int, blocks: int = 3) -> bytes:
    block = struct.pack("<8I", *uf2.MAGIC[:2], uf2.HAS_FAMILY, 0x10000000, 256, 0, blocks, family)
    return (block + bytes(476) + struct.pack("<I", uf2.MAGIC[2])) * blocks


class Desk:
    """Drives that are mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounts = folder / "mounts"
        self.mounts.write_text("proc /proc proc rw 0 0\n")

    def plug(self, name: str, board: str) -> Path:
        drive = self.folder / name
        drive.mkdir()
        (drive / "INFO_UF2.TXT").write_text(f"UF2 Bootloader v3.0\nModel: Raspberry Pi\nBoard-ID: {board}\n")
        place = str(drive).replace(" ", "\\040")
        self.mounts.write_text(self.mounts.read_text() + f"/dev/sda1 {place} vfat rw 0 0\n")
        return drive


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return Desk(tmp_path)


@pytest.mark.parametrize(("family", "board"), [(0xE48BFF56, "RPI-RP2"), (0xE48BFF59, "RP2350")])
def test_a_drive_gets_the_file(desk: Desk, tmp_path: Path, family: int, board: str) -> None:
    firmware = tmp_path / "firmware.uf2"
    firmware.write_bytes(file_for(family))
    drive = desk.plug("a drive", board)
    assert uf2.write(firmware, desk.mounts) == f"copied to {drive}"
    assert (drive / "firmware.uf2").read_bytes() == firmware.read_bytes()
    desk.plug("another", board)
    with pytest.raises(Problem, match="several boards wait"):
        uf2.write(firmware, desk.mounts)


def test_a_drive_of_another_chip_gets_nothing(desk: Desk, tmp_path: Path) -> None:
    firmware = tmp_path / "firmware.uf2"
    firmware.write_bytes(file_for(0xE48BFF59))
    drive = desk.plug("drive", "RPI-RP2")
    with pytest.raises(Problem, match=r"is for an RP2350, and the board .* \(RPI-RP2\)"):
        uf2.write(firmware, desk.mounts)
    assert not (drive / "firmware.uf2").exists()


def test_picotool(desk: Desk, tmp_path: Path) -> None:
    firmware = tmp_path / "firmware.uf2"
    firmware.write_bytes(file_for(0xE48BFF56))
    with pytest.raises(Problem, match="no board waits for firmware: hold BOOTSEL"):
        uf2.write(firmware, desk.mounts)
    program = tmp_path / "bin" / "picotool"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/call\n')
    program.chmod(0o755)
    assert uf2.write(firmware, desk.mounts) == "written and verified by picotool"
    assert (tmp_path / "call").read_text() == f"load -f -v -x {firmware}\n"
    program.write_text("#!/bin/sh\necho No accessible RP-series devices in BOOTSEL mode were found.\nexit 249\n")
    with pytest.raises(Problem, match=r"picotool failed \(No accessible RP-series devices .*\): hold BOOTSEL"):
        uf2.write(firmware, desk.mounts)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has 0 bytes"),
        (bytes(512), "block 0 has other magic"),
        (file_for(0xE48BFF56)[:-1], "1,535 bytes, not blocks of 512"),
        (file_for(0xE48BFF57), "for no chip of Raspberry Pi"),
        (file_for(0xE48BFF56) + file_for(0xE48BFF59), "or for several: RP2, RP2350"),
    ],
)
def test_no_uf2_file(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "firmware.uf2").write_bytes(data)
    with pytest.raises(Problem, match=said):
        uf2.read(tmp_path / "firmware.uf2")


def firmware_of(size: int, files: int | None, family: int = 0xE48BFF56) -> bytes:
    """A UF2 file of so many bytes that says in its binary information where the file system begins."""
    flash = bytearray(size)
    struct.pack_into("<I", flash, 0x100, uf2.INFO_BEGIN)  # not the header: no end follows
    header, table, entry, other = 0x140, 0x200, 0x300, 0x380
    if files is not None:
        struct.pack_into(
            "<5I", flash, header, uf2.INFO_BEGIN, uf2.FLASH + table, uf2.FLASH + table + 8, 0, uf2.INFO_END
        )
        struct.pack_into("<2I", flash, table, uf2.FLASH + other, uf2.FLASH + entry)
        struct.pack_into("<2H3I", flash, other, 6, uf2.FILE_SYSTEM[1], 0, 0, 0)
        struct.pack_into("<2H3I", flash, entry, *uf2.FILE_SYSTEM, 0, uf2.FLASH + files, 1408 << 10)
    blocks = b""
    for at in range(0, size, 256):
        block = struct.pack("<8I", *uf2.MAGIC[:2], uf2.HAS_FAMILY, uf2.FLASH + at, 256, at // 256, size // 256, family)
        blocks += block + flash[at : at + 256] + bytes(220) + struct.pack("<I", uf2.MAGIC[2])
    return blocks


def test_firmware_that_the_file_system_would_overwrite(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "firmware.uf2"
    drive = desk.plug("drive", "RPI-RP2")
    for size, files in ((0x3000, None), (0x3000, 0x3000)):
        path.write_bytes(firmware_of(size, files))
        assert uf2.write(path, desk.mounts) == f"copied to {drive}"
    path.write_bytes(firmware_of(0x2F00, 0x3000))
    assert uf2.check(path) == ("RP2", "12,032 bytes, 256 are left before the file system")
    path.write_bytes(firmware_of(0x3100, 0x3000))
    (drive / "firmware.uf2").unlink()
    said = "has 12,544 bytes, and the board's file system, which begins at 12,288, would overwrite the last 256"
    with pytest.raises(Problem, match=said):
        uf2.write(path, desk.mounts)
    assert not (drive / "firmware.uf2").exists()
    command = [sys.executable, "-m", "tools.board.uf2", "--check", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "leave a model out" in done.stderr
    path.write_bytes(
        firmware_of(0x3000, 0x3000).replace(struct.pack("<I", uf2.FLASH), struct.pack("<I", 0x20000000), 1)
    )
    with pytest.raises(Problem, match="block 0 is for 0x20000000, not for the flash"):
        uf2.check(path)
