"""`import rnnpool` in CPython: the tests of the board's API (tests/micropython) on it, and what only CPython has."""

import base64
import bz2
import copy
import gc
import io
import lzma
import mmap
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import weakref
from array import array
from pathlib import Path

import networks
import numpy as np
import pytest
import rnnpool
from load_tool import ROOT
from PIL import Image

from rnnpool_training import blob, reference
from rnnpool_training.engine import Engine
from rnnpool_training.reference import Format

TESTS = ROOT / "tests" / "micropython"
SHIMS = ROOT / "tests" / "cpython"
ELSEWHERE = {
    "test_deferred": "functions are scheduled by MicroPython",
    "test_grown_memory": "a bytearray with a memoryview does not grow",
    "test_memory": "fills MicroPython's heap",
    "test_recursion": "the C stack is CPython's affair",
    "test_reentrant": "functions are scheduled by MicroPython; below there are signals",
}
NAMES = sorted(path.stem for path in TESTS.glob("test_*.py") if path.stem not in ELSEWHERE)
# Classes that CPython has beside those of MicroPython.
SUBCLASSES = re.compile(r"\b(FileNotFoundError|IsADirectoryError|PermissionError)\b")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = ROOT / "build" / "test-inputs"
    if not (made / ".stamp").exists():
        made = tmp_path_factory.mktemp("inputs")
        subprocess.run([sys.executable, TESTS / "prepare.py", made], check=True)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_of_the_board(name: str, inputs: Path) -> None:
    path = os.pathsep.join([str(SHIMS), str(ROOT / "training")])
    environment = os.environ | {"RNNPOOL_TEST_INPUTS": str(inputs), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, TESTS / f"{name}.py"], capture_output=True, text=True, env=environment, timeout=600
    )
    assert SUBCLASSES.sub("OSError", done.stdout) == (TESTS / f"{name}.py.exp").read_text(), done.stderr


def tiny() -> tuple[bytes, np.ndarray]:
    return blob.write(networks.tiny(1)), np.random.default_rng(1).integers(0, 256, (24, 32), np.uint8)


def face() -> tuple[rnnpool.Model, bytes]:
    return rnnpool.Model("face"), np.random.default_rng(2).integers(0, 256, 320 * 240, np.uint8).tobytes()


def test_it_computes_what_the_reference_computes() -> None:
    data, frame = tiny()
    model = rnnpool.Model(data)
    for threshold in (None, 0.0, 0.25):
        q15 = None if threshold is None else round(threshold * 32768)
        want = reference.detect(blob.read(data), frame.tobytes(), 32, 24, Format.GRAY8, q15, None, 64)
        found = model.detect(frame, threshold=threshold)
        assert found == [(d.x, d.y, d.w, d.h, d.score / 32768) for d in want]
    assert found
    for name in rnnpool.builtin_models():
        built_in = rnnpool.Model(name)
        assert built_in.selftest()
        assert built_in.size == (ROOT / "models" / f"{name}.rnnp").stat().st_size


def test_sentences_are_those_of_the_board() -> None:
    model, frame = face()
    cases = {
        "320x240 needs 76800, 153600 or 230400 bytes by format, has 3": lambda: model.detect(b"abc"),
        "frame is JPEG data, not pixels: decode it first": lambda: model.detect(b"\xff\xd8\xff" + bytes(9)),
        "frame looks like PNG data: decode it, or say format=GRAY8": lambda: model.detect(b"\x89PNG" + bytes(76796)),
        "pixels must be bytes, not str": lambda: model.detect("photo"),
        "threshold must be 0..1": lambda: model.detect(frame, threshold=2),
        "'frame' argument required": lambda: model.detect(),
        "extra keyword arguments given": lambda: model.detect(frame, thresh=0.5),
        "rows of 320 bytes each wanted, not 7 bytes": lambda: (model.begin(), model.feed(bytes(7))),
        "no image: begin() first": lambda: rnnpool.Model("face").result(),
        "this is PNG data, not an .rnnp model": lambda: rnnpool.Model(b"\x89PNG" + bytes(60)),
        "needs 64200 bytes, arena has 10": lambda: rnnpool.Model("face", arena=bytearray(1007)),
        "no model 'dog' in this firmware, and no dog.rnnp in /rom, /lib or /flash/lib": lambda: rnnpool.Model("dog"),
        "'Model' object has no attribute 'output_shape'": lambda: model.output_shape,
        "can't convert str to int": lambda: model.detect(frame, width="320"),
        "object with buffer protocol required": lambda: model.detect(5),
        "Model.__init__() was not called": lambda: rnnpool.Model.__new__(rnnpool.Model).ram,
        "this Model is made already": lambda: model.__init__("face"),
        "memory with gaps in it: numpy.ascontiguousarray() makes a copy without": lambda: model.detect(
            np.zeros((240, 640), np.uint8)[:, ::2]
        ),
        "pixels must be bytes or 16-bit words, not items 'd'": lambda: model.detect(np.zeros((240, 320))),
        "pixels must be bytes or 16-bit words, not items '?'": lambda: model.detect(np.zeros((240, 320), ">u2")),
        "array of 320 rows, height is 240: (height, width, ...) wanted": lambda: model.detect(
            np.zeros((320, 240), np.uint8)
        ),
        "array of 3 rows, height is 240": lambda: model.detect(
            np.zeros((3, 240, 320), np.uint8), format=rnnpool.RGB888
        ),
        "array of 180 rows, height is 240": lambda: model.detect(np.zeros((180, 640), np.uint8), format=rnnpool.YUV420),
        "array of 160 columns, width is 320": lambda: model.detect(np.zeros((240, 160, 2), np.uint8)),
        "array of 320 columns, width is 960": lambda: model.detect(
            np.zeros((240, 320, 3), np.uint8), width=960, format=rnnpool.GRAY8
        ),
        "array of 8 rows, its bytes are 24 in this format: format=, width=?": lambda: (
            model.begin(),
            model.feed(np.zeros((8, 320, 3), np.uint8)),
        ),
        "cannot pickle": lambda: copy.copy(model),
    }
    for sentence, call in cases.items():
        with pytest.raises(Exception) as caught:
            call()
        assert sentence in str(caught.value)
        model.detect(frame)


def as_picture(pixels: bytes) -> np.ndarray:
    return np.frombuffer(pixels, np.uint8).reshape(24, 32)


class BytesPath:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> bytes:
        return os.fsencode(self.path)


@pytest.mark.parametrize("name", ["tiny.rnnp", "face", os.fsdecode(b"\xff.rnnp")])
def test_a_path_is_one_of_any_kind(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, frame = tiny()
    (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)  # where `face`, as a Path, is the file, not the built-in model
    for path in (tmp_path / name, Path(name), BytesPath(Path(name)), str(tmp_path / name)):
        assert rnnpool.Model(path).detect(frame) == rnnpool.Model(data).detect(frame)
        assert rnnpool.required_ram(path) == rnnpool.required_ram(data)
    (tmp_path / name).unlink()
    for path in (Path(name), f"./{name}"):
        with pytest.raises(FileNotFoundError, match="no file"):
            rnnpool.Model(path)
    with pytest.raises(ValueError, match="null character"):
        rnnpool.Model(Path("a\0b"))
    with pytest.raises(TypeError, match="buffer"):
        rnnpool.Model(5)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda b: array("B", b), as_picture])
def test_any_buffer_is_a_frame(make) -> None:
    data, frame = tiny()
    assert rnnpool.Model(data).detect(make(frame.tobytes())) == rnnpool.Model(data).detect(frame)


def files_of_other_kinds() -> dict[str, bytes]:
    """Files that are no pixels, by what they are called."""
    image = Image.fromarray((np.arange(120 * 160 * 3) % 251).astype(np.uint8).reshape(120, 160, 3))
    made = {}
    for suffix in ("bmp", "dds", "eps", "pcx", "sgi", "tga"):
        image.save(file := io.BytesIO(), {"tga": "TGA"}.get(suffix, suffix))
        made[suffix.upper()] = file.getvalue()
    with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w") as archive:
        archive.addfile(tarfile.TarInfo("photo.jpg"))
    return made | {
        "bzip2": bz2.compress(bytes(9)),
        "xz": lzma.compress(bytes(9)),
        "tar": packed.getvalue(),
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg">',
        "XML": b'\xef\xbb\xbf<?xml version="1.0"?>',
        "HTML": b"<!DOCTYPE html><title>404</title>" + bytes(99),
        "HTTP": b"HTTP/1.1 200 OK\r\n",
        "base64 (JPEG)": base64.b64encode(b"\xff\xd8\xff\xe0"),
        "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + bytes(99),
        ".rnnp model": (ROOT / "models" / "face.rnnp").read_bytes()[:1000],
    }


@pytest.mark.parametrize(("kind", "data"), files_of_other_kinds().items())
def test_files_of_other_kinds_are_no_frames(kind: str, data: bytes) -> None:
    model, _ = face()
    # As long as a frame: by chance, or since so much was read of it.
    whole = bytes(76800 - len(data)) + data if kind == "TGA" else (data + bytes(76800))[:76800]
    with pytest.raises(ValueError, match=f"frame looks like {re.escape(kind)}.* data: decode it, or say format=GRAY8"):
        model.detect(whole)
    model.detect(whole, format=rnnpool.GRAY8)
    with pytest.raises(ValueError, match=f"frame is {re.escape(kind)}.* data, not pixels"):
        model.detect(whole + bytes(1) if kind != "TGA" else bytes(1) + whole)
    if kind != ".rnnp model":
        with pytest.raises(ValueError, match=f"this is {re.escape(kind)}.* data, not an .rnnp model"):
            rnnpool.Model(data if len(data) >= 128 else data + bytes(128))


def test_pixels_may_begin_nearly_as_a_file() -> None:
    model, _ = face()
    for start in (b"BM", b"BZh91", b"%!P", b"\x0a\x05\x01\x08", b"\xfd7zXZ\1", b"TRUEVISION-XFILE.\0", b"RNNP\4"):
        model.detect(start + bytes(76800 - len(start)))


def test_an_array_has_the_frames_shape() -> None:
    model, _ = face()
    for shape, format in (
        ((240, 320), rnnpool.GRAY8),
        ((1, 240, 320, 1), rnnpool.GRAY8),
        ((76800,), rnnpool.GRAY8),
        ((1, 76800), rnnpool.GRAY8),
        ((240, 640), rnnpool.RGB565),
        ((240, 320, 3), rnnpool.RGB888),
        ((240, 320, 2), rnnpool.RGB565),
        ((240, 160, 4), rnnpool.YUYV),
        ((360, 320), rnnpool.YUV420),
        ((360, 320, 1), rnnpool.YUV420),
    ):
        assert model.detect(np.zeros(shape, np.uint8), format=format) == []
    for rows, given, format in (
        (8, (8, 320), rnnpool.GRAY8),
        (1, (320,), rnnpool.GRAY8),
        (1, (320, 1), rnnpool.GRAY8),
        (1, (320, 3), rnnpool.RGB888),
        (8, (1, 8, 320, 3), rnnpool.RGB888),
        (0, (0, 320, 3), rnnpool.RGB888),
        (8, (8, 160, 4), rnnpool.YUYV),
    ):
        model.begin(format=format)
        assert model.feed(np.zeros(given, np.uint8)) == 240 - rows
    # A frame of one row is no batch of one.
    assert model.detect(np.zeros((1, 640, 3), np.uint8), width=640, height=1, format=rnnpool.RGB888) == []
    assert model.detect(np.zeros((240, 384, 1), np.uint8), stride=384) == []


def test_a_mapped_file_is_used_in_place(tmp_path: Path) -> None:
    data, frame = tiny()
    (tmp_path / "tiny.rnnp").write_bytes(data)
    with (
        open(tmp_path / "tiny.rnnp", "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        model = rnnpool.Model(mapped)
        assert model.in_place
        assert model.detect(frame) == rnnpool.Model(str(tmp_path / "tiny.rnnp")).detect(frame)
        del model


def test_nothing_leaks_and_nothing_goes_too_early(tmp_path: Path) -> None:
    data, frame = tiny()
    heat, classifier = blob.write(networks.heat_map(1)), blob.write(networks.classifier(4))
    path = str(tmp_path / "tiny.rnnp")
    Path(path).write_bytes(data)

    def work() -> None:
        arena = bytearray(20000)
        for source in (data, bytearray(data), memoryview(bytearray(b"1" + data))[1:], path, Path(path)):
            for memory in (None, arena):
                model = rnnpool.Model(source, arena=memory, width=64, height=64)
                model.begin(threshold=0)
                model.feed(frame)
                boxes = model.result()
                model.detect(bytes(200 * 100), width=200, height=100, gain="auto") if memory is None else None
                repr(model), model.labels, model.layers(), model.macs, boxes
        rnnpool.Model(heat).run(bytes(36 * 28))
        rnnpool.Model(classifier).classify(bytes(48 * 40), format=rnnpool.GRAY8)
        rnnpool.detect_faces(bytes(76800))
        rnnpool.builtin_models()
        for call in (
            lambda: rnnpool.Model(bytes(100)),
            lambda: rnnpool.Model("/none.rnnp"),
            lambda: model.detect(b""),
            lambda: rnnpool.Model(b"1" + data[:100]),
            lambda: rnnpool.Model(data, arena=bytearray(8)),
        ):
            with pytest.raises((ValueError, OSError, MemoryError)):
                call()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    for _ in range(3):
        work()
    gc.collect()
    before, growth = resident(), []
    while len(growth) < 20 and min(growth, default=50) >= 50:  # caches of CPython's own grow, less each time
        blocks = sys.getallocatedblocks()
        for _ in range(50):
            work()
        gc.collect()
        growth.append(sys.getallocatedblocks() - blocks)
    assert min(growth) < 50, growth
    assert resident() - before < 4_000_000  # the models alone would be more

    # What a model is made of lives as long as it does.
    class Bytes(bytearray):
        pass

    source, arena = Bytes(data), Bytes(20000)
    alive = weakref.ref(source), weakref.ref(arena)
    model = rnnpool.Model(source, arena=arena)
    del source, arena
    gc.collect()
    assert alive[0]() is not None and alive[1]() is not None
    assert model.detect(frame) == rnnpool.Model(data).detect(frame)
    del model
    gc.collect()
    assert alive[0]() is None and alive[1]() is None


def test_a_signal_comes_during_inference() -> None:
    model, frame = face()
    want = model.detect(frame, threshold=0.01)
    said = []

    def handler(*_: object) -> None:
        try:
            model.detect(frame)
        except RuntimeError as error:
            said.append(str(error))
        said.append(len(rnnpool.Model("person").labels))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(100):
            signal.setitimer(signal.ITIMER_REAL, 0.003)
            assert model.detect(frame, threshold=0.01) == want
            if "model is in use: called during its own inference" in said:
                break
        assert "model is in use: called during its own inference" in said and 2 in said
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_memory_can_not_move_during_inference() -> None:
    model, pixels = face()
    frame, said = bytearray(pixels), []

    def handler(*_: object) -> None:
        try:
            frame.extend(b"more")
            del frame[-4:]
            said.append("grew")
        except BufferError:
            said.append("locked")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(100):
            signal.setitimer(signal.ITIMER_REAL, 0.003)
            model.detect(frame)
            if "locked" in said:
                break
        assert "locked" in said
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    frame.extend(b"more")  # and is free afterwards


def test_threads(tmp_path: Path) -> None:
    data, _ = tiny()
    (tmp_path / "tiny.rnnp").write_bytes(data)
    wrong: list[object] = []

    def work(seed: int) -> None:
        frame = np.random.default_rng(seed).integers(0, 256, (24, 32), np.uint8)
        want = Engine(data).detect(frame, 0, max_detections=64)
        for _ in range(100):
            # A file is read by Python code, in which other threads have their turn.
            found = rnnpool.Model(str(tmp_path / "tiny.rnnp")).detect(frame, threshold=0)
            if found != [(d.x, d.y, d.w, d.h, d.score / 32768) for d in want]:
                wrong.append((seed, found))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_it_comes_at_once() -> None:
    code = "import sys, rnnpool; print(sorted({'numpy', 'PIL', 'torch'} & {*sys.modules}), rnnpool.builtin_models())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] ('face', 'person')\n"
    started = time.process_time()
    rnnpool.Model("face")
    assert time.process_time() - started < 1
