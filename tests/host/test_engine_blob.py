"""Blobs that are cut, misaligned or corrupted: an error, or a model that runs, and never a finding of a sanitizer.

That the C parser and the Python reader say the same is tested in test_blob_parsers.py.
"""

import struct
from collections.abc import Iterator

import engine_runner
import networks
import numpy as np
import pytest
import vectors
from engine_runner import Case

from rnnpool_training import blob
from rnnpool_training.blob import BlobError, Status, layout
from rnnpool_training.blob.writer import seal
from rnnpool_training.engine import STATUS, Engine, EngineError, aligned
from rnnpool_training.engine import _Error as Error
from rnnpool_training.engine import _Model as Model
from rnnpool_training.reference import Format

VECTORS = vectors.vectors()
BASE = VECTORS[0].blob


def judge(data: bytes) -> tuple[Status, int]:
    """What the Python reader says: kind of error and operator."""
    try:
        blob.read(data)
    except BlobError as error:
        return error.status, error.op
    return Status.OK, -1


def test_status_numbers_are_shared() -> None:
    assert [s.name.lower() for s in Status] == list(STATUS[: len(Status)])


def test_every_length_is_refused_as_truncated() -> None:
    data = blob.write(networks.tiny(3))
    for length in range(len(data)):
        with pytest.raises(EngineError) as caught:
            Engine(data[:length])
        needed = 128 if length < 128 else len(data)
        assert (caught.value.status, caught.value.expected, caught.value.given) == ("truncated", needed, length)


@pytest.mark.parametrize("remainder", range(1, 8))
def test_a_misaligned_blob_is_refused(remainder: int) -> None:
    engine = Engine(BASE)
    memory = aligned(len(BASE) + 8)
    memory[remainder : remainder + len(BASE)] = np.frombuffer(BASE, np.uint8)
    error = Error()
    address = memory.ctypes.data + remainder
    assert engine.library.rnnp_model_init(Model(), address, len(BASE), error) == STATUS.index("alignment")
    assert (error.expected, error.given) == (8, remainder)


def test_bytes_after_the_blob_do_not_matter() -> None:
    assert Engine(BASE + bytes(37)).model.size == len(BASE)


def field_mutations() -> Iterator[bytes]:
    """Every field of the header and of every operator, with extreme, neighbouring and random values."""
    rng = np.random.default_rng(1)
    ops = len(blob.read(BASE).ops)
    records = [(layout.HEADER, 0), *((layout.OPERATOR, 128 + i * layout.OP_SIZE) for i in range(ops))]
    for record, start in records:
        assert record.fields is not None
        for name, (dtype, offset, *_) in record.fields.items():
            size = dtype.itemsize
            value = int.from_bytes(BASE[start + offset : start + offset + min(size, 4)], "little")
            limit = 2 ** (8 * min(size, 4))
            values = {0, 1, 2, limit - 1, limit // 2, limit // 2 - 1, value + 1, value - 1, value * 2, value + 16}
            values |= {int(v) for v in rng.integers(0, limit, 4)}
            for v in sorted(v % limit for v in values):
                changed = bytearray(BASE)
                changed[start + offset : start + offset + min(size, 4)] = v.to_bytes(min(size, 4), "little")
                yield bytes(changed) if name in ("magic", "version", "crc32") else seal(bytes(changed))


@pytest.mark.parametrize("build", ["sanitizers", "i386-sanitizers"])
def test_corrupted_fields_give_an_error_or_a_model_that_runs(build: str) -> None:
    blobs = list(field_mutations())
    blobs += [v.blob for v in VECTORS]
    blobs += [BASE[:n] for n in range(0, len(BASE), 7)]
    if build == "i386-sanitizers":
        blobs = blobs[::4]  # slower, and little of this depends on the machine
    frame = np.random.default_rng(2).integers(0, 256, 31 * 17, np.uint8).tobytes()
    cases = [Case(data, frame, 31, 17, Format.GRAY8, 0) for data in blobs]
    answers = engine_runner.run(engine_runner.build(build), cases)
    for data, answer in zip(blobs, answers, strict=True):
        status = judge(data)[0]
        assert (answer.status == 0) == (status == Status.OK), (answer, status)
    assert sum(a.status == 0 for a in answers) > 10, "some must be valid"
    assert len({a.status for a in answers}) >= 5


def test_too_large_an_arena_is_refused() -> None:
    # Maps of 2048 x 2048 x 1024 would be more than 2^31 bytes; the blob itself is small.
    net = networks.Builder(np.random.default_rng(1), 1, 1, 1)
    stem = net.conv(0, 1024, 1, 1)
    net.ops[stem - 1].materialize = True  # type: ignore[misc]
    last = stem
    for _ in range(3):
        last = net.conv(last, 1, 1, 2)
    net.head(last, 1, [(16, 16)], 8)
    model = net.model("large", max_candidates=1)
    data = blob.write(model)
    Engine(data)
    huge = bytearray(data)
    struct.pack_into("<2H", huge, 18, 2048, 2048)
    for op, (given, made) in enumerate([(2048, 2048), (2048, 1024), (1024, 512), (512, 256), (256, 256)]):
        struct.pack_into("<2H", huge, 128 + op * 64 + 12, given, given)
        struct.pack_into("<2H", huge, 128 + op * 64 + 18, made, made)
    sealed = seal(bytes(huge))
    blob.read(sealed)
    with pytest.raises(EngineError) as caught:
        Engine(sealed)
    assert (caught.value.status, caught.value.what) == ("format", "arena")
    assert caught.value.given > 2**31


def test_more_anchors_than_a_candidate_can_name_are_refused() -> None:
    net = networks.Builder(np.random.default_rng(1), 1, 1, 1)
    net.head(net.conv(0, 1, 1, 1), 1, [(16, 16)], 8)
    wide = bytearray(blob.write(net.model("wide", max_candidates=1)))
    for width, refused in ((256, False), (257, True)):
        struct.pack_into("<2H", wide, 18, 256, width)
        for op in range(2):
            struct.pack_into("<2H", wide, 128 + op * 64 + 12, 256, width)
            struct.pack_into("<2H", wide, 128 + op * 64 + 18, 256, width)
        sealed = seal(bytes(wide))
        if not refused:
            blob.read(sealed)
            Engine(sealed)
            continue
        with pytest.raises(EngineError) as caught:
            Engine(sealed)
        assert (caught.value.what, caught.value.expected, caught.value.given) == ("anchors", 65536, 256 * width)
        with pytest.raises(blob.BlobError, match="anchors"):
            blob.read(sealed)


def test_the_gap_behind_an_odd_number_of_outputs_is_0() -> None:
    model = networks.tiny(1)
    data = bytearray(blob.write(model))
    (index,) = [i for i, op in enumerate(model.ops) if op.kind == blob.Kind.DETECT_HEAD and len(op.anchors) == 1]
    outputs, kernel, _, channels = model.ops[index].weight.shape
    assert outputs % 2 == 1
    assert outputs == 5
    inputs = layout.align(kernel * kernel * channels)  # in fours of outputs, blocks of 16 inputs
    gap = vectors._array_offset(bytes(data), index, "weight") + 4 * inputs + 8 + 2 + 1  # input 3 of output 5
    assert (
        data[gap] == data[gap - 1] // 128 * 255 and data[gap - 1] != 0
    )  # the upper byte is 1 less if the lower is negative
    data[gap] = (data[gap] + 1) & 255
    broken = seal(data)
    with pytest.raises(EngineError, match=f"format error: operator {index}: weight: expected 0, given 1"):
        Engine(broken)
    with pytest.raises(BlobError):
        blob.read(broken)
