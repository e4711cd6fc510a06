"""Lowering: rewrites of the network for small targets, each checked numerically. All are exact but
those in `APPROXIMATE`.

`REWRITES` is the sequence; every entry is a function `Lowered -> Lowered`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import fx, nn

from convert.lowering import (
    fold_batch_norm,
    gates,
    narrow_neck,
    outputs,
    pooling,
    raw_pixels,
    rotate_180,
    shuffle_as_gather,
    shuffle_by_slices,
)
from convert.lowering.base import Lowered
from convert.network import NanoDet
from convert.network.repvgg import Branches
from convert.parity import TOLERANCE, largest_difference, typical_difference
from runtime.errors import GateFailed
from runtime.spec import GraphSpec, ModelSpec

__all__ = ["APPROXIMATE", "REWRITES", "Lowered", "RewriteReport", "lower", "trace"]

Rewrite = Callable[[Lowered], Lowered]

REWRITES: dict[str, Rewrite] = {
    "fold_batch_norm": fold_batch_norm.apply,
    "plain_gates": gates.apply,
    "select_strides": outputs.select_strides,
    "select_classes": outputs.select_classes,
    "split_logits": outputs.split_logits,
    "shuffle_by_slices": shuffle_by_slices.apply,
    "narrow_neck": narrow_neck.apply,
    "grey_border": raw_pixels.grey_border,
    "raw_pixels": raw_pixels.raw_pixels,
    "pool_first": pooling.pool_first,
    "halve_by_mean": pooling.halve_by_mean,
    "rotate_180": rotate_180.apply,
    "copied_border": pooling.copied_border,
    "shuffle_as_gather": shuffle_as_gather.apply,
}

# Rewrites whose difference is measured and reported but not held to the tolerance.
APPROXIMATE = frozenset({"grey_border"})
# Largest change of the logits, root mean square, by a border that is not near to the means; int8
# rounding makes as much.
_BORDER_LIMIT = 0.1


@dataclass(frozen=True)
class RewriteReport:
    """What one rewrite changed on the gate's image: the largest difference of any logit."""

    name: str
    largest_difference: float
    exact: bool


def trace(network: NanoDet, spec: ModelSpec) -> Lowered:
    """The network as trained, as a graph with an output for each stride of the architecture."""
    frozen = copy.deepcopy(network).eval().requires_grad_(False)
    whole = GraphSpec(spec.architecture.strides)
    module = fx.GraphModule(frozen, _Tracer().trace(frozen))
    return Lowered(module, dataclasses.replace(spec, graph=whole))


class _Tracer(fx.Tracer):
    """Leaves RepVGG's branches whole, for `fold_batch_norm`."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Branches) or super().is_leaf_module(m, module_qualified_name)


def lower(
    network: NanoDet,
    spec: ModelSpec,
    canvas: np.ndarray,
    rewrites: Sequence[str] = tuple(REWRITES),
) -> tuple[Lowered, list[RewriteReport]]:
    """Apply rewrites, all by default, for the strides and classes of `spec.graph`.

    canvas: a photograph (see `runtime.preprocess`) on which each step must answer as the step
    before it. The steps compute in float64, so that a difference means a wrong rewrite and not
    rounding. Raises `GateFailed` naming the rewrite that differs by more than it may.
    """
    model, reports = trace(network, spec), []
    model.module.double()
    found = model.run(canvas)
    for name in rewrites:
        if name == "select_strides":
            model = model.with_graph(strides=spec.graph.strides)
        if name == "select_classes":
            model = model.with_graph(class_ids=spec.graph.class_ids)
            ids = list(spec.graph.class_ids) or slice(None)
            found = {n: v[..., ids] if n[:3] == "cls" else v for n, v in found.items()}
        model = REWRITES[name](model)
        before, found = found, model.run(canvas)
        difference = largest_difference(before, found)
        exact = name not in APPROXIMATE
        if exact and not difference < TOLERANCE:
            raise GateFailed(
                f"rewrite {name} changes an output by {difference:.2g}, more than {TOLERANCE:g}"
            )
        if name == "grey_border" and not raw_pixels.is_near(model.spec.input):
            _check_border(typical_difference(before, found), spec)
        reports.append(RewriteReport(name, difference, exact))
    model.module.float()
    return model, reports


def _check_border(change: float, spec: ModelSpec) -> None:
    if change < _BORDER_LIMIT:
        return
    means = ", ".join(f"{mean:g}" for mean in spec.input.mean)
    raise GateFailed(
        f"rewrite grey_border changes the logits by {change:.2g} (root mean square), more than "
        f"{_BORDER_LIMIT:g}: no one grey is near to the means {means}; train with nearer ones"
    )
