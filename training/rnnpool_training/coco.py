"""COCO's annotations as a data folder for Visual Wake Words (Chowdhery et al. 2019).

python -m rnnpool_training.coco instances_train2017.json IMAGES OUT [--only-ids FILE] [--without-ids FILE]

Writes OUT/labels.jsonl and OUT/images: pictures that fit 256x256, and label 1 where the box of a person covers at
least 0.5 % of the picture.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from .errors import InputError
from .pictures import PERSON_AREA

SIDE = 256  # pixels; views of up to 224 are made from them


def read_ids(path: Path) -> set[int]:
    """Image numbers, one a line: the form of the minival list."""
    try:
        return {int(line) for line in path.read_text(encoding="utf-8").split()}
    except ValueError as error:
        raise InputError(f"{path} must hold one image number a line: {error}") from None


def labelled(annotations: Path, category: str, area: float) -> list[dict[str, Any]]:
    """For each picture: id, file_name, width, height, boxes [x, y, w, h] of the category, label (by part of the area).

    Boxes of crowds count as any other. InputError where the annotations can't be used.
    """
    from pycocotools.coco import COCO

    try:
        coco = COCO(str(annotations))
    except (OSError, ValueError, AssertionError, KeyError) as error:
        raise InputError(f"{annotations} can't be read as COCO annotations: {error}") from None
    categories = coco.getCatIds(catNms=[category])
    if not categories:
        known = ", ".join(c["name"] for c in coco.loadCats(coco.getCatIds()))
        raise InputError(f"{annotations} has no category {category!r}, but {known}")
    result = []
    for image in coco.loadImgs(sorted(coco.getImgIds())):
        found = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]], catIds=categories, iscrowd=None))
        boxes = [[float(v) for v in a["bbox"]] for a in found]
        size = image["width"] * image["height"]
        result.append({
            "id": image["id"], "file_name": image["file_name"], "width": image["width"], "height": image["height"],
            "boxes": boxes, "label": int(any(w * h >= area * size for _, _, w, h in boxes)),
        })  # fmt: skip
    return result


def convert(records: list[dict[str, Any]], images: Path, out: Path, source: str) -> None:
    """Write the data folder: pictures no longer than SIDE, boxes in their pixels."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    with (out / "labels.jsonl").open("w", encoding="utf-8") as file:
        for r in tqdm(records, unit="image", disable=None):
            try:
                with Image.open(images / r["file_name"]) as picture:
                    if picture.size != (r["width"], r["height"]):
                        raise InputError(
                            f"{images / r['file_name']} is {picture.width}x{picture.height}, its annotation says "
                            f"{r['width']}x{r['height']}"
                        )
                    small = picture.convert("RGB")
            except OSError as error:
                raise InputError(f"{images / r['file_name']} can't be read as an image: {error}") from None
            small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
            scale = small.width / r["width"], small.height / r["height"]
            name = f"images/{r['id']:012d}.jpg"
            small.save(out / name, quality=90)
            boxes = [[round(v * scale[i % 2], 1) for i, v in enumerate(box)] for box in r["boxes"]]
            line = {"file": name, "width": small.width, "height": small.height, "label": r["label"], "boxes": boxes,
                    "source": source, "complete": True}  # fmt: skip
            file.write(json.dumps(line) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    p = argparse.ArgumentParser(prog="python -m rnnpool_training.coco", description=__doc__.split("\n")[0])
    p.add_argument("annotations", type=Path, help="instances_*.json")
    p.add_argument("images", type=Path, help="folder of the pictures")
    p.add_argument("out", type=Path, help="data folder to write")
    p.add_argument("--only-ids", type=Path, help="file of image numbers: only these (validation on minival)")
    p.add_argument("--without-ids", type=Path, help="file of image numbers: all but these (training beside minival)")
    p.add_argument("--category", default="person")
    p.add_argument("--area", type=float, default=PERSON_AREA, help="least part of the picture that a box covers")
    options = p.parse_args(arguments)
    try:
        records = labelled(options.annotations, options.category, options.area)
        if options.only_ids:
            wanted = read_ids(options.only_ids)
            records = [r for r in records if r["id"] in wanted]
        if options.without_ids:
            unwanted = read_ids(options.without_ids)
            records = [r for r in records if r["id"] not in unwanted]
        if not records:
            raise InputError("no picture is left: the lists of numbers and the annotations have none in common")
        convert(records, options.images, options.out, options.annotations.stem)
    except (InputError, OSError) as error:
        p.exit(1, f"{p.prog}: {error}\n")
    positive = sum(r["label"] for r in records)
    print(json.dumps({"images": len(records), "label 1": positive, "out": str(options.out)}))


if __name__ == "__main__":
    main()
