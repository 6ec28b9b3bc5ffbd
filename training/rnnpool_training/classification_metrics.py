"""Accuracy, area under the ROC curve and calibration of a classifier."""

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


def calibration_error(scores: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017): how far scores (N,), 0 to 1, are from the part that is right.

    The mean over bins of equal width, each counted as often as scores lie in it. NaN without scores.
    """
    which = np.minimum((scores * bins).astype(np.int64), bins - 1)
    gap = np.bincount(which, scores - right, bins)
    return float(np.abs(gap).sum() / len(scores)) if len(scores) else float("nan")


def summary(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> dict[str, Any]:
    """images, accuracy (of the most probable label) and, for two labels, auc of (N, labels) against (N,)."""
    result: dict[str, Any] = {
        "images": len(truth), "accuracy": round(float((probabilities.argmax(1) == truth).mean()), 4)
    }  # fmt: skip
    if probabilities.shape[1] == 2:
        result["auc"] = round(area_under_curve(probabilities[:, 1], truth), 4)
    return result
