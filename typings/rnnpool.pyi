"""Neural vision for microcontrollers: the MicroPython module `rnnpool`.

This file is the contract of the module's functions. A test holds it against the module (tests/micropython).

Frames are bytes: rows from the top, pixels from the left. Formats (docs/cameras.md says what sensors deliver):

    GRAY8             1 byte a pixel, 0 black .. 255 white; rows of a Y plane
    RGB565            2 bytes a pixel, low byte first, red in the top 5 bits (as in framebuf)
    RGB565_BE         the same, high byte first (as most sensors deliver it)
    RGB888, BGR888    3 bytes a pixel: red, green, blue; blue, green, red
    YUYV, UYVY        4 bytes for two pixels, Y U Y V or U Y V Y; the width is even
    YUV420            1.5 bytes a pixel: a whole frame that begins with its Y plane (I420, NV12, NV21), for gray models

A frame may have any size from 1x1 to 4096x4096: it is scaled to the model's input row by row, with its aspect kept, and
boxes come back in the pixels of the frame as it is stored. What describes a frame is the same for all that take one:

    width, height     pixels; 0: the model's own
    format            None: what the length tells, if it tells one (GRAY8, YUV420); else a ValueError names the choice.
                      Bytes that begin like a JPEG, PNG, BMP, ... file are refused then: pixels may, if it is named
    stride            bytes from row to row; 0: no gap. The gap behind the last row may be missing
    roi               (x, y, w, h): the part to look at. Whole frames only
    rotate            0, 90, 180, 270: degrees clockwise by which the picture must be turned to be upright. Whole frames
                      only
    mirror            True: the picture is mirrored left-right
    gain              what brightness is multiplied by, 1/256..8, or "auto": stretches what is there (of a whole frame;
                      of rows: what was there in the last image) to the full range; 1,024 bytes more of arena
    offset            what is added then, -255..255

Errors: TypeError, ValueError, OSError and MemoryError carry the numbers, e.g. `MemoryError: needs 57344 bytes, 40112
free, largest block 39000`. RuntimeError: calls in the wrong order. After any of them, and after Ctrl-C (which works
during inference, within a row's time), the model can be used again.
"""

from array import array
from typing import Literal, Protocol, overload

__version__: str
"""Version of the module, e.g. "0.1.0"."""

GRAY8: int
RGB565: int
RGB565_BE: int
RGB888: int
BGR888: int
YUYV: int
UYVY: int
YUV420: int

class Buffer(Protocol):
    """Any object with the buffer protocol: bytes, bytearray, memoryview, array, framebuf, a file in ROMFS, ...

    Not str. A name for this file only: the module has no such class.
    """

    def __buffer__(self, flags: int, /) -> memoryview: ...

class Path(Protocol):
    """A path that is no str, such as pathlib.Path: of CPython alone, and for this file only."""

    def __fspath__(self) -> str: ...

Box = tuple[int, int, int, int, float]
"""(x, y, width, height, score): frame pixels, within the frame, width and height at least 1; score 0..1.

Of a model with several labels there is a sixth item, the number of the label.

A name for this file only.
"""

def builtin_models() -> tuple[str, ...]:
    """Names of the models in the firmware, any of which Model() takes."""

def required_ram(
    source: str | Path | Buffer,
    *,
    width: int = 0,
    height: int = 0,
    format: int | None = None,
    stride: int = 0,
    roi: tuple[int, int, int, int] | None = None,
    rotate: int = 0,
    mirror: bool = False,
    gain: float | Literal["auto"] | None = None,
    offset: int = 0,
    scale: float | tuple[float, ...] | None = None,
) -> int:
    """Bytes of arena that a model needs, before anything is allocated for it.

    source          as for Model. A model that can't be used in place is read into the heap while it is looked at.
    width ... scale of the frames to come, as for Model.detect(); width and height 0: the model's own. Format, stride
                    and mirror make no difference; gain="auto" takes 1,024 bytes. Smaller frames, and larger ones
                    of another aspect, may need more; 4096x2 needs as much as any without gain="auto" and scale.
    Errors          ValueError for what is no model, size or option, OSError, MemoryError.
    """

class Model:
    """A model and the memory it runs in. One model runs one image at a time.

    A model is checked completely when it is made: one that is damaged, truncated or too new is refused.
    """

    def __init__(
        self,
        source: str | Path | Buffer,
        *,
        arena: bytearray | memoryview | None = None,
        width: int = 0,
        height: int = 0,
    ) -> None:
        """Makes a model. Nothing is allocated after this while frames need no more memory than those announced here.

        source          the model's name, the path of the `.rnnp` file, or an object that holds its bytes. A str
                        without slash and dot is a name: of a model in the firmware (builtin_models()), or else of a
                        file NAME.rnnp in /rom, /lib or /flash/lib; any other str is a path. Used in place, without a
                        copy, if the bytes are in memory at a multiple of 8: in the firmware, a file in ROMFS (see
                        docs/api.md), bytes, a bytearray. Otherwise (a file on flash or SD card, an odd address) it is
                        copied to the heap. Must
                        not be changed while an image is on its way. Kept alive, like arena.
        arena           memory to work in: a writable buffer of at least required_ram() + 7 bytes (7 for the alignment),
                        which nobody else may write to while an image is on its way; models may take turns in one.
                        None: allocated on the heap, and again, larger, if a frame needs more.
        width, height   of the frames to come that need the most, 1..4096; 0: the model's own. See required_ram().

        Errors: ValueError: no model, or damaged, with the field and both numbers; a str with a NUL byte.
        OSError: no such file or name. TypeError: source has no buffer, arena is not writable.
        MemoryError: needed and available bytes, of the heap or of the arena.
        """

    @property
    def task(self) -> Literal["detection", "classification", "map", "numbers"]: ...
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; of a map's channels; for a detector, of what it detects."""
    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the model's own input."""
    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of what run() gives; a detector has none."""
    @property
    def output_scale(self) -> float:
        """What run() gives is real = output_scale * (value - output_zero_point); a detector has none."""
    @property
    def output_zero_point(self) -> int: ...
    @property
    def ram(self) -> int:
        """Bytes of arena that the model needs for the largest frame so far, or announced."""
    @property
    def size(self) -> int:
        """Bytes of the model itself."""
    @property
    def in_place(self) -> bool:
        """True if the model's bytes are used where they are, False if they were copied to the heap."""
    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""

    @overload
    def detect(
        self,
        frame: Buffer,
        *,
        width: int = 0,
        height: int = 0,
        format: int | None = None,
        stride: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        rotate: Literal[0, 90, 180, 270] = 0,
        mirror: bool = False,
        gain: float | Literal["auto"] | None = None,
        offset: int = 0,
        scale: float | tuple[float, ...] | None = None,
        threshold: float | None = None,
        iou: float | None = None,
        max_faces: int = 0,
        out: None = None,
    ) -> list[Box]: ...
    @overload
    def detect(
        self,
        frame: Buffer,
        *,
        width: int = 0,
        height: int = 0,
        format: int | None = None,
        stride: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        rotate: Literal[0, 90, 180, 270] = 0,
        mirror: bool = False,
        gain: float | Literal["auto"] | None = None,
        offset: int = 0,
        scale: float | tuple[float, ...] | None = None,
        threshold: float | None = None,
        iou: float | None = None,
        max_faces: int = 0,
        out: bytearray | memoryview | array[int],
    ) -> int:
        """What is in a frame, best first.

        frame           exactly width * height pixels: bytes (0..255), or 16-bit words in formats of two bytes. Must
                        not overlap the arena.
        width ... offset    see the top of this file
        scale           of the size that fits the model's input, above 0 and at most 1: 0.5 finds faces twice as large.
                        Up to four, (1, 0.5) say: a pass over the frame for each, so that much more time; what they find
                        is suppressed together. None: 1
        threshold       least score, 0..1; None: the model's own
        iou             boxes that overlap a better one by more than this (intersection over union) are dropped, 0..1;
                        None: the model's own
        max_faces       at most so many, 1..64; 0: 64
        out             None: returns a list of (x, y, width, height, score).
                        An array('h') or a bytearray: gets a record of 5 int16 for each (x, y, width, height, score in
                        1/32768; of a model with several labels a sixth, the label's number), as many as have room,
                        and their number is returned. This way nothing is allocated: it works under
                        micropython.heap_lock(), if the arena is large enough already.

        Abandons an image that was begun with begin().

        Errors: ValueError: wrong length, size, format or limit, all with the numbers; arena, frame, out or source
        overlap; a model that classifies. TypeError. MemoryError: a frame that needs more arena than there is.
        RuntimeError: the model is in use (called from a callback during its own inference), or a callback changed its
        source or arena.
        """

    @overload
    def classify(
        self,
        frame: Buffer,
        *,
        width: int = 0,
        height: int = 0,
        format: int | None = None,
        stride: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        rotate: Literal[0, 90, 180, 270] = 0,
        mirror: bool = False,
        gain: float | Literal["auto"] | None = None,
        offset: int = 0,
        out: None = None,
    ) -> tuple[float, ...]: ...
    @overload
    def classify(
        self,
        frame: Buffer,
        *,
        width: int = 0,
        height: int = 0,
        format: int | None = None,
        stride: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        rotate: Literal[0, 90, 180, 270] = 0,
        mirror: bool = False,
        gain: float | Literal["auto"] | None = None,
        offset: int = 0,
        out: bytearray | memoryview | array[int],
    ) -> int:
        """The probability of each of the model's labels, 0..1, in their order; together they make 1, nearly.

        frame, width ... offset    as for detect(): frames are scaled with their aspect kept, nothing is cut off
        out             None: returns a tuple. An array('h') or a bytearray with room for one int16 a label: gets the
                        probabilities in 1/32768, and their number is returned; then nothing is allocated.

        Abandons an image that was begun with begin(). Errors as for detect(); ValueError for a model that detects.
        """

    @overload
    def run(
        self,
        frame: Buffer,
        *,
        width: int = 0,
        height: int = 0,
        format: int | None = None,
        stride: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        rotate: Literal[0, 90, 180, 270] = 0,
        mirror: bool = False,
        gain: float | Literal["auto"] | None = None,
        offset: int = 0,
        out: None = None,
    ) -> array[int]: ...
    @overload
    def run(
        self,
        frame: Buffer,
        *,
        width: int = 0,
        height: int = 0,
        format: int | None = None,
        stride: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        rotate: Literal[0, 90, 180, 270] = 0,
        mirror: bool = False,
        gain: float | Literal["auto"] | None = None,
        offset: int = 0,
        out: bytearray | memoryview | array[int],
    ) -> int:
        """What the last operator gives, as it is: a map, or a classifier's logits.

        frame, width ... offset    as for detect()
        out             None: returns an array, 'b' of a map (rows of pixels of channels), 'h' of logits.
                        An array of that kind or a bytearray with room for all values: gets them, and their number
                        is returned; then nothing is allocated.

        real = output_scale * (value - output_zero_point). Abandons an image that was begun with begin(). Errors as for
        detect(); ValueError for a model that detects.
        """

    def begin(
        self,
        *,
        width: int = 0,
        height: int = 0,
        format: int | None = None,
        stride: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        rotate: Literal[0, 90, 180, 270] = 0,
        mirror: bool = False,
        gain: float | Literal["auto"] | None = None,
        offset: int = 0,
        scale: float | None = None,
        threshold: float | None = None,
    ) -> None:
        """Begins an image whose rows come later. Abandons one that was begun before.

        Arguments and errors as for detect(), but there is no frame yet to tell the format by: None is GRAY8 for a model
        with one channel, and a ValueError for one with three. Rows come from the top and are not kept, so roi= and
        rotate= are refused, and so are several scales; YUV420's Y plane is fed as GRAY8. A threshold and a scale are
        for models that detect only.
        """

    def feed(self, rows: Buffer) -> int:
        """Takes the next rows, any number of them, and computes what it can. Returns how many are still wanted.

        rows            a whole number of rows, not more than are wanted; may be empty. With stride= of begin(), rows so
                        far apart; the gap behind the last one may be missing, and then is in all that follow

        Errors: ValueError for bytes that are no whole number of rows or too many, TypeError: nothing was taken.
        RuntimeError: no image was begun, it was interrupted (Ctrl-C), or its source or arena has changed: begin().
        """

    @overload
    def result(
        self, *, iou: float | None = None, max_faces: int = 0, out: None = None
    ) -> list[Box] | tuple[float, ...] | array[int]: ...
    @overload
    def result(self, *, iou: float | None = None, max_faces: int = 0, out: bytearray | memoryview | array[int]) -> int:
        """What is in the image when all rows are there; also again after detect(), say with another `iou`.

        Arguments and values as for detect(), classify(), or for run() of a map or of numbers
        model. RuntimeError: no image, or rows are missing.
        """

    def layers(self) -> list[tuple[str, tuple[int, int, int], int, int]]:
        """The operators in order: (kind, (height, width, channels) of the output, bytes of arena, multiply-adds).

        Kinds: "conv", "rnnpool", "inverted_residual", "detect_head", "global_average_pool", "dense", "depthwise",
        "pool", "add", "concat", "lookup", "mul", "upsample", "l2_norm". The bytes of operators that never work
        at the same time may overlap, so their sum can exceed `ram`.
        """

    def selftest(self) -> bool:
        """True if this board computes exactly what it should.

        Runs a generated image through the model and compares with the value that is stored in it. Abandons an image
        that was begun. Allocates one row. MemoryError.
        """

@overload
def detect_faces(
    frame: Buffer,
    *,
    width: int = 0,
    height: int = 0,
    format: int | None = None,
    stride: int = 0,
    roi: tuple[int, int, int, int] | None = None,
    rotate: Literal[0, 90, 180, 270] = 0,
    mirror: bool = False,
    gain: float | Literal["auto"] | None = None,
    offset: int = 0,
    scale: float | tuple[float, ...] | None = None,
    threshold: float | None = None,
    iou: float | None = None,
    max_faces: int = 0,
    out: None = None,
) -> list[Box]: ...
@overload
def detect_faces(
    frame: Buffer,
    *,
    width: int = 0,
    height: int = 0,
    format: int | None = None,
    stride: int = 0,
    roi: tuple[int, int, int, int] | None = None,
    rotate: Literal[0, 90, 180, 270] = 0,
    mirror: bool = False,
    gain: float | Literal["auto"] | None = None,
    offset: int = 0,
    scale: float | tuple[float, ...] | None = None,
    threshold: float | None = None,
    iou: float | None = None,
    max_faces: int = 0,
    out: bytearray | memoryview | array[int],
) -> int:
    """The faces in a frame, best first: Model.detect() of the face model in the firmware.

    The model is Model("face"), so in a firmware without one /rom/face.rnnp; OSError (ENOENT) if that is missing too. It
    is made when this is first called (then the arena is allocated) and kept until the next soft reset. Otherwise as
    Model.detect(), with 320x240 the model's own size.
    """

def person_present(
    frame: Buffer,
    *,
    width: int = 0,
    height: int = 0,
    format: int | None = None,
    stride: int = 0,
    roi: tuple[int, int, int, int] | None = None,
    rotate: Literal[0, 90, 180, 270] = 0,
    mirror: bool = False,
    gain: float | Literal["auto"] | None = None,
    offset: int = 0,
) -> float:
    """The probability that there is a person in the frame, 0..1: Model.classify() of the person model in the firmware.

    It is Model("person"), made when first called and kept, with errors as for detect_faces(). The probability is that
    of the model's last label. Otherwise as Model.classify(), with 224x224 the usual size of a model's own.
    """

class _Layer:
    """A single operator that takes rows of a map and gives rows of a map, for networks that a script composes itself.

    Chain them: what one gives, the next takes. `python -m rnnpool_training.layers MODEL.rnnp --out FOLDER` makes the
    blobs, one an operator. A name for this file only.

        def push(layers, outs, row):               # outs: a bytearray for an output row of each layer
            layer, out = layers[0], outs[0]
            more = layer.feed(row, out)
            while more:
                if len(layers) > 1:
                    push(layers[1:], outs[1:], out)
                more = layer.feed(None, out)
    """

    def __init__(self, source: str | Path | Buffer, *, arena: bytearray | memoryview | None = None) -> None:
        """Makes an operator of its blob. As Model(), and ValueError if the blob holds another kind of operator."""

    @property
    def name(self) -> str: ...
    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the map that it takes."""
    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the map that it gives."""
    @property
    def ram(self) -> int:
        """Bytes of arena that it needs."""
    @property
    def size(self) -> int:
        """Bytes of the blob."""
    @property
    def in_place(self) -> bool: ...
    @property
    def macs(self) -> int:
        """Multiply-adds for one map."""

    def begin(self) -> None:
        """Begins a map anew. Only needed to abandon one: the first row, and the row after a complete map, begin one."""

    def feed(self, row: Buffer | None, out: bytearray | memoryview | array[int]) -> bool:
        """Takes the next row of the input, and writes the next row of the output if there is one. Allocates nothing.

        row     width * channels int8 values (array('b'), bytes, ...); of a model's first operator: pixels, 0..255.
                None: no row; is there one more of the output?
        out     gets width * channels int8 values; from Dense and Head int16, Q12. May be longer.

        Returns whether `out` was written. A row can make several: call feed(None, out) until it returns False, before
        the next row comes.

        Errors: ValueError: wrong length; row, out, arena or source overlap. TypeError. RuntimeError: output rows are
        left; the operator is in use; its source or arena was changed.
        """

    def selftest(self) -> bool:
        """As Model.selftest()."""

class Conv2D(_Layer):
    """Convolution, 1x1 or 3x3, stride 1 or 2, with its bias, activation and requantization."""

class RNNPool(_Layer):
    """RNNPool over patches of the map (Saha et al. 2020)."""

class MBConv(_Layer):
    """Inverted residual: 1x1 expansion, depthwise 3x3, 1x1 projection, perhaps with the residual."""

class AveragePool(_Layer):
    """Mean of each channel over the whole map: one row of one pixel."""

class Dense(_Layer):
    """Dense layer of a map of one pixel: int16 logits in 1/4096."""

class Head(_Layer):
    """Detection head: int16 rows in Q12 (1/4096), for each anchor of each cell logit, dx, dy, tw, th.

    The score is sigmoid(logit). The box of anchor (aw, ah) at cell x, y has its centre at ((x + 0.5) * step + aw * dx,
    (y + 0.5) * step + ah * dy) and the sides aw * 2 ** tw, ah * 2 ** th, in pixels of the network's input.
    """

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """(width, height) of each anchor in pixels of the network's input; output_shape[2] is 5 times their number."""
    @property
    def step(self) -> int:
        """Pixels of the network's input between two cells."""
