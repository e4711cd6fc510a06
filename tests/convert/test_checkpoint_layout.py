from __future__ import annotations

import math
from typing import Any

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


def network(mean: float, counter: int | None, weight: float = 1.0) -> dict[str, torch.Tensor]:
    """A convolution and a batch norm that saw `counter` batches."""
    state = {
        "backbone.w": torch.full((2,), weight),
        "backbone.bn.running_mean": torch.full((2,), mean),
        "backbone.bn.running_var": torch.full((2,), 1.0 + mean),
    }
    if counter is not None:
        state["backbone.bn.num_batches_tracked"] = torch.tensor(counter)
    return state


def both(own: dict[str, torch.Tensor], average: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {f"model.{k}": v for k, v in own.items()} | {
        f"avg_model.{k}": v for k, v in average.items()
    }


def without(state: dict[str, torch.Tensor], key: str) -> dict[str, torch.Tensor]:
    return {k: v for k, v in state.items() if k != key}


OWN = network(0.5, 8)


@pytest.mark.parametrize(
    ("own", "average", "flaw"),
    [
        (OWN, network(0.4, 8, 2), None),
        (OWN, network(0.4, 4, 2), None),
        (network(0.5, 100_000), network(0.4, 21_000, 2), None),
        (network(0.5, 0), network(0.4, 0, 2), None),
        (network(0.5, None), network(0.4, None, 2), None),
        (network(0.0, 0), network(0.0, 0, 2), None),
        (OWN, network(0.4, None, 2), None),
        (OWN | {"aux_head.w": ONE}, network(0.4, 8, 2), None),
        (OWN | {"metric.w": ONE}, network(0.4, 8, 2), None),
        (OWN | {"head.gfl_reg.0.bias": TWO}, network(0.4, 8, 2), None),
        ({}, network(0.0, 0, 2), None),
        (OWN, network(0.0, 0, 2), "which saw 0 batches where the model saw 8"),
        (OWN, network(0.4, 0, 2), "which saw 0 batches where the model saw 8"),
        (network(0.5, 100_000), network(0.4, 8, 2), "which saw 8 batches where the"),
        (network(0.5, None), network(0.0, None, 2), "where `backbone.bn.running_mean` is as"),
        (network(0.5, 0), network(0.0, 0, 2), "where `backbone.bn.running_mean` is as"),
        (OWN, network(0.4, 8, float("nan")), "where `backbone.w` holds NaN"),
        (OWN, network(0.4, 8, float("inf")), "where `backbone.w` holds NaN"),
        (OWN, without(network(0.4, 8), "backbone.w"), "which lack `backbone.w`"),
    ],
    ids=["up to date", "at the last validation", "a counter that lags", "no counts kept",
         "no counters", "neither trained", "averages without counters", "guidance not averaged",
         "a metric's tensor", "an idle branch", "averages alone", "never updated",
         "counters of before training", "hardly updated", "statistics tell", "statistics tell, 0",
         "NaN", "overflow", "a part"],
)  # fmt: skip
def test_averages_that_training_kept_are_preferred(
    own: dict[str, torch.Tensor], average: dict[str, torch.Tensor], flaw: str | None
) -> None:
    found = network_weights(both(own, average))
    chosen = average if flaw is None else own
    for key in ("backbone.w", "backbone.bn.running_mean"):
        assert torch.equal(found.weights[key], chosen[key])
    if flaw is None:
        assert found.notes[0] == "uses the averaged weights (avg_model.*)"
    else:
        assert found.notes[0].startswith("uses the model's weights, not the averaged ones")
        assert flaw in found.notes[0]


def test_upstreams_own_averages_pass() -> None:
    """Upstream's formula over a long run, the counter cut to a whole number at each step."""
    counter, decay, lowest = 0, 0.9998, 1.0
    for step in range(1, 60_001):
        share = decay * math.exp(-(1 + step) / 2000) + 1 - decay
        counter = int(counter * (1 - share) + step * share)
        if step > 2:
            lowest = min(lowest, counter / step)
    stale = 0.5 * lowest  # Up to date at half of the training, by the last validation.
    own, average = network(0.5, 100_000), network(0.4, int(stale * 100_000))
    assert network_weights(both(own, average)).notes[0].startswith("uses the averaged")
