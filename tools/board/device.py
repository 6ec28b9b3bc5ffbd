"""What a board says of itself, asked through its REPL."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tools.board.problem import Problem
from tools.board.repl import ExecError, Repl

# Runs on the board; prints one JSON object. A model's memory is what rnnpool.required_ram() says; the path of one in
# the firmware is its name. storage: bytes that the firmware has for a file system in flash (ports/stm32).
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
    "builtin": [],
    "detect_faces": False,
    "romfs": None,
    "storage": None,
    "rnnpool": None,
}
try:
    import vfs
    told["romfs"] = len(vfs.rom_ioctl(2, 0))
except (ImportError, AttributeError, TypeError, OSError):
    pass
try:
    import pyb
    storage = pyb.Flash(start=0)
    told["storage"] = storage.ioctl(4, 0) * storage.ioctl(5, 0)
except (ImportError, AttributeError):
    pass
try:
    import rnnpool
    told["rnnpool"] = rnnpool.__version__
    told["builtin"] = getattr(rnnpool, "builtin_models", tuple)()
except ImportError:
    rnnpool = None
def need(model):
    if rnnpool:
        try:
            model["ram"] = rnnpool.required_ram(model["path"])
        except Exception as error:
            model["error"] = "%s: %s" % (type(error).__name__, error)
    return model
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
            told["models"].append(need({"path": path, "size": os.stat(path)[6], "ram": None, "error": None}))
for name in told["builtin"]:
    told["models"].append(need({"path": name, "size": None, "ram": None, "error": None}))
look("/", 3)
told["detect_faces"] = need({"path": "face", "ram": None})["ram"] is not None
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


@dataclass
class Told:
    """The board's answers; sizes in bytes.

    builtin     names of the models in the firmware
    files       free and all bytes of each file system
    storage     what the firmware has for the file system in flash, None if it does not tell
    """

    machine: str
    micropython: str
    free: int
    heap: int
    rnnpool: str | None
    romfs: int | None
    models: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, list[int]] = field(default_factory=dict)
    detect_faces: bool = False
    builtin: list[str] = field(default_factory=list)
    storage: int | None = None


def ask(board: Repl) -> Told:
    """Asks a board whose raw REPL is entered."""
    try:
        told = Told(**json.loads(board.exec(QUESTIONS, timeout=30).strip().splitlines()[-1]))
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
        where = "in the firmware" if model["size"] is None else f"{model['size']:,} bytes"
        lines.append(f"Model:     {model['path']}, {where}, {verdict}")
    if told.rnnpool:
        lines.append(
            f"Faces:     rnnpool.detect_faces(frame) {'works' if told.detect_faces else 'has no model: deploy one'}"
        )
    return lines
