"""Firmware, models and examples onto a board, each step only if the board does not have its result already."""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.cbook
from mpremote.transport import TransportError
from tqdm import tqdm

from rnnpool_training import blob, reference
from rnnpool_training.errors import reason
from tools import make_romfs
from tools.board import flash, ports, repl
from tools.board.device import Told, ask
from tools.board.frames import FORMATS, Frame, encode, load, shrink
from tools.board.problem import Problem, command
from tools.board.stream import SCRIPT, Streamer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = (SCRIPT,)
TEST_FRAME = (160, 120)  # small, since a UART carries 11 KB a second
MAKE_FILE_SYSTEM = "import pyb, vfs\nvfs.VfsFat.mkfs(pyb.Flash(start=0))"
PIECE = 65536  # of flash that is hashed in one go, so that a slow board is not taken for a dead one


def plain(text: str) -> str:
    """Letters and digits only, in capitals: NUCLEO_F439ZI and NUCLEO-F439ZI are the same."""
    return re.sub(r"[^A-Z0-9]", "", text.upper())


@dataclass
class Deployment:
    """What shall be on the board, and how it gets there."""

    board: str
    machine: str
    images: list[flash.Image]
    models: list[Path]
    port: str | None = None
    baudrate: int = ports.BAUDRATE
    method: str = "auto"
    family: str = "f4"  # of the chip: flash.FAMILIES
    romfs: str = "repl"
    romfs_at: int = flash.ROMFS_ADDRESS
    wait: float = 20.0
    any_machine: bool = False
    mkfs: bool = False
    chosen: bool = False  # the models were named, not just all that there are
    placed: list[tuple[Path, str]] = field(default_factory=list)  # a model, and its name or path on the board

    # ---- the board's REPL

    @contextlib.contextmanager
    def _repl(self, attempts: int = 3, soft_reset: bool = True):  # type: ignore[no-untyped-def]
        self.port = ports.find(self.port)
        transport = ports.open_transport(self.port, self.baudrate)
        try:
            board = repl.Repl(transport)
            board.enter(soft_reset=soft_reset, attempts=attempts)
            yield board
            transport.exit_raw_repl()
        except (TransportError, OSError) as error:
            raise ports.explain(self.port, error) from None
        except repl.ExecError as error:
            raise error.problem() from None
        finally:
            with contextlib.suppress(OSError):
                transport.close()

    def _check_machine(self, told: Told) -> None:
        if plain(self.machine) not in plain(told.machine) and not self.any_machine:
            raise Problem(
                f"this is another board: it says it is a {told.machine!r}, and the firmware is for {self.board}: "
                "choose the "
                "board with --port, or the firmware with BOARD=; --any-machine if only the firmware on it is another "
                "one's"
            )

    # ---- 1. firmware

    def _flash_is_right(self, board: repl.Repl) -> bool:
        import hashlib

        for image in self.images:
            content = image.read()
            for at in range(0, len(content), PIECE):
                part = content[at : at + PIECE]
                expression = f"uctypes.bytearray_at({image.address + at}, {len(part)})"
                if board.hash_of_memory(expression) != hashlib.sha256(part).hexdigest():
                    return False
        return True

    def _firmware_is_there(self) -> bool:
        """Asks the board, if there is one that answers."""
        try:
            with self._repl(attempts=1) as board:
                self._check_machine(ask(board))
                return self._flash_is_right(board)
        except repl.NoAnswer:
            return False

    def firmware(self) -> str:
        """Flashes if need be; returns what was done."""
        for image in self.images:
            image.read()  # complain before anything is changed
        port_there = True
        try:
            self.port = ports.find(self.port)
        except ports.NoBoard:
            port_there = False  # it may be in DFU mode
        if port_there and self._firmware_is_there():
            return "is on the board already"
        sizes = ", ".join(
            f"{image.path.name} ({len(image.read()):,} bytes at {image.address:#010x})" for image in self.images
        )
        print(f"   flashing {sizes} ...", flush=True)
        method = flash.write(self.images, self.method, self.family)
        self._wait_for_board()
        with self._repl() as board:
            self._check_machine(ask(board))
            if not self._flash_is_right(board):
                raise Problem(
                    "the flash does not hold what was written: run this again; if that does not help, try another "
                    "--method"
                )
        return f"flashed by {method}, and verified on the board"

    def _wait_for_board(self) -> None:
        limit = time.monotonic() + self.wait
        while True:
            try:
                with self._repl(attempts=1):
                    return
            except (repl.NoAnswer, ports.NoBoard) as reason:
                if time.monotonic() > limit:
                    raise Problem(
                        f"after flashing the board does not answer within {self.wait:.0f} seconds: press its reset "
                        "button, remove a "
                        f"jumper from BOOT0, and run this again ({reason})"
                    ) from None
                time.sleep(0.5)

    # ---- 2. models

    def romfs_image(self) -> bytes:
        """The ROMFS image with the models; raises Problem for a file that is no model."""
        tree: dict[str, bytes | make_romfs.Tree] = {}
        for path in self.models:
            try:
                blob.load(path)
            except OSError as error:
                raise Problem(f"the model {path} can't be read: {reason(error)}") from None
            except blob.BlobError as error:
                raise Problem(str(error)) from None
            tree[path.name] = path.read_bytes()
        return make_romfs.build(tree)

    def put_models(self) -> str:
        """Writes the models if need be; returns what was done."""
        import hashlib

        image = self.romfs_image()
        with self._repl() as board:
            told = ask(board)
            if told.rnnpool is None:
                raise Problem(
                    "the firmware on the board has no module rnnpool: build it with `make BOARD=... firmware` and "
                    "deploy that"
                )
            if told.romfs is None:
                return self._without_romfs(board, told.builtin)
            if len(image) > told.romfs:
                raise Problem(
                    f"the models take {len(image):,} bytes, the board's ROMFS has {told.romfs:,}: choose fewer with "
                    "--models"
                )
            wanted = hashlib.sha256(image).hexdigest()
            partition = f"memoryview(vfs.rom_ioctl(2, 0))[:{len(image)}]"
            self.placed = [(path, f"/rom/{path.name}") for path in self.models]
            if board.hash_of_memory(partition) == wanted:
                return f"are on the board already, {len(image):,} bytes of ROMFS"
        if self.romfs == "programmer":
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "romfs.img"
                file.write_bytes(image)
                flash.write([flash.Image(self.romfs_at, file)], self.method, self.family)
            self._wait_for_board()
        else:
            self._romfs_by_mpremote(image)
        with self._repl() as board:
            if board.hash_of_memory(partition) != wanted:
                raise Problem("ROMFS does not hold what was written: run this again")
        return f"written to ROMFS, {len(image):,} bytes, and verified on the board"

    def _romfs_by_mpremote(self, image: bytes) -> None:
        assert self.port is not None
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "romfs.img"
            file.write_bytes(image)
            command = [
                sys.executable,
                "-m",
                "mpremote",
                "connect",
                self.port,
                "resume",
                "romfs",
                "-p",
                "0",
                "deploy",
                str(file),
            ]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
            )
            assert process.stdout is not None
            said = bytearray()
            with process, tqdm(total=len(image), unit="B", unit_scale=True, desc="   ROMFS", leave=False) as bar:
                while part := process.stdout.read(256):
                    said += part
                    offsets = re.findall(rb"Writing at offset (\d+)", said)
                    if offsets:
                        bar.update(int(offsets[-1]) - bar.n)
        if process.returncode != 0 or b"deployed" not in said:
            lines = [line for line in re.split(r"[\r\n]+", said.decode(errors="replace")) if line.strip()]
            raise Problem(
                f"mpremote could not write ROMFS: {lines[-1] if lines else 'it said nothing'}; run this again"
            )

    def _without_romfs(self, board: repl.Repl, builtin: Sequence[str]) -> str:
        """Models in the firmware are used from there; others become files, if they were asked for or there is none."""
        linked = [path for path in self.models if path.stem in builtin]
        others = [path for path in self.models if path not in linked]
        self.placed = [(path, path.stem) for path in linked]
        done = [f"linked into the firmware: {', '.join(path.stem for path in linked)}"] if linked else []
        if others and linked and not self.chosen:
            done.append(f"left out: {', '.join(path.stem for path in others)} (MODELS= says what is linked in)")
        elif others:
            changed = 0
            for path in others:
                content = path.read_bytes()
                with tqdm(total=len(content), unit="B", unit_scale=True, desc=f"   {path.name}", leave=False) as bar:
                    changed += board.put(content, path.name, bar.update)
            self.placed += [(path, path.name) for path in others]
            names = ", ".join(path.name for path in others)
            done.append(f"files ({changed} new), copied to RAM when they are used, since there is no ROMFS: {names}")
        return "; ".join(done)

    # ---- 3. examples

    def examples(self) -> str:
        """Copies the examples if need be; returns what was done."""
        if self.mkfs:
            with self._repl() as board:
                make_file_system(board)
        with self._repl() as board:
            told = ask(board)
            if not any(free for free, _ in told.files.values()):
                return "not copied: the board has no file system that can be written"
            note = check_file_system(told)
            changed = [path.name for path in EXAMPLES if board.put(path.read_bytes(), path.name)]
        done = f"copied and verified: {', '.join(changed)}" if changed else "are on the board already"
        return ("in a new file system, " if self.mkfs else "") + done + note

    # ---- 4. selftest

    def selftest(self) -> str:
        """Runs each model's golden check on the board; returns what was found."""
        results = []
        for _, path in self.placed:
            with self._repl() as board:  # each with an empty heap
                code = f"""
import time, rnnpool
model = rnnpool.Model({path!r})
start = time.ticks_ms()
print((model.selftest(), time.ticks_diff(time.ticks_ms(), start), model.ram, model.in_place))
"""
                passed, milliseconds, ram, in_place = board.eval_block(code, timeout=60)
            if not passed:
                raise Problem(
                    f"{path} computes something else on this board than it should: build the firmware again from a "
                    f"clean checkout; if it stays, please report it with the output of `{command()} info`"
                )
            place = "in place" if in_place else "copied to RAM"
            results.append(f"{path} passed in {milliseconds} ms ({ram:,} bytes of RAM, {place})")
        return "; ".join(results) if results else "nothing to test: no models"

    # ---- 5. boxes of a picture

    def test_frame(self) -> str:
        """Streams a picture; returns its boxes, which equal those of the integer reference."""
        detectors = [(model, path) for model, path in self.placed if is_detector(model)]
        if not detectors:
            return "no detector among the models"
        model, path = detectors[0]
        frame = picture_frame()
        assert self.port is not None
        with Streamer(self.port, path, self.baudrate, say=lambda text: print(f"   {text}")) as streamer:
            result = streamer.detect(frame)
        found = [(box.x, box.y, box.w, box.h, round(box.score * 32768)) for box in result.boxes]
        return f"{compare(found, model, frame)}, {result.microseconds / 1000:.0f} ms"


def check_file_system(told: Told) -> str:
    """Raises Problem if the file system in flash is larger than this firmware's storage: another firmware made it.

    Returns a note if it is much smaller, else "".
    """
    if told.storage is None or "/flash" not in told.files:
        return ""
    size = told.files["/flash"][1]
    if size > told.storage:
        raise Problem(
            f"the board's file system was made by a firmware with more room for it: it claims {size:,} bytes, and this "
            f"firmware has {told.storage:,} there, so files would be lost: make it anew with `make BOARD=... MKFS=1 "
            "deploy` (or --mkfs), which erases its files (with the former firmware they can be saved)"
        )
    if size < told.storage // 2:
        return f" (the file system has {size:,} of {told.storage:,} bytes: MKFS=1 makes it anew, and erases its files)"
    return ""


def make_file_system(board: repl.Repl) -> None:
    """Makes the file system in flash anew, empty; the next reset mounts it. Raises Problem."""
    try:
        board.exec(MAKE_FILE_SYSTEM, timeout=60)
    except repl.ExecError as error:
        raise Problem(
            f"a file system can't be made on this board: {error.last_line()} (leave --mkfs and MKFS= away)"
        ) from None


def picture_frame() -> Frame:
    """The portrait that matplotlib ships, small and gray."""
    picture = load(Path(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))))
    return encode(shrink(picture, *TEST_FRAME), FORMATS["gray8"])


def compare(found: Sequence[tuple[int, ...]], model: Path, frame: Frame) -> str:
    """Says what was found (score in 1/32768) if it equals the reference's boxes; raises Problem if not."""
    format = reference.Format.GRAY8
    right = reference.detect(blob.load(model), frame.pixels, frame.width, frame.height, format, max_detections=23)
    wanted = [tuple(detection[:5]) for detection in right]
    boxes = ", ".join(f"({x}, {y}, {w}, {h}, {score / 32768:.2f})" for x, y, w, h, score in found) or "none"
    if list(found) != wanted:
        raise Problem(
            f"the board finds {boxes}, the reference {wanted}: build the firmware and the models from one checkout"
        )
    return f"{boxes} on a portrait of {frame.width}x{frame.height}, equal to the reference"


def is_detector(path: Path) -> bool:
    """Whether a model gives boxes."""
    return blob.load(path).task == blob.Task.DETECTION


def run(deployment: Deployment, flash_firmware: bool = True) -> int:
    """All steps; returns the exit status."""
    steps = [
        ("models", deployment.put_models),
        ("examples", deployment.examples),
        ("selftest", deployment.selftest),
        ("faces", deployment.test_frame),
    ]
    if flash_firmware:
        steps.insert(0, ("firmware", deployment.firmware))
    for number, (name, step) in enumerate(steps, 1):
        start = time.monotonic()
        done = step()
        print(f"{number}/{len(steps)} {name:9} {done} ({time.monotonic() - start:.1f} s)", flush=True)
    print(f"{deployment.board} is ready: `{command()} monitor --port {deployment.port}`, then")
    print("    >>> import rnnpool\n    >>> rnnpool.detect_faces(frame)")
    return 0


def from_arguments(arguments: argparse.Namespace) -> Deployment:
    """What the command line asks for; raises Problem."""
    images = list(arguments.image)
    if not images and not arguments.no_flash:
        if arguments.build is None:
            raise Problem("which firmware? --build FOLDER (where make left it), --image ADDRESS=FILE, or --no-flash")
        images = flash.images_of(arguments.build)
    models = arguments.models if arguments.models is not None else sorted((ROOT / "models").glob("*.rnnp"))
    return Deployment(
        board=arguments.board,
        mkfs=arguments.mkfs,
        chosen=arguments.models is not None,
        machine=arguments.machine or arguments.board,
        images=images,
        models=list(models),
        port=arguments.port,
        baudrate=arguments.baudrate,
        method=arguments.method,
        family=arguments.family,
        romfs=arguments.romfs,
        romfs_at=arguments.romfs_at,
        wait=arguments.wait,
        any_machine=arguments.any_machine,
    )
