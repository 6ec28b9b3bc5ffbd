"""The blob's writer and reader, and the vectors that the C parser shares."""

import networks
import numpy as np
import pytest
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training import blob
from rnnpool_training.blob import BlobError, Status, Task

VECTORS = vectors.vectors()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_reader_judges_vector(vector: vectors.Vector) -> None:
    if vector.status == Status.OK:
        blob.read(vector.blob)
        return
    with pytest.raises(BlobError) as caught:
        blob.read(vector.blob)
    assert (caught.value.status, caught.value.op) == (vector.status, vector.op), caught.value


def test_vectors_reach_every_kind_of_error() -> None:
    assert {v.status for v in VECTORS} == set(Status) - {Status.ALIGNMENT}  # the address is the C parser's alone


def test_vectors_are_the_same_at_each_call() -> None:
    assert vectors.vectors() == VECTORS


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(Task))
def test_random_network_survives_the_way_there_and_back(seed: int, task: Task) -> None:
    model = networks.random_network(np.random.default_rng(seed), task)
    data = blob.write(model)
    again = blob.read(data)
    assert blob.write(again) == data
    assert again.shapes() == model.shapes()
    for op, same in zip(model.ops, again.ops, strict=True):
        assert type(op) is type(same)
        for name, value in vars(op).items():
            np.testing.assert_array_equal(getattr(same, name), value, name)
            assert getattr(value, "dtype", None) == getattr(getattr(same, name), "dtype", None)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused_or_gives_another_valid_blob(data: st.DataObject) -> None:
    # With the checksum made right, so that the other checks are what is tested.
    original = VECTORS[0].blob
    offset = data.draw(st.integers(16, len(original) - 1))
    changed = bytearray(original)
    changed[offset] ^= data.draw(st.integers(1, 255))
    try:
        model = blob.read(vectors.seal(bytes(changed)))
    except BlobError as error:
        assert error.status in (Status.FORMAT, Status.UNSUPPORTED)
        return
    assert blob.read(blob.write(model)).shapes() == model.shapes()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BlobError):
        blob.read(data)


def test_unsealed_change_is_a_checksum_error() -> None:
    original = VECTORS[0].blob
    for offset in range(16, len(original), 97):
        changed = bytearray(original)
        changed[offset] ^= 1
        with pytest.raises(BlobError, match="crc32") as caught:
            blob.read(changed)
        assert caught.value.status == Status.CHECKSUM


def test_error_names_field_operator_and_both_numbers() -> None:
    model = networks.tiny(1)
    model.ops[1].stride = 40  # type: ignore[union-attr]
    with pytest.raises(BlobError, match=r"operator 1: stride: expected 1\.\.32, given 40"):
        blob.write(model)


def test_writer_refuses_wrong_dtype_and_shape() -> None:
    model = networks.tiny(1)
    model.ops[0].bias = model.ops[0].bias.astype(np.int64)  # type: ignore[union-attr]
    with pytest.raises(BlobError, match=r"operator 0: bias \(dtype\): expected int32, given int64"):
        blob.write(model)
    model = networks.tiny(1)
    model.ops[0].bias = model.ops[0].bias[:2]  # type: ignore[union-attr]
    with pytest.raises(BlobError, match=r"operator 0: bias \(shape\): expected \(4,\), given \(2,\)"):
        blob.write(model)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 32),
        ("name", "a\0b"),
        ("labels", []),
        ("labels", ["a\0b"]),
        ("labels", ["x" * 32768]),
        ("height", 0),
        ("width", 70000),
        ("channels", 2),
        ("threshold", -1),
        ("max_candidates", 0),
        ("golden_seed", 2**32),
        ("ops", []),
    ],
)
def test_writer_refuses_header(field: str, value: object) -> None:
    model = networks.tiny(1)
    setattr(model, field, value)
    with pytest.raises(BlobError):
        blob.write(model)


def test_file_there_and_back(tmp_path) -> None:
    model = networks.segmented(1)
    path = tmp_path / "model.rnnp"
    assert blob.save(model, path) == path.stat().st_size
    assert blob.write(blob.load(path)) == path.read_bytes()
    with pytest.raises(OSError):
        blob.load(tmp_path / "none.rnnp")


def test_sections_are_aligned_and_size_is_a_multiple_of_16() -> None:
    data = blob.write(networks.segmented(1))
    assert len(data) % 16 == 0
    header = np.frombuffer(data, blob.layout.HEADER, 1)[0]
    records = np.frombuffer(data, blob.layout.OPERATOR, int(header["num_ops"]), int(header["ops_offset"]))
    assert not (records["params_offset"] % 16).any()
    assert header["labels_offset"] % 16 == header["ops_offset"] % 16 == 0
