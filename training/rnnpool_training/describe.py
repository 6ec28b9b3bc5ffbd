"""Parts of a model in words: shapes, what sets operators apart, what regions of the arena are for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .blob import Conv, Depthwise, DetectHead, InvertedResidual, Model, Op, Pool, RNNPool, Upsample
from .engine import Region


def shape_text(shape: Sequence[int]) -> str:
    """(240, 320, 1) as 240x320x1: height, width, channels."""
    return "x".join(map(str, shape))


def attributes(op: Op) -> str:
    """What sets an operator apart from others of its kind."""
    if isinstance(op, (Conv, Depthwise, Pool)):
        found = ["x".join(map(str, op.window)), "stride " + "x".join(map(str, dict.fromkeys(op.strides)))]
        found += ["padded " + " ".join(map(str, op.pads))] if op.padding else []
        found += ["mean" if op.mean else "largest"] if isinstance(op, Pool) else []
        found += ["projected"] if isinstance(op, Depthwise) and op.project_weight is not None else []
    elif isinstance(op, Upsample):
        found = [f"by {op.factor}"]
    elif isinstance(op, RNNPool):
        found = [
            f"patch {op.patch_height}x{op.patch_width}",
            f"stride {op.stride}",
            f"h1 {len(op.w1)}",
            f"h2 {len(op.w2)}",
        ]
        found += ["smooth" if op.smooth else "hard"]
        found += [f"padded {op.pad_bottom} down, {op.pad_right} right"] if op.pad_bottom or op.pad_right else []
    elif isinstance(op, InvertedResidual):
        found = [f"mid {len(op.expand_weight)}", f"stride {op.stride}"]
        found += ["residual"] if op.residual is not None else []
    elif isinstance(op, DetectHead):
        sides = ", ".join(f"{w / 16:g}x{h / 16:g}" for w, h in op.anchors.tolist())
        found = [f"{op.weight.shape[1]}x{op.weight.shape[2]}", f"step {op.step}", f"anchors {sides}"]
    else:
        found = []
    return ", ".join(found + (["materialized"] if op.materialize else []))


def parameter_bytes(op: Op) -> int:
    """Bytes of an operator's arrays, without padding."""
    return sum(value.nbytes for value in vars(op).values() if isinstance(value, np.ndarray))


def region_name(model: Model, region: Region) -> str:
    """What a part of the arena is for."""
    return region.what if region.op < 0 else f"{region.op} {model.ops[region.op].kind.name.lower()}: {region.what}"
