"""What converters of other people make: constants, dilation, shapes that are computed, files that are not int8."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_tflite import File, classifier

pytest.importorskip("tflite", reason="the schema's builders are those of the tflite package: pip install tflite")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install ai-edge-litert")
import tflite_writer
from test_tflite_litert import against_litert, probabilities

from rnnpool_training import compare, convert
from rnnpool_training.blob import Kind
from rnnpool_training.blob import load as read_model
from rnnpool_training.compile.from_tflite import lower
from rnnpool_training.compile.tflite_file import Operator, TFLiteError, read

UNQUANTIZED: Any = np.zeros(0)


@pytest.mark.parametrize(("channels", "filters"), [(1, 8), (3, 2)])
def test_several_filters_a_channel(channels: int, filters: int, tmp_path: Path) -> None:
    """The first layer of TensorFlow Lite Micro's person detection and keyword spotting: LiteRT's bits."""
    file = File(3, 9, 7, channels)
    weights, w = file.weights((1, 3, 3, channels * filters), 3)
    bias, b = file.bias(0, weights)
    x = np.pad(file.values[0], ((1, 1), (1, 1), (0, 0))).repeat(filters, 2)
    real = sum(x[i : i + 9, j : j + 7] * w[0, i, j] for i in range(3) for j in range(3)) + b
    out = file.op(
        "DEPTHWISE_CONV_2D", [0, weights, bias], real, StrideH=1, StrideW=1, Padding=0, DepthMultiplier=filters
    )
    assert not against_litert(file, out, tmp_path, Kind.CONV).any()


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
def test_dilation(depthwise: bool, padding: int, tmp_path: Path) -> None:
    """LiteRT's bits, with SAME and with VALID padding."""
    file = File(4, 11, 12, 3)
    weights, w = file.weights((1, 3, 3, 3) if depthwise else (4, 3, 3, 3), 3 if depthwise else 0)
    bias, b = file.bias(0, weights)
    x = file.values[0] if padding else np.pad(file.values[0], ((2, 2), (3, 3), (0, 0)))
    views = [(x[2 * i : x.shape[0] - 4 + 2 * i, 3 * j : x.shape[1] - 6 + 3 * j], i, j) for i in range(3)
             for j in range(3)]  # fmt: skip
    real = sum(v * w[0, i, j] if depthwise else v @ w[:, i, j].T for v, i, j in views) + b
    options: dict[str, Any] = {"DepthMultiplier": 1} if depthwise else {}
    out = file.op(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [0, weights, bias], np.asarray(real), StrideH=1, StrideW=1,
        Padding=padding, DilationHFactor=2, DilationWFactor=3, **options,
    )  # fmt: skip
    assert not against_litert(file, out, tmp_path, Kind.DEPTHWISE if depthwise else Kind.CONV).any()


@pytest.mark.parametrize("kind", ["MUL", "ADD", "SUB"])
@pytest.mark.parametrize("numbers", [[90], [90, -40, 120], [5, 6, -128]])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("relu", [0, 1])
def test_constants(kind: str, numbers: list[int], first: bool, relu: int, tmp_path: Path) -> None:
    """A number, and one a channel, on either side: at most a step from LiteRT. 5 is 0, of which a channel is left."""
    file = File(3, 9, 7, 3)
    values = np.array(numbers, np.int8).reshape(() if len(numbers) == 1 else (3,))
    constant, c = file.tensor(values.shape, 0.01, 5, values), (values.astype(float) - 5) * 0.01
    x = file.values[0]
    one, two = (c, x) if first else (x, c)
    real = {"MUL": one * two, "ADD": one + two, "SUB": one - two}[kind]
    inputs = [constant, 0] if first else [0, constant]
    out = file.op(kind, inputs, np.broadcast_to(real, x.shape), FusedActivationFunction=relu)
    steps = against_litert(file, out, tmp_path, Kind.LOOKUP if len(numbers) == 1 else Kind.DEPTHWISE)
    assert np.abs(steps).max() <= 1 and (steps == 0).mean() > 0.85


def test_a_difference_of_maps(tmp_path: Path) -> None:
    file = File(3, 6, 6, 3)
    one = file.op("RELU", [0], np.maximum(file.values[0], 0))
    steps = against_litert(file, file.op("SUB", [0, one], file.values[0] - file.values[one]), tmp_path, Kind.ADD)
    assert np.abs(steps).max() <= 1


def computed_reshape(file: File, source: int) -> int:
    """Keras's Flatten with a batch of any size: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    x = file.values[source]

    def numbers(values: Any, *shape: int) -> int:
        index = file.tensor(shape, UNQUANTIZED, 0, np.array(values, np.int32).reshape(shape))
        file.graph.tensors[index].data = None if values == 0 and not shape else file.graph.tensors[index].data
        return index

    def made(kind: str, inputs: list[int], *shape: int, **options: Any) -> int:
        out = file.tensor(shape, UNQUANTIZED, 0, np.zeros(shape, np.int32))
        file.graph.tensors[out].data = None
        file.graph.operators.append(Operator(len(file.graph.operators), kind, inputs, [out], options))
        return out

    shape = made("SHAPE", [source], 4, OutType=2)
    begin, end, step = (numbers([n], 1) for n in (0, 1, 1))
    batch = made("STRIDED_SLICE", [shape, begin, end, step], ShrinkAxisMask=1)
    both = made("PACK", [batch, numbers([x.size])], 2, ValuesCount=2)
    flat = file.op("RESHAPE", [source, both], x.reshape(-1), source)
    file.values[flat] = x
    return flat


def whole(file: File, last: int, folder: Path) -> tuple[Path, Path]:
    """The file with a softmax, and its blob, which gives LiteRT's answers."""
    file.graph.outputs.append(probabilities(file, "SOFTMAX", last))
    path, out = tflite_writer.write(file.graph, folder / "mine.tflite"), folder / "mine.rnnp"
    convert.main([str(path), "-o", str(out)])
    compare.try_litert(path)
    pixels = compare.random_inputs(read_model(out).input_shape, 20, 5)
    found = compare.agreement(path, out.read_bytes(), pixels)
    assert found.worst < 0.52 and found.same == 20
    return path, out


def test_shapes_that_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"SHAPE": "ShapeOptions", "STRIDED_SLICE": "StridedSliceOptions", "PACK": "PackOptions"}
    monkeypatch.setattr(tflite_writer, "OPTIONS", tflite_writer.OPTIONS | names)
    file = File(1, 12, 10, 3)
    inner = computed_reshape(file, file.conv(0, FusedActivationFunction=1))
    path, out = whole(file, file.dense(inner, 3), tmp_path)
    assert any(op.kind == "PACK" for op in read(path).operators)
    assert [op.kind for op in read_model(out).ops] == [Kind.CONV, Kind.DENSE]


def test_a_picture_that_comes_as_a_vector(tmp_path: Path) -> None:
    """As the spectrum of keyword spotting does."""
    file = File(3, 12, 10, 1)
    file.graph.tensors[0].shape = (1, 120)
    shape = file.tensor((4,), UNQUANTIZED, 0, np.array([1, 12, 10, 1], np.int32))
    inner = file.op("RESHAPE", [0, shape], file.values[0], 0)
    _, out = whole(file, file.dense(file.conv(inner), 3), tmp_path)
    assert read_model(out).input_shape == (12, 10, 1)


def as_floats(file: File, weights: Any = np.float32) -> None:
    """Values in floating point; weights of a type."""
    for tensor in file.graph.tensors:
        if tensor.data is None or tensor.dtype == np.int32:
            tensor.scales, tensor.zero_points = UNQUANTIZED, UNQUANTIZED.astype(int)
            tensor.data = None if tensor.data is None else tensor.data.astype(np.float32)
            tensor.dtype = np.float32
        else:
            tensor.data, tensor.dtype = tensor.data.astype(weights), weights


def half_weights(file: File) -> None:
    """float16 weights behind DEQUANTIZE, as the converter makes them."""
    as_floats(file)
    for op in list(file.graph.operators):
        if len(op.inputs) > 1:
            weights = file.graph.tensors[op.inputs[1]]
            assert weights.data is not None
            stored = file.tensor(weights.shape, UNQUANTIZED, 0, weights.data.astype(np.float16))
            weights.data = None
            file.graph.operators.insert(0, Operator(0, "DEQUANTIZE", [stored], [weights.index], {}))


def as_words(file: File) -> None:
    """Values of int16."""
    for tensor in file.graph.tensors:
        if tensor.data is None:
            tensor.dtype = np.int16


def as_tensorflow_1(file: File) -> None:
    """Weights of uint8."""
    for tensor in file.graph.tensors:
        if tensor.data is not None and tensor.dtype == np.int8:
            tensor.data, tensor.dtype = tensor.data.view(np.uint8), np.uint8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (as_floats, "operator 0, CONV_2D: a model in floating point, which is not quantized; int8 weights and int8"),
        (lambda file: as_floats(file, np.int8), "CONV_2D: weights of int8 and values in floating point .*; int8"),
        (half_weights, "CONV_2D: weights of float16 and values in floating point"),
        (as_words, r"CONV_2D: values of int16 \(int16x8\); int8 weights"),
        (as_tensorflow_1, r"CONV_2D: weights of uint8 \(the quantization of TensorFlow 1\)"),
    ],
)  # fmt: skip
def test_files_that_are_not_int8_say_what_they_are(change: Callable[[File], None], message: str) -> None:
    file = classifier()
    change(file)
    with pytest.raises(TFLiteError, match=message):
        lower(file.graph, "x")


@pytest.mark.parametrize("depth", [1, 3])
def test_a_frame_that_is_joined_with_itself(depth: int, tmp_path: Path) -> None:
    """Gray to three channels, in front of a network that takes colours."""
    file = File(3, 7, 6, depth)
    out = file.op("CONCATENATION", [0, 0, 0], np.concatenate([file.values[0]] * 3, 2), 0, Axis=3)
    assert not against_litert(file, out, tmp_path, Kind.CONCAT).any()


@pytest.mark.parametrize("kind", ["CONCATENATION", "RESIZE_NEAREST_NEIGHBOR"])
def test_what_changes_nothing_is_left_out(kind: str, tmp_path: Path) -> None:
    """One map joined, and a size that is the same."""
    file = File(1, 8, 9, 3)
    one = file.conv(0)
    size = file.tensor((2,), UNQUANTIZED, 0, np.array(file.values[one].shape[:2], np.int32))
    options: dict[str, Any] = {"Axis": 3} if kind == "CONCATENATION" else {}
    same = file.op(kind, [one] if kind == "CONCATENATION" else [one, size], file.values[one], one, **options)
    _, out = whole(file, file.dense(same, 3), tmp_path)
    assert [op.kind for op in read_model(out).ops] == [Kind.CONV, Kind.DENSE]


@pytest.mark.parametrize(("groups", "outputs"), [(2, 6), (4, 4), (4, 8)])
def test_groups(groups: int, outputs: int, tmp_path: Path) -> None:
    """LiteRT's bits: weights of a group's channels, as Keras's Conv2D(groups=2) has them."""
    file = File(2, 9, 7, 3)
    eight, w = file.weights((8, 1, 1, 3), 0)
    bias, b = file.bias(0, eight)
    options = {"StrideH": 1, "StrideW": 1, "Padding": 1}
    source = file.op("CONV_2D", [0, eight, bias], file.values[0] @ w[:, 0, 0].T + b, **options)
    weights, w = file.weights((outputs, 3, 3, 8 // groups), 0)
    bias, b = file.bias(source, weights)
    views = np.lib.stride_tricks.sliding_window_view(file.values[source], (3, 3), (0, 1))
    parts = zip(np.split(views, groups, 2), np.split(w, groups), strict=True)
    real = np.concatenate([np.einsum("hwcij,oijc->hwo", view, one) for view, one in parts], 2) + b
    file.graph.outputs.append(file.op("CONV_2D", [source, weights, bias], real, **options))
    path = tflite_writer.write(file.graph, tmp_path / "mine.tflite")
    convert.main([str(path), "-o", str(tmp_path / "mine.rnnp")])
    found = compare.agreement(path, (tmp_path / "mine.rnnp").read_bytes(), compare.random_inputs((9, 7, 3), 20, 5))
    assert found.worst == 0 and found.same == found.answers


def test_grids_and_channels_that_do_not_fit() -> None:
    """What would give other results than LiteRT without a word, or another error than this file's."""
    file = File(3, 6, 6, 3)
    one = file.conv(0)
    shape = file.tensor((4,), UNQUANTIZED, 0, np.array(file.graph.tensors[one].shape, np.int32))
    again = file.op("RESHAPE", [one, shape], file.values[one], one)
    file.graph.tensors[again].zero_points -= 20
    file.graph.outputs.append(file.conv(again))
    with pytest.raises(TFLiteError, match=r"operator 1, RESHAPE .*: input and output of different scales"):
        lower(file.graph, "x")
    file = File(3, 6, 6, 3)
    amounts = file.tensor((4, 2), UNQUANTIZED, 0, np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    wider = file.op("PAD", [0, amounts], np.zeros((8, 8, 3)), 0)
    file.graph.tensors[wider].scales *= 2
    file.graph.outputs.append(file.conv(wider))
    with pytest.raises(TFLiteError, match=r"operator 0, PAD .*: input and output of different scales"):
        lower(file.graph, "x")
    file = classifier()
    weights = file.graph.tensors[file.graph.operators[0].inputs[1]]
    assert weights.data is not None
    weights.data = np.concatenate([weights.data, weights.data[..., :1]], 3)
    with pytest.raises(TFLiteError, match=r"operator 0, CONV_2D .*: weights of the shape .* for 3 channels"):
        lower(file.graph, "x")
    file = File(1, 4, 4, 3)
    values = np.arange(48).astype(np.int8)
    numbers, shape = file.tensor((48,), 0.01, 0, values), file.tensor((2,), UNQUANTIZED, 0, np.array([1, 48], np.int32))
    flat = file.op("RESHAPE", [0, shape], file.values[0].reshape(-1), 0)
    out = file.op("ADD", [flat, numbers], file.values[flat] + values * 0.01)
    file.values[out] = file.values[out].reshape(1, 1, -1)
    file.graph.outputs.append(file.dense(out, 3))
    with pytest.raises(TFLiteError, match=r"ADD .*: a constant a value of a flattened map"):
        lower(file.graph, "x")
