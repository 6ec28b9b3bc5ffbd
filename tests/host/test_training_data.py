"""Labelled pictures of four formats, upright, and labels that are right or refused with file and line."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rnnpool_training.data import Sample, load
from rnnpool_training.errors import InputError
from rnnpool_training.images import read
from rnnpool_training.pictures import load_labelled

WIDTH, HEIGHT = 80, 60
BOX = [10.0, 20.0, 30.0, 24.0]


def picture(path: Path, orientation: int = 1) -> None:
    """A picture of 80x60 once upright, bright in BOX, stored as a camera held in another way does."""
    pixels: Any = np.full((HEIGHT, WIDTH), 20, np.uint8)
    pixels[20:44, 10:40] = 220
    image = Image.fromarray(pixels)
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270,
            2: Image.Transpose.FLIP_LEFT_RIGHT, 5: Image.Transpose.TRANSPOSE}.get(orientation)  # fmt: skip
    if turn is not None:
        image = image.transpose(turn)
    exif = image.getexif()
    if orientation != 1:
        exif[0x112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif, **{".jpg": {"quality": 95}, ".tif": {"compression": "tiff_lzw"}}.get(path.suffix, {}))


def jsonl(folder: Path, *lines: Any, name: str = "images/a.png") -> Path:
    """A folder with these lines (bytes: as they are; a list: boxes of the picture)."""
    picture(folder / name)
    written = [
        line if isinstance(line, bytes)
        else json.dumps({"file": name, "boxes": line} if isinstance(line, list) else line).encode()
        for line in lines
    ]  # fmt: skip
    (folder / "labels.jsonl").write_bytes(b"\n".join(written))
    return folder


def yolo(folder: Path, text: str | None = None) -> Path:
    picture(folder / "images" / "a.png")
    picture(folder / "images" / "b.png")  # without a text: no object
    (folder / "labels").mkdir()
    x, y, w, h = BOX
    line = f"1 {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}\n"
    (folder / "labels" / "a.txt").write_text(line + "0 0.5 0.5 0.25 0.5\n" if text is None else text)
    (folder / "data.yaml").write_text("nc: 2\nnames: [head, face]\n")
    return folder


def voc(folder: Path, **changes: Any) -> Path:
    picture(folder / "JPEGImages" / "a.png")
    values = {"xmin": 11, "ymin": 21, "xmax": 40, "ymax": 44, "width": WIDTH, "height": HEIGHT, **changes}
    corners = "".join(f"<{k}>{values[k]}</{k}>" for k in ("xmin", "ymin", "xmax", "ymax"))
    other = "<xmin>31</xmin><ymin>16</ymin><xmax>50</xmax><ymax>45</ymax>"
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "a.xml").write_text(
        f"<annotation><filename>x.png</filename><size><width>{values['width']}</width>"
        f"<height>{values['height']}</height></size>"
        f"<object><name>face</name><difficult>0</difficult><bndbox>{corners}</bndbox></object>"
        f"<object><name>head</name><bndbox>{other}</bndbox></object></annotation>"
    )
    return folder


def coco_values() -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": BOX},
            {"id": 2, "image_id": 7, "category_id": 4, "bbox": [30, 15, 20, 30], "iscrowd": 0},
        ],
        "categories": [{"id": 3, "name": "face"}, {"id": 4, "name": "head"}],
    }


def coco(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda values: None) -> Path:
    picture(folder / "train" / "a.png")
    values = coco_values()
    change(values)
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(values))
    return folder


def brightness(sample: Sample) -> float:
    x, y, w, h = (round(float(v)) for v in sample.boxes[0])
    return float(sample.pixels[y : y + h, x : x + w].mean())


@pytest.mark.parametrize("make", [yolo, voc, coco])
def test_formats(make: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = load(make(tmp_path))[0]
    assert np.allclose(sample.boxes, [BOX, [30, 15, 20, 30]], atol=1e-3) and sample.complete
    assert brightness(sample) > 210
    said = capsys.readouterr().err
    assert "face 1" in said and "head 1" in said and "2 boxes" in said
    assert np.allclose(load(tmp_path, classes=["face"])[0].boxes, [BOX], atol=1e-3)
    with pytest.raises(InputError, match=r"has the classes face, head, not 'person'"):
        load(tmp_path, classes=["person"])


def test_formats_elsewhere(tmp_path: Path) -> None:
    """A part of a YOLO set, XML files beside the pictures, and a COCO file that is named itself."""
    (tmp_path / "y" / "labels" / "train").mkdir(parents=True)
    for part in ("train", "val"):
        picture(tmp_path / "y" / "images" / part / "a.png")
    (tmp_path / "y" / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "y" / "data.yaml").write_text("names:\n  0: face\n")
    assert load(tmp_path / "y" / "images" / "train", classes=["face"])[0].boxes.tolist() == [[20, 15, 40, 30]]
    with pytest.raises(InputError, match="holds the parts train, val"):
        load(tmp_path / "y")
    voc(tmp_path / "v")
    (tmp_path / "v" / "Annotations" / "a.xml").rename(tmp_path / "v" / "JPEGImages" / "a.xml")
    assert len(load(tmp_path / "v" / "JPEGImages")[0].boxes) == 2
    coco(tmp_path / "c")
    assert len(load(tmp_path / "c" / "annotations" / "instances_train.json")[0].boxes) == 2


def test_what_cannot_be_told_apart_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"no labels of a kind that is read, but notes.txt"):
        load(tmp_path)
    yolo(tmp_path)
    jsonl(tmp_path, [BOX])
    with pytest.raises(InputError, match=r"several kinds, keep one: labels.jsonl .*; YOLO"):
        load(tmp_path)


def test_no_picture_and_no_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="no labelled picture"):
        load(jsonl(tmp_path))
    assert len(load(jsonl(tmp_path, []))[0].boxes) == 0
    assert "no boxes" in capsys.readouterr().err


def test_large_pictures_are_read_without_a_word(tmp_path: Path) -> None:
    Image.new("L", (40, 30)).save(tmp_path / "panorama.png")
    script = (  # Pillow warns from its limit on, and raises from twice as many pixels on
        "import sys; from pathlib import Path; from PIL import Image; from rnnpool_training.images import read\n"
        "Image.MAX_IMAGE_PIXELS = int(sys.argv[2])\n"
        "print(read(Path(sys.argv[1]), 1).shape)"
    )
    for limit, out, error in ((1000, "(30, 40, 1)\n", ""), (500, "", "exceeds limit of 1000 pixels")):
        command = [sys.executable, "-c", script, tmp_path / "panorama.png", str(limit)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stdout == out and (error in done.stderr if error else not done.stderr)


@pytest.mark.parametrize("orientation", [1, 2, 3, 5, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_pictures_are_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    picture(tmp_path / f"images/a{suffix}", orientation)
    assert read(tmp_path / f"images/a{suffix}", 3).shape == (HEIGHT, WIDTH, 3)
    assert read(tmp_path / f"images/a{suffix}", 3, 40).shape == (30, 40, 3)
    (tmp_path / "labels.jsonl").write_text(json.dumps({"file": f"images/a{suffix}", "boxes": [BOX], "label": 0}))
    (sample,) = load(tmp_path)
    assert sample.pixels.shape == (HEIGHT, WIDTH) and brightness(sample) > 210
    assert load_labelled(tmp_path, 1)[0].pixels[:, :, 0].tolist() == sample.pixels.tolist()


def test_boxes_of_the_picture_as_stored_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg", 6)
    line = {"file": "images/a.jpg", "boxes": [BOX], "label": 0, "width": HEIGHT, "height": WIDTH}
    (tmp_path / "labels.jsonl").write_text(json.dumps(line))
    for reader in (load, lambda folder: load_labelled(folder, 3)):
        with pytest.raises(InputError, match=r"line 1: images/a.jpg is 80x60 upright, its label says 60x80; .*EXIF"):
            reader(tmp_path)
    (tmp_path / "labels.jsonl").write_text(json.dumps({**line, "width": 160, "height": 120}))
    with pytest.raises(InputError, match=r"80x60 upright, its label says 160x120$"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([0.5, 0.5, 0.2, 0.3], "smaller than a pixel: boxes are in pixels, not parts"),
        ([40, 30, 70, 55], "ends 30.0 pixels outside of the picture of 80x60 .upright.. Are these corners"),
        ([500, 500, 50, 50], "outside of the picture of 80x60"),
        ([-20, 0, 30, 30], "20.0 pixels outside"),
        ([0, 0, 84, 10], "4.0 pixels outside"),
        ([30, 30, -10, -10], "no area"),
        ([30, 30, 0, 10], "no area"),
        ([80.5, 0, 1, 10], "outside of the picture"),
        ([float("nan"), 0, 10, 10], "line 1: boxes must be"),
        ([float("inf"), 0, 10, 10], "line 1: boxes must be"),
        (["1", "2", "3", "4"], "line 1: boxes must be"),
        ([True, True, True, True], "line 1: boxes must be"),
        ([1, 2, 3], "line 1: boxes must be"),
        ([1, 2, 3, 4, 5], "line 1: boxes must be"),
        ([[1, 2, 3, 4]], "line 1: boxes must be"),
        ([10**400, 0, 1, 1], "line 1: boxes must be"),
        (None, "line 1: boxes must be"),
        ({"x": 1}, "line 1: boxes must be"),
    ],
)
def test_boxes_that_cannot_be_right(box: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(jsonl(tmp_path, [box]))


def test_boxes_slightly_outside_are_clipped(tmp_path: Path) -> None:
    (sample,) = load(jsonl(tmp_path, [[-1, -0.5, 20, 20], [70, 50, 11, 11.5], [0, 0, 80, 60]]))
    assert sample.boxes.tolist() == [[0, 0, 19, 19.5], [70, 50, 10, 10], [0, 0, 80, 60]]


GOOD = json.dumps({"file": "images/a.png", "boxes": [BOX]}).encode()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"file": "images/a', "line 2: no JSON"),
        (b"[" * 100_000, "line 2: no JSON"),
        (b"[1]", "line 2: must be an object"),
        (b'{"boxes": []}', "line 2: must be an object"),
        (b'{"file": "images/a.png"}', "line 2: must be an object"),
        (b'{"file": 3, "boxes": []}', "line 2: must be an object"),
        (b'{"file": "b", "boxes": 5}', "line 2: boxes must be"),
        (b'{"file": "b", "boxes": null}', "line 2: boxes must be"),
        (b'{"file": "b", "boxes": [], "complete": "no"}', "line 2: complete must be"),
        (b'{"file": "b", "boxes": [], "source": 1}', "line 2: source must be"),
        (b'{"file": "b", "boxes": [], "label": true}', "line 2: label must be"),
        (b'{"file": "b", "boxes": [], "width": "80", "height": 60}', "line 2: width and height"),
        (b'{"file": "images/\xff.png", "boxes": []}', "line 2: not UTF-8"),
        (GOOD, "line 2: images/a.png is already in line 1"),
        (b'{"file": "images/none.png", "boxes": []}', "line 2: .*none.png can't be read as an image: it is not there"),
        (b'{"file": "images", "boxes": []}', "line 2: .*can't be read as an image"),
    ],
)
def test_lines_that_are_no_label(line: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(jsonl(tmp_path, GOOD, line))


def test_lines_that_are_unusual(tmp_path: Path) -> None:
    """A BOM, CRLF, blank lines, and U+2028 within a name."""
    name = "images/a\u2028b.png"
    picture(tmp_path / name)
    odd = json.dumps({"file": name, "boxes": [BOX]}, ensure_ascii=False).encode()
    jsonl(tmp_path, b"\xef\xbb\xbf" + GOOD + b"\r", b"", b" ", odd)
    assert [s.name for s in load(tmp_path)] == ["images/a.png", name]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0.5 0.5 0.25\n", r"a.txt, line 1: must be the numbers"),
        ("\n0 0.5 0.5 0.25 0.5 0.9\n", r"a.txt, line 2: must be the numbers"),
        ("face 0.5 0.5 0.25 0.5\n", r"a.txt, line 1: must be the numbers"),
        ("-1 0.5 0.5 0.25 0.5\n", r"a.txt, line 1: must be the numbers"),
        ("0 nan 0.5 0.25 0.5\n", r"a.txt, line 1: YOLO's boxes are parts"),
        ("0 40 30 20 20\n", r"a.txt, line 1: YOLO's boxes are parts"),
        ("2 0.5 0.5 0.25 0.5\n", r"a.txt, line 1: class 2, but there are names of 2"),
        ("0 0.9 0.5 0.5 0.5\n", r"a.txt: box .* ends 12.0 pixels outside"),
    ],
)
def test_bad_yolo(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(yolo(tmp_path, text))


def test_yolo_files_beside_it(tmp_path: Path) -> None:
    """Hidden files are none, .TXT is a text, line 3 of classes.txt is class 2, and two pictures share no labels."""
    folder = yolo(tmp_path)
    (folder / "labels/a.txt").rename(folder / "labels/a.TXT")
    for name in ("images/._a.png", "images/.trash/c.png", "labels/._a.txt", "labels/.trash/c.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\x00\x05")
    (folder / "data.yaml").unlink()
    (folder / "labels/b.txt").write_text("2 0.5 0.5 0.5 0.5\n")
    (folder / "classes.txt").write_bytes(b"\xef\xbb\xbfhead\r\nface\r\n\r\n\r\n")
    with pytest.raises(InputError, match="class 2, but there are names of 2 classes only"):
        load(folder)
    (folder / "classes.txt").write_text("head\n\nhand\n\n")
    with pytest.raises(InputError, match="class 1, but there are names of 2 classes only"):
        load(folder)
    (folder / "classes.txt").write_text("head\nface\nhand\n\n")
    assert [len(sample.boxes) for sample in load(folder, classes=["face"])] == [1, 0]
    assert [len(sample.boxes) for sample in load(folder, classes=["hand"])] == [0, 1]
    picture(folder / "images/a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg and a\.png would share the labels a\.txt"):
        load(folder)


def test_yolo_labels_without_a_picture(tmp_path: Path) -> None:
    (yolo(tmp_path) / "labels" / "c.txt").write_text("")
    with pytest.raises(InputError, match=r"c.txt is of no picture"):
        load(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [")
    with pytest.raises(InputError, match=r"data.yaml must have names"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"xmax": 5}, r"a.xml, object 1: its corners are the wrong way round: 11, 21 and 5, 44"),
        ({"xmax": "x"}, r"a.xml, object 1: xmax must be a number, is 'x'"),
        ({"xmax": 90}, r"a.xml: box .* ends 10.0 pixels outside"),
        ({"width": HEIGHT, "height": WIDTH}, r"a.xml: JPEGImages/a.png is 80x60 upright, its label says 60x80"),
    ],
)
def test_bad_voc(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(voc(tmp_path, **changes))


def test_voc_files(tmp_path: Path) -> None:
    path = voc(tmp_path) / "Annotations" / "a.xml"
    text = path.read_text()
    path.write_text(text.replace("<difficult>0", "<difficult>1"))
    (sample,) = load(tmp_path)
    assert sample.boxes.tolist() == [[30, 15, 20, 30]] and not sample.complete
    path.write_text(text[:100])
    with pytest.raises(InputError, match=r"a.xml is no XML: .*line 1"):
        load(tmp_path)
    path.write_text(text)
    picture(tmp_path / "JPEGImages" / "a.jpg")
    with pytest.raises(InputError, match=r"a.xml: which of a.jpg and a.png it is of can't be known"):
        load(tmp_path)
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    (tmp_path / "JPEGImages" / "a.png").unlink()
    with pytest.raises(InputError, match=r"a.xml: no picture a\.\*"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["annotations"][1].pop("bbox"), r"annotations\[1\]: no bbox"),
        (lambda v: v["annotations"][1].update(bbox=[1, 2, "3", 4]), r"annotations\[1\]: boxes must be"),
        (lambda v: v["annotations"][1].update(image_id=9), r"annotations\[1\]: image_id 9"),
        (lambda v: v["annotations"][1].update(bbox=[0, 0, 100, 20]), r"images\[0\]: box .* ends 20.0 pixels outside"),
        (lambda v: v["images"].append(v["images"][0]), r"images\[1\]: the id 7 is already"),
        (lambda v: v["images"][0].update(file_name="b.png"), r"its first picture, b.png, is in none of"),
        (lambda v: v["images"].append(v["images"][0] | {"id": 8}), r"images\[1\]: a.png is already in images\[0\]"),
        (lambda v: v["categories"][0].update(id=[1]), r"categories\[0\]: id must be a number, is \[1\]"),
        (lambda v: v["annotations"][0].update(image_id={}), r"annotations\[0\]: image_id must be a number, is {}"),
        (lambda v: v.update(images={}), r"must be an object with a list images"),
    ],
)
def test_bad_coco(change: Callable[[dict[str, Any]], Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(coco(tmp_path, change))


def test_crowds_are_left_out(tmp_path: Path) -> None:
    (sample,) = load(coco(tmp_path, lambda v: v["annotations"][1].update(iscrowd=1)))
    assert len(sample.boxes) == 1 and not sample.complete


def test_broken_pictures_are_listed_together(tmp_path: Path) -> None:
    lines = [{"file": f"images/{i}.png", "boxes": []} for i in range(5)]
    with pytest.raises(InputError, match=r"0.png .*1.png .*2.png .*and 2 more of 5 pictures"):
        load(jsonl(tmp_path, *lines))
    with pytest.raises(InputError, match="HEIC is not read"):
        read(tmp_path / "a.HEIC", 1)
    image = Image.new("L", (HEIGHT, WIDTH))
    exif = image.getexif()
    exif[0x112] = 6
    image.save(tmp_path / "a.tif", exif=exif)
    with pytest.raises(InputError, match="uncompressed TIFF"):
        read(tmp_path / "a.tif", 1)
