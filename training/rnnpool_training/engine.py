"""The C engine (mp_module/engine) on this machine: built into a shared library and called through ctypes.

For evaluation and tests: what `Engine` computes is what a board computes, bit for bit. Built at first use (native.py);
an installed wheel has it compiled.
"""

import ctypes
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import native
from .blob import Kind, Task, layout
from .errors import InputError
from .reference import Detection, Format, Light, View
from .reference.formats import FrameBytes, stored_rows
from .reference.geometry import WHOLE

SOURCES = native.ENGINE
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Wl,-z,defs")
ALIGNMENT = 16
STATUS = (
    "ok",
    "truncated",
    "alignment",
    "format",
    "checksum",
    "unsupported",
    "argument",
    "arena",
    "state",
)  # rnnp_status_t

Frame = NDArray[np.uint8] | NDArray[np.uint16]
FrameSize = tuple[int, int, Format]  # width, height, format


class EngineError(ValueError):
    """The engine refused a blob or a call: rnnp_error_t.

    status  one of STATUS;  what  field or argument;  op  operator, -1 for none;  expected, given  see rnnp_status_t
    """

    def __init__(self, status: str, what: str, op: int, expected: int, given: int) -> None:
        where = what if op < 0 else f"operator {op}: {what}"
        super().__init__(f"{status} error: {where}: expected {expected}, given {given}")
        self.status = status
        self.what = what
        self.op = op
        self.expected = expected
        self.given = given


class OpInfo(NamedTuple):
    """One operator: its kind (rnnp_kind_t), output shape, bytes of arena and multiply-adds an image."""

    kind: int
    shape: tuple[int, int, int]
    arena: int
    macs: int


class Region(NamedTuple):
    """A part of the arena, alive from segment `first` to segment `last`. op: -1 for none."""

    what: str
    op: int
    first: int
    last: int
    offset: int
    size: int


class _Model(ctypes.Structure):
    _fields_ = (
        ("blob", ctypes.c_void_p),
        ("ops", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("task", ctypes.c_int),
        ("height", ctypes.c_uint16),
        ("width", ctypes.c_uint16),
        ("channels", ctypes.c_uint16),
        ("num_ops", ctypes.c_uint8),
        ("num_labels", ctypes.c_uint16),
        ("threshold", ctypes.c_uint16),
        ("iou", ctypes.c_uint16),
        ("max_candidates", ctypes.c_uint16),
        ("numbers", ctypes.c_bool),
        ("result_scale", ctypes.c_uint32),
        ("ring_rows", ctypes.c_uint16 * (layout.MAX_OPS + 1)),
        ("golden_seed", ctypes.c_uint32),
        ("golden_crc", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("labels", ctypes.c_char_p),
    )


class _Error(ctypes.Structure):
    _fields_ = (
        ("status", ctypes.c_int),
        ("op", ctypes.c_int16),
        ("what", ctypes.c_char_p),
        ("expected", ctypes.c_uint32),
        ("given", ctypes.c_uint32),
    )


class _OpInfo(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int),
        ("height", ctypes.c_uint16),
        ("width", ctypes.c_uint16),
        ("channels", ctypes.c_uint16),
        ("arena", ctypes.c_uint32),
        ("macs", ctypes.c_uint32),
    )


class _Light(ctypes.Structure):
    _fields_ = (("gain", ctypes.c_uint16), ("bias", ctypes.c_int32))


class _Frame(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_uint16),
        ("height", ctypes.c_uint16),
        ("format", ctypes.c_int),
        ("stride", ctypes.c_uint32),
        ("roi_x", ctypes.c_uint16),
        ("roi_y", ctypes.c_uint16),
        ("roi_width", ctypes.c_uint16),
        ("roi_height", ctypes.c_uint16),
        ("rotate", ctypes.c_uint16),
        ("mirror", ctypes.c_bool),
        ("measure", ctypes.c_bool),
        ("scale", ctypes.c_uint16),
        ("light", _Light),
    )


def _new_frame(
    frame: FrameSize | None, view: View = WHOLE, light: Light | None = None, measure: bool = False
) -> _Frame | None:
    # None: the model's own size, or a layer's map.
    if frame is None:
        return None
    given = _Frame(*frame, view.stride, *(view.roi or (0, 0, 0, 0)), view.rotate, view.mirror, measure, view.scale)
    if light is not None:
        given.light = _Light(*light)
    return given


class _Region(ctypes.Structure):
    _fields_ = (
        ("what", ctypes.c_char_p),
        ("op", ctypes.c_int16),
        ("segment_first", ctypes.c_uint8),
        ("segment_last", ctypes.c_uint8),
        ("offset", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
    )


_Tap = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)


class _Run(ctypes.Structure):
    _fields_ = (
        ("model", ctypes.POINTER(_Model)),
        ("frame", _Frame),
        ("arena_size", ctypes.c_uint32),
        ("width", ctypes.c_uint16),
        ("height", ctypes.c_uint16),
        ("rows_in", ctypes.c_uint16),
        ("measured", _Light),
        ("done", ctypes.c_bool),
        ("working", ctypes.c_bool),
        ("ready", ctypes.c_bool),
        ("merged", ctypes.c_bool),
        ("tap", _Tap),
        ("tap_context", ctypes.c_void_p),
        ("skip_crc", ctypes.c_bool),
    )


class _Detection(ctypes.Structure):
    _fields_ = (
        ("x", ctypes.c_int16),
        ("y", ctypes.c_int16),
        ("w", ctypes.c_int16),
        ("h", ctypes.c_int16),
        ("score", ctypes.c_uint16),
        ("raw", ctypes.c_int16 * 4),
        ("label", ctypes.c_uint16),
        ("anchor", ctypes.c_uint32),
    )


class _Raw(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.c_void_p),
        ("row_bytes", ctypes.c_uint32),
        ("height", ctypes.c_uint16),
        ("width", ctypes.c_uint16),
        ("channels", ctypes.c_uint16),
        ("value_bytes", ctypes.c_uint8),
        ("zero_point", ctypes.c_int8),
        ("shift", ctypes.c_uint8),
    )


# The structures of rnnp.h by name, for the test that compares their sizes with the compiler's.
STRUCTURES = {
    "rnnp_model_t": _Model,
    "rnnp_error_t": _Error,
    "rnnp_op_info_t": _OpInfo,
    "rnnp_light_t": _Light,
    "rnnp_frame_t": _Frame,
    "rnnp_region_t": _Region,
    "rnnp_run_t": _Run,
    "rnnp_detection_t": _Detection,
    "rnnp_raw_t": _Raw,
}


def build(flags: Sequence[str] = FLAGS) -> Path:
    """The engine as a shared library, built if it is not there yet. InputError with the compiler's words if not.

    Without the repository's sources: the compiled module `rnnpool`, which has the engine in it.
    """
    sources = native.engine_sources()
    if not sources:
        try:
            import rnnpool
        except ImportError as error:
            raise InputError(f"no engine: {error}") from None
        return Path(rnnpool.__file__)
    try:
        return native.build("librnnpool", sources, flags)
    except native.BuildError as error:
        raise InputError(str(error)) from None


@cache
def _library() -> ctypes.CDLL:
    return load(build())


def load(path: Path) -> ctypes.CDLL:
    """The engine in a shared library, with its functions declared."""
    library = ctypes.CDLL(str(path))
    pointer, u32, error = ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(_Error)
    model, run, frame = ctypes.POINTER(_Model), ctypes.POINTER(_Run), ctypes.POINTER(_Frame)
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "rnnp_model_init": (ctypes.c_int, [model, pointer, ctypes.c_size_t, error]),
        "rnnp_model_op_info": (None, [model, u32, ctypes.POINTER(_OpInfo)]),
        "rnnp_arena_size": (u32, [model, frame]),
        "rnnp_arena_region": (ctypes.c_bool, [model, frame, u32, ctypes.POINTER(_Region)]),
        "rnnp_begin": (ctypes.c_int, [run, model, frame, pointer, ctypes.c_size_t, ctypes.c_uint16, error]),
        "rnnp_push": (ctypes.c_int, [run, pointer, pointer, error]),
        "rnnp_push_from": (ctypes.c_int, [run, pointer, pointer, error]),
        "rnnp_begin_scale": (ctypes.c_int, [run, pointer, ctypes.c_size_t, ctypes.c_uint16, error]),
        "rnnp_advance": (ctypes.c_bool, [run, pointer]),
        "rnnp_layer_push": (ctypes.c_int, [run, pointer, pointer, error]),
        "rnnp_layer_pull": (pointer, [run, pointer]),
        "rnnp_detections": (
            ctypes.c_int,
            [run, pointer, ctypes.c_uint16, ctypes.POINTER(_Detection), u32, ctypes.POINTER(u32), error],
        ),
        "rnnp_raw": (ctypes.c_int, [run, pointer, ctypes.POINTER(_Raw), error]),
        "rnnp_probabilities": (ctypes.c_int, [run, pointer, pointer, error]),
        "rnnp_result_crc": (u32, [run, pointer]),
        "rnnp_golden_row": (None, [model, u32, ctypes.POINTER(u32), pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _check(status: int, error: _Error) -> None:
    if status:
        raise EngineError(STATUS[status], error.what.decode(), error.op, error.expected, error.given)


def aligned(size: int) -> NDArray[np.uint8]:
    """`size` bytes at a multiple of ALIGNMENT."""
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


def frame_format(frame: Frame) -> Format:
    """What an array holds: uint8 [h, w] GRAY8, uint8 [h, w, 3] RGB888, uint16 [h, w] RGB565. ValueError for others."""
    for dtype, shape, format in (
        (np.uint8, (), Format.GRAY8),
        (np.uint8, (3,), Format.RGB888),
        (np.uint16, (), Format.RGB565),
    ):
        if frame.dtype == dtype and frame.ndim >= 2 and frame.shape[2:] == shape:
            return format
    raise ValueError(f"frame must be uint8 [h, w], uint8 [h, w, 3] or uint16 [h, w], given {frame.dtype} {frame.shape}")


class Engine:
    """A model in the engine. EngineError if the blob is refused. library: another build of it (load), for tests."""

    def __init__(self, blob: bytes, library: ctypes.CDLL | None = None) -> None:
        self.library = library or _library()
        self.blob = aligned(len(blob))
        self.blob[:] = np.frombuffer(blob, np.uint8)
        self.model = _Model()
        error = _Error()
        _check(self.library.rnnp_model_init(self.model, self.blob.ctypes.data, len(blob), error), error)
        self.name = self.model.name.decode()
        self.input_shape = (self.model.height, self.model.width, self.model.channels)
        self.threshold = self.model.threshold
        self.iou = self.model.iou
        self.task = Task(self.model.task)

    def arena_size(self, frame: FrameSize | None = None, view: View = WHOLE, measure: bool = False) -> int:
        """Bytes of arena for a frame (width, height, format); None: of the model's own size. 0 if it is not valid."""
        return int(self.library.rnnp_arena_size(self.model, _new_frame(frame, view, None, measure)))

    def ops(self) -> list[OpInfo]:
        """All operators."""
        found = []
        for i in range(self.model.num_ops):
            info = _OpInfo()
            self.library.rnnp_model_op_info(self.model, i, info)
            found.append(OpInfo(info.kind, (info.height, info.width, info.channels), info.arena, info.macs))
        return found

    def regions(self, frame: FrameSize | None = None) -> list[Region]:
        """The arena's plan."""
        found: list[Region] = []
        region, given = _Region(), _new_frame(frame)
        while self.library.rnnp_arena_region(self.model, given, len(found), region):
            r = region
            found.append(Region(r.what.decode(), r.op, r.segment_first, r.segment_last, r.offset, r.size))
        return found

    def begin(
        self,
        width: int,
        height: int,
        format: Format,
        threshold: int | None = None,
        arena: NDArray[np.uint8] | None = None,
        taps: bool = False,
        view: View = WHOLE,
        light: Light | None = None,
        measure: bool = False,
    ) -> "Run":
        """Starts an image. threshold: Q15, None for the model's own. arena: None for one of the right size.

        measure: find out the light; frames that are pushed whole get it, for others see Run.measured.
        """
        limit = self.threshold if threshold is None else threshold
        return Run(self, (width, height, format), limit, arena, taps, view, light, measure)

    def run_bytes(
        self,
        frame: FrameBytes,
        width: int,
        height: int,
        format: Format,
        threshold: int | None = None,
        view: View = WHOLE,
        light: Light | None = None,
        measure: bool = False,
        scales: Sequence[int] = (),
        taps: bool = False,
    ) -> "Run":
        """A whole frame as a camera stores it, complete: rnnpool_training.reference's arguments.

        measure: gain="auto". ValueError if the bytes are not the frame's.
        """
        stored_rows(frame, width, height, format, view.stride)
        data: NDArray[np.uint8] = np.ascontiguousarray(np.frombuffer(frame, np.uint8))
        views = [replace(view, scale=scale) for scale in scales] or [view]
        size = max(self.arena_size((width, height, format), v, measure) for v in views)
        run = self.begin(width, height, format, threshold, aligned(size), taps, views[0], light, measure)
        run.push_frame(data)
        for v in views[1:]:
            run.begin_scale(v.scale)
            run.push_frame(data)
        return run

    def run(self, frame: Frame, threshold: int | None = None, taps: bool = False) -> "Run":
        """A whole frame (see frame_format), complete."""
        format = frame_format(frame)
        height, width = frame.shape[:2]
        run = self.begin(width, height, format, threshold, taps=taps)
        for row in frame:
            run.push(row)
        return run

    def detect(
        self, frame: Frame, threshold: int | None = None, iou: int | None = None, max_detections: int = 512
    ) -> list[Detection]:
        """Detections in a frame (see frame_format), best first, as rnnpool_training.reference.detect gives them."""
        return self.run(frame, threshold).detections(iou, max_detections)

    def classify(self, frame: Frame) -> list[int]:
        """The probability of each label for a frame (see frame_format), Q15, as rnnpool_training.reference.classify."""
        return self.run(frame).probabilities()

    def golden_frame(self) -> NDArray[np.uint8]:
        """The golden frame as the engine makes it, uint8 [height, width, channels]."""
        frame = np.zeros(self.input_shape, np.uint8)
        state = ctypes.c_uint32(self.model.golden_seed)
        for y, row in enumerate(frame):
            self.library.rnnp_golden_row(self.model, y, state, row.ctypes.data)
        return frame

    def layer(self, rows: NDArray[Any]) -> NDArray[Any]:
        """A layer's output [height, width, channels]: int8; DETECT_HEAD, DENSE: int16. rows: its input in bytes."""
        run = self.begin_layer()
        found = []
        for row in rows:
            run.push_row(row)
            while (made := run.pull_row()) is not None:
                found.append(made)
        return np.array(found)

    def begin_layer(self) -> "Run":
        """Starts an input map of a layer."""
        return Run(self, None, 0, None, False, WHOLE, None, False)

    def golden_check(self) -> bool:
        """Whether the engine gives the blob's golden value."""
        frame = self.golden_frame()
        if self.task == Task.LAYER:
            output = self.layer(frame)
            little = output.astype(output.dtype.newbyteorder("<")).tobytes()
            crc = zlib.crc32(zlib.crc32(little).to_bytes(4, "little"))
            return crc == self.model.golden_crc
        return self.run(frame[:, :, 0] if frame.shape[2] == 1 else frame).crc() == self.model.golden_crc


@dataclass(frozen=True)
class _Rows:
    # What a tap has seen: rows by operator, in the order of their y.
    rows: list[list[bytes]]

    def take(self, op: int, y: int, row: int, size: int) -> None:
        assert y == len(self.rows[op]), f"operator {op} made row {y} after {len(self.rows[op])} rows"
        self.rows[op].append(ctypes.string_at(row, size))


def _output_type(info: OpInfo) -> np.dtype[Any]:
    # Of an operator's rows.
    return np.dtype("<i2" if info.kind in (Kind.DETECT_HEAD, Kind.DENSE) else "<i1")


class Run:
    """One image on its way through a model."""

    def __init__(
        self,
        engine: Engine,
        frame: FrameSize | None,  # None: a layer's map
        threshold: int,
        arena: NDArray[np.uint8] | None,
        taps: bool,
        view: View,
        light: Light | None,
        measure: bool,
    ) -> None:
        self.engine = engine
        self.arena = aligned(engine.arena_size(frame, view, measure)) if arena is None else arena
        self.state = _Run()
        error = _Error()
        begin = engine.library.rnnp_begin
        address, size = self.arena.ctypes.data, self.arena.size
        given = _new_frame(frame, view, light, measure)
        _check(begin(self.state, engine.model, given, address, size, threshold, error), error)
        _, width, channels = engine.input_shape
        self.row_bytes = width * channels if frame is None else frame[0] * frame[2].bytes_per_pixel
        self._rows = _Rows([[] for _ in range(engine.model.num_ops)])
        if taps:
            rows = self._rows
            self.state.tap = _Tap(lambda context, op, y, row, size: rows.take(op, y, row, size))

    def push(self, row: Frame) -> None:
        """Takes the next row and runs all that it makes possible. ValueError for the wrong number of bytes, EngineError
        if the frame is complete."""
        if row.nbytes != self.row_bytes:
            raise ValueError(f"a row has {self.row_bytes} bytes, given {row.nbytes}")
        error = _Error()
        data: NDArray[Any] = np.ascontiguousarray(row)  # kept alive until the call is over
        library, arena = self.engine.library, self.arena.ctypes.data
        _check(library.rnnp_push(self.state, arena, data.ctypes.data, error), error)
        while library.rnnp_advance(self.state, arena):
            pass

    def push_frame(self, pixels: NDArray[np.uint8]) -> None:
        """All rows of the whole frame at once: its stored bytes, contiguous. EngineError if it is complete."""
        error = _Error()
        for _ in range(self.state.height):
            library, arena = self.engine.library, self.arena.ctypes.data
            _check(library.rnnp_push_from(self.state, arena, pixels.ctypes.data, error), error)
            while library.rnnp_advance(self.state, arena):
                pass

    def begin_scale(self, scale: int) -> None:
        """Another pass over the same frame. EngineError if this one is not complete."""
        error = _Error()
        call = self.engine.library.rnnp_begin_scale
        _check(call(self.state, self.arena.ctypes.data, self.arena.size, scale, error), error)

    @property
    def measured(self) -> Light:
        """The light that suits the rows pushed, of a complete run with measure."""
        return Light(self.state.measured.gain, self.state.measured.bias)

    def push_row(self, row: NDArray[Any]) -> None:
        """Takes a layer's next input row. ValueError for the wrong number of bytes, EngineError if it must wait."""
        if row.nbytes != self.row_bytes:
            raise ValueError(f"a row has {self.row_bytes} bytes, given {row.nbytes}")
        error = _Error()
        data: NDArray[Any] = np.ascontiguousarray(row)
        _check(self.engine.library.rnnp_layer_push(self.state, self.arena.ctypes.data, data.ctypes.data, error), error)

    def pull_row(self) -> NDArray[Any] | None:
        """A layer's next row [width, channels]: int8; DETECT_HEAD, DENSE: int16. None if it needs more input."""
        row = self.engine.library.rnnp_layer_pull(self.state, self.arena.ctypes.data)
        if row is None:
            return None
        info = self.engine.ops()[0]
        dtype = _output_type(info)
        size = info.shape[1] * info.shape[2] * dtype.itemsize
        return np.frombuffer(ctypes.string_at(row, size), dtype).reshape(info.shape[1:])

    @property
    def done(self) -> bool:
        """All rows taken, all results there."""
        return bool(self.state.done)

    def rows(self) -> list[list[bytes]]:
        """The rows that each operator has made so far. Only of a run with taps."""
        return self._rows.rows

    def outputs(self) -> list[NDArray[Any]]:
        """Every operator's output so far, [rows, width, channels], int8 (results: int16). Only of a run with taps."""
        found = []
        for info, rows in zip(self.engine.ops(), self._rows.rows, strict=True):
            found.append(np.frombuffer(b"".join(rows), _output_type(info)).reshape(len(rows), *info.shape[1:]))
        return found

    def detections(self, iou: int | None = None, max_detections: int = 512) -> list[Detection]:
        """Detections of a complete run, best first. iou: Q15, None for the model's own."""
        found = (_Detection * max(max_detections, 1))()
        count = ctypes.c_uint32()
        error = _Error()
        limit = self.engine.iou if iou is None else iou
        call = self.engine.library.rnnp_detections
        _check(call(self.state, self.arena.ctypes.data, limit, found, max_detections, count, error), error)
        return [
            Detection(d.x, d.y, d.w, d.h, d.score, (d.raw[0], d.raw[1], d.raw[2], d.raw[3]), d.anchor, d.label)
            for d in found[: count.value]
        ]

    def probabilities(self) -> list[int]:
        """The probability of each label, Q15, of a complete run."""
        out = np.zeros(self.engine.model.num_labels, np.uint16)
        error = _Error()
        call = self.engine.library.rnnp_probabilities
        _check(call(self.state, self.arena.ctypes.data, out.ctypes.data, error), error)
        return [int(p) for p in out]

    def raw(self) -> NDArray[Any]:
        """The result of a complete run as it is, [height, width, channels]: int16 logits, or an int8 map."""
        raw, error = _Raw(), _Error()
        call = self.engine.library.rnnp_raw
        _check(call(self.state, self.arena.ctypes.data, raw, error), error)
        dtype = np.dtype("<i2" if raw.value_bytes == 2 else "<i1")
        size = raw.width * raw.channels * raw.value_bytes
        rows = [ctypes.string_at(raw.values + y * raw.row_bytes, size) for y in range(raw.height)]
        return np.frombuffer(b"".join(rows), dtype).reshape(raw.height, raw.width, raw.channels)

    def crc(self) -> int:
        """CRC of the results (docs/arithmetic.md, section 5)."""
        return int(self.engine.library.rnnp_result_crc(self.state, self.arena.ctypes.data))
