"""Golden values by the reference (docs/arithmetic.md, section 5): the right answer that a blob carries with it."""

from ..blob.golden import golden_crc
from ..blob.model import Model
from .network import run_input


def set_golden(model: Model) -> int:
    """Sets model.golden_crc to what the reference gives for the model's golden frame. Returns it."""
    model.golden_crc = golden_crc(model, run_input)
    return model.golden_crc


def golden_check(model: Model) -> bool:
    """Whether the reference gives the model's golden_crc."""
    return golden_crc(model, run_input) == model.golden_crc
