from __future__ import annotations

import pytest
import torch

from convert.checkpoint_layout import network_weights

ONE, TWO = torch.ones(1), torch.full((1,), 2.0)


@pytest.mark.parametrize(
    ("state", "expected", "notes"),
    [
        ({"a.w": ONE}, {"a.w": ONE}, ()),
        ({"model.a.w": ONE}, {"a.w": ONE}, ()),
        ({"module.a.w": ONE}, {"a.w": ONE}, ()),
        (
            {"model.a.w": ONE, "avg_model.a.w": TWO},
            {"a.w": TWO},
            ("uses the averaged weights (avg_model.*)", "drops model.* (1 tensors)"),
        ),
        (
            {"model.a.w": ONE, "model.aux_fpn.x": TWO, "model.aux_head.y": TWO,
             "model.aux_head.z": TWO},
            {"a.w": ONE},
            ("drops aux_fpn.* (1 tensors)", "drops aux_head.* (2 tensors)"),
        ),
        (
            {"a.w": ONE, "head.gfl_reg.0.bias": TWO, "a.num_batches_tracked": TWO},
            {"a.w": ONE},
            ("drops head.gfl_reg.* (1 tensors)",),
        ),
        ({"a.w": ONE, "epoch": 3}, {"a.w": ONE}, ()),
    ],
    ids=["plain", "lightning", "data parallel", "averaged", "auxiliary", "idle", "no tensor"],
)  # fmt: skip
def test_layouts(
    state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], notes: tuple[str, ...]
) -> None:
    found = network_weights(state)
    assert found.weights == expected
    assert found.notes == notes
