"""EdgeML's Face_Detection networks for 320x240 gray pictures: RPool_Face_M4 and RPool_Face_QVGA_monochrome.

They become the zoo's face-m4 and face-qvga with smooth cells and learned zeta and nu. The input is (gray - mean) / 127
with the gray of the example's mean colour.
"""

from __future__ import annotations

from torch import Tensor

from ..compile.fold import Normalization
from ..errors import InputError
from ..rnnpool2d import RNNPool2d
from ..zoo import build
from ..zoo.faces import FaceDetector
from ..zoo.saved import Saved, weigh
from .weights import COUNTER, Weights

COLOUR = (123.0, 117.0, 104.0)  # red, green, blue: config_qvga.py
GRAY = sum(factor * level for factor, level in zip((0.299, 0.587, 0.114), COLOUR, strict=True))
INPUT = Normalization((GRAY / 255,), (127 / 255,))
BLOCKS = {4: "face-m4", 14: "face-qvga"}  # inverted residuals
NORMS = ("L2Norm3_3", "L2Norm4_3", "L2Norm5_3")  # before the first three heads
FRONT = 2  # pieces of the zoo's network before the blocks: convolution and RNNPool


def matches(weights: Weights) -> bool:
    """Whether a checkpoint names what only these networks have."""
    return f"{NORMS[0]}.weight" in weights


def read(weights: Weights) -> Saved:
    """The network, in evaluation mode. InputError by name and shape."""
    if "conv.0.weight" not in weights:
        raise InputError(
            f"{weights.path} is a face network without conv.0.weight: RPool_Face_M4 and RPool_Face_QVGA_monochrome are "
            "read; the heads of RPool_Face_C and RPool_Face_Quant are not those of the paper's tables 11 and 14"
        )
    count = 0
    while f"mob.{count}.conv.0.0.weight" in weights:
        count += 1
    if count not in BLOCKS:
        known = " or ".join(f"{n} ({name})" for n, name in BLOCKS.items())
        raise InputError(f"{weights.path} has {count} inverted residuals, {known} are needed")
    arguments = {"nonlinearity": "smooth"}
    module = weigh(build(BLOCKS[count], **arguments))
    assert isinstance(module, FaceDetector)
    state: dict[str, Tensor] = {}
    for ours, theirs in _names(module).items():
        if ours.endswith(COUNTER):
            weights.tensors.pop(theirs, None)
        elif ".rnn" not in ours:
            state[ours] = weights.take(theirs, *module.state_dict()[ours].shape)
    pool = module.parts[1]
    assert isinstance(pool, RNNPool2d)
    state |= weights.cell("rnn_model.cell_rnn", pool.rnn1.inputs, pool.rnn1.hidden, "parts.1.rnn1")
    state |= weights.cell("rnn_model.cell_bidirrnn", pool.rnn2.inputs, pool.rnn2.hidden, "parts.1.rnn2")
    weights.finish()
    module.load_state_dict(state, strict=False)  # but for the counters of batches all is there
    return Saved(BLOCKS[count], module.eval(), INPUT, arguments, weighted=True)


def _names(module: FaceDetector) -> dict[str, str]:
    # EdgeML's name of each of the network's tensors but the RNN cells'.
    rows = [(row, part) for row, part in enumerate(module.parts) if row >= FRONT]
    blocks = [f"{row}.{name}" for row, part in rows for name, _ in part.named_children()]
    heads = {"scores": "conf", "deltas": "loc"}
    found = {}
    for name in module.state_dict():
        parts = name.split(".")
        if name.startswith("parts.0."):
            found[name] = "conv." + ".".join(parts[2:])
        elif parts[0] == "parts" and int(parts[1]) >= FRONT:
            found[name] = ".".join(["mob", str(blocks.index(f"{parts[1]}.{parts[2]}")), *parts[3:]])
        elif parts[2] in heads:
            found[name] = ".".join([heads[parts[2]], parts[1], *parts[3:]])
        elif parts[2] == "norm":
            found[name] = f"{NORMS[int(parts[1])]}.weight"
        else:
            found[name] = name
    return found
