"""Where things are in a blob: the tables of mp_module/SPEC.md as numpy record types, for writer and reader."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .model import Kind

MAGIC = b"RNNP"
VERSION = 2
ALIGNMENT = 16
HEADER_SIZE = 128
OP_SIZE = 64

FLAG_MATERIALIZE = 1
FLAG_RESIDUAL = 2
FLAG_SMOOTH = 4

MAX_SIDE = 2048  # height and width of an input or a map
MAX_CHANNELS = 1024
MAX_OPS = 64
MAX_CANDIDATES = 512
MAX_MODEL_ANCHORS = 65536
MAX_LABELS = 256
MAX_LABELS_SIZE = 4096
NAME_SIZE = 32
WEIGHT_BLOCK = 16  # inputs of a dense layer are stored in whole blocks
CRC_START = 16  # the checksum covers bytes CRC_START .. total_size

HEADER = np.dtype(
    [
        ("magic", "u1", (4,)),
        ("version", "<u2"),
        ("header_size", "<u2"),
        ("total_size", "<u4"),
        ("crc32", "<u4"),
        ("task", "u1"),
        ("channels", "u1"),
        ("height", "<u2"),
        ("width", "<u2"),
        ("num_ops", "<u2"),
        ("ops_offset", "<u4"),
        ("labels_offset", "<u4"),
        ("labels_size", "<u4"),
        ("num_labels", "<u2"),
        ("threshold", "<u2"),
        ("iou", "<u2"),
        ("max_candidates", "<u2"),
        ("golden_seed", "<u4"),
        ("golden_crc", "<u4"),
        ("name", "u1", (NAME_SIZE,)),
        ("reserved", "u1", (44,)),
    ]
)

OPERATOR = np.dtype(
    [
        ("kind", "u1"),
        ("flags", "u1"),
        ("input", "<u2"),
        ("in_height", "<u2"),
        ("in_width", "<u2"),
        ("in_channels", "<u2"),
        ("out_height", "<u2"),
        ("out_width", "<u2"),
        ("out_channels", "<u2"),
        ("kernel", "u1"),
        ("kernel_w", "u1"),
        ("stride", "u1"),
        ("in_zero_point", "i1"),
        ("out_zero_point", "i1"),
        ("act_min", "i1"),
        ("act_max", "i1"),
        ("pad_bottom", "u1"),
        ("pad_right", "u1"),
        ("num_anchors", "u1"),
        ("step", "<u2"),
        ("mid_channels", "<u2"),
        ("exp_zero_point", "i1"),
        ("dw_zero_point", "i1"),
        ("exp_min", "i1"),
        ("exp_max", "i1"),
        ("dw_min", "i1"),
        ("dw_max", "i1"),
        ("shift_w1", "u1"),
        ("shift_u1", "u1"),
        ("shift_w2", "u1"),
        ("shift_u2", "u1"),
        ("zeta1", "<u2"),
        ("nu1", "<u2"),
        ("zeta2", "<u2"),
        ("nu2", "<u2"),
        ("params_offset", "<u4"),
        ("params_size", "<u4"),
        ("reserved", "u1", (8,)),
    ]
)

assert HEADER.itemsize == HEADER_SIZE
assert OPERATOR.itemsize == OP_SIZE

ArrayLayout = tuple[str, str, tuple[int, ...]]  # name in the dataclass, dtype, shape


def parameter_arrays(
    kind: Kind, in_channels: int, out_channels: int, kernel: int, mid: int, anchors: int, residual: bool
) -> list[ArrayLayout]:
    """Arrays of an operator's parameter section in their order: (name of the dataclass's field, dtype, shape).

    Names and shapes are the dataclass's; how weights lie in the blob: stored_shape, pack and unpack.
    """
    if kind in (Kind.CONV, Kind.DETECT_HEAD):
        arrays: list[ArrayLayout] = [
            ("weight", "<i1", (out_channels, kernel, kernel, in_channels)),
            ("bias", "<i4", (out_channels,)),
            ("multiplier", "<i4", (out_channels,)),
        ]
        return [*arrays, ("anchors", "<u2", (anchors, 2))] if kind == Kind.DETECT_HEAD else arrays
    if kind == Kind.INVERTED_RESIDUAL:
        arrays = [
            ("expand_weight", "<i1", (mid, in_channels)),
            ("expand_bias", "<i4", (mid,)),
            ("expand_multiplier", "<i4", (mid,)),
            ("depthwise_weight", "<i1", (3, 3, mid)),
            ("depthwise_bias", "<i4", (mid,)),
            ("depthwise_multiplier", "<i4", (mid,)),
            ("project_weight", "<i1", (out_channels, mid)),
            ("project_bias", "<i4", (out_channels,)),
            ("project_multiplier", "<i4", (out_channels,)),
        ]
        return [*arrays, ("residual", "<i4", (out_channels,))] if residual else arrays
    if kind == Kind.GLOBAL_AVERAGE_POOL:
        return [("multiplier", "<i4", (1,))]
    if kind == Kind.DENSE:
        return [
            ("weight", "<i1", (out_channels, in_channels)),
            ("bias", "<i4", (out_channels,)),
            ("multiplier", "<i4", (out_channels,)),
        ]
    h1, h2 = mid, out_channels // 4
    return [
        ("w1", "<i2", (h1, in_channels)),
        ("u1", "<i2", (h1, h1)),
        ("bz1", "<i2", (h1,)),
        ("bh1", "<i2", (h1,)),
        ("w2", "<i2", (h2, h1)),
        ("u2", "<i2", (h2, h2)),
        ("bz2", "<i2", (h2,)),
        ("bh2", "<i2", (h2,)),
    ]


def align(size: int) -> int:
    """The next multiple of 16."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _is_dense(array: ArrayLayout) -> bool:
    return array[0] in ("weight", "expand_weight", "project_weight")


def stored_shape(array: ArrayLayout) -> tuple[int, ...]:
    """Shape of an array in the blob.

    Weights of convolutions [out, ...]: [ceil(out / 2), inputs rounded up to WEIGHT_BLOCK, 2], outputs in pairs.
    Depthwise weights [3, 3, mid]: [mid, 3, 4]. Others as they are.
    """
    name, _, shape = array
    if _is_dense(array):
        inputs = int(np.prod(shape[1:]))
        return -(-shape[0] // 2), -(-inputs // WEIGHT_BLOCK) * WEIGHT_BLOCK, 2
    return (shape[2], 3, 4) if name == "depthwise_weight" else shape


def pack(array: ArrayLayout, values: NDArray[Any]) -> bytes:
    """The bytes of an array whose shape and dtype are right; gaps are 0."""
    name, dtype, shape = array
    stored = np.zeros(stored_shape(array), dtype)
    if _is_dense(array):
        rows = values.reshape(shape[0], -1)
        for o in range(shape[0]):
            stored[o // 2, : rows.shape[1], o % 2] = rows[o]
    elif name == "depthwise_weight":
        stored[:, :, :3] = values.transpose(2, 0, 1)
    else:
        stored[:] = values
    return stored.tobytes()


def unpack(array: ArrayLayout, data: bytes, offset: int) -> tuple[NDArray[Any], bool]:
    """The array whose stored bytes begin at `offset`, in its own shape and the machine's byte order.

    Also whether all gaps are 0.
    """
    name, dtype, shape = array
    stored = np.frombuffer(data, dtype, array_size(array) // np.dtype(dtype).itemsize, offset)
    stored = stored.reshape(stored_shape(array))
    if _is_dense(array):
        inputs = int(np.prod(shape[1:]))
        rows = stored.transpose(0, 2, 1).reshape(-1, stored.shape[1])
        values = rows[: shape[0], :inputs].reshape(shape)
    elif name == "depthwise_weight":
        values = stored[:, :, :3].transpose(1, 2, 0)
    else:
        values = stored
    gaps = bool(np.count_nonzero(stored) == np.count_nonzero(values))
    return np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("=")).copy(), gaps


def array_size(array: ArrayLayout) -> int:
    """Bytes of an array in the blob, without the padding behind it."""
    return int(np.dtype(array[1]).itemsize * np.prod(stored_shape(array), dtype=np.int64))


def section_size(arrays: list[ArrayLayout]) -> int:
    """Bytes of a section: every array padded to a multiple of 16 but the last."""
    return sum(align(array_size(a)) for a in arrays[:-1]) + array_size(arrays[-1])


def fields(record: Any) -> dict[str, Any]:
    """A numpy record as plain ints and bytes, which neither wrap nor overflow."""
    return {n: int(record[n]) if record.dtype[n].shape == () else record[n].tobytes() for n in record.dtype.names}
