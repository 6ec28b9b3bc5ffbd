"""Labelled pictures of objects: labels.jsonl, YOLO, Pascal VOC, COCO or WIDER FACE, told apart by what a folder holds.

Boxes are x, y, w, h in pixels of the picture as it is seen: upright, its EXIF orientation applied.
"""

from .load import load, records
from .sample import Record, Sample, frame

__all__ = ["Record", "Sample", "frame", "load", "records"]
