"""The fake-quantized model, the exporter and the integer reference agree; the whole chain runs."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from rnnpool_training import blob, reference  # noqa: E402
from rnnpool_training.detector import load_float, raw_detector, save_float, torch_detector  # noqa: E402
from rnnpool_training.export import build  # noqa: E402
from rnnpool_training.network import BlockConfig, Detector, InvertedResidual, NetworkConfig  # noqa: E402
from rnnpool_training.quantize import (  # noqa: E402
    BOX_FACTORS,
    QuantConv,
    QuantizedDetector,
    load_quantized,
    save_quantized,
)

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


@pytest.fixture(scope="module")
def quantized(trained: Detector) -> QuantizedDetector:
    torch.manual_seed(4)
    model = QuantizedDetector(trained)
    model.calibrate(pictures(8) for _ in range(4))
    return model


def test_folding_changes_nothing(trained: Detector) -> None:
    x = pictures(2)
    with torch.no_grad():
        assert torch.allclose(trained(x), QuantizedDetector(trained).eval()(x), atol=1e-4)


def test_quantization_is_close(trained: Detector, quantized: QuantizedDetector) -> None:
    x = pictures(4)
    with torch.no_grad():
        a, b = trained(x), quantized(x)
    assert (a - b).abs().mean() < 0.05 * a.std(dim=(0, 1)).mean()


def reference_pixels(x: Any) -> NDArray[np.uint8]:
    return ((x[0, 0].numpy() + 1) * 128).round().astype(np.uint8)[:, :, None]


def test_every_operator_agrees_with_the_integer_reference(quantized: QuantizedDetector) -> None:
    """Each operator on the reference's own input: nearly all outputs equal, the rest one step apart."""
    model = build(quantized, 0.5, 0.4, 100)
    x = pictures(1)
    outputs = reference.run_input(model, reference_pixels(x))

    def real(op: int, scale: float, zero_point: float) -> Any:
        return torch.from_numpy((outputs[op].astype(np.float32) - zero_point) * scale).permute(2, 0, 1)[None]

    def compare(op: int, y: Any, scale: float, zero_point: float, equal: float, most: int) -> None:
        expected = torch.floor(y / scale + 0.5)[0].permute(1, 2, 0).numpy() + zero_point
        difference = np.abs(outputs[op] - expected)
        assert difference.max() <= most, (op, difference.max())
        assert (difference == 0).mean() >= equal, (op, (difference == 0).mean())

    with torch.no_grad():
        stem = quantized.stem_out
        compare(0, stem(quantized.stem(x, quantized.input_scale)), float(stem.scale), float(stem.zero_point), 0.999, 1)
        x = quantized.pooled(quantized.pool, real(0, float(stem.scale), float(stem.zero_point)))
        compare(1, x.clamp(-1, 127 / 128), 1 / 128, 0, 0.95, 1)
        source, scale, zero_point = 1, quantized.pool_scale, 0.0
        op = 2
        for block, head in zip(quantized.blocks, quantized.heads, strict=True):
            y = block(real(source, float(scale), zero_point), scale)
            compare(op, y, float(block.out.scale), float(block.out.zero_point), 0.99, 1)
            source, scale, zero_point = op, block.out.scale, float(block.out.zero_point)
            op += 1
            if isinstance(head, QuantConv):
                factors = np.tile(np.array(BOX_FACTORS), head.weight.shape[0] // 5).astype(np.float32)
                y = head(real(source, float(scale), zero_point), scale) * torch.from_numpy(factors)[:, None, None]
                compare(op, y.clamp(-8, 8 - 1 / 4096), 1 / 4096, 0, 0.9, 2)
                op += 1
    assert op == len(model.ops)


def test_detections_agree(quantized: QuantizedDetector) -> None:
    """The float pipeline on the raw outputs of the reference finds its boxes, to a pixel."""
    model = build(quantized, 0.3, 0.4, 512)
    pixels = reference_pixels(pictures(1))
    outputs = reference.run_input(model, pixels)
    raw = np.concatenate([outputs[i].reshape(-1, 5) for i in model.results()]) / 4096 / np.array(BOX_FACTORS)
    config = quantized.config
    found = raw_detector(lambda _: raw.astype(np.float32), config, lowest=0.3)(pixels[:, :, 0])
    expected = reference.detect_outputs(model, outputs, config.width, config.height)
    # Boxes outside the frame are clipped, or left out, by the reference only.
    clipped = [(x, y, w, h, s) for x, y, w, h, s in found.tolist() if x > 1 and y > 1 and x + w < 79 and y + h < 63]
    assert clipped
    for x, y, w, h, score in clipped:
        near = [d for d in expected if abs(d.score / 32768 - score) < 1e-3 and abs(d.x - x) <= 1 and abs(d.y - y) <= 1]
        assert any(abs(d.w - w) <= 2 and abs(d.h - h) <= 2 for d in near), (x, y, w, h, score)


def test_blob_round_trip_and_golden(quantized: QuantizedDetector) -> None:
    model = build(quantized, 0.5, 0.4, 100, "named")
    data = blob.write(model)
    again = blob.read(data)
    assert blob.write(again) == data and again.name == "named" and again.threshold == 16384
    assert reference.golden_check(again)
    assert data == blob.write(build(quantized, 0.5, 0.4, 100, "named"))  # the same model, the same bytes


def test_channels_that_are_hardly_ever_active(trained: Detector) -> None:
    """Their folded weights are huge; multipliers stay below 2^31 and the blob is valid."""
    model = copy.deepcopy(trained)
    block = model.blocks[0]
    assert isinstance(block, InvertedResidual)
    with torch.no_grad():
        block.depthwise.norm.running_var[3] = 1e-9
        block.depthwise.conv.weight[3] *= 300
    quantized = QuantizedDetector(model)
    quantized.calibrate(pictures(8) for _ in range(2))
    blob.write(build(quantized, 0.5, 0.4, 100))
    ratio = quantized.blocks[0].depthwise.weight_scale() / quantized.blocks[0].depthwise.most
    assert ratio[3] == 1 and (ratio[[0, 1, 2]] < 1).all()


def test_gradients_reach_every_weight(quantized: QuantizedDetector) -> None:
    quantized.zero_grad()
    quantized(pictures(2)).square().mean().backward()
    for name, parameter in quantized.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_checkpoints(trained: Detector, quantized: QuantizedDetector, tmp_path: Path) -> None:
    x = pictures(1)
    save_float(tmp_path / "f.pt", SMALL, trained.state_dict())
    save_quantized(tmp_path / "q.pt", quantized)
    with torch.no_grad():
        assert torch.equal(load_float(tmp_path / "f.pt")(x), trained(x))
        assert torch.equal(load_quantized(tmp_path / "q.pt")(x), quantized(x))
    with pytest.raises(ValueError, match="is a quantized detector, not a float detector"):
        load_float(tmp_path / "q.pt")
    detections = torch_detector(quantized, SMALL)(reference_pixels(x)[:, :, 0])
    assert detections.shape[1] == 5 and (np.diff(detections[:, 4]) <= 0).all()


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
