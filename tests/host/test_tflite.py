"""The TFLite front end: each operator against the same in floating point, refusals, and the models of MLPerf Tiny."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite_writer
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tflite_writer import Writer

from rnnpool_training import compare, convert, reference
from rnnpool_training.blob import Model, write
from rnnpool_training.compile import tflite_rounding
from rnnpool_training.compile.from_tflite import TABLE, Lowering, lower, translate
from rnnpool_training.compile.tflite_file import Graph, Operator, Tensor, TFLiteError, read
from rnnpool_training.compile.tflite_rounding import Multipliers
from rnnpool_training.engine import Engine
from rnnpool_training.reference.conv import round_fine, round_twice

SEEDS = st.integers(0, 2**32 - 1)


class File:
    """A TFLite graph in the making, and what it computes in floating point, each tensor rounded to its int8."""

    def __init__(self, seed: int, height: int, width: int, channels: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = Graph([], [], [], [])
        self.values: dict[int, NDArray[np.float64]] = {}
        frame = self.tensor((1, height, width, channels), 1 / 50, int(self.rng.integers(-128, 128)))
        self.graph.inputs.append(frame)
        self.pixels = self.rng.integers(0, 256, (height, width, channels), np.uint8)
        self.values[frame] = (self.pixels.astype(float) - 128 - self.graph.tensors[frame].zero_point) / 50

    def tensor(self, shape: tuple[int, ...], scale: Any, zero_point: int = 0, data: Any = None) -> int:
        scales = np.atleast_1d(np.asarray(scale, np.float64))
        dtype = np.int8 if data is None else data.dtype
        index = len(self.graph.tensors)
        points = np.full(scales.shape, zero_point)
        self.graph.tensors.append(Tensor(index, f"t{index}", shape, dtype, scales, points, data))
        return index

    def weights(self, shape: tuple[int, ...], axis: int) -> tuple[int, NDArray[np.float64]]:
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        scales = self.rng.uniform(0.002, 0.02, shape[axis])
        spread = [1] * len(shape)
        spread[axis] = -1
        return self.tensor(shape, scales, 0, values), values * scales.reshape(spread)

    def bias(self, source: int, weights: int) -> tuple[int, NDArray[np.float64]]:
        scales = self.graph.tensors[source].scale * self.graph.tensors[weights].scales
        values = self.rng.integers(-2000, 2000, scales.size).astype(np.int32)
        return self.tensor((scales.size,), scales, 0, values), values * scales

    def op(
        self, kind: str, inputs: list[int], real: NDArray[np.float64], like: int | None = None, **options: Any
    ) -> int:
        """An operator whose output is `real`; its scale fits, or is that of tensor `like`."""
        low, high = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
        scale = max(high - low, 1e-3) / 230
        point = int(np.clip(round(-128 + 10 - low / scale), -128, 127))
        if options.get("FusedActivationFunction") == 1:
            point, scale = -128, max(high, 1e-3) / 250
            real = np.maximum(real, 0)
        if like is not None:
            scale, point = self.graph.tensors[like].scale, self.graph.tensors[like].zero_point
        out = self.tensor((1, *real.shape), scale, point)
        self.graph.operators.append(Operator(len(self.graph.operators), kind, inputs, [out], options))
        self.values[out] = (np.clip(np.floor(real / scale + 0.5) + point, -128, 127) - point) * scale
        return out

    def conv(self, source: int, depthwise: bool = False, **options: Any) -> int:
        rng, x = self.rng, self.values[source]
        size, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        outputs = x.shape[2] if depthwise else int(rng.integers(1, 6))
        shape = (1, size, size, outputs) if depthwise else (outputs, size, size, x.shape[2])
        weights, w = self.weights(shape, 3 if depthwise else 0)
        bias, b = self.bias(source, weights)
        same = min(x.shape[:2]) < size or bool(rng.integers(2))
        pads = [max((-(-n // stride) - 1) * stride + size - n, 0) if same else 0 for n in x.shape[:2]]
        padded = np.pad(x, (*((p // 2, p - p // 2) for p in pads), (0, 0)))
        view = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))[::stride, ::stride]
        real = (np.einsum("hwcij,ijc->hwc", view, w[0]) if depthwise else np.einsum("hwcij,oijc->hwo", view, w)) + b
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        return self.op(
            kind, [source, weights, bias], real, StrideH=stride, StrideW=stride, Padding=int(not same), **options
        )

    def dense(self, source: int, outputs: int, **options: Any) -> int:
        x = self.values[source]
        weights, w = self.weights((outputs, x.size), 0)
        tensor = self.graph.tensors[weights]
        tensor.scales, tensor.zero_points = tensor.scales[:1], tensor.zero_points[:1]
        w = tensor.data * tensor.scales  # type: ignore[operator]
        bias, b = self.bias(source, weights)
        b = b if b.size == outputs else np.zeros(outputs)
        inputs = [source, weights, bias if b.any() and self.graph.tensors[bias].shape[0] == outputs else -1]
        out = self.op("FULLY_CONNECTED", inputs, w @ x.reshape(-1) + (b if inputs[2] >= 0 else 0), **options)
        self.values[out] = self.values[out].reshape(1, 1, -1)
        return out


def check(file: File, last: int, most: int = 1) -> None:
    """The last tensor's int8 values are those of floating point, or next to them."""
    file.graph.outputs.append(last)
    lowering = translate(file.graph)
    model = lowering.model()
    tensor = file.graph.tensors[last]
    mine = reference.run_input(model, file.pixels)[lowering.number[last] - 1].astype(int) - tensor.zero_point
    difference = np.abs(mine - np.round(file.values[last].reshape(mine.shape) / tensor.scale))
    assert difference.max() <= most, difference.max()
    assert (difference == 0).mean() > 0.75 or difference.size < 40


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.booleans(), st.booleans())
def test_convolutions(seed: int, height: int, width: int, channels: int, depthwise: bool, relu: bool) -> None:
    file = File(seed, height, width, channels)
    check(file, file.conv(0, depthwise, FusedActivationFunction=int(relu)))


@pytest.mark.parametrize("kind", ["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE"])
def test_tables(kind: str) -> None:
    file = File(1, 9, 8, 3)
    x = file.values[0]
    real = {
        "RELU": np.maximum(x, 0),
        "RELU6": np.clip(x, 0, 6),
        "LEAKY_RELU": np.where(x < 0, x * 0.2, x),
        "LOGISTIC": 1 / (1 + np.exp(-x)),
        "TANH": np.tanh(x),
        "HARD_SWISH": x * np.clip(x + 3, 0, 6) / 6,
        "QUANTIZE": x,
    }[kind]
    check(file, file.op(kind, [0], np.asarray(real), Alpha=0.2))


def test_operators_of_several_maps() -> None:
    for seed in range(5):
        file = File(seed, 8, 7, 3)
        one = file.op("RELU", [0], np.maximum(file.values[0], 0))
        two = file.op("TANH", [0], np.tanh(file.values[0]))
        total = file.op("ADD", [one, two], file.values[one] + file.values[two])
        both = file.op("CONCATENATION", [total, one], np.concatenate([file.values[total], file.values[one]], 2), Axis=3)
        axes = file.tensor((2,), [], 0, np.array([1, 2], np.int32))
        mean = file.op("MEAN", [both, axes], file.values[both].mean((0, 1), keepdims=True))
        product = file.op("MUL", [both, mean], file.values[both] * file.values[mean])
        check(
            file,
            file.op("RESIZE_NEAREST_NEIGHBOR", [product], file.values[product].repeat(2, 0).repeat(2, 1), product),
            2,
        )


def test_pools() -> None:
    file = File(3, 8, 6, 3)
    windows = file.values[0].reshape(4, 2, 3, 2, 3)
    options = {"FilterHeight": 2, "FilterWidth": 2, "StrideH": 2, "StrideW": 2, "Padding": 1}
    largest = file.op("MAX_POOL_2D", [0], windows.max((1, 3)), 0, **options)
    check(file, largest, 0)
    file = File(4, 8, 6, 3)
    mean = file.op("AVERAGE_POOL_2D", [0], file.values[0].reshape(4, 2, 3, 2, 3).mean((1, 3)), 0, **options)
    check(file, mean)


def classifier(seed: int = 1) -> File:
    file = File(seed, 12, 10, 3)
    hidden = file.dense(file.conv(0, FusedActivationFunction=1), 9, FusedActivationFunction=1)
    last = file.dense(hidden, 4)
    file.graph.outputs.append(file.op("SOFTMAX", [last], file.values[last], Beta=1.0))
    return file


def test_a_classifier_runs_in_the_engine() -> None:
    file = classifier()
    model: Model = lower(file.graph, "mine", ["a", "b", "c", "d"])
    run = Engine(write(model)).run(file.pixels, taps=True)
    logits = run.outputs()[-1].reshape(-1) / 2.0 ** (12 - model.ops[-1].shift)
    tensor = file.graph.tensors[file.graph.operators[-1].inputs[0]]
    assert np.abs(logits - file.values[tensor.index].reshape(-1)).max() <= 2 * tensor.scale
    assert model.labels == ["a", "b", "c", "d"] and model.input_zero_point == file.graph.tensors[0].zero_point


def test_what_cannot_be_translated_is_named() -> None:
    file = classifier()
    file.graph.operators[0].kind = "TRANSPOSE_CONV"
    with pytest.raises(TFLiteError, match=r"operator 0, TRANSPOSE_CONV of 12x10x3 and \S+: not supported"):
        lower(file.graph, "x")
    file = classifier()
    with pytest.raises(TFLiteError, match="3 labels, the model has 4 outputs"):
        lower(file.graph, "x", ["a", "b", "c"])
    file = classifier()
    file.graph.operators[0].options["DilationHFactor"] = 0
    with pytest.raises(TFLiteError, match=r"operator 0, CONV_2D of .*: dilation 0x1"):
        lower(file.graph, "x")


def test_results_that_are_no_map_of_the_last_operator_are_named() -> None:
    def refused(file: File, output: int) -> str:
        file.graph.outputs.append(output)
        with pytest.raises(TFLiteError) as caught:
            lower(file.graph, "x")
        return str(caught.value)

    file = File(1, 8, 6, 3)
    first = file.op("TANH", [0], np.tanh(file.values[0]))
    file.op("RELU", [first], np.maximum(file.values[first], 0))
    assert refused(file, first) == "the result, tensor 1 (t1), is not of the last operator"
    file = File(1, 8, 6, 3)
    tanh = file.op("TANH", [0], np.tanh(file.values[0]))
    turned = file.op("RESHAPE", [tanh], file.values[tanh].reshape(6, 8, 3), tanh)
    assert "is a map of 8x6x3, here 6x8x3" in refused(file, turned)
    file = File(1, 8, 6, 3)
    tanh = file.op("TANH", [0], np.tanh(file.values[0]))
    flat = file.op("RESHAPE", [tanh], file.values[tanh].reshape(-1), tanh)
    assert "is a map of 8x6x3, here 1x1x144" in refused(file, flat)
    file = File(1, 8, 6, 3)
    tanh = file.op("TANH", [0], np.tanh(file.values[0]))
    rows = file.op("RESHAPE", [tanh], file.values[tanh].reshape(48, 3), tanh)
    assert "is a map of 8x6x3, here 1x48x3" in refused(file, rows)
    file = File(1, 8, 6, 3)
    tanh = file.op("TANH", [0], np.tanh(file.values[0]))
    amounts = file.tensor((4, 2), [], 0, np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    padded = file.op("PAD", [tanh, amounts], np.pad(file.values[tanh], ((1, 1), (1, 1), (0, 0))), tanh)
    assert "is a map of 8x6x3, here 10x8x3" in refused(file, padded)
    file = File(1, 8, 6, 3)
    wide = file.op("TANH", [0], np.tanh(file.values[0]))
    file.graph.tensors[wide].dtype = np.int16
    assert "tensor 1 (t1) is int16, not int8" in refused(file, wide)
    file = File(1, 8, 6, 1)
    tanh = file.op("TANH", [0], np.tanh(file.values[0]))
    softmax = file.op("SOFTMAX", [tanh], np.ones((8, 6, 1)), Beta=1.0)
    assert "a SOFTMAX of one channel is 1 everywhere" in refused(file, softmax)
    assert "is not of the last operator" in refused(File(1, 8, 6, 3), 0)


def test_maps_that_are_not_what_the_graph_says_are_named() -> None:
    file = File(1, 4, 6, 3)  # channels come together, pixel by pixel, where the graph has one map behind the other
    one, two = (file.op("RESHAPE", [0], file.values[0].reshape(1, 1, -1), 0) for _ in range(2))
    with pytest.raises(
        TFLiteError, match=r"operator 2, CONCATENATION .*: tensor 1 \(t1\) is a map of 4x6x3, here 1x1x72"
    ):
        check(file, file.op("CONCATENATION", [one, two], np.concatenate([file.values[one]] * 2, 2), Axis=3))
    file = File(1, 4, 6, 3)
    turned = file.op("RESHAPE", [0], file.values[0].reshape(6, 4, 3), 0)
    with pytest.raises(TFLiteError, match=r"operator 0, RESHAPE .* is a map of 4x6x3, here 6x4x3"):
        check(file, file.conv(turned))
    file = File(1, 4, 6, 3)
    flat = file.op("RESHAPE", [0], file.values[0].reshape(1, 1, -1), 0)
    back = file.op("RESHAPE", [flat], file.values[0], 0)
    check(file, file.op("TANH", [back], np.tanh(file.values[0])))
    file = File(1, 4, 6, 3)
    wide = file.op("TANH", [0], np.tanh(file.values[0]))
    file.graph.tensors[wide].dtype = np.int16
    with pytest.raises(TFLiteError, match=r"tensor 1 \(t1\) is int16, not int8"):
        check(file, file.op("TANH", [wide], np.tanh(file.values[wide])))


def test_a_softmax_is_the_one_of_the_board() -> None:
    file = classifier()
    file.graph.operators[-1].options["Beta"] = 0.5
    with pytest.raises(TFLiteError, match=r"operator 3, SOFTMAX .*: beta 0.5, 1 is needed"):
        lower(file.graph, "x")
    file.graph.operators[-1].options.clear()
    lower(file.graph, "x")
    file = classifier()  # with float outputs, as TensorFlow Lite's converter makes them without being told otherwise
    wanted, softmax = write(lower(file.graph, "x")), file.graph.outputs.pop()
    real = file.op("DEQUANTIZE", [softmax], file.values[softmax])
    file.graph.tensors[real].dtype = np.float32
    file.graph.outputs.append(real)
    assert write(lower(file.graph, "x")) == wanted
    file = classifier()
    file.graph.outputs.append(file.op("SOFTMAX", [file.graph.outputs.pop()], np.zeros(4)))
    with pytest.raises(TFLiteError, match=r"operator 3, SOFTMAX .*: only the last operator can be one"):
        lower(file.graph, "x")


def test_damaged_files_get_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = classifier()
    rng, whole = np.random.default_rng(5), np.frombuffer(Writer().model(file.graph), np.uint8)
    said = 0
    for i in range(300):
        data = whole.copy()
        places = rng.integers(0, len(data), rng.integers(1, 4))
        data[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
        (tmp_path / "bad.tflite").write_bytes(bytes(data[: rng.integers(8, len(data))] if i % 10 == 0 else data))
        try:
            convert.main([str(tmp_path / "bad.tflite"), "-o", str(tmp_path / "x.rnnp")])
        except SystemExit as stop:
            assert stop.code == 2
            said += 1
        out, err = capsys.readouterr()
        assert (err == "") == bool(out) and len(err.splitlines()) <= 1, err
    assert 50 < said < 300


def test_what_a_file_lacks_is_named(tmp_path: Path) -> None:
    def without(change: Callable[[Graph], object]) -> str:
        file = classifier()
        change(file.graph)
        with pytest.raises(TFLiteError) as caught:
            lower(read(tflite_writer.write(file.graph, tmp_path / "x.tflite")), "x")
        return str(caught.value)

    assert "operator 0, CONV_2D: no strides" in without(lambda g: g.operators[0].options.update(StrideH=0))
    lacks = without(lambda g: g.operators[1].inputs.__delitem__(slice(1, 9)))
    assert "operator 1, FULLY_CONNECTED: 1 inputs, 2 are needed" in lacks
    assert "operator 1, FULLY_CONNECTED: tensors [99, " in without(lambda g: g.operators[1].inputs.__setitem__(0, 99))
    assert "the graph's outputs are the tensors [-5]" in without(lambda g: g.outputs.__setitem__(0, -5))
    assert "a zero point beyond -128 to 127" in without(lambda g: g.tensors[0].zero_points.__setitem__(0, 128))
    assert "scales 0 to 0" in without(lambda g: g.tensors[0].scales.__setitem__(0, 0))
    assert "scales nan to nan" in without(lambda g: g.tensors[0].scales.__setitem__(0, np.nan))


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for data in (b"", b"x" * 100, b"\x1c\0\0\0TFL3" + b"\xff" * 60):
        (tmp_path / "bad.tflite").write_bytes(data)
        with pytest.raises(SystemExit) as caught:
            convert.main([str(tmp_path / "bad.tflite"), "-o", str(tmp_path / "bad.rnnp")])
        assert caught.value.code == 2
        assert "bad.tflite" in capsys.readouterr().err
        assert not (tmp_path / "bad.rnnp").exists()


def mlperf_tiny(name: str) -> Path:
    folder = os.environ.get("MLPERF_TINY")
    if not folder:
        pytest.skip("MLPERF_TINY does not point to a folder with MLPerf Tiny's .tflite files")
    pytest.importorskip("ai_edge_litert", reason="pip install ai-edge-litert")
    return Path(folder) / f"{name}.tflite"


MLPERF_TINY = pytest.mark.parametrize("name", ["vww_96_int8", "resnet8_int8", "kws_ref_model"])


@MLPERF_TINY
def test_models_of_mlperf_tiny_agree_with_litert(name: str, tmp_path: Path) -> None:
    file, out = mlperf_tiny(name), tmp_path / "net.rnnp"
    convert.main([str(file), "-o", str(out)])
    engine = Engine(out.read_bytes())
    pixels = compare.random_inputs(engine.input_shape, 100, 7)
    found = compare.agreement(file, out.read_bytes(), pixels)
    assert found.same == 100 and found.worst < 0.6  # TFLite rounds its logits to int8
    assert engine.golden_check()


@MLPERF_TINY
def test_tensors_of_mlperf_tiny_are_those_of_litert(name: str) -> None:
    file = mlperf_tiny(name)
    graph = read(file)
    lowering, other = Lowering(graph), compare.LiteRT(file)
    for op in graph.operators:
        TABLE[op.kind](lowering, op)
    model = lowering.model(name, [f"class {i}" for i in range(lowering.ops[-1].out_channels)])  # type: ignore[attr-defined]
    engine = Engine(write(model))
    for frame in compare.random_inputs(model.input_shape, 4, 3):
        other.values(frame)
        outputs = engine.run(frame if frame.shape[2] == 3 else frame[:, :, 0], taps=True).outputs()
        for op in graph.operators:
            mine = outputs[lowering.number[op.outputs[0]] - 1]
            if op.kind not in ("RESHAPE", "FULLY_CONNECTED", "SOFTMAX"):
                theirs = other.interpreter.get_tensor(op.outputs[0]).reshape(mine.shape)
                np.testing.assert_array_equal(mine, theirs, f"operator {op.index}, {op.kind}")


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(-20, -1), st.booleans())
def test_fine_biases_round_as_tflite_for_every_accumulator(seed: int, inputs: int, exponent: int, single: bool) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (5, inputs)).astype(np.int8)
    bias = rng.integers(-30000, 30000, 5).astype(np.int64)
    factors = rng.uniform(0.5, 1, 5) * 2.0**exponent
    low = int(rng.integers(-128, 100))
    clamp = {"out_zero_point": low, "act_min": low, "act_max": int(rng.integers(low, 128))}
    if single:  # on both sides of the zero point
        clamp["act_min"] = int(rng.integers(-128, clamp["act_max"] + 1))
    found = tflite_rounding.requantize(weight, bias, factors, clamp, (1,), single)
    if single and found is None:  # rounded once without fine biases, then
        return
    assert found is not None
    m = tflite_rounding.multipliers(factors)
    for o in range(5):
        reach = [int(np.where(weight[o] > 0, a, b).astype(np.int64) @ weight[o]) for a, b in ((-128, 127), (127, -128))]
        sums = np.arange(reach[0], reach[1] + 1)
        acc, own = bias[o] + sums, (v[o] for v in m)
        want = tflite_rounding.round_single(acc, Multipliers(*own)) if single else round_twice(acc, *own)
        want = np.clip(low + want, clamp["act_min"], clamp["act_max"])
        if not found["weight"][o].any():
            sums = np.zeros_like(sums)
        multiplier = found["multiplier"][o].astype(np.int64)
        if found.get("fine"):
            y = round_fine(256 * sums + found["bias"][o], multiplier)
        else:
            y = round_twice(sums + found["bias"][o], multiplier, found["exponent"][o])
        np.testing.assert_array_equal(np.clip(low + y, clamp["act_min"], clamp["act_max"]), want)
