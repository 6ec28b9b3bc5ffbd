"""What a command writes, and all else that is quick to see, is checked before it works for minutes.

Each case names something that can't be written, or used, and pictures or models that are not there: what is said shows
which of the two was looked at first.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_tool import ROOT

pytest.importorskip("torch", reason="make venv brings PyTorch")

from rnnpool_training import (
    average,
    classify,
    coco,
    convert,
    evaluate,
    export,
    finetune,
    generated,
    import_edgeml,
    layers,
    negatives,
    planner,
    relabel,
    train,
    train_classifier,
    versus,
)
from rnnpool_training.paper import recipes
from tools import show_model
from tools.bench import __main__ as bench

FACE, PERSON = ROOT / "models" / "face.rnnp", ROOT / "models" / "person.rnnp"
PERSON_PT = ROOT / "models" / "person.pt"

CASES: list[tuple[Callable[..., Any], list[object], str]] = [
    (show_model.main, [FACE, "--html", "no/x.html"], "no: there is no such folder"),
    (show_model.main, [FACE, "--html", "face.rnnp"], "face.rnnp: would be written over"),
    (show_model.main, [FACE, "--picture", "x.xyz"], "x.xyz: must end in .png, .svg"),
    (show_model.main, [FACE, "--compare", "file/x.png"], "file: is a file, not a folder"),
    (show_model.main, [FACE, "--html", "x.html", "--bench", "no.json"], "no.json: No such file"),
    (show_model.main, [FACE, "--html", "labels.txt"], "labels.txt: would be written over, and it is no HTML page"),
    (planner.main, [FACE, "-o", "labels.txt"], "labels.txt: would be written over, and it is no .rnnp model"),
    (convert.main, ["no.tflite", "-o", "labels.txt"], "it is no .rnnp model"),
    (export.main, ["no.py:net", "--data", "no", "-o", "labels.txt"], "it is no .rnnp model"),
    (classify.main, ["no", "-o", "labels.txt", "--replace"], "it is no .rnnp model"),
    (average.main, ["no.pt", "no.pt", "--data", "no", "-o", "labels.txt"], "it is no PyTorch checkpoint"),
    (import_edgeml.main, ["no.pth", "-o", "labels.txt"], "it is no PyTorch checkpoint"),
    (bench.main, ["--model", "x=no.rnnp", "--json", "labels.txt"], "it is no JSON object"),
    (planner.main, [FACE, "--curve", "x.xyz"], "x.xyz: must end in .png, .svg"),
    (planner.main, [FACE, "-o", "no/x.rnnp"], "no: there is no such folder"),
    (layers.main, [FACE, "--out", "file"], "file: is a file, not a folder"),
    (coco.main, ["no.json", "no", "file"], "file: is a file, not a folder"),
    (coco.main, ["no.json", "images", "."], "images has files in it, which could be lost: choose another folder"),
    (coco.main, ["no.json", "images", "labelled"], "labels.jsonl: would be written over: choose another folder"),
    (generated.main, ["labelled"], "labels.jsonl: would be written over: choose another folder"),
    (negatives.main, ["no.rnnp", "--data", "no", "--out", "labelled"], "labels.jsonl: would be written over"),
    (relabel.main, ["no", "--teachers", "no", "--out", "file"], "file: is a file, not a folder"),
    (relabel.main, ["labelled", "--teachers", "no", "--out", "labelled"], "labels.jsonl: would be written over"),
    (negatives.main, ["no.rnnp", "--data", "no", "--out", "file"], "file: is a file, not a folder"),
    (versus.main, ["no.rnnp", "--data", "no", "--out", "file"], "file: is a file, not a folder"),
    (evaluate.main, ["--model", FACE, "--data", "no", "--plots", "file"], "file: is a file, not a folder"),
    (evaluate.main, ["--model", PERSON, "--data", "no", "--plots", "x"], "is a classifier: --plots"),
    (average.main, ["no.pt", "no.pt", "--data", "no", "-o", "no/x.pt"], "no: there is no such folder"),
    (export.main, ["no.py:net", "--data", "no", "-o", "no/x.rnnp"], "no: there is no such folder"),
    (export.main, ["no.py:net", "--data", "no", "-o", "x.rnnp", "--name", "x" * 32], "must be 1 to 31 bytes of text"),
    (export.main, ["no.py:net", "--data", "no", "-o", "x.rnnp", "--labels", "x" * 32768 + ",y"], "32,771 bytes in all"),
    (convert.main, ["no.tflite", "-o", "no/x.rnnp"], "no: there is no such folder"),
    (import_edgeml.main, ["no.pth", "-o", "no/x.pt"], "no: there is no such folder"),
    (train.main, ["--data", "no", "--out", "file"], "file: is a file, not a folder"),
    (train.main, ["--data", "no", "--out", "run"], "run holds a run already: go on with --resume"),
    (train.main, ["--data", "no", "--out", "run", "--resume"], "last.pt is no PyTorch checkpoint"),
    (train.main, ["--data", "no", "--out", "x", "--init", "no.pt"], "no.pt: No such file"),
    (train.main, ["--data", "no", "--out", "weights"], "weights holds float.pt, which would be written over"),
    (train.main, ["--data", "no", "--out", "weights", "--resume"], "and no last.pt to go on from"),
    (train_classifier.main, ["--data", "no", "--out", "weights"], "weights holds float.pt, which would be written"),
    (finetune.main, ["no.pt", "--data", "no", "--out", "weights"], "weights holds float.pt, which would be written"),
    (classify.main, ["no", "-o", "x.rnnp", "--run", "weights"], "--run weights holds files that are no run of class"),
    (classify.main, ["images", "-o", "images/x.rnnp"], "images/x.rnnp would lie in images, whose pictures are read"),
    (classify.main, ["images", "-o", "x.rnnp", "--run", "images/1/run"], "images/1/run would lie in images"),
    (classify.main, ["no", "-o", "run/x.rnnp", "--val", "run"], "run/x.rnnp would lie in run"),
    (finetune.main, [ROOT / "models" / "face.pt", "--data", "no", "--out", "run"], "run holds a run already"),
    (train_classifier.main, ["--data", "no", "--out", "run"], "run holds a run already: go on with --resume"),
    (train_classifier.main, ["--data", "no", "--out", "x", "--init", "no.pt"], "no.pt: No such file"),
    (train_classifier.main, ["--data", "no", "--out", "x", "--teacher", "no.tflite"], "no.tflite is not a file"),
    (classify.main, ["no", "-o", "x.rnnp", "--run", "file"], "file: is a file, not a folder"),
    (classify.main, ["no", "-o", "x.rnnp", "--init", "no.pt", "--size", "64"], "no.pt: No such file"),
    (classify.main, ["no", "-o", "x.rnnp", "--init", "other.pt"], "is a network of another shape: "),
    (recipes.main, ["coco-vww", "--data", "no", "--val", "no", "--out", "run"], "last.pt is there: go on with"),
    (bench.main, ["--model", "x=no.rnnp", "--json", "file/x.json"], "file: is a file, not a folder"),
    (bench.main, ["--model", "x=no.rnnp", "--json", "x.json", "--picture", "x.xyz"], "x.xyz: must end in .png"),
]


@pytest.mark.parametrize(("main", "arguments", "sentence"), CASES)
def test_before_the_work(
    main: Callable[..., Any], arguments: list[object], sentence: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("file", "run/last.pt", "labelled/labels.jsonl", "images/1.jpg", "weights/float.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    if "other.pt" in arguments:
        classify.save_classifier("other.pt", of_another_shape())
    (tmp_path / "labels.txt").write_text("cat\n")
    shutil.copy(FACE, "face.rnnp")
    given = ["face.rnnp" if "face.rnnp" in arguments and a is FACE else str(a) for a in arguments]
    with pytest.raises(SystemExit) as stop:
        main(given)
    said = capsys.readouterr()
    assert stop.value.code == 2 and sentence in said.err and "Traceback" not in said.err
    assert said.out == ""
    assert (tmp_path / "labels.txt").read_text() == "cat\n"
    assert all(
        (tmp_path / n).read_text() == "" for n in ("file", "run/last.pt", "labelled/labels.jsonl", "weights/float.pt")
    )


def of_another_shape() -> Any:
    """A classifier whose blocks are others than those of the network that `classify` makes."""
    source = classify.load_classifier(PERSON_PT)
    blocks = list(source.config.blocks)
    blocks[-1] = replace(blocks[-1], expanded=blocks[-1].expanded - 8)
    return classify.Classifier(replace(source.config, blocks=tuple(blocks)))
