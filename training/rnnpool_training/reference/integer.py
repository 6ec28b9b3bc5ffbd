"""Integer helpers that every operator uses: saturation and exact matrix products."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[Any]  # int32 or int64, or a narrower type where a docstring says so


def sat16(v: Integers) -> Integers:
    """Clamps to -32768..32767; the dtype stays."""
    return np.clip(v, -32768, 32767)


def sat8(v: Integers) -> Integers:
    """Clamps to -128..127; the dtype stays."""
    return np.clip(v, -128, 127)


def product(x: Integers, w: Integers) -> Integers:
    """sum_k x[..., k] * w[o, k] as int32 [..., o].

    The loader's overflow rules keep every sum of absolute products below 2^31, so each partial sum is a whole number
    below 2^53 and float64 holds it exactly in whatever order the BLAS adds: fast and still exact.
    """
    return np.asarray(x.astype(np.float64) @ w.astype(np.float64).T).astype(np.int32)
