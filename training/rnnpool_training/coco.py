"""COCO's annotations as a data folder for Visual Wake Words (Chowdhery et al. 2019).

python -m rnnpool_training.coco instances_train2017.json IMAGES OUT [--only-ids FILE] [--without-ids FILE]

Writes OUT/labels.jsonl and OUT/images: pictures that fit 256x256, and label 1 where the box of a person covers at
least 0.5 % of the picture.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from . import files
from .command import command, real
from .data import Record
from .data.coco import contents, read
from .data.load import placed
from .errors import InputError
from .images import read as read_picture
from .pictures import PERSON_AREA

SIDE = 256  # pixels; views of up to 224 are made from them


def read_ids(path: Path) -> set[int]:
    """Image numbers, one a line: the form of the minival list."""
    try:
        return {int(line) for line in path.read_text(encoding="utf-8").split()}
    except ValueError as error:
        raise InputError(f"{path} must hold one image number a line: {error}") from None


def labelled(annotations: Path, images: Path, category: str, area: float) -> dict[int, Record]:
    """For each picture, by its number, the boxes of the category and the label: 1 if one covers `area` of the picture.

    Boxes of crowds count as any other. InputError where the annotations can't be used.
    """
    records = read(annotations, images, crowds=True)
    known = {str(c["name"]) for c in contents(annotations)["categories"]}
    if category not in known:
        raise InputError(f"{annotations} has no category {category!r}, but {', '.join(sorted(known))}")
    for record in records.values():
        record.boxes = record.boxes[np.array([name == category for name in record.classes], dtype=bool)]
        width, height = record.size or (1, 1)
        record.label = int(any(w * h >= area * width * height for _, _, w, h in record.boxes.tolist()))
    return records


def convert(records: dict[int, Record], out: Path, source: str) -> None:
    """Write the data folder: pictures no longer than SIDE, boxes in their pixels."""
    lines = []
    for number, r in tqdm(sorted(records.items()), unit="image", mininterval=5):
        pixels = read_picture(r.path, 3)
        boxes = placed(r, pixels.shape[1], pixels.shape[0])
        small = Image.fromarray(pixels)
        small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
        scale = small.width / pixels.shape[1], small.height / pixels.shape[0]
        name = f"images/{number:012d}.jpg"
        with files.replacing(out / name) as path:
            small.save(path, quality=90)
        scaled = [[round(v * scale[i % 2], 1) for i, v in enumerate(box)] for box in boxes.tolist()]
        scaled = [box for box in scaled if min(box[2:]) > 0 and max(box[2:]) > 1]  # less than a pixel is no box
        line = {"file": name, "width": small.width, "height": small.height, "label": r.label, "boxes": scaled,
                "source": source, "complete": True}  # fmt: skip
        lines.append(json.dumps(line) + "\n")
    files.write_text(out / "labels.jsonl", "".join(lines))


@command
def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.coco", description=__doc__.split("\n")[0])
    p.add_argument("annotations", type=Path, help="instances_*.json")
    p.add_argument("images", type=Path, help="folder of the pictures")
    p.add_argument("out", type=Path, help="data folder to write")
    p.add_argument("--only-ids", type=Path, help="file of image numbers: only these (validation on minival)")
    p.add_argument("--without-ids", type=Path, help="file of image numbers: all but these (training beside minival)")
    p.add_argument("--category", default="person")
    p.add_argument("--area", type=real(0, 1), default=PERSON_AREA, help="least part of the picture that a box covers")
    options = p.parse_args(arguments)
    made = files.make_folder(files.new_data_folder(options.out) / "images")
    if any(made.iterdir()):
        raise InputError(f"{made} has files in it, which could be lost: choose another folder than {options.out}")
    records = labelled(options.annotations, options.images, options.category, options.area)
    if options.only_ids:
        wanted = read_ids(options.only_ids)
        records = {number: r for number, r in records.items() if number in wanted}
    if options.without_ids:
        unwanted = read_ids(options.without_ids)
        records = {number: r for number, r in records.items() if number not in unwanted}
    if not records:
        raise InputError("no picture is left: the lists of numbers and the annotations have none in common")
    convert(records, options.out, options.annotations.stem)
    positive = sum(r.label for r in records.values())
    print(json.dumps({"images": len(records), "label 1": positive, "out": str(options.out)}))


if __name__ == "__main__":
    main()
