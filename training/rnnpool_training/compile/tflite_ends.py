"""The end of a TFLite graph: what a blob leaves out, and the tensor that is its result.

A softmax is computed by the board itself, the sigmoid of a single value as well. Changes of shape, DEQUANTIZE and a
QUANTIZE from int8 to uint8 (`inference_output_type=tf.uint8`) keep all values.
"""

from __future__ import annotations

import numpy as np

from .tflite_file import Graph, Operator, Tensor

SAME_VALUES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SOFTMAX", "DEQUANTIZE")  # softmax: as the last one
SHAPES = ("SHAPE", "STRIDED_SLICE", "PACK")  # of whole numbers
BORDERS = (*SAME_VALUES, "QUANTIZE")  # what may stand between the last layer and the output


def tail(graph: Graph) -> list[Operator]:
    """The operators at the end that are left out, the last one first."""
    chain = _borders(graph)
    source = _maker(graph, chain[-1].inputs[0] if chain else graph.outputs[0])
    if source is not None and _is_single_sigmoid(graph, source):
        chain.append(source)
        chain += _borders(graph, source.inputs[0])
    # Of what is in front of a softmax or sigmoid the values count, also if a QUANTIZE behind it changes their scale.
    sure = max((i + 1 for i, op in enumerate(chain) if op.kind in ("SOFTMAX", "LOGISTIC")), default=0)
    while sure < len(chain) and (chain[sure].kind != "QUANTIZE" or _same_grid(graph, chain[sure])):
        sure += 1
    return chain[:sure]


def result_tensor(graph: Graph) -> int:
    """The tensor that a blob's result is: the graph's output without what is left out at its end."""
    left_out = tail(graph)
    return left_out[-1].inputs[0] if left_out else graph.outputs[0]


def single_sigmoid(graph: Graph) -> Operator | None:
    """The last operator but for borders if it is the LOGISTIC of a single value."""
    return next((op for op in tail(graph) if op.kind == "LOGISTIC"), None)


def ends_with(graph: Graph, kind: str) -> bool:
    """Whether the last operator but for borders, of any scale, is of a kind."""
    chain = _borders(graph)
    source = _maker(graph, chain[-1].inputs[0] if chain else graph.outputs[0])
    return source is not None and source.kind == kind


def frame_tensor(graph: Graph) -> Tensor:
    """The quantized tensor that a frame's bytes are: the graph's input, or what a QUANTIZE makes of a float one."""
    frame = graph.tensors[graph.inputs[0]]
    for op in graph.operators:
        if op.inputs[0] == frame.index and op.kind in ("RESHAPE", "QUANTIZE") and frame.dtype == np.float32:
            frame = graph.tensors[op.outputs[0]]
    return frame


def without_shapes(graph: Graph) -> Graph:
    """The graph without the operators that compute the shape of a RESHAPE, as Keras's Flatten and Reshape have them."""
    kept = [
        op
        for op in graph.operators
        if op.kind not in SHAPES or any(graph.tensors[t].dtype not in (np.int32, np.int64) for t in op.outputs)
    ]
    return Graph(graph.tensors, kept, graph.inputs, graph.outputs)


def _maker(graph: Graph, tensor: int) -> Operator | None:
    return next((op for op in reversed(graph.operators) if tensor in op.outputs), None)


def _borders(graph: Graph, tensor: int | None = None) -> list[Operator]:
    # Those that lead to a tensor, or to the graph's output, the last one first.
    found: list[Operator] = []
    op = _maker(graph, graph.outputs[0] if tensor is None else tensor)
    while op is not None and op.kind in BORDERS and op not in found:
        found.append(op)
        op = _maker(graph, op.inputs[0])
    return found


def _same_grid(graph: Graph, op: Operator) -> bool:
    one, two = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    quantized = one.scales.size == two.scales.size == 1
    return quantized and (one.scale, one.zero_point) == (two.scale, two.zero_point)


def _is_single_sigmoid(graph: Graph, op: Operator) -> bool:
    return op.kind == "LOGISTIC" and int(np.prod(graph.tensors[op.outputs[0]].shape)) == 1
