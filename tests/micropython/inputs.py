"""What the tests read, and where it is.

The files are made by prepare.py and described there. RNNPOOL_TEST_INPUTS names their folder; on a board, which has no
environment, it is a file system mounted at /data, best a ROMFS image, and this file is to be in sys.path.
"""

import json
import os

import rnnpool

FOLDER = os.getenv("RNNPOOL_TEST_INPUTS") if hasattr(os, "getenv") else "/data"
NATIVE = hasattr(rnnpool, "__file__")  # the module is a native .mpy, not in the firmware
SMALL = 16384  # bytes that any board can have in RAM


def skip(reason):
    """Ends the test as skipped. run-tests.py wants no other output; the reason is for who reads the test."""
    print("SKIP")
    raise SystemExit


def path(name):
    """Path of an input file. Skips the test if there is none."""
    if FOLDER is None:
        skip("RNNPOOL_TEST_INPUTS is not set")
    try:
        os.stat(FOLDER + "/" + name)
    except OSError:
        skip("prepare.py did not make it: " + name)
    return FOLDER + "/" + name


def read(name):
    """Content of an input file: bytes, or if it is large and mapped into memory a memoryview of it."""
    with open(path(name), "rb") as file:
        try:
            view = memoryview(file)
        except TypeError:
            return file.read()
    return view if len(view) > SMALL else bytes(view)


def cases(model):
    """The cases of a model, as prepare.py describes them."""
    with open(path(model + ".json")) as file:
        return json.load(file)


def pixels(case):
    """The frame of a case."""
    return read(case["frame"] + ".raw")


def arguments(case):
    """Keyword arguments of detect() or classify() for a case. Q15 values are exact as floats."""
    given = {name: case[name] for name in ("width", "height", "format")}
    for name in ("threshold", "iou"):
        if case.get(name) is not None:
            given[name] = case[name] / 32768
    return given


def expected(case):
    """What detect() or classify() must return for a case."""
    if "probabilities" in case:
        return tuple(value / 32768 for value in case["probabilities"])
    return [tuple(box[:4] + [box[4] / 32768] + box[5:]) for box in case["detections"]]


def names():
    """Public names of the module and of Model as typings/rnnpool.pyi has them."""
    with open(path("names.json")) as file:
        return json.load(file)
