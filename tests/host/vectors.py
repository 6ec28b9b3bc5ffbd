"""Blobs, valid and invalid, that every parser of `.rnnp` must judge alike: the Python reader and the C parser.

`vectors()` gives them; as a command, `python tests/host/vectors.py DIR` writes them as files with an index.json.
Each invalid blob breaks one rule of mp_module/SPEC.md, with its checksum made right where that is not the rule.
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import numpy as np

from rnnpool_training.blob import (
    Add,
    Conv,
    DetectHead,
    GlobalAveragePool,
    InvertedResidual,
    Kind,
    Model,
    RNNPool,
    Status,
    Task,
    layout,
    write,
)
from rnnpool_training.blob.check import own_fields
from rnnpool_training.blob.operators import OPERATORS
from rnnpool_training.blob.writer import pack, seal

INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Vector:
    """A blob, what a parser must say of it, and of which operator (-1: none)."""

    name: str
    blob: bytes
    status: Status
    op: int = -1


@dataclass(frozen=True)
class Mutation:
    """Bytes of the base blob that are replaced; the checksum is set right afterwards if `sealed`."""

    name: str
    offset: int
    data: bytes
    status: Status
    op: int = -1
    sealed: bool = True

    def apply(self, base: bytes) -> Vector:
        """The mutated blob."""
        blob = base[: self.offset] + self.data + base[self.offset + len(self.data) :]
        return Vector(self.name, seal(blob) if self.sealed else blob, self.status, self.op)


# Operators of the base blob.
CONV, POOL, BLOCK, RESIDUAL_BLOCK, HEAD = 0, 1, 2, 3, 4
KINDS = (Kind.CONV, Kind.RNNPOOL, Kind.INVERTED_RESIDUAL, Kind.INVERTED_RESIDUAL, Kind.DETECT_HEAD)


def base() -> Model:
    """Small, with every kind of operator and flag."""
    net = networks.Builder(np.random.default_rng(1), 20, 24, 3)
    stem = net.conv(0, 4, 3, 2)
    pool = net.rnnpool(stem, 4, 3, 2, 6, 4, pad_bottom=1, smooth=True)
    net.ops[pool - 1].materialize = True  # type: ignore[misc]
    block = net.block(pool, 8, 12)
    last = net.block(block, 8, 12, residual=True)
    net.head(last, 3, [(64, 64), (100, 200)], 4)
    return net.model("base", max_candidates=32)


def vectors() -> list[Vector]:
    """All of them: the same at each call."""
    blob = write(base())
    found = [
        *_valid(),
        *(m.apply(blob) for m in mutations(blob)),
        *_truncated(blob),
        *_built(),
        *_wide(),
        *_other_vectors(),
    ]
    names = [v.name for v in found]
    assert len(set(names)) == len(names), "names of vectors must differ"
    return found


def mutations(blob: bytes) -> Iterator[Mutation]:
    """Every field of the header and of the operator table, one wrong value at a time."""
    total = len(blob)
    yield _header("magic", b"RNNQ", sealed=False)
    yield _header("version", 0, Status.UNSUPPORTED)
    yield _header("version", 1, Status.UNSUPPORTED)
    yield _header("version", 2, Status.UNSUPPORTED)
    yield _header("version", 3, Status.UNSUPPORTED)
    yield _header("version", 5, Status.UNSUPPORTED)
    yield _header("header_size", 64)
    yield _header("total_size", total + 16, Status.TRUNCATED)
    yield _header("total_size", 0xFFFFFFF0, Status.TRUNCATED)
    yield _header("total_size", total - 8)
    yield _header("total_size", 112)
    yield _header("total_size", 0)
    yield _header("total_size", total - 16, Status.CHECKSUM, sealed=False)
    yield _header("crc32", 0, Status.CHECKSUM, sealed=False)
    yield Mutation("a changed weight", total - 20, b"\x55", Status.CHECKSUM, sealed=False)
    for name, values in {
        "task": (0, 3, 4, 5, 255),
        "channels": (0, 2, 4, 255),
        "height": (0, 2049, 65535),
        "width": (0, 2049, 65535),
        "num_ops": (0, layout.MAX_OPS + 1, 65535),
        "ops_offset": (0, 112, 136, total - 16, total, 0xFFFFFFF0),
        "labels_offset": (0, 112, 136, total, 0xFFFFFFF0),
        "labels_size": (0, 4, 32769, 0xFFFFFFFF),
        "num_labels": (0, 2, 1025, 65535),
        "threshold": (32768, 65535),
        "iou": (32768, 65535),
        "max_candidates": (0, 513),
        "name": (bytes(32), b"x" * 32, b"a\0b", b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80"),
        "result_scale": (1, 0x3F800000),
        "numbers": (1, 2),
        "reserved": (b"\1", bytes(38) + b"\1"),
    }.items():
        for value in values:
            yield _header(name, value)
    labels = _field(blob, layout.HEADER, 0, "labels_offset")
    yield Mutation("labels: no NUL at the end", labels + 4, b"s", Status.FORMAT)
    yield Mutation("labels: one NUL too many", labels + 1, b"\0", Status.FORMAT)
    yield Mutation("labels: not UTF-8", labels, b"\xe9", Status.FORMAT)
    yield from _operator_mutations(blob)
    yield from _parameter_mutations(blob)


def _operator_mutations(blob: bytes) -> Iterator[Mutation]:
    for op, kind in ((CONV, 0), (POOL, max(Kind) + 1), (BLOCK, 128), (HEAD, 255)):
        yield _operator(op, "kind", kind, Status.UNSUPPORTED)
    everywhere: dict[str, tuple[Any, ...]] = {"num_inputs": (0, 2, 8, 9, 255), "fields": (b"\0" * 27 + b"\1",)}
    for op in (CONV, POOL, BLOCK, RESIDUAL_BLOCK, HEAD):
        everywhere["flags"] = {
            CONV: (2, 4, 16, 24, 128),  # 16: the section would be longer
            POOL: (2, 7, 8, 16),
            BLOCK: (2, 4, 8, 16, 64),  # no residual: its channels differ
            RESIDUAL_BLOCK: (0, 6),  # 0: the section would be shorter
            HEAD: (1, 2, 4, 8, 16),
        }[op]
        everywhere["inputs"] = (bytes([op + 1]), b"\xff", bytes([op - 1 if op > CONV else 1]), bytes([op, 1]))
        for side in ("in", "out"):
            for name in ("height", "width", "channels"):
                value = _field(blob, layout.OPERATOR, _operator_offset(op), f"{side}_{name}")
                everywhere[f"{side}_{name}"] = (0, value - 1, value + 1, 65535)
        for name in ("params_offset",):
            value = _field(blob, layout.OPERATOR, _operator_offset(op), name)
            everywhere[name] = (0, 112, value + 8, len(blob), 0xFFFFFFF0)
        value = _field(blob, layout.OPERATOR, _operator_offset(op), "params_size")
        everywhere["params_size"] = (0, value - 1, value + 1, 0xFFFFFFFF)
        for name, values in everywhere.items():
            for value in dict.fromkeys(values):
                yield _operator(op, name, value)
    used: dict[int, dict[str, tuple[int, ...]]] = {
        CONV: {
            "window_height": (0, 1, 2, 5, 65),
            "window_width": (0, 1, 5, 65),
            "stride_h": (0, 1, 3, 65),
            "stride_w": (0, 1, 3, 65),
            "pad_top": (2, 3, 64),
            "pad_left": (3, 255),
            "pad_bottom": (3, 4),
            "pad_right": (3, 64),
            "act_min": (127,),
            "shift": (16, 31, 255),
        },
        POOL: {
            "patch_height": (0, 33, 255),
            "patch_width": (0, 33),
            "stride": (0, 33),
            "in_zero_point": (-128,),
            "out_zero_point": (-1, 1),
            "act_min": (-127,),
            "act_max": (126,),
            "pad_bottom": (0, 9),
            "pad_right": (1, 9),
            "reserved_pool": (1, 255),
            "hidden": (0, 5, 81),
            "shift": (1,),
            **{f"shift_{n}": (25, 255) for n in ("w1", "u1", "w2", "u2")},
            **dict.fromkeys(("zeta1", "zeta2"), (32769, 65535)),
            **dict.fromkeys(("nu1", "nu2"), (32768, 65535)),
        },
        BLOCK: {
            "stride": (0, 2, 3),
            "reserved_block": (1,),
            "in_zero_point": (1,),
            "mid_channels": (0, 11, 2049),
            "recompute": (1, 2, 13),
            "exp_min": (127,),
            "dw_min": (127,),
            "shift": (1,),
        },
        RESIDUAL_BLOCK: {"stride": (2,)},
        HEAD: {
            "window_height": (1, 2),
            "window_width": (1,),
            "stride_h": (0, 2),
            "stride_w": (0, 2),
            "pad_top": (0, 2),
            "out_zero_point": (1,),
            "act_min": (0,),
            "act_max": (0,),
            "num_anchors": (0, 1, 3, 9),
            "step": (0, 513),
            "more_classes": (1,),
            "shift": (1,),
        },
    }
    for op, fields in used.items():
        for name, values in fields.items():
            for value in values:
                yield _operator(op, name, value)


# Operators of the second base blob.
WIDE, LOOK, MEAN, SKIP, JOIN, EXCITE, LARGER = 1, 2, 3, 4, 6, 7, 8
OTHERS = {
    WIDE: Kind.DEPTHWISE,
    LOOK: Kind.LOOKUP,
    MEAN: Kind.POOL,
    SKIP: Kind.ADD,
    JOIN: Kind.CONCAT,
    EXCITE: Kind.MUL,
    LARGER: Kind.UPSAMPLE,
}


def _other_vectors() -> Iterator[Vector]:
    blob = write(networks.others(5))
    yield Vector("valid: others", blob, Status.OK)
    for op, fields in {
        WIDE: {
            "window_height": (0, 1, 2, 65),
            "window_width": (0, 3, 65),
            "stride_h": (0, 2),
            "pad_top": (0, 3, 255),
            "shift": (16,),
            "out_channels": (5, 7),
            "fields": (b"\3\5\1\1\1\2\1\2\1", b"\3\5\1\1\1\2\1\2\0\0\0\1"),
            "filter_min": (-128,),
            "filter_max": (127,),
            "flags": (2, 4, 64),
        },
        LOOK: {"act_min": (-127,), "act_max": (126,), "out_channels": (5,), "out_height": (8,), "shift": (1,)},
        MEAN: {"mean": (2, 255), "out_zero_point": (127,), "out_channels": (5,), "params_size": (4,), "stride_w": (2,)},
        SKIP: {
            "num_inputs": (0, 1, 3),
            "inputs": (b"\0\4", b"\1\0", b"\1\5", b"\1\4\1", b"\1\11"),
            "shift": (16,),
            "out_channels": (5,),
            "in_height": (8,),
            "params_size": (4, 12),
        },
        JOIN: {"num_inputs": (1, 2, 9), "inputs": (b"\5\3\6", b"\5\3\3\1"), "out_channels": (17, 12), "shift": (16,)},
        EXCITE: {"inputs": (b"\5\5", b"\6\6", b"\5\4"), "shift": (15,), "num_inputs": (1, 3)},
        LARGER: {"factor": (0, 1, 3, 9), "out_height": (17, 9), "out_zero_point": (127,), "act_max": (0,)},
    }.items():
        for name, values in fields.items():
            for value in values:
                mutation = _operator(op, name, value, kind=OTHERS[op])
                yield Mutation(f"others: {mutation.name}", mutation.offset, mutation.data, Status.FORMAT, op).apply(
                    blob
                )
    normal = write(networks.normalized(5))
    yield Vector("valid: normalized", normal, Status.OK)
    for name, values in {
        "num_inputs": (0, 2),
        "flags": (2, 16),
        "shift": (16, 255),
        "out_channels": (6, 8),
        "out_height": (9,),
        "out_width": (14,),
        "act_min": (127,),
        "params_size": (13, 16),
        "fields": (b"\1",),
    }.items():
        for value in values:
            mutation = _operator(1, name, value, kind=Kind.L2_NORM)
            yield Mutation(f"normalized: {mutation.name}", mutation.offset, mutation.data, Status.FORMAT, 1).apply(
                normal
            )
    for op, array, value in (
        (WIDE, "bias", INT32_MAX),
        (WIDE, "multiplier", -1),
        (SKIP, "weights", 1 << 22),
        (SKIP, "weights", -(1 << 22)),
        (JOIN, "weights", 1 << 22),
        (EXCITE, "multiplier", -1),
    ):
        data = np.array(value, "<i4").tobytes()
        name = f"others: operator {op}: {array} is {value}"
        yield Mutation(name, _array_offset(blob, op, array), data, Status.FORMAT, op).apply(blob)

    def changed(name: str, op: int, change: Callable[[Model], None]) -> Vector:
        model = networks.others(5)
        change(model)
        return Vector(f"others: {name}", pack(model), Status.FORMAT, op)

    yield changed(
        "an input from the segment before the last", SKIP, lambda m: setattr(m.ops[LOOK], "materialize", True)
    )
    model = Model(task=Task.DETECTION, name="x", labels=["x"], height=4, width=4, channels=1, max_candidates=1)
    model.ops = [Add(input=0, others=(0,), weights=np.ones(2, np.int32)), _small_head(1, 1)]
    yield Vector("others: a sum that reads the frame", pack(model), Status.FORMAT, 0)


def _parameter_mutations(blob: bytes) -> Iterator[Mutation]:
    def array(op: int, name: str, value: int, dtype: str, what: str) -> Mutation:
        offset = _array_offset(blob, op, name)
        return Mutation(f"operator {op}: {name} {what}", offset, np.array(value, dtype).tobytes(), Status.FORMAT, op)

    for op, name in (
        (CONV, "multiplier"),
        (BLOCK, "expand_multiplier"),
        (BLOCK, "depthwise_multiplier"),
        (BLOCK, "project_multiplier"),
        (HEAD, "multiplier"),
    ):
        yield array(op, name, -1, "<i4", "negative")
        yield array(op, name, -(2**31), "<i4", "most negative")
        bias = name.replace("multiplier", "bias")
        yield array(op, bias, INT32_MAX, "<i4", "overflows")
        yield array(op, bias, -(2**31), "<i4", "overflows below")
    for value in (32768, -32768, -(2**31)):
        yield array(RESIDUAL_BLOCK, "residual", value, "<i4", f"is {value}")
    for name in ("u1", "w2", "u2"):
        offset = _array_offset(blob, POOL, name)
        data = np.array([-32768, -32768], "<i2").tobytes()
        yield Mutation(f"operator {POOL}: {name} overflows", offset, data, Status.FORMAT, POOL)
    for op, name, input_ in ((CONV, "weight", 27), (HEAD, "weight", 72), (BLOCK, "project_weight", 12)):
        # Inputs are stored in whole blocks of 16, a pair of them of four outputs in 8 bytes.
        first = _array_offset(blob, op, name)
        yield Mutation(
            f"operator {op}: {name} in a gap", first + input_ // 2 * 8 + input_ % 2 * 2, b"\1", Status.FORMAT, op
        )
        # Of the first output -128, of the second -128 and 128.
        for value, data in ((-128, b"\x80\xff"), (-128, b"\0\x80"), (128, b"\xff\x7f")):
            yield Mutation(f"operator {op}: {name} {value} as {data.hex()}", first, data, Status.FORMAT, op)
    offset = (
        _array_offset(blob, HEAD, "weight") + 2 * 80 * 4 + 4
    )  # of the last two of three times four outputs: they are 10
    yield Mutation(f"operator {HEAD}: a weight of no output", offset, b"\1", Status.FORMAT, HEAD)
    offset = _array_offset(blob, BLOCK, "depthwise_weight") + 7
    yield Mutation(f"operator {BLOCK}: depthwise_weight in a gap", offset, b"\xff", Status.FORMAT, BLOCK)
    yield array(HEAD, "anchors", 0, "<u2", "is 0")
    yield array(HEAD, "anchors", 32768, "<u2", "is 32768")


def _valid() -> Iterator[Vector]:
    blob = write(base())

    def changed(name: str, change: Callable[[Model], None]) -> Vector:
        model = base()
        change(model)
        return Vector(f"valid: {name}", pack(model), Status.OK)

    yield Vector("valid: base", blob, Status.OK)
    yield Vector("valid: bytes after the blob", blob + b"\xff" * 7, Status.OK)
    yield Vector("valid: tiny", write(networks.tiny(1)), Status.OK)
    yield Vector("valid: segmented", write(networks.segmented(1)), Status.OK)
    rng = np.random.default_rng(2)
    yield Vector("valid: classification", write(networks.random_network(rng, Task.CLASSIFICATION)), Status.OK)
    yield changed("31 bytes of name", lambda m: setattr(m, "name", "é" * 15 + "x"))
    many = networks.Builder(rng, 3, 4, 1)
    many.pool(many.conv(0, 2, 1, 1))
    many.dense(2, 1024)
    labels = ["é", "", "x"] * 341 + [""]
    yield Vector(
        "valid: 1024 labels, some empty", write(many.model("many", Task.CLASSIFICATION, labels=labels)), Status.OK
    )
    yield changed("32768 bytes of labels", lambda m: setattr(m, "labels", ["x" * 32767]))
    for name, value in (("threshold", 0), ("threshold", 32767), ("iou", 0), ("iou", 32767)):
        yield changed(f"{name} {value}", lambda m, name=name, value=value: setattr(m, name, value))  # type: ignore[misc]
    for value in (1, 512):
        yield changed(f"max_candidates {value}", lambda m, value=value: setattr(m, "max_candidates", value))  # type: ignore[misc]
    for name, values in {
        **{f"shift_{n}": (0, 24) for n in ("w1", "u1", "w2", "u2")},
        **dict.fromkeys(("zeta1", "zeta2"), (0, 32768)),
        **dict.fromkeys(("nu1", "nu2"), (0, 32767)),
    }.items():
        for value in values:
            yield Mutation(f"valid: {name} {value}", *_operator_bytes(POOL, name, value), Status.OK).apply(blob)
    for value in (32767, -32767):
        data = np.array(value, "<i4").tobytes()
        yield Mutation(
            f"valid: residual {value}", _array_offset(blob, RESIDUAL_BLOCK, "residual"), data, Status.OK
        ).apply(blob)
    yield Vector("valid: sections in another order, one shared", _rearranged(), Status.OK)
    yield Vector("valid: as many operators as there may be", pack(_chain(layout.MAX_OPS - 1)), Status.OK)
    for name, model, status, op in _limits():
        if status == Status.OK:
            yield Vector(f"valid: {name}", pack(model), status, op)


def _truncated(blob: bytes) -> Iterator[Vector]:
    for length in (*range(130), *range(130, len(blob), 61), len(blob) - 1):
        yield Vector(f"truncated to {length} bytes", blob[:length], Status.TRUNCATED)


def _built() -> Iterator[Vector]:
    # What takes another model: the graph rules and the sums.
    def changed(name: str, op: int, change: Callable[[Model], None]) -> Vector:
        model = copy.deepcopy(base())
        change(model)
        return Vector(name, pack(model), Status.FORMAT, op)

    def second_reader_of_frame(model: Model) -> None:
        model.ops.append(_small_head(0, 3))

    def reads_a_head(model: Model) -> None:
        model.ops.append(_small_head(5, 10))

    def no_consumer(model: Model) -> None:
        model.ops.append(_small_conv(4, 8))

    def two_cuts(model: Model) -> None:
        model.ops[CONV].materialize = True  # type: ignore[misc]
        model.ops[POOL].materialize = False  # type: ignore[misc]
        model.ops[BLOCK].materialize = True  # type: ignore[misc]
        model.ops[RESIDUAL_BLOCK].materialize = True  # type: ignore[misc]
        # A branch of the segment of BLOCK, with a cut of its own.
        model.ops[HEAD:HEAD] = [_small_conv(2, 16, materialize=True)]
        model.ops[HEAD + 1].input = 4
        model.ops.append(_small_head(5, 2))

    yield changed("graph: two readers of the frame", 5, second_reader_of_frame)
    yield changed("graph: a head is read", 5, reads_a_head)
    yield changed("graph: no consumer", 5, no_consumer)
    yield changed("graph: two cuts in one segment", HEAD, two_cuts)
    yield changed("graph: detection without a head", HEAD - 1, lambda m: m.ops.__delitem__(HEAD))
    yield from _classifiers()
    yield from _rounded()
    yield from _projected()
    yield from _maps()
    yield from _classes()
    headless = copy.deepcopy(base())
    headless.task, headless.max_candidates = Task.CLASSIFICATION, 0
    yield Vector("graph: classification with a head", pack(headless), Status.FORMAT)
    one = Model(task=Task.DETECTION, name="x", labels=["x"], height=4, width=4, channels=1, max_candidates=1)
    one.ops = [_small_conv(0, 1)]
    yield Vector("graph: detection with one convolution", pack(one), Status.FORMAT, 0)
    yield Vector("graph: one operator more", pack(_chain(layout.MAX_OPS)), Status.FORMAT)
    for name, model, status, op in _limits():
        if status != Status.OK:
            yield Vector(name, pack(model), status, op)


def _classifiers() -> Iterator[Vector]:
    # The rules of a classifier's end.
    blob = write(networks.classifier(1))
    pool, dense = 5, 6
    for op, name, value in (
        (pool, "fields", b"\3"),
        (pool, "shift", 1),
        (pool, "flags", 2),
        (pool, "out_height", 2),
        (pool, "out_width", 2),
        (pool, "out_channels", 23),
        (pool, "params_size", 8),
        (dense, "window_height", 3),
        (dense, "stride_w", 2),
        (dense, "pad_left", 1),
        (dense, "flags", 1),
        (dense, "out_zero_point", 1),
        (dense, "act_max", 126),
        (dense, "fields", bytes(8) + b"\1"),
        (dense, "out_channels", 2),
        (dense, "out_channels", 1025),
    ):
        mutation = _operator(op, name, value, kind={pool: Kind.GLOBAL_AVERAGE_POOL, dense: Kind.DENSE}[op])
        yield Mutation(f"classifier: {mutation.name}", mutation.offset, mutation.data, Status.FORMAT, op).apply(blob)

    def changed(name: str, op: int, change: Callable[[Model], None]) -> Vector:
        model = networks.classifier(1)
        change(model)
        return Vector(f"classifier: {name}", pack(model), Status.FORMAT, op)

    def overflow(model: Model) -> None:
        model.ops[dense].bias[1] = INT32_MAX  # type: ignore[union-attr]

    def negative(model: Model) -> None:
        model.ops[pool].multiplier[0] = -1  # type: ignore[union-attr]

    def unpooled(model: Model) -> None:
        del model.ops[pool]
        model.ops[pool].input = pool

    def read(model: Model) -> None:
        model.ops.append(GlobalAveragePool(input=dense + 1, multiplier=np.ones(1, np.int32)))

    def detects(model: Model) -> None:
        model.task, model.max_candidates = Task.DETECTION, 1

    yield changed("a dense sum overflows", dense, overflow)
    yield changed("a negative multiplier of pooling", pool, negative)
    yield changed("a dense layer on a larger map than its weights are for", pool, unpooled)
    yield changed("a dense layer is read", dense + 1, read)
    yield changed("two dense layers", -1, lambda m: m.ops.append(copy.deepcopy(m.ops[dense])))
    yield changed("no dense layer", pool, lambda m: m.ops.pop())
    yield changed("fewer labels than outputs", -1, lambda m: m.labels.pop())
    yield changed("one label too many", -1, lambda m: m.labels.append("x"))
    yield changed("a detector with a dense layer", -1, detects)


def _rounded() -> Iterator[Vector]:
    # The rules of operators that round in another way than once. 1 the input's convolution, ..., 7 the dense layer.
    net = networks.Builder(np.random.default_rng(1), 8, 8, 1)
    stem = net.conv(0, 4, 3, 1, rounding=networks.TFLITE)
    deep = net.depthwise(stem, (3, 3), (1, 1), (1, 1, 1, 1), rounding=networks.TFLITE)
    total = net.sum([stem, deep], Add, networks.TFLITE)
    fine = net.conv(total, 4, 1, 1, rounding=networks.FINE)
    vector = net.pool(fine, networks.TFLITE)
    net.mul(fine, vector, networks.TFLITE)
    base = net.classifier("rounded", 3)
    yield Vector("valid: rounded", write(base), Status.OK)

    def changed(name: str, op: int, change: Callable[[Any], None], status: Status = Status.FORMAT) -> Vector:
        model = copy.deepcopy(base)
        change(model.ops[op - 1])
        return Vector(f"rounded: {name}", pack(model), status, op - 1 if status != Status.OK else -1)

    def put(array: str, value: int, index: int = 0) -> Callable[[Any], None]:
        return lambda op: getattr(op, array).__setitem__(index, value)

    def grow(bias: int, exponent: int) -> Callable[[Any], None]:
        def change(op: Any) -> None:
            op.filter_weight[:] = 0
            op.bias[0], op.exponent[0] = bias, exponent

        return change

    for op, most in ((stem, 15), (deep, 15), (total, 0), (vector + 1, 13)):
        yield changed(f"operator {op - 1}: a shift", op, lambda o: setattr(o, "shift", 1))
        yield changed(f"operator {op - 1}: exponent -32", op, put("exponent", -32))
        yield changed(f"operator {op - 1}: exponent -31", op, put("exponent", -31), Status.OK)
        yield changed(f"operator {op - 1}: exponent {most + 1}", op, put("exponent", most + 1))
        yield changed(f"operator {op - 1}: a negative multiplier", op, put("multiplier", -1))
    yield changed("exponent 0 of a sum", total, put("exponent", 0, 2), Status.OK)
    yield changed("exponent 13 of a product", vector + 1, put("exponent", 13), Status.OK)
    yield changed("the largest sum without exponent", deep, grow((1 << 30) - 1, 0), Status.OK)
    yield changed("too large a sum without exponent", deep, grow(1 << 30, 0))
    yield changed("the largest sum with one", deep, grow(-(1 << 15) + 1, 15), Status.OK)
    yield changed("too large a sum with one", deep, grow(-(1 << 15), 15))
    yield changed("fine biases and a shift", fine, lambda o: setattr(o, "shift", 1))
    yield changed("a fine bias that is too large", fine, put("bias", INT32_MAX))
    yield changed("a mean at another zero point", vector, lambda o: setattr(o, "out_zero_point", 99))

    def one_too_much(op: Any) -> None:
        op.weight[:] = 0
        op.weight[0], op.bias[0] = 1, INT32_MAX - 4 * 128 * 256 + 1

    def full(op: Any) -> None:
        one_too_much(op)
        op.bias[0] -= 1

    yield changed("a fine sum that just fits", fine, full, Status.OK)
    yield changed("a fine sum of one too much", fine, one_too_much)


def _projected() -> Iterator[Vector]:
    # The rules of a depthwise layer with a projection, which is operator 1.
    for rounding in networks.ROUNDINGS:
        net = networks.Builder(np.random.default_rng(2), 9, 8, 1)
        stem = net.conv(0, 6, 3, 1)
        net.head(net.separable(stem, 10, (3, 2), (2, 1), (1, 1, 1, 0), rounding=rounding), 1, [(24, 24)], 2)
        model = net.model("projected", max_candidates=8)
        blob, op = write(model), stem
        flags = model.ops[op].own_flags()
        yield Vector(f"valid: projected, {rounding}", blob, Status.OK)
        for name, values in {
            "flags": (flags ^ 64, flags | 2, flags | 4, flags | 24),
            "shift": (16,) if rounding == networks.ONCE else (1,),
            "filter_min": (127,),
            "filter_max": (-128,),
            "fields": (b"\3\2\2\1\1\1\1\0\0\x80\x7f\1",),
            "out_channels": (0, 6, 9, 13),
            "out_height": (4,),
            "window_height": (2, 65),
        }.items():
            for value in values:
                mutation = _operator(op, name, value, kind=Kind.DEPTHWISE)
                yield Mutation(
                    f"projected, {rounding}: {mutation.name}", mutation.offset, mutation.data, Status.FORMAT, op
                ).apply(blob)
        arrays = [("project_multiplier", -1, "<i4"), ("project_bias", INT32_MAX, "<i4"), ("multiplier", -1, "<i4")]
        if rounding == networks.TFLITE:
            arrays += [("project_exponent", 16, "<i1"), ("project_exponent", -32, "<i1"), ("exponent", 16, "<i1")]
        for name, value, dtype in arrays:
            data = np.array(value, dtype).tobytes()
            what = f"projected, {rounding}: {name} is {value}"
            yield Mutation(what, _array_offset(blob, op, name), data, Status.FORMAT, op).apply(blob)
        gap = _array_offset(blob, op, "project_weight") + 6 // 2 * 8  # of the seventh input
        yield Mutation(f"projected, {rounding}: a weight in a gap", gap, b"\1", Status.FORMAT, op).apply(blob)


def _classes() -> Iterator[Vector]:
    # A detector of three classes: all heads have as many as there are labels.
    def changed(name: str, op: int, change: Callable[[Model], None]) -> Vector:
        model = networks.classes(1)
        change(model)
        return Vector(f"classes: {name}", pack(model), Status.FORMAT, op)

    blob, head = write(networks.classes(1)), 1
    for value in (0, 1, 3, 255):
        mutation = _operator(head, "more_classes", value, kind=Kind.DETECT_HEAD)
        yield Mutation(f"classes: {mutation.name}", mutation.offset, mutation.data, Status.FORMAT, head).apply(blob)
    yield changed("a label less", -1, lambda m: m.labels.pop())
    yield changed("a label more", -1, lambda m: m.labels.append("x"))


def _maps() -> Iterator[Vector]:
    # The rules of a map model's end.
    def changed(name: str, op: int, change: Callable[[Model], None]) -> Vector:
        model = networks.heat_map(1)
        change(model)
        return Vector(f"map: {name}", pack(model), Status.FORMAT, op)

    last = len(networks.heat_map(1).ops) - 1
    for scale in (0.0, -1.0, float("inf"), float("nan")):
        yield changed(f"scale {scale}", -1, lambda m, scale=scale: setattr(m, "result_scale", scale))
    # By its bits: libraries may have set the processor to flush such numbers to zero.
    denormal = _header("result_scale", 1)
    yield Mutation("map: denormal scale", denormal.offset, denormal.data, Status.FORMAT).apply(
        write(networks.heat_map(1))
    )
    yield changed("kept whole", last, lambda m: setattr(m.ops[-1], "materialize", True))
    yield changed("fewer labels than channels", -1, lambda m: m.labels.pop())
    yield changed("candidates", -1, lambda m: setattr(m, "max_candidates", 1))
    yield changed("numbers", -1, lambda m: setattr(m, "numbers", True))
    yield changed("a map that nobody reads", last - 1, lambda m: setattr(m.ops[-1], "input", 3))
    dense = networks.classifier(1)
    dense.task, dense.result_scale = Task.MAP, 1.0
    yield Vector("map: a dense layer at the end", pack(dense), Status.FORMAT)


def _limits() -> Iterator[tuple[str, Model, Status, int]]:
    # Sums and sides at their limit and one past it.
    for past in (False, True):
        where, status = ("one past its limit", Status.FORMAT) if past else ("at its limit", Status.OK)
        for name, op, weight, bias in (
            ("convolution sum", CONV, "weight", "bias"),
            ("expansion sum", BLOCK, "expand_weight", "expand_bias"),
            ("depthwise sum", BLOCK, "depthwise_weight", "depthwise_bias"),
            ("projection sum", BLOCK, "project_weight", "project_bias"),
            ("head sum", HEAD, "weight", "bias"),
        ):
            model = base()
            weights = np.abs(getattr(model.ops[op], weight).astype(np.int64))
            last = weights[..., -1] if weight == "depthwise_weight" else weights[-1]
            getattr(model.ops[op], bias)[-1] = -(INT32_MAX - int(last.sum()) * 128 + past)
            yield f"{name} {where}", model, status, op if past else -1
        model = base()
        block = model.ops[RESIDUAL_BLOCK]
        assert isinstance(block, InvertedResidual) and block.residual is not None
        block.residual[0] = -32767
        rest = (int(np.abs(block.project_weight[0].astype(np.int64)).sum()) + 32767) * 128
        block.project_bias[0] = INT32_MAX - rest + past
        yield f"projection sum with residual {where}", model, status, RESIDUAL_BLOCK if past else -1
        for name in ("u1", "w2", "u2"):
            model = base()
            row = getattr(model.ops[POOL], name)[-1]
            row[:] = 0
            row[:3] = 32767, -32767, 1 + past
            yield f"{name} sum {where}", model, status, POOL if past else -1
        model = _wide_pool()
        pool = model.ops[1]
        assert isinstance(pool, RNNPool)
        pool.w1[:] = 0
        pool.w1[1, :258] = 32767
        pool.w1[1, 257] = INT32_MAX // 255 - 257 * 32767 + past
        yield f"w1 sum {where}", model, status, 1 if past else -1


def _wide() -> Iterator[Vector]:
    # Dense layers with sums of 2^23, where the flag WIDE begins, and of one less.
    for op, weight, bias in (
        (CONV, "weight", "bias"),
        (BLOCK, "expand_weight", "expand_bias"),
        (RESIDUAL_BLOCK, "project_weight", "project_bias"),
        (HEAD, "weight", "bias"),
    ):
        for past in (False, True):
            model = base()
            layer = model.ops[op]
            rest = int(np.abs(getattr(layer, weight)[-1].astype(np.int64)).sum()) * 128
            if weight == "project_weight":
                rest += abs(int(layer.residual[-1])) * 128  # type: ignore[attr-defined]
            getattr(layer, bias)[-1] = rest - (1 << 23) + (1 - past)
            blob = pack(model)
            flags = _field(blob, layout.OPERATOR, _operator_offset(op), "flags")
            assert flags & layout.FLAG_WIDE == (layout.FLAG_WIDE if past else 0)
            name, status = f"operator {op}: {weight}", Status.FORMAT if past else Status.OK
            yield Vector(f"{name}, sum {'of 2^23' if past else 'below 2^23'}", blob, Status.OK)
            yield Mutation(
                f"{name}, {'without' if past else 'needless'} WIDE",
                *_operator_bytes(op, "flags", flags ^ layout.FLAG_WIDE),
                status,
                op if past else -1,
            ).apply(blob)


def _wide_pool() -> Model:
    # RNNPool of 300 channels, which its sum takes to overflow.
    net = networks.Builder(np.random.default_rng(3), 2, 2, 1)
    pool = net.rnnpool(net.conv(0, 300, 1, 1), 2, 2, 1, 2, 1)
    net.head(pool, 1, [(16, 16)], 1)
    return net.model("wide", max_candidates=1)


def _small_conv(source: int, channels: int, materialize: bool = False) -> Conv:
    return Conv(
        input=source,
        weight=np.ones((2, 1, 1, channels), np.int8),
        bias=np.zeros(2, np.int32),
        multiplier=np.zeros(2, np.int32),
        materialize=materialize,
    )


def _small_head(source: int, channels: int) -> DetectHead:
    return DetectHead(
        input=source,
        weight=np.ones((5, 1, 1, channels), np.int8),
        bias=np.zeros(5, np.int32),
        multiplier=np.zeros(5, np.int32),
        anchors=np.array([[16, 16]], np.uint16),
        step=4,
    )


def _chain(convolutions: int) -> Model:
    # So many convolutions and a head.
    model = Model(task=Task.DETECTION, name="chain", labels=["x"], height=2, width=2, channels=1, max_candidates=1)
    model.ops = [_small_conv(i, 1 if i == 0 else 2) for i in range(convolutions)]
    model.ops.append(_small_head(convolutions, 2))
    return model


def _rearranged() -> bytes:
    # The operator table at the end, and two operators with the same parameter section.
    blob = pack(_chain(3))
    at = [_operator_offset(op) + layout.OPERATOR.fields["params_offset"][1] for op in (1, 2)]  # type: ignore[index]
    blob = blob[: at[1]] + blob[at[0] : at[0] + 4] + blob[at[1] + 4 :]
    table = _field(blob, layout.HEADER, 0, "ops_offset")
    count = _field(blob, layout.HEADER, 0, "num_ops")
    moved = blob + blob[table : table + count * layout.OP_SIZE]
    for name, value in (("ops_offset", len(blob)), ("total_size", len(moved))):
        offset = layout.HEADER.fields[name][1]  # type: ignore[index]
        moved = moved[:offset] + value.to_bytes(4, "little") + moved[offset + 4 :]
    return seal(moved)


def _field(blob: bytes, record: np.dtype[Any], at: int, name: str) -> int:
    return int(np.frombuffer(blob, record, 1, at)[0][name])


def _operator_offset(op: int) -> int:
    return layout.HEADER_SIZE + op * layout.OP_SIZE  # the writer puts the table behind the header


def _array_offset(blob: bytes, op: int, name: str) -> int:
    record = layout.fields(np.frombuffer(blob, layout.OPERATOR, 1, _operator_offset(op))[0])
    offset = record["params_offset"]
    for array in OPERATORS[Kind(record["kind"])].arrays(own_fields(record, op)):
        if array[0] == name:
            return int(offset)
        offset += layout.align(layout.array_size(array))
    raise KeyError(name)


def _bytes(record: np.dtype[Any], name: str, value: int | bytes) -> tuple[int, bytes]:
    dtype, offset = record.fields[name][:2]  # type: ignore[index]
    return offset, value if isinstance(value, bytes) else np.array(value, dtype).tobytes()


def _header(name: str, value: int | bytes, status: Status = Status.FORMAT, sealed: bool = True) -> Mutation:
    return Mutation(f"{name} {value!r}", *_bytes(layout.HEADER, name, value), status, sealed=sealed)


def _operator_bytes(op: int, name: str, value: int | bytes, kind: Kind | None = None) -> tuple[int, bytes]:
    own = OPERATORS[kind or KINDS[op]].own
    if name in (field.name for field in own):
        offset, data = _bytes(np.dtype([(field.name, field.dtype) for field in own]), name, value)
        offset += layout.OPERATOR.fields["fields"][1]  # type: ignore[index]
    else:
        offset, data = _bytes(layout.OPERATOR, name, value)
    return _operator_offset(op) + offset, data


def _operator(
    op: int, name: str, value: int | bytes, status: Status = Status.FORMAT, kind: Kind | None = None
) -> Mutation:
    return Mutation(f"operator {op}: {name} {value!r}", *_operator_bytes(op, name, value, kind), status, op)


def main() -> None:
    """Writes every vector to DIR as NUMBER.rnnp, with an index.json of names and expected statuses."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("dir", type=Path)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    index = []
    for i, vector in enumerate(vectors()):
        (args.dir / f"{i:04}.rnnp").write_bytes(vector.blob)
        index.append({"file": f"{i:04}.rnnp", "name": vector.name, "status": vector.status.name, "op": vector.op})
    (args.dir / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
