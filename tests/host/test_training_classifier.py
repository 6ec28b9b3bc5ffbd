"""Classifiers: network, views and labels, quantization and export against the integer reference."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

torch = pytest.importorskip("torch")
from rounded import agree  # noqa: E402

torch.set_num_threads(1)  # small networks: threads only wait for each other

from rnnpool_training import blob, classifier_views, deploy, export, files, layers, reference  # noqa: E402
from rnnpool_training.classification_metrics import area_under_curve, calibration_error, summary  # noqa: E402
from rnnpool_training.classifier import (  # noqa: E402
    CLASSIFIERS,
    VWW,
    Classifier,
    Supervised,
    configure,
    load_classifier,
    save_classifier,
    warm_start,
)
from rnnpool_training.classifier_views import ClassifierViews, dense_targets, presence  # noqa: E402
from rnnpool_training.compile import network as compile_network  # noqa: E402
from rnnpool_training.compile.calibrate import calibrate  # noqa: E402
from rnnpool_training.compile.network import Exported  # noqa: E402
from rnnpool_training.compile.rounding import Rounded  # noqa: E402
from rnnpool_training.engine import Engine  # noqa: E402
from rnnpool_training.errors import InputError  # noqa: E402
from rnnpool_training.network import BlockConfig  # noqa: E402
from rnnpool_training.normalization import renew_statistics  # noqa: E402
from rnnpool_training.pictures import Picture, frame, load_folders, load_labelled, load_sets  # noqa: E402

SMALL = replace(
    VWW, name="small", labels=("a", "b", "c"), height=96, width=64, last=24, last_hidden=8,
    blocks=(BlockConfig(24, 16, 2), BlockConfig(32, 16, 1), BlockConfig(24, 24, 2)),
)  # fmt: skip


def inputs(count: int, channels: int = 3, height: int = 96, width: int = 64) -> Any:
    coarse = torch.rand(count, channels, height // 8, width // 8)
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    return ((smooth + 0.1 * torch.randn_like(smooth)).clamp(0, 0.999) * 256).floor() / 128 - 1


def lively(last_pool: str, channels: int) -> Classifier:
    """A network with lively statistics."""
    torch.manual_seed(5)
    model = Classifier(replace(SMALL, last_pool=last_pool, channels=channels))  # type: ignore[arg-type]
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.uniform_(-0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
    for _ in range(20):
        model(inputs(8, channels))
    model.eval()
    with torch.no_grad():  # logits that differ, or the tests would say nothing
        logits = model(inputs(16, channels))
        model.dense.weight.div_(logits.std(dim=0)[:, None])
        model.dense.bias.copy_(-(logits / logits.std(dim=0)).mean(dim=0))
    return model


def pixels_of(x: Any) -> NDArray[np.uint8]:
    return ((x.permute(0, 2, 3, 1).numpy() + 1) * 128).round().astype(np.uint8)


def exported(last_pool: str, channels: int, name: str = "", threshold: float = 0.5) -> tuple[Classifier, Exported]:
    model = lively(last_pool, channels)
    chosen, held = pixels_of(inputs(32, channels)), pixels_of(inputs(6, channels))
    return model, compile_network.export(deploy.network_of(model, name), chosen, held, threshold=threshold)


def test_the_network_of_the_paper() -> None:
    """Appendix F: 224x224x3 to 28x28x32, widths of 0.35, 255 K parameters (the paper's last width is not given)."""
    model = Classifier(VWW)
    sizes = [(b.out, b.stride, b.expanded) for b in VWW.blocks]
    assert [s[0] for s in sizes] == [24] * 4 + [32] * 3 + [56] * 3 + [112]
    assert [i for i, s in enumerate(sizes) if s[1] == 2] == [0, 7]
    assert all(b.expanded == 6 * a for a, b in zip([32, *(s[0] for s in sizes)], VWW.blocks, strict=False))
    assert model.pool(model.stem(inputs(1, 3, 224, 224))).shape == (1, 32, 28, 28)
    middle, last = model.maps(inputs(1, 3, 224, 224))
    assert middle.shape == (1, 32, 14, 14) and last.shape == (1, 112, 7, 7)
    assert abs(sum(p.numel() for p in model.parameters()) - 255_000) < 0.06 * 255_000


@pytest.mark.parametrize("size", [96, 128, 160, 192, 224])
@pytest.mark.parametrize("last_pool", ["average", "rnnpool"])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("network", CLASSIFIERS)
def test_options(size: int, last_pool: str, gray: bool, network: str) -> None:
    config = configure(size, gray, last_pool=last_pool, network=network)  # type: ignore[arg-type]
    logits, heads, inner = Supervised(Classifier(config), 0.1)(inputs(2, config.channels, size, size))
    assert inner is None
    assert logits.shape == (2, 2)
    assert [h.shape for h in heads] == [(2, 5, size // 16, size // 16), (2, 5, size // 32, size // 32)]


def test_bad_configurations() -> None:
    for change in ({"height": 100}, {"width": 32}, {"channels": 2}, {"labels": ("one",)}):
        with pytest.raises(ValueError, match=next(iter(change))):
            replace(VWW, **change)


@pytest.mark.parametrize(("last_pool", "channels"), [("average", 3), ("rnnpool", 1)])
def test_rounding_agrees_with_the_integer_reference(last_pool: str, channels: int) -> None:
    """Each operator on the reference's own input: nearly all outputs equal, the rest one step apart."""
    model = lively(last_pool, channels)
    network = deploy.network_of(model)
    prepared = compile_network.prepare(network, pixels_of(inputs(2, channels)))
    chosen = calibrate(prepared.graph, compile_network.batches(pixels_of(inputs(32, channels))))
    found = agree(Rounded(prepared.graph, chosen), prepared.result, pixels_of(inputs(1, channels))[0])
    assert [kind.name for kind, _ in found][:2] == ["CONV", "RNNPOOL"] and len(found) == 8
    for kind, equal in found:  # logits have steps as fine as the arithmetic of floats
        assert equal >= (0.6 if kind.name == "DENSE" else 0.95 if kind.name == "RNNPOOL" else 0.99), (kind, equal)


@pytest.mark.parametrize("last_pool", ["average", "rnnpool"])
@pytest.mark.parametrize("channels", [3, 1])
def test_export_equals_the_reference_in_the_engine(last_pool: str, channels: int) -> None:
    """All options of the network, bit for bit: every row of every operator, and the probabilities."""
    made = exported(last_pool, channels)[1]
    model = made.model
    kinds = [op.kind for op in model.ops]
    assert kinds.count(blob.Kind.RNNPOOL) == (2 if last_pool == "rnnpool" else 1) and model.channels == channels
    assert model.labels == ["a", "b", "c"] and model.shapes()[-1] == (1, 1, 3)
    if last_pool == "average":  # a random RNN at the end amplifies everything
        assert made.check.mean < 0.4 and made.check.largest > 0.5
    engine = Engine(made.data)
    for pixels in pixels_of(inputs(3, channels)):
        run = engine.run(pixels[:, :, 0] if channels == 1 else pixels, taps=True)
        outputs = reference.run_input(model, pixels)
        for mine, right in zip(run.outputs(), outputs, strict=True):
            np.testing.assert_array_equal(mine, right)
        assert run.probabilities() == reference.classify_outputs(model, outputs)
    # And each operator by itself, as scripts have them.
    maps = [pixels, *outputs]
    for index, right in enumerate(outputs):
        one = Engine(blob.write(layers.layer(model, index)))
        np.testing.assert_array_equal(one.layer(maps[index].view(np.uint8)), right)


def test_blob_round_trip() -> None:
    data = exported("average", 3, "named", 0.25)[1].data
    again = blob.read(data)
    assert blob.write(again) == data and again.name == "named" and again.threshold == 8192
    assert reference.golden_check(again)


def test_checkpoints(tmp_path: Path) -> None:
    model = lively("average", 3)
    save_classifier(tmp_path / "f.pt", model)
    x = inputs(2)
    with torch.no_grad():
        assert torch.equal(load_classifier(tmp_path / "f.pt")(x), model(x))
    with pytest.raises(ValueError, match="is a float classifier, not a quantized"):
        deploy.load_quantized(tmp_path / "f.pt")


def test_export_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes each time, at another size than trained, and refused where that can't be."""
    (tmp_path / "images").mkdir()
    random = np.random.default_rng(1)
    lines = []
    for i in range(12):
        Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(tmp_path / f"images/{i}.png")
        lines.append(json.dumps({"file": f"images/{i}.png", "boxes": [], "label": i % 2}))
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    save_classifier(tmp_path / "f.pt", lively("average", 3))
    save_classifier(tmp_path / "r.pt", lively("rnnpool", 3))
    blobs = []
    for out in ("1.rnnp", "2.rnnp"):
        export.main([str(tmp_path / "f.pt"), "--data", str(tmp_path), "-o", str(tmp_path / out),
                                "--size", "128x128", "--name", "own", "--threshold", "0.25"])  # fmt: skip
        blobs.append((tmp_path / out).read_bytes())
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    model = blob.read(blobs[0])
    assert blobs[0] == blobs[1] and said["bytes"] == len(blobs[0])
    assert model.input_shape == (128, 128, 3) and model.name == "own" and model.threshold == 8192
    with pytest.raises(SystemExit) as stop:
        export.main([str(tmp_path / "r.pt"), "--data", str(tmp_path), "-o", str(tmp_path / "3.rnnp"),
                                "--size", "128x128"])  # fmt: skip
    assert stop.value.code == 2 and "maps of one size" in capsys.readouterr().err


def test_statistics_are_those_of_the_pictures() -> None:
    """Each normalization then gives its own mean and variance on these pictures."""
    model = lively("average", 3)
    random = np.random.default_rng(2)
    pictures = [Picture("", random.integers(0, 256, (96, 64, 3), dtype=np.uint8), 0) for _ in range(16)]
    renew_statistics(model, deploy.normalized(deploy.shown(pictures, (96, 64), 16, 1)))
    seen = []
    model.stem.norm.register_forward_hook(lambda norm, _, out: seen.append((norm, out)))
    for x in deploy.normalized(deploy.shown(pictures, (96, 64), 16, 1)):
        with torch.no_grad():
            model(x)
    norm, out = seen[0][0], torch.cat([out for _, out in seen])
    assert not model.training and norm.momentum == 0.1
    assert torch.allclose(out.mean(dim=(0, 2, 3)), norm.bias, atol=1e-3)
    assert torch.allclose(out.std(dim=(0, 2, 3)), norm.weight, rtol=0.01)


def test_presence_by_the_rule() -> None:
    """0.5 % of the window, by its box; doubtful where little of a person is seen."""
    person = np.array([[40, 10, 20, 50]], np.float32)
    assert presence(person, (0, 0, 100, 100)) == 1
    assert presence(person, (70, 0, 30, 100)) == 0
    assert presence(person, (58, 0, 42, 100)) is None  # a tenth of the box, 2.4 % of the window
    assert presence(np.array([[0, 0, 8, 6]], np.float32), (0, 0, 100, 100)) is None  # 0.48 %
    assert presence(np.array([[0, 0, 5, 4]], np.float32), (0, 0, 100, 100)) == 0
    assert presence(np.zeros((0, 4), np.float32), (0, 0, 100, 100)) == 0


def test_dense_targets() -> None:
    boxes = np.array([[0, 0, 64, 64], [16, 16, 24, 16]], np.float32)
    cover, sides = dense_targets(boxes, 96, 128)
    assert cover.shape == (6, 8) and cover[:4, :4].min() == 1 and cover[4:].max() == 0 and cover[:, 4:].max() == 0
    assert np.allclose(sides[:, 0, 0] * [128, 96, 128, 96], [8, 8, 56, 56])
    assert np.allclose(sides[:, 1, 1] * [128, 96, 128, 96], [8, 8, 16, 8])  # the smaller box
    assert dense_targets(np.zeros((0, 4), np.float32), 64, 64)[0].max() == 0


def test_views_keep_what_the_boxes_say() -> None:
    """A bright object on a dark ground: label and cover of each view agree with what can be seen."""
    pictures = []
    for i in range(8):
        pixels = np.zeros((120, 160, 3), np.uint8)
        box = (10 + 10 * i, 20, 40, 60)
        if i % 2:
            pixels[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = 255
        boxes = np.array([box] if i % 2 else np.zeros((0, 4)), np.float32).reshape(-1, 4)
        pictures.append(Picture(str(i), pixels, i % 2, boxes, True))
    views = ClassifierViews(pictures, 3, 3)
    views._light = np.asarray  # type: ignore[assignment]
    views._erase = lambda out: None  # type: ignore[method-assign]
    seen = set()
    for _ in range(200):
        pixels, label, weight, cover, _, known, _, _ = views.view(96, 96)
        bright = (pixels[:, :, 0] > 128) & (pixels[:, :, 0] != 128)
        part = bright.reshape(6, 16, 6, 16).mean((1, 3))
        assert np.abs(part - cover).mean() < 0.03 and known.min() == 1 and weight == 1
        assert label == (bright.mean() > 0.003)
        seen.add(label)
    assert seen == {0.0, 1.0}


def test_views_come_several_times() -> None:
    pictures = [Picture(str(i), np.full((40, 40, 3), i, np.uint8), 0) for i in range(200)]
    views = ClassifierViews(pictures, 3, 3, whole=1.0, light=False, plain=1.0, replay=4)
    made: list[int] = []
    view = views.view
    views.view = lambda *size: made.append(size[0]) or view(*size)  # type: ignore[assignment,func-returns-value]
    parts = [views.batch(8, 64, 64) for _ in range(40)]
    assert len(made) == 8 + 39 * 2 and all(part.pixels.shape == (8, 3, 64, 64) for part in parts)
    levels = np.concatenate([part.pixels[:, 0, 0, 0].numpy() for part in parts]) * 128 + 128
    assert len(np.unique(levels)) == len(made)  # 86 pictures in 320 views: each nearly four times
    for part in parts:
        assert len(torch.unique(part.pixels[:, 0, 0, 0])) == 8  # never twice in a batch
    views.batch(8, 96, 96)
    assert len(made) == 8 + 39 * 2 + 8  # another size has views of its own


def test_views_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier_views, "POOL", 16)
    pictures = [Picture(str(i), np.full((40, 40, 3), i, np.uint8), 0) for i in range(200)]
    views = ClassifierViews(pictures, 3, 3, replay=2)
    for _ in range(20):
        views.batch(8, 64, 64)
    assert len(views.pools[64, 64]) == 16


def test_gray_views() -> None:
    random = np.random.default_rng(1)
    pictures = [Picture(str(i), random.integers(0, 256, (40, 40, 3), np.uint8), 0) for i in range(40)]
    views = ClassifierViews(pictures, 3, 3, plain=1.0, gray=0.5)
    gray = sum(bool(np.ptp(views.view(64, 64).pixels, axis=2).max() == 0) for _ in range(40))
    assert 10 < gray < 30


def test_a_frozen_beginning_stays() -> None:
    torch.manual_seed(3)
    model = Supervised(Classifier(configure(64)), 0.0, frozen=True)
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    logits = model.train()(inputs(4, 3, 64, 64))[0]
    logits.square().sum().backward()
    optimizer.step()
    for name, value in model.model.state_dict().items():
        frozen = name.startswith(("stem.", "pool."))
        if frozen or name in ("blocks.0.expand.conv.weight", "blocks.0.expand.norm.running_mean", "dense.bias"):
            assert torch.equal(value, before[name]) == frozen, name


def test_metrics() -> None:
    scores, truth = np.array([0.9, 0.8, 0.8, 0.1]), np.array([1, 1, 0, 0])
    assert area_under_curve(scores, truth) == pytest.approx(0.875)
    assert np.isnan(area_under_curve(scores, np.ones(4, np.int64)))
    assert summary(np.stack([1 - scores, scores], 1), truth) == {"images": 4, "accuracy": 0.75, "auc": 0.875}


def test_calibration_error_by_hand() -> None:
    scores = np.array([0.95, 1.0, 0.92, 0.99, 0.22, 0.28])
    right = np.array([True, True, False, True, False, False])
    # Four scores of 0.965 on average, three of them right; two of 0.25, none right.
    assert calibration_error(scores, right) == pytest.approx((4 * 0.215 + 2 * 0.25) / 6)
    assert np.isnan(calibration_error(scores[:0], right[:0]))


def test_load_labelled(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 24), (200, 10, 10)).save(tmp_path / "images/a.png")
    line = {"file": "images/a.png", "boxes": [[1, 2, 3, 4]], "label": 1, "complete": False}
    (tmp_path / "labels.jsonl").write_text(json.dumps(line) + "\n")
    (picture,) = load_labelled(tmp_path, 3)
    assert picture.pixels.shape == (24, 32, 3) and picture.label == 1 and not picture.complete
    assert load_labelled(tmp_path, 1)[0].pixels[0, 0, 0] == (77 * 200 + 150 * 10 + 29 * 10 + 128) >> 8
    shown = frame(picture.pixels, 64, 64)
    assert shown.shape == (64, 64, 3) and shown[0, 0, 0] == 200 and shown[63, 0, 0] == 128
    del line["label"]
    (tmp_path / "labels.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match=r"images/a\.png has no label"):
        load_labelled(tmp_path, 3)


def test_sets_of_class_folders(tmp_path: Path) -> None:
    for name, classes in (("a", ("cat", "dog")), ("b", ("cat", "dog")), ("c", ("cat", "horse"))):
        for label, one in enumerate(classes):
            (tmp_path / name / one).mkdir(parents=True)
            Image.new("RGB", (40, 30), (200 * label, 10, 10)).save(tmp_path / name / one / "x.png")
    labels, sets = load_sets([tmp_path / "a", tmp_path / "b"], 3)
    assert labels == ["cat", "dog"]
    assert [[(p.label, int(p.pixels[0, 0, 0])) for p in pictures] for pictures in sets] == [[(0, 0), (1, 200)]] * 2
    with pytest.raises(InputError, match=r"c has the classes \['cat', 'horse'\]"):
        load_sets([tmp_path / "a", tmp_path / "c"], 3)
    (tmp_path / "d" / "images").mkdir(parents=True)
    Image.new("RGB", (32, 24)).save(tmp_path / "d/images/a.png")
    (tmp_path / "d" / "labels.jsonl").write_text(json.dumps({"file": "images/a.png", "label": 1, "boxes": []}) + "\n")
    labels, sets = load_sets([tmp_path / "d"], 3)
    assert labels is None and [p.label for p in sets[0]] == [1]
    with pytest.raises(InputError, match=r"can't be known"):
        load_sets([tmp_path / "d", tmp_path / "a"], 3)
    with pytest.raises(OSError, match=r"nothing"):
        load_sets([tmp_path / "nothing"], 3)


def write_folders(folder: Path, count: int, seed: int) -> None:
    """Pictures of two kinds, a disc and bars, on a noisy ground."""
    random = np.random.default_rng(seed)
    for label in ("bars", "disc"):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 120, (48, 64, 3), dtype=np.uint8)
            y, x = np.mgrid[:48, :64]
            cy, cx = random.integers(14, 34), random.integers(14, 50)
            inside = (y - cy) ** 2 + (x - cx) ** 2 < 144
            pixels[inside if label == "disc" else inside & ((x + cx) % 6 < 3)] = random.integers(150, 256, 3)
            Image.fromarray(pixels).save(folder / label / f"{i}.png")


def test_one_command_for_own_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders of pictures to a blob that tells them apart, in the engine as in floats."""
    from rnnpool_training import classify

    write_folders(tmp_path / "shapes", 40, 1)
    out = tmp_path / "shapes.rnnp"
    classify.main([str(tmp_path / "shapes"), "-o", str(out), "--size", "64", "--steps", "80", "--init", "none",
                   "--threads", "1"])  # fmt: skip
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    model = blob.load(out)
    assert model.labels == result["labels"] == ["bars", "disc"] and model.name == "shapes"
    assert result["bytes"] == out.stat().st_size and result["trained on"] == 64
    assert result["float"]["images"] == 16 and result["float"]["balanced accuracy"] >= 0.8
    assert result["engine"]["accuracy"] >= result["float"]["accuracy"] - 0.1
    assert result["engine"]["equals the reference"] and result["chosen"] == "all layers"
    assert any(op.materialize for op in model.ops) and 0 < result["arena"] < 64 * 64 * 4
    assert reference.golden_check(model)


def test_loose_pictures_and_runs_are_no_classes(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    write_folders(folder, 3, 1)
    (folder / "loose.png").write_bytes((folder / "bars" / "0.png").read_bytes())
    (folder / "notes.txt").write_text("")
    (folder / "mine.run").mkdir()
    (folder / "mine.run" / files.LOCK).write_text("")
    (folder / "mine.run" / "confusion.png").write_bytes((folder / "bars" / "0.png").read_bytes())
    found = load_folders(folder, 3)
    assert found.labels == ["bars", "disc"] and len(found.pictures) == 6
    assert found.skipped == [("loose.png", "in no class's folder"), ("mine.run", "the report of a run, no class")]
    with pytest.raises(InputError, match=rf"has none; it holds 3 pictures itself: is {folder} meant\?$"):
        load_folders(folder / "bars", 3)


@pytest.mark.parametrize("case", ["nothing", "one class", "empty class", "single", "broken", "split"])
def test_folders_that_cannot_be_used(tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rnnpool_training import classify

    if case != "nothing":
        write_folders(tmp_path / "x", 2, 1)
    if case == "one class":
        (tmp_path / "x/bars").rename(tmp_path / "bars")
    if case in ("empty class", "single"):
        for i in range(0 if case == "empty class" else 1, 2):
            (tmp_path / f"x/bars/{i}.png").unlink()
    if case == "broken":
        for i in range(2):
            (tmp_path / f"x/bars/{i}.png").write_bytes(b"no picture")
    if case == "split":
        (tmp_path / "x/bars").rename(tmp_path / "x/train")
        (tmp_path / "x/disc").rename(tmp_path / "x/Val")
    with pytest.raises(SystemExit) as stop:
        classify.main([str(tmp_path / "x"), "-o", str(tmp_path / "x.rnnp")])
    assert stop.value.code == 2 and not (tmp_path / "x.rnnp").exists() and not (tmp_path / "x.run").exists()
    text = capsys.readouterr().err
    expected = {"nothing": "is not a folder", "one class": "two or more classes", "empty class": "holds no picture",
                "single": "needs two pictures", "broken": "2 files can't be read: bars/0.png can't be read",
                "split": "--val " + str(tmp_path / "x/Val")}  # fmt: skip
    assert expected[case] in text


def test_what_lies_beside_the_parts_of_a_split_is_no_class(tmp_path: Path) -> None:
    for part in ("training_set", "test_set"):
        write_folders(tmp_path / "x" / part, 1, 1)
    (tmp_path / "x/__MACOSX").mkdir()
    for beside in ("", "unlabelled"):
        (tmp_path / "x" / beside).mkdir(exist_ok=True)
        with pytest.raises(InputError, match=r"holds test_set, training_set: parts of a split.*--val .*/test_set$"):
            load_folders(tmp_path / "x", 3)
    # Trains, tests of something, and what macOS zips beside two classes.
    for part in ("train", "test"):
        shutil.copytree(tmp_path / "x/test_set/bars", tmp_path / "y" / part)
    (tmp_path / "y/car/__MACOSX").mkdir(parents=True)
    shutil.copy(tmp_path / "x/test_set/bars/0.png", tmp_path / "y/car")
    shutil.copy(tmp_path / "x/test_set/bars/0.png", tmp_path / "y/car/__MACOSX")
    (tmp_path / "y/__MACOSX").mkdir()
    found = load_folders(tmp_path / "y", 3)
    assert found.labels == ["car", "test", "train"] and len(found.pictures) == 3


def test_files_that_are_no_pictures_are_left_out_and_listed(tmp_path: Path) -> None:
    """Broken, of other kinds, hidden: with the others the command goes on; large ones are reduced."""
    write_folders(tmp_path / "x", 3, 1)
    (tmp_path / "x/bars/0.png").write_bytes(b"no picture")
    (tmp_path / "x/disc/phone.HEIC").write_bytes(b"not read by Pillow")
    for hidden in (".DS_Store", "._1.png"):
        (tmp_path / "x/disc" / hidden).write_bytes(b"hidden")
    Image.new("RGB", (5000, 2500), (9, 9, 9)).save(tmp_path / "x/bars/huge.jpg")
    found = load_folders(tmp_path / "x", 3, 640)
    assert [p.name for p in found.pictures if p.label == 0] == ["bars/1.png", "bars/2.png", "bars/huge.jpg"]
    assert found.pictures[2].pixels.shape == (320, 640, 3) and len(found.pictures) == 6
    assert [name for name, _ in found.skipped] == ["bars/0.png", "disc/phone.HEIC"]
    assert "can't be read as an image" in found.skipped[0][1] and "no picture of a kind" in found.skipped[1][1]
    assert "5000x2500" in load_folders(tmp_path / "x", 3).skipped[1][1]


def test_warm_start() -> None:
    """Everything but the dense layer; gray networks see gray pictures as the colour network did."""
    torch.manual_seed(6)
    colour = Classifier(SMALL).eval()
    gray = Classifier(replace(SMALL, channels=1, labels=("x", "y"))).eval()
    assert warm_start(gray, colour) == ["dense.weight", "dense.bias"]
    x = inputs(1, 1)
    with torch.no_grad():
        x = gray.features(gray.maps(x)[1]), colour.features(colour.maps(x.expand(-1, 3, -1, -1))[1])
    # Borders differ: none of them is padded with anything but 0.
    assert torch.allclose(x[0], x[1], atol=1e-4)


def test_warm_start_keeps_the_important_channels() -> None:
    """Channels that reach no output are the ones that a slimmer network leaves out."""
    torch.manual_seed(7)
    source = Classifier(SMALL).eval()
    blocks = [replace(b, expanded=b.expanded - 8) for b in SMALL.blocks]
    with torch.no_grad():
        for block in source.blocks:
            block.project.conv.weight[:, 3:11] = 0  # type: ignore[union-attr,index]
    slim = Classifier(replace(SMALL, blocks=tuple(blocks))).eval()
    assert warm_start(slim, source) == []
    x = inputs(2, 3)
    assert torch.allclose(slim(x), source(x), atol=1e-5)


def test_coco(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels by the area of the box, boxes in the small picture's pixels, and the split by a list of numbers."""
    from rnnpool_training import coco

    boxes = {1: [[0, 0, 32, 47]], 2: [[0, 0, 32, 49]], 3: [], 4: [[100, 100, 200, 200]]}
    images, annotations = [], []
    for number, found in boxes.items():
        Image.new("RGB", (640, 480), (number, 0, 0)).save(tmp_path / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 640, "height": 480})
        for box in found:
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1, "bbox": box,
                                "area": 1.0, "iscrowd": int(number == 2)})  # fmt: skip
    annotations.append({"id": 99, "image_id": 3, "category_id": 2, "bbox": [0, 0, 600, 400], "area": 1, "iscrowd": 0})
    (tmp_path / "instances.json").write_text(json.dumps({
        "images": images, "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
    }))  # fmt: skip
    (tmp_path / "ids.txt").write_text("2\n4\n")
    command = [str(tmp_path / "instances.json"), str(tmp_path), str(tmp_path / "all")]
    coco.main(command)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["images"] == 4
    pictures = load_labelled(tmp_path / "all", 3)
    assert [p.label for p in pictures] == [0, 1, 0, 1]  # 0.49 %, 0.51 %, a dog, 13 %
    assert pictures[3].pixels.shape == (192, 256, 3) and pictures[3].complete
    assert pictures[3].boxes is not None and pictures[3].boxes.tolist() == [[40, 40, 80, 80]]
    for option, labels in (("--only-ids", [1, 1]), ("--without-ids", [0, 0])):
        coco.main([*command[:2], str(tmp_path / option), option, str(tmp_path / "ids.txt")])
        assert [p.label for p in load_labelled(tmp_path / option, 3)] == labels
    for bad in (["--category", "unicorn"], ["--only-ids", str(tmp_path / "instances.json")]):
        with pytest.raises(SystemExit):
            coco.main([*command, *bad])


def test_large_sets_are_read_when_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folders(tmp_path / "x", 3, 1)
    kept = load_folders(tmp_path / "x", 3)[0]
    monkeypatch.setattr("rnnpool_training.streaming.DEFAULT", 1e-9)  # one picture
    read = load_folders(tmp_path / "x", 3)[0]
    assert [callable(p.stored) for p in read] == [False] + 5 * [True] and not any(callable(p.stored) for p in kept)
    assert all((a.pixels == b.pixels).all() for a, b in zip(kept, read, strict=True))
