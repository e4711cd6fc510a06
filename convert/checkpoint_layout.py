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

_DEPLOYED = ("backbone.", "fpn.", "head.")

# Upstream brings the averages up to date at each validation, so that they may be almost half a
# training old, and averages their counter as it does weights, cut to a whole number, so that it
# lags: with a decay of 0.9998 by a fifth, with 0.99998 by four fifths at worst. It never falls
# below this share of the model's.
_LEAST_SHARE = 0.1
_STATISTICS = (("running_mean", 0.0), ("running_var", 1.0))  # Before the first batch.


@dataclass(frozen=True)
class NetworkWeights:
    """Weights by the network's own keys, and what was done to get them, in words."""

    weights: dict[str, torch.Tensor]
    notes: tuple[str, ...]


def network_weights(state: dict[str, Any]) -> NetworkWeights:
    """Strip prefixes, prefer averaged weights that training kept, drop what only training needs."""
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    averages = {k.removeprefix(_AVERAGED): v for k, v in tensors.items() if k.startswith(_AVERAGED)}
    flaw = _flaw_of_averages(averages, _of_model(tensors)) if averages else None
    averaged = bool(averages) and flaw is None
    notes = []
    if averaged:
        notes.append(f"uses the averaged weights ({_AVERAGED}*)")
    elif averages:
        notes.append(f"uses the model's weights, not the averaged ones ({_AVERAGED}*), {flaw}")
    dropped: Counter[str] = Counter()
    weights = {}
    for key, value in tensors.items():
        prefix = _prefix(key)
        if averages and averaged != (prefix == _AVERAGED):
            dropped[f"{prefix or 'other '}*"] += 1
            continue
        plain = key.removeprefix(prefix)
        if plain.startswith(UNUSED_PREFIXES):
            dropped[next(p for p in UNUSED_PREFIXES if plain.startswith(p)) + "*"] += 1
        elif not plain.endswith(UNUSED_SUFFIX):
            weights[plain] = value
    notes += [f"drops {name} ({count} tensors)" for name, count in sorted(dropped.items())]
    return NetworkWeights(weights, tuple(notes))


def _flaw_of_averages(
    averages: dict[str, torch.Tensor], own: dict[str, torch.Tensor]
) -> str | None:
    """Why averaged weights must not stand for the model's `own`, in words; None where they may.

    Both by the network's keys. Upstream writes averages that were never updated where training
    stopped before its first validation.
    """
    own = {k: v for k, v in own.items() if not k.startswith(UNUSED_PREFIXES)}
    # Counters first: what they tell is told best.
    for key in sorted(own, key=lambda key: not key.endswith(UNUSED_SUFFIX)):
        value, other = own[key], averages.get(key)
        if other is None:
            if key.startswith(_DEPLOYED) and not key.endswith(UNUSED_SUFFIX):
                return f"which lack `{key}`"
        elif key.endswith(UNUSED_SUFFIX):
            seen, trained = _count(other), _count(value)
            if seen < _LEAST_SHARE * trained:
                return f"which saw {seen:g} batches where the model saw {trained:g}"
        elif _finite(value) and not _finite(other):
            return f"where `{key}` holds NaN or infinity"
        elif _untouched(key, other) and not _untouched(key, value):
            return f"where `{key}` is as before training"
    return None


def _of_model(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors that are no averages, by the network's keys."""
    return {k.removeprefix(_prefix(k)): v for k, v in tensors.items() if _prefix(k) != _AVERAGED}


def _prefix(key: str) -> str:
    return next((p for p in _PREFIXES if key.startswith(p)), "")


def _count(counter: torch.Tensor) -> float:
    """Batches that a batch norm saw; 0 where it is no count."""
    plain = counter.layout == torch.strided and not counter.is_complex() and counter.numel() == 1
    return float(counter) if plain else 0.0


def _finite(value: torch.Tensor) -> bool:
    return value.layout != torch.strided or bool(torch.isfinite(value).all())


def _untouched(key: str, value: torch.Tensor) -> bool:
    """Whether these are batch norm's statistics before the first batch."""
    start = next((number for name, number in _STATISTICS if key.endswith(name)), None)
    if start is None or value.layout != torch.strided:
        return False
    return bool((value == start).all())
