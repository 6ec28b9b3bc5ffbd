"""python -m rnnpool_training.evaluate as a user meets it: its last line, and a sentence for whatever is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from rnnpool_training import blob, reference
from rnnpool_training.data import load
from rnnpool_training.evaluate import main

GOOD = {"file": "images/a.png", "boxes": [[4, 4, 12, 12]]}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.rnnp"
    path.write_bytes(blob.write(networks.tiny(1)))
    return path


def folder(tmp_path: Path, *lines: object) -> Path:
    """A data folder with these lines of labels.jsonl (str: as they are) and one good picture."""
    (tmp_path / "images").mkdir(parents=True)
    pixels = np.random.default_rng(1).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (tmp_path / "labels.jsonl").write_text(text)
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What is said on stderr before it ends with a status that is not 0."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert stop.value.code in (1, 2)
    return capsys.readouterr().err


@pytest.mark.parametrize("backend", ["integer", "engine"])
@pytest.mark.parametrize(
    ("lines", "images", "boxes"),
    [
        ([{"file": "images/a.png", "boxes": []}], 1, 0),
        ([GOOD, "", {**GOOD, "file": "images/../images/a.png", "complete": False, "source": "x"}], 2, 2),
    ],
)
def test_last_line(
    backend: str,
    lines: list[object],
    images: int,
    boxes: int,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--model", str(model), "--data", str(folder(tmp_path, *lines)), "--backend", backend, "--json"])

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    line = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=refuse)
    assert (line["images"], line["boxes"]) == (images, boxes)
    assert {"ap50", "precision", "recall", "false_per_image_complete", "seconds"} <= line.keys()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"file": "images/a', "line 2: no JSON"),
        ([1, 2], "line 2: must be an object"),
        ({"boxes": []}, "line 2: must be an object"),
        ({"file": "images/a.png"}, "line 2: must be an object"),
        ({**GOOD, "boxes": [[1, 2, 3]]}, "line 2: boxes"),
        ({**GOOD, "boxes": [[1, 2, 3, 4], [1]]}, "line 2: boxes"),
        ({**GOOD, "file": "images/./a.png", "boxes": [[1, 2, -3, 4]]}, "line 2: box [1, 2, -3, 4] has no area"),
        ({**GOOD, "boxes": [[float("nan"), 2, 3, 4]]}, "line 2: boxes"),
        ({**GOOD, "boxes": "none"}, "line 2: boxes"),
        ({**GOOD, "boxes": 5}, "line 2: boxes"),
        ({**GOOD, "file": "images/none.png"}, "none.png can't be read"),
        ({**GOOD, "file": "images"}, "images can't be read"),
        ({**GOOD, "file": "labels.jsonl"}, "labels.jsonl can't be read"),
    ],
)
def test_bad_labels(line: object, words: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder(tmp_path, GOOD, line)
    assert words in refusal(capsys, "--model", model, "--data", data)


def test_colour_becomes_gray_as_on_the_device(tmp_path: Path) -> None:
    data = folder(tmp_path, GOOD)
    with Image.open(data / "images" / "a.png") as image:
        r, g, b = np.moveaxis(np.asarray(image).astype(int), 2, 0)
    (sample,) = load(data)
    assert (sample.pixels == (77 * r + 150 * g + 29 * b + 128) // 256).all()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "can't be read"),
        (lambda path: Image.new("L", (4097, 1)).save(path), "4097x1"),
        (lambda path: Image.new("I;16", (32, 24)).save(path), "mode I;16"),
    ],
)
def test_bad_pictures(
    spoil: Callable[[Path], None], words: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder(tmp_path, GOOD)
    spoil(data / "images" / "a.png")
    assert words in refusal(capsys, "--model", model, "--data", data)


@pytest.mark.parametrize("backend", ["integer", "engine", "float"])
def test_bad_models(backend: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder(tmp_path, GOOD)
    whole = model.read_bytes()
    for content in (b"", b"hello", whole[:60], whole[:-16]):
        model.write_bytes(content)
        assert "tiny.rnnp" in refusal(capsys, "--model", model, "--data", data, "--backend", backend)
    assert "is not a file" in refusal(capsys, "--model", tmp_path, "--data", data, "--backend", backend)


def test_bad_options(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder(tmp_path, GOOD)
    for option, value in (("--threshold", "nan"), ("--threshold", "7"), ("--limit", "-3"), ("--backend", "nonsense")):
        assert option in refusal(capsys, "--model", model, "--data", data, option, value)
    assert "no such folder" in refusal(capsys, "--model", model, "--data", tmp_path / "none")


def person_folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    (tmp_path / "images").mkdir(parents=True)
    lines = []
    for i, (height, width) in enumerate(((40, 48), (30, 64), (64, 30), (40, 48), (13, 9))):
        pixels = np.repeat(np.repeat(rng.integers(0, 256, (height, width, 3)), 4, 0), 4, 1)[:height, :width]
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / f"{i}.png")
        lines.append(json.dumps({"file": f"images/{i}.png", "boxes": [], "label": i % 2}))
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    path = tmp_path / "two.rnnp"
    net = networks.Builder(np.random.default_rng(1), 40, 48, 3)  # whose probabilities differ
    net.block(net.rnnpool(net.conv(0, 6, 3, 2, relu=True), 4, 4, 3, 5, 4), 12, 20, stride=2)
    path.write_bytes(blob.write(net.classifier("two", 2)))
    return path


def test_classifier(classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = person_folder(tmp_path)
    found = {}
    for backend in ("integer", "engine"):
        main(["--model", str(classifier), "--data", str(data), "--backend", backend, "--json"])
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert line.pop("backend") == backend and line.pop("seconds") >= 0
        found[backend] = line
    # By hand.
    model = blob.load(classifier)
    chances = []
    for i in range(5):
        with Image.open(data / "images" / f"{i}.png") as image:
            chances.append(reference.classify(model, image.tobytes(), *image.size, reference.Format.RGB888)[1])
    right = [(p > 16384) == i % 2 for i, p in enumerate(chances)]
    above = [(chances[1] > p) + (chances[3] > p) for p in (chances[0], chances[2], chances[4])]
    assert found["integer"] == found["engine"]
    assert found["engine"] == {"images": 5, "accuracy": sum(right) / 5, "auc": round(sum(above) / 6, 4)}


def test_tables_for_people(model: Path, classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The default output has the numbers of the JSON object, each with a name; progress is shown."""
    for one, data in ((model, folder(tmp_path / "d", GOOD)), (classifier, person_folder(tmp_path / "c"))):
        arguments = ["--model", str(one), "--data", str(data), "--backend", "engine"]
        main([*arguments, "--json"])
        values = json.loads(capsys.readouterr().out)
        main(arguments)
        said = capsys.readouterr()
        table = dict(line.strip().split("  ", 1) for line in said.out.splitlines() if "  " in line.strip())
        assert table["pictures"].strip() == str(values["images"]) and "100%" in said.err
        if "ap50" in values:
            assert table["average precision (IoU 0.5)"].strip() == f"{values['ap50']:g}"
        else:
            assert float(table["accuracy"]) == pytest.approx(values["accuracy"], abs=1e-4)


@pytest.mark.parametrize("which", ["model", "classifier"])
def test_no_picture_is_an_error(
    which: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "labels.jsonl").write_text("\n")
    path = request.getfixturevalue(which)
    assert "none" in refusal(capsys, "--model", path, "--data", tmp_path / "none", "--backend", "engine")


def test_classifier_on_folders_of_pictures(
    classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "folders"
    for i, name in enumerate(("class 0", "class 1")):
        (data / name).mkdir(parents=True)
        for shade in (30, 90):
            Image.new("RGB", (48, 40), (shade, 100 * i, 255 - shade)).save(data / name / f"{shade}.png")
    main(["--model", str(classifier), "--data", str(data), "--backend", "engine", "--json"])
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["images"] == 4 and 0 <= line["accuracy"] <= 1 and 0 <= line["auc"] <= 1
    (data / "class 1").rename(data / "class 2")
    assert "labels class 0, class 1" in refusal(capsys, "--model", classifier, "--data", data)


def test_bad_data_for_a_classifier(classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = person_folder(tmp_path)
    assert "for detectors" in refusal(capsys, "--model", classifier, "--data", data, "--threshold", "0.5")
    good = json.dumps({"file": "images/0.png", "boxes": [], "label": 0})
    for line, words in (
        ({"file": "images/1.png", "boxes": []}, "line 2: images/1.png has no label"),
        ({"file": "images/1.png", "boxes": [], "label": 2}, "label 2, the classifier has 2 labels"),
        ({"file": "images/9.png", "boxes": [], "label": 1}, "can't be read"),
    ):
        (data / "labels.jsonl").write_text(good + "\n" + json.dumps(line))
        assert words in refusal(capsys, "--model", classifier, "--data", data)
    (data / "labels.jsonl").write_text(good)
    main(["--model", str(classifier), "--data", str(data), "--json"])
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["images"] == 1 and line["auc"] is None
