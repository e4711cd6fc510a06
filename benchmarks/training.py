"""`python -m benchmarks.training`: is training upstream's? Writes the tables of docs/training.md.

Losses and gradients of random networks on generated scenes, in float64, beside the literal
reference of the tests; and what augmentation draws, beside the ranges that upstream documents.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.markdown import publish
from data import locate
from data.names import ROOT
from data.shapes.dataset import write_set
from data.shapes.shapes import CLASS_NAMES
from runtime.cli import run
from tests.train.literal import literal_losses, uniform_distance
from train.augment import Augmentation, vary_colour, warp_matrix
from train.criterion import Criterion, Objects
from train.data import TrainingSet, collate, read_pictures
from train.geometry import Cells
from train.guidance import TrainedNetwork
from train.settings import DEFAULT_AUGMENTATION

_VARIANTS = ("nanodet-m-0.5x", "nanodet-plus-m-320")
_SCENES, _SEED, _DRAWS = 4, 0, 20_000
# Of Kolmogorov and Smirnov, over the root of the number of draws, that all nine keep in 95 %.
_LIMIT_95 = 1.716
_SIZE = (200, 100)
_PIXEL = np.array([[[40, 100, 200]]], np.uint8)

Measure = Callable[[np.ndarray], Any]


def main() -> int:
    """Measure, and write the tables."""
    with tempfile.TemporaryDirectory() as name:
        write_set(Path(name), _SCENES, 320, 320, _SEED)
        rows = [row for variant in _VARIANTS for row in _losses(variant, Path(name))]
    document = ROOT / "docs" / "training.md"
    header = ("network", "term", "loss", "difference", "largest gradient", "largest difference")
    publish(document, "training-losses", header, rows)
    columns = ("drawn", "range", "found", "distance", "limit")
    publish(document, "augmentation", columns, list(_augmentation()))
    return 0


def _losses(variant: str, folder: Path) -> Iterator[Sequence[str]]:
    """A row for each term of the loss."""
    torch.manual_seed(_SEED)
    spec = dataclasses.replace(locate.model_spec(variant), class_names=CLASS_NAMES)
    pictures = read_pictures(folder / "images", folder / "annotations.json", CLASS_NAMES)
    data = TrainingSet(pictures, spec, DEFAULT_AUGMENTATION, _SEED)
    pixels, found = collate([data[0, i] for i in range(len(data))])
    objects = [Objects(o.xyxy.double(), o.class_id) for o in found]
    height, width = pixels.shape[2:]
    network = TrainedNetwork(spec).double().train()
    outputs, guide = network.train_forward(pixels.double(), detach=False)
    inputs = [outputs] if guide is None else [outputs, guide]
    terms = Criterion(spec)(outputs, objects, (height, width), guide)
    del terms["loss"]
    cells = Cells.of(spec, height, width, torch.device("cpu"))
    literal = literal_losses(spec, outputs, objects, cells, guide)
    for name, value in terms.items():
        own, other = (_gradient(loss, inputs) for loss in (value, literal[name]))
        gap, gradient_gap = abs(float((value - literal[name]).detach())), (own - other).abs().max()
        yield (
            variant, f"`{name}`", f"{float(value.detach()):.4f}", f"{gap:.0e}",
            f"{float(other.abs().max()):.1e}", f"{float(gradient_gap):.0e}",
        )  # fmt: skip


def _gradient(loss: torch.Tensor, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    found = torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)
    return torch.cat([torch.zeros(1) if g is None else g.flatten() for g in found])


def _augmentation() -> Iterator[Sequence[str]]:
    """A row for each number that is drawn, alone."""
    warps: list[tuple[dict[str, Any], float, float, Measure]] = [
        ({"scale": (0.6, 1.4)}, 0.6, 1.4, lambda m: m[0, 0]),
        ({"stretch": ((0.8, 1.2), (1, 1))}, 0.8, 1.2, lambda m: m[0, 0]),
        ({"rotation": 20.0}, -20, 20, lambda m: np.degrees(np.arctan2(m[0, 1], m[0, 0]))),
        ({"shear": 10.0}, -10, 10, lambda m: np.degrees(np.arctan(m[1, 0]))),
        ({"translate": 0.2}, -0.2, 0.2, lambda m: m[1, 2] / _SIZE[1]),
        ({"perspective": 0.001}, -0.001, 0.001, lambda m: m[2, 0]),
    ]
    for ranges, low, high, measure in warps:
        rng, setting = np.random.default_rng(_SEED), Augmentation(**ranges)
        draws = [warp_matrix(rng, setting, _SIZE, _SIZE, True) for _ in range(_DRAWS)]
        (name,) = ranges
        yield _row(name, low, high, np.array([measure(m) for m in draws]))
    colours: list[tuple[dict[str, Any], float, float, Measure]] = [
        ({"brightness": 0.2}, -0.2, 0.2, lambda p: (p[1] - 100) / 255),
        ({"contrast": (0.6, 1.4)}, 0.6, 1.4, lambda p: p[1] / 100),
        ({"saturation": (0.5, 1.2)}, 0.5, 1.2, lambda p: (p[2] - p[0]) / 160),
    ]
    for ranges, low, high, measure in colours:
        rng, setting = np.random.default_rng(_SEED), Augmentation(**ranges)
        values = [measure(vary_colour(rng, _PIXEL, setting)[0, 0]) for _ in range(_DRAWS)]
        found = np.array(values)
        changed = found[np.abs(found - (0.0 if low < 0 else 1.0)) > 1e-6]
        (name,) = ranges
        yield _row(f"{name}, of {len(changed) / _DRAWS:.1%} of the pictures", low, high, changed)


def _row(name: str, low: float, high: float, values: np.ndarray) -> Sequence[str]:
    distance, limit = uniform_distance(values, low, high), _LIMIT_95 / len(values) ** 0.5
    found = f"{values.min():.4g} to {values.max():.4g}"
    return name, f"{low:g} to {high:g}", found, f"{distance:.4f}", f"{limit:.4f}"


if __name__ == "__main__":
    sys.exit(run(main))
