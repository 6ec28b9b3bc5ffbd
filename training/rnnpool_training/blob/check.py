"""The rules of mp_module/SPEC.md on the raw fields of a blob: the same that the C parser has."""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import layout
from .error import BlobError, Status
from .model import Kind, Task

Record = dict[str, Any]  # a header or operator record as layout.fields() gives it

INT32_LIMIT = 1 << 31
RESULTS = (Kind.DETECT_HEAD, Kind.DENSE)  # nobody reads their outputs but the caller


def fail(what: str, expected: object, given: object, op: int = -1) -> NoReturn:
    """Raises the error for a field out of its range or in contradiction to another."""
    raise BlobError(Status.FORMAT, what, expected, given, op)


def check_header(header: Record, size: int) -> None:
    """Every header field but the checksum, the name and the labels. size: bytes given."""
    if header["magic"] != layout.MAGIC:
        fail("magic", layout.MAGIC, header["magic"])
    if header["version"] != layout.VERSION:
        raise BlobError(Status.UNSUPPORTED, "version", layout.VERSION, header["version"])
    _range(header, "header_size", layout.HEADER_SIZE, layout.HEADER_SIZE)
    total = header["total_size"]
    if total > size:
        raise BlobError(Status.TRUNCATED, "total_size", f"{total} bytes", f"{size} bytes")
    if total < layout.HEADER_SIZE or total % layout.ALIGNMENT:
        fail("total_size", f"a multiple of {layout.ALIGNMENT}, at least {layout.HEADER_SIZE}", total)


def check_fields(header: Record) -> None:
    """The header's fields that the checksum covers, but name and labels."""
    _range(header, "task", Task.DETECTION, Task.LAYER)
    layer = header["task"] == Task.LAYER
    if header["channels"] not in ((0, 1, 3) if layer else (1, 3)):
        fail("channels", "0, 1 or 3" if layer else "1 or 3", header["channels"])
    _range(header, "height", 1, layout.MAX_SIDE)
    _range(header, "width", 1, layout.MAX_SIDE)
    _range(header, "num_ops", 1, 1 if layer else layout.MAX_OPS)
    _range(header, "labels_size", 1, layout.MAX_LABELS_SIZE)
    _range(header, "num_labels", 1, layout.MAX_LABELS)
    _range(header, "threshold", 0, 32767)
    _range(header, "iou", 0, 32767)
    detection = header["task"] == Task.DETECTION
    _range(header, "max_candidates", 1 if detection else 0, layout.MAX_CANDIDATES if detection else 0)
    _zero(header, "reserved")


def check_section(what: str, offset: int, size: int, total: int, op: int = -1) -> None:
    """A section lies inside the blob, after the header, at a multiple of 16."""
    if offset % layout.ALIGNMENT:
        fail(what, f"a multiple of {layout.ALIGNMENT}", offset, op)
    if offset < layout.HEADER_SIZE or offset > total or size > total - offset:
        fail(what, f"{size} bytes within {layout.HEADER_SIZE}..{total}", f"{offset}..{offset + size}", op)


def check_operator(header: Record, records: list[Record], index: int) -> None:
    """Every field of record `index`; the records before it were checked already."""
    record = records[index]
    try:
        kind = Kind(record["kind"])
    except ValueError:
        raise BlobError(Status.UNSUPPORTED, "kind", f"1..{max(Kind)}", record["kind"], index) from None
    _zero(record, "reserved", index)
    _check_flags(record, kind, index)
    _check_input(header, records, index)
    _range(record, "out_channels", 1, layout.MAX_CHANNELS, index)
    _range(record, "out_height", 1, layout.MAX_SIDE, index)
    _range(record, "out_width", 1, layout.MAX_SIDE, index)
    if kind in (Kind.RNNPOOL, Kind.DETECT_HEAD, Kind.DENSE):
        _range(record, "out_zero_point", 0, 0, index)
    if kind != Kind.CONV:
        _range(record, "act_min", -128, -128, index)
        _range(record, "act_max", 127, 127, index)
    elif record["act_min"] > record["act_max"]:
        fail("act_min", f"at most act_max = {record['act_max']}", record["act_min"], index)
    if kind == Kind.RNNPOOL:
        _check_rnnpool(record, index)
    else:
        _check_convolution(record, kind, index)


def check_parameters(record: Record, arrays: dict[str, NDArray[Any]], index: int) -> None:
    """The values of an operator's arrays: ranges and sums that can't overflow (docs/arithmetic.md, 2 and 3)."""
    if record["kind"] == Kind.RNNPOOL:
        for name, limit in (("w1", 255), ("u1", 32768), ("w2", 32768), ("u2", 32768)):
            _sums(name, np.abs(arrays[name].astype(np.int64)).sum(1) * limit, index)
        return
    if record["kind"] == Kind.INVERTED_RESIDUAL:
        _convolution(arrays, "expand_", (1,), index)
        _convolution(arrays, "depthwise_", (0, 1), index)
        residual = arrays.get("residual")
        if residual is not None and (np.abs(residual.astype(np.int64)) > 32767).any():
            fail("residual", "-32767..32767", int(residual[np.abs(residual.astype(np.int64)).argmax()]), index)
        _convolution(arrays, "project_", (1,), index, residual)
        return
    if record["kind"] == Kind.GLOBAL_AVERAGE_POOL:
        _multipliers("multiplier", arrays["multiplier"], index)
        return
    _convolution(arrays, "", (1,) if record["kind"] == Kind.DENSE else (1, 2, 3), index)
    if record["kind"] == Kind.DETECT_HEAD:
        anchors = arrays["anchors"]
        wrong = anchors[(anchors < 1) | (anchors > 32767)]
        if wrong.size:
            fail("anchors", "1..32767", int(wrong[0]), index)


def check_graph(header: Record, records: list[Record]) -> None:
    """Consumers, results and segments (SPEC.md, "Graph rules")."""
    detection = header["task"] == Task.DETECTION
    segments: list[int] = []
    cuts: dict[int, int] = {}  # segment -> its materialized operator
    for i, record in enumerate(records):
        producer = records[record["input"] - 1] if record["input"] else None
        after = producer is not None and producer["flags"] & layout.FLAG_MATERIALIZE
        segments.append(0 if producer is None else segments[record["input"] - 1] + bool(after))
        if record["flags"] & layout.FLAG_MATERIALIZE:
            if segments[i] in cuts:
                fail("flags", f"one MATERIALIZE in segment {segments[i]}: operator {cuts[segments[i]]}", i, i)
            cuts[segments[i]] = i
    consumed = {record["input"] for record in records}
    kinds = [record["kind"] for record in records]
    for i, kind in enumerate(kinds):
        if kind not in RESULTS and i + 1 not in consumed and header["task"] != Task.LAYER:
            fail("consumers", "at least 1", 0, i)
    if header["task"] == Task.LAYER:
        return
    heads, dense = kinds.count(Kind.DETECT_HEAD), kinds.count(Kind.DENSE)
    if detection != bool(heads):
        fail("heads", "at least 1 for detection, else 0", heads)
    anchors = sum(r["out_height"] * r["out_width"] * r["num_anchors"] for r in records)
    if anchors > layout.MAX_MODEL_ANCHORS:
        fail("anchors", f"at most {layout.MAX_MODEL_ANCHORS} in all", anchors)
    if dense != (0 if detection else 1):
        fail("dense", "0 for detection, 1 for classification", dense)
    if not detection:
        # The only result is the DENSE: having no consumer and everything else having one, it is the last operator.
        _range(header, "num_labels", records[-1]["out_channels"], records[-1]["out_channels"])


def _range(record: Record, name: str, low: int, high: int, op: int = -1) -> None:
    if not low <= record[name] <= high:
        fail(name, f"{low}..{high}" if low != high else low, record[name], op)


def _zero(record: Record, name: str, op: int = -1) -> None:
    if any(record[name]):
        fail(name, "zeros", record[name].hex(), op)


def _zeros(record: Record, names: tuple[str, ...], op: int) -> None:
    for name in names:
        _range(record, name, 0, 0, op)


def _check_flags(record: Record, kind: Kind, index: int) -> None:
    allowed = {
        Kind.CONV: layout.FLAG_MATERIALIZE,
        Kind.RNNPOOL: layout.FLAG_MATERIALIZE | layout.FLAG_SMOOTH,
        Kind.INVERTED_RESIDUAL: layout.FLAG_MATERIALIZE | layout.FLAG_RESIDUAL,
        Kind.DETECT_HEAD: 0,
        Kind.GLOBAL_AVERAGE_POOL: layout.FLAG_MATERIALIZE,
        Kind.DENSE: 0,
    }[kind]
    if record["flags"] & ~allowed:
        fail("flags", f"only bits of 0x{allowed:02x}", f"0x{record['flags']:02x}", index)


def _check_input(header: Record, records: list[Record], index: int) -> None:
    record = records[index]
    source = record["input"]
    # Only the first operator reads the frame; it can read nothing else.
    _range(record, "input", 0 if index == 0 else 1, index, index)
    if source == 0:
        _range(record, "in_channels", 1, layout.MAX_CHANNELS, index)
        channels = header["channels"] or record["in_channels"]  # 0: a layer that reads a map
        shape = {"height": header["height"], "width": header["width"], "channels": channels}
        zero_point = 0 if header["channels"] else record["in_zero_point"]
    else:
        producer = records[source - 1]
        if producer["kind"] in RESULTS:
            fail("input", "an operator that is no DETECT_HEAD or DENSE", source, index)
        shape = {n: producer[f"out_{n}"] for n in ("height", "width", "channels")}
        zero_point = producer["out_zero_point"]
    for name, value in shape.items():
        _range(record, f"in_{name}", value, value, index)
    _range(record, "in_zero_point", zero_point, zero_point, index)


def _check_shape(record: Record, height: int, width: int, index: int) -> None:
    _range(record, "out_height", height, height, index)
    _range(record, "out_width", width, width, index)


def _check_rnnpool(record: Record, index: int) -> None:
    for name in ("kernel", "kernel_w", "stride"):
        _range(record, name, 1, 32, index)
    _range(record, "pad_bottom", 0, 8, index)
    _range(record, "pad_right", 0, 8, index)
    _range(record, "mid_channels", 1, 64, index)
    if record["out_channels"] % 4 or record["out_channels"] > 4 * 64:
        fail("out_channels", "a multiple of 4 in 4..256", record["out_channels"], index)
    for name in ("shift_w1", "shift_u1", "shift_w2", "shift_u2"):
        _range(record, name, 0, 24, index)
    for name, limit in (("zeta1", 32768), ("nu1", 32767), ("zeta2", 32768), ("nu2", 32767)):
        _range(record, name, 0, limit, index)
    _zeros(record, ("num_anchors", "step"), index)
    _zeros(record, ("exp_zero_point", "dw_zero_point", "exp_min", "exp_max", "dw_min", "dw_max"), index)
    sizes = []
    for size, patch, pad in (("in_height", "kernel", "pad_bottom"), ("in_width", "kernel_w", "pad_right")):
        if record[size] < record[patch]:
            fail(patch, f"at most {size} = {record[size]}", record[patch], index)
        sizes.append((record[size] - record[patch]) // record["stride"] + 1 + record[pad])
    _check_shape(record, sizes[0], sizes[1], index)


def _check_convolution(record: Record, kind: Kind, index: int) -> None:
    block = kind == Kind.INVERTED_RESIDUAL
    single = kind in (Kind.GLOBAL_AVERAGE_POOL, Kind.DENSE)  # their only output pixel
    kernel = record["kernel"]
    kernels = (3,) if block else (1,) if single else (1, 3)
    if kernel not in kernels:
        fail("kernel", " or ".join(map(str, kernels)), kernel, index)
    _range(record, "kernel_w", kernel, kernel, index)
    _range(record, "stride", 1, 2 if kind in (Kind.CONV, Kind.INVERTED_RESIDUAL) else 1, index)
    stride = record["stride"]
    _zeros(record, ("pad_bottom", "pad_right", "shift_w1", "shift_u1", "shift_w2", "shift_u2"), index)
    _zeros(record, ("zeta1", "nu1", "zeta2", "nu2"), index)
    if kind == Kind.DETECT_HEAD:
        _range(record, "num_anchors", 1, 8, index)
        _range(record, "out_channels", 5 * record["num_anchors"], 5 * record["num_anchors"], index)
        _range(record, "step", 1, 512, index)
    else:
        _zeros(record, ("num_anchors", "step"), index)
    if block:
        _range(record, "mid_channels", 1, layout.MAX_CHANNELS, index)
        for low, high in (("exp_min", "exp_max"), ("dw_min", "dw_max")):
            if record[low] > record[high]:
                fail(low, f"at most {high} = {record[high]}", record[low], index)
    else:
        _zeros(record, ("mid_channels", "exp_zero_point", "dw_zero_point"), index)
        _zeros(record, ("exp_min", "exp_max", "dw_min", "dw_max"), index)
    if record["flags"] & layout.FLAG_RESIDUAL:
        _range(record, "stride", 1, 1, index)
        _range(record, "out_channels", record["in_channels"], record["in_channels"], index)
    if kind == Kind.DENSE:
        _range(record, "in_height", 1, 1, index)
        _range(record, "in_width", 1, 1, index)
        _range(record, "out_channels", 2, layout.MAX_LABELS, index)
    if kind == Kind.GLOBAL_AVERAGE_POOL:
        _range(record, "out_channels", record["in_channels"], record["in_channels"], index)
        _check_shape(record, 1, 1, index)
        return
    padding = 2 * ((kernel - 1) // 2) - kernel
    height, width = ((record[n] + padding) // stride + 1 for n in ("in_height", "in_width"))
    _check_shape(record, height, width, index)


def _convolution(
    arrays: dict[str, NDArray[Any]],
    prefix: str,
    axes: tuple[int, ...],
    index: int,
    residual: NDArray[np.int32] | None = None,
) -> None:
    _multipliers(f"{prefix}multiplier", arrays[f"{prefix}multiplier"], index)
    sums = np.abs(arrays[f"{prefix}weight"].astype(np.int64)).sum(axes) * 128
    sums += np.abs(arrays[f"{prefix}bias"].astype(np.int64))
    if residual is not None:
        sums += np.abs(residual.astype(np.int64)) * 128
    _sums(f"{prefix}weight", sums, index)


def _multipliers(what: str, multiplier: NDArray[np.int32], index: int) -> None:
    if (multiplier < 0).any():
        fail(what, "0..2147483647", int(multiplier.min()), index)


def _sums(what: str, sums: NDArray[np.int64], index: int) -> None:
    worst = int(sums.max())
    if worst >= INT32_LIMIT:
        fail(what, f"largest sum below {INT32_LIMIT}", worst, index)
