"""The layouts in which NanoDet checkpoints come -> the plain keys of the network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

# A Lightning checkpoint holds the trained weights under `model.` and, where training averaged
# them, the better copy under `avg_model.`; data-parallel training puts `module.` in front.
_AVERAGED = "avg_model."
_PREFIXES = (_AVERAGED, "model.", "module.")

# Not part of the deployed network: `aux_*` guides the training of NanoDet-Plus, `gfl_reg` idles
# where classes and distances share a tower, `distribution_project` holds the constants
# 0..reg_max, batch counters serve training.
UNUSED_PREFIXES = ("aux_fpn.", "aux_head.", "head.gfl_reg.", "head.distribution_project.")
UNUSED_SUFFIX = "num_batches_tracked"


@dataclass(frozen=True)
class NetworkWeights:
    """Weights by the network's own keys, and what was done to get them, in words."""

    weights: dict[str, torch.Tensor]
    notes: tuple[str, ...]


def network_weights(state: dict[str, Any]) -> NetworkWeights:
    """Strip prefixes, prefer averaged weights, drop what only training needs."""
    notes = []
    averaged = any(key.startswith(_AVERAGED) for key in state)
    if averaged:
        notes.append("uses the averaged weights (avg_model.*)")
    dropped: Counter[str] = Counter()
    weights = {}
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            continue
        prefix = next((p for p in _PREFIXES if key.startswith(p)), "")
        if averaged and prefix != _AVERAGED:
            dropped[f"{prefix or 'other '}*"] += 1
            continue
        plain = key.removeprefix(prefix)
        if plain.startswith(UNUSED_PREFIXES):
            dropped[next(p for p in UNUSED_PREFIXES if plain.startswith(p)) + "*"] += 1
        elif not plain.endswith(UNUSED_SUFFIX):
            weights[plain] = value
    notes += [f"drops {name} ({count} tensors)" for name, count in sorted(dropped.items())]
    return NetworkWeights(weights, tuple(notes))
