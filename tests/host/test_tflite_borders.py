"""TFLite files with uint8 or float inputs and outputs: QUANTIZE and DEQUANTIZE at the borders, against LiteRT."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_tflite import File

pytest.importorskip("tflite", reason="the schema's builders are those of the tflite package: pip install tflite")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install ai-edge-litert")
from test_tflite_litert import map_network, probabilities
from tflite_writer import write as write_file

from rnnpool_training import compare, convert
from rnnpool_training.blob import Dense, Task
from rnnpool_training.blob import load as read_model
from rnnpool_training.compile.tflite_file import Operator
from rnnpool_training.engine import Engine

INPUTS = 20  # of each file


def enter(file: File, dtype: Any) -> None:
    """The graph's input is uint8 or float, and a QUANTIZE makes the int8 frame of it."""
    frame = file.graph.tensors[0]
    index = file.tensor(frame.shape, frame.scale, frame.zero_point + 128)
    made = file.graph.tensors[index]
    made.dtype = dtype
    if dtype == np.float32:
        made.scales, made.zero_points = np.zeros(0), np.zeros(0, np.int64)
    file.graph.operators.insert(0, Operator(0, "QUANTIZE", [index], [0], {}))
    for i, op in enumerate(file.graph.operators):
        op.index = i
    file.graph.inputs[0] = index


def leave(file: File, last: int, dtype: Any, stretch: float = 1.0) -> None:
    """The graph's output is a tensor's values as uint8 or float; stretch: of the scale of uint8."""
    out = file.op("DEQUANTIZE" if dtype == np.float32 else "QUANTIZE", [last], file.values[last], last)
    tensor = file.graph.tensors[out]
    tensor.shape, tensor.dtype = file.graph.tensors[last].shape, dtype
    if dtype == np.float32:
        tensor.scales, tensor.zero_points = np.zeros(0), np.zeros(0, np.int64)
    else:
        tensor.scales, tensor.zero_points = tensor.scales * stretch, tensor.zero_points + 128
    file.graph.outputs.append(out)


def given(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What LiteRT itself gives as the file's output, in real numbers."""
    other = compare.LiteRT(path)
    other.values(pixels)
    output = other.interpreter.get_output_details()[0]
    found: NDArray[np.float64] = other.interpreter.get_tensor(output["index"])[0].astype(np.float64)
    scale, zero_point = output["quantization"]
    return found if output["dtype"] == np.float32 else scale * (found - zero_point)


def network(end: str) -> tuple[File, int]:
    """A classifier or a map, and the tensor of its end."""
    if end.startswith("map"):
        file, last = map_network(1)
        return file, last if end == "map" else probabilities(file, end.split()[1], last)
    file = File(2, 6, 5, 3)
    last = file.dense(file.conv(0, FusedActivationFunction=1), 1 if end == "LOGISTIC of one" else 3)
    return file, last if end == "DENSE" else probabilities(file, end.split()[0], last)


ENDS = ["DENSE", "SOFTMAX", "LOGISTIC of one", "LOGISTIC", "map", "map SOFTMAX", "map LOGISTIC"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("entry", [np.int8, np.uint8, np.float32])
@pytest.mark.parametrize("exit", ["uint8", "float", "rescaled"])
def test_borders(end: str, entry: Any, exit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The board's answers are LiteRT's, whatever stands at the borders; and the blob is that of the model without."""
    file, last = network(end)
    file.graph.outputs.append(last)
    plain, path, out = tmp_path / "plain.rnnp", tmp_path / "mine.tflite", tmp_path / "mine.rnnp"
    convert.main([str(write_file(file.graph, path)), "-o", str(plain), "--name", "mine"])
    file.graph.outputs.pop()
    leave(file, last, np.float32 if exit == "float" else np.uint8, 1.25 if exit == "rescaled" else 1.0)
    if entry != np.int8:
        enter(file, entry)
    convert.main([str(write_file(file.graph, path)), "-o", str(out)])
    model, engine = read_model(out), Engine(out.read_bytes())
    if exit != "rescaled" or end in ("SOFTMAX", "LOGISTIC of one", "map SOFTMAX"):
        assert out.read_bytes() == plain.read_bytes()
    several = end == "LOGISTIC" or end.startswith("map")
    assert (model.task == Task.MAP) == several and isinstance(model.ops[-1], Dense) != several
    pixels = compare.random_inputs(model.input_shape, INPUTS, 5)
    for frame in pixels[:5]:
        raw = engine.run(frame, taps=True).outputs()[-1]
        theirs = given(path, frame).reshape(-1)
        if model.task == Task.MAP:
            mine = model.result_scale * (raw.astype(float) - model.ops[-1].out_zero_point)
        else:
            mine = raw / 2.0 ** (12 - model.ops[-1].shift)
        left_out = end.endswith("SOFTMAX") or end == "LOGISTIC of one"
        inner = file.graph.operators[-2].inputs[0] if left_out else last
        tensor = file.graph.tensors[file.graph.outputs[0] if exit == "rescaled" and not left_out else inner]
        low, high = ((limit - tensor.zero_point) * tensor.scale for limit in (-128, 127))
        mine = np.clip(mine, low, high)  # logits of a file end where int8 does
        if left_out:
            power = np.exp(mine - mine.max(2, keepdims=True))
            mine = power / power.sum(2, keepdims=True)
        mine = mine.reshape(-1)[-theirs.size :]  # of no and yes the second
        np.testing.assert_allclose(mine, theirs, atol=1 / 40 if left_out else 1.01 * tensor.scale)
    found = compare.agreement(path, out.read_bytes(), pixels)
    assert found.worst <= (1 if several or exit == "rescaled" else 0.51) and found.same >= 0.98 * found.answers
    capsys.readouterr()
    compare.main([str(path), str(out), "--count", "2"])
    assert "inputs          2\n" in capsys.readouterr().out
