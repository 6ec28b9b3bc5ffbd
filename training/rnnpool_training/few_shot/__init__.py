"""Classifiers from few pictures: what a trained network knows, a linear probe on its features, or more tuning.

Candidates, from the simplest: a linear probe (a regularized logistic regression) on the features of the start, with the
start's own head mixed into it if the classes are those that it knows; the late layers, tuned from the probe on. Each
must be clearly better than the one before it in cross-validation. The early layers stay as they are, so what they make
of a picture and of its random views is computed once and kept.
"""

from .chooser import Chooser, Outcome

__all__ = ["Chooser", "Outcome"]
