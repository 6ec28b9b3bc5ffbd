"""Finds the firmware files; the tests here skip, saying so, where they or QEMU are missing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "qemu"), str(ROOT / "tests" / "host"), str(ROOT / "tools")]

# With the DSP kernels and without.
BUILDS = ("qemu", "qemu-nodsp")


def firmware_of(build: str) -> Path:
    path = ROOT / "build" / build / "firmware.elf"
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("no qemu-system-arm: tools/debian_packages.sh m4")
    if not path.is_file():
        pytest.skip(f"no {path.relative_to(ROOT)} (make {build})")
    return path


@pytest.fixture(scope="session")
def firmware() -> Path:
    """For tests of the board itself: one build is enough."""
    return firmware_of(BUILDS[0])


@pytest.fixture(scope="session", params=BUILDS)
def each_firmware(request: pytest.FixtureRequest) -> Path:
    """For tests of the module."""
    return firmware_of(request.param)
