"""The operators of a blob, one file each, and their table."""

from ..kinds import Kind
from .average_pool import GlobalAveragePool
from .base import Int8, Int16, Int32, Operator, Shape, UInt16
from .conv import Conv
from .dense import Dense
from .head import DetectHead
from .inverted_residual import InvertedResidual
from .rnnpool import RNNPool

OPERATORS: dict[Kind, type[Operator]] = {
    cls.kind: cls for cls in (Conv, RNNPool, InvertedResidual, DetectHead, GlobalAveragePool, Dense)
}

__all__ = [
    "OPERATORS",
    "Conv",
    "Dense",
    "DetectHead",
    "GlobalAveragePool",
    "Int8",
    "Int16",
    "Int32",
    "InvertedResidual",
    "Operator",
    "RNNPool",
    "Shape",
    "UInt16",
]
