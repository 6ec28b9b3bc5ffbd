"""A linked firmware for an STM32 as a board behind a serial port: tools/stm32's emulator in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from load_tool import ROOT


class Stm32Board:
    """The firmware of a build folder; use it in a `with` statement. `port` is a TCP port of this computer."""

    def __init__(self, folder: Path, romfs: Path) -> None:
        self._command = [sys.executable, "-m", "tools.stm32", "emulate", str(folder), "--port", "0"]
        self._command += ["--romfs", str(romfs)] if romfs.exists() else []
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Stm32Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def serve(self) -> None:
        """Switches it on."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = re.search(r"--port socket://127.0.0.1:(\d+);", line)
            if found:
                self.port = int(found[1])
                return
        raise AssertionError("the emulator ended")

    def stop(self) -> None:
        """Switches it off."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
