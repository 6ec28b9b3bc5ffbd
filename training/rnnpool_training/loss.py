"""S3FD-style anchor matching and the detection loss, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .anchors import VARIANCES


@dataclass
class Targets:
    """Labels of a batch, padded to the same number of boxes G.

    boxes (B, G, 4): x0, y0, x1, y1 in pixels; kind (B, G): 1 a face, 2 a region to ignore, 0 padding;
    complete (B,): whether every face of the picture is labelled.
    """

    boxes: Tensor
    kind: Tensor
    complete: Tensor


def _square_corners(anchors: Tensor) -> Tensor:
    half = anchors[:, 2:] / 2
    return torch.cat([anchors[:, :2] - half, anchors[:, :2] + half], dim=1)


def _pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes b (B, G, 4) with a (A, 4), corners: (B, G, A)."""
    ax0, ay0, ax1, ay1 = a.t().contiguous()[:, None, None].unbind(0)
    bx0, by0, bx1, by1 = b[..., None].unbind(2)
    overlap = (torch.minimum(ax1, bx1) - torch.maximum(ax0, bx0)).clamp_(min=0)
    overlap *= (torch.minimum(ay1, by1) - torch.maximum(ay0, by0)).clamp_(min=0)
    area_a, area_b = (ax1 - ax0) * (ay1 - ay0), (bx1 - bx0) * (by1 - by0)
    return overlap / (area_a + area_b - overlap).clamp_(min=1e-6)


def match(
    anchors: Tensor, targets: Targets, threshold: float = 0.4, low: float = 0.15, wanted: int = 6
) -> tuple[Tensor, Tensor, Tensor]:
    """Assign anchors to faces: (index (B, A) of the face or -1, ignored (B, A), near (B, A)).

    An anchor belongs to the face that it overlaps most if IoU >= threshold. A face with fewer than `wanted` such
    anchors also takes its best ones with IoU > low (S3FD's second stage), and always its very best one. Anchors
    between (IoU > 0.3) or on an ignored region are neither positive nor negative. `near`: any IoU > 0.05 with a label.
    """
    iou = _pairwise_iou(_square_corners(anchors), targets.boxes)  # (B, G, A)
    face, region = (targets.kind == 1)[:, :, None], (targets.kind == 2)[:, :, None]
    faces = iou * face
    best, index = faces.max(dim=1)
    positive = best >= threshold
    near = best > 0.05
    top, who = faces.topk(min(wanted, faces.shape[2]), dim=2)  # (B, G, k): the best anchors of each face
    rank = torch.arange(top.shape[2])
    owned = torch.gather(index, 1, who.flatten(1)).view_as(who) == torch.arange(faces.shape[1])[:, None]
    owned &= torch.gather(positive, 1, who.flatten(1)).view_as(who)
    take = ((top > low) & (owned.sum(dim=2, keepdim=True) < wanted) | (rank == 0)) & face & (top > 0)
    # Only anchors that are free, except for a face's very best one, which comes last and wins.
    for row in range(top.shape[2] - 1, -1, -1):
        batch, g = torch.nonzero(take[:, :, row], as_tuple=True)
        a = who[batch, g, row]
        if row > 0:
            free = ~positive[batch, a]
            batch, g, a = batch[free], g[free], a[free]
        index[batch, a] = g
        positive[batch, a] = True
    ignored = ~positive & ((best > 0.3) | ((iou * region).amax(dim=1) > 0.2))
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


def detection_loss(output: Tensor, anchors: Tensor, targets: Targets) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch, output (B, A, 5), and its parts for the log.

    Classification is a quality focal loss (Li et al. 2020): positives aim for the IoU of their predicted box, which
    ranks well-placed boxes first. In pictures where not every face is labelled, a confident detection far from all
    labels may be a face: it counts a tenth.
    """
    index, ignored, near = match(anchors, targets)
    positive = index >= 0
    logit = output[..., 0]
    batch, a = torch.nonzero(positive, as_tuple=True)
    boxes = targets.boxes[batch, index[batch, a]]
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
    total = classification + 1.0 * regression
    parts = {"class": classification.item(), "box": regression.item(), "iou": iou.mean().item() if len(iou) else 0.0}
    return total, parts
