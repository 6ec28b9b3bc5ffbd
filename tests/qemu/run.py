#!/usr/bin/env python3
"""Runs the tests in tests/micropython, or others of that form, on the emulated board.

    tests/qemu/run.py --firmware build/qemu/firmware.elf --inputs build/test-inputs
    tests/qemu/run.py --firmware build/qemu/firmware.elf tests/micropython/test_detect.py
    tests/qemu/run.py --firmware build/qemu/firmware.elf --upstream build/micropython basics float

A test is X.py with the output that it must give in X.py.exp; one that prints SKIP and raises SystemExit is skipped:
the rules of MicroPython's run-tests.py, which itself has no time limit on boards. All tests run on one board, with a
soft reset before each; after a crash or a time-out the next one gets a fresh board. The models of the repository are in
the board's ROMFS at /rom/models; what tests need beside themselves is at /data, which is in sys.path: the content of
--inputs, and the helper modules that lie beside the tests.
"""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_romfs  # noqa: E402
from board import Board, BoardError, BoardTimeout  # noqa: E402

TESTS = ROOT / "tests" / "micropython"
TIMEOUT = 120.0  # seconds a test


@dataclass
class Result:
    """What became of a test: verdict is pass, skip, FAIL, CRASH or TIMEOUT; detail says why."""

    test: Path
    verdict: str
    seconds: float
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.verdict in ("pass", "skip")


def suite() -> list[Path]:
    """Returns the project's own tests."""
    return sorted(TESTS.glob("test_*.py"))


def helpers(tests: list[Path]) -> dict[str, bytes]:
    """Returns the modules that lie beside tests and can be imported by them, by file name."""
    folders = {test.parent for test in tests}
    return {
        path.name: path.read_bytes()
        for folder in folders
        for path in folder.glob("*.py")
        if not path.name.startswith("test_") and path.name != "prepare.py"
    }


def rom_image() -> bytes:
    """Returns the ROMFS image with the repository's models, for Board(rom=...)."""
    models: dict[str, bytes | make_romfs.Tree] = {
        p.name: p.read_bytes() for p in sorted((ROOT / "models").glob("*.rnnp"))
    }
    return make_romfs.build({"models": models})


def data_image(inputs: Path | None, tests: list[Path], module: Path | None = None) -> bytes:
    """Returns the ROMFS image with what tests need beside themselves, for Board(data=...).

    module: an rnnpool.mpy, for firmware without the module.
    """
    tree: dict[str, bytes | make_romfs.Tree] = {}
    if inputs is not None:
        tree.update(make_romfs.read_folder(inputs))
    tree.update(helpers(tests))
    if module is not None:
        tree["rnnpool.mpy"] = module.read_bytes()
    return make_romfs.build(tree)


def run_test(board: Board, test: Path, timeout: float = TIMEOUT) -> Result:
    """Runs one test and compares its output with the expected one."""
    expected = test.with_name(test.name + ".exp").read_bytes().replace(b"\r\n", b"\n")
    start = time.monotonic()

    def result(verdict: str, detail: str = "") -> Result:
        return Result(test, verdict, time.monotonic() - start, detail)

    try:
        output, error = board.exec(test.read_bytes(), timeout)
    except BoardTimeout as problem:
        return result("TIMEOUT", str(problem))
    except BoardError as problem:
        return result("CRASH", str(problem))
    output = output.replace(b"\r\n", b"\n")
    if error:
        return result("FAIL", (output + error.replace(b"\r\n", b"\n")).decode(errors="replace"))
    if output == b"SKIP\n":
        return result("skip")
    if output != expected:
        lines = [text.decode(errors="replace").splitlines() for text in (expected, output)]
        return result("FAIL", "\n".join(difflib.unified_diff(*lines, "expected", "output", lineterm="", n=2)))
    return result("pass")


def run_upstream(board: Board, mpy_dir: Path, folders: list[str], results: Path) -> int:
    """Runs MicroPython's own tests with its own runner; returns its exit status."""
    command = [sys.executable, "run-tests.py", "-r", str(results.resolve())]
    command += ["-t", "execpty:" + " ".join(board.command("pty"))]
    folder_options = [part for folder in folders for part in ("-d", folder)] if folders else []
    results.mkdir(parents=True, exist_ok=True)
    return subprocess.run([*command, *folder_options], cwd=mpy_dir / "tests", check=False).returncode


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--firmware", type=Path, required=True, help="firmware.elf")
    parser.add_argument("--inputs", type=Path, help="folder whose content appears at /data")
    parser.add_argument("--module", type=Path, help="rnnpool.mpy, for firmware without the module")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds a test (default: %(default)s)")
    parser.add_argument("--icount", action="store_true", help="virtual time counts instructions")
    parser.add_argument("--upstream", type=Path, metavar="MPY_DIR", help="run MicroPython's own tests")
    parser.add_argument("--results", type=Path, help="with --upstream: folder for the output of tests that fail")
    parser.add_argument("tests", nargs="*", help="tests (default: all of tests/micropython); with --upstream: folders")
    arguments = parser.parse_args()
    firmware = arguments.firmware.resolve()

    if arguments.upstream:
        with Board(firmware) as board:
            results = arguments.results or firmware.parent / "upstream-results"
            return run_upstream(
                board, arguments.upstream, arguments.tests or ["basics", "float", "micropython"], results
            )

    tests = [Path(test) for test in arguments.tests] or suite()
    if not tests:
        print(f"run.py: no tests test_*.py in {TESTS}", file=sys.stderr)
        return 1
    failed = 0
    data = data_image(arguments.inputs, tests, arguments.module)
    with Board(firmware, rom_image(), data, icount=arguments.icount) as board:
        print(f"On {firmware}:")
        for test in tests:
            result = run_test(board, test, arguments.timeout)
            failed += not result.ok
            print(f"{result.verdict:7} {test.name} ({result.seconds:.1f} s)", flush=True)
            if result.detail:
                print(result.detail)
    print(f"{len(tests)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
