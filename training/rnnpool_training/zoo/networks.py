"""The names of the zoo: constructors with the paper's arguments, beside the paper's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import nn

from .baselines import SSDLite, eagleeye
from .densenet import DenseNet121
from .efficientnet import EfficientNetB0
from .entry import Entry, Paper
from .faces import face_a, face_b, face_c, face_m4, face_quant, face_qvga
from .googlenet import GoogLeNet
from .mobilenet import FIRST, MobileNetV1, MobileNetV2, visual_wake_words
from .pooling import Pooling
from .resnet import ResNet18

PICTURE = (3, 224, 224)
Numbers = tuple[float | None, float | None, str, str]  # parameters, multiply-adds in millions; RAM; accuracy


def _entry(
    name: str, family: str, make: Callable[..., nn.Module], where: str = "", numbers: Numbers | None = None, **more: Any
) -> Entry:
    paper = Paper(where, *numbers) if numbers else None
    return Entry(name=name, family=family, make=make, paper=paper, **{"shape": PICTURE, **more})


def _pooling(operator: Any, patch: int) -> Pooling:
    return Pooling(operator, patch, 4)


def _imagenet() -> Iterator[Entry]:
    numbers: Numbers
    family = "MobileNetV2, ImageNet-10"
    net = MobileNetV2
    yield _entry("mobilenetv2", family, net, "T1", (2.20, 300, "2.29 MB", "94.20"))
    yield _entry(
        "mobilenetv2-rnnpool", family, partial(net, first=(FIRST,)), "T1, T16 a", (2.0, 226, ".24 MB", "94.40")
    )
    yield _entry("mobilenetv2-last-rnnpool", family, partial(net, last_hidden=320), "T2", (2.9, 334, "", "95.00"))
    yield _entry(
        "mobilenetv2-rnnpool-both", family, partial(net, first=(FIRST,), last_hidden=320), "T2", (2.7, 260, "", "95.60")
    )
    for operator, numbers in (
        ("average", (2.0, 200.0, "", "90.80")), ("max", (2.0, 200.0, "", "92.80")),
        ("strided", (2.1, 258.0, "", "93.00")), ("renet", (2.3, 296.0, "", "92.20")),
    ):  # fmt: skip
        yield _entry(f"mobilenetv2-{operator}", family, partial(net, first=(_pooling(operator, 6),)), "T2", numbers)
    for cell, madds, accuracy in (("lstm", 266, "93.4"), ("gru", 246, "93.0")):
        yield _entry(
            f"mobilenetv2-{cell}", family, partial(net, first=(_pooling(cell, 6),)), "T18", (None, madds, "", accuracy)
        )
    for letter, patches, pooled, replaced, numbers in (
        ("b", ((8, 4),), 64, 3, (None, 240.0, ".24 MB", "94.0")),
        ("c", ((4, 4),), 64, 3, (None, 220.0, ".24 MB", "93.2")),
        ("d", ((6, 4),), 32, 3, (None, 210.0, ".14 MB", "92.8")),
        ("e", ((6, 4),), 128, 3, (None, 290.0, ".43 MB", "95.0")),
        ("f", ((12, 8),), 64, 4, (None, 170.0, ".14 MB", "94.0")),
        ("g", ((6, 4), (4, 2)), 64, 4, (None, 170.0, ".19 MB", "93.2")),
    ):
        first = tuple(Pooling("rnnpool", *patch) for patch in patches)
        yield _entry(
            f"mobilenetv2-rnnpool-{letter}", family, partial(net, first=first, pooled=pooled, replaced=replaced),
            f"T16 {letter}", numbers,
        )  # fmt: skip
    family = "Others, ImageNet-10"
    yield _entry("efficientnet-b0", family, EfficientNetB0, "T1", (4.03, 390, "2.29 MB", "96.00"))
    yield _entry(
        "efficientnet-b0-rnnpool", family, partial(EfficientNetB0, first=FIRST), "T1", (3.90, 330, ".25 MB", "96.40")
    )
    yield _entry("resnet18", family, ResNet18, "T1", (11.20, 1800, "3.06 MB", "94.80"))
    yield _entry(
        "resnet18-rnnpool",
        family,
        partial(ResNet18, first=_pooling("rnnpool", 8)),
        "T1",
        (10.60, 950, ".38 MB", "94.40"),
    )
    yield _entry("googlenet", family, GoogLeNet, "T1", (9.96, 1570, "3.06 MB", "96.00"))
    yield _entry(
        "googlenet-rnnpool", family, partial(GoogLeNet, first=_pooling("rnnpool", 8)), "T1",
        (9.35, 810, ".78 MB", "95.60"),
    )  # fmt: skip
    family = "DenseNet121, ImageNet-10"
    dense = DenseNet121
    own = _pooling("rnnpool", 8)
    yield _entry("densenet121", family, dense, "T1", (6.96, 2830, "3.06 MB", "95.40"))
    yield _entry("densenet121-rnnpool", family, partial(dense, first=own), "T1", (5.60, 1040, ".77 MB", "94.80"))
    yield _entry("densenet121-last-rnnpool", family, partial(dense, last=True), "T2", (7.41, 3050, "", "95.40"))
    yield _entry(
        "densenet121-rnnpool-both", family, partial(dense, first=own, last=True), "T2", (6.06, 1260, "", "95.00")
    )
    for operator, numbers in (
        ("average", (5.59, 710.0, "", "92.80")), ("max", (5.59, 710.0, "", "93.40")),
        ("strided", (6.38, 1330.0, "", "93.80")), ("renet", (6.41, 1350.0, "", "93.00")),
    ):  # fmt: skip
        yield _entry(f"densenet121-{operator}", family, partial(dense, first=_pooling(operator, 8)), "T2", numbers)
    yield _entry(
        "densenet121-rnnpool-all", family, partial(dense, first=own, later=True), "text", (None, None, "", "95.4")
    )
    yield _entry(
        "densenet121-rnnpool-all-short", family, partial(dense, first=own, later=True, less=(14, 10)), "text",
        (None, 790, ".43 MB", "94.2"),
    )  # fmt: skip


def _imagenet_1k() -> Iterator[Entry]:
    family = "ImageNet-1K"
    renet = _pooling("renet", 4)
    for name, make, numbers in (
        ("mobilenetv1", MobileNetV1, (4.2, 569.0, "3.06 MB", "69.52")),
        ("mobilenetv1-renet", partial(MobileNetV1, first=renet), (4.2, 487.0, ".77 MB", "66.90")),
        ("mobilenetv1-rnnpool", partial(MobileNetV1, first=FIRST), (4.1, 417.0, ".77 MB", "69.39")),
        ("mobilenetv2-1k", partial(MobileNetV2, classes=1000), (3.4, 300.0, "2.29 MB", "71.81")),
        ("mobilenetv2-1k-renet", partial(MobileNetV2, classes=1000, first=(renet,)), (3.6, 296.0, ".24 MB", "66.72")),
        ("mobilenetv2-1k-rnnpool", partial(MobileNetV2, classes=1000, first=(FIRST,)), (3.2, 226.0, ".24 MB", "70.14")),
    ):
        yield _entry(name, family, make, "T3", numbers)


def _vww() -> Iterator[Entry]:
    family, net = "Visual Wake Words", visual_wake_words
    yield _entry("vww", family, net, "T2", (0.296, 53.2, "250 KB", "90.20"), value=1)
    yield _entry("vww-last-rnnpool", family, partial(net, last_rnnpool=True), "T2", (0.300, 53.4, "", "91.14"), value=1)
    for operator, numbers in (
        ("average", (0.255, 31.9, "", "86.85")), ("max", (0.255, 31.9, "", "86.92")),
        ("strided", (0.264, 39.2, "", "88.08")), ("renet", (0.277, 46.4, "", "88.10")),
    ):  # fmt: skip
        yield _entry(f"vww-{operator}", family, partial(net, first=True, operator=operator), "T2", numbers, value=1)
    yield _entry("vww-rnnpool", family, partial(net, first=True), "T2", (0.255, 37.7, "33.68 KB", "89.57"), value=1)
    yield _entry(
        "vww-rnnpool-192", family, partial(net, first=True, last=192), "T2", (0.255, 37.7, "33.68 KB", "89.57"), value=1
    )
    yield _entry(
        "vww-rnnpool-both",
        family,
        partial(net, first=True, last_rnnpool=True),
        "T2",
        (0.259, 37.9, "", "89.65"),
        value=1,
    )


def _detectors() -> Iterator[Entry]:
    family = "Faces"
    vga, gray = (3, 480, 640), (1, 240, 320)
    for name, make, shape, value, where, numbers in (
        ("face-c", face_c, vga, 4, "T4, T11", (1.52, 1800.0, "6.44 MB", ".92 .89 .70")),
        ("face-b", face_b, vga, 4, "T4, T12", (1.12, 1180.0, "1.76 MB", ".87 .84 .67")),
        ("face-a", face_a, vga, 4, "T4, T13", (0.06, 100.0, "1.17 MB", ".77 .75 .53")),
        ("face-quant", face_quant, vga, 1, "T4, T14", (0.07, 120.0, "225 KB", ".80 .78 .53")),
        ("face-qvga", face_qvga, gray, 1, "T5", (None, 228.0, "185 KB", ".61")),
        ("face-m4", face_m4, gray, 1, "T5, T15", (None, 110.0, "188 KB", ".58")),
        ("eagleeye", eagleeye, vga, 4, "T4", (0.23, 80.0, "1.17 MB", ".74 .70 .44")),
        ("mobilenetv2-ssdlite", SSDLite, (3, 240, 320), 4, "T5", (2.83, 540.0, "3.51 MB", ".63")),
    ):
        yield _entry(name, family, make, where, numbers, shape=shape, value=value, kind="detector")


ENTRIES = {e.name: e for part in (_imagenet(), _imagenet_1k(), _vww(), _detectors()) for e in part}
