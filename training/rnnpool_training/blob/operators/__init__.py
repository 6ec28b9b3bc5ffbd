"""The operators of a blob, one file each, and their table."""

from ..kinds import Kind
from .average_pool import GlobalAveragePool
from .base import Int8, Int16, Int32, Operator, Shape, UInt16
from .conv import Conv
from .dense import Dense
from .depthwise import Depthwise
from .elementwise import Add, Concat, L2Norm, Lookup, Mul
from .head import DetectHead
from .inverted_residual import InvertedResidual
from .pool import Pool
from .rnnpool import RNNPool
from .upsample import Upsample

OPERATORS: dict[Kind, type[Operator]] = {
    cls.kind: cls
    for cls in (
        *(Conv, RNNPool, InvertedResidual, DetectHead, GlobalAveragePool, Dense),
        *(Depthwise, Pool, Add, Concat, Lookup, Mul, Upsample, L2Norm),
    )
}

__all__ = [
    "OPERATORS",
    "Add",
    "Concat",
    "Conv",
    "Dense",
    "Depthwise",
    "DetectHead",
    "GlobalAveragePool",
    "Int8",
    "Int16",
    "Int32",
    "InvertedResidual",
    "L2Norm",
    "Lookup",
    "Mul",
    "Operator",
    "Pool",
    "RNNPool",
    "Shape",
    "UInt16",
    "Upsample",
]
