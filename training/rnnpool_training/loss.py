"""S3FD-style anchor matching and the detection loss, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .anchors import VARIANCES


@dataclass
class Targets:
    """Labels of a batch of B views, one after the other.

    boxes (M, 4): x0, y0, x1, y1 in pixels; face (M,): True for a face, False for a region to ignore; counts: boxes of
    each view; complete (B,): whether every face of the view is labelled.
    """

    boxes: Tensor
    face: Tensor
    counts: list[int]
    complete: Tensor


def _square_corners(anchors: Tensor) -> Tensor:
    half = anchors[:, 2:] / 2
    return torch.cat([anchors[:, :2] - half, anchors[:, :2] + half], dim=1)


def _pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes b (M, 4) with a (A, 4), corners: (M, A)."""
    ax0, ay0, ax1, ay1 = a.t().contiguous()[:, None].unbind(0)
    bx0, by0, bx1, by1 = b[..., None].unbind(1)
    overlap = (torch.minimum(ax1, bx1) - torch.maximum(ax0, bx0)).clamp_(min=0)
    overlap *= (torch.minimum(ay1, by1) - torch.maximum(ay0, by0)).clamp_(min=0)
    area_a, area_b = (ax1 - ax0) * (ay1 - ay0), (bx1 - bx0) * (by1 - by0)
    return overlap / (area_a + area_b - overlap).clamp_(min=1e-6)


def match(
    anchors: Tensor, targets: Targets, threshold: float = 0.4, low: float = 0.15, wanted: int = 6
) -> tuple[Tensor, Tensor, Tensor]:
    """Assign anchors to faces: (index (B, A) into the boxes or -1, ignored (B, A), near (B, A)).

    An anchor belongs to the face that it overlaps most if IoU >= threshold. A face with fewer than `wanted` such
    anchors also takes its best ones with IoU > low (S3FD's second stage), and always its very best one. Anchors
    between (IoU > 0.3) or on an ignored region are neither positive nor negative. `near`: any IoU > 0.05 with a face.
    """
    views, count = len(targets.counts), len(anchors)
    best = torch.zeros(views, count)
    index = torch.full((views, count), -1)
    region = torch.zeros(views, count)
    if not len(targets.boxes):
        return index, region.bool(), region.bool()
    iou = _pairwise_iou(_square_corners(anchors), targets.boxes)
    faces = iou * targets.face[:, None]
    start = 0
    for view, boxes in enumerate(targets.counts):
        if boxes:
            best[view], index[view] = faces[start : start + boxes].max(dim=0)
            index[view] += start
            if not targets.face[start : start + boxes].all():
                region[view] = (iou - faces)[start : start + boxes].amax(dim=0)
            start += boxes
    positive = best >= threshold
    near = best > 0.05
    view_of = torch.repeat_interleave(torch.arange(views), torch.tensor(targets.counts))
    top, who = faces.topk(min(wanted, count), dim=1)  # (M, k): the best anchors of each face
    owned = (index[view_of[:, None], who] == torch.arange(len(faces))[:, None]) & positive[view_of[:, None], who]
    first = torch.arange(top.shape[1]) == 0
    take = ((top > low) & (owned.sum(dim=1, keepdim=True) < wanted) | first) & targets.face[:, None] & (top > 0)
    # Only anchors that are free, except for a face's very best one, which comes last and wins.
    for row in range(top.shape[1] - 1, -1, -1):
        box = torch.nonzero(take[:, row])[:, 0]
        if row > 0:
            box = box[~positive[view_of[box], who[box, row]]]
        index[view_of[box], who[box, row]] = box
        positive[view_of[box], who[box, row]] = True
    ignored = ~positive & ((best > 0.3) | (region > 0.2))
    return torch.where(positive, index, -1), ignored, near


def decode_corners(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Deltas (..., 4) and anchors (..., 3) to corners x0, y0, x1, y1."""
    centre = anchors[..., :2] + VARIANCES[0] * deltas[..., :2] * anchors[..., 2:]
    half = 0.5 * anchors[..., 2:] * torch.exp((VARIANCES[1] * deltas[..., 2:]).clamp(-4, 4))
    return torch.cat([centre - half, centre + half], dim=-1)


def generalized_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalized IoU (Rezatofighi et al. 2019) of boxes paired one to one, (N, 4) corners."""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - overlap
    iou = overlap / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def detection_loss(
    output: Tensor, anchors: Tensor, targets: Targets, box_weight: float = 1.0
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch, output (B, A, 5), and its parts for the log; boxes count `box_weight` times.

    Classification is a quality focal loss (Li et al. 2020): positives aim for the IoU of their predicted box, which
    ranks well-placed boxes first. In pictures where not every face is labelled, a confident detection far from all
    labels may be a face: it counts a tenth.
    """
    index, ignored, near = match(anchors, targets)
    positive = index >= 0
    logit = output[..., 0]
    batch, a = torch.nonzero(positive, as_tuple=True)
    boxes = targets.boxes[index[batch, a]]
    iou, giou = generalized_iou(decode_corners(output[batch, a, 1:], anchors[a]), boxes)
    goal = torch.zeros_like(logit)
    goal[batch, a] = 0.5 + 0.5 * iou.detach()
    probability = torch.sigmoid(logit)
    weight = (probability.detach() - goal).abs().square()
    unsure = ~targets.complete[:, None] & ~near & (probability.detach() > 0.3)
    weight = weight * torch.where(unsure, 0.1, 1.0) * ~ignored
    count = max(1.0, float(positive.sum()))
    classification = (F.binary_cross_entropy_with_logits(logit, goal, reduction="none") * weight).sum() / count
    regression = (1 - giou).sum() / count
    total = classification + box_weight * regression
    parts = {"class": classification.item(), "box": regression.item(), "iou": iou.mean().item() if len(iou) else 0.0}
    return total, parts
