"""Rules for layers: what makes a map of a map by weights, windows or a change of shape."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from ...blob.layout import MAX_INPUTS
from ...errors import InputError
from ..graph import (
    NO_PADDING,
    Affine,
    Cell,
    Concat,
    Conv,
    Depthwise,
    GlobalAverage,
    Node,
    Padding,
    Pool,
    RNNPool,
    Upsample,
)
from . import channels
from .program import Call, pair
from .values import Pad, Softmax, Value, Values


def convolution(t: Values, call: Call) -> Value:
    """nn.Conv2d; groups other than channels, and dilation, become zeros among the weights."""
    x = t.map(call)
    weight, bias = t.constant(call, "weight"), t.constant(call, "bias")
    assert weight is not None
    outputs, groups, size = int(weight.shape[0]), int(call["groups"] or 1), tuple(weight.shape[2:])
    dilation, stride = pair(call["dilation"], 1), pair(call["stride"], 1)
    if dilation != (1, 1):  # zeros between the weights
        spread = weight.new_zeros((*weight.shape[:2], *((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))))
        spread[:, :, :: dilation[0], :: dilation[1]] = weight
        weight, size = spread, tuple(spread.shape[2:])
        t.notes.append(f"{call.where}: dilation {dilation} is a kernel of {size[0]}x{size[1]} with zeros in it")
    padding = _padding(call, size)
    check_padding(call.where, padding, size)
    given: dict[str, Any] = {
        "where": call.where,
        "shape": t.shape(call),
        "inputs": [x],
        "bias": weight.new_zeros(outputs) if bias is None else bias,
        "stride": stride,
        "padding": padding,
    }
    if groups == outputs == x.shape[2] and groups > 1:
        return Depthwise(weight=weight, **given)
    if groups > 1:
        inputs = x.shape[2] // groups
        full = weight.new_zeros((outputs, x.shape[2], *size))
        for i in range(outputs):
            first = i // (outputs // groups) * inputs
            full[i, first : first + inputs] = weight[i]
        weight = full
        t.notes.append(f"{call.where}: {groups} groups are one convolution, {groups} times the multiply-adds")
    return Conv(weight=weight, **given)


def _padding(call: Call, size: tuple[int, ...]) -> Padding:
    """Zeros on each side; "same" puts the odd one at the bottom and right, as PyTorch does."""
    given = call["padding"]
    if given == "same":
        rows, columns = size[0] - 1, size[1] - 1
        return rows // 2, columns // 2, rows - rows // 2, columns - columns // 2
    v, h = pair(None if given == "valid" else given)
    return v, h, v, h


def check_padding(where: str, padding: Padding, window: tuple[int, ...]) -> None:
    """InputError if a window would lie in the padding alone, which no operator of a blob can do."""
    if any(side >= window[i % 2] for i, side in enumerate(padding)):
        shown = ", ".join(map(str, padding))
        raise InputError(
            f"{where}: padding of {shown} (top, left, bottom, right) for a window of {window[0]}x{window[1]}: less "
            "than the window is needed on each side"
        )


def linear(t: Values, call: Call) -> Value:
    """nn.Linear: of a flattened map a convolution whose kernel is the whole map."""
    x, weight, bias = t.source(call), t.constant(call, "weight"), t.constant(call, "bias")
    assert weight is not None
    h, w, c = x.shape
    if weight.shape[1] != h * w * c:
        raise call.fail("of rows of a map: a vector is needed")
    return Conv(
        where=call.where, shape=t.shape(call), inputs=[x], weight=weight.reshape(-1, c, h, w),
        bias=weight.new_zeros(weight.shape[0]) if bias is None else bias,
    )  # fmt: skip


def one_batch_norm(t: Values, call: Call) -> Value:
    """nn.BatchNorm2d, by its statistics."""
    x, (mean, variance) = t.source(call), (t.constant(call, f"running_{n}") for n in ("mean", "var"))
    if mean is None or variance is None:
        raise call.fail("without statistics (track_running_stats=False)")
    weight, bias = t.constant(call, "weight"), t.constant(call, "bias")
    factor = (torch.ones_like(mean) if weight is None else weight) / torch.sqrt(variance + call["eps"])
    offset = -mean * factor + (0 if bias is None else bias)
    return affine(call, x, factor, offset)


def batch_norm(t: Values, call: Call) -> Value:
    """The same, as an operation of several results."""
    return (one_batch_norm(t, call),)


def affine(call: Call, x: Node, factor: Tensor, offset: Tensor) -> Node:
    """A factor and an offset a channel."""
    return Affine(where=call.where, shape=x.shape, inputs=[x], factor=factor, offset=offset)


def pool(t: Values, call: Call) -> Value:
    """nn.MaxPool2d, nn.AvgPool2d, with padding and ceil_mode."""
    x, mean, out = t.map(call), call.name == "avg_pool2d", t.shape(call)
    size = pair(call["kernel_size"])
    stride, pads = pair(call["stride"]) if call["stride"] else size, pair(call["padding"])
    if pair(call["dilation"], 1) != (1, 1):
        raise call.fail("dilation")
    if call["divisor_override"]:
        raise call.fail("divisor_override")
    # ceil_mode: as many rows and columns more as the last window needs, which do not count.
    ends = [(out[i] - 1) * stride[i] + size[i] - x.shape[i] - pads[i] for i in range(2)]
    ends = [end if call["ceil_mode"] else pads[i] for i, end in enumerate(ends)]
    padding = (*pads, max(ends[0], 0), max(ends[1], 0))
    if mean and any(pads) and call["count_include_pad"] is not False:
        if call["ceil_mode"]:
            raise call.fail("padding that counts, with ceil_mode; use count_include_pad=False")
        weight = torch.full((x.shape[2], 1, *size), 1 / (size[0] * size[1]))
        return Depthwise(
            where=call.where, shape=out, inputs=[x], weight=weight, bias=torch.zeros(x.shape[2]), stride=stride,
            padding=padding,
        )  # fmt: skip
    if mean and size == x.shape[:2] and not any(padding):
        return GlobalAverage(where=call.where, shape=out, inputs=[x])
    return Pool(
        where=call.where, shape=out, inputs=[x], window=size, stride=stride, padding=padding, mean=mean
    )  # fmt: skip


def adaptive_pool(t: Values, call: Call) -> Value:
    """nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d to a size that divides the map."""
    x, out, mean = t.map(call), t.shape(call), "avg" in call.name
    if mean and out[:2] == (1, 1):
        return GlobalAverage(where=call.where, shape=out, inputs=[x])
    if x.shape[0] % out[0] or x.shape[1] % out[1]:
        raise call.fail(f"to {out[0]}x{out[1]}: the map's sides must be multiples of it")
    size = (x.shape[0] // out[0], x.shape[1] // out[1])
    made = Pool(where=call.where, shape=out, inputs=[x], window=size, stride=size, padding=NO_PADDING, mean=mean)
    return made if mean or call.name == "max_pool2d" else (made,)


def mean(t: Values, call: Call) -> Value:
    """The mean, or the largest value, over rows and columns; the mean over channels (keepdim=True)."""
    x = t.map(call)
    axes = sorted(int(a) % 4 for a in call["dim"] or ())
    if axes == [1] and call.name == "mean" and len(call.out) == 4:
        return channels.total(t, call, mean=True)
    if axes != [2, 3] or (call.name == "mean" and call["dtype"] not in (None, torch.float32)):
        raise call.fail(f"over axes {axes}: rows and columns, (2, 3), are needed")
    h, w, c = x.shape
    if call.name == "mean":
        return GlobalAverage(where=call.where, shape=(1, 1, c), inputs=[x])
    return Pool(
        where=call.where, shape=(1, 1, c), inputs=[x], window=(h, w), stride=(1, 1), padding=NO_PADDING, mean=False
    )  # fmt: skip


def concat(t: Values, call: Call) -> Value:
    """torch.cat by channels; of more than 8 maps in several operators."""
    given = call["tensors"]
    if not all(isinstance(x, Node) for x in given) or len(call.out) not in (2, 4):
        raise call.fail("of constants" if len(call.out) in (2, 4) else f"to {call.out}")
    if int(call["dim"] or 0) % len(call.out) != 1:
        raise call.fail(f"along axis {call['dim']}: 1, the channels, is needed")
    if len(call.out) == 2 and any(x.shape[:2] != (1, 1) for x in given):
        raise call.fail("of flattened maps; join the maps before they are flattened")
    inputs: list[Node] = list(given)
    while len(inputs) > MAX_INPUTS:
        first = inputs[:MAX_INPUTS]
        shape = (*first[0].shape[:2], sum(x.shape[2] for x in first))
        inputs = [Concat(where=call.where, shape=shape, inputs=first), *inputs[MAX_INPUTS:]]
    return inputs[0] if len(inputs) == 1 else Concat(where=call.where, shape=t.shape(call), inputs=inputs)


def upsample(t: Values, call: Call) -> Value:
    """nn.Upsample, nearest, by a whole factor."""
    x, out = t.map(call), t.shape(call)
    factor = out[0] // x.shape[0]
    if (out[0], out[1]) != (x.shape[0] * factor, x.shape[1] * factor):
        raise call.fail(f"to {out[0]}x{out[1]}: one whole factor for both sides is needed")
    return x if factor == 1 else Upsample(where=call.where, shape=out, inputs=[x], factor=factor)


def pad(t: Values, call: Call) -> Value:
    """Padding with zeros, which the convolution behind it does."""
    x, sides = t.map(call), [int(n) for n in call["pad"]] + [0] * 4
    if (call["mode"] or "constant") != "constant" or call["value"]:
        raise call.fail(f"with {call['mode'] if call['mode'] != 'constant' else call['value']}: zeros are needed")
    left, right, top, bottom = sides[:4]
    if min(sides) < 0 or any(sides[4:]):
        raise call.fail(f"by {call['pad']}: rows and columns can be padded")
    return Pad(where=call.where, shape=t.shape(call), inputs=[x], padding=(top, left, bottom, right))


def view(t: Values, call: Call) -> Value:
    """A change of shape that keeps all values in their order: of a map to a vector, or none at all."""
    x = t.source(call)
    h, w, c = x.shape
    groups = channels.grouped(call, x)
    if groups is not None:
        return groups
    if call.out not in ((1, c, h, w), (1, h * w * c), (h * w * c,)):
        raise call.fail(f"of a map {c}x{h}x{w} to {'x'.join(map(str, call.out))}: only flattening is possible")
    return x


def select(t: Values, call: Call) -> Value:
    """The only row or column of a map: `x[:, :, 0, 0]` of one pixel."""
    x = t.source(call)
    sizes = call.maps[0].meta["val"].shape
    axis = int(call["dim"]) % len(sizes)
    if axis < 2 or sizes[axis] != 1:
        raise call.fail(f"of axis {axis}, which has {sizes[axis]} parts")
    return x


def same(t: Values, call: Call) -> Value:
    """What changes nothing in evaluation."""
    return t.source(call)


def rnnpool(t: Values, call: Call) -> Value:
    """RNNPool2d (rnnpool_training.rnnpool2d), without padding."""
    x = t.map(call, "x")
    fields = ("w", "u", "bias_gate", "bias_update", "zeta", "nu")
    cells = [Cell(*(t.constant(call, f"{f}{i}") for f in fields)) for i in (1, 2)]  # type: ignore[arg-type]
    stride, window, shape = pair(call["stride"]), pair(call["kernel"]), t.shape(call)
    # Where there is a single window the stride is of no account.
    both = {stride[i] for i in range(2) if shape[i] > 1} or {stride[0]}
    found = both.pop()
    if any(call["padding"]) or both or any(shape[i] == 1 and x.shape[i] - window[i] >= found for i in range(2)):
        raise call.fail(f"padding {call['padding']}, stride {stride}: no padding and one stride are needed")
    return RNNPool(
        where=call.where, shape=shape, inputs=[x], rnn1=cells[0], rnn2=cells[1], stride=found,
        window=window, smooth=call["smooth"], replicate=call["replicate"],
    )  # fmt: skip


def item(t: Values, node: fx.Node) -> Value:
    """One of an operation's several results."""
    source: Any = node.args[0]
    index: Any = node.args[1]
    values = t.value(source)
    if isinstance(values, tuple | list) and len(values) > index:
        return values[index]
    assert isinstance(source, fx.Node)
    raise Call(source, (), {}, []).fail(f"its result {index} is used")


def softmax(t: Values, call: Call) -> Value:
    """nn.Softmax, nn.LogSoftmax, as the last operation; `nn.Sigmoid` behind a single logit."""
    x = t.source(call)
    axis = call["dim"]
    if axis is not None and int(axis) % len(call.out) != 1:
        raise call.fail(f"along axis {axis}: 1, the channels, is needed")
    return Softmax(where=call.where, shape=x.shape, inputs=[x], log="log" in call.name)


def nothing(t: Values, call: Call) -> Value:
    """A check of torch.export's own."""
