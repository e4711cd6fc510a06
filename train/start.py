"""Where a network begins that is trained on: the weights of a checkpoint, as far as they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convert.checkpoint import read_weights
from convert.checkpoint_layout import UNUSED_PREFIXES
from data import locate
from data.annotations import plain
from runtime import quiet
from runtime.errors import KitError
from runtime.spec import ModelSpec
from train.criterion import Objects
from train.data import collate

MEASURED_PICTURES = 64
_BATCH = 8
_LAST = "head.gfl_cls."
_COLOURS = 3
_OFFICIAL = "nanodet-m"  # Whose classes a checkpoint of 80 has.


def start_from(training: Any, path: Path, samples: Sequence[torch.Tensor]) -> None:
    """Fine-tune: take what fits of a checkpoint, and say what does not.

    Of last layers with other classes, distances are taken, and the classes of COCO by their names
    where the checkpoint has as many classes as COCO. A grey network takes the sum of the first
    layer's colours. samples: normalised pixels (C, H, W), on which folded batch norms are measured.
    """
    read = read_weights(path)
    for note in read.notes:
        quiet.say(f"{path.name}: {note}")
    own = training.model.state_dict()
    weights = dict(read.weights)
    for name, value in read.weights.items():
        grey = value.ndim == 4 and name in own and own[name].shape[1] == 1
        if grey and value.shape[1] == _COLOURS:
            weights[name] = value.sum(1, keepdim=True)
            quiet.say(f"{path.name}: `{name}` gives the sum of its colours")
    found = {k: v for k, v in weights.items() if k in own and v.shape == own[k].shape}
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
    if _folded(training.model):
        unfold(training.model, samples)
        quiet.say(f"{path.name}: folded batch norms, measured anew on {len(samples)} pictures")
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


def _norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Those of the network that is deployed."""
    named = network.named_modules()
    return [m for n, m in named if isinstance(m, nn.BatchNorm2d) and not n.startswith("aux_")]


def _folded(network: nn.Module) -> bool:
    """Whether batch norms only add a bias: exporters fold the rest into convolutions."""
    states = [norm.state_dict() for norm in _norms(network)]
    return all(
        bool((s["weight"] == 1).all() and (s["running_mean"] == 0).all())
        and bool(((s["running_var"] - 1).abs() < 1e-4).all())
        for s in states
    )


@torch.no_grad()
def unfold(network: nn.Module, samples: Sequence[torch.Tensor]) -> None:
    """Give folded batch norms the statistics of what they see, and undo these by their weights and
    biases, in place: evaluated, the network stays the same, and it can be trained."""
    sums: dict[nn.BatchNorm2d, torch.Tensor] = {}

    def observe(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        x = inputs[0].double()
        ones = torch.full((x.shape[1],), float(x.numel() // x.shape[1]), dtype=torch.float64)
        seen = torch.stack([ones, x.sum((0, 2, 3)), x.square().sum((0, 2, 3))])
        sums[norm] = sums.get(norm, 0) + seen  # type: ignore[index, call-overload]

    hooks = [norm.register_forward_pre_hook(observe) for norm in _norms(network)]
    network.eval()
    for start in range(0, len(samples), _BATCH):
        nothing = Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
        network(collate([(pixels, nothing) for pixels in samples[start : start + _BATCH]])[0])
    network.train()
    for hook in hooks:
        hook.remove()
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        norm.running_mean, norm.running_var = mean.float(), variance.float()
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.add_(norm.running_mean)
