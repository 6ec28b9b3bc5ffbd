"""A network as torch.export traces it: its program, one traced operation with its arguments, what to use instead."""

from __future__ import annotations

import logging
import operator
import warnings
from collections.abc import Collection, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import OutputKind

from ... import rnnpool2d as _rnnpool2d  # registers rnnpool::pool
from ...errors import InputError
from ..graph import Shape

assert _rnnpool2d

# What to use instead of operations that are often met.
INSTEAD = {
    "conv_transpose2d": "nn.Upsample(scale_factor=2) and a convolution",
    "upsample_bilinear2d": "mode='nearest' with a whole factor",
    "upsample_bicubic2d": "mode='nearest' with a whole factor",
    "layer_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "native_layer_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "group_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "native_group_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "instance_norm": "nn.BatchNorm2d, which is folded into the convolution before it",
    "prelu": "one slope for all channels (nn.PReLU(), nn.LeakyReLU())",
    "scaled_dot_product_attention": "convolutions, squeeze and excitation, or RNNPool2d",
    "native_dropout": "F.dropout(x, p, self.training)",
    "_native_batch_norm_legit": "the statistics of training (track_running_stats=True, and module.eval())",
    "_native_batch_norm_legit_functional": "the statistics of training (training=False, and module.eval())",
    "argmax": "the logits: the board finds the largest",
    "lstm": "RNNPool2d",
    "gru": "RNNPool2d",
    "conv1d": "nn.Conv2d with a kernel of one row",
    "select": "a convolution with fewer outputs",
    "permute": "maps as (N, C, H, W) throughout",
    "transpose": "maps as (N, C, H, W) throughout",
    "pixel_shuffle": "nn.Upsample(scale_factor=2) and a convolution",
    "maximum": "the sum of the two maps",
    "minimum": "the sum of the two maps",
}


@dataclass
class Call:
    """One traced operation with its arguments in place."""

    node: fx.Node
    positional: tuple[Any, ...]
    named: dict[str, Any]
    maps: list[fx.Node]  # the traced nodes of maps among them

    def __post_init__(self) -> None:
        schema = getattr(self.node.target, "_schema", None)
        names = [a.name for a in schema.arguments] if schema else []
        self.arguments: dict[str, Any] = dict(zip(names, self.positional, strict=False)) | self.named

    @property
    def name(self) -> str:
        """The operation without its overload: conv2d."""
        return operation(self.node)

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the result, batch first."""
        value = self.node.meta["val"]
        return tuple(int(n) for n in (value[0] if isinstance(value, tuple | list) else value).shape)

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def where(self) -> str:
        """Module, operation and shape, for people."""
        stack = self.node.meta.get("nn_module_stack") or {}
        path, kind = list(stack.values())[-1] if stack else ("", "")
        kind = kind if isinstance(kind, str) else kind.__name__
        module = f"{path} ({kind.rsplit('.', 1)[-1]})" if path else "the network itself"
        shapes = " and ".join("x".join(str(int(s)) for s in n.meta["val"].shape[1:]) or "-" for n in self.maps[:2])
        return f"{module}: {self.name}{' of ' + shapes if shapes else ''}"

    def fail(self, what: str = "not supported") -> InputError:
        """The error for what can't be translated."""
        instead = f"; use {INSTEAD[self.name]} instead" if self.name in INSTEAD else ""
        return InputError(f"{self.where}: {what}{instead}")


def operation(node: fx.Node) -> str:
    """The name of what a traced node calls."""
    name = getattr(node.target, "_opname", None) or getattr(node.target, "__name__", str(node.target))
    return str(name).rstrip("_") if not str(name).startswith("_") else str(name)


def pair(value: Any, default: int = 0) -> tuple[int, int]:
    """A number for both axes, or one for each."""
    if value is None or (isinstance(value, Sequence) and not value):
        return default, default
    if isinstance(value, Sequence):
        return (int(value[0]), int(value[-1]))
    return int(value), int(value)


def trace(module: nn.Module, shape: Shape, known: Collection[str]) -> torch.export.ExportedProgram:
    """The module's program for a picture of `shape`, with nothing in it that is not `known` but has a decomposition.

    InputError if torch.export can't trace it.
    """
    height, width, channels = shape
    module.eval()
    try:
        # What PyTorch says about itself, and graphs that it prints when it can't go on.
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            program = _trace(module, torch.zeros(1, channels, height, width), known)
    except Exception as error:  # of many kinds; what the network itself raises for a picture of this shape among them
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the network can't be traced with a picture of {channels}x{height}x{width}: "
            f"{type(error).__name__}: {first}"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    written = [str(spec.target) for spec in program.graph_signature.output_specs if spec.kind != OutputKind.USER_OUTPUT]
    if written:
        raise InputError(f"the network writes to {', '.join(written)} when it is run: make a new tensor instead")
    return program


def _trace(module: nn.Module, example: Tensor, known: Collection[str]) -> torch.export.ExportedProgram:
    program = torch.export.export(module, (example,)).run_decompositions({})
    calls = [n for n in program.graph.nodes if n.op == "call_function" and n.target is not operator.getitem]
    unknown = {n.target for n in calls if not _known(n, known) and operation(n) not in INSTEAD}
    wanted = {target: rule for target, rule in torch.export.default_decompositions().items() if target in unknown}
    return program.run_decompositions(wanted) if wanted else program


def _known(node: fx.Node, known: Collection[str]) -> bool:
    tags = getattr(node.target, "tags", ())
    return operation(node) in known or torch.Tag.pointwise in tags
