"""Accuracy and area under the ROC curve of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def area_under_curve(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Part of the pairs (positive, negative) in which the positive scores higher, ties half; scores (N,), truth 0 or 1.

    NaN without both kinds.
    """
    positive, negative = scores[truth == 1], np.sort(scores[truth == 0])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.sum() / (2 * len(positive) * len(negative)))


def summary(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> dict[str, Any]:
    """images, accuracy (of the most probable label) and, for two labels, auc of (N, labels) against (N,)."""
    result: dict[str, Any] = {
        "images": len(truth), "accuracy": round(float((probabilities.argmax(1) == truth).mean()), 4)
    }  # fmt: skip
    if probabilities.shape[1] == 2:
        result["auc"] = round(area_under_curve(probabilities[:, 1], truth), 4)
    return result
