"""Writes a graph as a .tflite file, for LiteRT to run: what compile/tflite_file.py reads, the other way round.

The `tflite` package has the schema's builders; `flatbuffers` comes with it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rnnpool_training.compile.tflite_file import OPTIONS, Graph, Operator, Tensor

TYPES = {np.float32: 0, np.int32: 2, np.uint8: 3, np.int64: 4, np.int16: 7, np.int8: 9}


class Writer:
    """A file in the making. Tables are built from the inside: buffers, tensors, operators, the subgraph, the model."""

    def __init__(self) -> None:
        import flatbuffers
        import tflite

        self.builder: Any = flatbuffers.Builder(4096)
        self.schema: Any = tflite

    def table(self, name: str, **fields: Any) -> int:
        """A table with some of its fields."""
        getattr(self.schema, f"{name}Start")(self.builder)
        for field, value in fields.items():
            getattr(self.schema, f"{name}Add{field}")(self.builder, value)
        return int(getattr(self.schema, f"{name}End")(self.builder))

    def offsets(self, offsets: list[int]) -> int:
        """A vector of tables."""
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def numbers(self, values: Any, dtype: Any) -> int:
        """A vector of numbers."""
        return int(self.builder.CreateNumpyVector(np.asarray(values, dtype)))

    def tensor(self, tensor: Tensor, buffer: int) -> int:
        """Several scales are of the axis of their number: the last for a depthwise convolution's, else the first."""
        name, shape = self.builder.CreateString(tensor.name), self.numbers(tensor.shape, np.int32)
        fields = {}
        if tensor.scales.size:
            count = tensor.scales.size
            axis = 0 if count == 1 or tensor.shape[0] == count else len(tensor.shape) - 1
            scales, points = self.numbers(tensor.scales, np.float32), self.numbers(tensor.zero_points, np.int64)
            fields["Quantization"] = self.table(
                "QuantizationParameters", Scale=scales, ZeroPoint=points, QuantizedDimension=axis
            )
        return self.table("Tensor", Shape=shape, Type=TYPES[np.dtype(tensor.dtype).type], Buffer=buffer, Name=name,
                          **fields)  # fmt: skip

    def operator(self, op: Operator, code: int) -> int:
        """With the options that it was given."""
        inputs, outputs = self.numbers(op.inputs, np.int32), self.numbers(op.outputs, np.int32)
        fields = {}
        name = "SoftmaxOptions" if op.kind == "SOFTMAX" else OPTIONS.get(op.kind)
        if name is not None:
            known = {k: v for k, v in op.options.items() if hasattr(self.schema, f"{name}Add{k}")}
            fields["BuiltinOptions"] = self.table(name, **known)
            fields["BuiltinOptionsType"] = getattr(self.schema.BuiltinOptions, name)
        return self.table("Operator", OpcodeIndex=code, Inputs=inputs, Outputs=outputs, **fields)

    def model(self, graph: Graph) -> bytes:
        """The whole file."""
        kinds = sorted({op.kind for op in graph.operators})
        codes = []
        for kind in kinds:
            number = getattr(self.schema.BuiltinOperator, kind)
            codes.append(
                self.table("OperatorCode", BuiltinCode=number, DeprecatedBuiltinCode=min(number, 127), Version=1)
            )
        buffers, tensors = [self.table("Buffer")], []
        for tensor in graph.tensors:
            buffer = 0
            if tensor.data is not None:
                self.builder.StartVector(1, tensor.data.nbytes, 16)  # kernels read what is aligned
                self.builder.head -= tensor.data.nbytes
                self.builder.Bytes[self.builder.head : self.builder.head + tensor.data.nbytes] = tensor.data.tobytes()
                data = self.builder.EndVector()
                buffer = len(buffers)
                buffers.append(self.table("Buffer", Data=data))
            tensors.append(self.tensor(tensor, buffer))
        operators = [self.operator(op, kinds.index(op.kind)) for op in graph.operators]
        parts = {
            "Tensors": self.offsets(tensors), "Operators": self.offsets(operators),
            "Inputs": self.numbers(graph.inputs, np.int32), "Outputs": self.numbers(graph.outputs, np.int32),
        }  # fmt: skip
        subgraph = self.table("SubGraph", **parts)
        whole = {"OperatorCodes": self.offsets(codes), "Subgraphs": self.offsets([subgraph])}
        whole["Buffers"] = self.offsets(buffers)
        self.builder.Finish(self.table("Model", Version=3, **whole), b"TFL3")
        return bytes(self.builder.Output())


def write(graph: Graph, path: Path) -> Path:
    """The file of a graph."""
    path.write_bytes(Writer().model(graph))
    return path
