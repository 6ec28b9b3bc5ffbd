"""PyTorch checkpoints: written whole, with a hash, and refused with a sentence if damaged or of another kind."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from . import files
from .errors import InputError

FLOAT_DETECTOR, QUANTIZED_DETECTOR = "float detector", "quantized detector"
FLOAT_CLASSIFIER = "float classifier"
ZOO = "network of the zoo"
RUN = "state of a training run (last.pt)"
MARK = b"sha256 "  # in the comment at the end of the ZIP file that torch.save writes


def save(path: str | Path, content: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all, with the hash of all of it. OSError."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = buffer.getvalue()[:-2] + (len(MARK) + 64).to_bytes(2, "little")  # instead of a comment's length of 0
    files.write_bytes(path, data + MARK + hashlib.sha256(data).hexdigest().encode())


def load(path: str | Path, *kinds: str) -> tuple[str, dict[str, Any]]:
    """The kind of a checkpoint, one of `kinds`, and what it holds.

    InputError if the file is damaged, of another kind, or no checkpoint of rnnpool; OSError if it can't be read.
    """
    data = Path(path).read_bytes()
    _check(path, data)
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # of many kinds, none of which says more
        raise InputError(f"{path} is no checkpoint of rnnpool: it holds other Python objects than weights") from None
    kind = _kind(content)
    if kind not in kinds:
        raise InputError(f"{path} is a {kind}, not a {' or a '.join(kinds)}")
    for name, value in _tensors(content):
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"{path} holds values in {name} that are not finite: its training had failed")
    return kind, content


def _check(path: str | Path, data: bytes) -> None:
    # Damage anywhere shows in the hash; in files without one (PyTorch's own), damaged weights in the ZIP file's CRCs.
    if data[:4] == b"RNNP":
        raise InputError(f"{path} is a .rnnp blob, not a PyTorch checkpoint")
    if data[:4] != b"PK\3\4":
        raise InputError(f"{path} is no PyTorch checkpoint ({len(data)} bytes)")
    end = data.rfind(b"PK\5\6") + 22  # of the record that ends a ZIP file, before its comment
    if end < 22 or int.from_bytes(data[end - 2 : end], "little") != len(data) - end:
        raise InputError(f"{path} is damaged or cut off ({len(data)} bytes)")
    if end < len(data):
        if data[end:] != MARK + hashlib.sha256(data[:end]).hexdigest().encode():
            raise InputError(f"{path} is damaged: its hash does not fit its content. Take a copy of it")
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            damaged = archive.testzip()
    except Exception:  # zipfile raises nearly anything for damaged directories
        raise InputError(f"{path} is damaged or cut off ({len(data)} bytes)") from None
    if damaged:
        raise InputError(f"{path} is damaged: {damaged} does not fit its checksum. Take a copy of it")
    if any("/code/" in name for name in names):
        raise InputError(f"{path} is a TorchScript module, not a checkpoint of rnnpool")


def _kind(content: Any) -> str:
    if isinstance(content, dict):
        if {"optimizer", "ema", "model"} <= content.keys():
            return RUN
        if isinstance(content.get("zoo"), dict) and isinstance(content.get("model"), dict):
            return ZOO
        for key, weights, kind in (
            ("config", "model", FLOAT_DETECTOR),
            ("config", "quantized", QUANTIZED_DETECTOR),
            ("classifier", "model", FLOAT_CLASSIFIER),
        ):
            if isinstance(content.get(key), dict) and isinstance(content.get(weights), dict):
                return kind
        tensors = [name for name, value in content.items() if isinstance(value, torch.Tensor)]
        if tensors and len(tensors) == len(content):
            return f"state dict of {len(tensors)} tensors ({tensors[0]}, ...) without a network's description"
        held = ", ".join(sorted(map(str, content))[:6]) or "nothing"
        return f"foreign dictionary that holds {held}"
    return f"foreign object of type {type(content).__name__}"


def _tensors(content: Any, name: str = "") -> list[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        return [(name, content)]
    if isinstance(content, dict):
        return [pair for key, value in content.items() for pair in _tensors(value, f"{name}.{key}" if name else key)]
    return []


def fill(path: str | Path, model: torch.nn.Module, weights: dict[str, Any]) -> None:
    """Load a checkpoint's weights into its network; counters of batches may be missing. InputError otherwise."""
    try:
        left_out = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit its network: {str(error).splitlines()[-1].strip()}") from None
    missing = [k for k in left_out.missing_keys if not k.endswith("num_batches_tracked")]
    if missing or left_out.unexpected_keys:
        unexpected = left_out.unexpected_keys
        raise InputError(
            f"{path} does not fit its network: {len(missing)} tensors are missing ({', '.join(missing[:3])}), "
            f"{len(unexpected)} unexpected ({', '.join(unexpected[:3])})"
        )


def config(path: str | Path, make: Any, values: dict[str, Any]) -> Any:
    """A network's description from a checkpoint's; `make` is its from_dict. InputError if it is none."""
    try:
        return make(values)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{path} describes no network that can be built: {error}") from None


def finite(values: dict[str, Any]) -> bool:
    """Whether all floating point tensors of a state dict are finite."""
    return all(bool(torch.isfinite(v).all()) for _, v in _tensors(values) if v.is_floating_point())
