"""Checkpoints and headers of the paper's own code: read by name and shape, and right in the engine."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgeml_names import MEAN, STD, checkpoint
from PIL import Image

pytest.importorskip("torch")

import torch

from rnnpool_training import blob, evaluate, import_edgeml, zoo
from rnnpool_training.classifier import VWW, Classifier, load_classifier
from rnnpool_training.cli import COMMANDS
from rnnpool_training.edgeml import headers
from rnnpool_training.normalization import renew_statistics
from rnnpool_training.pictures import frame, load_labelled
from rnnpool_training.rnnpool2d import RNNPool2d
from rnnpool_training.zoo import saved
from rnnpool_training.zoo.engine import noise as zoo_noise

SIDE = 64
LABELS = ("no person", "person")


def network(last_pool: Any = "average", size: int = SIDE, last: int = 48) -> Classifier:
    """The shape of EdgeML's network, at a size that learns in seconds."""
    torch.manual_seed(2)
    config = replace(VWW, height=size, width=size, last=last, nonlinearity="smooth", weighted=True)
    if last_pool == "rnnpool":
        config = replace(config, last_pool="rnnpool", last_hidden=last // 4)
    model = Classifier(config)
    with torch.no_grad():
        for cell in (model.pool.rnn1, model.pool.rnn2):
            cell.zeta.fill_(2.0)
            cell.nu.fill_(-3.0)
        for norm in model.modules():  # statistics such as training leaves
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.2)
                norm.running_var.uniform_(0.5, 2)
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_(0, 0.2)
    return model.eval()


def write(path: Path, model: Classifier, **wrapped: Any) -> Path:
    torch.save(wrapped or checkpoint(model), path)
    return path


def run(*arguments: object) -> None:
    import_edgeml.main([str(a) for a in arguments])


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("wrapper", ["", "weight", "model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers(wrapper: str, prefix: str, tmp_path: Path) -> None:
    model = network()
    named = {prefix + name: value for name, value in checkpoint(model).items()}
    torch.save({wrapper: named, "epoch": 3, "acc": 89.5} if wrapper else named, tmp_path / "theirs.pth")
    run(tmp_path / "theirs.pth", "-o", tmp_path / "net.pt", "--size", SIDE)
    found = load_classifier(tmp_path / "net.pt")
    assert found.config == replace(model.config, name="edgeml-vww")
    x = torch.randn(2, 3, SIDE, SIDE)
    torch.testing.assert_close(found(x), model(x), rtol=1e-4, atol=1e-4)


def test_last_rnnpool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = network("rnnpool", 224)
    path = write(tmp_path / "two.pth", model)
    run(path, "-o", tmp_path / "net.pt")
    x = torch.randn(1, 3, 224, 224)
    torch.testing.assert_close(load_classifier(tmp_path / "net.pt")(x), model(x), rtol=1e-4, atol=1e-4)
    assert "ends in an RNNPool of 7x7: --size must be 224, not 96" in refusal(
        capsys, path, "-o", tmp_path / "x.pt", "--size", 96
    )


def test_the_input_is_folded(tmp_path: Path) -> None:
    # The checkpoint's own first convolution on ImageNet's input, beside that of the result on pixel / 128 - 1. Only at
    # the top and left, which are padded with another level, they differ.
    theirs = checkpoint(network())
    run(write(tmp_path / "a.pth", network()), "-o", tmp_path / "net.pt", "--size", SIDE)
    model = load_classifier(tmp_path / "net.pt")
    pixels = torch.randint(0, 256, (1, 3, SIDE, SIDE)).float()
    x = (pixels / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    wanted = torch.nn.functional.conv2d(x, theirs["features_init.0.weight"], None, 2, 1)
    parts = [theirs[f"features_init.1.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
    wanted = torch.nn.functional.batch_norm(wanted, *parts).clamp(0, 6)
    own = model.stem(pixels / 128 - 1)
    torch.testing.assert_close(own[:, :, 1:, 1:], wanted[:, :, 1:, 1:], rtol=1e-4, atol=1e-4)
    assert float((own - wanted).abs().max()) > 0.01  # the padding


def test_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.pth", network())
    run(path, "-o", tmp_path / "net.pt", "--size", SIDE, "--labels", "away,here")
    assert load_classifier(tmp_path / "net.pt").config.labels == ("away", "here")
    said = refusal(capsys, path, "-o", tmp_path / "x.pt", "--labels", "a,b,c")
    assert "has 2 outputs, 3 labels are given" in said


Tensors = dict[str, Any]


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda t: {k: v for k, v in t.items() if k != name}


def with_tensor(name: str, value: Any) -> Callable[[Tensors], Tensors]:
    return lambda t: {**t, name: value}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("features.3.conv.0.0.weight"), "has no features.3.conv.0.0.weight"),
        (without("rnn_model.cell_rnn.cell.nu"), "has no rnn_model.cell_rnn.cell.nu"),
        (with_tensor("extra.weight", torch.zeros(2, 3)), "another network: there is no place for extra.weight 2x3"),
        (with_tensor("features_init.0.weight", torch.zeros(8, 1, 3, 3)), "features_init.0.weight is 8x1x3x3, 8x3x3x3"),
        (with_tensor("rnn_model.cell_rnn.cell.zeta", torch.zeros(())), "cell.zeta is one number, 1x1 is needed"),
        (with_tensor("rnn_model.cell_rnn.cell.W", torch.zeros(8, 8) / 0), "holds values that are not finite"),
        (with_tensor("rnn_model.cell_rnn.unrollRNN.RNNCell.U", torch.zeros(8, 8)), "RNNCell.U is not rnn_model.cell"),
        (with_tensor("rnn_model.cell_bidirrnn.cell_reverse.U", torch.zeros(8, 8)), "there is no place for rnn_model"),
        (without("features_init.0.weight"), "is none of EdgeML's"),
        (lambda t: {}, "holds no state dict"),
        (lambda t: [1, 2], "holds no state dict"),
        (lambda t: {"weight": {"a": 1}}, "holds no state dict"),
    ],
)  # fmt: skip
def test_refused(change: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(change(checkpoint(network())), tmp_path / "a.pth")
    said = refusal(capsys, tmp_path / "a.pth", "-o", tmp_path / "net.pt", "--size", SIDE)
    assert words in said and "Traceback" not in said
    assert not (tmp_path / "net.pt").exists()


class Foreign:
    """What only code could read."""


def test_no_code_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": checkpoint(network()), "options": Foreign()}, tmp_path / "a.pth")
    assert "weights alone" in refusal(capsys, tmp_path / "a.pth", "-o", tmp_path / "net.pt")
    (tmp_path / "b.pth").write_bytes(b"no checkpoint")
    assert "weights alone" in refusal(capsys, tmp_path / "b.pth", "-o", tmp_path / "net.pt")


def test_what_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.pth", network())
    assert "must end in .pt (a float checkpoint) or .rnnp" in refusal(capsys, path, "-o", tmp_path / "net.bin")
    assert "--data FOLDER" in refusal(capsys, path, "-o", tmp_path / "net.rnnp")
    assert "one checkpoint a call, 2 are given" in refusal(capsys, path, path, "-o", tmp_path / "net.pt")
    assert "multiples of 32" in refusal(capsys, path, "-o", tmp_path / "net.pt", "--size", 100)
    assert COMMANDS["import-edgeml"].where == "rnnpool_training.import_edgeml"


# ---- accuracy: float against engine ----


def picture(chance: np.random.Generator, label: int) -> Any:
    """Noise, with a bright red disc or without."""
    pixels = chance.normal(90, 30, (SIDE, SIDE, 3))
    y, x = np.mgrid[:SIDE, :SIDE]
    radius = chance.uniform(8, 20)
    cy, cx = chance.uniform(radius, SIDE - radius, 2)
    level = (240, 60, 60) if label else tuple(chance.uniform(60, 160, 3))
    pixels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] += np.array(level) - 90
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint in EdgeML's format that has learned something, and 200 pictures to measure it on."""
    folder = tmp_path_factory.mktemp("trained")
    chance = np.random.default_rng(7)
    for i in range(200):
        path = folder / "pictures" / LABELS[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(chance, i % 2)).save(path)
    torch.set_num_threads(1)
    torch.manual_seed(4)
    model = Classifier(network().config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        labels = torch.arange(16) % 2
        x = torch.from_numpy(np.stack([picture(chance, int(v)) for v in labels])).permute(0, 3, 1, 2)
        loss = torch.nn.functional.cross_entropy(model(x / 128 - 1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pixels = [np.stack([picture(chance, i % 2) for i in range(16)]) for _ in range(3)]
    renew_statistics(model, [torch.from_numpy(p).permute(0, 3, 1, 2) / 128 - 1 for p in pixels])
    torch.save({"model": {f"module.{k}": v for k, v in checkpoint(model).items()}, "acc": 99.0}, folder / "theirs.pth")
    return folder / "theirs.pth", folder / "pictures"


def accuracy(capsys: pytest.CaptureFixture[str], model: Path, data: Path, backend: str) -> float:
    capsys.readouterr()
    evaluate.main(["--model", str(model), "--data", str(data), "--backend", backend, "--json"])
    return float(json.loads(capsys.readouterr().out.splitlines()[-1])["accuracy"])


def test_float_and_engine(trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, data = trained
    run(theirs, "-o", tmp_path / "net.pt", "--size", SIDE)
    run(theirs, "-o", tmp_path / "net.rnnp", "--size", SIDE, "--data", data, "--pictures", 64)
    said = capsys.readouterr().out
    assert "engine          equals the integer reference" in said
    floats = accuracy(capsys, tmp_path / "net.pt", data, "float")
    engine = accuracy(capsys, tmp_path / "net.rnnp", data, "engine")
    assert floats > 0.85
    assert abs(floats - engine) <= 0.005 + 1e-9  # one of the 200 pictures


@pytest.mark.skipif("PERSONS" not in os.environ, reason="no PERSONS: a folder with train and val, labels.jsonl in each")
def test_float_and_engine_on_persons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The shipped person model's weights in smooth cells, statistics of 256 training pictures, under EdgeML's names.
    folder = Path(os.environ["PERSONS"])
    shipped = load_classifier(Path(__file__).parents[2] / "models" / "person.pt")
    model = Classifier(replace(shipped.config, nonlinearity="smooth", weighted=True))
    with torch.no_grad():
        own = model.state_dict()
        for name, value in shipped.state_dict().items():
            own[name].copy_(value)
        for cell in (model.pool.rnn1, model.pool.rnn2):
            cell.zeta.fill_(13.0)
            cell.nu.fill_(-13.0)
            for value in (cell.W, cell.U, cell.bias_gate, cell.bias_update):
                value.mul_(2)  # the slope of the logistic function is half of the hard gate's
    pictures = load_labelled(folder / "train", 3, 256)
    pixels = [np.stack([frame(p.pixels, 224, 224) for p in pictures[i : i + 8]]) for i in range(0, 256, 8)]
    renew_statistics(model, (torch.from_numpy(p).permute(0, 3, 1, 2) / 128 - 1 for p in pixels))
    theirs = write(tmp_path / "theirs.pth", model)
    run(theirs, "-o", tmp_path / "net.pt")
    run(theirs, "-o", tmp_path / "net.rnnp", "--data", folder / "train" / "images")
    floats = accuracy(capsys, tmp_path / "net.pt", folder / "val", "float")
    engine = accuracy(capsys, tmp_path / "net.rnnp", folder / "val", "engine")
    with capsys.disabled():
        print(f"\npersons/val: float {floats:.4f}, engine {engine:.4f}")
    assert floats > 0.6
    assert abs(floats - engine) <= 0.005


# ---- C headers ----


def header(path: Path, cell: Any, number: int, kind: str = "static float", **changes: str) -> Path:
    """A cell as c_reference's tests have it."""
    arrays = {"W": cell.W.t(), "U": cell.U.t(), "Bg": cell.bias_gate, "Bh": cell.bias_update}
    lines = ["// A comment, with W1[8] = { in it", f"#define HIDDEN_DIMS{number} {cell.hidden}"]
    for name, value in arrays.items():
        text = ",".join(f"{v:.12e}" for v in value.detach().reshape(-1).tolist())
        lines.append(f"{kind} {name}{number}[N * HIDDEN_DIMS{number}] = {{ {changes.get(name, text)} }};")
    for name, value in (("zeta", cell.zeta), ("nu", cell.nu)):
        text = changes.get(name, f"{torch.sigmoid(value.detach().double()).item():.12e}")
        lines.append(f"static float sigmoid_{name}{number} = {text};")
    path.write_text("\n".join(lines) + "\n")
    return path


def pool() -> RNNPool2d:
    torch.manual_seed(5)
    made = RNNPool2d(3, 4, 8, 6, 4, nonlinearity="smooth", replicate=True)
    with torch.no_grad():
        made.rnn1.nu.fill_(-2.0)
        made.rnn2.zeta.fill_(1.0)
    return made


def test_headers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = pool()
    given = [header(tmp_path / f"rnn{i}.h", cell, i) for i, cell in ((1, wanted.rnn1), (2, wanted.rnn2))]
    run(*given, "-o", tmp_path / "pool.pt", "--patch", 6)
    assert 'RNNPool2d(3, 4, 8, 6, 4, nonlinearity="smooth", replicate=True)' in capsys.readouterr().out
    found = RNNPool2d(3, 4, 8, 6, 4, nonlinearity="smooth", replicate=True)
    found.load_state_dict(torch.load(tmp_path / "pool.pt", weights_only=True))
    x = torch.randn(1, 3, 18, 22)
    torch.testing.assert_close(found(x), wanted(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", ["0", "1.0f", "1.968302512977970764e-06"])
def test_numbers_behind_a_sigmoid(value: str, tmp_path: Path) -> None:
    found = headers.cell(header(tmp_path / "rnn1.h", pool().rnn1, 1, nu=value), 1)
    wanted = float(value.rstrip("f"))
    assert torch.sigmoid(found["nu"].double()).item() == pytest.approx(wanted, rel=1e-6, abs=1e-30)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "static const Q15_T"}, "W1 is of Q15_T: its scale depends on the map"),
        ({"W": "1, 2, x"}, "W1 holds something else than numbers"),
        ({"W": "1, 2, 3"}, "W1 has 3 values, Bg1 says 4"),
        ({"U": "1, 2, 3"}, "U1 has 3 values, Bg1 says 4"),
        ({"U": ",".join(["nan"] * 16)}, "U1 holds a value that is not finite"),
        ({"zeta": "1.5"}, "sigmoid_zeta1 must be 0 to 1, is 1.5"),
    ],
)
def test_headers_refused(
    changes: dict[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = header(tmp_path / "rnn1.h", pool().rnn1, 1, **changes), header(tmp_path / "rnn2.h", pool().rnn2, 2)
    assert words in refusal(capsys, *given, "-o", tmp_path / "pool.pt", "--patch", 6)


def test_headers_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = header(tmp_path / "rnn1.h", pool().rnn1, 1), header(tmp_path / "rnn2.h", pool().rnn2, 2)
    assert "rnn2.h has no W1, but W2" in refusal(capsys, two, one, "-o", tmp_path / "p.pt", "--patch", 6)
    wide = header(tmp_path / "wide.h", RNNPool2d(3, 5, 8, 6, nonlinearity="smooth").rnn2, 2)
    assert "W2 reads 5 values, RNN1 of" in refusal(capsys, one, wide, "-o", tmp_path / "p.pt", "--patch", 6)
    assert "two headers, rnn1.h and rnn2.h, 1 are given" in refusal(capsys, one, "-o", tmp_path / "p.pt")
    assert "give --patch" in refusal(capsys, one, two, "-o", tmp_path / "p.pt")


@pytest.mark.skipif("EDGEML" not in os.environ, reason="no EDGEML: a checkout of the paper's own code")
def test_the_authors_own_trace() -> None:
    folder = Path(os.environ["EDGEML"]) / "c_reference" / "tests" / "rnnpool"
    made = headers.pool(folder / "vww_model" / "rnn1.h", folder / "vww_model" / "rnn2.h", 6, 4)

    def values(name: str) -> Any:
        text = (folder / "traces" / f"trace_0_0_{name}.h").read_text()
        return torch.tensor([float(v) for v in text.partition("{")[2].partition("}")[0].split(",") if v.strip()])

    x = values("input").reshape(1, 6, 6, 8).permute(0, 3, 1, 2)
    with torch.no_grad():
        # One patch; the row and the column that it replicates are the same once more.
        torch.testing.assert_close(made.forward_by_patch(x)[0, :, 0, 0], values("output"), rtol=0, atol=1e-6)


# ---- Face_Detection ----


def face_names(module: Any) -> dict[str, Any]:
    """A face detector of the zoo as EdgeML's code would have written it."""
    result: dict[str, Any] = {}
    pool = next(i for i, part in enumerate(module.parts) if isinstance(part, RNNPool2d))
    front = "conv" if pool and len(module.parts[0]) == 3 else "conv_top"  # a convolution, or two of them
    counts = [0]
    for part in list(module.parts)[pool + 1 :]:
        counts.append(counts[-1] + len(part))
    behind = hasattr(module.heads[0].reduce_scores, "0")  # a reduction is number 0, its convolution number 1
    for name, value in module.state_dict().items():
        parts = name.split(".")
        if parts[0] == "parts" and int(parts[1]) < pool:
            result[f"{front}." + ".".join(parts[2:])] = value
        elif parts[0] == "parts" and int(parts[1]) == pool:
            cell = "cell_rnn" if parts[2] == "rnn1" else "cell_bidirrnn"
            shaped = value if value.dim() == 2 else value.reshape(1, -1)
            result[f"rnn_model.{cell}.cell.{parts[3]}"] = shaped
            result[f"rnn_model.{cell}.unrollRNN.RNNCell.{parts[3]}"] = shaped
        elif parts[0] == "parts":
            result[f"mob.{counts[int(parts[1]) - pool - 1] + int(parts[2])}." + ".".join(parts[3:])] = value
        elif parts[2] == "norm":
            result[f"L2Norm{int(parts[1]) + 3}_3.weight"] = value
        else:
            number = int(parts[1]) + (behind and parts[2] in ("scores", "deltas"))
            kind = "conf" if parts[2].endswith("scores") else "loc"
            result[".".join([kind, str(number), *parts[3:]])] = value
    return result


AUTHORS = {"face-c": {"authors": True}, "face-quant": {"authors": True}}
FACES = ("face-m4", "face-qvga", "face-quant", "face-c")


def face_network(name: str) -> Any:
    torch.manual_seed(6)
    module = saved.weigh(zoo.build(name, nonlinearity="smooth", **AUTHORS.get(name, {})))
    with torch.no_grad():
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.2)
                norm.running_var.uniform_(0.5, 2)
    return module.eval()


@pytest.mark.parametrize("name", FACES)
def test_face_networks(name: str, tmp_path: Path) -> None:
    module = face_network(name)
    torch.save({"weight": {f"module.{k}": v for k, v in face_names(module).items()}, "epoch": 9}, tmp_path / "f.pth")
    run(tmp_path / "f.pth", "-o", tmp_path / "net.pt")
    found = saved.load(tmp_path / "net.pt")
    assert found.network == name
    # Pixels less the mean colour, or less its gray; no factor.
    mean = (123, 117, 104) if name in AUTHORS else (117.312,)
    assert [255 * v for v in found.normalization.mean] == pytest.approx(mean)
    assert [255 * v for v in found.normalization.std] == pytest.approx([1] * len(mean))
    x = torch.randn(1, len(mean), 128, 128) * 60
    for one, two in zip(found.module(x), module(x), strict=True):
        torch.testing.assert_close(one, two)


def test_face_network_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(face_names(face_network("face-m4")), tmp_path / "f.pth")
    run(tmp_path / "f.pth", "-o", tmp_path / "net.pt")
    (tmp_path / "data").mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 80), np.uint8)).save(tmp_path / "data" / "a.png")
    (tmp_path / "data" / "labels.jsonl").write_text('{"file": "a.png", "boxes": [[9, 9, 20, 20]]}\n')
    capsys.readouterr()
    evaluate.main(
        ["--model", str(tmp_path / "net.pt"), "--data", str(tmp_path / "data"), "--backend", "float", "--json"]
    )
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["boxes"] == 1
    detect = saved.detector(saved.load(tmp_path / "net.pt"))
    found = detect(np.random.default_rng(1).integers(0, 255, (60, 80)).astype(np.uint8))
    assert len(found) and (found[:, 4] >= saved.LOWEST_SCORE).all() and (np.diff(found[:, 4]) <= 0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("loc.2.bias"), "has no loc.2.bias"),
        (
            without("mob.3.conv.0.0.weight"),
            "with a conv.0.weight, has 3 inverted residuals, 4 (face-m4) or 14 (face-qvga) are needed",
        ),
        (
            without("conv.0.weight"),
            "without conv.0.weight and conv_top.0.0.weight, has 4 inverted residuals, 15 (face-c) are needed",
        ),
        (with_tensor("conf.0.weight", torch.zeros(2, 32, 3, 3)), "conf.0.weight is 2x32x3x3, 4x32x3x3 is needed"),
        (with_tensor("conf.4.weight", torch.zeros(2)), "there is no place for conf.4.weight 2"),
    ],
)
def test_face_networks_refused(change: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = face_names(face_network("face-m4"))
    torch.save(change(names), tmp_path / "f.pth")
    assert words in refusal(capsys, tmp_path / "f.pth", "-o", tmp_path / "net.pt")


def test_face_networks_in_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint whose heads read maps through L2 normalizations, as a blob: its values are the network's."""
    module = face_network("face-m4")
    pixels = [zoo_noise(1, (240, 320, 1), i)[0, :, :, 0] for i in range(12)]
    inputs = [(torch.from_numpy(p).float()[None, None] - 117.312) for p in pixels]
    renew_statistics(module, [torch.cat(inputs[:6])])
    (tmp_path / "data").mkdir()
    for i, p in enumerate(pixels):
        Image.fromarray(p).save(tmp_path / "data" / f"{i}.png")
    torch.save({"weight": face_names(module), "epoch": 1}, tmp_path / "f.pth")
    assert "--data FOLDER" in refusal(capsys, tmp_path / "f.pth", "-o", tmp_path / "net.rnnp")
    run(tmp_path / "f.pth", "-o", tmp_path / "net.rnnp", "--data", tmp_path / "data", "--pictures", 6)
    said = capsys.readouterr().out
    assert "engine          equals the integer reference" in said
    # Random weights: boxes by the hundred, whose scores are all near the threshold.
    same, wanted = re.search(r"same boxes +(\d+) of the (\d+) of the network", said).groups()
    mean, largest = re.search(r"apart, (\S+) on average, (\S+) the largest", said).groups()
    assert int(same) > 0.7 * int(wanted) > 70 and float(mean) < 0.03 * float(largest), said
    model = blob.load(tmp_path / "net.rnnp")
    assert [op.kind for op in model.ops].count(blob.Kind.L2_NORM) == 3
    assert model.name == "face-m4" and model.iou == round(0.3 * 32768)
