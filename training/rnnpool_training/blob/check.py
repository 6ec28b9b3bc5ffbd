"""The rules of mp_module/SPEC.md on the raw fields of a blob: the same that the C parser has."""

import numpy as np

from . import layout
from .error import BlobError, Status
from .kinds import Kind, Task
from .operators import OPERATORS
from .operators.base import Record, check_range, fail


def check_header(header: Record, size: int) -> None:
    """Every header field but the checksum, the name and the labels. size: bytes given."""
    if header["magic"] != layout.MAGIC:
        fail("magic", layout.MAGIC, header["magic"])
    if header["version"] != layout.VERSION:
        remedy = " (export the model again)" if header["version"] < layout.VERSION else ""
        raise BlobError(Status.UNSUPPORTED, "version", layout.VERSION, f"{header['version']}{remedy}")
    check_range(header, "header_size", layout.HEADER_SIZE, layout.HEADER_SIZE)
    total = header["total_size"]
    if total > size:
        raise BlobError(Status.TRUNCATED, "total_size", f"{total} bytes", f"{size} bytes")
    if total < layout.HEADER_SIZE or total % layout.ALIGNMENT:
        fail("total_size", f"a multiple of {layout.ALIGNMENT}, at least {layout.HEADER_SIZE}", total)


def check_fields(header: Record) -> None:
    """The header's fields that the checksum covers, but name and labels."""
    check_range(header, "task", Task.DETECTION, Task.MAP)
    layer = header["task"] == Task.LAYER
    if header["channels"] not in ((0, 1, 3) if layer else (1, 3)):
        fail("channels", "0, 1 or 3" if layer else "1 or 3", header["channels"])
    check_range(header, "height", 1, layout.MAX_SIDE)
    check_range(header, "width", 1, layout.MAX_SIDE)
    check_range(header, "num_ops", 1, 1 if layer else layout.MAX_OPS)
    check_range(header, "labels_size", 1, layout.MAX_LABELS_SIZE)
    check_range(header, "num_labels", 1, layout.MAX_LABELS)
    check_range(header, "threshold", 0, 32767)
    check_range(header, "iou", 0, 32767)
    detection = header["task"] == Task.DETECTION
    check_range(header, "max_candidates", 1 if detection else 0, layout.MAX_CANDIDATES if detection else 0)
    scales = (
        (0x00800000, 0x7F7FFFFF) if header["task"] == Task.MAP else (0, 0)
    )  # bits of normal float32 numbers above 0
    check_range(header, "result_scale", *scales)
    check_range(header, "numbers", 0, int(header["task"] == Task.CLASSIFICATION))
    _zero(header, "reserved")


def check_section(what: str, offset: int, size: int, total: int, op: int = -1) -> None:
    """A section lies inside the blob, after the header, at a multiple of 16."""
    if offset % layout.ALIGNMENT:
        fail(what, f"a multiple of {layout.ALIGNMENT}", offset, op)
    if offset < layout.HEADER_SIZE or offset > total or size > total - offset:
        fail(what, f"{size} bytes within {layout.HEADER_SIZE}..{total}", f"{offset}..{offset + size}", op)


def kind_of(record: Record, index: int) -> Kind:
    """The kind of a record, if it is a known one."""
    try:
        return Kind(record["kind"])
    except ValueError:
        raise BlobError(Status.UNSUPPORTED, "kind", f"1..{max(Kind)}", record["kind"], index) from None


def own_fields(record: Record, index: int) -> Record:
    """The record with the operator's own fields, by their names, and all inputs as a tuple."""
    own = OPERATORS[kind_of(record, index)].own
    dtype = np.dtype([(field.name, field.dtype) for field in own])
    raw = record["fields"]
    if any(raw[dtype.itemsize :]):
        fail("fields", "zeros behind the operator's own", raw[dtype.itemsize :].hex(), index)
    found = layout.fields(np.frombuffer(raw[: dtype.itemsize], dtype)[0]) if own else {}
    return record | found


def check_operator(header: Record, records: list[Record], index: int) -> None:
    """Every field of record `index`; the records before it were checked already."""
    record = records[index]
    cls = OPERATORS[kind_of(record, index)]
    inputs = _check_inputs(header, records, index)
    allowed = cls.flags | (layout.FLAG_MATERIALIZE if cls.result is None else 0)
    if record["flags"] & ~allowed:
        fail("flags", f"only bits of 0x{allowed:02x}", f"0x{record['flags']:02x}", index)
    check_range(record, "shift", 0, cls.max_shift, index)
    if cls.fixed_zero_point:
        check_range(record, "out_zero_point", 0, 0, index)
    check_range(record, "act_min", -128, -128 if cls.unclamped else record["act_max"], index)
    check_range(record, "act_max", 127 if cls.unclamped else -128, 127, index)
    check_range(record, "out_channels", 1, layout.MAX_CHANNELS, index)
    for own in cls.own:
        check_range(record, own.name, own.low, own.high, index)
    cls.check(record, inputs, index)


def check_graph(header: Record, records: list[Record]) -> None:
    """Consumers, results and segments (SPEC.md, "Graph rules")."""
    segments = [0]  # of each tensor's operator
    whole = [False]
    cuts: dict[int, int] = {}  # segment -> its materialized operator
    for i, record in enumerate(records):
        after = [segments[t] + whole[t] for t in reads(record)]
        segments.append(max(after))
        if min(after) != segments[-1]:
            fail("segment of an input", segments[-1], min(after), i)
        whole.append(bool(record["flags"] & layout.FLAG_MATERIALIZE))
        if whole[-1]:
            if segments[-1] in cuts:
                fail("flags", f"one MATERIALIZE in segment {segments[-1]}: operator {cuts[segments[-1]]}", i, i)
            cuts[segments[-1]] = i
    if header["task"] == Task.LAYER:
        return
    consumed = {tensor for record in records for tensor in reads(record)}
    results = [OPERATORS[Kind(record["kind"])].result for record in records]
    for i, result in enumerate(results):
        is_map = header["task"] == Task.MAP and i + 1 == len(records)
        if result is None and i + 1 not in consumed and not is_map:
            fail("consumers", "at least 1", 0, i)
        if is_map and whole[-1]:
            fail("flags", "no MATERIALIZE on the result", record["flags"], i)
    for result in results:
        if result is not None and result != header["task"]:
            fail("result's task", header["task"], int(result))
    # There is one, as the last operator has no consumer.
    heads = [r for r in records if r["kind"] == Kind.DETECT_HEAD]
    for r in heads:
        check_range(header, "num_labels", r["more_classes"] + 1, r["more_classes"] + 1)
    places = sum(r["out_height"] * r["out_width"] * r["num_anchors"] * (r["more_classes"] + 1) for r in heads)
    if places > layout.MAX_PLACES:
        fail("anchors", f"at most {layout.MAX_PLACES} in all", places)
    count = len(results) - results.count(None)
    if header["task"] == Task.CLASSIFICATION and count != 1:
        fail("results", 1, count)
    if header["task"] != Task.DETECTION:
        check_range(header, "num_labels", records[-1]["out_channels"], records[-1]["out_channels"])


def reads(record: Record) -> tuple[int, ...]:
    """All tensors that an operator reads."""
    return tuple(record["inputs"][: record["num_inputs"]])


def _zero(record: Record, name: str, op: int = -1) -> None:
    if any(record[name]):
        fail(name, "zeros", record[name].hex(), op)


def _check_inputs(header: Record, records: list[Record], index: int) -> list[Record]:
    # Earlier operators that have an output to read. Returns all inputs' shapes and zero points.
    record = records[index]
    check_range(record, "num_inputs", *OPERATORS[Kind(record["kind"])].inputs, index)
    if any(record["inputs"][record["num_inputs"] :]):
        fail("inputs", "zeros behind the last", record["inputs"].hex(), index)
    if index == 0 and record["num_inputs"] > 1:
        fail("num_inputs", 1, record["num_inputs"], index)
    for source in reads(record):
        # Only the first operator reads the frame; it can read nothing else.
        if not (0 if index == 0 else 1) <= source <= index:
            fail("input", "0" if index == 0 else f"1..{index}", source, index)
        if source and OPERATORS[Kind(records[source - 1]["kind"])].result is not None:
            fail("input", "an operator that is no result", source, index)
    frame = {
        "out_height": header["height"],
        "out_width": header["width"],
        "out_channels": header["channels"] or record["in_channels"],  # 0: a layer that reads a map
        "out_zero_point": record["in_zero_point"],
    }
    inputs = [frame if source == 0 else records[source - 1] for source in reads(record)]
    for name in ("height", "width", "channels", "zero_point"):
        value = inputs[0][f"out_{name}"]
        check_range(record, f"in_{name}", value, value, index)
    check_range(record, "in_channels", 1, layout.MAX_CHANNELS, index)
    return inputs
