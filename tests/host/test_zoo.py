"""The paper's networks: each builds from its name and takes a step of training; what they cost is as stored."""

import json
import shutil
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rnnpool_training import cli, zoo  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402
from rnnpool_training.loss import Targets  # noqa: E402
from rnnpool_training.rnnpool2d import RNNPool2d  # noqa: E402
from rnnpool_training.zoo import s3fd, table  # noqa: E402
from rnnpool_training.zoo.pooling import Pooling  # noqa: E402

NUMBERS = json.loads(table.NUMBERS.read_text())["networks"]
BOXES = torch.tensor([[20.0, 20, 44, 44], [60.0, 30, 100, 70], [5.0, 70, 60, 125]])
TARGETS = Targets(BOXES, torch.tensor([True] * 3), [2, 1], torch.tensor([True] * 2))


def small(name: str) -> Any:
    """A network for pictures of 64x64: a last RNNPool pools a map of 2x2."""
    last = any(part in name for part in ("-last-", "-both", "-all"))
    return zoo.build(name, **({"side": 2} if last else {}))


def loss_of(name: str, model: Any, x: Any) -> Any:
    output = model(x)
    if zoo.entry(name).kind == "detector":
        return s3fd.loss(output, model.anchors.grid(*x.shape[2:]), TARGETS)
    parts = output if isinstance(output, tuple) else (output,)
    entropies = [torch.nn.functional.cross_entropy(part, torch.tensor([0, 1])) for part in parts]
    return entropies[0] + 0.3 * sum(entropies[1:])


@pytest.mark.parametrize("name", zoo.names())
def test_builds_from_its_name_and_learns(name: str) -> None:
    """Every parameter that takes part gets a gradient, and a small step along it makes the loss smaller."""
    torch.manual_seed(1)
    model = small(name)
    for m in model.modules():  # what is random in training would hide a small step
        if isinstance(m, torch.nn.Dropout):
            m.p = 0.0
        if hasattr(m, "drop"):
            m.drop = 0.0
    side = 128 if zoo.entry(name).kind == "detector" else 64
    x = torch.randn(2, zoo.entry(name).shape[0], side, side)
    torch.manual_seed(2)
    before = loss_of(name, model, x)
    before.backward()
    gradients = {n: p.grad for n, p in model.named_parameters()}
    unused = [n for n, g in gradients.items() if g is None]
    assert not unused
    assert all(bool(torch.isfinite(g).all()) for g in gradients.values())
    pools = [n for n, m in model.named_modules() if isinstance(m, RNNPool2d)]
    assert all(bool(g.any()) for n, g in gradients.items() if any(n.startswith(pool) for pool in pools))
    length = float(sum(g.double().square().sum() for g in gradients.values()))
    with torch.no_grad():
        for p in model.parameters():
            p -= min(1e-3, 1e-3 / length) * p.grad
    torch.manual_seed(2)
    after = loss_of(name, model, x)
    assert torch.isfinite(after) and after < before, (before, after)


def test_costs_are_as_stored_and_the_page_is_made_of_them() -> None:
    assert len(zoo.names()) >= 24
    assert table.differences(table.measured(), NUMBERS) == []
    assert table.PAGE.read_text() == table.page(json.loads(table.NUMBERS.read_text()))


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("densenet121-rnnpool", 5.60), ("googlenet-rnnpool", 9.35), ("efficientnet-b0-rnnpool", 3.90),
        ("resnet18-rnnpool", 10.60), ("face-c", 1.52),
    ],
)  # fmt: skip
def test_parameters_are_the_papers_where_it_is_consistent(name: str, millions: float) -> None:
    assert NUMBERS[name]["parameters"] / 1e6 == pytest.approx(millions, rel=0.02)


def test_visual_wake_words_has_the_parameters_of_edgeml() -> None:
    assert [NUMBERS[n]["parameters"] for n in ("vww-rnnpool", "vww-rnnpool-192")] == [270_890, 256_298]


def test_base_networks_have_the_parameters_of_their_own_papers() -> None:
    """With 1,000 classes, as torchvision counts them; DenseNet's and EfficientNet's normalizations among them."""
    expected = {
        "mobilenetv2": 3_504_872, "resnet18": 11_689_512, "densenet121": 7_978_856, "googlenet": 13_004_888,
        "efficientnet-b0": 5_288_548,
    }  # fmt: skip
    with torch.device("meta"):
        for name, count in expected.items():
            assert sum(p.numel() for p in zoo.build(name, classes=1000).parameters()) == count, name


def test_hard_cells_do_not_die() -> None:
    """Of inputs far from 1 the weights still get gradients, and so does DenseNet121 with four hard RNNPools."""
    for scale in (0.1, 1, 4, 16, 64):
        torch.manual_seed(1)
        pool = RNNPool2d(16, 16, 16, 8, 4)
        x = (torch.randn(2, 16, 16, 16).relu() * scale).requires_grad_()
        y = pool(x)
        (y * torch.randn_like(y)).sum().backward()
        assert float((x.grad != 0).float().mean()) > 0.1
        assert all(float((p.grad != 0).float().mean()) > 0.9 for p in pool.parameters())
    torch.manual_seed(1)
    net = zoo.build(
        "densenet121-rnnpool-all-short", first=Pooling("rnnpool", 8, 4, "hard"), nonlinearity="hard", side=2
    )
    torch.nn.functional.cross_entropy(net(torch.randn(2, 3, 64, 64)), torch.tensor([0, 1])).backward()
    assert all(bool(p.grad.any()) for n, p in net.named_parameters() if "pool" in n or "conv0" in n)


def test_max_out_and_normalization_of_the_heads() -> None:
    torch.manual_seed(1)
    head = s3fd.Head(4, backgrounds=3, scale=10.0)
    x = torch.randn(2, 4, 5, 6)
    scores, deltas = head(x)
    normal = x / x.square().sum(1, keepdim=True).sqrt() * 10
    raw = head.scores(normal)
    assert torch.allclose(scores[:, 0], raw[:, :3].amax(1), atol=1e-5) and torch.allclose(scores[:, 1], raw[:, 3])
    assert torch.allclose(deltas, head.deltas(normal), atol=1e-5)


def test_loss_of_a_detector_counts_three_backgrounds_for_a_face() -> None:
    anchors = s3fd.QVGA.grid(64, 64)
    targets = Targets(anchors[:1, [0, 1, 0, 1]] + torch.tensor([[-4.0, -4, 4, 4]]), torch.tensor([True]), [1],
                      torch.tensor([True]))  # fmt: skip
    scores = torch.zeros(1, len(anchors), 2)
    found = s3fd.loss(s3fd.Faces(scores, torch.zeros(1, len(anchors), 4)), anchors, targets)
    index, _, _ = s3fd.match(anchors, targets, s3fd.THRESHOLD, s3fd.LOW, s3fd.WANTED)
    positives = int((index >= 0).sum())
    deltas = s3fd.encode(targets.boxes[index[index >= 0]], anchors[(index >= 0)[0]])
    boxes = torch.nn.functional.smooth_l1_loss(torch.zeros_like(deltas), deltas, reduction="sum")
    expected = (4 * positives * torch.log(torch.tensor(2.0)) + boxes) / positives
    assert torch.allclose(found, expected, atol=1e-5)


def test_encoded_boxes_decode_to_themselves() -> None:
    from rnnpool_training.loss import decode_corners

    anchors = torch.tensor([[30.0, 30, 24], [80.0, 50, 40], [32.0, 96, 48]])
    assert torch.allclose(decode_corners(s3fd.encode(BOXES, anchors), anchors), BOXES, atol=1e-3)


def test_names_that_there_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="no network 'mobilenet2-rnnpool': did you mean mobilenetv2-rnnpool"):
        zoo.build("mobilenet2-rnnpool")
    with pytest.raises(SystemExit):
        cli.main(["zoo", "vwv"])
    assert "did you mean vww" in capsys.readouterr().err


def test_the_command_shows_a_network_and_says_what_differs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.main(["zoo", "face-m4", "--check"])
    out = capsys.readouterr().out
    assert "54,270" in out and "80.8" in out and "all 1 as stored" in out
    wrong = {"networks": {"face-m4": {**NUMBERS["face-m4"], "parameters": 1}}}
    monkeypatch.setattr(table, "stored", lambda: wrong)
    with pytest.raises(SystemExit):
        cli.main(["zoo", "face-m4", "--check"])
    assert "face-m4: parameters 54,270, stored 1" in capsys.readouterr().err


def test_as_in_torchvision() -> None:
    """Where torchvision loads: the same parameters' names and shapes, and the same logits."""
    models = pytest.importorskip("torchvision.models", exc_type=(ImportError, RuntimeError))
    for name, make in (
        ("resnet18", models.resnet18), ("densenet121", models.densenet121), ("mobilenetv2", models.mobilenet_v2),
        ("efficientnet-b0", models.efficientnet_b0), ("googlenet", models.googlenet),
    ):  # fmt: skip
        torch.manual_seed(1)
        own, other = zoo.build(name, classes=1000).eval(), make(num_classes=1000).eval()
        own.load_state_dict(other.state_dict())
        x = torch.randn(1, 3, 224, 224)
        assert torch.allclose(own(x), other(x), atol=1e-4, rtol=1e-3), name


@pytest.mark.parametrize("arguments", [{}, {"normalized": False}, {"authors": True}])
@pytest.mark.parametrize("name", ["face-m4", "face-quant"])
def test_deployed_detectors_give_the_same(name: str, arguments: Any) -> None:
    """Max-out and softmax folded into one logit: the probabilities and deltas of the network itself."""
    from rnnpool_training.zoo.deployed import Deployed

    if name == "face-m4" and "authors" in arguments:
        name = "face-c"
    torch.manual_seed(1)
    model = zoo.build(name, **arguments).eval()
    for head in model.heads:
        torch.nn.init.normal_(head.scores.bias)
    x = torch.randn(1, zoo.entry(name).shape[0], 128, 160)
    with torch.no_grad():
        maps, (scores, deltas) = Deployed(model)(x), model(x)
    flat = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)
    assert torch.allclose(flat[..., 0].sigmoid(), scores.softmax(2)[..., 1], atol=1e-5)
    assert torch.allclose(flat[..., 1:], deltas, atol=1e-5)


@pytest.mark.parametrize("title", ["vww-rnnpool at 96", "face-m4"])
def test_the_engine_runs_it_and_needs_what_is_stored(title: str, tmp_path: Any) -> None:
    """Bit for bit the reference's results, or the export fails."""
    counted = ["--cycles"] if title.endswith("96") and shutil.which("arm-none-eabi-gcc") else []
    table.main(["--engine", title, "--check", "-o", str(tmp_path), *counted])
    (blob,) = tmp_path.iterdir()
    assert blob.stat().st_size == json.loads(table.NUMBERS.read_text())["engine"][title]["blob"]


def test_rows_that_the_engine_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        table.main(["--engine", "face-c"])
    assert "the engine has no row 'face-c': there are vww-rnnpool at 96" in capsys.readouterr().err
