"""Where a network begins that is trained on: the weights of a checkpoint, as far as they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from convert.checkpoint import read_weights
from convert.checkpoint_layout import UNUSED_PREFIXES
from data import locate
from data.annotations import plain
from runtime import quiet
from runtime.errors import KitError
from runtime.spec import ModelSpec

_LAST = "head.gfl_cls."
_OFFICIAL = "nanodet-m"  # Whose classes a checkpoint of 80 has.


def start_from(training: Any, path: Path) -> None:
    """Fine-tune: take what fits of a checkpoint, and say what does not.

    Of last layers with other classes, distances are taken, and the classes of COCO by their names
    where the checkpoint has as many classes as COCO.
    """
    read = read_weights(path)
    for note in read.notes:
        quiet.say(f"{path.name}: {note}")
    own = training.model.state_dict()
    found = {k: v for k, v in read.weights.items() if k in own and v.shape == own[k].shape}
    if not found:
        raise KitError(f"--weights {path}: nothing in it fits this network")
    taken = ""
    for name in own:
        if name.startswith(_LAST) and name not in found and name in read.weights:
            found[name], taken = _rows(own[name], read.weights[name], training.spec)
    if taken:
        quiet.say(f"{path.name}: other classes; of `{_LAST}*` it gives {taken}")
    left = sorted(k for k in own if k not in found and not k.startswith(UNUSED_PREFIXES))
    for name in left:
        if not name.endswith("num_batches_tracked"):
            quiet.say(f"{path.name}: `{name}` starts at random")
    training.model.load_state_dict({**own, **found})
    if training.avg_model is not None:
        training.avg_model.load_state_dict(training.model.state_dict())


def _rows(own: torch.Tensor, other: torch.Tensor, spec: ModelSpec) -> tuple[torch.Tensor, str]:
    """A last layer's weight or bias with the rows of another one, and which they are, in words;
    nothing where they do not fit."""
    bins, classes = 4 * spec.num_bins, len(spec.class_names)
    known = len(other) - bins
    if other.shape[1:] != own.shape[1:] or known < 1:
        return own, ""
    result = own.clone()
    result[classes:] = other[known:]
    names = locate.model_spec(_OFFICIAL).class_names
    pairs = _pairs(spec.class_names, names) if known == len(names) else []
    for mine, theirs in pairs:
        result[mine] = other[theirs]
    return result, f"the distances, and {len(pairs)} of {classes} classes by COCO's names"


def _pairs(own: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    """Numbers of the classes that both have."""
    numbers = {plain(name): i for i, name in enumerate(others)}
    return [(i, numbers[plain(name)]) for i, name in enumerate(own) if plain(name) in numbers]
