"""Models of others, to compare with and to learn from: read from a folder that the user names, never shipped.

Each needs a package of its own (`pip install 'rnnpool[peers]'`); what is missing is said and left out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .anchors import non_maximum_suppression
from .data import frame
from .metrics import DetectorFunction

FLOAT = NDArray[np.float32]
PersonFunction = Callable[[NDArray[np.uint8]], float]  # uint8 (H, W, 3) to the score of "person"
HEIGHT, WIDTH = 240, 320  # the frame that detectors see, the same for all
LOWEST, OVERLAP = 0.02, 0.3  # score and suppression that the detectors' authors use


def _yunet(path: Path) -> DetectorFunction:
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    detector = cv2.FaceDetectorYN.create(str(path), "", (WIDTH, HEIGHT), LOWEST, OVERLAP, 5000)

    def detect(pixels: NDArray[np.uint8]) -> FLOAT:
        image, scale_x, scale_y = frame(pixels, HEIGHT, WIDTH)
        found = detector.detect(np.repeat(image[:, :, None], 3, axis=2))[1]
        if found is None:
            return np.zeros((0, 5), np.float32)
        rows = found[np.argsort(-found[:, -1], kind="stable")]
        boxes = rows[:, :4] / np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        return np.concatenate([boxes, rows[:, -1:]], axis=1).astype(np.float32)

    return detect


def _rfb(path: Path) -> DetectorFunction:
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = runtime.InferenceSession(str(path), options)

    def detect(pixels: NDArray[np.uint8]) -> FLOAT:
        image, scale_x, scale_y = frame(pixels, HEIGHT, WIDTH)
        x = np.repeat(((image.astype(np.float32) - 127) / 128)[None, None], 3, axis=1)
        scores, boxes = session.run(None, {"input": x})
        chosen = scores[0, :, 1] >= LOWEST
        score = scores[0, chosen, 1]
        corners = boxes[0, chosen] * np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)
        corners /= np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        found = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        kept = non_maximum_suppression(found, score, OVERLAP, 5000)
        return np.concatenate([found[kept], score[kept, None]], axis=1).astype(np.float32)

    return detect


def tflite(path: Path, inner: list[FLOAT] | None = None) -> PersonFunction:
    """A classifier of RGB pictures, squashed to its input, float or int8, of two labels. ValueError if it is none.

    `inner` gets what the last dense layer takes of each picture, float32 (F,); ValueError if there is no such layer.
    """
    litert = importlib.import_module("ai_edge_litert.interpreter")
    options: dict[str, Any] = {}
    if inner is not None:  # the default delegate keeps no tensors between its operators
        plain = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options = {"experimental_preserve_all_tensors": True, "experimental_op_resolver_type": plain}
    interpreter = litert.Interpreter(str(path), num_threads=1, **options)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shapes = inputs["shape"].tolist(), outputs["shape"].tolist()
    if len(shapes[0]) != 4 or shapes[0][::3] != [1, 3] or shapes[1] != [1, 2]:
        raise ValueError(
            f"its input has the shape {shapes[0]}, not [1, H, W, 3], or its output {shapes[1]}, not [1, 2]"
        )
    side = (int(inputs["shape"][2]), int(inputs["shape"][1]))
    if inner is not None:
        dense = [op for op in interpreter._get_ops_details() if op["op_name"] == "FULLY_CONNECTED"]
        if not dense:
            raise ValueError("it has no dense layer whose input could be learned from")
        vector = next(t for t in interpreter.get_tensor_details() if t["index"] == dense[-1]["inputs"][0])

    def score(pixels: NDArray[np.uint8]) -> float:
        x = np.asarray(Image.fromarray(pixels).resize(side, Image.Resampling.BILINEAR))
        if inputs["dtype"] == np.int8:
            x = (x.astype(np.int16) - 128).astype(np.int8)
        else:
            x = x.astype(np.float32) / 127.5 - 1
        interpreter.set_tensor(inputs["index"], x[None])
        interpreter.invoke()
        if inner is not None:
            values, (step, middle) = interpreter.get_tensor(vector["index"]).ravel(), vector["quantization"]
            inner.append((values.astype(np.float32) - middle) * np.float32(step or 1.0))
        out = interpreter.get_tensor(outputs["index"])[0]
        if outputs["dtype"] == np.int8:  # probabilities
            scale, zero = outputs["quantization"]
            return float((int(out[1]) - zero) * scale)
        return float(1 / (1 + np.exp(-float(out[1] - out[0]))))  # logits

    return score


# File name: what it is called, the package that runs it, and how.
FACES: dict[str, tuple[str, str, Callable[[Path], DetectorFunction]]] = {
    "yunet_2026may.onnx": ("YuNet", "opencv-python-headless", _yunet),
    "version-RFB-320.onnx": ("Ultra-Light RFB-320", "onnxruntime", _rfb),
}
PERSONS: dict[str, tuple[str, str, Callable[[Path], PersonFunction]]] = {
    "mcunet_vww.tflite": ("MCUNet VWW", "ai-edge-litert", tflite),
    "vww_96_int8.tflite": ("MLPerf Tiny VWW", "ai-edge-litert", tflite),
}


def open_all(
    folder: Path, table: dict[str, tuple[str, str, Callable[[Path], Any]]]
) -> tuple[dict[str, Any], list[str]]:
    """The models of `table` that are in a folder, by name, and a sentence for each that can't be run."""
    found, missing = {}, []
    for file, (name, package, opened) in table.items():
        if not (folder / file).is_file():
            missing.append(f"{name} is left out: {folder / file} is not a file")
            continue
        try:
            found[name] = opened(folder / file)
        except ImportError:
            missing.append(f"{name} is left out: it needs {package} (pip install 'rnnpool[peers]')")
    return found, missing
