"""Networks with random weights for tests: fixed ones by seed, and random chains. All are valid by mp_module/SPEC.md.

Weights are random but the multipliers are fitted to a calibration frame, so that activations are lively: neither all
saturated nor all zero, and a wrong bit anywhere shows up in the results. `wild` networks are the opposite on purpose.

As a command, for tests that are not in Python: `python tests/host/networks.py face_m4 1 build/face_m4.rnnp`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnpool_training.blob import (
    Add,
    Concat,
    Conv,
    Dense,
    Depthwise,
    DetectHead,
    GlobalAveragePool,
    InvertedResidual,
    L2Norm,
    Lookup,
    Model,
    Mul,
    Op,
    Pool,
    RNNPool,
    Task,
    Upsample,
    layout,
    write,
)
from rnnpool_training.blob.operators.elementwise import SUM_LIMIT
from rnnpool_training.blob.operators.window import Padding, same
from rnnpool_training.compile import tflite_rounding
from rnnpool_training.layers import layer
from rnnpool_training.projections import pair
from rnnpool_training.reference import run_operator, set_golden
from rnnpool_training.reference.conv import accumulate, requantize
from rnnpool_training.reference.depthwise import filtered
from rnnpool_training.reference.frame import sign
from rnnpool_training.reference.integer import product

INT32_MAX = 2**31 - 1
NO_BIAS = np.zeros(1, np.int32)
ONCE, FINE, TFLITE = ROUNDINGS = ("once", "fine", "tflite")  # ways of operators with int8 outputs


def face_m4(seed: int) -> Model:
    """RNNPool-Face-M4 at full size (Saha et al. 2020, table 15) with random weights: GRAY 320x240, four heads."""
    net = Builder(np.random.default_rng(seed), 240, 320, 1)
    stem = net.conv(0, 4, 3, 2, relu=True)
    pool = net.rnnpool(stem, 8, 8, 4, 16, 16, pad_bottom=1, pad_right=1)
    outputs = [net.block(pool, 32, 128)]
    outputs.append(net.block(outputs[-1], 32, 64, residual=True))
    outputs.append(net.block(outputs[-1], 64, 64, stride=2))
    outputs.append(net.block(outputs[-1], 64, 128, residual=True))
    for output, step, side in zip(outputs, (8, 8, 16, 16), (16, 32, 64, 128), strict=True):
        net.head(output, 3, [(side * 16, side * 16)], step)
    return net.model(f"face_m4 {seed}", max_candidates=256)


def tiny(seed: int) -> Model:
    """A few operators of each kind on GRAY 32x24: milliseconds even in the slowest test."""
    net = Builder(np.random.default_rng(seed), 24, 32, 1)
    stem = net.conv(0, 4, 3, 2, relu=True)
    pool = net.rnnpool(stem, 4, 4, 2, 4, 4, pad_bottom=1, pad_right=0)
    block = net.block(pool, 16, 8, residual=True)
    net.head(block, 3, [(64, 64), (96, 160)], 4)
    last = net.block(block, 8, 12, stride=2)
    net.head(last, 1, [(160, 160)], 8)
    return net.model(f"tiny {seed}", max_candidates=32)


def segmented(seed: int) -> Model:
    """Like tiny, on RGB 40x32, with two MATERIALIZE cuts, three segments and a smooth RNNPool."""
    net = Builder(np.random.default_rng(seed), 32, 40, 3)
    stem = net.conv(0, 5, 3, 1)
    pool = net.rnnpool(stem, 6, 5, 3, 7, 6, pad_bottom=0, pad_right=1, smooth=True)
    net.ops[pool - 1].materialize = True  # type: ignore[misc]
    block = net.block(pool, 16, 24, stride=2)
    net.head(block, 3, [(100, 80)], 8)
    last = net.block(block, 16, 16, residual=True)
    net.ops[last - 1].materialize = True  # type: ignore[misc]
    deep = net.conv(last, 10, 1, 1)
    net.head(deep, 1, [(200, 200), (300, 300)], 8)
    return net.model(f"segmented {seed}", max_candidates=32)


def classifier(seed: int) -> Model:
    """A small classifier of RGB 48x40 in three classes: every kind of operator that classifiers have, and a cut."""
    net = Builder(np.random.default_rng(seed), 40, 48, 3)
    stem = net.conv(0, 8, 3, 2, relu=True)
    pool = net.rnnpool(stem, 6, 6, 4, 8, 8, pad_bottom=1, pad_right=1)
    block = net.block(pool, 16, 48, stride=2)
    block = net.block(block, 16, 36, residual=True)
    net.ops[block - 1].materialize = True  # type: ignore[misc]
    net.conv(block, 24, 1, 1, relu=True)
    return net.classifier(f"classifier {seed}", 3)


def others(seed: int) -> Model:
    """Small, on GRAY 11x9, with the kinds that the others have not: a skip, a concatenation, squeeze and excitation."""
    net = Builder(np.random.default_rng(seed), 9, 11, 1)
    stem = net.conv(0, 6, 3, 1)
    wide = net.depthwise(stem, (3, 5), (1, 1), (1, 2, 1, 2), 2)
    look = net.lookup(wide)
    mean = net.window_pool(look, (3, 3), (1, 1), (1, 1, 1, 1), True)
    skip = net.sum([stem, mean], Add)
    vector = net.pool(skip)
    join = net.sum([skip, look, stem], Concat)
    larger = net.upsample(net.mul(skip, vector), 2)
    net.head(join, 1, [(24, 24)], 1)
    net.head(larger, 1, [(16, 16)], 1)
    return net.model(f"others {seed}", max_candidates=32)


def normalized(seed: int) -> Model:
    """A small detector on GRAY 13x10 whose heads read vectors of one length, behind negative values and behind none."""
    net = Builder(np.random.default_rng(seed), 10, 13, 1)
    stem = net.conv(0, 7, 3, 1)
    net.head(net.l2_norm(stem), 3, [(24, 24)], 1)
    net.head(net.l2_norm(net.conv(stem, 12, 3, 2, relu=True)), 1, [(48, 48)], 2)
    return net.model(f"normalized {seed}", max_candidates=32)


def classes(seed: int) -> Model:
    """A small detector of three classes on RGB 40x30, with two heads."""
    net = Builder(np.random.default_rng(seed), 30, 40, 3)
    net.classes = 3
    stem = net.conv(0, 8, 3, 2, relu=True)
    net.head(stem, 3, [(64, 64)], 2)
    net.head(net.block(stem, 12, 24, stride=2), 1, [(100, 140), (200, 200)], 4)
    return net.model(f"classes {seed}", max_candidates=40)


def heat_map(seed: int) -> Model:
    """A small map model of GRAY 36x28: four channels at a quarter of its size, behind a cut and a skip."""
    net = Builder(np.random.default_rng(seed), 28, 36, 1)
    stem = net.conv(0, 8, 3, 2, relu=True)
    block = net.block(stem, 12, 24, stride=2)
    net.ops[block - 1].materialize = True  # type: ignore[misc]
    deep = net.block(block, 12, 24, residual=True)
    skip = net.sum([deep, net.conv(block, 12, 1, 1)], Add)
    net.conv(skip, 4, 1, 1)
    return net.map(f"heat_map {seed}")


def wake_words(seed: int, size: int = 224, channels: int = 3) -> Model:
    """MobileNetV2-RNNPool at 0.35 of its width (Saha et al. 2020, appendix F) with random weights, without cuts."""
    net = Builder(np.random.default_rng(seed), size, size, channels)
    last = net.rnnpool(net.conv(0, 8, 3, 2, relu=True), 6, 6, 4, 8, 8, pad_bottom=1, pad_right=1)
    inputs = 32
    for out, repeats, stride in ((24, 4, 2), (32, 3, 1), (56, 3, 2), (112, 1, 1)):
        for i in range(repeats):
            last = net.block(last, out, 6 * inputs, stride if i == 0 else 1, residual=i > 0)
            inputs = out
    net.conv(last, 192, 1, 1, relu=True)
    return net.classifier(f"wake_words {size} {seed}", 2)


def random_network(rng: np.random.Generator, task: Task = Task.DETECTION) -> Model:
    """A random graph of operators with results: odd sizes down to 1x1, gray or RGB, every kind, flag and stride.

    One in four is `wild`: full-range weights, multipliers, biases and shifts, so that saturation is hit everywhere.
    """
    height, width = (int(n) for n in _random_size(rng))
    zero_point = int(rng.choice([0, 0, rng.integers(-128, 128)]))
    net = Builder(rng, height, width, int(rng.choice([1, 3])), wild=rng.random() < 0.25, zero_point=zero_point)
    net.classes = int(rng.choice([1, 1, 2, 4])) if height * width <= 600 else 1  # places have 16 bits
    materialized: dict[int, int] = {}  # segment -> operator
    segments = [0]
    spine = [0]  # the frame, then every operator that may get consumers
    for _ in range(int(rng.integers(1, 6))):
        source = spine[-1] if len(spine) == 1 or rng.random() < 0.75 else int(rng.choice(spine[1:]))
        before = segments[source] + (source in materialized.values())
        # Those that an operator of the same segment may read as well.
        beside = [t for t in spine[1:] if segments[t] + (t in materialized.values()) == before]
        op = _random_operator(net, source, beside)
        segments += [before] * (len(net.ops) + 1 - len(segments))
        if rng.random() < 0.3 and before not in materialized:
            materialized[before] = op
            net.ops[op - 1].materialize = True
        spine.append(op)
    if task == Task.LAYER:
        _keep_path(net)
        if rng.random() < 0.2:
            _random_head(net, len(net.ops))
            return layer(net.model("random", max_candidates=1), len(net.ops) - 1)
        model = net.classifier("random", 3, random_end=True)
        single = [i for i, op in enumerate(model.ops) if len(op.reads) == 1]
        return layer(model, int(rng.choice(single)))
    if task == Task.CLASSIFICATION:
        _keep_path(net)
        return net.classifier("random", int(rng.integers(2, 10)), random_end=True)
    if task == Task.MAP:
        _keep_path(net)
        net.ops[-1].materialize = False  # type: ignore[misc]
        return net.map("random")
    consumed = {tensor for op in net.ops for tensor in op.reads}
    for source in range(1, len(net.ops) + 1):
        if source not in consumed or (source in spine and rng.random() < 0.3):
            _random_head(net, source)
    heads = [(net.maps[op.reads[0]], op.anchors) for op in net.ops if isinstance(op, DetectHead)]
    places = sum(x.shape[0] * x.shape[1] * len(anchors) * net.classes for x, anchors in heads)
    if places > layout.MAX_PLACES:  # some up-sampled maps are too large
        return random_network(rng, task)
    _interleave_heads(net)
    return net.model("random", max_candidates=int(rng.choice([1, 3, 20, 512])))


class Builder:
    """Adds operators with random weights whose outputs, on a random frame, spread over the range of their type.

    Methods take the number of the operator that they read (0 the frame, k the k-th operator, as in the blob) and return
    their own number.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        height: int,
        width: int,
        channels: int,
        wild: bool = False,
        zero_point: int = 0,
    ) -> None:
        self.rng = rng
        self.wild = wild
        self.zero_point = zero_point  # of the frame
        self.shape = (height, width, channels)
        self.classes = 1  # of heads
        self.ops: list[Op] = []
        self.maps: list[NDArray[Any]] = [sign(_calibration_frame(rng, self.shape))]

    def classifier(self, name: str, classes: int, random_end: bool = False) -> Model:
        """The finished model, with average pooling and a dense layer after its last operator.

        random_end: now and then a last-layer RNNPool instead, and convolutions between pooling and dense layer.
        """
        rng = self.rng
        last = len(self.ops)
        height, width, _ = self.maps[last].shape
        whole = max(height, width) <= 32 and random_end and rng.random() < 0.3
        last = self.rnnpool(last, height, width, 1, 5, 4) if whole else self.pool(last)
        if random_end and rng.random() < 0.3:
            last = self.conv(last, int(rng.integers(1, 20)), int(rng.choice([1, 3])), 1, relu=True)
        self.dense(last, classes, int(rng.integers(0, 9)) if random_end else 0)
        return self.model(name, Task.CLASSIFICATION, labels=[f"class {i}" for i in range(classes)])

    def map(self, name: str) -> Model:
        """The finished model: its last operator's map is the result."""
        channels = self.maps[-1].shape[2]
        labels = [f"channel {i}" for i in range(channels)]
        return self.model(name, Task.MAP, labels=labels, result_scale=float(self.rng.uniform(0.001, 0.1)))

    def model(
        self,
        name: str,
        task: Task = Task.DETECTION,
        max_candidates: int = 0,
        labels: list[str] | None = None,
        result_scale: float = 0.0,
    ) -> Model:
        """The finished model with its golden value."""
        height, width, channels = self.shape
        model = Model(
            task=task,
            name=name,
            labels=labels or ["face", *(f"class {i}" for i in range(1, self.classes))],
            height=height,
            width=width,
            channels=channels,
            ops=self.ops,
            max_candidates=max_candidates,
            result_scale=result_scale,
            golden_seed=int(self.rng.integers(0, 2**32)),
            input_zero_point=self.zero_point,
        )
        set_golden(model)
        return model

    def conv(
        self,
        source: int,
        out: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int],
        relu: bool = False,
        padding: Padding | None = None,
        shift: int = 0,
        rounding: str = ONCE,
    ) -> int:
        """A convolution; relu: clamped at the zero point, which is then -128. padding: None for (k - 1) / 2.

        rounding: one of ROUNDINGS, if its sums fit; else once.
        """
        x, zero_point = self._input(source)
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        strides = stride if isinstance(stride, tuple) else (stride, stride)
        pads = same(height, width) if padding is None else padding
        weight = self._weights(out, height, width, x.shape[2])
        bias = self._bias(weight, (1, 2, 3), accumulate(x, weight, NO_BIAS, strides, pads, zero_point), shift)
        acc = accumulate(x, weight, bias, strides, pads, zero_point)
        out_zero_point, low, high = self._activation(relu)
        return self._add(
            Conv(
                input=source,
                weight=weight,
                stride=stride,
                padding=padding,
                out_zero_point=out_zero_point,
                act_min=low,
                act_max=high,
                **self._rounded(rounding, weight, (1, 2, 3), bias, acc, shift),
            )
        )

    def head(self, source: int, kernel: int, anchors: list[tuple[int, int]], step: int) -> int:
        """A detection head; anchors in 1/16 pixel."""
        x, zero_point = self._input(source)
        out = (4 + self.classes) * len(anchors)
        weight = self._weights(out, kernel, kernel, x.shape[2])
        pads = same(kernel, kernel)
        bias = self._bias(weight, (1, 2, 3), accumulate(x, weight, NO_BIAS, (1, 1), pads, zero_point))
        multiplier = self._multiplier(accumulate(x, weight, bias, (1, 1), pads, zero_point), 24, 3000)
        sides = np.array(anchors, np.uint16)
        return self._add(
            DetectHead(
                input=source,
                weight=weight,
                bias=bias,
                multiplier=multiplier,
                anchors=sides,
                step=step,
                classes=self.classes,
            )
        )

    def pool(self, source: int, rounding: str = ONCE) -> int:
        """Average pooling; the mean's spread is less than the map's."""
        x, zero_point = self._input(source)
        if rounding == TFLITE:
            return self._add(GlobalAveragePool(input=source, multiplier=None, out_zero_point=zero_point))
        total = (x.astype(np.int64) - zero_point).sum((0, 1))
        spread = max(float(np.abs(total).max()), 1.0)
        largest = int(self.rng.integers(0, 2**31)) if self.wild else int(min(2**24 * 100 / spread, INT32_MAX))
        out_zero_point = int(self.rng.integers(-128, 128)) if self.wild else int(self.rng.integers(-20, 20))
        multiplier = np.array([largest], np.int32)
        return self._add(GlobalAveragePool(input=source, multiplier=multiplier, out_zero_point=out_zero_point))

    def dense(self, source: int, classes: int, shift: int = 0) -> int:
        """A classifier's dense layer, on a vector or a map. shift: its logits are as many powers of two larger."""
        x, _ = self._input(source)
        weight = self._weights(classes, x.size)
        acc = product(x.reshape(1, 1, -1), weight)
        if self.wild:
            bias = self._bias(weight, (1,), acc)
            multiplier = self.rng.integers(0, 2**31, classes, np.int64).astype(np.int32)
        else:
            # There is but one pixel: as if the logits' spread were that of random inputs.
            spread = 40 * 40 * np.sqrt(x.size)
            bias = (self.rng.normal(0, spread / 4, classes) - acc.reshape(-1)).astype(np.int32)
            multiplier = np.full(classes, min(int(2**24 * 3000 / spread), INT32_MAX), np.int32)
        if x.shape[:2] != (1, 1):
            weight = weight.reshape(classes, *x.shape)
        return self._add(Dense(input=source, weight=weight, bias=bias, multiplier=multiplier, shift=shift))

    def block(
        self, source: int, out: int, mid: int, stride: int = 1, residual: bool = False, recompute: int = 0
    ) -> int:
        """An inverted residual; its inner activations are ReLU6-like."""
        x, _ = self._input(source)
        expand = self._weights(mid, x.shape[2])
        expand_bias = self._bias(expand, (1,), product(x, expand))
        exp_zero_point, exp_min, exp_max = self._activation(True)
        acc = expand_bias + product(x, expand)
        expand_multiplier = self._multiplier(acc, 32, 60)
        expanded = requantize(acc, expand_multiplier, exp_zero_point, exp_min, exp_max)

        strides, pads = (stride, stride), same(3, 3)
        filters = self._weights(3, 3, mid, least=-128)
        filter_bias = self._bias(
            filters, (0, 1), filtered(expanded, filters, np.zeros(mid, np.int32), strides, pads, exp_zero_point)
        )
        dw_zero_point, dw_min, dw_max = self._activation(True)
        acc = filtered(expanded, filters, filter_bias, strides, pads, exp_zero_point)
        filter_multiplier = self._multiplier(acc, 32, 60)
        inner = requantize(acc, filter_multiplier, dw_zero_point, dw_min, dw_max)

        project = self._weights(out, mid)
        project_bias = self._bias(project, (1,), product(inner, project))
        acc = project_bias + product(inner, project)
        taps = None
        if residual:
            spread = min(32767, int(acc.std() / 40) + 2)
            taps = self.rng.integers(-spread // 4, spread, out).astype(np.int32)
            acc = acc + taps * x.astype(np.int32)
        return self._add(
            InvertedResidual(
                input=source,
                expand_weight=expand,
                expand_bias=expand_bias,
                expand_multiplier=expand_multiplier,
                depthwise_weight=filters,
                depthwise_bias=filter_bias,
                depthwise_multiplier=filter_multiplier,
                project_weight=project,
                project_bias=project_bias,
                project_multiplier=self._multiplier(acc, 32, 45),
                residual=taps,
                stride=stride,
                out_zero_point=int(self.rng.integers(-20, 20)),
                exp_zero_point=exp_zero_point,
                dw_zero_point=dw_zero_point,
                exp_min=exp_min,
                exp_max=exp_max,
                dw_min=dw_min,
                dw_max=dw_max,
                recompute=recompute,
            )
        )

    def rnnpool(
        self,
        source: int,
        patch_height: int,
        patch_width: int,
        stride: int,
        h1: int,
        h2: int,
        pad_bottom: int = 0,
        pad_right: int = 0,
        smooth: bool = False,
    ) -> int:
        """RNNPool whose pre-activations spread over the sloping part of the non-linearities."""
        rng = self.rng
        one = 4096 if smooth else 8192  # 1.0 of a pre-activation
        x, zero_point = self._input(source)
        spread = float(np.sqrt(((x.astype(np.float64) - zero_point) ** 2).mean())) + 1
        w1, shift_w1 = self._matrix(h1, x.shape[2], spread, 0.5 * one, 255)
        u1, shift_u1 = self._matrix(h1, h1, 10000, 0.3 * one, 32768)
        w2, shift_w2 = self._matrix(h2, h1, 10000, 0.5 * one, 32768)
        u2, shift_u2 = self._matrix(h2, h2, 10000, 0.3 * one, 32768)
        gate = 0 if smooth else one  # a hard gate's bias holds the + 1 of (x + 1) / 2
        mean = (w1 @ (x.astype(np.int64) - zero_point).mean((0, 1))) / 2**shift_w1  # a usual pixel's W x
        bz1, bh1 = self._gate_bias(gate - mean, one), self._gate_bias(-mean, one)
        bz2, bh2 = self._gate_bias(np.full(h2, gate), one), self._gate_bias(np.zeros(h2), one)
        paper = rng.random() < 0.4  # Algorithm 1 has zeta 1 and nu 0
        limits = (1, 1, 1, 1) if paper else (32769, 32768, 32769, 32768) if self.wild else (32769, 3000, 32769, 3000)
        zeta1, nu1, zeta2, nu2 = (int(rng.integers(0, n)) for n in limits)
        if paper:
            zeta1 = zeta2 = 32768
        return self._add(
            RNNPool(
                input=source,
                patch_height=patch_height,
                patch_width=patch_width,
                stride=stride,
                w1=w1,
                u1=u1,
                bz1=bz1,
                bh1=bh1,
                w2=w2,
                u2=u2,
                bz2=bz2,
                bh2=bh2,
                shift_w1=shift_w1,
                shift_u1=shift_u1,
                shift_w2=shift_w2,
                shift_u2=shift_u2,
                zeta1=zeta1,
                nu1=nu1,
                zeta2=zeta2,
                nu2=nu2,
                smooth=smooth,
                pad_bottom=pad_bottom,
                pad_right=pad_right,
            )
        )

    def depthwise(
        self,
        source: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
        shift: int = 0,
        rounding: str = ONCE,
    ) -> int:
        """A convolution of each channel by itself."""
        x, zero_point = self._input(source)
        weight = self._weights(*kernel, x.shape[2], least=-128)
        none = np.zeros(x.shape[2], np.int32)
        bias = self._bias(weight, (0, 1), filtered(x, weight, none, stride, padding, zero_point), shift)
        acc = filtered(x, weight, bias, stride, padding, zero_point)
        out_zero_point, low, high = self._activation(False)
        return self._add(
            Depthwise(
                input=source,
                filter_weight=weight,
                stride=stride,
                padding=padding,
                out_zero_point=out_zero_point,
                act_min=low,
                act_max=high,
                **self._rounded(rounding, weight, (0, 1), bias, acc, shift),
            )
        )

    def separable(
        self,
        source: int,
        out: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: Padding,
        shift: int = 0,
        rounding: str = ONCE,
    ) -> int:
        """The same and a 1x1 convolution behind it: one operator if both round in the same way, else two."""
        inner = self.depthwise(source, kernel, stride, padding, shift, rounding)
        last = self.conv(inner, out, 1, 1, bool(self.rng.integers(2)), None, shift, rounding)
        first = self.ops[inner - 1]
        assert isinstance(first, Depthwise)
        both = pair(first, self.ops[last - 1])
        if both is None:
            return last
        del self.ops[-2:], self.maps[-2:]
        return self._add(both)

    def window_pool(
        self, source: int, size: tuple[int, int], stride: tuple[int, int], padding: Padding, mean: bool
    ) -> int:
        """The largest or the mean value within windows."""
        _, zero_point = self._input(source)
        _, low, high = self._activation(False)
        return self._add(
            Pool(
                input=source,
                size=size,
                mean=mean,
                stride=stride,
                padding=padding,
                out_zero_point=zero_point,
                act_min=low,
                act_max=high,
            )
        )

    def sum(self, sources: Sequence[int], cls: type[Add] | type[Concat], rounding: str = ONCE) -> int:
        """Several maps added, or their channels one behind the other."""
        shift = int(self.rng.integers(0, 16 if self.wild else 3))
        limit = SUM_LIMIT - 1 if self.wild else 1 << (20 - shift)
        weights = self.rng.integers(-limit, limit + 1, len(sources)).astype(np.int32)
        out_zero_point, low, high = self._activation(False)
        if cls is Add and rounding == TFLITE:
            exponent = self.rng.integers(-31, 1, 3) if self.wild else np.array([0, int(self.rng.integers(-3, 0)), -18])
            return self._add(
                Add(
                    input=sources[0],
                    others=tuple(sources[1:]),
                    multiplier=self.rng.integers(0 if self.wild else 1 << 30, 2**31, 3, np.int64).astype(np.int32),
                    exponent=exponent.astype(np.int8),
                    out_zero_point=out_zero_point,
                    act_min=low,
                    act_max=high,
                )
            )
        if cls is Concat and self.rng.random() < 0.5:  # copies
            weights[:] = 1 << (20 - shift)
            if self.rng.random() < 0.5:
                out_zero_point, low, high = self._input(sources[0])[1], -128, 127
        return self._add(
            cls(
                input=sources[0],
                others=tuple(sources[1:]),
                weights=np.minimum(weights, SUM_LIMIT - 1),
                shift=shift,
                out_zero_point=out_zero_point,
                act_min=low,
                act_max=high,
            )
        )

    def mul(self, source: int, vector: int, rounding: str = ONCE) -> int:
        """A map times a vector."""
        shift = int(self.rng.integers(0, 15 if self.wild else 3))
        exponent = None
        if rounding == TFLITE:
            exponent, shift = self.rng.integers(-31 if self.wild else -8, 14 if self.wild else -4, 1).astype(np.int8), 0
        multiplier = int(self.rng.integers(0, 2**31)) if self.wild else (1 << (25 - shift)) + 12345
        out_zero_point, low, high = self._activation(False)
        return self._add(
            Mul(
                input=source,
                others=(vector,),
                multiplier=np.array([multiplier], np.int32),
                exponent=exponent,
                shift=shift,
                out_zero_point=out_zero_point,
                act_min=low,
                act_max=high,
            )
        )

    def lookup(self, source: int) -> int:
        """A table of any values."""
        table = self.rng.integers(-128, 128, 256).astype(np.int8)
        return self._add(Lookup(input=source, table=table, out_zero_point=int(self.rng.integers(-128, 128))))

    def l2_norm(self, source: int) -> int:
        """Each pixel as a vector of one length."""
        channels = self.maps[source].shape[2]
        shift = int(self.rng.integers(0, 16) if self.wild else self.rng.integers(7, 9))
        limit = 32767 if self.wild else min(32767, 150 << (15 - shift))
        scale = self.rng.integers(-limit - 1, limit + 1, channels).astype(np.int16)
        out_zero_point, low, high = self._activation(False)
        return self._add(
            L2Norm(input=source, scale=scale, shift=shift, out_zero_point=out_zero_point, act_min=low, act_max=high)
        )

    def upsample(self, source: int, factor: int) -> int:
        """Each pixel several times."""
        return self._add(Upsample(input=source, factor=factor, out_zero_point=self._input(source)[1]))

    def _add(self, op: Op) -> int:
        self.ops.append(op)
        first, *others = (self._input(tensor) for tensor in op.reads)
        self.maps.append(run_operator(op, *first, *others))
        return len(self.ops)

    def _input(self, source: int) -> tuple[NDArray[Any], int]:
        return self.maps[source], self.zero_point if source == 0 else self.ops[source - 1].out_zero_point

    def _weights(self, *shape: int, least: int = -127) -> NDArray[np.int8]:
        # least: -128 where a layer is not dense.
        if self.wild:
            return self.rng.integers(least, 128, shape).astype(np.int8)
        return np.clip(self.rng.normal(0, 40, shape), -127, 127).astype(np.int8)

    def _bias(
        self, weight: NDArray[np.int8], axes: tuple[int, ...], acc: NDArray[np.int32], shift: int = 0
    ) -> NDArray[np.int32]:
        # Such that each channel's accumulator, `acc` without bias, is roughly around zero.
        if self.wild:
            sums = np.abs(weight.astype(np.int64)).sum(axes) * 128 + (
                0 if shift else 32767 * 128
            )  # room for a residual
            limit = np.maximum((INT32_MAX >> shift) - sums, 0)
            return np.asarray(self.rng.uniform(-1, 1, limit.shape) * limit).astype(np.int32)
        channels = acc.reshape(-1, acc.shape[-1])
        mean, deviation = channels.mean(0), channels.std(0)
        return np.asarray(self.rng.normal(0, 0.4, mean.shape) * deviation - mean).astype(np.int32)

    def _multiplier(self, acc: NDArray[np.int32], bits: int, spread: float) -> NDArray[np.int32]:
        # Such that the outputs of each channel have a standard deviation near `spread`.
        channels = acc.shape[-1]
        if self.wild:
            return self.rng.integers(0, 2**31, channels, np.int64).astype(np.int32)
        deviation = np.maximum(acc.reshape(-1, channels).std(0), 1.0) / self.rng.uniform(0.6, 1.4, channels)
        scaled = np.minimum(spread / deviation * 2.0**bits, INT32_MAX)
        return np.asarray(scaled, np.float64).astype(np.int32)

    def _rounded(
        self,
        rounding: str,
        weight: NDArray[np.int8],
        axes: tuple[int, ...],
        bias: NDArray[np.int32],
        acc: NDArray[np.int32],
        shift: int,
    ) -> dict[str, Any]:
        # Biases, multipliers, and what belongs to the way of rounding.
        rng, sums = self.rng, 128 * np.abs(weight.astype(np.int64)).sum(axes)
        if rounding == FINE:
            fine = bias.astype(np.int64) * 256 + rng.integers(0, 256, bias.shape)
            if self.wild:
                fine = np.clip(fine, -np.maximum(INT32_MAX - 256 * sums, 0), np.maximum(INT32_MAX - 256 * sums, 0))
            if (np.abs(fine) + 256 * sums <= INT32_MAX).all():
                return {"bias": fine.astype(np.int32), "multiplier": self._multiplier(acc, 32, 45), "fine": True}
        elif rounding == TFLITE:
            once = self._multiplier(acc, 30, 45).astype(np.float64)
            m = tflite_rounding.multipliers(np.maximum(once, 1) / 2**30)
            exponent = rng.integers(-31, 16, once.shape) if self.wild else m.exponent
            if ((np.abs(bias.astype(np.int64)) + sums) << 1 + np.maximum(exponent, 0) <= INT32_MAX).all():
                return {"bias": bias, **tflite_rounding.as_arrays(m._replace(exponent=exponent))}
        return {"bias": bias, "multiplier": self._multiplier(acc, 32 - shift, 45), "shift": shift}

    def _activation(self, relu: bool) -> tuple[int, int, int]:
        # Zero point and clamp.
        if relu:
            return -128, -128, int(self.rng.integers(90, 128))
        zero_point = int(self.rng.integers(-128, 128)) if self.wild else int(self.rng.integers(-30, 30))
        return (
            zero_point,
            int(self.rng.integers(-128, zero_point + 1)),
            int(self.rng.integers(max(zero_point, 60), 128)),
        )

    def _matrix(
        self, rows: int, columns: int, spread: float, target: float, limit: int
    ) -> tuple[NDArray[np.int16], int]:
        # Weights and shift such that inputs of deviation `spread` give products of deviation `target`.
        # limit: largest |input| of the overflow rule.
        rng = self.rng
        if self.wild:
            weights = rng.integers(-32768, 32768, (rows, columns)).astype(np.float64)
            shift = int(rng.integers(0, 25))
        else:
            unit = target / (spread * np.sqrt(columns))
            shift = int(np.clip(np.floor(np.log2(10000 / unit)), 0, 16))
            weights = rng.normal(0, unit * 2.0**shift, (rows, columns))
        sums = np.abs(weights).sum(1, keepdims=True)
        weights *= np.minimum(1, (INT32_MAX // limit - columns) / np.maximum(sums, 1))
        return np.clip(weights, -32768, 32767).astype(np.int16), shift

    def _gate_bias(self, mean: NDArray[np.float64], one: int) -> NDArray[np.int16]:
        if self.wild:
            return self.rng.integers(-32768, 32768, mean.shape).astype(np.int16)
        return self.rng.normal(mean, 0.3 * one).clip(-32768, 32767).astype(np.int16)


def _calibration_frame(rng: np.random.Generator, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    # Blocks and noise, as the golden frame has them.
    y, x = np.mgrid[: shape[0], : shape[1]]
    blocks = (((x >> 3) ^ (y >> 3)) & 15) * 12
    return ((blocks[:, :, None] + rng.integers(0, 64, shape)) & 255).astype(np.uint8)


def _random_size(rng: np.random.Generator) -> tuple[int, int]:
    # Often odd, sometimes a single row, column or pixel.
    sides = rng.integers(1, 65, 2) if rng.random() < 0.5 else rng.integers(1, 20, 2)
    if rng.random() < 0.1:
        sides[int(rng.integers(0, 2))] = 1
    return int(sides[0]), int(sides[1])


def _random_side(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 32768)) if rng.random() < 0.2 else int(rng.integers(16, 1000))


def _random_head(net: Builder, source: int) -> None:
    rng = net.rng
    anchors = [(_random_side(rng), _random_side(rng)) for _ in range(int(rng.integers(1, 4)))]
    net.head(source, int(rng.choice([1, 3])), anchors, int(rng.integers(1, 40)))


def random_rounding(rng: np.random.Generator) -> str:
    """One of the ways."""
    return str(rng.choice([ONCE, ONCE, FINE, TFLITE]))


def random_depthwise(net: Builder, source: int) -> int:
    """A depthwise convolution of any window, with a projection or without."""
    rng = net.rng
    window = random_window(rng, *net.maps[source].shape[:2], 6)
    shift, rounding = 0 if net.wild else int(rng.integers(0, 6)), random_rounding(rng)
    if rng.random() < 0.5:
        return net.separable(source, int(rng.integers(1, 20)), *window, shift, rounding)
    return net.depthwise(source, *window, shift, rounding)


def random_pool(net: Builder, source: int) -> int:
    """A window's largest or mean values."""
    size, strides, padding = random_window(net.rng, *net.maps[source].shape[:2], 6)
    return net.window_pool(source, size, strides, padding, bool(net.rng.integers(2)))


def random_join(net: Builder, source: int, beside: Sequence[int]) -> int:
    """Several maps into one: a skip over some operators, a concatenation, or squeeze and excitation.

    beside: tensors that may be read together with the source.
    """
    rng = net.rng
    shape = net.maps[source].shape
    kind = rng.choice(["skip", "concat", "excite", "add"])
    if kind == "excite":
        vector = net.pool(source, random_rounding(rng))
        if rng.random() < 0.5:
            vector = net.lookup(net.conv(vector, shape[2], 1, 1))
        return net.mul(source, vector, random_rounding(rng))
    if kind == "concat":
        same_size = [t for t in beside if net.maps[t].shape[:2] == shape[:2]]
        return net.sum([source, *(int(t) for t in rng.choice(same_size, int(rng.integers(1, 4))))], Concat)
    if kind == "add":
        same_shape = [t for t in beside if net.maps[t].shape == shape]
        return net.sum([source, int(rng.choice(same_shape))], Add, random_rounding(rng))
    last = source
    for _ in range(int(rng.integers(1, 4))):  # the longer way
        size = int(rng.choice([1, 3, 5]))
        pads = same(size, size)
        last = (
            net.conv(last, shape[2], size, 1)
            if rng.random() < 0.5
            else net.depthwise(last, (size, size), (1, 1), pads, 0)
        )
    return net.sum([source, last] if rng.random() < 0.5 else [last, source], Add)


def _random_operator(net: Builder, source: int, beside: Sequence[int]) -> int:
    rng = net.rng
    height, width, channels = net.maps[source].shape
    kinds = ["conv", "rnnpool", "block", "depthwise", "pool", "lookup", "l2_norm"]
    kinds += ["upsample"] if max(height, width) <= 32 else []
    kinds += ["join", "join", "join"] if source != 0 else []
    kind = rng.choice(kinds)
    if kind == "join":
        return random_join(net, source, beside)
    if kind == "depthwise":
        return random_depthwise(net, source)
    if kind == "pool":
        return random_pool(net, source)
    if kind == "lookup":
        return net.lookup(source)
    if kind == "l2_norm":
        return net.l2_norm(source)
    if kind == "upsample":
        return net.upsample(source, int(rng.integers(2, 4)))
    if kind == "conv":
        return random_conv(net, source)
    if kind == "block":
        residual = rng.random() < 0.5
        stride = 1 if residual else int(rng.choice([1, 2]))
        out = channels if residual else int(rng.integers(1, 20))
        mid = int(rng.integers(1, 24))
        kept = 4 * int(rng.integers(0, mid // 4 + 1))
        return net.block(source, out, mid, stride, residual, mid - kept if rng.random() < 0.5 else 0)
    largest = 12 if rng.random() < 0.2 else 6
    return net.rnnpool(
        source,
        int(rng.integers(1, min(height, largest) + 1)),
        int(rng.integers(1, min(width, largest) + 1)),
        int(rng.integers(1, 6)),
        int(rng.integers(1, 10)),
        int(rng.integers(1, 10)),
        pad_bottom=int(rng.choice([0, 0, 1, 2, 8])),
        pad_right=int(rng.choice([0, 0, 1, 2, 8])),
        smooth=rng.random() < 0.5,
    )


def random_window(
    rng: np.random.Generator, height: int, width: int, largest: int
) -> tuple[tuple[int, int], tuple[int, int], Padding]:
    """Size, strides and padding of a window that fits into the padded map."""
    size = (int(rng.integers(1, largest + 1)), int(rng.integers(1, largest + 1)))
    strides = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    pads = [int(rng.integers(0, n)) for n in (*size, *size)]
    for axis, side in enumerate((height, width)):
        size_here = min(size[axis], side + pads[axis] + pads[axis + 2])
        size = (size_here, size[1]) if axis == 0 else (size[0], size_here)
        pads[axis], pads[axis + 2] = min(pads[axis], size_here - 1), min(pads[axis + 2], size_here - 1)
        if side + pads[axis] + pads[axis + 2] < size_here:  # less padding than was drawn: none is needed for 1
            size = (1, size[1]) if axis == 0 else (size[0], 1)
            pads[axis] = pads[axis + 2] = 0
    return size, strides, (pads[0], pads[1], pads[2], pads[3])


def random_conv(net: Builder, source: int) -> int:
    """A convolution: mostly of the usual windows, sometimes of any, sometimes with a shift."""
    rng = net.rng
    height, width, channels = net.maps[source].shape
    out, relu = int(rng.integers(1, 20)), bool(rng.random() < 0.5)
    if rng.random() < 0.6:
        kernel, stride = (int(rng.choice(n)) for n in ([1, 3], [1, 2]))
        return net.conv(source, out, kernel, stride, relu, rounding=random_rounding(rng))
    size, strides, padding = random_window(rng, height, width, 10)
    weights = size[0] * size[1] * channels
    room = int(2**31 / (weights * 128 * 128 + 2**20)).bit_length() - 1  # so that sums stay within int32
    shift = int(rng.integers(0, min(max(room, 0), 6) + 1))
    return net.conv(source, out, size, strides, relu, padding, shift, random_rounding(rng))


def _keep_path(net: Builder) -> None:
    # A classifier's only result is its last operator: drop what it does not need.
    needed = {len(net.ops)}
    for number in range(len(net.ops), 0, -1):
        if number in needed:
            needed.update(net.ops[number - 1].reads)
    _reorder(net, sorted(needed - {0}))


def _reorder(net: Builder, order: list[int]) -> None:
    # Keeps these operators, in this order.
    number_of = {0: 0} | {old: new + 1 for new, old in enumerate(order)}
    net.ops = [net.ops[old - 1] for old in order]
    net.maps = [net.maps[old] for old in (0, *order)]
    for op in net.ops:
        op.others = tuple(number_of[tensor] for tensor in op.others)
        op.input = number_of[op.input]


def _interleave_heads(net: Builder) -> None:
    # Any topological order is valid: draw one by giving every operator a random place after its producers.
    rng = net.rng
    order: list[int] = []
    waiting = list(range(1, len(net.ops) + 1))
    while waiting:
        ready = [number for number in waiting if {0, *order}.issuperset(net.ops[number - 1].reads)]
        order.append(int(rng.choice(ready)))
        waiting.remove(order[-1])
    _reorder(net, order)


NETWORKS = {
    "face_m4": face_m4,
    "tiny": tiny,
    "segmented": segmented,
    "classifier": classifier,
    "others": others,
    "normalized": normalized,
    "classes": classes,
    "heat_map": heat_map,
}


def main() -> None:
    """Writes one of the fixed networks to a file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("seed", type=int)
    parser.add_argument("path", type=Path)
    args = parser.parse_args()
    args.path.write_bytes(write(NETWORKS[args.network](args.seed)))


if __name__ == "__main__":
    main()
