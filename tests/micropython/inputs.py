"""What the tests read, and where it is: the only file here to replace on a board without a file system.

The files are made by prepare.py and described there; RNNPOOL_TEST_INPUTS names their folder.
"""

try:
    import json
    import os

    FOLDER = os.getenv("RNNPOOL_TEST_INPUTS")
except (ImportError, AttributeError):
    FOLDER = None


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
    """Content of an input file, as an object with the buffer protocol that must not be written to."""
    with open(path(name), "rb") as file:
        return file.read()


def cases(model):
    """The cases of a model, as prepare.py describes them, with their pixels read when they are asked for."""
    with open(path("cases.json")) as file:
        chosen = [case for case in json.load(file) if case["model"] == model]
    if not chosen:
        skip("there is no such model")
    return chosen


def pixels(case):
    """The frame of a case."""
    return read(case["frame"] + ".raw")


def arguments(case):
    """Keyword arguments of detect() for a case. Q15 values are exact as floats."""
    given = {name: case[name] for name in ("width", "height", "format")}
    for name in ("threshold", "iou"):
        if case[name] is not None:
            given[name] = case[name] / 32768
    return given


def expected(case):
    """What detect() must return for a case."""
    return [(x, y, w, h, score / 32768) for x, y, w, h, score in case["detections"]]


def names():
    """Public names of the module and of Model as typings/rnnpool.pyi has them."""
    with open(path("names.json")) as file:
        return json.load(file)
