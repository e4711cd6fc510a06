"""A small network of a user's own that really detects: coloured blocks on textured ground.

Trained in seconds from the backbone of the kit's own model, which knows other shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from convert.checkpoint import read_weights
from convert.network import NanoDet
from runtime.spec import ModelSpec
from tests.conftest import ROOT, photo
from train.criterion import Criterion, Objects
from train.data import normalised
from train.guidance import TrainedNetwork

CLASSES = ["bolt", "nut", "washer"]
_COLOURS = ((220, 40, 40), (40, 220, 40), (40, 60, 220))
_STEPS = 150
_BATCH = 4
_RATE = 3e-3


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
        w, h = rng.integers(48, 96, 2)
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
    """The network of `spec`, which has the size of m-0.5x, trained on scenes from seed 1000 on."""
    torch.manual_seed(seed)
    network, criterion = TrainedNetwork(spec).train(), Criterion(spec)
    weights = read_weights(ROOT / "models" / "nanodet_m_0.5x_shapes.ckpt").weights
    body = {name: value.float() for name, value in weights.items() if ".gfl_" not in name}
    network.load_state_dict(body, strict=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, _STEPS)
    for step in range(_STEPS):
        batch = [scene(1000 + step * _BATCH + i, spec) for i in range(_BATCH)]
        pixels = torch.stack([normalised(s.rgb[..., ::-1].astype(np.float32), spec) for s in batch])
        objects = [Objects(torch.from_numpy(s.xyxy), torch.from_numpy(s.class_id)) for s in batch]
        outputs, guide = network.train_forward(pixels, detach=False)
        loss = criterion(outputs, objects, (spec.input.height, spec.input.width), guide)["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 35.0)
        optimizer.step()
        schedule.step()
    return network.eval()
