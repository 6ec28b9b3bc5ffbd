"""C headers of an RNNPool's weights, as c_reference's tests have them: rnn1.h and rnn2.h in floating point.

Matrices are [hidden][inputs], row by row; sigmoid_zeta1 and sigmoid_nu1 are behind their sigmoid. Headers of Q15
weights are refused: the scale of W depends on the map that the RNN reads, which they don't say.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..rnnpool2d import RNNPool2d

ARRAY = re.compile(r"(\w+)\s+(\w+)\s*\[[^\]]*\]\s*=\s*\{([^}]*)\}\s*;")
NUMBER = re.compile(r"(\w+)\s+(sigmoid_\w+)\s*=\s*([^;]+);")
LARGEST = 100.0  # EdgeML's own start of zeta: its sigmoid is 1


def cell(path: Path, number: int) -> dict[str, Tensor]:
    """One cell by FastGRNNCell's names. number: 1 or 2, which its names end in. InputError."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", path.read_text(encoding="utf-8", errors="replace"), flags=re.DOTALL)
    arrays: dict[str, Tensor] = {}
    for kind, name, values in ARRAY.findall(text):
        if kind.startswith(("Q15", "Q7", "int")) and name == f"W{number}":
            raise InputError(
                f"{path}: {name} is of {kind}: its scale depends on the map that the RNN reads and is not in the file. "
                "Import the checkpoint that it was made of"
            )
        if kind in ("float", "double"):
            try:
                arrays[name] = torch.tensor([float(v) for v in values.rstrip(", \n").split(",")], dtype=torch.float64)
            except ValueError:
                raise InputError(f"{path}: {name} holds something else than numbers") from None
    numbers = {name: value for kind, name, value in NUMBER.findall(text)}
    wanted = {f"{n}{number}": n for n in ("W", "U", "Bg", "Bh")}
    missing = [name for name in wanted if name not in arrays]
    missing += [n for n in (f"sigmoid_zeta{number}", f"sigmoid_nu{number}") if n not in numbers]
    if missing:
        raise InputError(f"{path} has no {missing[0]}, but {', '.join([*arrays, *numbers]) or 'no array of float'}")
    hidden = len(arrays[f"Bg{number}"])
    inputs, rest = divmod(len(arrays[f"W{number}"]), hidden)
    sizes = {"W": inputs * hidden, "U": hidden * hidden, "Bg": hidden, "Bh": hidden}
    for name, short in wanted.items():
        if rest or len(arrays[name]) != sizes[short]:
            raise InputError(f"{path}: {name} has {len(arrays[name])} values, Bg{number} says {hidden} hidden ones")
        if not bool(torch.isfinite(arrays[name]).all()):
            raise InputError(f"{path}: {name} holds a value that is not finite")
    return {
        "W": arrays[f"W{number}"].reshape(hidden, inputs).t().float().contiguous(),
        "U": arrays[f"U{number}"].reshape(hidden, hidden).t().float().contiguous(),
        "bias_gate": arrays[f"Bg{number}"].float(), "bias_update": arrays[f"Bh{number}"].float(),
        "zeta": _logit(path, f"sigmoid_zeta{number}", numbers), "nu": _logit(path, f"sigmoid_nu{number}", numbers),
    }  # fmt: skip


def _logit(path: Path, name: str, numbers: dict[str, str]) -> Tensor:
    try:
        value = float(numbers[name].strip().rstrip("fF"))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InputError(f"{path}: {name} must be 0 to 1, is {numbers[name].strip()}")
    logit = LARGEST if value == 1 else -LARGEST if value == 0 else math.log(value / (1 - value))
    return torch.tensor(min(max(logit, -LARGEST), LARGEST), dtype=torch.float32)


def pool(rnn1: Path, rnn2: Path, patch: int, stride: int) -> RNNPool2d:
    """The RNNPool of two headers, in evaluation mode. InputError if they don't fit each other."""
    first, second = cell(rnn1, 1), cell(rnn2, 2)
    hidden1, hidden2 = len(first["bias_gate"]), len(second["bias_gate"])
    if second["W"].shape[0] != hidden1:
        raise InputError(f"{rnn2}: W2 reads {second['W'].shape[0]} values, RNN1 of {rnn1} has {hidden1} hidden ones")
    made = RNNPool2d(first["W"].shape[0], hidden1, hidden2, patch, stride, nonlinearity="smooth", replicate=True)
    made.load_state_dict({f"{r}.{k}": v for r, cell in (("rnn1", first), ("rnn2", second)) for k, v in cell.items()})
    return made.eval()
