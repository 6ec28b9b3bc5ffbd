"""Where things are in a blob: the tables of mp_module/SPEC.md as numpy record types, for writer and reader."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"RNNP"
VERSION = 4
ALIGNMENT = 16
HEADER_SIZE = 128
OP_SIZE = 64

FLAG_MATERIALIZE = 1
FLAG_RESIDUAL = 2
FLAG_SMOOTH = 4
FLAG_FINE = 8
FLAG_TFLITE = 16
FLAG_WIDE = 32
FLAG_PROJECT = 64

MAX_SIDE = 2048  # height and width of an input or a map
MAX_CHANNELS = 2048
MAX_INPUTS = 8  # tensors that an operator reads
MAX_SHIFT = 15
LEAST_EXPONENT, MOST_EXPONENT = -31, 15  # of multipliers that round as TensorFlow Lite does
FINE_BITS = 8  # fraction bits of fine biases
MAX_DENSE_SHIFT = 8
MAX_WINDOW = 64  # rows, and columns
MAX_CONV_ROWS = 16  # of a convolution's window
MAX_INPUTS_OF_A_CHANNEL = 65536  # weights of one output of a convolution
MAX_DEPTHWISE_TAPS = 256
MAX_PATCH = 32
MAX_HIDDEN = 80
MAX_OPS = 127
MAX_CANDIDATES = 512
MAX_PLACES = 65536  # anchors times classes of all heads
MAX_LABELS = 1024
MAX_LABELS_SIZE = 32768
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
        ("result_scale", "<u4"),  # bits of a float32
        ("numbers", "u1"),
        ("reserved", "u1", (39,)),
    ]
)

OPERATOR = np.dtype(
    [
        ("kind", "u1"),
        ("flags", "u1"),
        ("num_inputs", "u1"),
        ("shift", "u1"),
        ("inputs", "u1", (MAX_INPUTS,)),
        ("in_height", "<u2"),
        ("in_width", "<u2"),
        ("in_channels", "<u2"),
        ("out_height", "<u2"),
        ("out_width", "<u2"),
        ("out_channels", "<u2"),
        ("in_zero_point", "i1"),
        ("out_zero_point", "i1"),
        ("act_min", "i1"),
        ("act_max", "i1"),
        ("params_offset", "<u4"),
        ("params_size", "<u4"),
        ("fields", "u1", (28,)),  # the operator's own
    ]
)

assert HEADER.itemsize == HEADER_SIZE
assert OPERATOR.itemsize == OP_SIZE

ArrayLayout = tuple[str, str, tuple[int, ...]]  # name in the dataclass, dtype, shape


def align(size: int) -> int:
    """The next multiple of 16."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def is_dense(array: ArrayLayout) -> bool:
    """Whether it is the weights of a convolution, an expansion or a projection."""
    return array[0] in ("weight", "expand_weight", "project_weight")


def stored_shape(array: ArrayLayout) -> tuple[int, ...]:
    """Shape of an array in the blob.

    Weights of convolutions [out, ...]: [ceil(out / 4), inputs rounded up to WEIGHT_BLOCK, 4], outputs in fours.
    Depthwise weights [3, 3, mid]: [mid, 3, 4]. Others as they are.
    """
    name, _, shape = array
    if is_dense(array):
        inputs = int(np.prod(shape[1:]))
        return -(-shape[0] // 4), -(-inputs // WEIGHT_BLOCK) * WEIGHT_BLOCK, 4
    return (shape[2], 3, 4) if name == "depthwise_weight" else shape


def pack(array: ArrayLayout, values: NDArray[Any]) -> bytes:
    """The bytes of an array whose shape and dtype are right; gaps are 0."""
    name, dtype, shape = array
    stored = np.zeros(stored_shape(array), dtype)
    if is_dense(array):
        fours, inputs, _ = stored.shape
        rows = np.zeros((4 * fours, inputs), np.int16)
        rows[: shape[0], : values[0].size] = values.reshape(shape[0], -1)
        both = 256 * rows[1::2] + rows[::2]  # of two outputs
        return both.reshape(fours, 2, inputs // 2, 2).transpose(0, 2, 1, 3).astype("<i2").tobytes()
    if name == "depthwise_weight":
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
    if is_dense(array):
        fours, inputs, _ = stored.shape
        both = stored.view("<i2").reshape(fours, inputs // 2, 2, 2).transpose(0, 2, 1, 3).reshape(2 * fours, inputs)
        rows = np.empty((4 * fours, inputs), np.int16)
        rows[::2] = both.astype(np.int8)
        rows[1::2] = (both.astype(np.int32) + 128) >> 8
        values = rows[: shape[0], : int(np.prod(shape[1:]))].reshape(shape)
        if np.abs(values).max() <= 127:  # else for check_convolution
            values = values.astype(np.int8)
        return np.ascontiguousarray(values), bool(np.count_nonzero(rows) == np.count_nonzero(values))
    if name == "depthwise_weight":
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
    return sum(align(array_size(a)) for a in arrays[:-1]) + sum(array_size(a) for a in arrays[-1:])


def fields(record: Any) -> dict[str, Any]:
    """A numpy record as plain ints and bytes, which neither wrap nor overflow."""
    return {n: int(record[n]) if record.dtype[n].shape == () else record[n].tobytes() for n in record.dtype.names}
