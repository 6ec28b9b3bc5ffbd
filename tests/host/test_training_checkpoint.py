"""Checkpoints: damaged ones and those of another kind are refused with a sentence."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # small networks: threads only wait for each other

from rnnpool_training import checkpoint  # noqa: E402
from rnnpool_training.classifier import VWW, Classifier, load_classifier, save_classifier  # noqa: E402
from rnnpool_training.deploy import load_quantized  # noqa: E402
from rnnpool_training.detector import load_float, save_float  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402
from rnnpool_training.network import BlockConfig, Detector, NetworkConfig  # noqa: E402

CONFIG = NetworkConfig(
    name="test", height=32, width=32, stem=4, patch=4, patch_stride=2, hidden1=8, hidden2=8,
    blocks=(BlockConfig(16, 12, 1, (10.0,)), BlockConfig(12, 16, 2, (20.0,))),
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_float(tmp_path / "float.pt", CONFIG, Detector(CONFIG).state_dict())
    return tmp_path / "float.pt"


def equal(path: Path, weights: dict[str, "torch.Tensor"]) -> bool:
    found = load_float(path).state_dict()
    return all(torch.equal(found[k], v) for k, v in weights.items())


def test_what_is_saved_is_loaded_and_by_pytorch_too(path: Path) -> None:
    model = load_float(path)
    assert not model.training
    plain = torch.load(path, weights_only=True)["model"]
    assert plain and all(torch.equal(model.state_dict()[k], v) for k, v in plain.items())


def damaged(data: bytes, count: int) -> list[bytes]:
    """Files cut off, with a byte or a block changed, or with something behind."""
    random = np.random.default_rng(1)
    result = [data[:n] for n in (0, 1, 4, 100, len(data) // 2, len(data) - 1)] + [data + b"\0", data + data]
    for place in random.integers(0, len(data), count):
        changed = bytearray(data)
        changed[place] ^= int(random.integers(1, 256))
        result.append(bytes(changed))
    start = len(data) // 3
    return [*result, data[:start] + bytes(4096) + data[start + 4096 :]]


def test_damage_anywhere_is_refused(path: Path) -> None:
    for data in damaged(path.read_bytes(), 134):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"damaged|no PyTorch checkpoint"):
            load_float(path)


def test_of_a_file_by_pytorch_alone_damaged_weights_are_refused(path: Path) -> None:
    weights = {k: v.clone() for k, v in load_float(path).state_dict().items()}
    buffer = io.BytesIO()
    torch.save(torch.load(path, weights_only=True), buffer)
    path.write_bytes(buffer.getvalue())
    assert equal(path, weights)
    refused = 0
    for data in damaged(buffer.getvalue(), 134):
        path.write_bytes(data)
        try:
            assert equal(path, weights)  # what was changed is between the weights
        except InputError:
            refused += 1
    assert refused > 100


def test_the_kind_is_named(path: Path, tmp_path: Path) -> None:
    config = replace(VWW, height=64, width=64)
    save_classifier(tmp_path / "classifier.pt", Classifier(config))
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "state.pt")
    torch.save({"epoch": 3, "net": {}}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    (tmp_path / "blob.pt").write_bytes(b"RNNP" + bytes(80))
    (tmp_path / "text.pt").write_text("hello")
    for name, words in (
        ("classifier.pt", "is a float classifier, not a float detector"),
        ("state.pt", "state dict of 2 tensors (weight, ...)"),
        ("other.pt", "dictionary that holds epoch, net"),
        ("list.pt", "object of type list"),
        ("module.pt", "other Python objects"),
        ("script.pt", "TorchScript"),
        ("blob.pt", "is a .rnnp blob"),
        ("text.pt", "no PyTorch checkpoint"),
    ):
        with pytest.raises(InputError) as refusal:
            load_float(tmp_path / name)
        assert words in str(refusal.value) and name in str(refusal.value)
    with pytest.raises(InputError, match="is a float detector, not a quantized detector"):
        load_quantized(path)
    with pytest.raises(InputError, match="is a float detector, not a float classifier"):
        load_classifier(path)


def test_contents_that_do_not_fit_are_refused(path: Path) -> None:
    good = torch.load(path, weights_only=True)
    name = "stem.conv.weight"
    for change, words in (
        ({"config": {**good["config"], "stem": 8}}, "does not fit"),
        ({"config": {"name": "x"}}, "describes no network"),
        ({"model": {k: v for k, v in good["model"].items() if k != name}}, "1 tensors are missing .stem.conv.weight"),
        ({"model": {**good["model"], "more": torch.zeros(1)}}, "1 unexpected .more"),
        ({"model": {**good["model"], name: good["model"][name] * float("nan")}}, "stem.conv.weight that are not"),
    ):
        checkpoint.save(path, {**good, **change})
        with pytest.raises(InputError, match=words):
            load_float(path)
