"""The `.rnnp` blob (mp_module/SPEC.md): one model in one file. numpy only, never torch.

`write` packs a `Model` into bytes, `read` checks bytes by every rule of the SPEC and gives the `Model` back;
`save` and `load` are the same for files. Everything that is not valid raises `BlobError`.
"""

from .error import BlobError, Status
from .golden import golden_crc, golden_frame, result_crc
from .kinds import Kind, Task
from .model import (
    Add,
    Concat,
    Conv,
    Dense,
    Depthwise,
    DetectHead,
    GlobalAveragePool,
    InvertedResidual,
    L2Norm,
    Lookup,
    Model,
    Mul,
    Op,
    Pool,
    RNNPool,
    Upsample,
)
from .reader import load, read
from .writer import save, write

__all__ = [
    "Add",
    "BlobError",
    "Concat",
    "Conv",
    "Dense",
    "Depthwise",
    "DetectHead",
    "GlobalAveragePool",
    "InvertedResidual",
    "Kind",
    "L2Norm",
    "Lookup",
    "Model",
    "Mul",
    "Op",
    "Pool",
    "RNNPool",
    "Status",
    "Task",
    "Upsample",
    "golden_crc",
    "golden_frame",
    "load",
    "read",
    "result_crc",
    "save",
    "write",
]
