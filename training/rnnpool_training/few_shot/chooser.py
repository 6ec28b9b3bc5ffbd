"""Finds the best classifier from few pictures by cross-validation."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..classifier import Classifier
from ..pictures import Picture
from .maps import POLICIES, Maps, Policy, Tail, joined, make_maps
from .probe import STRENGTHS, Linear, fit_probes, known, mixed
from .scores import Score, better, clearly, folds, score
from .tune import Recipe, blended, cooled, logits_of, tune, with_head

FOLDS = 4
REPEATS = (3, 600)  # of cross-validation of probes: at most, and not more than so many pictures in all
PLENTY = 1000  # pictures from which on a single part of them is held back
BLENDS = (0.25, 0.5, 0.75, 1.0)  # parts of the way from the probe to the tuned network
# Standard errors by which the balanced accuracy must be higher to take the place of the probe, and of START:
CLEAR, CLEARER = 1.5, 2.0
MOST_STEPS, FEWEST_STEPS = 100, 20  # of each tuned network
TUNED = 100  # pictures from which on tuning is tried, and where the start's head has a part in the best so far:
TUNED_START = 600
EVERY = 5  # seconds from one line of progress to the next
WORTH = 30  # pictures that the start's own head counts as beside a probe of the user's

START = "start's head and probe"  # among the candidates

Rows = NDArray[np.int64]


@dataclass
class Outcome:
    """The network that was chosen, and what is known of it.

    probe: the linear probe of all pictures, whether it was chosen or not; logits (R, N, labels): of each picture in
    `held` by networks that were made in the same way without it, in R repetitions; candidates: name, balanced accuracy
    and loss of all that were tried, in cross-validation; chosen: the name of the one taken.
    """

    tail: Tail
    probe: Linear
    held: Rows
    logits: NDArray[np.float64]
    chosen: str
    candidates: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Probed:
    """A linear probe of the pictures as they are, of the first so many STRENGTHS: the last one's loss is the lowest.

    logits (R, N, labels): of pictures held back, in R repetitions.
    """

    maps: Maps
    strengths: tuple[float, ...]
    logits: NDArray[np.float64]
    score: Score


class Chooser:
    """Finds the best classifier from few pictures: `run`."""

    def __init__(
        self, model: Classifier, start: nn.Linear, pictures: Sequence[Picture], *, minutes: float = 5.0,
        steps: int = 0, threads: int = 2, seed: int = 1, say: Callable[[str], None] = lambda text: None,
        safe: Callable[[Tail], None] = lambda tail: None, maps: Callable[[Policy | None], Maps] | None = None,
    ) -> None:  # fmt: skip
        """`model`: with the start's weights and the new labels; `start`: the start's dense layer.

        The budget is `minutes`, or `steps` for each tuned network (repeatable). `say` is told how it goes, `safe` is
        given what there is as soon as there is something. `maps`: instead of make_maps.
        """
        self.model, self.start, self.pictures = model, start, list(pictures)
        self.steps, self.threads, self.seed, self.say, self.safe = steps, threads, seed, say, safe
        self.maps = maps or self._make_maps
        self.stop = threading.Event()
        self.end = time.monotonic() + 60 * minutes
        self.labels = np.array([p.label for p in self.pictures], np.int64)
        self.classes = len(model.config.labels)
        fewest = int(np.bincount(self.labels, minlength=self.classes).min())
        count = max(2, min(FOLDS, fewest))
        repeats = max(1, min(REPEATS[0], REPEATS[1] // len(self.pictures)))
        self.folds = [folds(self.labels, count, seed + 1000 * i) for i in range(repeats)]
        # With many pictures one part of them says enough; with few each is held back once.
        self.tried = range(1 if len(self.pictures) > PLENTY else count)
        self.held = np.flatnonzero(self.folds[0] < len(self.tried))
        self.truth = self.labels[self.held]

    def _counting(self, what: str, total: int) -> Callable[[], None]:
        # Says that something begins, and, called after each of its parts, every few seconds how far it is.
        lock, done, told = threading.Lock(), 0, time.monotonic()
        self.say(f"{what}: {total}")

        def each() -> None:
            nonlocal done, told
            with lock:
                done += 1
                if done < total and time.monotonic() > told + EVERY:
                    told = time.monotonic()
                    self.say(f"{what}: {done} of {total}")

        return each

    def _make_maps(self, policy: Policy | None) -> Maps:
        each = self._counting("pictures through the first layers", len(self.pictures))
        return make_maps(self.model, self.start, self.pictures, policy, self.seed, self.threads, each)

    def _cross_validate(
        self, make: Callable[[Rows, Rows, int], Sequence[NDArray[np.float64]]], count: int, repeats: int,
        each: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float64]:  # fmt: skip
        # (count, repeats, held, labels) of the logits of `make` (rows to train on, rows held back, fold), in threads.
        result = np.zeros((count, repeats, len(self.pictures), self.classes))
        torch.set_num_threads(1)

        def work(job: tuple[int, int]) -> None:
            torch.set_num_threads(1)
            repeat, k = job
            fold = self.folds[repeat]
            held = np.flatnonzero(fold == k)
            result[:, repeat, held] = make(np.flatnonzero(fold != k), held, k)
            each()

        with ThreadPoolExecutor(self.threads) as pool:
            try:
                list(pool.map(work, [(repeat, k) for repeat in range(repeats) for k in self.tried]))
            except KeyboardInterrupt:
                self.stop.set()
                raise
        return result[:, :, self.held]

    def _probe(self, probed: Probed, rows: Rows) -> Linear:
        return fit_probes(probed.maps.of(rows), self.labels[rows], self.classes, probed.strengths)[-1]

    def _probe_logits(self, maps: Maps, repeats: int) -> NDArray[np.float64]:
        # (strengths, repeats, held, labels)
        def each(train: Rows, held: Rows, _: int) -> Sequence[NDArray[np.float64]]:
            shown = maps.features[torch.from_numpy(held), 0]
            return [probe(shown) for probe in fit_probes(maps.of(train), self.labels[train], self.classes)]

        counting = self._counting("linear probes, for cross-validation", repeats * len(self.tried))
        return self._cross_validate(each, len(STRENGTHS), repeats, counting)

    def _probed(self, maps: Maps) -> Probed:
        tried = self._probe_logits(maps, len(self.folds))
        scores = [score(logits, self.truth) for logits in tried]
        best = int(np.argmin([found.loss.mean() for found in scores]))
        return Probed(maps, STRENGTHS[: best + 1], tried[best], scores[best])

    def _views(self, plain: Maps) -> Maps:
        """The pictures as they are and those random views from which a probe learns best."""
        best, least = plain, math.inf
        for number, policy in enumerate(POLICIES):
            self.say(f"views {policy.name}: {number + 1} of {len(POLICIES)}")
            maps = joined(plain, self.maps(policy))
            loss = min(float(score(logits, self.truth).loss.mean()) for logits in self._probe_logits(maps, 1))
            if loss < least:
                best, least = maps, loss
            if time.monotonic() > self.end and not self.steps:
                break
        return best

    def _recipe(self, tail: Tail, maps: Maps) -> Recipe | None:
        # As many steps as the budget has room for; None for too few to be worth it.
        if self.steps:
            return Recipe(steps=self.steps)
        trial = time.monotonic()
        tune(tail, maps, self.labels, self.classes, Recipe(steps=5), self.seed)
        each = (time.monotonic() - trial) / 5
        rounds = math.ceil(len(self.tried) / self.threads) + 1
        steps = min(MOST_STEPS, int(0.9 * (self.end - time.monotonic()) / (rounds * each)))
        return Recipe(steps=steps) if steps >= FEWEST_STEPS else None

    def run(self) -> Outcome:
        """A probe, with the start's head where that applies, or a tuned network; it has learned from all pictures."""
        probed = self._probed(self.maps(None))
        candidates: list[dict[str, Any]] = []
        head = self._probe(probed, np.arange(len(self.pictures)))
        outcome = self._outcome("linear probe", head, head, probed.score, probed.logits, candidates)
        standing = probed.score
        features = probed.maps.features[torch.from_numpy(self.held), 0]
        own = known(self.start, features, self.truth, self.classes)
        if own:
            cool = score(own(features), self.truth).temperature
            part = WORTH / (WORTH + len(self.pictures))
            weights = (part / cool, (1 - part) / probed.score.temperature)
            logits = weights[0] * own(features) + weights[1] * probed.logits
            standing = score(logits, self.truth)
            outcome = self._outcome(START, mixed(own, head, weights), head, standing, logits, candidates)
        self.say(f"{outcome.chosen}: balanced accuracy {standing.balanced:.3f} in cross-validation")
        self.safe(outcome.tail)
        least = TUNED_START if outcome.chosen == START else TUNED
        if len(self.pictures) < least:
            self.say(f"{len(self.pictures)} pictures are too few to tune the late layers, that takes {least}")
            return outcome
        try:
            return self._tuned(outcome, standing, probed)
        except KeyboardInterrupt:
            self.say(f"stopped: {outcome.chosen} is what you get")
            return outcome

    def _outcome(
        self, name: str, head: Linear, probe: Linear, found: Score, logits: NDArray[np.float64],
        candidates: list[dict[str, Any]],
    ) -> Outcome:  # fmt: skip
        candidates.append(_row(name, found))
        tail = cooled(with_head(Tail(self.model), head), found.temperature)
        return Outcome(tail, probe, self.held, logits / found.temperature, name, candidates)

    def _tuned(self, outcome: Outcome, standing: Score, probed: Probed) -> Outcome:
        # The outcome, or a network tuned from the probe that is better than it.
        maps = self._views(probed.maps)
        probe = with_head(Tail(self.model), self._probe(probed, np.arange(len(self.pictures))))
        recipe = self._recipe(probe, maps)
        if recipe is None:
            self.say(f"no time is left for tuning: {outcome.chosen} is what you get (--minutes)")
            return outcome
        self.say(f"tuning the late layers: {len(self.tried) + 1} times {recipe.steps} steps")

        def each(train: Rows, held: Rows, k: int) -> Sequence[NDArray[np.float64]]:
            first = with_head(Tail(self.model), self._probe(probed, train))
            tuned = tune(
                first, maps.of(train), self.labels[train], self.classes, recipe, self.seed + k, self.stop.is_set
            )
            self.say(f"tuned without part {k + 1} of {len(self.tried)}")
            return [logits_of(blended(first, tuned, part), maps.of(held)) for part in BLENDS]

        logits = self._cross_validate(each, len(BLENDS), 1)[:, 0]
        scores = [score(found, self.truth) for found in logits]
        names = [f"tuned, {part:.0%} of the way" for part in BLENDS]
        outcome.candidates += [_row(name, found) for name, found in zip(names, scores, strict=True)]
        best, chosen = standing, copy.copy(outcome)
        taken = take(scores, standing, CLEARER if outcome.chosen == START else CLEAR)
        if taken is not None:
            best = scores[taken]
            tuned = tune(probe, maps, self.labels, self.classes, recipe, self.seed + 100)
            chosen.tail = cooled(blended(probe, tuned, BLENDS[taken]), best.temperature)
            chosen.logits, chosen.chosen = logits[None, taken] / best.temperature, names[taken]
        self.say(f"chosen: {chosen.chosen}, balanced accuracy {best.balanced:.3f} in cross-validation")
        return chosen


def take(scores: Sequence[Score], standing: Score, errors: float) -> int | None:
    """Which of the networks on the way to the tuned one takes the place of the one that stands; None: it stays.

    Of those that are better than it (`errors`: as for better) the first one, the nearest to the probe, whose loss is
    not above the lowest by more than its standard error.
    """
    good = [i for i, found in enumerate(scores) if better(found, standing, errors)]
    if not good:
        return None
    least = scores[min(good, key=lambda i: scores[i].loss.mean())]
    return next(i for i in good if not clearly(scores[i].loss - least.loss, 1.0))


def _row(name: str, found: Score) -> dict[str, Any]:
    return {
        "candidate": name,
        "balanced accuracy": round(found.balanced, 4),
        "loss": round(float(found.loss.mean()), 4),
    }
