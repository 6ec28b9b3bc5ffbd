"""Detection head."""

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import layout
from ..kinds import Kind, Task
from .base import Arrays, Own, Record, UInt16, check_equal, fail
from .conv import Convolution
from .window import WINDOW


@dataclass(eq=False, kw_only=True)
class DetectHead(Convolution):
    """A convolution to int16 in Q12: logits of the classes, dx, dy, tw, th an anchor (docs/arithmetic.md, 2 and 4)."""

    kind: ClassVar[Kind] = Kind.DETECT_HEAD
    result: ClassVar[Task | None] = Task.DETECTION
    fixed_zero_point: ClassVar[bool] = True
    unclamped: ClassVar[bool] = True
    own: ClassVar[tuple[Own, ...]] = (
        *WINDOW,
        Own("step", "<u2", 1, 512),
        Own("num_anchors", "u1", 1, 8),
        Own("more_classes", "u1", 0, 255),
    )

    # [(classes + 4) * anchors, ...] weights, biases and multipliers; these have 24 fraction bits
    anchors: UInt16  # [anchors, 2]: width, height in 1/16 pixel of the model's input, 1..32767
    step: int  # pixels of the model's input a cell
    classes: int = 1  # 1..256

    def own_fields(self) -> dict[str, int]:
        """The window, step and anchors."""
        return super().own_fields() | {
            "step": self.step,
            "num_anchors": len(self.anchors),
            "more_classes": self.classes - 1,
        }

    @classmethod
    def attributes(cls, r: Record) -> dict[str, Any]:
        """Stride, padding, step, classes."""
        return super().attributes(r) | {"step": r["step"], "classes": r["more_classes"] + 1}

    @classmethod
    def arrays(cls, r: Record) -> list[layout.ArrayLayout]:
        """Those of a convolution, then the anchors."""
        return [*super().arrays(r), ("anchors", "<u2", (r["num_anchors"], 2))]

    @classmethod
    def check(cls, r: Record, inputs: list[Record], index: int) -> None:
        """A logit a class and four numbers an anchor; the window."""
        check_equal(r, index, out_channels=(r["more_classes"] + 5) * r["num_anchors"])
        super().check(r, inputs, index)

    @classmethod
    def check_arrays(cls, r: Record, arrays: Arrays, index: int) -> None:
        """Sides of anchors, the overflow rule."""
        wrong = arrays["anchors"][(arrays["anchors"] < 1) | (arrays["anchors"] > 32767)]
        if wrong.size:
            fail("anchors", "1..32767", int(wrong[0]), index)
        super().check_arrays(r, arrays, index)
