"""A classifier of ours as the paper's own code would have written it: the same weights under EdgeML's names."""

from typing import Any

import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def checkpoint(model: Any) -> dict[str, torch.Tensor]:
    """The state dict of EdgeML's network that gives the same answers, inside of the picture, for ImageNet's input."""
    own = {name: value.clone() for name, value in model.state_dict().items()}
    # pixel = 128 (y + 1) is 255 (std x + mean): y = 255 / 128 (std x + mean) - 1.
    factor = 255 / 128 * torch.tensor(STD)[None, :, None, None]
    constant = (255 / 128 * torch.tensor(MEAN) - 1)[None, :, None, None]
    own["stem.norm.running_mean"] -= (own["stem.conv.weight"] * constant).sum((1, 2, 3))
    own["stem.conv.weight"] = own["stem.conv.weight"] * factor
    result: dict[str, torch.Tensor] = {}

    def copy(source: str, target: str) -> None:
        found = {name for name in own if name == source or name.startswith(f"{source}.")}
        result.update({target + name[len(source) :]: own[name] for name in found})

    def cells(source: str, target: str) -> None:
        for ours, theirs, repeats in (("rnn1", "cell_rnn", ("",)), ("rnn2", "cell_bidirrnn", ("", "_reverse"))):
            for name in ("W", "U", "bias_gate", "bias_update", "zeta", "nu"):
                value = own[f"{source}.{ours}.{name}"]
                value = value if value.dim() == 2 else value.reshape(1, -1)
                result[f"{target}.{theirs}.cell.{name}"] = value
                result.update({f"{target}.{theirs}.unrollRNN.RNNCell{r}.{name}": value for r in repeats})

    copy("stem.conv", "features_init.0")
    copy("stem.norm", "features_init.1")
    cells("pool", "rnn_model")
    for i in range(len(model.blocks)):
        for ours, theirs in (
            ("expand.conv", "0.0"), ("expand.norm", "0.1"), ("depthwise.conv", "1.0"), ("depthwise.norm", "1.1"),
            ("project.conv", "2"), ("project.norm", "3"),
        ):  # fmt: skip
            copy(f"blocks.{i}.{ours}", f"features.{i}.conv.{theirs}")
    copy("last.conv", f"features.{len(model.blocks)}.0")
    copy("last.norm", f"features.{len(model.blocks)}.1")
    if model.last_pool is not None:
        cells("last_pool", "rnn_model_end")
    copy("dense", "classifier.1" if model.last_pool is None else "classifier.0")
    return result
