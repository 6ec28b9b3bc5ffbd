"""Functions of a single value that TFLite has as operators, and a blob as tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .integers import Floats
from .tflite_file import Operator

KINDS = ("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH")


def function(op: Operator) -> Callable[[Floats], NDArray[Any]]:
    """What one of these operators, or QUANTIZE, does with real numbers."""
    alpha = op.options.get("Alpha", 0.0)
    functions: dict[str, Callable[[Floats], NDArray[Any]]] = {
        "QUANTIZE": lambda v: v,
        "RELU": lambda v: np.maximum(v, 0),
        "RELU6": lambda v: np.minimum(np.maximum(v, 0), 6),
        "LEAKY_RELU": lambda v: np.where(v < 0, alpha * v, v),
        "LOGISTIC": lambda v: 1 / (1 + np.exp(-v)),
        "TANH": np.tanh,
        "HARD_SWISH": lambda v: v * np.minimum(np.maximum(v + 3, 0), 6) / 6,
    }
    return functions[op.kind]
