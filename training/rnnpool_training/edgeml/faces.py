"""EdgeML's Face_Detection networks: RPool_Face_C and RPool_Face_Quant of 640x480 RGB, RPool_Face_QVGA_monochrome and
RPool_Face_M4 of 320x240 gray.

They become the zoo's, with smooth cells and learned zeta and nu. Their input is a pixel less the example's mean colour:
no code of it uses the `scale` of its configuration.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ..compile.fold import Normalization
from ..errors import InputError
from ..rnnpool2d import RNNPool2d
from ..zoo import build
from ..zoo.faces import FaceDetector
from ..zoo.saved import Saved, weigh
from .weights import COUNTER, Weights

COLOUR = (123.0, 117.0, 104.0)  # red, green, blue: config.py, config_qvga.py
GRAY = sum(factor * level for factor, level in zip((0.299, 0.587, 0.114), COLOUR, strict=True))
NORMS = ("L2Norm3_3", "L2Norm4_3", "L2Norm5_3")  # before the first three heads


class Known(NamedTuple):
    """A network of the example: the zoo's name and arguments, how many inverted residuals it has, the name of what is
    before its RNNPool ("": nothing)."""

    name: str
    arguments: dict[str, Any]
    blocks: int
    front: str


NETWORKS = (
    Known("face-m4", {}, 4, "conv"),
    Known("face-qvga", {}, 14, "conv"),
    Known("face-quant", {"authors": True}, 12, "conv_top"),
    Known("face-c", {"authors": True}, 15, ""),
)


def matches(weights: Weights) -> bool:
    """Whether a checkpoint names what only these networks have."""
    return f"{NORMS[0]}.weight" in weights


def read(weights: Weights) -> Saved:
    """The network, in evaluation mode. InputError by name and shape."""
    known = _known(weights)
    arguments = {"nonlinearity": "smooth", **known.arguments}
    module = weigh(build(known.name, **arguments))
    assert isinstance(module, FaceDetector)
    state: dict[str, Tensor] = {}
    for ours, theirs in _names(module, known).items():
        if ours.endswith(COUNTER):
            weights.tensors.pop(theirs, None)
        elif ".rnn" not in ours:
            state[ours] = weights.take(theirs, *module.state_dict()[ours].shape)
    place = 1 if known.front else 0
    pool = module.parts[place]
    assert isinstance(pool, RNNPool2d)
    state |= weights.cell("rnn_model.cell_rnn", pool.rnn1.inputs, pool.rnn1.hidden, f"parts.{place}.rnn1")
    state |= weights.cell("rnn_model.cell_bidirrnn", pool.rnn2.inputs, pool.rnn2.hidden, f"parts.{place}.rnn2")
    weights.finish()
    module.load_state_dict(state, strict=False)  # but for the counters of batches all is there
    mean = (GRAY,) if known.front == "conv" else COLOUR
    normalization = Normalization(tuple(level / 255 for level in mean), (1 / 255,) * len(mean))
    return Saved(known.name, module.eval(), normalization, arguments, weighted=True)


def _known(weights: Weights) -> Known:
    fronts = {"conv": "conv.0.weight", "conv_top": "conv_top.0.0.weight"}
    front = next((front for front, name in fronts.items() if name in weights), "")
    count = 0
    while f"mob.{count}.conv.0.0.weight" in weights:
        count += 1
    of_front = [known for known in NETWORKS if known.front == front]
    for known in of_front:
        if known.blocks == count:
            return known
    wanted = " or ".join(f"{known.blocks} ({known.name})" for known in of_front)
    before = f"with a {fronts[front]}" if front else f"without {' and '.join(fronts.values())}"
    raise InputError(f"{weights.path}, {before}, has {count} inverted residuals, {wanted} are needed")


def _names(module: FaceDetector, known: Known) -> dict[str, str]:
    # EdgeML's name of each of the network's tensors but the RNN cells'.
    first = 2 if known.front else 1  # piece of the zoo's network that is behind RNNPool
    rows = [(row, part) for row, part in enumerate(module.parts) if row >= first]
    blocks = [f"{row}.{name}" for row, part in rows for name, _ in part.named_children()]
    heads = {"scores": "conf", "deltas": "loc", "reduce_scores": "conf", "reduce_deltas": "loc"}
    reduced = any(".reduce_" in name for name in module.state_dict())  # which is in front of the first head's
    found = {}
    for name in module.state_dict():
        parts = name.split(".")
        if parts[0] == "parts" and int(parts[1]) < first:
            found[name] = ".".join([known.front, *parts[2:]])
        elif parts[0] == "parts":
            found[name] = ".".join(["mob", str(blocks.index(f"{parts[1]}.{parts[2]}")), *parts[3:]])
        elif parts[2] in heads:
            place = int(parts[1]) + (reduced and "reduce" not in parts[2])
            found[name] = ".".join([heads[parts[2]], str(place), *parts[3:]])
        elif parts[2] == "norm":
            found[name] = f"{NORMS[int(parts[1])]}.weight"
        else:
            found[name] = name
    return found
