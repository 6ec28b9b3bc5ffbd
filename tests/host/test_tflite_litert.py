"""The TFLite front end against LiteRT's reference kernels, operator by operator, on small files and random inputs.

What the reference gives is compared with LiteRT; the engine with the reference, bit for bit, in a run of a whole model.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from test_tflite import File, classifier

pytest.importorskip("tflite", reason="the schema's builders are those of the tflite package: pip install tflite")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install ai-edge-litert")
from tflite_writer import write as write_file

from rnnpool_training import compare, convert, reference
from rnnpool_training.blob import Dense, Kind, Model
from rnnpool_training.blob import load as read_model
from rnnpool_training.blob import write as write_blob
from rnnpool_training.compile.from_tflite import lower
from rnnpool_training.compile.tflite_file import read
from rnnpool_training.engine import Engine

INPUTS = 20  # of each file


def against_litert(file: File, inner: int, folder: Path, kind: Kind) -> NDArray[np.int64]:
    """Steps between ours and LiteRT's, of each value of the tensor `inner` for random inputs.

    A last dense layer is put behind it, so that it is a whole model, which the engine runs as the reference does.
    """
    last = file.dense(inner, 3)
    file.graph.outputs.append(last)
    path = write_file(file.graph, folder / "mine.tflite")
    again = read(path)
    assert [op.kind for op in again.operators] == [op.kind for op in file.graph.operators]
    model: Model = lower(again, "mine")
    number = [op.kind for op in model.ops].index(kind)
    engine, other = Engine(write_blob(model)), compare.LiteRT(path)
    found = []
    for pixels in compare.random_inputs(model.input_shape, INPUTS, 5):
        other.values(pixels)
        right = reference.run_input(model, pixels)
        run = engine.run(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], taps=True)
        for mine, wanted in zip(run.outputs(), right, strict=True):
            np.testing.assert_array_equal(mine, wanted)
        theirs = other.interpreter.get_tensor(inner).reshape(-1).astype(np.int64)
        found.append(right[number].reshape(-1).astype(np.int64) - theirs)
    return np.concatenate(found)


TABLES = ["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE"]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_tables_are_within_a_step(kind: str, seed: int, tmp_path: Path) -> None:
    """Ours are the nearest to the real numbers; most of LiteRT's are, too."""
    file = File(seed, 9, 8, 3)
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
    out = file.op(kind, [0], np.asarray(real), Alpha=0.2)
    if kind in ("LOGISTIC", "TANH"):  # the only grids that TensorFlow Lite takes there
        tensor = file.graph.tensors[out]
        tensor.scales[:], tensor.zero_points[:] = (1 / 256, -128) if kind == "LOGISTIC" else (1 / 128, 0)
        file.values[out] = real
    steps = against_litert(file, out, tmp_path, Kind.LOOKUP)
    assert np.abs(steps).max() <= 1, np.bincount(np.abs(steps))
    assert (steps == 0).mean() > 0.85, (kind, (steps == 0).mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", [False, True])
def test_mean_is_within_a_step(seed: int, keep: bool, tmp_path: Path) -> None:
    file = File(seed, 5 + seed, 7, 3)
    axes = file.tensor((2,), [], 0, np.array([1, 2] if keep else [-2, -3], np.int32))
    out = file.op("MEAN", [0, axes], file.values[0].mean((0, 1), keepdims=True), KeepDims=keep)
    if not keep:
        file.graph.tensors[out].shape = (1, 3)
    steps = against_litert(file, out, tmp_path, Kind.GLOBAL_AVERAGE_POOL)
    assert np.abs(steps).max() <= 1, np.bincount(np.abs(steps))


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 11, 20, 21])
def test_a_dense_layer_in_the_middle_is_equal(seed: int, tmp_path: Path) -> None:
    """With and without ReLU. It is rounded once, which can be seen of the last four."""
    file = File(seed, 4, 5, 3)
    out = file.dense(0, 6, FusedActivationFunction=seed % 2)
    assert not against_litert(file, out, tmp_path, Kind.CONV).any()


@pytest.mark.parametrize("seed", range(4))
def test_products_with_a_vector_are_equal(seed: int, tmp_path: Path) -> None:
    """Squeeze and excitation, with the vector on either side."""
    file = File(seed, 6, 5, 3)
    options = {"FilterHeight": 6, "FilterWidth": 5, "StrideH": 6, "StrideW": 5, "Padding": 1}
    mean = file.op("AVERAGE_POOL_2D", [0], file.values[0].mean((0, 1), keepdims=True), 0, **options)
    inputs = [0, mean] if seed % 2 else [mean, 0]
    out = file.op("MUL", inputs, file.values[0] * file.values[mean], FusedActivationFunction=seed // 2)
    assert not against_litert(file, out, tmp_path, Kind.MUL).any()


@pytest.mark.parametrize("seed", range(4))
def test_convolutions_and_sums_are_equal(seed: int, tmp_path: Path) -> None:
    """What the models of MLPerf Tiny have, of other shapes and strides."""
    file = File(seed, 9, 7, 3)
    one = file.conv(0, FusedActivationFunction=seed % 2)
    two = file.conv(one, depthwise=True, FusedActivationFunction=seed // 2)
    assert not against_litert(file, two, tmp_path, Kind.DEPTHWISE).any()
    file = File(seed, 6, 6, 3)
    one = file.op("RELU", [0], np.maximum(file.values[0], 0))
    total = file.op("ADD", [0, one], file.values[0] + file.values[one], FusedActivationFunction=seed % 2)
    assert not against_litert(file, total, tmp_path, Kind.ADD).any()


@pytest.mark.parametrize("seed", range(4))
def test_a_convolution_at_the_end_gives_the_logits(seed: int, tmp_path: Path) -> None:
    """MobileNetV1's end: mean, a convolution of one pixel, RESHAPE, SOFTMAX; and one of the whole map."""
    file = File(seed, 5, 4, 3)
    axes = file.tensor((2,), [], 0, np.array([1, 2], np.int32))
    source = file.conv(0, FusedActivationFunction=1)
    if seed % 2:
        source = file.op("MEAN", [source, axes], file.values[source].mean((0, 1), keepdims=True), KeepDims=True)
    x = file.values[source]
    weights, w = file.weights((4, *x.shape), 0)
    bias, b = file.bias(source, weights)
    real = (np.einsum("hwc,ohwc->o", x, w) + b).reshape(1, 1, 4)
    last = file.op("CONV_2D", [source, weights, bias], real, StrideH=1, StrideW=1, Padding=1)
    shape = file.tensor((2,), [], 0, np.array([1, 4], np.int32))
    flat = file.op("RESHAPE", [last, shape], file.values[last].reshape(4), last)
    softmax = file.op("SOFTMAX", [flat], np.zeros(4), Beta=1.0)
    tensor = file.graph.tensors[softmax]
    tensor.scales[:], tensor.zero_points[:] = 1 / 256, -128  # as TensorFlow Lite has it
    file.graph.outputs.append(softmax)
    path = write_file(file.graph, tmp_path / "mine.tflite")
    model = lower(read(path), "mine")
    assert isinstance(model.ops[-1], Dense) and len(model.labels) == 4
    pixels = compare.random_inputs(model.input_shape, INPUTS, 5)
    found = compare.agreement(path, write_blob(model), pixels)
    # TFLite's own rounding of its last layer; and a mean is within a step of its.
    assert found.worst <= (2 if seed % 2 else 0.51) and found.same == INPUTS


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mean", [False, True])
def test_an_average_at_the_end_gives_the_logits(seed: int, mean: bool, tmp_path: Path) -> None:
    """SqueezeNet's end: a convolution of a channel a class, the average of the whole map, SOFTMAX."""
    file = File(seed, 7, 8, 3)
    source = file.conv(0, FusedActivationFunction=1)
    x = file.values[source]
    average = x.mean((0, 1), keepdims=True)
    if mean:
        last = file.op("MEAN", [source, file.tensor((2,), [], 0, np.array([1, 2], np.int32))], average, KeepDims=True)
    else:
        height, width = x.shape[:2]
        options = {"FilterHeight": height, "FilterWidth": width, "StrideH": height, "StrideW": width, "Padding": 1}
        last = file.op("AVERAGE_POOL_2D", [source], average, source, **options)
    if x.shape[2] > 1:
        last = probabilities(file, "SOFTMAX", last)
    file.graph.outputs.append(last)
    path = write_file(file.graph, tmp_path / "mine.tflite")
    model = lower(read(path), "mine")
    assert isinstance(model.ops[-1], Dense) and model.labels == [f"class {i}" for i in range(x.shape[2])]
    found = compare.agreement(path, write_blob(model), compare.random_inputs(model.input_shape, INPUTS, 5))
    assert found.worst <= mean + 0.05 and (mean or found.same == INPUTS)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("dense", [False, True])
def test_sigmoids_at_the_end(outputs: int, dense: bool, tmp_path: Path) -> None:
    """Of a single value no and yes, with LiteRT's probability; of several a map of a pixel."""
    file = File(2, 6, 5, 3)
    last = file.dense(file.conv(0, FusedActivationFunction=1), outputs, FusedActivationFunction=0 if dense else 3)
    file.graph.outputs.append(probabilities(file, "LOGISTIC", last))
    path = write_file(file.graph, tmp_path / "mine.tflite")
    model = lower(read(path), "mine")
    engine, single = Engine(write_blob(model)), outputs == 1
    assert model.labels == (["no", "yes"] if single else [f"channel {i}" for i in range(3)])
    pixels = compare.random_inputs(model.input_shape, INPUTS, 5)
    for frame in pixels:
        result, theirs = engine.run(frame, taps=True).outputs()[-1], litert(path, frame)
        if single:
            mine = np.array(reference.classify_outputs(model, [result])) / 32768
            np.testing.assert_allclose(mine, [1 - theirs[0], theirs[0]], atol=1 / 40)  # LiteRT's logit is of int8
        else:
            mine = model.result_scale * (result.reshape(-1).astype(float) - model.ops[-1].out_zero_point)
            np.testing.assert_allclose(mine, theirs, atol=1.01 / 256)
    found = compare.agreement(path, write_blob(model), pixels)
    assert found.worst <= (0.51 if single else 1) and (not single or found.same == INPUTS)


def probabilities(file: File, kind: str, source: int) -> int:
    """A SOFTMAX or LOGISTIC."""
    out = file.op(
        kind, [source], np.zeros(file.graph.tensors[source].shape[1:]), **({"Beta": 1.0} if kind == "SOFTMAX" else {})
    )
    tensor = file.graph.tensors[out]
    tensor.scales[:], tensor.zero_points[:] = 1 / 256, -128  # as TensorFlow Lite has it
    return out


def map_network(seed: int) -> tuple[File, int]:
    """A map that becomes smaller and larger again, as in segmentation; and the tensor of its last one."""
    file = File(seed, 12, 10, 3 if seed % 2 else 1)
    small = file.conv(file.conv(0, FusedActivationFunction=1), depthwise=True, FusedActivationFunction=1)
    large = file.values[small].repeat(2, 0).repeat(2, 1)
    size = file.tensor((2,), [], 0, np.array(large.shape[:2], np.int32))
    return file, file.conv(file.op("RESIZE_NEAREST_NEIGHBOR", [small, size], large, small))


def litert(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What LiteRT itself gives as the file's output, in real numbers."""
    other = compare.LiteRT(path)
    other.values(pixels)
    output = other.interpreter.get_output_details()[0]
    scale, zero_point = output["quantization"]
    found: NDArray[np.float64] = scale * (other.interpreter.get_tensor(output["index"])[0].astype(float) - zero_point)
    return found


@pytest.mark.parametrize("seed", [0, 1, 2, 4])  # 3 has a single channel
@pytest.mark.parametrize("end", ["", "SOFTMAX", "LOGISTIC"])
def test_maps_are_those_of_litert(seed: int, end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bit for bit, with the file's scale; a softmax is left out, and said; a sigmoid is a table."""
    file, last = map_network(seed)
    height, width, channels = file.values[last].shape
    if end:
        last = probabilities(file, end, last)
    file.graph.outputs.append(last)
    path, out = write_file(file.graph, tmp_path / "mine.tflite"), tmp_path / "mine.rnnp"
    convert.main([str(path), "-o", str(out)])
    said = capsys.readouterr().out
    assert f"to a map of {height} x {width} x {channels}, " in said.splitlines()[0]
    assert ("the last SOFTMAX is left out: " in said) == (end == "SOFTMAX")
    model, engine = read_model(out), Engine(out.read_bytes())
    assert engine.golden_check() and model.labels == [f"channel {i}" for i in range(channels)]
    pixels = compare.random_inputs(model.input_shape, INPUTS, 5)
    for frame in pixels[:4]:
        run = engine.run(frame if frame.shape[2] == 3 else frame[:, :, 0], taps=True)
        mine = model.result_scale * (run.outputs()[-1].astype(float) - model.ops[-1].out_zero_point)
        theirs = litert(path, frame)
        if end == "SOFTMAX":
            power = np.exp(mine - mine.max(2, keepdims=True))
            assert np.abs(power / power.sum(2, keepdims=True) - theirs).max() < 1 / 64  # of 1/256, in fixed point
        else:
            np.testing.assert_allclose(mine, theirs, atol=1.01 / 256 if end else 1e-6)
    found = compare.agreement(path, out.read_bytes(), pixels)
    assert found.worst <= (end == "LOGISTIC") and found.answers == INPUTS * height * width
    assert end == "LOGISTIC" or found.same == found.answers
    compare.main([str(path), str(out), "--count", "3"])
    lines = capsys.readouterr().out.splitlines()
    if not end:
        assert (
            lines[1]
            == f"same channel    the largest one in {3 * height * width} of {3 * height * width} pixels (100.0%)"
        )
    assert lines[-2].startswith("values          at most ")


def test_a_map_s_labels_and_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, last = map_network(1)
    file.graph.outputs.append(last)
    channels = file.values[last].shape[2]
    path, out = write_file(file.graph, tmp_path / "mine.tflite"), tmp_path / "mine.rnnp"
    names = [f"thing {i}" for i in range(channels)]
    convert.main([str(path), "-o", str(out), "--labels", ",".join(names)])
    assert read_model(out).labels == names
    with pytest.raises(SystemExit):
        convert.main([str(path), "-o", str(out), "--labels", ",".join([*names, "more"])])
    assert f"{channels + 1} labels, the model has {channels} outputs" in capsys.readouterr().err
    file, last = map_network(3)
    file.graph.outputs.append(last)
    path = write_file(file.graph, tmp_path / "single.tflite")
    convert.main([str(path), "-o", str(out)])
    compare.main([str(path), str(out), "--count", "3"])
    assert "same channel" not in capsys.readouterr().out  # of one


def test_compare_on_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """compare --data: pictures of any size, --count of them; what is no folder of pictures gets a sentence."""
    file = classifier(3)
    softmax = file.graph.tensors[file.graph.outputs[0]]
    softmax.scales[:], softmax.zero_points[:] = 1 / 256, -128  # as TensorFlow Lite has it
    file.graph.operators[-1].options["Beta"] = 1.0
    model, out = write_file(file.graph, tmp_path / "mine.tflite"), tmp_path / "mine.rnnp"
    convert.main([str(model), "-o", str(out)])
    del file.graph.operators[-1].options["Beta"]  # 0 then, on which LiteRT aborts its process
    with pytest.raises(SystemExit) as caught:
        compare.main([str(write_file(file.graph, tmp_path / "other.tflite")), str(out)])
    assert caught.value.code == 2
    assert "other.tflite: LiteRT can't run it, it ends with SIGABRT" in capsys.readouterr().err
    rng = np.random.default_rng(1)
    (tmp_path / "pictures").mkdir()
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (30, 20 + i, 3), np.uint8)).save(tmp_path / "pictures" / f"{i}.png")
    capsys.readouterr()
    line = [str(model), str(out), "--data", str(tmp_path / "pictures")]
    compare.main([*line, "--count", "3"])
    assert capsys.readouterr().out.startswith(
        "inputs          3\nsame answer     3 (100.0%)\nlogits          at most 0."
    )
    compare.main([str(model), str(out), "--count", "4"])
    assert capsys.readouterr().out.startswith("inputs          4\n")
    with pytest.raises(SystemExit) as caught:
        compare.main([*line[:-1], str(tmp_path / "none")])
    assert caught.value.code == 2 and "none is not a folder of pictures" in capsys.readouterr().err
    frames = rng.integers(0, 256, (2, *read_model(out).input_shape), np.uint8)
    for name, content in (("good", frames), ("float", frames / 255), ("none", frames[:0]), ("other", frames[:, :1])):
        np.save(tmp_path / f"{name}.npy", content)
    np.savez(tmp_path / "several", frames)
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    (tmp_path / "empty.npy").touch()
    for name in ("float", "none", "other", "several", "empty"):
        with pytest.raises(SystemExit) as caught:
            compare.main([*line[:2], "--inputs", str(tmp_path / f"{name}.npy")])
        assert caught.value.code == 2
        assert re.search(rf"{name}\.npy: .*a \.npy file of uint8 \[n, .*is needed", capsys.readouterr().err)
    compare.main([*line[:2], "--inputs", str(tmp_path / "good.npy")])
    assert capsys.readouterr().out.startswith("inputs          2\n")
    face = Path(__file__).resolve().parents[2] / "models" / "face.rnnp"
    person = face.with_name("person.rnnp")
    for other, sentence in (
        (face, "rnnpool-face-m4 is no classifier and gives no map"),
        (person, "has (360, 4) inputs and outputs, "),
    ):
        with pytest.raises(SystemExit) as caught:
            compare.main([str(model), str(other)])
        assert caught.value.code == 2 and sentence in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        compare.main([str(model), str(model), *line[2:]])
    assert caught.value.code == 2 and "magic" in capsys.readouterr().err
