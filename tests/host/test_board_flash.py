"""tools/board/flash.py with stand-ins for st-flash, openocd and dfu-util that record their arguments and can fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.board import flash
from tools.board.flash import Image, NoProgrammer
from tools.board.problem import Problem

FAKE = """#!{python}
import json, os, sys
name = os.path.basename(sys.argv[0])
with open({log!r}, "a") as log:
    log.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
said = os.environ.get("FAKE_" + name.replace("-", "_"))
print("fine" if said is None else said.replace("|", "\\n"))
sys.exit(0 if said is None else int(os.environ["FAKE_STATUS"]))
"""


class Tools:
    """A PATH with only these programs in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.log = folder / "calls.jsonl"
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", str(self.folder))

    def install(self, *names: str) -> None:
        for name in names:
            file = self.folder / name
            file.write_text(FAKE.format(python=sys.executable, log=str(self.log)))
            file.chmod(0o755)

    def fail(self, name: str, text: str, status: int = 1) -> None:
        self._monkeypatch.setenv("FAKE_" + name.replace("-", "_"), text)
        self._monkeypatch.setenv("FAKE_STATUS", str(status))

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    return Tools(tmp_path, monkeypatch)


@pytest.fixture
def images(tmp_path: Path) -> list[Image]:
    folder = tmp_path / "build of mine"
    folder.mkdir()
    (folder / "firmware0.bin").write_bytes(b"vectors")
    (folder / "firmware1.bin").write_bytes(b"text")
    return flash.images_of(folder)


def test_images_of_a_build(images: list[Image], tmp_path: Path) -> None:
    assert [(image.address, image.path.name) for image in images] == [
        (0x08000000, "firmware0.bin"),
        (0x08020000, "firmware1.bin"),
    ]
    (tmp_path / "firmware.bin").write_bytes(b"1")
    assert flash.images_of(tmp_path) == [Image(0x08000000, tmp_path / "firmware.bin")]
    with pytest.raises(Problem, match=r"build the firmware first \(`make BOARD=... firmware`\)"):
        flash.images_of(tmp_path / "nowhere")
    with pytest.raises(Problem, match="can't be read"):
        Image(0, tmp_path / "none.bin").read()
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(Problem, match="is empty"):
        Image(0, tmp_path / "empty.bin").read()


def test_st_flash(tools: Tools, images: list[Image]) -> None:
    tools.install("st-flash")
    assert flash.write(images, "st-flash") == "st-flash"
    assert tools.calls() == [
        ["st-flash", "write", str(images[0].path), "0x08000000"],
        ["st-flash", "--reset", "write", str(images[1].path), "0x08020000"],
    ]


def test_openocd(tools: Tools, images: list[Image]) -> None:
    tools.install("openocd")
    assert flash.write(images, "openocd") == "openocd"
    (call,) = tools.calls()
    assert call[:5] == ["openocd", "-f", "interface/stlink.cfg", "-f", "target/stm32f4x.cfg"]
    assert call[5::2] == ["-c"] * 8
    assert call[6::2] == [
        "init",
        "reset halt",
        f"flash write_image erase {{{images[0].path}}} 0x08000000 bin",
        f"verify_image {{{images[0].path}}} 0x08000000 bin",
        f"flash write_image erase {{{images[1].path}}} 0x08020000 bin",
        f"verify_image {{{images[1].path}}} 0x08020000 bin",
        "reset run",
        "shutdown",
    ]


def test_dfu(tools: Tools, images: list[Image]) -> None:
    tools.install("dfu-util")
    assert flash.write(images, "dfu") == "dfu"
    start = ["dfu-util", "-a", "0", "-d", "0483:df11", "-s"]
    assert tools.calls() == [
        [*start, "0x08000000", "-D", str(images[0].path)],
        [*start, "0x08020000:leave", "-D", str(images[1].path)],
    ]


@pytest.mark.parametrize(
    ("method", "said", "sentence"),
    [
        ("st-flash", "libusb: error [op_open] LIBUSB_ERROR_ACCESS|couldn't find any ST-Link", "usermod -a -G plugdev"),
        ("st-flash", "Couldn't find any ST-Link devices", "sees no ST-LINK: plug the board in"),
        ("st-flash", "unknown chip id! 0x451", "does not reach the chip, or it is another one"),
        ("st-flash", "ERROR flash: Flash memory is write protected", "write-protected: unlock it"),
        ("st-flash", "something new|the end of it", "and said: the end of it; try again, or another --method"),
        ("st-flash", "", "and said: nothing"),
        ("openocd", "Error: libusb_open() failed with LIBUSB_ERROR_ACCESS", "usermod -a -G plugdev"),
        ("openocd", "Error: open failed", "sees no ST-LINK: plug the board in"),
        ("openocd", "Error: init mode failed (unable to connect to the target)", "does not reach the chip"),
        ("openocd", "Error: checksum mismatch - attempting binary compare|diff 0", "not what it wrote"),
        ("dfu", "Cannot open DFU device 0483:df11 found on devnum 5 (LIBUSB_ERROR_ACCESS)", "usermod -a -G plugdev"),
        ("dfu", "No DFU capable USB device available", "connect BOOT0 to 3.3 V"),
        ("dfu", "More than one DFU capable USB device found!", "unplug all but one"),
        ("dfu", "Error: Last page at 0x081fffff is not writeable", "for a board with more flash"),
    ],
)
def test_failures_are_sentences(tools: Tools, images: list[Image], method: str, said: str, sentence: str) -> None:
    program = flash.FLASHERS[method].program
    tools.install(program)
    tools.fail(program, said)
    with pytest.raises(Problem) as caught:
        flash.write(images, method)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(tools.calls()) == 1  # the second image is not tried


def test_the_first_method_that_sees_a_board_is_taken(tools: Tools, images: list[Image]) -> None:
    tools.install("st-flash", "openocd", "dfu-util")
    tools.fail("st-flash", "Couldn't find any ST-Link devices")
    tools.fail("openocd", "Error: open failed")
    assert flash.write(images, "auto") == "dfu"
    assert [call[0] for call in tools.calls()] == ["st-flash", "openocd", "dfu-util", "dfu-util"]


def test_no_permission_is_not_passed_over(tools: Tools, images: list[Image]) -> None:
    tools.install("st-flash", "dfu-util")
    tools.fail("st-flash", "LIBUSB_ERROR_ACCESS")
    with pytest.raises(Problem, match="plugdev"):
        flash.write(images, "auto")
    assert [call[0] for call in tools.calls()] == ["st-flash"]


def test_no_board_and_no_program(tools: Tools, images: list[Image]) -> None:
    with pytest.raises(Problem, match="no program to flash with is installed: `sudo apt-get install stlink-tools`"):
        flash.write(images, "auto")
    for method in ("st-flash", "openocd", "dfu"):
        with pytest.raises(NoProgrammer, match="is not installed: `sudo apt-get install"):
            flash.write(images, method)
    tools.install("st-flash", "dfu-util")
    tools.fail("st-flash", "Couldn't find any ST-Link devices")
    tools.fail("dfu-util", "No DFU capable USB device available")
    with pytest.raises(Problem, match=r"(?s)no board to flash:\n.*ST-LINK.*openocd is not installed.*BOOT0"):
        flash.write(images, "auto")


def test_esp32_says_that_it_is_not_there_yet(images: list[Image]) -> None:
    with pytest.raises(Problem, match="ESP32 boards can't be deployed to yet"):
        flash.write(images, "esptool")
    assert set(flash.METHODS) == {"auto", "st-flash", "openocd", "dfu", "esptool"}


def test_a_program_that_hangs(tools: Tools, images: list[Image], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tools.folder / "st-flash"
    file.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    file.chmod(0o755)
    monkeypatch.setattr(flash, "TIMEOUT_SECONDS", 0.5)
    with pytest.raises(Problem, match="did not end in"):
        flash.write(images, "st-flash")
    assert os.environ["PATH"] == str(tools.folder)


def test_a_missing_program_is_told_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash.shutil, "which", lambda name: None)
    with pytest.raises(Problem, match="no program to flash with is installed"):
        flash.check_installed("auto")
    with pytest.raises(Problem, match="openocd is not installed: `sudo apt-get install openocd`"):
        flash.check_installed("openocd")
    with pytest.raises(Problem, match="usb is no way to flash: auto, st-flash"):
        flash.check_installed("usb")
    monkeypatch.setattr(flash.shutil, "which", lambda name: "/bin/" + name)
    flash.check_installed("auto")


@pytest.mark.parametrize(
    ("family", "target"), [("f7", "stm32f7x"), ("h7", "stm32h7x"), ("l4", "stm32l4x"), ("wb", "stm32wbx")]
)
def test_openocd_gets_the_target_of_the_family(tools: Tools, images: list[Image], family: str, target: str) -> None:
    tools.install("openocd")
    assert flash.write(images, "openocd", family) == "openocd"
    assert tools.calls()[0][3:5] == ["-f", f"target/{target}.cfg"]


def test_families_that_a_program_does_not_know(tools: Tools, images: list[Image]) -> None:
    tools.install("st-flash", "openocd", "dfu-util")
    # A Nucleo-H563: neither of the two for an ST-LINK knows it, and the boot loader does not need to.
    assert flash.write(images, "auto", "h5") == "dfu"
    for method, said in (("st-flash", "does not know the STM32H5"), ("openocd", "has no target for the STM32H5")):
        with pytest.raises(Problem, match=said):
            flash.write(images, method, "h5")
    with pytest.raises(Problem, match=r"no way to flash an STM32N6 is known: f0, f4, f7,"):
        flash.write(images, "auto", "n6")


ELF = """
.section .isr_vector, "a"
.word 1
.section .text, "ax"
.word 2
.section .data, "aw"
.word 3
"""
SCRIPT = """
MEMORY {{ START (rx) : ORIGIN = {start}, LENGTH = 16K  TEXT (rx) : ORIGIN = {text}, LENGTH = 64K
          RAM (rw) : ORIGIN = 0x20000000, LENGTH = 16K }}
SECTIONS {{ .isr_vector : {{ *(.isr_vector) }} > START  .text : {{ *(.text) }} > TEXT
            .data : {{ *(.data) }} > RAM AT > TEXT }}
"""


@pytest.mark.skipif(shutil.which("arm-none-eabi-ld") is None, reason="no arm-none-eabi-ld: tools/debian_packages.sh m4")
def test_addresses_come_from_the_linked_firmware(tmp_path: Path) -> None:
    def link(start: int, text: int) -> None:
        (tmp_path / "a.s").write_text(ELF)
        (tmp_path / "a.ld").write_text(SCRIPT.format(start=hex(start), text=hex(text)))
        for words in (["as", "-mthumb", "a.s", "-o", "a.o"], ["ld", "-T", "a.ld", "a.o", "-o", "firmware.elf"]):
            subprocess.run([f"arm-none-eabi-{words[0]}", *words[1:]], cwd=tmp_path, check=True)

    link(0x08000000, 0x08010000)
    assert flash.stored_at(tmp_path / "firmware.elf") == {
        ".isr_vector": 0x08000000,
        ".text": 0x08010000,
        ".data": 0x08010004,
    }
    (tmp_path / "firmware0.bin").write_bytes(b"vectors")
    (tmp_path / "firmware1.bin").write_bytes(b"text")
    assert [image.address for image in flash.images_of(tmp_path)] == [0x08000000, 0x08010000]
    link(0x08000000, 0x90000000)  # in a chip beside this one
    with pytest.raises(Problem, match="belongs to 0x90000000, which is not in the chip"):
        flash.images_of(tmp_path)
    (tmp_path / "firmware0.bin").unlink()
    (tmp_path / "firmware.bin").write_bytes(b"all")
    link(0x08008000, 0x08008100)  # behind a boot loader
    assert [image.address for image in flash.images_of(tmp_path)] == [0x08008000]
    (tmp_path / "firmware.elf").write_bytes(b"no firmware")
    with pytest.raises(Problem, match="is no linked firmware"):
        flash.images_of(tmp_path)
