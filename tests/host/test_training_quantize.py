"""Detectors on the way from floats to integers: rounded, fine-tuned, exported; the whole chain runs."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rounded import agree

torch = pytest.importorskip("torch")

from rnnpool_training import blob, checkpoint, deploy, reference  # noqa: E402
from rnnpool_training.blob import InvertedResidual as Block  # noqa: E402
from rnnpool_training.compile.network import Exported  # noqa: E402
from rnnpool_training.deploy import RoundedDetector, load_quantized, save_quantized  # noqa: E402
from rnnpool_training.detector import load_float, raw_detector, save_float, torch_detector  # noqa: E402
from rnnpool_training.network import BlockConfig, Detector, InvertedResidual, NetworkConfig  # noqa: E402

SMALL = NetworkConfig(
    name="small", height=64, width=80, stem=4, patch=8, patch_stride=4, hidden1=8, hidden2=16,
    blocks=(BlockConfig(24, 16, 1, (12.0, 20.0)), BlockConfig(32, 16, 1), BlockConfig(24, 24, 2, (40.0,))),
)  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> Detector:
    """A network with lively statistics: normalization has seen some random pictures."""
    torch.manual_seed(3)
    model = Detector(SMALL)
    with torch.no_grad():
        for head in model.heads:
            if isinstance(head, torch.nn.Conv2d):
                head.weight.mul_(30)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.uniform_(-0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
    for _ in range(20):
        model(pictures(8))
    return model.eval()


def pictures(count: int) -> Any:
    coarse = torch.rand(count, 1, SMALL.height // 8, SMALL.width // 8)
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    return ((smooth + 0.1 * torch.randn_like(smooth)).clamp(0, 0.999) * 256).floor() / 128 - 1


def reference_pixels(x: Any) -> NDArray[np.uint8]:
    return ((x.permute(0, 2, 3, 1).numpy() + 1) * 128).round().astype(np.uint8)


@pytest.fixture(scope="module")
def quantized(trained: Detector) -> RoundedDetector:
    torch.manual_seed(4)
    return deploy.quantize(trained, reference_pixels(pictures(32)))


@pytest.fixture(scope="module")
def exported(quantized: RoundedDetector) -> Exported:
    return deploy.export_rounded(quantized, "named", 0.3, (0.4, 512))


def test_quantization_is_close(trained: Detector, quantized: RoundedDetector) -> None:
    x = pictures(4)
    with torch.no_grad():
        a, b = trained(x), quantized(x)
    assert (a - b).abs().mean() < 0.05 * a.std(dim=(0, 1)).mean()


def test_every_operator_agrees_with_the_integer_reference(quantized: RoundedDetector) -> None:
    """Each operator on the reference's own input: nearly all outputs equal, the rest one step apart."""
    found = agree(quantized.rounded, quantized.result, reference_pixels(pictures(1))[0])
    assert [kind.name for kind, _ in found] == ["CONV", "RNNPOOL", "INVERTED_RESIDUAL", "DETECT_HEAD",
                                                "INVERTED_RESIDUAL", "INVERTED_RESIDUAL", "DETECT_HEAD"]  # fmt: skip
    for kind, equal in found:
        assert equal > (0.95 if kind.name == "RNNPOOL" else 0.9 if kind.name == "DETECT_HEAD" else 0.99), (kind, equal)


def test_detections_agree(quantized: RoundedDetector, exported: Exported) -> None:
    """The float pipeline on the raw outputs of the reference finds its boxes, to a pixel."""
    model = exported.model
    pixels = reference_pixels(pictures(1))[0]
    outputs = reference.run_input(model, pixels)
    factors = quantized.result.factors(1)
    raw = np.concatenate([outputs[i].reshape(-1, 5) for i in model.results()]) / 4096 / factors
    config = quantized.config
    found = raw_detector(lambda _: raw.astype(np.float32), config, lowest=0.3)(pixels[:, :, 0])
    expected = reference.detect_outputs(model, outputs, config.width, config.height)
    # Boxes outside the frame are clipped, or left out, by the reference only.
    clipped = [(x, y, w, h, s) for x, y, w, h, s in found.tolist() if x > 1 and y > 1 and x + w < 79 and y + h < 63]
    assert clipped
    for x, y, w, h, score in clipped:
        near = [d for d in expected if abs(d.score / 32768 - score) < 1e-3 and abs(d.x - x) <= 1 and abs(d.y - y) <= 1]
        assert any(abs(d.w - w) <= 2 and abs(d.h - h) <= 2 for d in near), (x, y, w, h, score)


def test_blob_round_trip_and_golden(quantized: RoundedDetector, exported: Exported) -> None:
    again = blob.read(exported.data)
    assert blob.write(again) == exported.data and again.name == "named" and again.threshold == round(0.3 * 32768)
    assert reference.golden_check(again) and again.labels == ["face"] and again.max_candidates == 512
    # The same model, the same bytes.
    assert exported.data == deploy.export_rounded(quantized, "named", 0.3, (0.4, 512)).data


def test_channels_that_are_hardly_ever_active(trained: Detector) -> None:
    """Their folded weights are huge; multipliers stay below 2^31, the block one operator, and the blob valid."""
    model = copy.deepcopy(trained)
    block = model.blocks[0]
    assert isinstance(block, InvertedResidual)
    with torch.no_grad():
        block.depthwise.norm.running_var[3] = 1e-9
        block.depthwise.conv.weight[3] *= 300
    made = deploy.export_rounded(deploy.quantize(model, reference_pixels(pictures(16))))
    first = next(op for op in made.model.ops if isinstance(op, Block))
    share = first.depthwise_multiplier / 2.0**31
    assert share[3] == pytest.approx(2 * 0.499, abs=1e-3) and (share[[0, 1, 2]] < 0.9).all()


def test_gradients_reach_every_weight(quantized: RoundedDetector) -> None:
    quantized.zero_grad()
    quantized(pictures(2)).square().mean().backward()
    names = [name for name, _ in quantized.named_parameters()]
    assert len(names) == 2 * (1 + 3 * 3 + 2) + 8
    for name, parameter in quantized.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_checkpoints(trained: Detector, quantized: RoundedDetector, tmp_path: Path) -> None:
    x = pictures(1)
    save_float(tmp_path / "f.pt", SMALL, trained.state_dict())
    save_quantized(tmp_path / "q.pt", quantized)
    with torch.no_grad():
        assert torch.equal(load_float(tmp_path / "f.pt")(x), trained(x))
        assert torch.equal(load_quantized(tmp_path / "q.pt")(x), quantized(x))
    with pytest.raises(ValueError, match="is a quantized detector, not a float detector"):
        load_float(tmp_path / "q.pt")
    detections = torch_detector(quantized, SMALL)(reference_pixels(x)[0, :, :, 0])
    assert detections.shape[1] == 5 and (np.diff(detections[:, 4]) <= 0).all()
    checkpoint.save(tmp_path / "old.pt", {"config": SMALL.to_dict(), "quantized": {"stem.weight": torch.zeros(1)}})
    with pytest.raises(ValueError, match="by an older version: quantize its float checkpoint again"):
        load_quantized(tmp_path / "old.pt")


def test_whole_chain(tmp_path: Path) -> None:
    """Train, quantize, export and evaluate on generated pictures; `chain` itself fails where a stage falls short."""
    from rnnpool_training.smoke import chain

    result = chain(tmp_path)
    assert set(result) == {"float", "quantized", "integer"}


def test_smoke_option_runs_the_chain_and_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnpool_training import smoke, train

    given: list[object] = []
    monkeypatch.setattr(smoke, "main", given.append)
    with pytest.raises(SystemExit) as stop:
        train.main(["--smoke"])
    assert stop.value.code == 0 and given == [[]]
