"""From a Model to the bytes of a blob."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_bytes
from . import layout
from .error import BlobError, Status
from .model import Model
from .operators import OPERATORS, Operator, Shape
from .reader import read


def write(model: Model) -> bytes:
    """The blob of a model. The bytes are read back and checked by every rule of SPEC.md: BlobError names what is wrong.

    The same model gives the same bytes.
    """
    blob = pack(model)
    read(blob)
    return blob


def pack(model: Model) -> bytes:
    """`write` without the check of the whole: what tests of the parsers make invalid blobs with.

    BlobError for what can't be packed at all.
    """
    header = np.zeros((), layout.HEADER)
    operators = np.zeros(len(model.ops), layout.OPERATOR)
    labels = b"".join(label.encode() + b"\0" for label in model.labels)
    for label in model.labels:
        if "\0" in label:
            raise BlobError(Status.FORMAT, "labels", "labels without NUL", repr(label))
    if not model.ops:
        raise BlobError(Status.FORMAT, "num_ops", f"1..{layout.MAX_OPS}", 0)

    ops_offset = layout.HEADER_SIZE
    labels_offset = ops_offset + operators.nbytes
    offset = layout.align(labels_offset + len(labels))
    sections = []
    shapes = [model.input_shape]
    for i, op in enumerate(model.ops):
        if not all(0 <= tensor <= i for tensor in op.reads):
            raise BlobError(Status.FORMAT, "input", f"0..{i}", op.reads, i)
        shapes.append(_fill_operator(operators[i], model, i, [shapes[tensor] for tensor in op.reads]))
        section = _section(operators[i], op, i)
        if op.wide():
            operators[i]["flags"] |= layout.FLAG_WIDE
        _put(operators[i], "params_offset", offset, i)
        _put(operators[i], "params_size", len(section), i)
        sections.append(section + bytes(layout.align(len(section)) - len(section)))
        offset += len(sections[-1])

    header["magic"] = np.frombuffer(layout.MAGIC, np.uint8)
    name = model.name.encode()
    if not 1 <= len(name) < layout.NAME_SIZE or b"\0" in name:
        raise BlobError(Status.FORMAT, "name", f"1..{layout.NAME_SIZE - 1} bytes without NUL", f"{name!r}")
    header["name"][: len(name)] = np.frombuffer(name, np.uint8)
    for key, value in {
        "version": layout.VERSION,
        "header_size": layout.HEADER_SIZE,
        "total_size": offset,
        "task": model.task,
        "channels": model.channels,
        "height": model.height,
        "width": model.width,
        "num_ops": len(model.ops),
        "ops_offset": ops_offset,
        "labels_offset": labels_offset,
        "labels_size": len(labels),
        "num_labels": len(model.labels),
        "threshold": model.threshold,
        "iou": model.iou,
        "max_candidates": model.max_candidates,
        "result_scale": int(np.float32(model.result_scale).view(np.uint32)),
        "numbers": model.numbers,
        "golden_seed": model.golden_seed,
        "golden_crc": model.golden_crc,
    }.items():
        _put(header, key, value, -1)
    labels += bytes(layout.align(labels_offset + len(labels)) - labels_offset - len(labels))
    return seal(header.tobytes() + operators.tobytes() + labels + b"".join(sections))


def save(model: Model, path: str | Path) -> int:
    """Writes the blob of a model to a file. Returns its size in bytes. BlobError or OSError."""
    return write_bytes(path, write(model))


def seal(blob: bytes) -> bytes:
    """The blob with its checksum set right, for bytes that were changed on purpose."""
    crc = zlib.crc32(blob[layout.CRC_START :])
    at = layout.HEADER.fields["crc32"][1]  # type: ignore[index]
    return blob[:at] + crc.to_bytes(4, "little") + blob[at + 4 :]


def _put(record: Any, name: str, value: int, op: int) -> None:
    limits = np.iinfo(record.dtype[name])
    if not limits.min <= value <= limits.max:
        raise BlobError(Status.FORMAT, name, f"{limits.min}..{limits.max}", value, op)
    record[name] = value


def _fill_operator(record: Any, model: Model, index: int, in_shapes: list[Shape]) -> Shape:
    # All fields but the section's; returns the shape of the output.
    op = model.ops[index]
    own = op.own_fields()
    for name in ("stride", "stride_h", "stride_w"):
        if own.get(name, 1) < 1:  # the shape divides by it
            raise BlobError(Status.FORMAT, "stride", "at least 1", own[name], index)
    if len(op.reads) > layout.MAX_INPUTS:
        raise BlobError(Status.FORMAT, "num_inputs", f"1..{layout.MAX_INPUTS}", len(op.reads), index)
    out_shape = op.out_shape(*in_shapes)
    values: dict[str, int] = {
        "kind": op.kind,
        "flags": (layout.FLAG_MATERIALIZE if op.materialize else 0) | op.own_flags(),
        "num_inputs": len(op.reads),
        "shift": op.shift,
        "in_zero_point": model.in_zero_point(index),
        "out_zero_point": op.out_zero_point,
        "act_min": op.act_min,
        "act_max": op.act_max,
    }
    for side, shape in (("in", in_shapes[0]), ("out", out_shape)):
        values |= {f"{side}_height": shape[0], f"{side}_width": shape[1], f"{side}_channels": shape[2]}
    for name, value in values.items():
        _put(record, name, int(value), index)
    record["inputs"][: len(op.reads)] = op.reads
    fields = np.zeros((), np.dtype([(field.name, field.dtype) for field in op.own]))
    for name, value in own.items():
        _put(fields, name, int(value), index)
    record["fields"][: fields.nbytes] = np.frombuffer(fields.tobytes(), np.uint8)
    return out_shape


def _section(record: Any, op: Operator, index: int) -> bytes:
    section = b""
    for entry in OPERATORS[op.kind].arrays(layout.fields(record) | op.own_fields()):
        name, dtype, shape = entry
        array = np.asarray(getattr(op, name))
        if array.shape != shape:
            raise BlobError(Status.FORMAT, f"{name} (shape)", shape, array.shape, index)
        if array.dtype != np.dtype(dtype):
            raise BlobError(Status.FORMAT, f"{name} (dtype)", np.dtype(dtype), array.dtype, index)
        if layout.is_dense(entry) and (array == -128).any():  # which has no room
            raise BlobError(Status.FORMAT, name, "-127..127", -128, index)
        section += bytes(layout.align(len(section)) - len(section)) + layout.pack(entry, array)
    return section
