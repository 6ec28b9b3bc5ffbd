"""The right answer, in integers: docs/arithmetic.md in numpy. Never torch.

The C engine must equal this bit for bit; training imitates it. One file an operator; `frame` (with formats, geometry,
light, resampling) is before them, `detection` and `classification` behind them; `network` has the table of operators
and runs whole models, `golden` makes and checks golden values.
"""

from .detection import Detection
from .formats import Format
from .frame import measure_light
from .geometry import View
from .golden import golden_check, set_golden
from .light import Light
from .network import classify, classify_outputs, detect, detect_outputs, raw_outputs, run, run_input, run_operator

__all__ = [
    "Detection",
    "Format",
    "Light",
    "View",
    "classify",
    "classify_outputs",
    "detect",
    "detect_outputs",
    "golden_check",
    "measure_light",
    "raw_outputs",
    "run",
    "run_input",
    "run_operator",
    "set_golden",
]
