"""Classifiers from few pictures: the features of a trained network, a linear probe, then as much tuning as helps.

The early layers of the start stay as they are, so what they make of a picture and of its random views is computed once
and kept. On it a linear probe (a regularized logistic regression) is fitted, and from the probe on the late layers are
tuned. What is deployed lies on the line between both. How far along it, how strong the regularization is and which
views help is chosen by cross-validation: the probe is always one of the candidates.
"""

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
from torch import Tensor, nn
from torch.nn import functional as F

from .classifier import Classifier
from .classifier_views import ClassifierViews
from .pictures import Picture, frame

FIRST = 4  # blocks before this one stay as they are
# Of the probe's regularization, falling; and whether it has a bias of its own, or keeps the start's threshold.
STRENGTHS = ((100.0, False), (5.0, False), (5.0, True), (1.0, True), (0.2, True), (0.05, True), (0.01, True))
# How likely each is before a picture is seen: the first two hardly learn more than the scale of the start's answers,
# which come from thousands of pictures. Where these say nothing, the first two say nothing, and the others decide.
PRIOR = np.array([20.0, 20.0, 1.0, 1.0, 1.0, 1.0, 1.0])
BLENDS = (0.25, 0.5, 0.75, 1.0)  # parts of the way from the probe to the tuned network
START_STRENGTH = 1e-3  # of the regularization of the start's own logits among the features
BATCH = 32
FOLDS = 4
PLENTY = 1000  # pictures from which on a single part of them is held back
FIRST_VIEWS, MOST_VIEWS = 4, 12  # random views of each picture: to choose among the policies, and more to tune with
MOST_MAPS = 14_000  # of pictures and views that are kept; one takes 5 KB at 160x160
MOST_STEPS, FEWEST_STEPS = (150, 0.5), 40  # most of each tuned network: 150 and half the number of pictures


@dataclass(frozen=True)
class Policy:
    """Which random views are made: mirrored ones, ones in other light. Windows of the picture always are."""

    name: str
    flips: bool
    light: bool


POLICIES = (
    Policy("mirrored and in other light", True, True),
    Policy("in other light", False, True),
    Policy("mirrored", True, False),
    Policy("windows only", False, False),
)


class Tail(nn.Module):
    """The layers that learn: blocks from FIRST on, the 1x1 convolution, the average and the dense layer."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(copy.deepcopy(block) for block in model.blocks[FIRST:])
        self.last = copy.deepcopy(model.last)
        self.dense = copy.deepcopy(model.dense)
        self.eval()  # statistics of the normalizations stay: a few pictures can't measure them

    def features(self, maps: Tensor) -> Tensor:
        """(N, C, H / 16, W / 16) before the first of the blocks to (N, F)."""
        for block in self.blocks:
            maps = block(maps)
        result: Tensor = self.last(maps).mean(dim=(2, 3))
        return result

    def forward(self, maps: Tensor) -> Tensor:
        """To logits (N, labels)."""
        logits: Tensor = self.dense(self.features(maps))
        return logits

    def put_into(self, model: Classifier) -> None:
        """Copy these weights to the model that they come from."""
        values = {f"blocks.{FIRST + int(n.split('.')[1])}.{n.split('.', 2)[2]}" if n.startswith("blocks.") else n: v
                  for n, v in self.state_dict().items()}  # fmt: skip
        model.load_state_dict(values, strict=False)


@dataclass
class Maps:
    """What the frozen layers make of pictures: of each as it is (index 0) and of its random views.

    maps (N, 1 + views, C, H / 16, W / 16) in half precision; features (N, 1 + views, F) and logits (N, 1 + views,
    labels of the start) of the start.
    """

    maps: Tensor
    features: Tensor
    logits: Tensor

    def of(self, rows: NDArray[np.int64]) -> Maps:
        """Those of some of the pictures."""
        chosen = torch.from_numpy(rows)
        return Maps(self.maps[chosen], self.features[chosen], self.logits[chosen])


def _tensor(pixels: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().sub_(128).div_(128)


@torch.no_grad()
def make_maps(
    model: Classifier, start: nn.Linear, pictures: Sequence[Picture], views: int, policy: Policy, seed: int,
    threads: int = 1, said: Callable[[float], None] | None = None, plain: bool = True,
) -> Maps:  # fmt: skip
    """Maps of pictures and of `views` random views of each. `start`: the dense layer of the network to start from."""
    config, tail = model.config, Tail(model)
    found: list[tuple[Tensor, Tensor, Tensor] | None] = [None] * len(pictures)
    done = 0

    def work(index: int) -> None:
        nonlocal done
        random = ClassifierViews(
            list(pictures), seed * 100_003 + index, config.channels, 0.35, policy.flips, policy.light
        )
        torch.set_num_threads(1)
        shown = [frame(pictures[index].pixels, config.height, config.width)] if plain else []
        shown += [random.view(config.height, config.width, index)[0] for _ in range(views)]
        with torch.no_grad():
            x = model.pool(model.stem(_tensor(shown).to(memory_format=torch.channels_last)))
            for block in model.blocks[:FIRST]:
                x = block(x)
            features = tail.features(x)
            found[index] = x.half(), features, start(features)
        done += 1
        if said:
            said(done / len(pictures))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(len(pictures))))
    parts = [part for part in found if part is not None]
    return Maps(*(torch.stack([part[i] for part in parts]) for i in range(3)))


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """(N,): each class has the same sum; the mean is 1."""
    counts = np.bincount(labels, minlength=classes)
    result: NDArray[np.float64] = len(labels) / (np.maximum(counts, 1) * max(1, (counts > 0).sum()))[labels]
    return result


@dataclass
class Linear:
    """A linear layer on features, weight (labels, F) and bias (labels,)."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Logits."""
        return features.double() @ self.weight.T + self.bias


def fit_probes(
    maps: Maps, start: nn.Linear, labels: NDArray[np.int64], classes: int, strengths: Sequence[tuple[float, bool]]
) -> list[Linear]:
    """Multinomial logistic regression with classes weighted alike, on every picture and its views, for each strength.

    The start's own answers are features, too: what it was trained for is not forgotten. Being linear in the others,
    they end in the same dense layer. Strengths, each with whether there is a bias, must fall: each fit begins at the
    one before.
    """
    count = maps.features.shape[1]
    features = maps.features.flatten(0, 1).double()
    mean, std = features.mean(0), features.std(0).clamp(min=1e-3)
    answers = maps.logits.flatten(0, 1).double()
    spread = answers.std(0).clamp(min=1e-3)  # not centred: without a bias, the start's own threshold is kept
    x = torch.cat([(features - mean) / std, answers / spread], 1).float()
    y = torch.from_numpy(labels).repeat_interleave(count)
    weights = torch.from_numpy(class_weights(labels, classes)).float().repeat_interleave(count)
    w = torch.zeros(classes, x.shape[1], requires_grad=True)
    b = torch.zeros(classes, requires_grad=True)
    penalty = torch.full((x.shape[1],), START_STRENGTH)
    result = []
    for strength, biased in strengths:
        penalty[: features.shape[1]] = strength
        optimizer = torch.optim.LBFGS(
            [w, b] if biased else [w],
            max_iter=50,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-4,
            tolerance_change=1e-5,
        )

        def closure(optimizer: torch.optim.LBFGS = optimizer) -> Tensor:
            optimizer.zero_grad()
            each = F.cross_entropy(x @ w.T + b, y, reduction="none")
            loss = (each * weights).mean() + 0.5 * (penalty * w.square()).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            own = w[:, : features.shape[1]].double() / std
            taken = w[:, features.shape[1] :].double() / spread
            weight = own + taken @ start.weight.double()
            bias = b.double() - own @ mean + taken @ start.bias.double()
        result.append(Linear(weight, bias))
    return result


def folds(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """(N,): the fold, 0 to count - 1, of each picture, every class spread evenly."""
    random = np.random.default_rng(seed)
    result = np.zeros(len(labels), np.int64)
    offset = 0
    for label in np.unique(labels):
        those = random.permutation(np.flatnonzero(labels == label))
        result[those] = (np.arange(len(those)) + offset) % count
        offset += len(those)
    return result


@dataclass(frozen=True)
class Recipe:
    """How the tail is tuned. `rate`: of the last layers; each block before has `decay` times that of the next one."""

    steps: int = 200
    rate: float = 6e-3
    decay: float = 0.7
    mix: float = 0.2  # parameter of mixup's beta distribution, 0 for none
    smoothing: float = 0.05
    average: float = 0.98


def tune(
    tail: Tail, maps: Maps, labels: NDArray[np.int64], classes: int, recipe: Recipe, seed: int,
    stop: Callable[[], bool] = lambda: False,
) -> Tail:  # fmt: skip
    """A tuned copy of a tail whose dense layer is the probe: averaged weights. Ends early when `stop` says so."""
    random = np.random.default_rng(seed)
    tail = copy.deepcopy(tail)
    average = copy.deepcopy(tail)
    layers: list[nn.Module] = [*tail.blocks, tail.last]
    groups = []
    for depth, layer in enumerate(reversed(layers)):
        groups.append({"params": list(layer.parameters()), "rate": recipe.rate * recipe.decay**depth})
    groups.append({"params": list(tail.dense.parameters()), "rate": recipe.rate})
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.01)
    by_class = [np.flatnonzero(labels == c) for c in range(classes)]
    by_class = [those for those in by_class if len(those)]
    count = maps.maps.shape[1]
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels), classes).float()
    targets = targets * (1 - recipe.smoothing) + recipe.smoothing / classes
    for step in range(recipe.steps):
        if stop():
            break
        warm = min(1.0, (step + 1) / (1 + recipe.steps // 10))
        factor = warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        rows = np.concatenate([random.choice(those, -(-BATCH // len(by_class))) for those in by_class])
        random.shuffle(rows)
        chosen = torch.from_numpy(rows)
        x = maps.maps[chosen, torch.from_numpy(random.integers(count, size=len(rows)))].float()
        y = targets[chosen]
        if recipe.mix:
            part = float(random.beta(recipe.mix, recipe.mix))
            order = torch.from_numpy(random.permutation(len(rows)))
            x, y = part * x + (1 - part) * x[order], part * y + (1 - part) * y[order]
        optimizer.zero_grad()
        loss = F.cross_entropy(tail(x.contiguous(memory_format=torch.channels_last)), y)
        loss.backward()
        nn.utils.clip_grad_norm_(tail.parameters(), 4.0)
        optimizer.step()
        keep = min(recipe.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, new in zip(average.parameters(), tail.parameters(), strict=True):
                mine.lerp_(new, 1 - keep)
    return average


@torch.no_grad()
def blended(start: Tail, tuned: Tail, part: float) -> Tail:
    """`part` of the way from one tail to the other."""
    result = copy.deepcopy(start)
    for mine, new in zip(result.parameters(), tuned.parameters(), strict=True):
        mine.lerp_(new, part)
    return result


def with_probe(tail: Tail, probe: Linear) -> Tail:
    """A copy of a tail whose dense layer is a probe."""
    result = copy.deepcopy(tail)
    weight = probe.weight.float()
    result.dense = nn.Linear(weight.shape[1], weight.shape[0])
    result.dense.weight = nn.Parameter(weight.clone())
    result.dense.bias = nn.Parameter(probe.bias.float())
    return result


@torch.no_grad()
def logits_of(tail: Tail, maps: Maps) -> NDArray[np.float64]:
    """(N, labels) of the pictures as they are."""
    parts = [tail(part.float().contiguous(memory_format=torch.channels_last)) for part in maps.maps[:, 0].split(64)]
    return torch.cat(parts).double().numpy()


@torch.no_grad()
def probe_logits(probe: Linear, maps: Maps) -> NDArray[np.float64]:
    """(N, labels) of the pictures as they are."""
    result: NDArray[np.float64] = probe(maps.features[:, 0]).numpy()
    return result


@dataclass(frozen=True)
class Score:
    """How well held-back pictures were told apart, with classes weighted alike.

    loss: cross entropy of each picture (N,) times its class's weight, after division of the logits by `temperature`.
    """

    loss: NDArray[np.float64]
    balanced: float
    temperature: float


def score(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> Score:
    """Logits (N, labels) against the truth (N,), with the temperature that suits them best."""
    weights = class_weights(labels, logits.shape[1])
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for temperature in np.exp(np.linspace(-1.4, 1.4, 29)):
        scaled = logits / temperature
        scaled = scaled - scaled.max(1, keepdims=True)
        loss = (np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]) * weights
        if best is None or loss.mean() < best[0]:
            best = (float(loss.mean()), float(temperature), loss)
    assert best is not None
    right = logits.argmax(1) == labels
    return Score(best[2], float(np.mean([right[labels == c].mean() for c in np.unique(labels)])), best[1])


def clearly_lower(new: Score, old: Score) -> bool:
    """Whether the loss is lower by more than half of the difference's standard error, picture by picture."""
    gain = old.loss - new.loss
    error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    return bool(gain.mean() > 0.5 * error)


def better(new: Score, old: Score) -> bool:
    """Whether the loss is clearly lower, and the balanced accuracy not lower."""
    return clearly_lower(new, old) and new.balanced >= old.balanced


@dataclass
class Outcome:
    """The network that was chosen, and what is known of it.

    logits (N, labels): of each picture in `held` by networks that were made in the same way without it; candidates:
    name, balanced accuracy and loss of all that were tried, in cross-validation; chosen: the name of the one taken;
    probe: the linear probe by itself.
    """

    tail: Tail
    held: NDArray[np.int64]
    logits: NDArray[np.float64]
    candidates: list[dict[str, Any]] = field(default_factory=list)
    chosen: str = ""
    probe: Tail | None = None


@dataclass(frozen=True)
class Probed:
    """A linear probe: the views it learned from, and the logits (N, labels) of pictures held back.

    It is the mean of probes of all STRENGTHS, weighted by `shares`.
    """

    maps: Maps
    shares: NDArray[np.float64]
    policy: Policy
    logits: NDArray[np.float64]
    score: Score


class Chooser:
    """Finds the best classifier from few pictures: `run`."""

    def __init__(
        self, model: Classifier, start: nn.Linear, pictures: Sequence[Picture], *, minutes: float = 5.0,
        steps: int = 0, threads: int = 2, seed: int = 1, say: Callable[[str], None] = lambda text: None,
        safe: Callable[[Tail], None] = lambda tail: None,
    ) -> None:  # fmt: skip
        """`model`: with the start's weights and the new labels; `start`: the start's dense layer.

        The budget is `minutes`, or `steps` for each tuned network (repeatable). `say` is told how it goes, `safe` is
        given what there is as soon as there is something.
        """
        self.model, self.start, self.pictures = model, start, list(pictures)
        self.steps, self.threads, self.seed, self.say, self.safe = steps, threads, seed, say, safe
        self.stop = threading.Event()
        self.begun = time.monotonic()
        self.end = self.begun + 60 * minutes
        self.labels = np.array([p.label for p in self.pictures], np.int64)
        self.classes = len(model.config.labels)
        fewest = int(np.bincount(self.labels, minlength=self.classes).min())
        count = max(2, min(FOLDS, fewest))
        self.fold = folds(self.labels, count, seed)
        # With many pictures one part of them says enough; with few each is held back once.
        self.tried = range(1 if len(self.pictures) > PLENTY else count)
        self.held = np.flatnonzero(self.fold < len(self.tried))

    def _parts(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        return [(np.flatnonzero(self.fold != k), np.flatnonzero(self.fold == k)) for k in self.tried]

    def _probes(self, maps: Maps, rows: NDArray[np.int64], strengths: Sequence[tuple[float, bool]]) -> list[Linear]:
        return fit_probes(maps.of(rows), self.start, self.labels[rows], self.classes, strengths)

    def _probe(self, maps: Maps, rows: NDArray[np.int64], shares: NDArray[np.float64]) -> Linear:
        each = self._probes(maps, rows, STRENGTHS)
        weights = torch.from_numpy(shares)
        return Linear(torch.tensordot(weights, torch.stack([p.weight for p in each]), 1),
                      torch.tensordot(weights, torch.stack([p.bias for p in each]), 1))  # fmt: skip

    def _cross_validate(self, logits: Callable[[NDArray[np.int64], NDArray[np.int64], int], Any], count: int) -> Any:
        # (count, held, labels) of `logits` (rows to train on, rows held back, fold), folds in threads.
        result = np.zeros((count, len(self.pictures), self.classes))
        torch.set_num_threads(1)

        def work(k: int) -> None:
            torch.set_num_threads(1)
            train, held = self._parts()[k]
            result[:, held] = logits(train, held, k)

        with ThreadPoolExecutor(self.threads) as pool:
            try:
                list(pool.map(work, self.tried))
            except KeyboardInterrupt:
                self.stop.set()
                raise
        return result[:, self.held]

    def probe(self) -> Probed:
        """The best linear probe: which views, which strength."""
        truth = self.labels[self.held]
        best: Probed | None = None
        plain: Maps | None = None
        for number, policy in enumerate(POLICIES):
            self.say(f"views {policy.name}: {number + 1} of {len(POLICIES)}")
            maps = make_maps(self.model, self.start, self.pictures, FIRST_VIEWS, policy, self.seed, self.threads,
                             plain=plain is None)  # fmt: skip
            if plain is None:
                plain = Maps(maps.maps[:, :1], maps.features[:, :1], maps.logits[:, :1])
            else:
                maps = joined(plain, maps)

            def each(train: NDArray[np.int64], held: NDArray[np.int64], _: int, maps: Maps = maps) -> Any:
                return [probe_logits(probe, maps.of(held)) for probe in self._probes(maps, train, STRENGTHS)]

            tried = self._cross_validate(each, len(STRENGTHS))
            losses = np.array([score(logits, truth).loss.mean() for logits in tried])
            # With few pictures the lowest loss is chance: each strength counts by its likelihood.
            shares = PRIOR * np.exp(-len(truth) * (losses - losses.min()))
            shares /= shares.sum()
            mixed = np.tensordot(shares, tried, 1)
            found = score(mixed, truth)
            if best is None or clearly_lower(found, best.score):
                best = Probed(maps, shares, policy, mixed, found)
            if time.monotonic() > self.end and not self.steps:
                break
        assert best is not None
        return best

    def _more_views(self, maps: Maps, policy: Policy) -> Maps:
        wanted = min(MOST_VIEWS, max(0, MOST_MAPS // len(self.pictures) - FIRST_VIEWS))
        left = self.end - time.monotonic()
        rate = (time.monotonic() - self.begun) / (len(POLICIES) * FIRST_VIEWS)  # seconds a view of all pictures, about
        if not self.steps:
            wanted = min(wanted, int(0.2 * left / rate))
        if wanted < 1:
            return maps
        more = make_maps(
            self.model, self.start, self.pictures, wanted, policy, self.seed + 7, self.threads, plain=False
        )
        return joined(maps, more)

    def _recipe(self, tail: Tail, maps: Maps) -> Recipe | None:
        # As many steps as the budget has room for; None for too few to be worth it.
        if self.steps:
            return Recipe(steps=self.steps)
        trial = time.monotonic()
        tune(tail, maps, self.labels, self.classes, Recipe(steps=5), self.seed)
        each = (time.monotonic() - trial) / 5
        rounds = math.ceil(len(self.tried) / self.threads) + 1
        most = int(MOST_STEPS[0] + MOST_STEPS[1] * len(self.pictures))
        steps = min(most, int(0.9 * (self.end - time.monotonic()) / (rounds * each)))
        return Recipe(steps=steps) if steps >= FEWEST_STEPS else None

    def run(self) -> Outcome:
        """Probe, tune, choose. The network of the outcome has learned from all pictures."""
        everything = np.arange(len(self.pictures))
        best = self.probe()
        base, policy = best.score, best.policy
        probe = with_probe(Tail(self.model), self._probe(best.maps, everything, best.shares))
        self.say(f"linear probe: balanced accuracy {base.balanced:.3f} in cross-validation, views {policy.name}")
        outcome = Outcome(cooled(probe, base.temperature), self.held, best.logits / base.temperature)
        outcome.chosen = "linear probe"
        outcome.probe = outcome.tail
        outcome.candidates.append(_row("linear probe", base))
        probed = copy.copy(outcome)
        self.safe(outcome.tail)
        try:
            self._tune(outcome, best)
        except KeyboardInterrupt:
            self.say("stopped: the linear probe is what you get")
            outcome.tail, outcome.logits, outcome.chosen = probed.tail, probed.logits, probed.chosen
        return outcome

    def _tune(self, outcome: Outcome, probed: Probed) -> None:
        # Tunes from the probe and puts what is better than it into the outcome.
        maps, shares, base = probed.maps, probed.shares, probed.score
        truth = self.labels[self.held]
        everything = np.arange(len(self.pictures))
        probe = with_probe(Tail(self.model), self._probe(maps, everything, shares))
        maps = self._more_views(maps, probed.policy)
        recipe = self._recipe(probe, maps)
        if recipe is None:
            self.say("no time is left for tuning: the linear probe is what you get (--minutes)")
            return
        self.say(f"tuning the late layers: {len(self.tried) + 1} times {recipe.steps} steps")

        def each(train: NDArray[np.int64], held: NDArray[np.int64], k: int) -> Any:
            first = with_probe(Tail(self.model), self._probe(maps, train, shares))
            tuned = tune(
                first, maps.of(train), self.labels[train], self.classes, recipe, self.seed + k, self.stop.is_set
            )
            self.say(f"tuned without part {k + 1} of {len(self.tried)}")
            return [logits_of(blended(first, tuned, part), maps.of(held)) for part in BLENDS]

        best = base
        part = 0.0
        for blend, found in zip(BLENDS, self._cross_validate(each, len(BLENDS)), strict=True):
            result = score(found, truth)
            name = f"tuned, {blend:.0%} of the way"
            outcome.candidates.append(_row(name, result))
            if better(result, base) and result.loss.mean() < best.loss.mean():
                best, part = result, blend
                outcome.logits, outcome.chosen = found / result.temperature, name
        if part:
            probe = with_probe(Tail(self.model), self._probe(maps, everything, shares))
            tuned = tune(probe, maps, self.labels, self.classes, recipe, self.seed + 100)
            outcome.tail = cooled(blended(probe, tuned, part), best.temperature)
        self.say(f"chosen: {outcome.chosen}, balanced accuracy {best.balanced:.3f} in cross-validation")


def joined(first: Maps, second: Maps) -> Maps:
    """Maps of the same pictures, one after the other."""
    return Maps(*(torch.cat([a, b], 1) for a, b in zip(
        (first.maps, first.features, first.logits), (second.maps, second.features, second.logits), strict=True
    )))  # fmt: skip


@torch.no_grad()
def cooled(tail: Tail, temperature: float) -> Tail:
    """A copy whose logits are divided by a temperature, so that its probabilities are those of cross-validation.

    Their mean over the labels is taken away, which changes no probability: on the device logits end at +-8.
    """
    result = copy.deepcopy(tail)
    for values in (result.dense.weight, result.dense.bias):
        values.sub_(values.mean(0)).div_(temperature)
    return result


def _row(name: str, found: Score) -> dict[str, Any]:
    return {
        "candidate": name,
        "balanced accuracy": round(found.balanced, 4),
        "loss": round(float(found.loss.mean()), 4),
    }
