"""MicroPython's REPL on a board: run code, files and their hashes, memory. mpremote's transport does the talking."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from tools.board import ports
from tools.board.link import Link, LinkLost
from tools.board.problem import Problem

# Where the face model is looked for: by its name in the firmware or in ROMFS, and as a file. examples/serial_frames.py
# has the same list.
MODELS = ("face", "/flash/face.rnnp", "face.rnnp")
ENTER_SECONDS = 3.0
CHUNK = 512  # bytes of a file in one line of code


class ExecError(Exception):
    """The code ended with an exception on the board; the text is its traceback."""

    def last_line(self) -> str:
        """`MemoryError: needs ...`"""
        lines = [line for line in str(self).splitlines() if line.strip()]
        return lines[-1] if lines else "unknown error"

    def problem(self) -> Problem:
        """The sentence for a person."""
        advice = remedy(str(self))
        return Problem(f"the board says {self.last_line()}" + (f" ({advice})" if advice else ""))


def model_source(path: str | None) -> str:
    """Code that makes `model` from a name or path on the board, or from the first of the usual ones that is there.

    With memory for frames of any size, which is 1 KB more than for the model's own.
    """
    paths = (path,) if path else MODELS
    return f"""
import rnnpool
model = None
for path in {paths!r}:
    try:
        model = rnnpool.Model(path, width=4096, height=2)
        break
    except OSError:
        pass
if model is None:
    raise OSError("no model {" or ".join(paths)}")
"""


def remedy(traceback: str) -> str:
    """What to do about an exception on the board; empty if there is nothing to say."""
    if "ImportError" in traceback and "rnnpool" in traceback:
        return "the firmware has no module rnnpool: flash ours with `make BOARD=... deploy`"
    if "MemoryError" in traceback:
        return (
            "the board has too little memory for this model and frame: send smaller frames (--size), or use a firmware "
            "without network"
        )
    if "OSError: no model" in traceback:
        return "deploy one with `make BOARD=... deploy`, or give its name or path on the board with --model"
    return ""


def why_it_stopped(text: str) -> str:
    """The sentence for a script that does not answer, from what the board printed."""
    start = text.find("Traceback")
    if start < 0:
        return "the script was sent to the board but does not answer: press its reset button and try again"
    lines = [line for line in text[start:].replace("\x04", "\n").splitlines() if line.strip() and line.strip() != ">"]
    advice = remedy(text)
    return f"the script stopped on the board: {lines[-1]}" + (f" ({advice})" if advice else "")


class NoAnswer(Problem):
    """No MicroPython at the other end."""


class Repl:
    """The REPL behind an open transport. Errors of the line come as TransportError or OSError."""

    def __init__(self, transport: SerialTransport) -> None:
        self.transport = transport

    def _enter(self, soft_reset: bool) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what it did not expect
            self.transport.enter_raw_repl(soft_reset=soft_reset, timeout_overall=ENTER_SECONDS)

    def enter(self, soft_reset: bool = False, attempts: int = 3) -> None:
        """Ends what runs on the board and enters the raw REPL. Raises NoAnswer."""
        for attempt in range(attempts + 1):
            try:
                self._enter(soft_reset)
                return
            except TransportError:
                if attempt == 0:
                    # Ctrl-C is an ordinary byte to examples/serial_frames.py.
                    with contextlib.suppress(LinkLost):
                        Link(self.transport.serial).stop(1.0)
                    self.transport.serial.timeout = ports.READ_TIMEOUT
                time.sleep(0.3)
        raise NoAnswer(
            f"the board at {self.transport.device_name} does not answer: it runs no MicroPython, or hangs; press its "
            "reset "
            "button and try again"
        )

    def reset(self) -> None:
        """A soft reset into the raw REPL: an empty heap, and no main.py."""
        self.enter(soft_reset=True)

    def exec(self, code: str, timeout: float = 10.0) -> str:
        """Runs code and returns what it printed. timeout: seconds without output. Raises ExecError."""
        with contextlib.redirect_stdout(io.StringIO()):
            output, error = self.transport.exec_raw(code, timeout=timeout)
        if error:
            raise ExecError(error.decode(errors="replace"))
        return str(output.decode(errors="replace"))

    def eval(self, expression: str, timeout: float = 10.0) -> Any:
        """The value of an expression, as far as literals go."""
        return ast.literal_eval(self.exec(f"print(repr({expression}))", timeout).strip())

    def start(self, code: bytes) -> None:
        """Runs code that does not end; what it prints is left on the line."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.transport.exec_raw_no_follow(code)

    def hash_of_file(self, path: str) -> str | None:
        """SHA-256 of a file on the board as hex digits; None if there is none."""
        try:
            return str(
                self.eval_block(
                    f"""
import hashlib
digest = hashlib.sha256()
part = bytearray({CHUNK})
with open({path!r}, "rb") as file:
    while True:
        count = file.readinto(part)
        if not count:
            break
        digest.update(memoryview(part)[:count])
print(repr("".join("%02x" % byte for byte in digest.digest())))
"""
                )
            )
        except ExecError as error:
            if "ENOENT" in str(error) or "OSError: 2" in str(error):
                return None
            raise

    def eval_block(self, code: str, timeout: float = 30.0) -> Any:
        """The value that the last print of the code gives."""
        return ast.literal_eval(self.exec(code, timeout).strip().splitlines()[-1])

    def hash_of_memory(self, expression: str) -> str:
        """SHA-256 of an object with a buffer on the board, as hex digits."""
        return str(
            self.eval_block(
                f"import hashlib, uctypes, vfs\n"
                f"print(repr(''.join('%02x' % byte for byte in hashlib.sha256({expression}).digest())))"
            )
        )

    def make_folders(self, path: str) -> None:
        """Makes the folders above a file."""
        for folder in reversed(PurePosixPath(path).parents):
            if str(folder) not in ("/", "."):
                self.exec(f"import os\ntry:\n    os.mkdir({str(folder)!r})\nexcept OSError:\n    pass")

    def free(self, path: str) -> int | None:
        """Bytes left on the file system of a file; None if the board does not know."""
        folder = str(PurePosixPath(path).parent)
        try:
            size, _, _, blocks = self.eval(f"__import__('os').statvfs({'' if folder == '.' else folder!r})[:4]")
        except ExecError:
            return None
        return int(size) * int(blocks)

    def put(self, content: bytes, path: str, progress: Callable[[int], object] = lambda _: None) -> bool:
        """Makes a file on the board have this content; returns False if it had it already.

        Written beside and renamed, so that an interruption leaves the old file or none, never half of one. Raises
        Problem if what is on the board afterwards is something else.
        """
        wanted = hashlib.sha256(content).hexdigest()
        if self.hash_of_file(path) == wanted:
            progress(len(content))
            return False
        beside = path + ".new"
        try:
            self.make_folders(path)
            free = self.free(path)
            if free is not None and free < len(content):
                raise Problem(
                    f"{path} takes {len(content):,} bytes, and the board's file system has {free:,} left: "
                    "remove something there"
                )
            self.exec(f"file = open({beside!r}, 'wb')")
            for at in range(0, len(content), CHUNK):
                part = content[at : at + CHUNK]
                self.exec(f"file.write({part!r})")
                progress(len(part))
            self.exec("file.close()")
        except ExecError as error:
            raise Problem(
                f"{path} can't be written on the board: {error.last_line()}{_space_advice(str(error))}"
            ) from None
        if self.hash_of_file(beside) != wanted:
            raise Problem(f"{path} on the board is not what was sent: try again; the flash may be worn out")
        self.exec(
            f"import os\ntry:\n    os.remove({path!r})\nexcept OSError:\n    pass\nos.rename({beside!r}, {path!r})"
        )
        return True


def _space_advice(traceback: str) -> str:
    if "28" in traceback or "ENOSPC" in traceback:
        return " (its file system is full: remove something)"
    if "ENODEV" in traceback or "OSError: 19" in traceback or "EPERM" in traceback or "EROFS" in traceback:
        return " (there is no file system that can be written)"
    return ""


def is_exec_error(error: BaseException) -> bool:
    """Whether mpremote reports an exception of the code, not of the line."""
    return isinstance(error, TransportExecError)
