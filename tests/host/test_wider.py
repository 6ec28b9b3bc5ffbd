"""WIDER FACE: its files, and its own evaluation held against cases worked out by hand and against the plain rule."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("scipy", reason="no scipy: pip install .[train]")

import scipy.io

from rnnpool_training import blob, evaluate, wider_eval
from rnnpool_training.data import load, wider
from rnnpool_training.errors import InputError
from rnnpool_training.wider_eval import SETTINGS, Truth

LINES = [
    "0--Parade/a.jpg", "2", "4 4 12 12 2 0 1 0 1 0", "20 8 6 6 0 1 0 1 2 1 ",  # the second face is invalid
    "0--Parade/b.jpg", "0", "0 0 0 0 0 0 0 0 0 0",
    "9--Press/c.jpg", "3", "-3 2 11 9 0 0 0 0 0 0", "40 30 5 5 0 0 0 0 0 0", "5 5 0 4 0 0 0 0 0 0",
]  # fmt: skip


def root(folder: Path, lines: list[str] = LINES, parts: tuple[str, ...] = ("val",)) -> Path:
    """The set with pictures of 32x24, named as it is published."""
    for part in parts:
        for line in lines:
            if line.endswith(".jpg"):
                path = folder / f"WIDER_{part}" / "images" / line
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = np.random.default_rng(len(line)).integers(0, 256, (24, 32, 3)).astype(np.uint8)
                Image.fromarray(noise).save(path)
        (folder / "wider_face_split").mkdir(parents=True, exist_ok=True)
        (folder / "wider_face_split" / f"wider_face_{part}_bbx_gt.txt").write_text("\n".join(lines) + "\n")
    return folder


def cells(values: list[Any]) -> Any:
    """A column of cells as MATLAB has it."""
    column = np.empty((len(values), 1), object)
    column[:, 0] = values
    return column


def mats(folder: Path, kept: dict[str, list[list[list[int]]]] | None = None) -> Path:
    """The .mat files of LINES, faces counted from 1: hard counts the first of a.jpg and of c.jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    boxes = [[[[4, 4, 12, 12], [20, 8, 6, 6]], []], [[[-3, 2, 11, 9], [40, 30, 5, 5], [5, 5, 0, 4]]]]
    common = {
        "event_list": cells(["0--Parade", "9--Press"]),
        "file_list": cells([cells(["a", "b"]), cells(["c"])]),
        "face_bbx_list": cells([cells([np.array(b, float).reshape(-1, 4) for b in event]) for event in boxes]),
    }
    scipy.io.savemat(folder / "wider_face_val.mat", common)
    kept = kept or {"easy": [[[], []], [[]]], "medium": [[[1], []], [[]]], "hard": [[[1], []], [[1]]]}
    for setting, events in kept.items():
        lists = [cells([np.array(k, np.uint16).reshape(-1, 1) for k in event]) for event in events]
        scipy.io.savemat(folder / f"wider_{setting}_val.mat", {**common, "gt_list": cells(lists)})
    return folder


# ---- the files ----


def test_faces_and_flags(tmp_path: Path) -> None:
    found = wider.faces(root(tmp_path) / "wider_face_split" / "wider_face_val_bbx_gt.txt")
    assert [(f.name, len(f.boxes)) for f in found] == [("0--Parade/a.jpg", 2), ("0--Parade/b.jpg", 0),
                                                       ("9--Press/c.jpg", 3)]  # fmt: skip
    assert found[0].boxes.tolist() == [[4, 4, 12, 12], [20, 8, 6, 6]]
    assert {flag: values.tolist() for flag, values in found[0].flags.items()} == {
        "blur": [2, 0], "expression": [0, 1], "illumination": [1, 0], "invalid": [0, 1], "occlusion": [1, 2],
        "pose": [0, 1],
    }  # fmt: skip


def test_without_the_line_of_zeros(tmp_path: Path) -> None:
    lines = [line for line in LINES if line != "0 0 0 0 0 0 0 0 0 0"]
    found = wider.faces(root(tmp_path, lines) / "wider_face_split" / "wider_face_val_bbx_gt.txt")
    assert [len(f.boxes) for f in found] == [2, 0, 3]


@pytest.mark.parametrize("given", ["", "WIDER_val", "wider_face_split/wider_face_val_bbx_gt.txt"])
def test_samples(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = load(root(tmp_path) / given)
    assert "WIDER FACE" in capsys.readouterr().err
    assert [s.name for s in samples] == ["0--Parade/a.jpg", "0--Parade/b.jpg", "9--Press/c.jpg"]
    # Invalid, empty and outside ones are left out, and their pictures are not completely labelled; the rest is cut.
    assert [s.boxes.tolist() for s in samples] == [[[4, 4, 12, 12]], [], [[0, 2, 8, 9]]]
    assert [s.complete for s in samples] == [False, True, False]


def test_two_parts_are_not_guessed(tmp_path: Path) -> None:
    root(tmp_path, parts=("train", "val"))
    with pytest.raises(InputError, match="holds the parts train, val: give one"):
        load(tmp_path)
    assert len(load(tmp_path / "WIDER_train")) == 3


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="WIDER_train/images, which is not there"):
        (tmp_path / "wider_face_train_bbx_gt.txt").write_text("\n".join(LINES))
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace("a.jpg\n2", "a.jpg\nx"), "line 1: the line behind 0--Parade/a.jpg must be the number"),
        (lambda t: t.replace("a.jpg\n2", "a.jpg\n1"), "line 4: must be the name of a picture, is '20 8"),
        (lambda t: t.replace("c.jpg\n3", "c.jpg\n30"), "c.jpg has 30 faces, the file ends after 3"),
        (lambda t: t.replace("4 4 12 12 2", "4 4 12 12 3"), "line 3: blur must be 0 to 2, is 3"),
        (lambda t: t.replace("4 4 12 12 2", "4 4 12 12"), "line 3: must be x y w h blur"),
        (lambda t: t.replace("4 4 12 12", "4 4 12 nan"), "line 3: must be x y w h blur"),
        (lambda t: t.replace("b.jpg", "a.jpg"), "line 5: 0--Parade/a.jpg is already in line 1"),
    ],
)
def test_refused(change: Callable[[str], str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "wider_face_val_bbx_gt.txt"
    path.write_text(change("\n".join(LINES) + "\n"))
    with pytest.raises(InputError) as error:
        wider.faces(path)
    assert words in str(error.value)


def test_truth(tmp_path: Path) -> None:
    found = wider_eval.read_truth(mats(tmp_path))
    assert [t.name for t in found] == ["0--Parade/a", "0--Parade/b", "9--Press/c"]
    assert found[0].boxes.tolist() == [[4, 4, 12, 12], [20, 8, 6, 6]]
    assert [t.counted["hard"].tolist() for t in found] == [[True, False], [], [True, False, False]]
    assert [int(t.counted["medium"].sum()) for t in found] == [1, 0, 0]


def test_truth_refused(tmp_path: Path) -> None:
    lists = {"easy": [[[3], []], [[]]], "medium": [[[], []], [[]]], "hard": [[[], []], [[]]]}
    with pytest.raises(InputError, match="0--Parade/a, easy: face 3 of 2"):
        wider_eval.read_truth(mats(tmp_path / "a", lists))
    (mats(tmp_path / "b") / "wider_hard_val.mat").unlink()
    with pytest.raises(InputError, match=r"wider_hard_val.mat is not there"):
        wider_eval.read_truth(tmp_path / "b")
    (mats(tmp_path / "c") / "wider_easy_val.mat").write_bytes(b"no mat at all")
    with pytest.raises(InputError, match="no MATLAB file"):
        wider_eval.read_truth(tmp_path / "c")
    scipy.io.savemat(mats(tmp_path / "d") / "wider_easy_val.mat", {"list": 1})
    with pytest.raises(InputError, match="has no gt_list, but list"):
        wider_eval.read_truth(tmp_path / "d")


# ---- the rule, by hand ----


def truth(name: str, boxes: list[list[float]], counted: list[bool]) -> Truth:
    return Truth(name, np.array(boxes, float).reshape(-1, 4), {"hard": np.array(counted, bool)})


def measure(detections: dict[str, list[list[float]]], *pictures: Truth) -> wider_eval.Curve:
    rows = {name: np.array(found, float).reshape(-1, 5) for name, found in detections.items()}
    return wider_eval.curve(wider_eval.scaled(rows), list(pictures), "hard")


A, B, C, D = ([40.0 * i, 0.0, 19.0, 19.0] for i in range(4))
NOWHERE = [0.0, 500.0, 19.0, 19.0]


def test_curve_by_hand() -> None:
    # Three faces count (A, C and D), B is ignored. By falling score: wrong; A right (2 proposed, 1 of 3 found);
    # B no matter; C right (3 proposed, 2 found); C again is wrong (4 proposed, 2 found); D is never found.
    # Precision at a recall of 1/3 is 1/2, at 2/3 it is 2/3, and so it is 2/3 before, too: 2/3 * 2/3.
    found = measure(
        {"1": [[*NOWHERE, 9.0], [*A, 7.0], [*B, 6.0]], "2": [[*C, 5.0], [*C, 3.0]]},
        truth("1", [A, B], [True, False]), truth("2", [C, D], [True, True]),
    )  # fmt: skip
    assert found.faces == 3
    assert found.ap == pytest.approx(4 / 9)
    # Scores go from 3..9 to 0..1: A is at 2/3. At 0.999..0.667 only the wrong one counts, from 0.666 on A as well.
    assert (found.precision[332], found.precision[333]) == (0, 0.5)
    assert (found.recall[332], found.recall[333]) == (0, pytest.approx(1 / 3))
    assert (found.precision[-1], found.recall[-1]) == (0.5, pytest.approx(2 / 3))


def test_the_last_pixel_belongs_to_a_box() -> None:
    # 10x10 and 10x5 pixels: 50 of 100. Without the last pixel it would be 9x9 and 9x4, 36 of 81.
    face = truth("1", [[0, 0, 9, 9]], [True])
    assert measure({"1": [[0, 0, 9, 4, 1.0]]}, face).ap == 1
    assert measure({"1": [[0, 0, 9, 3.9, 1.0]]}, face).ap == 0
    # One pixel is shared by two boxes that only touch: 1 of 199.
    assert wider_eval.overlaps(np.array([[0.0, 0, 9, 9]]), np.array([[9.0, 9, 9, 9]]))[0, 0] == pytest.approx(1 / 199)
    assert wider_eval.overlaps(np.array([[0.0, 0, 9, 9]]), np.array([[10.0, 0, 9, 9]]))[0, 0] == 0


def test_the_best_face_alone_decides() -> None:
    # The detection overlaps the ignored face more than the one that counts, which it would find, too.
    faces = truth("1", [[0, 0, 9, 9], [0, 0, 9, 8]], [True, False])
    found = measure({"1": [[0, 0, 9, 8, 1.0]]}, faces)
    assert (found.ap, found.precision[-1], found.recall[-1]) == (0, 0, 0)


def test_a_thousand_thresholds() -> None:
    # Right before wrong, but both above 0.999: one point of the curve, with a precision of 1/2. 0 ends the scale.
    face = truth("1", [A, B], [True, False])
    assert measure({"1": [[*A, 1.0], [*NOWHERE, 0.9995], [*B, 0.0]]}, face).ap == 0.5
    assert measure({"1": [[*A, 1.0], [*NOWHERE, 0.9985], [*B, 0.0]]}, face).ap == 1


def test_pictures_without_faces_take_no_part() -> None:
    found = measure({"1": [[*A, 0.5]], "2": [[*A, 0.9]], "3": [[*A, 0.1]]}, truth("1", [A], [True]), truth("2", [], []))
    assert found.ap == 1  # the false alarm of picture 2 does not count, its score does
    assert found.precision[100] == 0 and found.precision[600] == 1


def test_nothing_found_and_nothing_to_find() -> None:
    face = truth("1", [A], [True])
    assert measure({"1": []}, face).ap == 0
    assert measure({}, face).ap == 0
    assert np.isnan(measure({"1": [[*A, 1.0]]}, truth("1", [A], [False])).ap)
    with pytest.raises(InputError, match="1: a detection holds a number that is not finite"):
        measure({"1": [[*A, np.nan]]}, face)


def plain(detections: dict[str, Any], pictures: list[Truth], setting: str) -> float:
    """The rule once more, with loops, one detection and one threshold at a time."""
    scores = [row[4] for rows in detections.values() for row in rows]
    low, high = min(scores), max(scores)
    proposed, right = [0] * 1000, [0] * 1000
    faces = sum(int(p.counted[setting].sum()) for p in pictures)
    for picture in pictures:
        rows = sorted(detections.get(picture.name, []), key=lambda row: -row[4])
        if not len(picture.boxes):
            continue
        seen, history = set(), []
        for x, y, w, h, score in rows:
            best, owner = 0.0, -1
            for i, (fx, fy, fw, fh) in enumerate(picture.boxes):
                iw = min(x + w, fx + fw) - max(x, fx) + 1
                ih = min(y + h, fy + fh) - max(y, fy) + 1
                inside = iw * ih if iw > 0 and ih > 0 else 0
                over = inside / ((w + 1) * (h + 1) + (fw + 1) * (fh + 1) - inside)
                if over > best:
                    best, owner = over, i
            counts = True
            if best >= 0.5:
                if picture.counted[setting][owner]:
                    seen.add(owner)
                else:
                    counts = False
            history.append(((score - low) / (high - low), counts, len(seen)))
        for t in range(1000):
            above = [entry for entry in history if entry[0] >= 1 - (t + 1) / 1000]
            if above:
                proposed[t] += sum(entry[1] for entry in above)
                right[t] += above[-1][2]
    recall = [r / faces for r in right]
    precision = [r / p if p else 0.0 for r, p in zip(right, proposed, strict=True)]
    area, before = 0.0, 0.0
    for t in range(1000):
        area += (recall[t] - before) * max(precision[t:])
        before = recall[t]
    return area


def test_against_the_plain_rule() -> None:
    random = np.random.default_rng(5)
    pictures, detections = [], {}
    for i in range(25):
        count = int(random.integers(0, 7))
        boxes = np.concatenate([random.integers(0, 60, (count, 2)), random.integers(8, 40, (count, 2))], 1)
        pictures.append(Truth(f"{i}", boxes.astype(float), {s: random.random(count) < 0.6 for s in SETTINGS}))
        near = boxes.repeat(3, axis=0) + random.integers(-4, 5, (3 * count, 4))
        rows = np.concatenate([near, random.integers(5, 50, (4, 4))]).astype(float)
        detections[f"{i}"] = np.column_stack([rows, random.choice(np.linspace(-2, 5, 60), len(rows))])
    found = wider_eval.evaluate(detections, pictures)
    for setting in SETTINGS:
        wanted = plain(detections, pictures, setting)
        assert 0.1 < wanted < 0.9
        assert found[setting] == pytest.approx(wanted, abs=5.1e-5)
    few = [p for p in pictures if len(p.boxes) <= 3]
    assert found["pictures_few"] == len(few)
    every = {**detections}
    assert wider_eval.curve(wider_eval.scaled(every), few, "hard").ap == pytest.approx(found["hard_few"], abs=5.1e-5)


# ---- the commands ----


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.rnnp"
    path.write_bytes(blob.write(networks.tiny(1)))
    return path


def run(main: Any, capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    main([str(a) for a in arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_evaluate_and_its_files(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    val = root(tmp_path / "set") / "WIDER_val"
    given = ("--model", model, "--data", val, "--json")
    assert "wider" not in run(evaluate.main, capsys, *given)  # no .mat there yet
    place = mats(tmp_path / "set" / "eval_tools" / "ground_truth")
    found = run(evaluate.main, capsys, *given, "--predictions", tmp_path / "found")["wider"]
    assert (found["pictures"], found["of_pictures"]) == (3, 3)
    assert [found[f"{s}_faces"] for s in SETTINGS] == [0, 1, 2]
    assert found["easy"] is None and 0 <= found["hard"] <= 1
    again = run(wider_eval.main, capsys, "--predictions", tmp_path / "found", "--truth", place)
    assert {k: again[k] for k in found if k != "of_pictures"} == {k: found[k] for k in found if k != "of_pictures"}
    evaluate.main([str(g) for g in given[:-1]])
    assert "WIDER FACE, 3 of 3 pictures" in capsys.readouterr().out
    part = run(evaluate.main, capsys, *given, "--limit", 1)["wider"]
    assert (part["pictures"], part["of_pictures"]) == (1, 3)


def test_predictions_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = mats(tmp_path / "truth")
    folder = tmp_path / "found" / "0--Parade"
    folder.mkdir(parents=True)
    for text, words in (("a\n2\n1 2 3 4 0.5\n", "holds no detections"), ("a\nx\n", "holds no detections")):
        (folder / "a.txt").write_text(text)
        with pytest.raises(SystemExit):
            wider_eval.main(["--predictions", str(folder.parent), "--truth", str(place)])
        assert words in capsys.readouterr().err
    (folder / "a.txt").write_text("a\n1\n1 2 3 4 0.5\n")
    (folder / "z.txt").write_text("z\n0\n")
    with pytest.raises(SystemExit):
        wider_eval.main(["--predictions", str(folder.parent), "--truth", str(place)])
    assert "1 pictures are none of the set's, such as 0--Parade/z" in capsys.readouterr().err


def test_predictions_of_other_data_are_refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data" / "labels.jsonl"
    path.parent.mkdir()
    Image.new("L", (32, 24)).save(path.parent / "a.png")
    path.write_text('{"file": "a.png", "boxes": [[4, 4, 12, 12]]}\n')
    with pytest.raises(SystemExit):
        evaluate.main(["--model", str(model), "--data", str(path.parent), "--predictions", str(tmp_path / "p")])
    assert "is not WIDER FACE" in capsys.readouterr().err
    found = run(evaluate.main, capsys, "--model", model, "--data", path.parent, "--wider-rule", "--json")
    assert 0 <= found["ap50_wider_rule"] <= 1


# ---- SCUT-HEAD: Pascal VOC's files, with lists of the parts ----


def scut(folder: Path) -> Path:
    for name, x in (("PartB_1", 3), ("PartB_2", 5)):
        (folder / "JPEGImages").mkdir(parents=True, exist_ok=True)
        (folder / "Annotations").mkdir(exist_ok=True)
        Image.new("RGB", (32, 24)).save(folder / "JPEGImages" / f"{name}.jpg")
        box = f"<bndbox><xmin>{x}</xmin><ymin>2</ymin><xmax>20</xmax><ymax>15</ymax></bndbox>"
        size = "<size><width>32</width><height>24</height><depth>3</depth></size>"
        text = f"<annotation>{size}<object><name>person</name><difficult>0</difficult>{box}</object></annotation>"
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("PartB_1\n")
    (lists / "test.txt").write_text("PartB_2\n")
    return folder


def test_scut_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = scut(tmp_path / "SCUT_HEAD_Part_B")
    assert len(load(folder)) == 2
    (test,) = load(folder / "ImageSets" / "Main" / "test.txt")
    assert test.name == "JPEGImages/PartB_2.jpg"
    assert test.boxes.tolist() == [[4, 1, 16, 14]]  # corners from 1, both included
    (folder / "ImageSets" / "Main" / "test.txt").write_text("PartB_2\nPartB_3\n")
    with pytest.raises(InputError, match=r"test.txt, line 2: there are no labels .*PartB_3.xml"):
        load(folder / "ImageSets" / "Main" / "test.txt")
    (folder / "ImageSets" / "Main" / "test.txt").write_text("PartB_2\nPartB_2\n")
    with pytest.raises(InputError, match=r"line 2: PartB_2 is already in line 1"):
        load(folder / "ImageSets" / "Main" / "test.txt")
