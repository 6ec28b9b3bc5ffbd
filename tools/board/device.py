"""What a board says of itself, asked through its REPL."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tools.board.problem import Problem
from tools.board.repl import ExecError, Repl

# Runs on the board; prints one JSON object. A model's memory is what rnnpool.required_ram() says.
QUESTIONS = """
import gc, json, os, sys
gc.collect()
told = {
    "machine": getattr(sys.implementation, "_machine", sys.platform),
    "micropython": ".".join(str(part) for part in sys.implementation[1][:3]),
    "free": gc.mem_free(),
    "heap": gc.mem_free() + gc.mem_alloc(),
    "files": {},
    "models": [],
    "romfs": None,
    "rnnpool": None,
}
try:
    import vfs
    told["romfs"] = len(vfs.rom_ioctl(2, 0))
except (ImportError, AttributeError, TypeError, OSError):
    pass
try:
    import rnnpool
    told["rnnpool"] = rnnpool.__version__
except ImportError:
    rnnpool = None
def look(folder, depth):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = (folder if folder.endswith("/") else folder + "/") + entry[0]
        if entry[1] & 0x4000:
            if depth:
                look(path, depth - 1)
        elif path.endswith(".rnnp"):
            model = {"path": path, "size": os.stat(path)[6], "ram": None, "error": None}
            if rnnpool:
                try:
                    model["ram"] = rnnpool.required_ram(path)
                except Exception as error:
                    model["error"] = "%s: %s" % (type(error).__name__, error)
            told["models"].append(model)
look("/", 3)
try:
    mounts = [entry[0] for entry in os.ilistdir("/") if entry[1] & 0x4000]
    for mount in mounts:
        try:
            stat = os.statvfs("/" + mount)
            told["files"]["/" + mount] = (stat[0] * stat[3], stat[0] * stat[2])
        except OSError:
            pass
except OSError:
    pass
print(json.dumps(told))
"""

# Whether a face model is in the firmware itself: the first call makes it, so its memory must be there.
BUILT_IN = """
import rnnpool
try:
    rnnpool.detect_faces(b"")
except ValueError:
    print("yes")
except MemoryError:
    print("yes")
except OSError:
    print("no")
"""


@dataclass
class Told:
    """The board's answers; sizes in bytes. files: free and all bytes of each file system."""

    machine: str
    micropython: str
    free: int
    heap: int
    rnnpool: str | None
    romfs: int | None
    models: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, list[int]] = field(default_factory=dict)
    detect_faces: bool = False


def ask(board: Repl) -> Told:
    """Asks a board whose raw REPL is entered."""
    try:
        told = Told(**json.loads(board.exec(QUESTIONS, timeout=30).strip().splitlines()[-1]))
        if told.rnnpool is not None:
            told.detect_faces = board.exec(BUILT_IN).strip() == "yes"
    except (ExecError, ValueError, TypeError, IndexError) as error:
        raise Problem(
            f"the board answers, but not like MicroPython 1.25 or later: {str(error).strip()[-200:]}"
        ) from None
    return told


def report(told: Told, port: str) -> list[str]:
    """Lines for people."""
    lines = [
        f"Board:     {told.machine} at {port}",
        f"Firmware:  MicroPython {told.micropython}, "
        + (f"rnnpool {told.rnnpool}" if told.rnnpool else "without rnnpool: flash ours with `make BOARD=... deploy`"),
        f"Heap:      {told.free:,} of {told.heap:,} bytes free",
    ]
    lines += [
        f"Files:     {mount}: {free:,} of {size:,} bytes free" for mount, (free, size) in sorted(told.files.items())
    ]
    if told.romfs is not None:
        lines.append(f"ROMFS:     a partition of {told.romfs:,} bytes")
    for model in told.models:
        if model["error"]:
            verdict = f"can't be used: {model['error']}"
        elif model["ram"] is None:
            verdict = "not checked: there is no rnnpool"
        else:
            room = "fits" if model["ram"] <= told.free else f"does NOT fit {told.free:,}"
            verdict = f"needs {model['ram']:,} bytes of RAM, {room}"
        lines.append(f"Model:     {model['path']}, {model['size']:,} bytes, {verdict}")
    if told.rnnpool:
        lines.append(
            f"Faces:     rnnpool.detect_faces(frame) {'works' if told.detect_faces else 'has no model: deploy one'}"
        )
    return lines
