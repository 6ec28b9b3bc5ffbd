"""COCO: one JSON file with images, annotations and categories, and the pictures in a folder near it.

Boxes of crowds (iscrowd) are left out, and their picture counts as not completely labelled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .boxes import boxes, number, shown
from .sample import Record


def json_files(folder: Path) -> list[Path]:
    """The files in a folder, or in its annotations/, that are COCO's by their first bytes."""
    found = [p for place in (folder, folder / "annotations") for p in sorted(place.glob("*.json"))]
    return [p for p in found if _looks_like(p)]


def _looks_like(path: Path) -> bool:
    # Files have up to hundreds of megabytes: the names of the parts are near the start, or at the end.
    with path.open("rb") as file:
        start = file.read(1 << 16)
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        text = start + file.read()
    return start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(
        b'"%s"' % key in text for key in (b"annotations", b"categories", b"images")
    )


def contents(path: Path) -> dict[str, list[dict[str, Any]]]:
    """images, annotations and categories, each a list of objects with what is read here. InputError."""
    try:
        values = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    needs = {"images": ("id", "file_name", "width", "height"), "annotations": ("image_id", "category_id", "bbox"),
             "categories": ("id", "name")}  # fmt: skip
    for part, keys in needs.items():
        if not isinstance(values, dict) or not isinstance(values.get(part), list):
            raise InputError(f"{path} can't be read as COCO annotations: it must be an object with a list {part}")
        for i, item in enumerate(values[part]):
            missing = [k for k in keys if not isinstance(item, dict) or k not in item]
            if missing:
                raise InputError(f"{path}, {part}[{i}]: no {missing[0]} in {shown(item)}")
            for key in keys:
                if key.endswith("id") and not isinstance(item[key], int | float | str):
                    raise InputError(f"{path}, {part}[{i}]: {key} must be a number, is {shown(item[key])}")
    return values


def read(path: Path, images: Path | None = None, crowds: bool = False) -> dict[int, Record]:
    """A record for each image of a file, by its number. InputError.

    `images`: the folder of the pictures, looked for if None; `crowds`: their boxes are as any other.
    """
    values = contents(path)
    names = {c["id"]: str(c["name"]) for c in values["categories"]}
    found: dict[int, Record] = {}
    files: dict[str, str] = {}
    folder = images or _pictures(path, values["images"])
    for i, image in enumerate(values["images"]):
        where = f"{path}, images[{i}]"
        size = image["width"], image["height"]
        if (
            not isinstance(image["id"], int)
            or not isinstance(image["file_name"], str)
            or not all(number(s) and s > 0 for s in size)
        ):
            raise InputError(
                f"{where}: id must be a number, file_name a string, width and height numbers, is {shown(image)}"
            )
        if image["id"] in found:
            raise InputError(f"{where}: the id {image['id']} is already that of {found[image['id']].name}")
        name = image["file_name"]
        if (before := files.setdefault(name, where)) is not where:
            raise InputError(f"{where}: {name} is already in{before.rpartition(',')[2]}")
        none = np.zeros((0, 4), np.float32)
        found[image["id"]] = Record(name, folder / name, where, none, size=(int(size[0]), int(size[1])))
    drawn: dict[Any, list[Any]] = {}
    for i, item in enumerate(values["annotations"]):
        where = f"{path}, annotations[{i}]"
        if item["image_id"] not in found or item["category_id"] not in names:
            raise InputError(f"{where}: image_id {item['image_id']} or category_id {item['category_id']} is not there")
        record = found[item["image_id"]]
        if item.get("iscrowd") and not crowds:
            record.complete = False
            continue
        drawn.setdefault(item["image_id"], []).append(boxes([item["bbox"]], where)[0])
        record.classes.append(names[item["category_id"]])
    for key, those in drawn.items():
        found[key].boxes = np.array(those, np.float32)
    return found


def _pictures(path: Path, images: list[dict[str, Any]]) -> Path:
    # The folder that holds the first picture.
    if not images:
        return path.parent
    first, above = str(images[0]["file_name"]), path.parent
    part = path.stem.removeprefix("instances_")
    places = [above, above / "images", above.parent, above.parent / "images", above.parent / part,
              above.parent / "images" / part]  # fmt: skip
    for place in places:
        if (place / first).is_file():
            return place
    looked = ", ".join(str(p) for p in places)
    raise InputError(f"{path}: its first picture, {first}, is in none of {looked}")
