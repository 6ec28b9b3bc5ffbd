"""The C parser and the Python reader say the same of every blob."""

import networks
import numpy as np
import pytest
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool_training import blob
from rnnpool_training.blob import BlobError, Status, Task, layout
from rnnpool_training.blob.writer import seal
from rnnpool_training.engine import Engine, EngineError


def python_says(data: bytes) -> tuple[Status, int]:
    try:
        blob.read(data)
    except BlobError as error:
        return error.status, error.op
    return Status.OK, -1


def c_says(data: bytes) -> tuple[Status, int]:
    try:
        Engine(data)
    except EngineError as error:
        return Status[error.status.upper()], error.op
    return Status.OK, -1


@pytest.mark.parametrize("vector", vectors.vectors(), ids=lambda v: v.name)
def test_c_parser_judges_vector(vector: vectors.Vector) -> None:
    assert c_says(vector.blob) == (vector.status, vector.op)


BASES = [blob.write(vectors.base())] + [
    blob.write(networks.random_network(np.random.default_rng(seed), task)) for seed in range(8) for task in Task
]
edge_bytes = st.one_of(st.sampled_from([0, 1, 2, 3, 4, 127, 128, 255]), st.integers(0, 255))


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(range(len(BASES))))
def test_both_agree_on_changed_bytes(data: st.DataObject, base: int) -> None:
    changed = bytearray(BASES[base])
    ops = int(np.frombuffer(changed, layout.HEADER, 1)[0]["num_ops"])
    table_end = layout.HEADER_SIZE + ops * layout.OP_SIZE
    offset = data.draw(st.one_of(st.integers(16, table_end - 1), st.integers(16, len(changed) - 1)))
    changed[offset] = data.draw(edge_bytes)
    sealed = seal(bytes(changed))
    assert c_says(sealed) == python_says(sealed)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_both_agree_on_any_length(data: st.DataObject) -> None:
    base = BASES[data.draw(st.integers(0, len(BASES) - 1))]
    cut = base[: data.draw(st.integers(0, len(base)))]
    assert c_says(cut) == python_says(cut)
