"""From bytes to a Model, with every check of mp_module/SPEC.md. The bytes are untrusted."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from . import layout
from .check import check_fields, check_graph, check_header, check_operator, check_section, fail, own_fields, reads
from .error import BlobError, Status
from .kinds import Kind, Task
from .model import Model
from .operators import OPERATORS, Operator


def load(path: str | Path) -> Model:
    """The model in a file. BlobError with the file's name, or OSError if the file can't be read."""
    data = Path(path).read_bytes()
    try:
        return read(data)
    except BlobError as error:
        hint = " (it looks like a PyTorch checkpoint)" if data[:4] == b"PK\3\4" else ""
        error.args = (f"{path} is no .rnnp blob that can be used{hint}: {error}",)
        raise


def read(blob: bytes | bytearray | memoryview) -> Model:
    """The model in a blob. Bytes after the blob's total_size are ignored. BlobError names what is wrong."""
    data = bytes(blob)
    if len(data) < layout.HEADER_SIZE:
        raise BlobError(Status.TRUNCATED, "header", f"{layout.HEADER_SIZE} bytes", f"{len(data)} bytes")
    header = layout.fields(np.frombuffer(data, layout.HEADER, 1)[0])
    check_header(header, len(data))
    total = header["total_size"]
    data = data[:total]
    crc = zlib.crc32(data[layout.CRC_START :])
    if crc != header["crc32"]:
        raise BlobError(Status.CHECKSUM, "crc32", f"0x{header['crc32']:08x}", f"0x{crc:08x}")

    check_fields(header)
    num_ops = header["num_ops"]
    check_section("ops_offset", header["ops_offset"], num_ops * layout.OP_SIZE, total)
    name = _name(header["name"])
    labels = _labels(data, header)
    records = [layout.fields(r) for r in np.frombuffer(data, layout.OPERATOR, num_ops, header["ops_offset"])]
    ops: list[Operator] = []
    for i in range(num_ops):
        records[i] = own_fields(records[i], i)
        check_operator(header, records, i)
        arrays = _arrays(data, records[i], i)
        OPERATORS[Kind(records[i]["kind"])].check_arrays(records[i], arrays, i)
        ops.append(_operator(records[i], arrays))
    check_graph(header, records)
    return Model(
        task=Task(header["task"]),
        name=name,
        labels=labels,
        height=header["height"],
        width=header["width"],
        channels=header["channels"],
        ops=ops,
        threshold=header["threshold"],
        iou=header["iou"],
        max_candidates=header["max_candidates"],
        result_scale=float(np.uint32(header["result_scale"]).view(np.float32)),
        numbers=header["numbers"] != 0,
        golden_seed=header["golden_seed"],
        golden_crc=header["golden_crc"],
        map_channels=0 if header["channels"] else records[0]["in_channels"],
        input_zero_point=records[0]["in_zero_point"],
    )


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BlobError(Status.FORMAT, what, "UTF-8", repr(raw)) from error


def _name(raw: bytes) -> str:
    end = raw.find(b"\0")
    if end < 1 or any(raw[end:]):
        fail("name", "1..31 bytes, then NULs", repr(raw))
    return _text(raw[:end], "name")


def _labels(data: bytes, header: dict[str, Any]) -> list[str]:
    offset, size, count = (header[n] for n in ("labels_offset", "labels_size", "num_labels"))
    check_section("labels_offset", offset, size, len(data))
    raw = data[offset : offset + size]
    if raw[-1] != 0:
        fail("labels", "a NUL at the end", raw[-1])
    labels = raw[:-1].split(b"\0")
    if len(labels) != count:
        fail("num_labels", len(labels), count)
    return [_text(label, "labels") for label in labels]


def _arrays(data: bytes, record: dict[str, Any], index: int) -> dict[str, Any]:
    # The arrays of one operator's section by name, once its place and size are known to be right.
    arrays = OPERATORS[Kind(record["kind"])].arrays(record)
    offset, size = record["params_offset"], record["params_size"]
    if size != layout.section_size(arrays):
        fail("params_size", layout.section_size(arrays), size, index)
    check_section("params_offset", offset, size, len(data), index)
    values = {}
    for array in arrays:
        name = array[0]
        # A copy: independent of the blob, and what the dataclasses promise.
        values[name], clean = layout.unpack(array, data, offset)
        if not clean:
            fail(name, "zeros in the gaps", "others", index)
        offset += layout.align(layout.array_size(array))
    return values


def _operator(record: dict[str, Any], arrays: dict[str, Any]) -> Operator:
    cls = OPERATORS[Kind(record["kind"])]
    first, *others = reads(record)
    return cls(
        input=first,
        others=tuple(others),
        materialize=bool(record["flags"] & layout.FLAG_MATERIALIZE),
        **{name: record[name] for name in ("out_zero_point", "act_min", "act_max", "shift")},
        **cls.attributes(record),
        **arrays,
    )
