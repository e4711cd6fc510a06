"""ONNX in the layout of Open Model Zoo and OpenCV Zoo, for other people's runtimes.

Input `data` (1, 3, H, W), normalised BGR; output `output` (1, N, classes + 4 * bins): class scores
after the sigmoid, then distance logits left, top, right, bottom; cells row by row, strides finest
first (upstream's `_forward_onnx`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from convert.engines import input_tensor, onnx_session
from convert.lowering.base import Lowered
from convert.onnx_export import to_onnx
from convert.parity import TOLERANCE, largest_difference
from runtime.errors import GateFailed
from runtime.files import writing
from runtime.spec import ModelSpec

# The rewrites that leave input and orientation as the network was trained.
REWRITES = ("fold_batch_norm", "select_strides", "select_classes")
INPUT_NAME, OUTPUT_NAME = "data", "output"


class _Joined(nn.Module):
    """One tensor a stride -> one tensor in all."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = []
        for level in self.network(x):
            scores, distances = level[:, : self.classes].sigmoid(), level[:, self.classes :]
            rows.append(torch.cat((scores, distances), dim=1).flatten(2))
        return torch.cat(rows, dim=2).permute(0, 2, 1)


def export(model: Lowered, path: Path) -> None:
    """Write `path` from a network lowered by `REWRITES` only."""
    joined = _Joined(model.module, len(model.spec.classes)).eval()
    proto = to_onnx(joined, model.example_input(), INPUT_NAME, [OUTPUT_NAME])
    onnx.checker.check_model(proto)
    with writing(path) as temporary:
        onnx.save(proto, temporary)


def check(model: Lowered, path: Path, canvas: np.ndarray) -> float:
    """Gate: the file answers as the network. Returns the largest difference of any value."""
    pixels = input_tensor(canvas, model.spec).numpy()
    (output,) = onnx_session(path).run([OUTPUT_NAME], {INPUT_NAME: pixels})
    wanted = expected(model.run(canvas), model.spec)
    difference = largest_difference({OUTPUT_NAME: wanted}, {OUTPUT_NAME: output})
    if not difference < TOLERANCE:
        raise GateFailed(f"{path}: ONNX differs from PyTorch by {difference:.2g}")
    return difference


def expected(logits: dict[str, np.ndarray], spec: ModelSpec) -> np.ndarray:
    """Logits (h, w, C) by name -> the layout's output (1, N, classes + 4 * bins)."""
    rows = []
    for stride in spec.graph.strides:
        scores = 1 / (1 + np.exp(-logits[f"cls_{stride}"]))
        grid = np.concatenate([scores, logits[f"reg_{stride}"]], axis=2)
        rows.append(grid.reshape(-1, grid.shape[2]))
    return np.concatenate(rows)[None]
