"""A small network of a user's own that really detects: coloured blocks on textured ground.

Trained from random weights in under a minute, with the losses NanoDet is trained with (cross
entropy on classes, distribution focal loss on distances).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from convert.checkpoint import random_network
from convert.network import NanoDet
from runtime.preprocess import float_input
from runtime.spec import ModelSpec
from tests.conftest import photo

CLASSES = ["bolt", "nut", "washer"]
_COLOURS = ((220, 40, 40), (40, 220, 40), (40, 60, 220))
_STRIDE = 16  # All blocks are of this stride's size.
_STEPS = 120
_BATCH = 8


@dataclass(frozen=True)
class Scene:
    """rgb: uint8 (H, W, 3). xyxy: (N, 4). class_id: (N,)."""

    rgb: np.ndarray
    xyxy: np.ndarray
    class_id: np.ndarray


def scene(seed: int, spec: ModelSpec) -> Scene:
    """One to four blocks that do not touch."""
    rng = np.random.default_rng(seed)
    width, height = spec.input.width, spec.input.height
    rgb = photo(seed, width, height) // 3 + 60
    boxes: list[tuple[int, int, int, int]] = []
    for _ in range(int(rng.integers(1, 5))):
        w, h = rng.integers(36, 72, 2)
        x, y = rng.integers(4, width - w - 4), rng.integers(4, height - h - 4)
        box = int(x), int(y), int(x + w), int(y + h)
        if all(box[0] > b[2] + 16 or box[2] + 16 < b[0] or box[1] > b[3] + 16 or box[3] + 16 < b[1]
               for b in boxes):  # fmt: skip
            boxes.append(box)
    class_id = rng.integers(0, len(CLASSES), len(boxes))
    for (x0, y0, x1, y1), c in zip(boxes, class_id, strict=True):
        shade = rng.integers(-25, 26, (y1 - y0, x1 - x0, 3))
        rgb[y0:y1, x0:x1] = np.clip(np.array(_COLOURS[c]) + shade, 0, 255)
    return Scene(rgb, np.array(boxes, np.float32), class_id)


def trained_network(spec: ModelSpec, seed: int = 0) -> NanoDet:
    """The network of `spec`, trained on scenes from seed 1000 on."""
    network = random_network(spec, seed).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    for step in range(_STEPS):
        batch = [scene(1000 + step * _BATCH + i, spec) for i in range(_BATCH)]
        pixels = [float_input(s.rgb[..., ::-1].copy(), spec) for s in batch]
        levels = network(torch.from_numpy(np.concatenate(pixels)).permute(0, 3, 1, 2))
        loss = torch.zeros(())
        for level, stride in zip(levels, spec.architecture.strides, strict=True):
            targets = zip(*(_targets(s, stride, spec) for s in batch), strict=True)
            scores, distances, mask = (torch.stack(part) for part in targets)
            loss = loss + _loss(level, scores, distances, mask, spec)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _targets(
    example: Scene, stride: int, spec: ModelSpec
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class scores (C, h, w), distances in strides (4, h, w), and where those count (h, w)."""
    height, width = -(-spec.input.height // stride), -(-spec.input.width // stride)
    scores = torch.zeros(len(CLASSES), height, width)
    distances, mask = torch.zeros(4, height, width), torch.zeros(height, width)
    if stride != _STRIDE:
        return scores, distances, mask
    offset = spec.architecture.prior_offset
    ys, xs = torch.meshgrid(
        (torch.arange(height) + offset) * stride,
        (torch.arange(width) + offset) * stride,
        indexing="ij",
    )
    for (x0, y0, x1, y1), c in zip(example.xyxy.tolist(), example.class_id, strict=True):
        sides = torch.stack([xs - x0, ys - y0, x1 - xs, y1 - ys])
        inside = sides.min(0).values > 0
        far = ((xs - (x0 + x1) / 2) ** 2 + (ys - (y0 + y1) / 2) ** 2) / stride**2
        scores[c] = torch.where(inside, torch.exp(-far), scores[c])
        distances[:, inside] = sides[:, inside] / stride
        mask[inside & (far < 1)] = 1
    return scores, distances.clamp(max=spec.architecture.reg_max - 0.01), mask


def _loss(
    logits: torch.Tensor,
    scores: torch.Tensor,
    distances: torch.Tensor,
    mask: torch.Tensor,
    spec: ModelSpec,
) -> torch.Tensor:
    classes = len(CLASSES)
    loss = F.binary_cross_entropy_with_logits(logits[:, :classes], scores, reduction="sum")
    bins = logits[:, classes:].unflatten(1, (4, spec.num_bins)).log_softmax(2)
    low = distances.floor().long().unsqueeze(2)
    part = distances - distances.floor()
    focal = (1 - part) * bins.gather(2, low)[:, :, 0] + part * bins.gather(2, low + 1)[:, :, 0]
    return (loss - (focal.mean(1) * mask).sum()) / len(logits)
