#!/usr/bin/env python3
"""Makes what the tests in this folder read: blobs, raw frames, and the detections that the integer reference predicts.

    prepare.py FOLDER

Runs in CPython with the development environment and writes into FOLDER:

- `<model>.rnnp` and `<frame>.raw`;
- `<model>.json`, its cases: a list of objects with name, frame, width, height, format (rnnp_format_t), threshold and
  iou (Q15, null for the model's own) and detections ([x, y, w, h, score in Q15], best first);
- `names.json`, the public names in typings/rnnpool.pyi;
- `rom.img`, `rom_face.img` and `rom_person.img`, ROMFS images with tiny.rnnp, face.rnnp and person.rnnp;
- `rom_names.img`, one with tiny.rnnp and a file `tiny` that is no model.

`inputs.py` reads them in MicroPython.

Models: random weights of fixed seeds (tests/host/networks.py), and models/face.rnnp if it is there.
Pictures: matplotlib's public domain sample, and some of ../shared/data/faces/val if that is there.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import cbook
from PIL import Image, ImageOps

from rnnpool_training.blob import DetectHead, Kind, Model, Task, golden_frame, load, write
from rnnpool_training.layers import split
from rnnpool_training.reference import Format, classify_outputs, detect, raw_outputs, run, run_input
from rnnpool_training.reference.detection import decode

ROOT = Path(__file__).resolve().parents[2]
FACES = ROOT.parent / "shared" / "data" / "faces" / "val" / "images"
NUM_FACES = 3
LAYER_CLASSES = {
    Kind.CONV: "Conv2D",
    Kind.RNNPOOL: "RNNPool",
    Kind.INVERTED_RESIDUAL: "MBConv",
    Kind.GLOBAL_AVERAGE_POOL: "AveragePool",
    Kind.DENSE: "Dense",
    Kind.DETECT_HEAD: "Head",
}
SEEDS = {"classifier": 4}  # whose probabilities differ; else 1
MAX_RESULTS = 64  # RNNPOOL_MAX_RESULTS, mp_module/binding/binding.h

sys.path[:0] = [str(ROOT / "tests" / "host"), str(ROOT / "tools")]
from make_romfs import build  # noqa: E402
from networks import NETWORKS  # noqa: E402


class Frame(NamedTuple):
    """A picture as a camera would give it."""

    name: str
    pixels: bytes
    width: int
    height: int
    format: Format


def pack(picture: Image.Image, format: Format) -> bytes:
    """The picture's pixels in a format, rows from the top, without padding."""
    if format == Format.GRAY8:
        return picture.convert("L").tobytes()
    if format.in_pairs:
        ycc = np.asarray(picture.convert("YCbCr"))
        chroma = np.stack([ycc[:, ::2, 1], ycc[:, ::2, 2]], -1).reshape(ycc.shape[:2])
        pair = (ycc[..., 0], chroma) if format == Format.YUYV else (chroma, ycc[..., 0])
        return np.stack(pair, -1).tobytes()
    if format == Format.YUV420:
        return picture.convert("L").tobytes() + bytes(range(256)) * (picture.width * picture.height // 512)
    rgb = np.asarray(picture.convert("RGB"), np.uint16)
    if format in (Format.RGB888, Format.BGR888):
        return rgb[..., :: 1 if format == Format.RGB888 else -1].astype(np.uint8).tobytes()
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    order = ">u2" if format == Format.RGB565_BE else "<u2"
    return (r >> 3 << 11 | g >> 2 << 5 | b >> 3).astype(order).tobytes()


def make_frame(picture: Image.Image, name: str, width: int, height: int, format: Format) -> Frame:
    """The picture cut to the frame's aspect and scaled to its size."""
    fitted = ImageOps.fit(picture.convert("RGB"), (width, height))
    return Frame(f"{name}_{width}x{height}_{format.name.lower()}", pack(fitted, format), width, height, format)


def face_pictures() -> Iterator[tuple[str, Image.Image]]:
    """Some of the validation images; none, with a note, if the data is not there."""
    if not FACES.is_dir():
        print(f"prepare.py: no {FACES}: only the sample picture is used", file=sys.stderr)
        return
    for path in sorted(FACES.glob("*.jpg"))[:NUM_FACES]:
        yield path.stem, Image.open(path)


def frames_of(model: str, portrait: Image.Image) -> Iterator[Frame]:
    """What a model is tried on: its own size, smaller, larger, odd, wide and tall frames, in all formats."""
    if model == "tiny":  # 32x24 gray
        yield make_frame(portrait, "portrait", 32, 24, Format.GRAY8)
        yield make_frame(portrait, "portrait", 32, 24, Format.RGB565)
        yield make_frame(portrait, "portrait", 32, 24, Format.RGB888)
        for format in (Format.RGB565_BE, Format.BGR888, Format.YUYV, Format.UYVY, Format.YUV420):
            yield make_frame(portrait, "portrait", 32, 32, format)
        yield make_frame(portrait, "portrait", 64, 48, Format.GRAY8)
        yield make_frame(portrait, "portrait", 53, 61, Format.RGB565)
        yield make_frame(portrait, "portrait", 19, 7, Format.RGB888)
        yield make_frame(portrait, "portrait", 5, 40, Format.GRAY8)
        yield make_frame(portrait, "portrait", 1, 1, Format.GRAY8)
    elif model == "segmented":  # 40x32 RGB
        yield make_frame(portrait, "portrait", 40, 32, Format.RGB888)
        yield make_frame(portrait, "portrait", 40, 32, Format.GRAY8)
        yield make_frame(portrait, "portrait", 47, 31, Format.RGB565)
    elif model == "classifier":  # 48x40 RGB
        yield make_frame(portrait, "portrait", 48, 40, Format.RGB888)
        yield make_frame(portrait, "portrait", 48, 40, Format.RGB565)
        yield make_frame(portrait, "portrait", 48, 40, Format.GRAY8)
        for format in (Format.RGB565_BE, Format.BGR888, Format.YUYV, Format.UYVY):
            yield make_frame(portrait, "portrait", 64, 48, format)
        yield make_frame(portrait, "portrait", 64, 48, Format.RGB565)
        yield make_frame(portrait, "portrait", 19, 33, Format.RGB888)
    elif model == "classes":  # 40x30 RGB
        yield make_frame(portrait, "portrait", 40, 30, Format.RGB888)
        yield make_frame(portrait, "portrait", 30, 41, Format.RGB565)
    elif model == "heat_map":  # 36x28 gray
        yield make_frame(portrait, "portrait", 36, 28, Format.GRAY8)
        yield make_frame(portrait, "portrait", 72, 40, Format.YUYV)
        yield make_frame(portrait, "portrait", 7, 30, Format.RGB565_BE)
    else:  # 320x240 gray
        yield make_frame(portrait, "portrait", 320, 240, Format.GRAY8)
        yield make_frame(portrait, "portrait", 320, 240, Format.RGB565)
        yield make_frame(portrait, "portrait", 256, 300, Format.RGB888)
        yield make_frame(portrait, "portrait", 160, 120, Format.GRAY8)
        for name, picture in face_pictures():
            yield Frame(name, pack(picture, Format.GRAY8), picture.width, picture.height, Format.GRAY8)


def limits_of(model: Model) -> Iterator[tuple[int | None, int | None]]:
    """Pairs of threshold and overlap limit to try, Q15."""
    yield None, None
    if model.width <= 40:
        yield 1000, 30000
        yield 26000, 0


def make_cases(name: str, model: Model, frame: Frame) -> Iterator[dict[str, Any]]:
    """One case for each pair of limits with the reference's detections, or one with its probabilities."""
    if model.task != Task.DETECTION:
        outputs = run(model, frame.pixels, frame.width, frame.height, frame.format)
        case: dict[str, Any] = {
            "name": f"{name} {frame.name}",
            "frame": frame.name,
            "width": frame.width,
            "height": frame.height,
            "format": int(frame.format),
            "raw": raw_outputs(model, outputs).ravel().tolist(),
        }
        if model.task == Task.CLASSIFICATION:
            case["probabilities"] = classify_outputs(model, outputs)
        else:
            case["scale"] = model.result_scale
        yield case
        return
    for threshold, iou in limits_of(model):
        found = detect(model, frame.pixels, frame.width, frame.height, frame.format, threshold, iou, MAX_RESULTS)
        yield {
            "name": f"{name} {frame.name} {threshold} {iou}",
            "frame": frame.name,
            "width": frame.width,
            "height": frame.height,
            "format": int(frame.format),
            "threshold": threshold,
            "iou": iou,
            "detections": [[*d[:5], d.label][: 5 + (len(model.labels) > 1)] for d in found],
        }


def write_layers(folder: Path, name: str, model: Model, count: int = 64) -> None:
    """The first operators of a model as layers, FOLDER/NAME_*.rnnp, and NAME_layers.json with what they give.

    The list has for each the file, its class, the number of the operator that it reads (0: the frame), and the CRC-32
    of its output for the model's golden frame, which is NAME_golden.raw. A head also has the logit (Q12) of the best
    box that is not saturated, and its edges (1/16 pixel).
    """
    pixels = golden_frame(model)
    outputs = run_input(model, pixels)
    (folder / f"{name}_golden.raw").write_bytes(pixels.tobytes())
    entries = []
    for op, (file, layer), output in list(zip(model.ops, split(model).items(), outputs, strict=True))[:count]:
        (folder / f"{name}_{file}").write_bytes(write(layer))
        entry: dict[str, Any] = {"file": f"{name}_{file}", "class": LAYER_CLASSES[op.kind], "input": op.input}
        entry["crc"] = zlib.crc32(output.astype(output.dtype.newbyteorder("<")).tobytes())
        if isinstance(op, DetectHead):
            logits, boxes, _ = decode(op, output.astype(np.int16))
            whole = (np.abs(boxes) < 32767).all(1) & (np.abs(logits) < 32767)
            best = int(np.where(whole, logits, -32768).argmax())
            entry.update(logit=int(logits[best]), edges=boxes[best].tolist())
        entries.append(entry)
    (folder / f"{name}_layers.json").write_text(json.dumps(entries))


def described_names() -> dict[str, list[str]]:
    """Public names in typings/rnnpool.pyi: of the module (key "rnnpool") and of its classes, by name."""
    module: set[str] = set()
    classes: dict[str, set[str]] = {}
    for node in ast.parse((ROOT / "typings" / "rnnpool.pyi").read_text()).body:
        if isinstance(node, ast.FunctionDef):
            module.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            module.add(node.target.id)
        elif isinstance(node, ast.ClassDef):
            names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)} - {"__init__"}
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if "Protocol" in bases:  # for the file itself
                continue
            classes[node.name] = names.union(*(classes[base] for base in bases))
            if not node.name.startswith("_"):
                module.add(node.name)
    return {name: sorted(names) for name, names in {"rnnpool": module, **classes}.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the inputs go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    models = {name: make(SEEDS.get(name, 1)) for name, make in NETWORKS.items()}
    face = ROOT / "models" / "face.rnnp"
    if face.exists():
        models["face"] = load(face)
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        portrait = Image.open(file)
        portrait.load()

    for name, model in models.items():
        cases: list[dict[str, Any]] = []
        (folder / f"{name}.rnnp").write_bytes(write(model))
        for frame in frames_of(name, portrait):
            (folder / f"{frame.name}.raw").write_bytes(frame.pixels)
            cases += make_cases(name, model, frame)
        if not any(
            case.get("detections") or max(case.get("probabilities", [32767])) < 32000 or "scale" in case
            for case in cases
        ):
            raise SystemExit(f"prepare.py: {name} finds nothing in any frame: its cases could not fail")
        (folder / f"{name}.json").write_text(json.dumps(cases))
    write_layers(folder, "classifier", models["classifier"])
    write_layers(folder, "front", models["face_m4"], 2)
    write_layers(folder, "tiny", models["tiny"])
    (folder / "names.json").write_text(json.dumps(described_names()))
    (folder / "rom.img").write_bytes(build({"tiny.rnnp": write(models["tiny"])}))
    (folder / "rom_names.img").write_bytes(build({"tiny": b"no model", "tiny.rnnp": write(models["tiny"])}))
    (folder / "rom_face.img").write_bytes(build({"face.rnnp": write(models["face_m4"])}))
    (folder / "rom_person.img").write_bytes(build({"person.rnnp": write(models["classifier"])}))


if __name__ == "__main__":
    main()
