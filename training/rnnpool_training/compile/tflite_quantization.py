"""Whether a TFLite file is quantized to int8 throughout; if not, what it is and how to make one that is."""

from __future__ import annotations

import numpy as np

from .tflite_file import Graph, Operator, TFLiteError

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
NEEDED = (
    "int8 weights and int8 values are needed: TFLiteConverter with optimizations, a representative_dataset, and "
    "target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]"
)


def check_quantization(graph: Graph) -> None:
    """TFLiteError for a file of floats, of float16 or int8 weights with float values, of int16 values, of uint8."""
    for op in graph.operators:
        if op.kind in WEIGHTED:
            found = _of(graph, op)
            if found:
                raise TFLiteError(f"operator {op.index}, {op.kind}: {found}; {NEEDED}")


def _of(graph: Graph, op: Operator) -> str | None:
    weights, values = (graph.tensors[t] for t in (op.inputs[1], op.inputs[-1 if op.kind == "TRANSPOSE_CONV" else 0]))
    made = [other for other in graph.operators if weights.index in other.outputs and other.kind == "DEQUANTIZE"]
    if made:
        weights = graph.tensors[made[0].inputs[0]]
    if values.dtype == np.float32:
        if weights.dtype == np.float32:
            return "a model in floating point, which is not quantized"
        return f"weights of {weights.type_name} and values in floating point (only the weights are quantized)"
    if values.dtype == np.int16:
        return "values of int16 (int16x8)"
    if weights.data is not None and weights.dtype == np.uint8:
        return "weights of uint8 (the quantization of TensorFlow 1)"
    if weights.type_name == "int4":
        return "weights of int4"
    return None
